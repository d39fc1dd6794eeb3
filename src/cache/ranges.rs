//! Sets of bytes of a block.

/// Ranges `start..end` of bytes in a block: ascending, apart from one another, none empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes in it.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(start, end)| u64::from(end - start)).sum()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// The end of the last one; 0 where there is none.
    pub fn end(&self) -> u32 {
        self.0.last().map_or(0, |range| range.1)
    }

    /// Adds `start..end`, joined with what it touches.
    pub fn add(&mut self, start: u32, end: u32) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|range| range.1 < start);
        let last = self.0.partition_point(|range| range.0 <= end);
        let joined = match self.0.get(first..last) {
            Some([low, .., high]) => (low.0.min(start), high.1.max(end)),
            Some([only]) => (only.0.min(start), only.1.max(end)),
            _ => (start, end),
        };
        self.0.splice(first..last, [joined]);
    }

    /// Takes `start..end` out.
    pub fn remove(&mut self, start: u32, end: u32) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|range| range.1 <= start);
        let last = self.0.partition_point(|range| range.0 < end);
        if first >= last {
            return;
        }
        let (low, high) = (self.0[first].0, self.0[last - 1].1);
        let left = [(low, start), (end, high)].into_iter().filter(|range| range.0 < range.1);
        self.0.splice(first..last, left);
    }

    /// Whether all of `start..end` is in it.
    pub fn covers(&self, start: u32, end: u32) -> bool {
        let at = self.0.partition_point(|range| range.1 < end);
        start >= end || self.0.get(at).is_some_and(|range| range.0 <= start)
    }

    /// The parts of `start..end` that are in it.
    pub fn within(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let first = self.0.partition_point(|range| range.1 <= start);
        let reached = self.0[first..].iter().take_while(move |range| range.0 < end);
        reached.map(move |range| (range.0.max(start), range.1.min(end)))
    }

    /// The parts of `start..end` that are not in it.
    pub fn gaps(&self, start: u32, end: u32) -> Vec<(u32, u32)> {
        let mut gaps = Vec::new();
        let mut at = start;
        for (low, high) in self.within(start, end) {
            if at < low {
                gaps.push((at, low));
            }
            at = high;
        }
        if at < end {
            gaps.push((at, end));
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_agree_with_a_bitmap() {
        let mut seed = 7u64;
        let mut random = |bound: u32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) as u32) % bound
        };
        let mut ranges = Ranges::new();
        let mut bitmap = [false; 200];
        for _ in 0..20_000 {
            let start = random(200);
            let end = start + random(201 - start);
            let add = random(2) == 0;
            if add {
                ranges.add(start, end);
            } else {
                ranges.remove(start, end);
            }
            bitmap[start as usize..end as usize].fill(add);
            assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{ranges:?}");
            assert!(ranges.0.iter().all(|range| range.0 < range.1));
            let told: Vec<bool> = (0..200).map(|at| ranges.covers(at, at + 1)).collect();
            assert_eq!(told, bitmap);
            let (start, end) = (random(100), 100 + random(101));
            let inside = &bitmap[start as usize..end as usize];
            assert_eq!(ranges.covers(start, end), inside.iter().all(|byte| *byte));
            let count = ranges.within(start, end).map(|(low, high)| high - low).sum::<u32>() as usize;
            assert_eq!(count, inside.iter().filter(|byte| **byte).count());
            let gaps = ranges.gaps(start, end).iter().map(|(low, high)| high - low).sum::<u32>() as usize;
            assert_eq!(gaps, inside.iter().filter(|byte| !**byte).count());
        }
        assert_eq!(ranges.bytes() as usize, bitmap.iter().filter(|byte| **byte).count());
        assert_eq!(ranges.end() as usize, bitmap.iter().rposition(|byte| *byte).map_or(0, |at| at + 1));
    }
}

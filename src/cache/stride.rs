//! Equal pieces at equal distances: how one of several processes reads its part of a shared file.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Equal distances in a row after which a reader goes on like that, most likely.
const COUNT_MIN: u32 = 2;

/// The largest distance that counts, in bytes: pieces farther apart are messages to many servers, and a few of them in
/// flight gain little.
const STEP_BYTES_MAX: u64 = 8 << 20;

/// So far behind the last read that missed one that goes on may be, in bytes: what lies between was read from the cache.
const PASSED_BYTES_MAX: u64 = 64 << 20;

/// How a description's reads that miss the cache lie in the file.
#[derive(Debug, Default)]
pub struct Stride {
    last: AtomicU64,
    length: AtomicU64,
    /// 0 while two reads have told nothing.
    step: AtomicU64,
    count: AtomicU32,
    blocks: AtomicU64,
}

/// Pieces to come: `length` bytes from `offset + step` on, from `offset + 2 * step` on, and so forth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    offset: u64,
    step: u64,
    /// Bytes of each piece.
    pub length: u64,
}

impl Stride {
    /// Notes a read that a hit did not serve.
    pub fn note(&self, offset: u64, length: u64) {
        let (step, count) = (self.step.load(Ordering::Relaxed), self.count.load(Ordering::Relaxed));
        let is_as_long = length == self.length.swap(length, Ordering::Relaxed);
        let distance = offset.checked_sub(self.last.swap(offset, Ordering::Relaxed)).filter(|_| is_as_long);
        let distance = distance.unwrap_or(0);
        if step != 0
            && count >= COUNT_MIN
            && distance.is_multiple_of(step)
            && (1..=PASSED_BYTES_MAX).contains(&distance)
        {
            return;
        }
        if step != 0 && distance == step {
            self.count.store(count + 1, Ordering::Relaxed);
            return;
        }
        let step = if distance > length && distance <= STEP_BYTES_MAX { distance } else { 0 };
        self.step.store(step, Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        self.blocks.store(0, Ordering::Relaxed);
    }

    /// There is no pattern.
    pub fn forget(&self) {
        for word in [&self.step, &self.length, &self.blocks] {
            word.store(0, Ordering::Relaxed);
        }
        self.count.store(0, Ordering::Relaxed);
    }

    /// What will be read next, if there is a pattern.
    pub fn pieces(&self) -> Option<Pieces> {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let step = load(&self.step);
        let is_sure = step != 0 && self.count.load(Ordering::Relaxed) >= COUNT_MIN;
        is_sure.then(|| Pieces { offset: load(&self.last), step, length: load(&self.length) })
    }

    /// How many blocks to ask for ahead: 1, then 2, 4... up to `bound`.
    pub fn grow(&self, bound: u64) -> u64 {
        let blocks = (self.blocks.load(Ordering::Relaxed) * 2).clamp(1, bound);
        self.blocks.store(blocks, Ordering::Relaxed);
        blocks
    }
}

impl Pieces {
    /// The first byte from `at` on that will be read; `None` past the last byte that there can be.
    pub fn first_behind(&self, at: u64) -> Option<u64> {
        let first = self.offset.checked_add(self.step)?;
        let skipped = at.saturating_sub(first).saturating_add(self.step).saturating_sub(self.length) / self.step;
        let start = first.checked_add(skipped.checked_mul(self.step)?)?;
        Some(start.max(at))
    }

    /// What of `start..end` will be read, in ranges.
    pub fn within(self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
        let mut at = start;
        std::iter::from_fn(move || {
            let low = self.first_behind(at).filter(|low| *low < end)?;
            let into = (low - self.offset) % self.step;
            at = low.saturating_add(self.length - into).min(end);
            Some((low, at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_distances_are_a_pattern_and_others_end_it() {
        let stride = Stride::default();
        for offset in [100, 1100, 2100] {
            stride.note(offset, 300);
            assert_eq!(stride.pieces(), None);
        }
        stride.note(3100, 300);
        let pieces = stride.pieces().unwrap();
        assert_eq!(pieces, Pieces { offset: 3100, step: 1000, length: 300 });
        assert_eq!((stride.grow(3), stride.grow(3), stride.grow(3)), (1, 2, 3));
        stride.note(9100, 300);
        assert_eq!(stride.pieces().unwrap().offset, 9100, "what lies between was read from the cache");
        stride.note(9200, 300);
        assert_eq!(stride.pieces(), None);
        for offset in (0..100).map(|number| number * 300) {
            stride.note(offset, 300);
        }
        assert_eq!(stride.pieces(), None, "no gaps");
        for offset in [1000, 2000, 3000, 4000] {
            stride.note(offset, 300);
        }
        assert!(stride.pieces().is_some());
        stride.forget();
        assert_eq!(stride.pieces(), None);
        stride.note(5000, 300);
        assert_eq!(stride.pieces(), None, "it begins anew");
        for number in 0..100 {
            stride.note(number * 1000, 300 + number);
        }
        assert_eq!(stride.pieces(), None, "not as long as one another");
    }

    #[test]
    fn pieces_are_what_is_read_behind_the_last_read() {
        let pieces = Pieces { offset: 3100, step: 1000, length: 300 };
        let wanted = |byte: u64| byte >= 4100 && (byte - 3100) % 1000 < 300;
        for at in 0..9000 {
            let expected = (at..).find(|byte| wanted(*byte));
            assert_eq!(pieces.first_behind(at), expected, "{at}");
        }
        for (start, end) in [(0, 9000), (4150, 4160), (4399, 5101), (4400, 5100), (5200, 5200)] {
            let told: Vec<u64> = pieces.within(start, end).flat_map(|(low, high)| low..high).collect();
            let expected: Vec<u64> = (start..end).filter(|byte| wanted(*byte)).collect();
            assert_eq!(told, expected, "{start}..{end}");
        }
        assert_eq!(Pieces { offset: u64::MAX - 5, step: 1000, length: 3 }.first_behind(u64::MAX - 5), None);
    }
}

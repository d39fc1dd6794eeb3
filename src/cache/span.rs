//! A call's memory, laid against the file's bytes.

use crate::ground::buffer::{Segment, total_bytes};

/// The segments of one read or write, whose first byte is the file's byte `start`.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    start: u64,
    segments: &'a [Segment],
}

impl<'a> Span<'a> {
    /// `segments` from byte `start` of the file on.
    pub fn new(start: u64, segments: &'a [Segment]) -> Self {
        Self { start, segments }
    }

    /// The file's byte that the first byte of memory stands for.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The file's byte behind the last one.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(total_bytes(self.segments) as u64)
    }

    /// The memory of the file's bytes `start..end`, in pieces: each with the file's byte that it begins with. Bytes
    /// that the call has no memory for are left out.
    pub fn pieces(self, start: u64, end: u64) -> impl Iterator<Item = (u64, Segment)> + 'a {
        let mut at = self.start;
        self.segments.iter().filter_map(move |segment| {
            let (low, high) = (at, at + segment.len() as u64);
            at = high;
            let (first, last) = (low.max(start), high.min(end));
            (first < last).then(|| (first, segment.part((first - low) as usize, (last - first) as usize)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_where_segments_and_ranges_end() {
        let bytes = [0u8; 100];
        let segments = [Segment::of_slice(&bytes[..10]), Segment::of_slice(&[]), Segment::of_slice(&bytes[50..80])];
        let span = Span::new(1000, &segments);
        assert_eq!((span.start(), span.end()), (1000, 1040));
        let cut = |start, end| -> Vec<(u64, usize, usize)> {
            let from = |segment: &Segment| segment.as_ptr() as usize - bytes.as_ptr() as usize;
            span.pieces(start, end).map(|(at, piece)| (at, from(&piece), piece.len())).collect()
        };
        assert_eq!(cut(0, 5000), [(1000, 0, 10), (1010, 50, 30)]);
        assert_eq!(cut(1009, 1011), [(1009, 9, 1), (1010, 50, 1)]);
        assert_eq!(cut(1020, 1020), []);
        assert_eq!(cut(1035, 1090), [(1035, 75, 5)]);
    }
}

//! What a read tells of the end of the file.

use crate::ground::Result;
use crate::store::Extent;

/// A read brought fewer bytes than it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenEnd {
    /// The file ends here; if not [exact](Self::is_exact), here or before.
    pub end: u64,
    /// Whether it ends just here.
    pub is_exact: bool,
}

impl SeenEnd {
    /// From what a read of `extents` answered; `None` if it brought all.
    pub fn of(extents: &[Extent], count: usize) -> Option<Self> {
        let mut left = count;
        let mut reached = None;
        for extent in extents {
            let length = extent.segment.len();
            if left < length {
                let is_exact = left > 0 || reached == Some(extent.offset) || extent.offset == 0;
                return Some(Self { end: extent.offset + left as u64, is_exact });
            }
            left -= length;
            reached = Some(extent.offset + length as u64);
        }
        None
    }

    /// Sets what `extents` have between the end and `limit` to zero: the read left it as it was.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn zero_behind(&self, extents: &[Extent], limit: u64) -> Result<()> {
        for extent in extents {
            let place = |end: u64| end.saturating_sub(extent.offset).min(extent.segment.len() as u64) as usize;
            let (there, up_to) = (place(self.end), place(limit));
            extent.segment.part(there, up_to.saturating_sub(there)).zero()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::buffer::Segment;

    #[test]
    fn the_end_is_found_in_the_extent_that_came_short() {
        let mut bytes = [7; 30];
        let (low, high) = bytes.split_at_mut(10);
        let extents = [
            Extent { offset: 100, segment: Segment::of_slice_mut(low) },
            Extent { offset: 110, segment: Segment::of_slice_mut(&mut high[..10]) },
            Extent { offset: 200, segment: Segment::of_slice_mut(&mut high[10..]) },
        ];
        assert_eq!(SeenEnd::of(&extents, 30), None);
        assert_eq!(SeenEnd::of(&extents, 0), Some(SeenEnd { end: 100, is_exact: false }));
        assert_eq!(SeenEnd::of(&extents, 10), Some(SeenEnd { end: 110, is_exact: true }));
        assert_eq!(SeenEnd::of(&extents, 20), Some(SeenEnd { end: 200, is_exact: false }));
        let seen = SeenEnd::of(&extents, 13).unwrap();
        assert_eq!(seen, SeenEnd { end: 113, is_exact: true });
        seen.zero_behind(&extents, 115).unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == 7).count(), 28);
    }
}

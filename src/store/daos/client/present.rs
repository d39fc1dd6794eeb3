//! Which bytes of what was asked for there are, as libdaos tells it of a read.
#![allow(unsafe_code)]

use crate::store::daos::bindings::{daos_iom_t, daos_recx_t};
use crate::store::daos::library;

/// The ranges that there are.
pub struct Present(daos_iom_t);

impl Present {
    /// To be told of values of a kind: `DAOS_IOD_ARRAY` or `DAOS_IOD_SINGLE`.
    pub fn of(kind: u32) -> Self {
        /// `DAOS_IOMF_DETAIL`: all ranges, in memory that the library makes.
        const ALL: u32 = 1;
        let nothing = daos_recx_t { rx_idx: 0, rx_nr: 0 };
        Self(daos_iom_t {
            iom_type: kind,
            iom_nr: 0,
            iom_nr_out: 0,
            iom_flags: ALL,
            iom_size: 0,
            iom_recx_lo: nothing,
            iom_recx_hi: nothing,
            iom_recxs: std::ptr::null_mut(),
        })
    }

    /// Where the library writes to; it stays there until the read has ended.
    pub fn as_mut_ptr(&mut self) -> *mut daos_iom_t {
        &raw mut self.0
    }

    /// Whether every byte of `range` is there, once the read has ended well.
    pub fn covers(&self, range: &daos_recx_t) -> bool {
        covers(self.ranges(), range)
    }

    /// Whether nothing is there from `end` on.
    pub fn ends_by(&self, end: u64) -> bool {
        self.ranges().iter().all(|there| there.rx_idx.saturating_add(there.rx_nr) <= end)
    }

    /// Ascending.
    fn ranges(&self) -> &[daos_recx_t] {
        if self.0.iom_recxs.is_null() {
            return &[];
        }
        let count = self.0.iom_nr_out.min(self.0.iom_nr) as usize;
        // SAFETY: the library made room for `iom_nr` of them.
        unsafe { std::slice::from_raw_parts(self.0.iom_recxs, count) }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        // SAFETY: null, or made by the library with `malloc` for whoever asked; the read has ended.
        unsafe { library::free(self.0.iom_recxs.cast()) };
    }
}

/// Whether ascending ranges have all of `range`.
fn covers(there: &[daos_recx_t], range: &daos_recx_t) -> bool {
    let mut reached = range.rx_idx;
    for part in there {
        if part.rx_idx > reached {
            return false;
        }
        reached = reached.max(part.rx_idx.saturating_add(part.rx_nr));
    }
    reached >= range.rx_idx + range.rx_nr
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: u64, to: u64) -> daos_recx_t {
        daos_recx_t { rx_idx: from, rx_nr: to - from }
    }

    #[test]
    fn ranges_cover_what_they_leave_no_gap_in() {
        let asked = range(100, 200);
        assert!(covers(&[range(100, 200)], &asked));
        assert!(covers(&[range(50, 150), range(150, 250)], &asked));
        assert!(!covers(&[], &asked));
        assert!(!covers(&[range(100, 199)], &asked));
        assert!(!covers(&[range(101, 200)], &asked));
        assert!(!covers(&[range(100, 150), range(151, 200)], &asked));
    }

    #[test]
    fn where_nothing_was_told_nothing_is_there() {
        let present = Present::of(2);
        assert!(!present.covers(&range(0, 1)) && present.ends_by(0));
    }
}

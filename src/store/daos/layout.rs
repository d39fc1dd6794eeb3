//! Whether a container's entries may be read past libdfs.
//!
//! libdfs is the owner of what a container holds, and another layout may mean something else by the same bytes. So
//! entries are read past it only where all of this holds, and nothing is ever changed past it:
//!
//! 1. The library has the calls, makes no hard links (`dfs_link`), and says that the container's layout is version 3
//!    ([`version`]); the container is neither mounted balanced nor a snapshot, which are read in transactions.
//! 2. The first entry of a file that is read past it in the process is read by libdfs too, and what is made of both is the
//!    same to the byte.
//! 3. Each field of each entry is one that is known here ([`super::client::entries::Entry`]).
//!
//! Where it does not, libdfs makes all calls for this container, for good.

use crate::ground::Result;
use std::sync::atomic::{AtomicU32, Ordering};

/// The layout that is known: of 2.4 to 2.8 (`DFS_LAYOUT_VERSION`).
const VERSION: u16 = 3;

/// What libdfs writes down of a mount begins with this (`DFS_GLOB_MAGIC`).
const MAGIC: u32 = 0xda05_df50;

/// Bytes that libdfs writes down of a mount: up to 2.6, and in 2.8. The version is at the same place in both.
const MOUNT_BYTES: [usize; 2] = [120, 128];
const VERSION_AT: usize = 6;

/// How often a comparison is made that tells nothing, or that others may have disturbed, who changed what was read
/// meanwhile.
const COMPARISONS_COUNT_MAX: u32 = 8;

const AGREED: u32 = 1;
const REFUSED: u32 = 2;

/// How far a container's layout is known.
pub struct Layout {
    /// 0 until libdfs was asked for the same; then [`AGREED`] or [`REFUSED`].
    state: AtomicU32,
    comparisons: AtomicU32,
}

impl Layout {
    /// Of a container whose mount libdfs has written down as `mount`; of one without, only libdfs knows the layout.
    pub fn of(mount: Option<&[u8]>) -> Self {
        let is_known = mount.and_then(version) == Some(VERSION);
        Self { state: AtomicU32::new(if is_known { 0 } else { REFUSED }), comparisons: AtomicU32::new(0) }
    }

    /// Whether libdfs may be passed by.
    pub fn is_agreed(&self) -> bool {
        self.state.load(Ordering::Acquire) == AGREED
    }

    /// Whether nothing is to be compared any more.
    pub fn is_settled(&self) -> bool {
        self.state.load(Ordering::Acquire) != 0
    }

    /// Notes whether what was read past libdfs is what libdfs says.
    pub fn note(&self, agrees: Result<bool>) {
        let is_last = self.comparisons.fetch_add(1, Ordering::Relaxed) + 1 >= COMPARISONS_COUNT_MAX;
        let state = match agrees {
            Ok(true) => AGREED,
            _ if !is_last => return,
            _ => REFUSED,
        };
        // What is refused stays so: another thread may have met something since the comparison was begun.
        let _ = self.state.compare_exchange(0, state, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Something was met that is not understood: from now on libdfs makes all calls.
    pub fn refuse(&self) {
        self.state.store(REFUSED, Ordering::Release);
    }
}

/// The version in what libdfs writes down of a mount, if it is of a release that is known.
fn version(mount: &[u8]) -> Option<u16> {
    let is_known = MOUNT_BYTES.contains(&mount.len()) && mount.first_chunk() == Some(&MAGIC.to_ne_bytes());
    let version = mount.get(VERSION_AT..)?.first_chunk().copied().map(u16::from_ne_bytes);
    version.filter(|_| is_known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::Errno;

    fn mount(length: usize, version: u16) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[..4].copy_from_slice(&MAGIC.to_ne_bytes());
        bytes[6..8].copy_from_slice(&version.to_ne_bytes());
        bytes
    }

    fn known() -> Layout {
        Layout::of(Some(&mount(128, 3)))
    }

    #[test]
    fn one_layout_is_known_as_two_releases_write_it_down() {
        for length in [120, 128] {
            assert!(!Layout::of(Some(&mount(length, 3))).is_settled());
            for version in [0, 2, 4] {
                assert!(Layout::of(Some(&mount(length, version))).is_settled(), "{version}");
            }
        }
        for length in [8, 112, 136] {
            assert!(Layout::of(Some(&mount(length, 3))).is_settled(), "{length}");
        }
        let mut other = mount(128, 3);
        other[0] ^= 1;
        assert!(Layout::of(Some(&other)).is_settled());
        let unknown = Layout::of(None);
        unknown.note(Ok(true));
        assert!(!unknown.is_agreed());
    }

    #[test]
    fn one_entry_that_agrees_is_enough_and_some_that_do_not_are_the_end() {
        let layout = known();
        layout.note(Ok(false));
        layout.note(Err(Errno::IO));
        assert!(!layout.is_settled());
        layout.note(Ok(true));
        assert!(layout.is_agreed());
        let layout = known();
        (0..COMPARISONS_COUNT_MAX).for_each(|_| layout.note(Ok(false)));
        assert!(layout.is_settled() && !layout.is_agreed());
    }

    #[test]
    fn what_is_refused_stays_so() {
        for agrees_first in [false, true] {
            let layout = known();
            if agrees_first {
                layout.note(Ok(true));
                assert!(layout.is_agreed());
            }
            layout.refuse();
            layout.note(Ok(true));
            assert!(layout.is_settled() && !layout.is_agreed());
        }
    }
}

//! Whether a container may be read past libdfs.
//!
//! libdfs is the owner of what a container holds, and another layout may mean something else by the same bytes. So
//! entries and chunks are read past it only where all of this holds, and nothing is ever changed past it:
//!
//! 1. The library has the calls, makes no hard links (`dfs_link`), and says that the container's layout is version 3
//!    ([`version`]); the container is neither mounted balanced nor a snapshot, which are read in transactions.
//! 2. What was first read past it in the process was, to the byte, what libdfs says of the same ([`Agreement`]).
//! 3. Each field of each entry is one that is known here ([`super::client::entries::Entry`]).
//!
//! Where it does not, libdfs makes all calls for this container, for good: [`Layout::refuse`] is final.

use super::agreement::Agreement;

/// The layout that is known: of 2.4 to 2.8 (`DFS_LAYOUT_VERSION`).
const VERSION: u16 = 3;

/// What libdfs writes down of a mount begins with this (`DFS_GLOB_MAGIC`).
const MAGIC: u32 = 0xda05_df50;

/// Bytes that libdfs writes down of a mount: up to 2.6, and in 2.8. The version is at the same place in both.
const MOUNT_BYTES: [usize; 2] = [120, 128];
const VERSION_AT: usize = 6;

/// How far a container is known.
pub struct Layout {
    /// Whether entries may be read.
    pub entries: Agreement,
    /// Whether parts of chunks may be read.
    pub chunks: Agreement,
}

impl Layout {
    /// Of a container whose mount libdfs has written down as `mount`; without it, or for a layout of which only libdfs
    /// knows what it means, all is refused.
    pub fn of(mount: Option<&[u8]>) -> Self {
        let layout = Self { entries: Agreement::default(), chunks: Agreement::default() };
        if mount.and_then(version) != Some(VERSION) {
            layout.refuse();
        }
        layout
    }

    /// Something was met that is not understood: from now on libdfs makes all calls.
    pub fn refuse(&self) {
        self.entries.refuse();
        self.chunks.refuse();
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

    fn mount(length: usize, version: u16) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[..4].copy_from_slice(&MAGIC.to_ne_bytes());
        bytes[6..8].copy_from_slice(&version.to_ne_bytes());
        bytes
    }

    #[test]
    fn one_layout_is_known_as_two_releases_write_it_down() {
        for length in [120, 128] {
            assert!(!Layout::of(Some(&mount(length, 3))).entries.is_refused());
            for version in [0, 2, 4] {
                let layout = Layout::of(Some(&mount(length, version)));
                assert!(layout.entries.is_refused() && layout.chunks.is_refused(), "{version}");
            }
        }
        for length in [8, 112, 136] {
            assert!(Layout::of(Some(&mount(length, 3))).entries.is_refused(), "{length}");
        }
        let mut other = mount(128, 3);
        other[0] ^= 1;
        assert!(Layout::of(Some(&other)).chunks.is_refused());
        assert!(Layout::of(None).chunks.is_refused());
    }

    #[test]
    fn what_is_refused_stays_so() {
        let layout = Layout::of(Some(&mount(128, 3)));
        layout.entries.note(Ok(true));
        assert!(layout.entries.is_reached());
        layout.refuse();
        layout.entries.note(Ok(true));
        layout.chunks.note(Ok(true));
        assert!(layout.entries.is_refused() && layout.chunks.is_refused());
    }
}

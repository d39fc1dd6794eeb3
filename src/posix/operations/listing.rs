//! Listing a directory: `getdents64`.

use crate::ground::buffer::{Segment, check_not_null};
use crate::ground::{Errno, Result};
use crate::posix::description::Description;
use crate::store::{Kind, NodeId};

/// Bytes of a `linux_dirent64` before its name.
const HEADER_BYTES: usize = 19;

/// A whole record: header, the longest name, its NUL, rounded up to 8.
const RECORD_BYTES_MAX: usize = (HEADER_BYTES + 255 + 1).next_multiple_of(8);

/// Positions of the two entries that every directory has.
const AFTER_DOT: u64 = 1;
const AFTER_DOT_DOT: u64 = 2;

/// The records, as far as they went.
struct Records<'a> {
    room: &'a Segment,
    filled: usize,
    position: u64,
    /// Why no more can be added, where it is not for want of room.
    failed: Result<()>,
}

impl Records<'_> {
    /// Adds a record; false where it does not fit any more.
    #[allow(unsafe_code)]
    fn add(&mut self, name: &[u8], node: NodeId, kind: Option<Kind>, position: u64) -> bool {
        let length = (HEADER_BYTES + name.len() + 1).next_multiple_of(8);
        if self.filled + length > self.room.len() {
            return false;
        }
        let mut record = [0u8; RECORD_BYTES_MAX];
        record[..8].copy_from_slice(&node.0.to_ne_bytes());
        record[8..16].copy_from_slice(&position.to_ne_bytes());
        record[16..18].copy_from_slice(&(length as u16).to_ne_bytes());
        record[18] = match kind {
            Some(Kind::File) => libc::DT_REG,
            Some(Kind::Directory) => libc::DT_DIR,
            Some(Kind::Symlink) => libc::DT_LNK,
            None => libc::DT_UNKNOWN,
        };
        record[HEADER_BYTES..HEADER_BYTES + name.len()].copy_from_slice(name);
        let part = self.room.part(self.filled, length);
        // SAFETY: the part is `length` bytes long, and so is at least the record.
        self.failed = unsafe { part.fill_from(record.as_ptr()) };
        if self.failed.is_err() {
            return false;
        }
        self.filled += length;
        self.position = position;
        true
    }
}

/// Fills `room` with `linux_dirent64` records from the directory's position on; returns the bytes, 0 at the end.
///
/// # Errors
/// `ENOTDIR`, `EBADF`, `EINVAL` where not even one record fits, `ENOENT` for a directory that has been removed.
pub fn list(description: &Description, room: &Segment) -> Result<usize> {
    description.check_open()?;
    check_not_null(std::slice::from_ref(room))?;
    let directory = description.found();
    if directory.kind != Kind::Directory {
        return Err(Errno::NOTDIR);
    }
    let container = description.mount.connect()?.container.as_ref();
    if description.object.attributes()?.link_count == 0 {
        return Err(Errno::NOENT);
    }
    let start = description.cursor();
    let mut records = Records { room, filled: 0, position: start, failed: Ok(()) };
    let mut is_full = false;
    if records.position == 0 {
        is_full = !records.add(b".", directory.node, Some(Kind::Directory), AFTER_DOT);
    }
    if records.position == AFTER_DOT && !is_full {
        let parent = container.whereabouts(directory.node, &mut [0; 255])?.0;
        is_full = !records.add(b"..", parent, Some(Kind::Directory), AFTER_DOT_DOT);
    }
    if !is_full {
        let from = if records.position == AFTER_DOT_DOT { 0 } else { records.position };
        container.entries(directory.node, from, &mut |entry| {
            let kind = entry.is_certain.then_some(entry.found.kind);
            is_full = !records.add(entry.name, entry.found.node, kind, entry.position);
            !is_full
        })?;
    }
    if records.filled == 0 && is_full {
        records.failed?;
        return Err(Errno::INVAL);
    }
    // Another thread that lists through the same description wins or loses as a whole.
    let _ = description.move_cursor(start, records.position);
    Ok(records.filled)
}

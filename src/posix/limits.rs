//! `RLIMIT_FSIZE`: how large this process may make a file.

use crate::ground::buffer::{Segment, total_bytes};
use crate::ground::{Errno, Result};
use rustix::process::{Resource, getrlimit};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

/// Not read yet, or changed since: no limit is 0 bytes and worth remembering.
const UNKNOWN: u64 = 0;

static FILE_BYTES_MAX: AtomicU64 = AtomicU64::new(UNKNOWN);

/// The limit was set by a call that passed our door.
pub fn forget() {
    FILE_BYTES_MAX.store(UNKNOWN, Ordering::Relaxed);
}

#[inline(always)]
fn file_bytes_max() -> u64 {
    match FILE_BYTES_MAX.load(Ordering::Relaxed) {
        UNKNOWN => read_limit(),
        known => known,
    }
}

#[cold]
fn read_limit() -> u64 {
    let limit = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
    FILE_BYTES_MAX.store(limit, Ordering::Relaxed);
    limit
}

/// Too large: the signal that setrlimit(2) promises, and its errno.
#[cold]
#[allow(unsafe_code)]
fn exceeded() -> Errno {
    // SAFETY: raises a signal in this thread; a handler runs here, as it would at the system call.
    unsafe { libc::raise(libc::SIGXFSZ) };
    Errno::FBIG
}

/// Checks a size that a file is to have.
///
/// # Errors
/// `EFBIG`, with `SIGXFSZ`.
pub fn check_size(size_bytes: u64) -> Result<()> {
    if size_bytes > file_bytes_max() { Err(exceeded()) } else { Ok(()) }
}

/// Whether files may grow as large as they like.
#[inline(always)]
pub fn is_unlimited() -> bool {
    file_bytes_max() == u64::MAX
}

/// The part of a write at `start` that stays within the limit.
///
/// # Errors
/// `EFBIG`, with `SIGXFSZ`, where that is nothing.
#[inline(always)]
pub fn within<'a>(start: u64, segments: &'a [Segment]) -> Result<Cow<'a, [Segment]>> {
    let limit = file_bytes_max();
    if is_unlimited() || start + total_bytes(segments) as u64 <= limit {
        return Ok(Cow::Borrowed(segments));
    }
    cut(limit, start, segments)
}

#[cold]
fn cut(limit: u64, start: u64, segments: &[Segment]) -> Result<Cow<'_, [Segment]>> {
    let mut left = usize::try_from(limit.saturating_sub(start)).unwrap_or(usize::MAX);
    if left == 0 {
        return Err(exceeded());
    }
    let parts = segments.iter().map(|segment| {
        let part = segment.part(0, left);
        left -= part.len();
        part
    });
    Ok(Cow::Owned(parts.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_cut_at_the_limit() {
        let (first, second) = ([1u8; 4], [2u8; 4]);
        let segments = [Segment::of_slice(&first), Segment::of_slice(&second)];
        let lengths = |limit| cut(limit, 10, &segments).unwrap().iter().map(Segment::len).collect::<Vec<_>>();
        assert_eq!(lengths(18), [4, 4]);
        assert_eq!(lengths(15), [4, 1]);
        assert_eq!(lengths(12), [2, 0]);
    }
}

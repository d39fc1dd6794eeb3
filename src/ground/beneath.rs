//! Opening a path below a directory, where somebody else may have put what he likes in the place of any part of it.

use super::Result;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The kernel has no openat2 (before Linux 5.6, or a filter that does not know it): the path is walked part by part.
static IS_WALKED: AtomicBool = AtomicBool::new(false);

/// Opens `path`, relative and without `..`, below `directory`. No part of it may be a symlink, and the call waits for nobody: a
/// FIFO is opened at once, or refused.
///
/// # Errors
/// As openat(2); `ELOOP` or `ENOTDIR` for a symlink, `ENXIO` for a FIFO or a socket.
pub fn open(directory: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // With O_PATH nothing is waited for, and the kernel takes no other flag.
    let flags = if flags.contains(OFlags::PATH) { flags } else { flags | OFlags::NONBLOCK | OFlags::NOCTTY };
    if !IS_WALKED.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(directory, path, flags, mode, resolve) {
            Err(Errno::NOSYS | Errno::PERM) => {
                let walked = walk(directory, path, flags, mode);
                if walked.is_ok() {
                    IS_WALKED.store(true, Ordering::Relaxed);
                }
                return walked;
            }
            answer => return answer,
        }
    }
    walk(directory, path, flags, mode)
}

fn walk(directory: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let Some((parents, last)) = path.rsplit_once('/') else {
        return rustix::fs::openat(directory, path, flags, mode);
    };
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at: Option<OwnedFd> = None;
    for part in parents.split('/') {
        let from = at.as_ref().map_or(directory, AsFd::as_fd);
        at = Some(rustix::fs::openat(from, part, step, Mode::empty())?);
    }
    rustix::fs::openat(at.as_ref().map_or(directory, AsFd::as_fd), last, flags, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_symlink_is_followed_and_no_fifo_waited_for() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        std::fs::create_dir_all(at("real/deep")).unwrap();
        std::fs::write(at("real/deep/file"), "here").unwrap();
        std::os::unix::fs::symlink("real", at("link")).unwrap();
        std::os::unix::fs::symlink("file", at("real/deep/other")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        let directory = rustix::fs::open(base.path(), flags, Mode::empty()).unwrap();
        for how in [open, walk] {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let try_open = |path: &str| how(directory.as_fd(), path, flags, Mode::empty());
            assert!(try_open("real/deep/file").is_ok());
            assert!(try_open("real/deep").is_ok());
            for path in ["link/deep/file", "real/deep/other"] {
                assert!(matches!(try_open(path), Err(Errno::LOOP | Errno::NOTDIR)), "{path}");
            }
            assert!(try_open("fifo").is_ok());
            assert_eq!(try_open("none").unwrap_err(), Errno::NOENT);
        }
    }
}

//! The kernel's links of this thread's descriptors, by which an open file is told and opened again.
//!
//! They are the thread's and not the process's: `/proc/self` is the first thread, which may have ended before the others,
//! and then has no descriptors; and a thread may have a table of its own (`unshare`).

use super::{Errno, Result};
use rustix::fs::CWD;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};

/// The directory of this thread's links.
const OF_THREAD: &str = "/proc/thread-self/fd";

/// The process's, for kernels before 3.17 and sandboxes that lack the other.
const OF_PROCESS: &str = "/proc/self/fd";

/// Longer than any link's path.
const PATH_BYTES_MAX: usize = 40;

const NOT_KNOWN: u8 = 0;
const THREAD: u8 = 1;
const PROCESS: u8 = 2;

static WHICH: AtomicU8 = AtomicU8::new(NOT_KNOWN);

/// The directory of the links.
pub fn directory() -> &'static str {
    match WHICH.load(Ordering::Relaxed) {
        THREAD => OF_THREAD,
        PROCESS => OF_PROCESS,
        _ => {
            let has = |path: &str| {
                rustix::fs::accessat(CWD, path, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty()).is_ok()
            };
            let is_old = !has(OF_THREAD) && has(OF_PROCESS);
            WHICH.store(if is_old { PROCESS } else { THREAD }, Ordering::Relaxed);
            if is_old { OF_PROCESS } else { OF_THREAD }
        }
    }
}

/// A link's path.
pub struct LinkPath {
    text: [u8; PATH_BYTES_MAX],
    length: usize,
}

impl LinkPath {
    /// The path of the link of `descriptor`.
    ///
    /// # Errors
    /// None that is known: a number has ten digits at most.
    pub fn of(descriptor: i32) -> Result<Self> {
        let mut text = [0; PATH_BYTES_MAX];
        let mut rest = &mut text[..];
        write!(rest, "{}/{descriptor}", directory()).map_err(|_| Errno::NAMETOOLONG)?;
        let length = PATH_BYTES_MAX - rest.len();
        Ok(Self { text, length })
    }

    /// As bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_descriptor() {
        let file = tempfile::tempfile().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        let link = LinkPath::of(number).unwrap();
        assert_eq!(link.as_bytes(), format!("/proc/thread-self/fd/{number}").as_bytes());
        let (here, there) = (rustix::fs::fstat(&file).unwrap(), rustix::fs::stat(link.as_bytes()).unwrap());
        assert_eq!((here.st_dev, here.st_ino), (there.st_dev, there.st_ino));
        assert!(LinkPath::of(i32::MIN).is_ok());
    }
}

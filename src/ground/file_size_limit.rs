//! The application's limit on file sizes is for its own files, not for those that an engine keeps its books in.
//!
//! A file that grows past `RLIMIT_FSIZE` is `EFBIG` and a SIGXFSZ, which ends a program that does not expect it.
#![allow(unsafe_code)]

use super::guard::Quiet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Does `work`, which lets files of ours grow, without the application's limit. Where that cannot be lifted, `work` meets
/// `EFBIG`, and the signal goes no further.
pub fn without<T>(work: impl FnOnce() -> T) -> T {
    let limit = getrlimit(Resource::Fsize);
    if limit.current.is_none() {
        return work();
    }
    let _quiet = Quiet::enter();
    let lifted = [Rlimit { current: None, maximum: None }, Rlimit { current: limit.maximum, maximum: limit.maximum }]
        .into_iter()
        .any(|lifted| setrlimit(Resource::Fsize, lifted).is_ok());
    let answer = work();
    if lifted {
        let _ = setrlimit(Resource::Fsize, limit);
    }
    take_pending_signal();
    answer
}

/// Takes a SIGXFSZ that is pending: signals are blocked under the guard.
fn take_pending_signal() {
    const SET_BYTES: usize = 8;
    let set: u64 = 1 << (libc::SIGXFSZ - 1);
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: rt_sigtimedwait with a live set of the kernel's size, a live timeout, and no place for details.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") libc::SYS_rt_sigtimedwait => _,
            in("rdi") &raw const set,
            in("rsi") 0usize,
            in("rdx") &raw const at_once,
            in("r10") SET_BYTES,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::kernel;
    use std::os::fd::AsFd;

    #[test]
    fn books_grow_under_a_limit() {
        let file = tempfile::tempfile().unwrap();
        let limit = getrlimit(Resource::Fsize);
        // The whole test process is limited for a moment; the limit is far above what other tests write.
        const SMALL: u64 = 8 << 30;
        setrlimit(Resource::Fsize, Rlimit { current: Some(SMALL), maximum: limit.maximum }).unwrap();
        let grown = without(|| rustix::fs::ftruncate(&file, SMALL + 1));
        let after = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, limit).unwrap();
        assert_eq!(grown, Ok(()));
        assert_eq!(after.current, Some(SMALL));
        assert_eq!(rustix::fs::fstat(file.as_fd()).unwrap().st_size, SMALL as i64 + 1);
        assert!(kernel::allocate(file.as_fd(), 0, 4096).is_ok());
    }
}

//! A symbol door: an exported function that tests whether the call can be ours, and otherwise is the next function.
//!
//! 1. The exported function is four instructions long and has no frame: a descriptor's door tests its entry, a path's
//!    door whether the gate is installed, and what is not ours *jumps* to the next function of that name. So
//!    cancellation, unwinding and backtraces never see us there, and it costs some 2 ns.
//! 2. What may be ours goes, with its [`Door`] in r11, through one common piece of assembly, which lays the arguments
//!    down as a system call's, to [`enter`].
//! 3. If the dispatcher passes, the arguments go back into their registers, and again it is a jump.
//!
//! redhook's `hook!` wraps each function in `catch_unwind` inside an `extern "C"` function that must not unwind. A
//! `pthread_cancel` that strikes in the `read` behind it aborts the process. So of redhook the part is used that fits,
//! which finds the next function.
#![allow(unsafe_code)]

use crate::cancellation::{self, Cancellation};
use crate::dispatch::{Call, Verdict};
use crate::serve;
use house::ground::guard;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a C function's arguments become those of the system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One for one.
    Same,
    /// One for one, and a cancellation point.
    CancellationPoint,
    /// The last argument bounds the buffer: `__read_chk` and its kin. A call that breaks the bound is libc's to end.
    Bounded {
        /// Which argument is the bound.
        bound: usize,
    },
    /// The first argument is a version of `struct stat`, and the others follow.
    Versioned,
    /// An offset and then flags, which the system call has one place further on.
    OffsetThenFlags,
    /// (path, mode): access with the effective user.
    EffectiveAccess,
    /// (descriptor, times): utimensat without a path.
    DescriptorTimes,
    /// Like the system call, but the string's length becomes the buffer's address.
    WorkingDirectory,
}

/// What a door knows: the next function, and the system call that it means.
#[repr(C)]
pub struct Door {
    /// Read by the assembly, at offset 0: a resolver, until the next function has been looked up.
    next: AtomicUsize,
    name: &'static str,
    number: u32,
    shape: Shape,
    resolve_early: bool,
}

impl Door {
    /// A door for system call `number`. `name` ends with a zero byte. `resolver` is what `next` is at first.
    pub const fn new(name: &'static str, number: libc::c_long, shape: Shape) -> Self {
        Self { next: AtomicUsize::new(0), name, number: number as u32, shape, resolve_early: true }
    }

    /// Looks up the next function of this name.
    fn resolve(&self) -> usize {
        // SAFETY: the name is terminated.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr().cast()) } as usize;
        let next = if found == 0 { missing as *const () as usize } else { found };
        self.next.store(next, Ordering::Relaxed);
        next
    }
}

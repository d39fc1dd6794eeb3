//! How a C function's arguments and result differ from those of the system call that it means.
#![allow(unsafe_code)]

use crate::dispatch::Call;
use crate::runtime::program;
use std::ffi::c_void;

/// The difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// None.
    Same,
    /// None, and the function is a cancellation point.
    CancellationPoint,
    /// The fourth argument bounds the buffer, for libc's own check (`__read_chk`).
    BoundedByFourth,
    /// The fifth does (`__pread_chk`).
    BoundedByFifth,
    /// The first argument is a version of `struct stat`.
    Versioned,
    /// (descriptor, segments, count, offset, flags): the system call has half an offset more before the flags.
    OffsetThenFlags,
    /// (path, mode), with the effective user.
    EffectiveAccess,
    /// (descriptor, times), without a path.
    DescriptorTimes,
    /// (buffer, size): gives the buffer, or one that it allocates.
    WorkingDirectory,
    /// (path, arguments), with this process's environment.
    OwnEnvironment,
    /// Only done before the function: it creates a process in its own way.
    Before,
}

impl Shape {
    /// The system call. `None` where the next function has to see to the arguments itself.
    pub fn call(self, number: u64, arguments: &[u64; 6]) -> Option<Call> {
        let &[a, b, c, d, e, f] = arguments;
        let arguments = match self {
            Shape::Same | Shape::CancellationPoint => [a, b, c, d, e, f],
            // A call that breaks its bound is libc's to end.
            Shape::BoundedByFourth if c > d => return None,
            Shape::BoundedByFifth if c > e => return None,
            Shape::BoundedByFourth | Shape::BoundedByFifth => [a, b, c, d, 0, 0],
            Shape::Versioned => [b, c, d, e, f, 0],
            Shape::OffsetThenFlags => [a, b, c, d, 0, e],
            Shape::EffectiveAccess => [libc::AT_FDCWD as u64, a, b, libc::AT_EACCESS as u64, 0, 0],
            Shape::DescriptorTimes => [a, 0, b, 0, 0, 0],
            Shape::WorkingDirectory => [a, b, 0, 0, 0, 0],
            Shape::OwnEnvironment => [a, b, program::environment() as u64, 0, 0, 0],
            Shape::Before => [0; 6],
        };
        Some(Call { number, arguments })
    }

    /// Whether something has to be allocated for the caller: `getcwd` without a buffer gives one.
    pub fn allocates(self, arguments: &[u64; 6]) -> bool {
        self == Shape::WorkingDirectory && arguments[0] == 0
    }

    /// Allocates it: of the size that is asked for, or a large one.
    pub fn allocate(self, arguments: &mut [u64; 6]) -> *mut c_void {
        if arguments[1] == 0 {
            arguments[1] = libc::PATH_MAX as u64;
        }
        // SAFETY: has no precondition. The caller frees it, so it is malloc's.
        let buffer = unsafe { program::malloc(arguments[1] as usize) };
        arguments[0] = buffer as u64;
        buffer
    }

    /// What the function returns for the system call's `value`, or `errno` and what goes with it.
    pub fn result(self, arguments: &[u64; 6], value: i64) -> Result<i64, (i32, i64)> {
        let failed = (-4095..0).contains(&value);
        match self {
            Shape::WorkingDirectory if failed => Err((-value as i32, 0)),
            Shape::WorkingDirectory => Ok(arguments[0] as i64),
            _ if failed => Err((-value as i32, -1)),
            _ => Ok(value),
        }
    }
}

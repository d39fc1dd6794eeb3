//! System calls, as C functions: straight to the kernel, past every door and every library.
//!
//! Those of which the library exports a door of the same name are called `__wrap_NAME` here: the linker's `--wrap` gives
//! them the references from inside, so that LMDB's `open` is neither our door nor another preload library's function.
#![allow(unsafe_code)]

use super::block::Block;
use super::errno::answer;
use std::ffi::{c_char, c_int, c_long};

/// The system call itself.
///
/// # Safety
/// As for any system call.
pub(super) unsafe fn raw(number: c_long, arguments: [usize; 6]) -> i64 {
    let call = crate::dispatch::Call { number: number as u64, arguments: arguments.map(|word| word as u64) };
    // SAFETY: by the caller's word.
    unsafe { crate::serve::kernel(&call) }
}

/// Defines C functions that are one system call with the same arguments, whatever their number.
macro_rules! calls {
    ($($symbol:literal = $function:ident, $number:ident;)*) => {
        mod functions {
            use super::{answer, raw};
            $(pub unsafe extern "C" fn $function(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> i64 {
                // SAFETY: as the C function's; arguments that it has not are whatever the registers held, and the
                // kernel does not read them.
                answer(unsafe { raw(libc::$number, [a, b, c, d, e, f]) })
            })*
        }
        super::provide! { $($symbol = crate::runtime::calls::functions::$function;)* }
    };
}

calls! {
    "__wrap_open" = open, SYS_open;
    "__wrap_open64" = open64, SYS_open;
    "__wrap_openat64" = openat64, SYS_openat;
    "__wrap_close" = close, SYS_close;
    "__wrap_read" = read, SYS_read;
    "__wrap_write" = write, SYS_write;
    "__wrap_readv" = readv, SYS_readv;
    "__wrap_writev" = writev, SYS_writev;
    "__wrap_pread" = pread, SYS_pread64;
    "__wrap_pread64" = pread64, SYS_pread64;
    "__wrap_pwrite" = pwrite, SYS_pwrite64;
    "__wrap_pwrite64" = pwrite64, SYS_pwrite64;
    "__wrap_lseek" = lseek, SYS_lseek;
    "__wrap_lseek64" = lseek64, SYS_lseek;
    "__wrap_fstat" = fstat, SYS_fstat;
    "__wrap_fstat64" = fstat64, SYS_fstat;
    "__wrap_stat64" = stat64, SYS_stat;
    "__wrap_lstat64" = lstat64, SYS_lstat;
    "__wrap_fstatat64" = fstatat64, SYS_newfstatat;
    "__wrap_statx" = statx, SYS_statx;
    "__wrap_fcntl" = fcntl, SYS_fcntl;
    "__wrap_ioctl" = ioctl, SYS_ioctl;
    "__wrap_fsync" = fsync, SYS_fsync;
    "__wrap_fdatasync" = fdatasync, SYS_fdatasync;
    "__wrap_ftruncate" = ftruncate, SYS_ftruncate;
    "__wrap_ftruncate64" = ftruncate64, SYS_ftruncate;
    "__wrap_fstatfs" = fstatfs, SYS_fstatfs;
    "__wrap_readlink" = readlink, SYS_readlink;
    "__wrap_mkdir" = mkdir, SYS_mkdir;
    "__wrap_unlink" = unlink, SYS_unlink;
    "__wrap_unlinkat" = unlinkat, SYS_unlinkat;
    "__wrap_rmdir" = rmdir, SYS_rmdir;
    "__wrap_rename" = rename, SYS_rename;
    "__wrap_dup2" = dup2, SYS_dup2;
    "__wrap_chdir" = chdir, SYS_chdir;
    "__wrap_chmod" = chmod, SYS_chmod;
    "__wrap_copy_file_range" = copy_file_range, SYS_copy_file_range;
    "__wrap_preadv" = preadv, SYS_preadv;
    "__wrap_pwritev" = pwritev, SYS_pwritev;
    "__wrap_getcwd" = getcwd, SYS_getcwd;
    "madvise" = madvise, SYS_madvise;
    "mprotect" = mprotect, SYS_mprotect;
    "msync" = msync, SYS_msync;
    "mmap" = mmap, SYS_mmap;
    "mmap64" = mmap64, SYS_mmap;
    "munmap" = munmap, SYS_munmap;
    "getpid" = getpid, SYS_getpid;
    "gettid" = gettid, SYS_gettid;
    "uname" = uname, SYS_uname;
    "sigaltstack" = sigaltstack, SYS_sigaltstack;
    "clock_gettime" = clock_gettime, SYS_clock_gettime;
    "getgroups" = getgroups, SYS_getgroups;
    "setfsuid" = setfsuid, SYS_setfsuid;
    "setfsgid" = setfsgid, SYS_setfsgid;
    "sched_yield" = sched_yield, SYS_sched_yield;
    "nanosleep" = nanosleep, SYS_nanosleep;
    "pause" = pause, SYS_pause;
    "_exit" = _exit, SYS_exit_group;
    "getuid" = getuid, SYS_getuid;
    "geteuid" = geteuid, SYS_geteuid;
    "poll" = poll, SYS_poll;
    "getrandom" = getrandom, SYS_getrandom;
}

/// `syscall(number, ...)`
unsafe extern "C" fn syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize) -> i64 {
    // SAFETY: as the C function's. Nothing here makes a call of six arguments by it.
    answer(unsafe { raw(number, [a, b, c, d, e, 0]) })
}

/// `clock_nanosleep(clock, flags, request, remain)`: the error is returned, and `errno` left alone.
unsafe extern "C" fn clock_nanosleep(clock: usize, flags: usize, request: usize, remain: usize) -> c_int {
    // SAFETY: as the C function's.
    -unsafe { raw(libc::SYS_clock_nanosleep, [clock, flags, request, remain, 0, 0]) } as c_int
}

/// `raise(signal)`: to this thread.
unsafe extern "C" fn raise(signal: usize) -> i64 {
    // SAFETY: numbers only.
    unsafe {
        let process = raw(libc::SYS_getpid, [0; 6]) as usize;
        let thread = raw(libc::SYS_gettid, [0; 6]) as usize;
        answer(raw(libc::SYS_tgkill, [process, thread, signal, 0, 0, 0]))
    }
}

/// `sysconf(name)`: the one value that is asked for, the size of a page; of others it is not known.
unsafe extern "C" fn sysconf(name: c_int) -> c_long {
    match name {
        libc::_SC_PAGESIZE => {
            Block::find().and_then(|block| block.auxiliary(libc::AT_PAGESZ)).unwrap_or(4096) as c_long
        }
        _ => -1,
    }
}

/// `strtol(text, end, base)` of a decimal number without a sign, which is all that LMDB reads with it.
unsafe extern "C" fn strtol(text: *const c_char, end: *mut *const c_char) -> c_long {
    let mut value: c_long = 0;
    let mut next = text;
    // SAFETY: a string with its NUL, which is no digit.
    unsafe {
        while (*next).cast_unsigned().is_ascii_digit() {
            value = value.wrapping_mul(10).wrapping_add(c_long::from((*next).cast_unsigned() - b'0'));
            next = next.add(1);
        }
        if !end.is_null() {
            end.write(next);
        }
    }
    value
}

super::provide! {
    "syscall" = crate::runtime::calls::syscall;
    "clock_nanosleep" = crate::runtime::calls::clock_nanosleep;
    "raise" = crate::runtime::calls::raise;
    "sysconf" = crate::runtime::calls::sysconf;
    "strtol" = crate::runtime::calls::strtol;
}

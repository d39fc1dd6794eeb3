//! The hot data path: always doors, whether the gate is there or not, for they save some ns.
#![allow(unsafe_code)]

use super::door::doors;
use libc::{c_int, c_void, iovec, off_t, size_t, ssize_t};

doors! {
    descriptor read(fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t = SYS_read, CancellationPoint, libc::read;
    descriptor __read(fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t = SYS_read, CancellationPoint;
    descriptor __read_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, bound: size_t) -> ssize_t = SYS_read, BoundedByFourth;
    descriptor write(fd: c_int, buffer: *const c_void, bytes: size_t) -> ssize_t = SYS_write, CancellationPoint, libc::write;
    descriptor __write(fd: c_int, buffer: *const c_void, bytes: size_t) -> ssize_t = SYS_write, CancellationPoint;
    descriptor pread(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pread64, CancellationPoint, libc::pread;
    descriptor pread64(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pread64, CancellationPoint, libc::pread64;
    descriptor __pread64(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pread64, CancellationPoint;
    descriptor __pread_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t, bound: size_t) -> ssize_t = SYS_pread64, BoundedByFifth;
    descriptor __pread64_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t, bound: size_t) -> ssize_t = SYS_pread64, BoundedByFifth;
    descriptor pwrite(fd: c_int, buffer: *const c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pwrite64, CancellationPoint, libc::pwrite;
    descriptor pwrite64(fd: c_int, buffer: *const c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pwrite64, CancellationPoint, libc::pwrite64;
    descriptor __pwrite64(fd: c_int, buffer: *const c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pwrite64, CancellationPoint;
    descriptor readv(fd: c_int, segments: *const iovec, count: c_int) -> ssize_t = SYS_readv, CancellationPoint, libc::readv;
    descriptor writev(fd: c_int, segments: *const iovec, count: c_int) -> ssize_t = SYS_writev, CancellationPoint, libc::writev;
    descriptor lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t = SYS_lseek, Same, libc::lseek;
    descriptor lseek64(fd: c_int, offset: off_t, whence: c_int) -> off_t = SYS_lseek, Same, libc::lseek64;
    descriptor __lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t = SYS_lseek, Same;
    descriptor close(fd: c_int) -> c_int = SYS_close, CancellationPoint, libc::close;
    descriptor __close(fd: c_int) -> c_int = SYS_close, CancellationPoint;
}

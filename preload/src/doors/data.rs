//! The hot data path: always doors, whether the gate is there or not, for they save some ns.
#![allow(unsafe_code)]

use super::door::doors;
use libc::{c_int, c_void, iovec, off_t, size_t, ssize_t};

doors! {
    data read(fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t = SYS_read, CancellationPoint, libc::read;
    data __read(fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t = SYS_read, CancellationPoint;
    data __read_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, bound: size_t) -> ssize_t = SYS_read, BoundedByFourth;
    data write(fd: c_int, buffer: *const c_void, bytes: size_t) -> ssize_t = SYS_write, CancellationPoint, libc::write;
    data __write(fd: c_int, buffer: *const c_void, bytes: size_t) -> ssize_t = SYS_write, CancellationPoint;
    data pread(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pread64, CancellationPoint, libc::pread;
    data pread64(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pread64, CancellationPoint, libc::pread64;
    data __pread64(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pread64, CancellationPoint;
    data __pread_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t, bound: size_t) -> ssize_t = SYS_pread64, BoundedByFifth;
    data __pread64_chk(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t, bound: size_t) -> ssize_t = SYS_pread64, BoundedByFifth;
    data pwrite(fd: c_int, buffer: *const c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pwrite64, CancellationPoint, libc::pwrite;
    data pwrite64(fd: c_int, buffer: *const c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pwrite64, CancellationPoint, libc::pwrite64;
    data __pwrite64(fd: c_int, buffer: *const c_void, bytes: size_t, at: off_t) -> ssize_t = SYS_pwrite64, CancellationPoint;
    data readv(fd: c_int, segments: *const iovec, count: c_int) -> ssize_t = SYS_readv, CancellationPoint, libc::readv;
    data writev(fd: c_int, segments: *const iovec, count: c_int) -> ssize_t = SYS_writev, CancellationPoint, libc::writev;
    data lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t = SYS_lseek, Same, libc::lseek;
    data lseek64(fd: c_int, offset: off_t, whence: c_int) -> off_t = SYS_lseek, Same, libc::lseek64;
    data __lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t = SYS_lseek, Same;
    data close(fd: c_int) -> c_int = SYS_close, CancellationPoint, libc::close;
    data __close(fd: c_int) -> c_int = SYS_close, CancellationPoint;
}

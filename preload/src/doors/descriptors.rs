//! The other calls on one descriptor.
#![allow(unsafe_code)]

use super::door::doors;
use libc::{c_int, c_uint, c_ulong, c_void, gid_t, iovec, mode_t, off_t, size_t, ssize_t, timespec, uid_t};

doors! {
    descriptor preadv(fd: c_int, segments: *const iovec, count: c_int, at: off_t) -> ssize_t = SYS_preadv, CancellationPoint, libc::preadv;
    descriptor preadv64(fd: c_int, segments: *const iovec, count: c_int, at: off_t) -> ssize_t = SYS_preadv, CancellationPoint, libc::preadv64;
    descriptor pwritev(fd: c_int, segments: *const iovec, count: c_int, at: off_t) -> ssize_t = SYS_pwritev, CancellationPoint, libc::pwritev;
    descriptor pwritev64(fd: c_int, segments: *const iovec, count: c_int, at: off_t) -> ssize_t = SYS_pwritev, CancellationPoint, libc::pwritev64;
    descriptor preadv2(fd: c_int, segments: *const iovec, count: c_int, at: off_t, flags: c_int) -> ssize_t = SYS_preadv2, OffsetThenFlags, libc::preadv2;
    descriptor preadv64v2(fd: c_int, segments: *const iovec, count: c_int, at: off_t, flags: c_int) -> ssize_t = SYS_preadv2, OffsetThenFlags;
    descriptor pwritev2(fd: c_int, segments: *const iovec, count: c_int, at: off_t, flags: c_int) -> ssize_t = SYS_pwritev2, OffsetThenFlags, libc::pwritev2;
    descriptor pwritev64v2(fd: c_int, segments: *const iovec, count: c_int, at: off_t, flags: c_int) -> ssize_t = SYS_pwritev2, OffsetThenFlags;
    descriptor fstat(fd: c_int, status: *mut libc::stat) -> c_int = SYS_fstat, Same, libc::fstat;
    descriptor fstat64(fd: c_int, status: *mut libc::stat64) -> c_int = SYS_fstat, Same, libc::fstat64;
    descriptor fstatfs(fd: c_int, status: *mut libc::statfs) -> c_int = SYS_fstatfs, Same, libc::fstatfs;
    descriptor fstatfs64(fd: c_int, status: *mut libc::statfs64) -> c_int = SYS_fstatfs, Same, libc::fstatfs64;
    descriptor fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int = SYS_fcntl, CancellationPoint;
    descriptor fcntl64(fd: c_int, command: c_int, argument: c_ulong) -> c_int = SYS_fcntl, CancellationPoint;
    descriptor ioctl(fd: c_int, request: c_ulong, argument: c_ulong) -> c_int = SYS_ioctl, Same;
    descriptor dup(fd: c_int) -> c_int = SYS_dup, Same, libc::dup;
    descriptor flock(fd: c_int, operation: c_int) -> c_int = SYS_flock, Same, libc::flock;
    descriptor fsync(fd: c_int) -> c_int = SYS_fsync, CancellationPoint, libc::fsync;
    descriptor fdatasync(fd: c_int) -> c_int = SYS_fdatasync, CancellationPoint, libc::fdatasync;
    descriptor syncfs(fd: c_int) -> c_int = SYS_syncfs, Same, libc::syncfs;
    descriptor ftruncate(fd: c_int, bytes: off_t) -> c_int = SYS_ftruncate, Same, libc::ftruncate;
    descriptor ftruncate64(fd: c_int, bytes: off_t) -> c_int = SYS_ftruncate, Same, libc::ftruncate64;
    descriptor fallocate(fd: c_int, mode: c_int, at: off_t, bytes: off_t) -> c_int = SYS_fallocate, Same, libc::fallocate;
    descriptor fallocate64(fd: c_int, mode: c_int, at: off_t, bytes: off_t) -> c_int = SYS_fallocate, Same, libc::fallocate64;
    descriptor getdents64(fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t = SYS_getdents64, Same;
    descriptor readahead(fd: c_int, at: off_t, bytes: size_t) -> ssize_t = SYS_readahead, Same;
    descriptor sync_file_range(fd: c_int, at: off_t, bytes: off_t, flags: c_uint) -> c_int = SYS_sync_file_range, Same;
    descriptor fchmod(fd: c_int, mode: mode_t) -> c_int = SYS_fchmod, Same, libc::fchmod;
    descriptor fchown(fd: c_int, user: uid_t, group: gid_t) -> c_int = SYS_fchown, Same, libc::fchown;
    descriptor futimens(fd: c_int, times: *const timespec) -> c_int = SYS_utimensat, DescriptorTimes, libc::futimens;
    descriptor fgetxattr(fd: c_int, name: *const libc::c_char, value: *mut c_void, bytes: size_t) -> ssize_t = SYS_fgetxattr, Same, libc::fgetxattr;
    descriptor fsetxattr(fd: c_int, name: *const libc::c_char, value: *const c_void, bytes: size_t, flags: c_int) -> c_int = SYS_fsetxattr, Same, libc::fsetxattr;
    descriptor flistxattr(fd: c_int, list: *mut libc::c_char, bytes: size_t) -> ssize_t = SYS_flistxattr, Same, libc::flistxattr;
    descriptor fremovexattr(fd: c_int, name: *const libc::c_char) -> c_int = SYS_fremovexattr, Same, libc::fremovexattr;
    whole __fxstat(version: c_int, fd: c_int, status: *mut libc::stat) -> c_int = SYS_fstat, Versioned;
    whole __fxstat64(version: c_int, fd: c_int, status: *mut libc::stat64) -> c_int = SYS_fstat, Versioned;
    whole dup2(from: c_int, to: c_int) -> c_int = SYS_dup2, Same, libc::dup2;
    whole __dup2(from: c_int, to: c_int) -> c_int = SYS_dup2, Same;
    whole dup3(from: c_int, to: c_int, flags: c_int) -> c_int = SYS_dup3, Same, libc::dup3;
    whole close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int = SYS_close_range, Same;
    whole copy_file_range(from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, bytes: size_t, flags: c_uint) -> ssize_t = SYS_copy_file_range, Same, libc::copy_file_range;
    whole sendfile(to: c_int, from: c_int, at: *mut off_t, bytes: size_t) -> ssize_t = SYS_sendfile, Same, libc::sendfile;
    whole sendfile64(to: c_int, from: c_int, at: *mut off_t, bytes: size_t) -> ssize_t = SYS_sendfile, Same;
    whole splice(from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, bytes: size_t, flags: c_uint) -> ssize_t = SYS_splice, CancellationPoint, libc::splice;
    whole fchdir(fd: c_int) -> c_int = SYS_fchdir, Same, libc::fchdir;
    whole sync() -> c_int = SYS_sync, Same;
}

const _: unsafe extern "C" fn(c_int, c_int, ...) -> c_int = libc::fcntl;
const _: unsafe extern "C" fn(c_int, c_ulong, ...) -> c_int = libc::ioctl;

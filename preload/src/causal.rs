//! Which system calls tell another process something, and which are told: what `consistency=causal` looks at.
//!
//! 1. Before a call that tells, what this process has written is stored ([`before`]); after one that hears, what it has
//!    cached has to be asked about ([`after`]). See [`house::ground::causality`].
//! 2. Calls that the kernel does at their own site meet this table in the gate's assembly ([`crate::gate::entry`]), those
//!    that go to the dispatcher do in [`crate::serve`].
//! 3. What a library under us calls is nobody's word to the program, nor are the calls of threads that such a library
//!    made.
//!
//! Futexes that are private to a process are not looked at: threads of one process share the cache.
#![allow(unsafe_code)]

use crate::dispatch::Call;
use crate::gate::calls::{CALLS_COUNT, IO_PGETEVENTS};
use house::ground::{causality, guard};
use house::posix::mount;
use libc::*;

/// Another process may learn something by it.
pub const TELLS: u8 = 1;

/// This process may learn something by it.
pub const HEARS: u8 = 2;

/// A futex, which is looked at only where it is not private.
pub const FUTEX: u8 = 4;

/// It tells only if it makes or empties a file.
const OPENS: u8 = 8;

/// In a futex's operation: it concerns this process alone.
pub const FUTEX_PRIVATE: u32 = 128;

/// Bytes, names and attributes that others see; signals; ends of pipes and sockets.
const TELLING: &[c_long] = &[
    SYS_write,
    SYS_pwrite64,
    SYS_writev,
    SYS_pwritev,
    SYS_pwritev2,
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_sendfile,
    SYS_splice,
    SYS_vmsplice,
    SYS_tee,
    SYS_copy_file_range,
    SYS_close,
    SYS_close_range,
    SYS_dup2,
    SYS_dup3,
    SYS_shutdown,
    SYS_bind,
    SYS_listen,
    SYS_ftruncate,
    SYS_truncate,
    SYS_fallocate,
    SYS_chmod,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchmodat2,
    SYS_chown,
    SYS_fchown,
    SYS_lchown,
    SYS_fchownat,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_creat,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_mknod,
    SYS_mknodat,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_link,
    SYS_linkat,
    SYS_symlink,
    SYS_symlinkat,
    SYS_unlink,
    SYS_unlinkat,
    SYS_rmdir,
    SYS_tkill,
    SYS_tgkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_send_signal,
    SYS_msgsnd,
    SYS_mq_timedsend,
    SYS_mq_unlink,
    SYS_process_vm_writev,
];

/// Bytes, names and attributes of others; ends of children; time going by.
const HEARING: &[c_long] = &[
    SYS_read,
    SYS_pread64,
    SYS_readv,
    SYS_preadv,
    SYS_preadv2,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_accept,
    SYS_accept4,
    SYS_poll,
    SYS_ppoll,
    SYS_select,
    SYS_pselect6,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_wait4,
    SYS_waitid,
    SYS_msgrcv,
    SYS_mq_timedreceive,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_rt_sigpending,
    SYS_pause,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_stat,
    SYS_lstat,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlink,
    SYS_readlinkat,
    SYS_getdents,
    SYS_getdents64,
    SYS_lseek,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_fgetxattr,
    SYS_ioctl,
    SYS_io_getevents,
    IO_PGETEVENTS,
    SYS_process_vm_readv,
];

/// What does both: one end of a meeting, a lock, a queue of requests. Who yields the processor waits for somebody, most
/// likely, and has nothing to do before.
const TELLING_AND_HEARING: &[c_long] = &[
    SYS_sched_yield,
    SYS_connect,
    SYS_kill,
    SYS_semop,
    SYS_semtimedop,
    SYS_semctl,
    SYS_semget,
    SYS_msgget,
    SYS_mq_open,
    SYS_flock,
    SYS_fcntl,
    SYS_io_submit,
    SYS_io_uring_enter,
    SYS_futex_waitv,
];

/// The way of each call number; read by the gate's assembly.
pub static WAYS: [u8; CALLS_COUNT] = {
    let mut ways = [0; CALLS_COUNT];
    let mut index = 0;
    while index < TELLING.len() {
        ways[TELLING[index] as usize] = TELLS;
        index += 1;
    }
    index = 0;
    while index < HEARING.len() {
        ways[HEARING[index] as usize] = HEARS;
        index += 1;
    }
    index = 0;
    while index < TELLING_AND_HEARING.len() {
        ways[TELLING_AND_HEARING[index] as usize] = TELLS | HEARS;
        index += 1;
    }
    ways[SYS_futex as usize] = TELLS | HEARS | FUTEX;
    ways[SYS_open as usize] = HEARS | OPENS;
    ways[SYS_openat as usize] = HEARS | OPENS;
    ways[SYS_openat2 as usize] = TELLS | HEARS;
    ways
};

fn way(number: u64) -> u8 {
    usize::try_from(number).ok().and_then(|number| WAYS.get(number)).copied().unwrap_or(0)
}

fn is_private_futex(call: &Call) -> bool {
    way(call.number) & FUTEX != 0 && call.arguments[1] as u32 & FUTEX_PRIVATE != 0
}

/// Whether what this thread calls now is the program's: not a library's under us, nor by a thread of such a library.
fn is_programs() -> bool {
    !guard::is_inside() && !guard::is_library_thread()
}

fn tells(call: &Call) -> bool {
    let way = way(call.number);
    if way & OPENS != 0 {
        let flags = if call.number as c_long == SYS_open { call.arguments[1] } else { call.arguments[2] };
        return flags as c_int & (O_CREAT | O_TRUNC) != 0;
    }
    way & TELLS != 0 && !is_private_futex(call)
}

/// Whether something has to be stored before the kernel does a call that is not ours: [`mount::release`] is due.
#[inline]
pub fn has_to_store(call: &Call) -> bool {
    causality::has_unstored() && tells(call) && is_programs()
}

/// Before a call that may be the kernel's. Whoever calls holds no lock, and is in no change of descriptors.
#[inline]
pub fn before(call: &Call) {
    if has_to_store(call) {
        mount::release();
    }
}

/// Whether the call hears, so that [`after`] is due once the kernel has done it.
#[inline]
pub fn hears(call: &Call) -> bool {
    causality::is_on() && way(call.number) & HEARS != 0 && !is_private_futex(call) && is_programs()
}

/// After the kernel has done a call that is not ours.
#[inline]
pub fn after(call: &Call) {
    if hears(call) {
        causality::hear();
    }
}

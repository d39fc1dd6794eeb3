//! The table: one entry for each system call that Sidestep may have to serve. All others are left alone.

use libc::*;

/// How a call is told to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Not in the table: the site is left as it is.
    Alone = 0,
    /// The descriptor in rdi says it. Tested in assembly, some 2 ns.
    Descriptor = 1,
    /// The descriptor in r8 says it: mmap.
    Mapping = 2,
    /// Only the dispatcher can say: paths, several descriptors, processes.
    Always = 3,
    /// It makes descriptors: ours only where a library under us makes them.
    Making = 4,
    /// It changes the thread's signal mask: noted, and left to the kernel.
    Mask = 5,
    /// It is never ours, but tells another process something or hears from one ([`crate::causal`]).
    Word = 6,
}

impl Class {
    /// The class that a byte stands for, in the table and in a cached list of sites.
    pub fn of_byte(byte: u8) -> Option<Self> {
        [Self::Alone, Self::Descriptor, Self::Mapping, Self::Always, Self::Making, Self::Mask, Self::Word]
            .into_iter()
            .nth(byte.into())
    }
}

/// Call numbers from here on are not in the table. The highest that is known today is 472.
pub const CALLS_COUNT: usize = 512;

/// The first descriptor decides.
const DESCRIPTOR: &[c_long] = &[
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_fstat,
    SYS_lseek,
    SYS_ioctl,
    SYS_pread64,
    SYS_pwrite64,
    SYS_readv,
    SYS_writev,
    SYS_dup,
    SYS_fcntl,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    SYS_getdents,
    SYS_getdents64,
    SYS_fchmod,
    SYS_fchown,
    SYS_fstatfs,
    SYS_readahead,
    SYS_fsetxattr,
    SYS_fgetxattr,
    SYS_flistxattr,
    SYS_fremovexattr,
    SYS_fadvise64,
    SYS_fallocate,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_syncfs,
    SYS_sync_file_range,
];

/// Paths, calls on several descriptors, the working directory, and what creates, replaces or ends a process.
const ALWAYS: &[c_long] = &[
    SYS_open,
    SYS_openat,
    SYS_openat2,
    SYS_creat,
    SYS_stat,
    SYS_lstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_rmdir,
    SYS_unlink,
    SYS_unlinkat,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_link,
    SYS_linkat,
    SYS_symlink,
    SYS_symlinkat,
    SYS_readlink,
    SYS_readlinkat,
    SYS_mknod,
    SYS_mknodat,
    SYS_truncate,
    SYS_chmod,
    SYS_fchmodat,
    SYS_fchmodat2,
    SYS_chown,
    SYS_lchown,
    SYS_fchownat,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_utimensat,
    SYS_statfs,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_inotify_add_watch,
    SYS_name_to_handle_at,
    SYS_chdir,
    SYS_fchdir,
    SYS_getcwd,
    SYS_chroot,
    SYS_umask,
    SYS_sync,
    SYS_dup2,
    SYS_dup3,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_setrlimit,
    SYS_prlimit64,
    SYS_close_range,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_splice,
    SYS_poll,
    SYS_ppoll,
    SYS_select,
    SYS_pselect6,
    SYS_epoll_ctl,
    SYS_fork,
    SYS_vfork,
    SYS_clone,
    SYS_clone3,
    SYS_execve,
    SYS_execveat,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigaction,
];

/// What makes descriptors by no path; [`makes_descriptors`] has those by path too.
const MAKING: &[c_long] = &[
    SYS_socket,
    SYS_socketpair,
    SYS_accept,
    SYS_accept4,
    SYS_pipe,
    SYS_pipe2,
    SYS_epoll_create,
    SYS_epoll_create1,
    SYS_eventfd,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_signalfd4,
    SYS_memfd_create,
    SYS_inotify_init1,
];

/// The libc crate has it not.
pub const IO_PGETEVENTS: c_long = 333;

/// What is never ours, and a word from one process to another.
const WORDS: &[c_long] = &[
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_vmsplice,
    SYS_tee,
    SYS_shutdown,
    SYS_bind,
    SYS_listen,
    SYS_connect,
    SYS_kill,
    SYS_tkill,
    SYS_tgkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_send_signal,
    SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend,
    SYS_rt_sigpending,
    SYS_pause,
    SYS_sched_yield,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_wait4,
    SYS_waitid,
    SYS_futex,
    SYS_futex_waitv,
    SYS_semget,
    SYS_semop,
    SYS_semtimedop,
    SYS_semctl,
    SYS_msgget,
    SYS_msgsnd,
    SYS_msgrcv,
    SYS_mq_open,
    SYS_mq_unlink,
    SYS_mq_timedsend,
    SYS_mq_timedreceive,
    SYS_epoll_wait,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_io_submit,
    SYS_io_getevents,
    IO_PGETEVENTS,
    SYS_io_uring_enter,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
];

/// The class of each call number; read by the gate's assembly where a site's number is only known at run time.
pub static CLASSES: [u8; CALLS_COUNT] = {
    let mut classes = [Class::Alone as u8; CALLS_COUNT];
    let mut index = 0;
    while index < DESCRIPTOR.len() {
        classes[DESCRIPTOR[index] as usize] = Class::Descriptor as u8;
        index += 1;
    }
    index = 0;
    while index < ALWAYS.len() {
        classes[ALWAYS[index] as usize] = Class::Always as u8;
        index += 1;
    }
    index = 0;
    while index < MAKING.len() {
        classes[MAKING[index] as usize] = Class::Making as u8;
        index += 1;
    }
    index = 0;
    while index < WORDS.len() {
        classes[WORDS[index] as usize] = Class::Word as u8;
        index += 1;
    }
    classes[SYS_mmap as usize] = Class::Mapping as u8;
    classes[SYS_rt_sigprocmask as usize] = Class::Mask as u8;
    classes
};

/// The class of call `number`.
pub fn class(number: u64) -> Class {
    let byte = usize::try_from(number).ok().and_then(|number| CLASSES.get(number)).copied();
    byte.and_then(Class::of_byte).unwrap_or(Class::Alone)
}

/// A number that changes when the table does: a cached list of sites is good for one table only.
pub fn fingerprint() -> u64 {
    super::checksum(&CLASSES)
}

/// Whether a call returns a new descriptor, or stores two.
pub fn makes_descriptors(number: u64) -> bool {
    let number = number as c_long;
    class(number as u64) == Class::Making || [SYS_open, SYS_openat].contains(&number)
}

/// The calls that create or end a process. They run in place, never from Rust: the child of a clone comes back on
/// another stack, or on ours.
pub fn runs_in_place(number: u64) -> bool {
    [SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_exit, SYS_exit_group].contains(&(number as c_long))
}

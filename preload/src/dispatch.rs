//! From a system call to the operation that it means: one entry for each call.
//!
//! The modules below hold the calls by family. Each converts what the application passed, makes one call into
//! [`house::posix`], and converts the outcome: results and `-errno` as the kernel returns them.
#![allow(unsafe_code)]

mod arguments;
mod arrivals;
mod attributes;
mod by_path;
mod descriptors;
mod environment;
mod extended;
mod fault;
mod files;
mod io;
mod names;
mod process;
mod readiness;
mod signals;
mod status;
mod transfer;
pub mod under_us;

pub use process::{after_fork_in_child, after_fork_in_parent, before_fork, before_thread_exit, start};

use house::ground::Result;

/// A system call as the application made it. A handler that passes it on may change it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Call {
    /// `SYS_*`.
    pub number: u64,
    /// rdi, rsi, rdx, r10, r8, r9.
    pub arguments: [u64; 6],
}

impl Call {
    /// A copy, eight bytes at a time. The gate's assembly has just stored the words one by one, and a load of two at
    /// once has to wait until they are in the cache: 5 ns, measured.
    #[inline(always)]
    pub fn copied_by_words(&self) -> Self {
        #[inline(always)]
        fn read(word: &u64) -> u64 {
            // SAFETY: reads of live words; volatile, so that the compiler does not pair them.
            unsafe { std::ptr::from_ref(word).read_volatile() }
        }
        // Word by word in the source too: a cancellation may strike here, and unwinds through no function of another's.
        let [a, b, c, d, e, f] = &self.arguments;
        let arguments = [read(a), read(b), read(c), read(d), read(e), read(f)];
        Self { number: read(&self.number), arguments }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel does it, with the call's arguments as they stand now.
    Pass,
    /// Done here: the value for rax, `-errno` on failure.
    Done(i64),
}

impl Verdict {
    /// The verdict on an operation that gave a number.
    #[inline(always)]
    fn of<T: TryInto<i64>>(outcome: Result<T>) -> Self {
        Self::Done(match outcome {
            Ok(value) => value.try_into().unwrap_or(i64::MAX),
            Err(error) => -i64::from(error.raw_os_error()),
        })
    }

    /// The verdict on an operation that gave nothing.
    fn of_nothing(outcome: Result<()>) -> Self {
        Self::of(outcome.map(|()| 0))
    }
}

/// Does a call, or passes it on.
///
/// # Safety
/// `call` is what the application asked of the kernel, and its pointers are worth what a system call's are.
#[allow(non_upper_case_globals, reason = "the calls have the kernel's names")]
pub unsafe fn dispatch(call: &mut Call) -> Verdict {
    use libc::*;
    fault::note(call.number);
    if house::ground::guard::is_inside() {
        // SAFETY: by the caller's word.
        return unsafe { under_us::pass(call) };
    }
    // SAFETY: each handler has the caller's word for the call's pointers.
    unsafe {
        match call.number as c_long {
            SYS_read => io::read(call),
            SYS_write => io::write(call),
            SYS_pread64 => io::pread(call),
            SYS_pwrite64 => io::pwrite(call),
            SYS_readv => io::readv(call),
            SYS_writev => io::writev(call),
            SYS_preadv => io::preadv(call),
            SYS_pwritev => io::pwritev(call),
            SYS_preadv2 => io::preadv2(call),
            SYS_pwritev2 => io::pwritev2(call),
            SYS_lseek => io::lseek(call),
            SYS_getdents64 => io::getdents(call),

            SYS_close => descriptors::close(call),
            SYS_close_range => descriptors::close_range(call),
            SYS_dup => descriptors::dup(call),
            SYS_dup2 | SYS_dup3 => descriptors::dup_to(call),
            SYS_fcntl => descriptors::fcntl(call),
            SYS_ioctl => descriptors::ioctl(call),
            SYS_flock => descriptors::flock(call),
            SYS_fsync | SYS_sync_file_range => descriptors::sync(call),
            SYS_fdatasync => descriptors::sync_data(call),
            SYS_syncfs => descriptors::sync_container(call),
            SYS_sync => descriptors::sync_all(),
            SYS_ftruncate => descriptors::truncate(call),
            SYS_fallocate => descriptors::allocate(call),
            SYS_fadvise64 | SYS_readahead => descriptors::advise(call),
            SYS_mmap => descriptors::map(call),

            SYS_open | SYS_creat | SYS_openat | SYS_openat2 => files::open(call),
            SYS_truncate => files::truncate(call),
            SYS_access | SYS_faccessat | SYS_faccessat2 => files::access(call),
            SYS_chdir => files::change_directory(call),
            SYS_fchdir => files::change_directory_to(call),
            SYS_getcwd => files::working_directory(call),
            SYS_umask => files::set_mask(call),

            SYS_stat | SYS_lstat | SYS_newfstatat | SYS_fstat => status::stat(call),
            SYS_statx => status::statx(call),
            SYS_statfs | SYS_fstatfs => status::statfs(call),

            SYS_chmod | SYS_fchmod | SYS_fchmodat | SYS_fchmodat2 => attributes::change_mode(call),
            SYS_chown | SYS_lchown | SYS_fchown | SYS_fchownat => attributes::change_owner(call),
            SYS_utime | SYS_utimes | SYS_futimesat | SYS_utimensat => attributes::change_times(call),
            SYS_getxattr | SYS_lgetxattr | SYS_fgetxattr => extended::get(call),
            SYS_setxattr | SYS_lsetxattr | SYS_fsetxattr => extended::set(call),
            SYS_listxattr | SYS_llistxattr | SYS_flistxattr => extended::list(call),
            SYS_removexattr | SYS_lremovexattr | SYS_fremovexattr => extended::remove(call),

            SYS_mkdir | SYS_mkdirat => names::make_directory(call),
            SYS_mknod | SYS_mknodat => names::make_node(call),
            SYS_rmdir | SYS_unlink | SYS_unlinkat => names::remove(call),
            SYS_rename | SYS_renameat | SYS_renameat2 => names::rename(call),
            SYS_link | SYS_linkat => names::link(call),
            SYS_symlink | SYS_symlinkat => names::symlink(call),
            SYS_readlink | SYS_readlinkat => names::read_link(call),
            SYS_inotify_add_watch | SYS_name_to_handle_at | SYS_chroot => names::refuse(call),

            SYS_copy_file_range => transfer::copy_file_range(call),
            SYS_sendfile => transfer::sendfile(call),
            SYS_splice => transfer::splice(call),

            SYS_poll | SYS_ppoll => readiness::poll(call),
            SYS_select | SYS_pselect6 => readiness::select(call),
            SYS_epoll_ctl => readiness::epoll_control(call),

            SYS_fork | SYS_vfork | SYS_clone | SYS_clone3 => process::before_clone(call),
            SYS_execve | SYS_execveat => process::exec(call),
            SYS_exit_group => process::before_exit(),
            SYS_setuid | SYS_setgid | SYS_setreuid | SYS_setregid | SYS_setresuid | SYS_setresgid | SYS_setfsuid
            | SYS_setfsgid | SYS_setgroups => process::change_credentials(call),

            SYS_rt_sigaction => signals::change_action(call),

            SYS_setrlimit | SYS_prlimit64 => process::change_limits(call),

            _ => Verdict::Pass,
        }
    }
}

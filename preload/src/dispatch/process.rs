//! The start of the library, and what a process does with itself: `fork`, `exec`, `exit`, `setuid`.

use super::arguments::{Room, descriptor, take};
use super::by_path::{Side, Where, side};
use super::{Call, Verdict, environment};
use crate::serve::kernel;
use house::ground::{Errno, Result, diagnostics, fault_handler, guard, mounts};
use house::posix::descriptor::{entries, handover, table};
use house::posix::path::{Place, Symlinks};
use house::posix::permission::{self, Want};
use house::posix::{credentials, limits, mount, process, report, working_directory};
use house::store::Kind;
use std::sync::atomic::{AtomicI32, Ordering};

/// Reads the configuration. False: nothing is to be intercepted (turned off, or the mounts are malformed).
pub fn start() -> bool {
    if mounts::is_turned_off() {
        return false;
    }
    let configured = match mounts::from_environment() {
        Ok(configured) => configured,
        Err(error) => {
            diagnostics::say(&error.to_string());
            return false;
        }
    };
    entries::make();
    process::start(become_new_process);
    report::start();
    environment::start(&configured);
    working_directory::start();
    mount::start(configured);
    if environment::says_inherited() {
        handover::look_for_inherited();
    }
    true
}

/// `pthread_atfork`'s prepare handler. The calls that make a process hand over by themselves; here it is done before
/// libc takes its own locks.
pub fn before_fork() {
    if !process::is_guest() {
        handover::share();
        mount::flush();
        mount::before_fork();
        FORKING.store(thread_id(), Ordering::Release);
    }
}

/// The thread that is between the prepare handler and the two others; 0 for none. Its engines are held still.
static FORKING: AtomicI32 = AtomicI32::new(0);

fn thread_id() -> i32 {
    rustix::thread::gettid().as_raw_pid()
}

/// `pthread_atfork`'s parent handler.
pub fn after_fork_in_parent() {
    if !process::is_guest() {
        FORKING.store(0, Ordering::Release);
        mount::after_fork_in_parent();
    }
}

/// `pthread_atfork`'s child handler.
pub fn after_fork_in_child() {
    process::after_fork_in_child();
}

/// What a fork child has to set right, whoever finds out that it is one.
fn become_new_process() {
    FORKING.store(0, Ordering::Release);
    handover::after_fork_in_child();
    mount::after_fork_in_child();
    report::start_again();
}

/// `fork()`, `vfork()`, `clone(flags, ...)`, `clone3(arguments, size)`: everything is handed over first, and the call
/// runs in place.
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn before_clone(call: &Call) -> Verdict {
    let flags = match call.number as i64 {
        libc::SYS_fork => 0,
        libc::SYS_vfork => (libc::CLONE_VM | libc::CLONE_VFORK) as u64,
        libc::SYS_clone => call.arguments[0],
        // SAFETY: by the caller's word: the structure begins with the flags.
        _ => unsafe { take::<u64>(call.arguments[0]) }.unwrap_or(0),
    };
    if flags & libc::CLONE_THREAD as u64 != 0 {
        return Verdict::Pass;
    }
    if process::standing() == process::Standing::Guest {
        return Verdict::Pass;
    }
    let is_past_handlers = FORKING.load(Ordering::Acquire) != thread_id();
    if is_past_handlers {
        mount::connect_wanted();
        handover::share();
        mount::flush();
    }
    if flags & libc::CLONE_VM as u64 != 0 {
        mount::stand_by();
    }
    if flags & libc::CLONE_VM as u64 != 0 || is_past_handlers {
        // The next call asks which of the two it is in.
        guard::set_vfork_window(true);
    }
    Verdict::Pass
}

/// Which program an `exec` is to run.
enum Program {
    /// What the call says.
    AsGiven,
    /// A program of the host's at another path.
    At(house::posix::path::PathBuffer),
}

/// Finds the program that the path leads to, where it leads through a prefix.
fn find_program(call: &Call, place: Where, looks_twice: bool) -> Result<Program> {
    match side(call, place, looks_twice, &mut Room::new()) {
        // A path that can't be read is the kernel's to refuse.
        Err(Errno::FAULT | Errno::NAMETOOLONG) | Ok(Side::Host(None)) => Ok(Program::AsGiven),
        Err(error) => Err(error),
        Ok(Side::Host(Some(path))) => Ok(Program::At(path)),
        Ok(Side::Ours(place)) => Err(refusal(&place)),
    }
}

/// Why a program in a container is not run: what is wrong with the path itself, or that a later version does it.
fn refusal(place: &Place<'_>) -> Errno {
    match place.attributes() {
        Err(error) => error,
        Ok(attributes) if attributes.kind != Kind::File => Errno::ACCESS,
        Ok(attributes) => permission::check(&attributes, Want::SEARCH).err().unwrap_or(Errno::ACCESS),
    }
}

/// `execve(path, argv, envp)`, `execveat(dirfd, path, argv, envp, flags)`
pub unsafe fn exec(call: &Call) -> Verdict {
    let (place, environment_index) = match call.number as i64 {
        libc::SYS_execve => (Where::plain(0, Symlinks::Follow), 2),
        _ => (Where::at(0, 1, Symlinks::Follow), 3),
    };
    if !process::is_guest() {
        process::standing();
        report::tell();
        report::start_again();
        mount::flush();
        handover::before_exec();
    }
    let is_ours = call.number as i64 == libc::SYS_execveat
        && call.arguments[4] as i32 & libc::AT_EMPTY_PATH != 0
        && table::is_ours(descriptor(call.arguments[0]));
    if is_ours {
        return Verdict::of::<i64>(Err(Errno::ACCESS));
    }
    let mut moved = *call;
    // SAFETY: by the caller's word.
    let completed = unsafe { environment::complete(call.arguments[environment_index]) };
    if let Some(completed) = &completed {
        moved.arguments[environment_index] = completed.as_ptr();
    }
    for looks_twice in [false, true] {
        let program = match find_program(call, place, looks_twice) {
            Ok(program) => program,
            Err(error) => return Verdict::of::<i64>(Err(error)),
        };
        if let Program::At(path) = &program {
            place.redirect(&mut moved, path);
        }
        fault_handler::before_exec();
        // Comes back only with an error.
        // SAFETY: by the caller's word.
        let result = unsafe { kernel(&moved) };
        fault_handler::after_failed_exec();
        if result != -i64::from(libc::ENOENT) || looks_twice {
            return Verdict::Done(result);
        }
    }
    Verdict::of::<i64>(Err(Errno::NOENT))
}

/// `exit(status)`: the end of a thread, perhaps of the program's last.
pub fn before_thread_exit() {
    if !process::is_guest() {
        mount::thread_ends();
    }
}

/// `exit_group(status)`: the end of the process, unless it is a vfork child's.
pub fn before_exit() -> Verdict {
    if !process::is_guest() {
        report::tell();
        mount::flush();
        handover::before_exit();
        mount::leave();
    }
    Verdict::Pass
}

/// `setuid` and its kin: whose rights we check with is read again.
pub unsafe fn change_credentials(call: &Call) -> Verdict {
    // SAFETY: by the caller's word.
    let result = unsafe { kernel(call) };
    if !process::is_guest() {
        credentials::forget();
    }
    Verdict::Done(result)
}

/// `setrlimit`, `prlimit64`: what a file may grow to is read again.
pub unsafe fn change_limits(call: &Call) -> Verdict {
    // SAFETY: by the caller's word.
    let result = unsafe { kernel(call) };
    if !process::is_guest() {
        limits::forget();
    }
    Verdict::Done(result)
}

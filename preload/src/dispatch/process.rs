//! The start of the library, and what a process does with itself: `fork`, `exec`, `exit`, `setuid`.

use super::arguments::{Room, descriptor, take};
use super::by_path::{Side, Where, side};
use super::{Call, Verdict, environment};
use crate::serve::kernel;
use house::ground::change::{self, Snapshot, Standstill};
use house::ground::internal::Limiting;
use house::ground::{Errno, Result, diagnostics, fault_handler, guard, internal, mounts};
use house::posix::descriptor::handover::{self, Shown};
use house::posix::descriptor::{entries, inherited, table};
use house::posix::path::{Place, Symlinks};
use house::posix::permission::{self, Want};
use house::posix::{credentials, limits, mount, process, report, working_directory};
use house::store::Kind;
use std::sync::atomic::Ordering;

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
    if let Some(highest) = environment::highest_inherited() {
        inherited::look(highest);
    }
    true
}

/// `pthread_atfork`'s prepare handler. The calls that make a process hand over by themselves; here it is done before
/// libc takes its own locks. From here to one of the next two no handler of the thread runs: it would find the engines
/// held still by its own thread.
pub fn before_fork() {
    if !process::is_guest() {
        guard::hold_signals();
        handover::share(Shown::Nothing);
        mount::flush();
        mount::before_fork();
        if is_whole_door() {
            // The system call is not seen.
            change::hold_still();
        }
    }
}

/// Whether the symbols are the whole door.
fn is_whole_door() -> bool {
    crate::doors::door::WHOLE.load(Ordering::Relaxed) != 0
}

/// `pthread_atfork`'s parent handler.
pub fn after_fork_in_parent() {
    if !process::is_guest() {
        change::go_on();
        mount::after_fork_in_parent();
        guard::release_signals();
    }
}

/// `pthread_atfork`'s child handler.
pub fn after_fork_in_child() {
    process::after_fork_in_child();
    guard::release_signals();
}

/// What a fork child has to set right, whoever finds out that it is one.
fn become_new_process() {
    let snapshot = change::after_fork_in_child();
    if snapshot != Snapshot::Alone {
        // First of all: what follows takes memory.
        crate::allocator::start_again();
    }
    internal::after_fork_in_child();
    table::after_fork_in_child(snapshot);
    handover::after_fork_in_child();
    mount::after_fork_in_child();
    report::start_again();
}

/// `fork()`, `vfork()`, `clone(flags, ...)`, `clone3(arguments, size)`: everything is handed over first. A child with
/// memory of its own and its parent's stack is made here, in a standstill; one on its parent's memory, or on another
/// stack, in place.
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn before_clone(call: &Call) -> Verdict {
    /// Where `struct clone_args` has the stack.
    const STACK_OFFSET: u64 = 40;
    let (flags, stack) = match call.number as i64 {
        libc::SYS_fork => (0, 0),
        libc::SYS_vfork => ((libc::CLONE_VM | libc::CLONE_VFORK) as u64, 0),
        libc::SYS_clone => (call.arguments[0], call.arguments[1]),
        // SAFETY: by the caller's word: the structure begins with the flags.
        _ => unsafe {
            let stack = take::<u64>(call.arguments[0].wrapping_add(STACK_OFFSET)).unwrap_or(0);
            (take::<u64>(call.arguments[0]).unwrap_or(0), stack)
        },
    };
    if flags & libc::CLONE_THREAD as u64 != 0 {
        return Verdict::Pass;
    }
    if process::standing() == process::Standing::Guest {
        return Verdict::Pass;
    }
    // A child that has the descriptors themselves, and not a copy of them, is made as it is.
    let is_copy = flags & (libc::CLONE_VM | libc::CLONE_FILES) as u64 == 0 && stack == 0;
    // In libc's fork the prepare handler has done all of this, and the thread has libc's locks by now, malloc's too: nothing
    // may be done here that waits for a thread that may want one.
    let is_unprepared = !guard::holds_signals();
    if is_unprepared {
        mount::connect_wanted();
        handover::share(match flags & libc::CLONE_VM as u64 {
            0 => Shown::Nothing,
            // What the child duplicates is not seen.
            _ if is_whole_door() => Shown::Everything,
            _ => Shown::Inherited,
        });
        mount::flush();
    }
    if flags & libc::CLONE_VM as u64 != 0 {
        mount::stand_by();
    }
    if flags & libc::CLONE_VM as u64 != 0 || is_unprepared {
        // The next call asks which of the two it is in.
        guard::set_vfork_window(true);
    }
    if !is_copy {
        return Verdict::Pass;
    }
    if is_unprepared {
        // No handler of libc's comes to bring the engines to rest.
        guard::hold_signals();
        mount::before_fork();
    }
    let still = Standstill::begin();
    // SAFETY: by the caller's word; the child comes back here too, on its own copy of this stack.
    let result = unsafe { kernel(call) };
    if result == 0 {
        // The rest waits for the handler, or for the first use: libc's own locks are held here.
        change::go_on_in_child();
    }
    drop(still);
    if is_unprepared {
        if result != 0 {
            mount::after_fork_in_parent();
        }
        guard::release_signals();
    }
    Verdict::Done(result)
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

/// What this process leaves to the program that it becomes.
fn before_exec() {
    if process::is_guest() {
        handover::before_exec_of_guest();
        return;
    }
    process::standing();
    report::tell();
    report::start_again();
    mount::flush();
    handover::before_exec();
}

/// Whether there is no program at the path: then nothing has to be done before the kernel says so. A search along `PATH`
/// meets many of these.
unsafe fn is_missing(call: &Call) -> bool {
    let [first, second, ..] = call.arguments;
    let (directory, path) = match call.number as i64 {
        libc::SYS_execve => (libc::AT_FDCWD as u64, first),
        _ => (first, second),
    };
    let access = Call { number: libc::SYS_faccessat as u64, arguments: [directory, path, libc::F_OK as u64, 0, 0, 0] };
    // SAFETY: by the caller's word.
    let result = unsafe { kernel(&access) };
    result == -i64::from(libc::ENOENT) && !(call.number as i64 == libc::SYS_execveat && is_empty_path(call))
}

/// Whether an `execveat` names the descriptor itself.
fn is_empty_path(call: &Call) -> bool {
    call.arguments[4] as i32 & libc::AT_EMPTY_PATH != 0
}

/// `execve(path, argv, envp)`, `execveat(dirfd, path, argv, envp, flags)`
pub unsafe fn exec(call: &Call) -> Verdict {
    let (place, environment_index) = match call.number as i64 {
        libc::SYS_execve => (Where::plain(0, Symlinks::Follow), 2),
        _ => (Where::at(0, 1, Symlinks::Follow), 3),
    };
    let is_ours = call.number as i64 == libc::SYS_execveat
        && is_empty_path(call)
        && table::is_ours(descriptor(call.arguments[0]));
    if is_ours {
        return Verdict::of::<i64>(Err(Errno::ACCESS));
    }
    let mut moved = *call;
    let mut completed = None;
    for looks_twice in [false, true] {
        let program = match find_program(call, place, looks_twice) {
            Ok(program) => program,
            Err(error) => return Verdict::of::<i64>(Err(error)),
        };
        if let Program::At(path) = &program {
            place.redirect(&mut moved, path);
        }
        // SAFETY: by the caller's word.
        let result = if unsafe { is_missing(&moved) } {
            -i64::from(libc::ENOENT)
        } else {
            // SAFETY: by the caller's word.
            let completed = completed.get_or_insert_with(|| unsafe {
                before_exec();
                environment::complete(call.arguments[environment_index])
            });
            if let Some(completed) = completed {
                moved.arguments[environment_index] = completed.as_ptr();
            }
            fault_handler::before_exec();
            // Comes back only with an error.
            // SAFETY: by the caller's word.
            let result = unsafe { kernel(&moved) };
            fault_handler::after_failed_exec();
            result
        };
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
    let is_guest = process::is_guest();
    let [first, second, third, ..] = call.arguments;
    let (resource, new) = if call.number as i64 == libc::SYS_setrlimit { (first, second) } else { (second, third) };
    if !is_guest && resource == u64::from(libc::RLIMIT_FSIZE) && new != 0 {
        handover::before_limit();
    }
    let limiting = Limiting::begin();
    // SAFETY: by the caller's word.
    let result = unsafe { kernel(call) };
    drop(limiting);
    if !is_guest {
        limits::forget();
    }
    Verdict::Done(result)
}

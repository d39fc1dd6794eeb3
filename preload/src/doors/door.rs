//! A symbol door: an exported function that tests whether the call can be ours, and otherwise is the next function.
//!
//! 1. The exported function is a few instructions long and has no frame: a descriptor's door tests the descriptor's
//!    entry, a path's door whether the symbols are the whole door, and what is not ours *jumps* to the next function
//!    of that name. So cancellation, unwinding and backtraces never see us there, and it costs some 2 ns.
//! 2. What may be ours goes, with its [`Door`] in r11, through one common piece of assembly to [`enter`].
//! 3. If the dispatcher passes, the arguments go back into their registers, and again it is a jump.
//!
//! redhook's `hook!` wraps each function in `catch_unwind` inside an `extern "C"` function, which must not unwind: a
//! `pthread_cancel` that strikes in the blocked `read` behind it aborts the process (tried). So of redhook the part
//! is used that serves, the one that finds the next function.
#![allow(unsafe_code)]

use super::shape::Shape;
use crate::call_frame::{restore_call, save_call};
use crate::cancellation::{self, Cancellation};
use crate::dispatch::Verdict;
use crate::gate::calls::{self, Class};
use crate::runtime::{errno, program};
use crate::{serve, start};
use house::ground::guard;
use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

/// 1 while the symbols are the whole door, because the gate was refused. Until then path doors stand aside.
pub static WHOLE: AtomicU8 = AtomicU8::new(0);

/// What a door knows: the next function, and the system call that it means.
#[repr(C)]
pub struct Door {
    /// Jumped to by the assembly, at offset 0: the resolver, until the next function has been looked up.
    next: AtomicPtr<()>,
    name: *const u8,
    number: u32,
    shape: Shape,
    is_in_every_libc: bool,
}

// SAFETY: `name` points to a constant, `next` is atomic.
unsafe impl Sync for Door {}

impl Door {
    /// The door of the function `name`, which ends with a zero byte, for system call `number`.
    pub const fn new(name: &'static str, number: libc::c_long, shape: Shape, is_in_every_libc: bool) -> Self {
        Self {
            next: AtomicPtr::new(sidestep_door_resolve as *const () as *mut ()),
            name: name.as_ptr(),
            number: number as u32,
            shape,
            is_in_every_libc,
        }
    }
}

/// Looks up the next functions of all doors, some 0.3 us each, so that no call in a signal handler has to.
pub fn resolve_all() {
    unsafe extern "C" {
        #[link_name = "__start_sidestep_doors"]
        static FIRST: Door;
        #[link_name = "__stop_sidestep_doors"]
        static END: Door;
    }
    let mut door = &raw const FIRST;
    while door < &raw const END {
        // SAFETY: the section holds doors and nothing else, and the linker marks its ends.
        unsafe {
            resolve(&*door);
            door = door.add(1);
        }
    }
}

/// Finds the next function behind a door and remembers it.
unsafe fn resolve(door: &Door) -> *const () {
    // SAFETY: the name is terminated.
    let next = unsafe {
        if door.is_in_every_libc {
            // redhook takes a terminated `str`, and panics where there is no such function.
            let name = std::ffi::CStr::from_ptr(door.name.cast()).to_bytes_with_nul();
            redhook::ld_preload::dlsym_next(std::str::from_utf8_unchecked(name)).cast()
        } else {
            libc::dlsym(libc::RTLD_NEXT, door.name.cast()).cast_const().cast::<()>()
        }
    };
    // An old libc lacks some names (`stat` before 2.33, `close_range` before 2.34), and a program that looks one up finds
    // ours. Then the door is all there is: it serves what is ours, and makes the system call for what is not.
    let next = if next.is_null() { sidestep_door_enter as *const () } else { next };
    door.next.store(next.cast_mut(), Ordering::Relaxed);
    next
}

/// Where the first call of a door goes: the library is started, and from then on the symbols may be the whole door.
unsafe extern "C" fn first_call(door: &Door) -> *const () {
    start::start();
    // SAFETY: as any caller of `resolve`.
    let next = unsafe { resolve(door) };
    if WHOLE.load(Ordering::Acquire) == 0 { next } else { sidestep_door_enter as *const () }
}

/// Tells the program.
fn set_errno(errno: c_int) {
    let word = errno::of_program();
    if !word.is_null() {
        // SAFETY: this thread's own word.
        unsafe { *word = errno };
    }
}

/// What the common assembly lays down: a C function's arguments.
#[repr(C)]
pub struct Frame {
    door: &'static Door,
    arguments: [u64; 6],
    /// al tells a variadic function how many vector registers hold arguments.
    rax: u64,
    result: i64,
    padding: u64,
}

const _: () = assert!(std::mem::size_of::<Frame>() == 80);

std::arch::global_asm!(
    ".pushsection .text.sidestep_door, \"ax\", @progbits",
    // r11: the door. The stack is as the exported function found it.
    ".balign 16",
    ".globl sidestep_door_enter",
    ".hidden sidestep_door_enter",
    ".type sidestep_door_enter, @function",
    "sidestep_door_enter:",
    ".cfi_startproc",
    save_call!("80"),
    "mov rdi, rsp",
    "call {enter}",
    "test eax, eax",
    "jz 2f",
    "mov rax, [rsp + 64]",
    ".cfi_remember_state",
    "leave",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_restore_state",
    "2:",
    restore_call!(),
    "jmp qword ptr [r11]",
    ".cfi_endproc",
    ".size sidestep_door_enter, . - sidestep_door_enter",
    // What a door jumps to before it knows its next function. r11: the door. Another library's constructor may be
    // here before ours ran, and starts the library.
    ".balign 16",
    ".globl sidestep_door_resolve",
    ".hidden sidestep_door_resolve",
    ".type sidestep_door_resolve, @function",
    "sidestep_door_resolve:",
    ".cfi_startproc",
    save_call!("64"),
    "mov rdi, r11",
    "call {first_call}",
    "mov r10, rax",
    restore_call!(),
    "jmp r10",
    ".cfi_endproc",
    ".size sidestep_door_resolve, . - sidestep_door_resolve",
    ".popsection",
    enter = sym enter,
    first_call = sym first_call,
);

unsafe extern "C" {
    fn sidestep_door_enter();
    fn sidestep_door_resolve();
}

/// Serves a call from a door. 0: it is the next function's; 1: done, with the C function's result in the frame.
///
/// # Safety
/// Called by the assembly above with the frame that it built.
unsafe extern "C-unwind" fn enter(frame: *mut Frame) -> c_int {
    // SAFETY: by the caller's word; nobody else knows the frame.
    let frame = unsafe { &mut *frame };
    let door = frame.door;
    if door.shape.allocates(&frame.arguments) {
        return enter_allocating(frame);
    }
    let value = ask(door, &frame.arguments).or_else(|| instead_of_next(door, &frame.arguments));
    finish(frame, value)
}

/// What the kernel says, where libc has no function of that name. All such functions are one system call, but those that
/// create a process or check a buffer's bound, which every libc has.
#[inline(always)]
fn instead_of_next(door: &Door, arguments: &[u64; 6]) -> Option<i64> {
    if door.next.load(Ordering::Relaxed) != sidestep_door_enter as *mut () {
        return None;
    }
    let call = door.shape.call(u64::from(door.number), arguments).filter(|_| door.shape != Shape::Before);
    // SAFETY: the call is the application's.
    Some(call.map_or(-i64::from(libc::ENOSYS), |call| unsafe { serve::kernel(&call) }))
}

/// `getcwd` without a buffer: one is allocated first, and freed again where it is not for the caller.
#[cold]
fn enter_allocating(frame: &mut Frame) -> c_int {
    let original = frame.arguments;
    let buffer = frame.door.shape.allocate(&mut frame.arguments);
    let value = ask(frame.door, &frame.arguments);
    let is_kept = value.is_some_and(|value| frame.door.shape.result(&frame.arguments, value).is_ok());
    let served = finish(frame, value);
    if !is_kept {
        frame.arguments = original;
        // SAFETY: allocated above, and given to nobody.
        unsafe { program::free(buffer) };
    }
    served
}

/// Puts the C function's result into the frame, and `errno` where it belongs.
#[inline(always)]
fn finish(frame: &mut Frame, value: Option<i64>) -> c_int {
    let Some(value) = value else { return 0 };
    frame.result = match frame.door.shape.result(&frame.arguments, value) {
        Ok(result) => result,
        Err((errno, result)) => {
            set_errno(errno);
            result
        }
    };
    1
}

/// The system call's value, or `None` where the next function is to do it.
#[inline(always)]
fn ask(door: &Door, arguments: &[u64; 6]) -> Option<i64> {
    let asked = door.shape.call(u64::from(door.number), arguments)?;
    let is_by_path = calls::class(asked.number) == Class::Always;
    if is_by_path && guard::is_inside() {
        return None;
    }
    // Nothing here has a destructor: a cancellation point may unwind the thread.
    if door.shape == Shape::CancellationPoint {
        cancellation::point();
    }
    // A call on a descriptor meets no cancellation point of libc's but under the guard, which holds them off itself.
    let cancellation = is_by_path.then(Cancellation::hold);
    let mut call = asked;
    // SAFETY: the call is the application's.
    let verdict = unsafe { serve::serve(&mut call) };
    let value = match verdict {
        Verdict::Done(value) => Some(value),
        Verdict::Pass if call == asked || calls::runs_in_place(call.number) => None,
        // SAFETY: the dispatcher vouches for the arguments it changed.
        Verdict::Pass => Some(unsafe { serve::kernel(&call) }),
    };
    if let Some(cancellation) = cancellation {
        cancellation.release();
    }
    value
}

/// Defines doors, one on a line: how it is tested, its C signature, the system call and the [`Shape`], and the function
/// of the libc crate whose signature it must have. `data` and `descriptor` test the first argument's entry, the former
/// for names that every libc has; `whole` tests whether the symbols are the whole door.
macro_rules! doors {
    ($($test:ident $name:ident($($argument:ident: $type:ty),*) -> $result:ty =
        $number:ident, $shape:expr $(, libc::$checked:ident)?;)*) => {
        $(
            /// The door of the C function of this name.
            ///
            /// # Safety
            /// As the C function's.
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
                $crate::doors::door::$test!(records::$name)
            }
            $(const _: () = {
                // Two functions share an array only if their signatures are the same.
                let _ = [$name, libc::$checked];
            };)?
        )*

        #[allow(non_upper_case_globals)]
        mod records {
            use $crate::doors::{door::Door, shape::Shape::*};
            $(
                #[unsafe(link_section = "sidestep_doors")]
                pub static $name: Door = Door::new(
                    concat!(stringify!($name), "\0"),
                    libc::$number,
                    $shape,
                    matches!(stringify!($test).as_bytes(), b"data"),
                );
            )*
        }
    };
}
pub(super) use doors;

/// The body of a door whose first argument is a descriptor.
macro_rules! descriptor {
    ($door:path) => {
        std::arch::naked_asm!(
            "cmp edi, dword ptr [rip + {count}]",
            "jae 2f",
            "mov r10d, edi",
            "mov r11, qword ptr [rip + {entries}]",
            "cmp dword ptr [r11 + r10 * 4], 0",
            "lea r11, [rip + {door}]",
            "jne sidestep_door_enter",
            "jmp qword ptr [r11]",
            "2:",
            "lea r11, [rip + {door}]",
            "jmp qword ptr [r11]",
            count = sym house::posix::descriptor::entries::COUNT,
            entries = sym house::posix::descriptor::entries::ENTRIES,
            door = sym $door,
        )
    };
}
pub(super) use descriptor;
pub(super) use descriptor as data;

/// The body of a door that is one only where the symbols are the whole door.
macro_rules! whole {
    ($door:path) => {
        std::arch::naked_asm!(
            "lea r11, [rip + {door}]",
            "cmp byte ptr [rip + {whole}], 0",
            "jne sidestep_door_enter",
            "jmp qword ptr [r11]",
            whole = sym $crate::doors::door::WHOLE,
            door = sym $door,
        )
    };
}
pub(super) use whole;

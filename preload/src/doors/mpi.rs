//! The doors of MPI. Ranks on one node meet in memory that they share, without any system call that the gate could see: so
//! each call of MPI by which they may meet is preceded by a release and followed by an acquire
//! ([`house::ground::causality`]). What a rank has written before it sends, another finds that has received.
//!
//! 1. A door knows nothing of an MPI's types. It passes on what may be an argument: the registers that hold some, and
//!    [`STACK_WORDS`] words of the caller's stack, in an ordinary frame, which an unwinder, a `longjmp` and any number of
//!    threads find as they find others.
//! 2. The function behind it is looked for when it is called first, in all objects that are loaded: Python loads an MPI
//!    library so that only its own extension sees it. Nothing is linked.
//! 3. Where no causal container is connected a door jumps to it.
//! 4. Within `MPI_File_*` ranks meet inside of the library, by calls of its own: descriptors are strict for that long
//!    ([`guard::enter_file_call`]).
#![allow(unsafe_code)]

use crate::diagnostics;
use crate::runtime::{errno, link_map};
use house::ground::{causality, guard};
use house::posix::mount;
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Bytes of a name with the zero behind it.
const NAME_BYTES: usize = 48;

/// Words of the caller's stack that are passed on: `mpi_rget_accumulate_` has 14 arguments, of which eight are there, and
/// Fortran puts the lengths of texts behind them.
const STACK_WORDS: usize = 12;

/// What a door knows. The name is in it, and no pointer to it, so that the dynamic linker has nothing to do for it.
#[repr(C)]
pub struct Record {
    /// The function behind the door, read by the assembly at offset 0; null until it is called first.
    next: AtomicPtr<()>,
    name: [u8; NAME_BYTES],
}

impl Record {
    /// The record of the function `name`.
    pub const fn new(name: &str) -> Self {
        let (from, mut bytes) = (name.as_bytes(), [0; NAME_BYTES]);
        let mut index = 0;
        while index < from.len() {
            bytes[index] = from[index];
            index += 1;
        }
        Self { next: AtomicPtr::new(std::ptr::null_mut()), name: bytes }
    }

    fn name(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.name).unwrap_or_default()
    }

    fn is_of_files(&self) -> bool {
        self.name.starts_with(b"MPI_File_") || self.name.starts_with(b"mpi_file_")
    }

    /// The function behind the door. Null where no object that is loaded has it.
    fn resolve(&self) -> *mut () {
        let known = self.next.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        let Some(found) = link_map::find_next(self.name()) else {
            diagnostics::line(format_args!("{}: no MPI library is loaded that has it", self.name().to_string_lossy()));
            return std::ptr::null_mut();
        };
        self.next.store(found.cast_mut(), Ordering::Relaxed);
        found.cast_mut()
    }
}

std::arch::global_asm!(
    ".pushsection .text.sidestep_mpi, \"ax\", @progbits",
    // r11: the record. The stack is as the exported function found it.
    ".balign 16",
    ".globl sidestep_mpi_enter",
    ".hidden sidestep_mpi_enter",
    ".type sidestep_mpi_enter, @function",
    "sidestep_mpi_enter:",
    ".cfi_startproc",
    "cmp dword ptr [rip + {is_on}], 0",
    "jne 2f",
    "mov r10, [r11]",
    "test r10, r10",
    "jz 2f",
    "jmp r10",
    "2:",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "sub rsp, 192",
    "mov [rsp], rdi",
    "mov [rsp + 8], rsi",
    "mov [rsp + 16], rdx",
    "mov [rsp + 24], rcx",
    "mov [rsp + 32], r8",
    "mov [rsp + 40], r9",
    "mov [rsp + 48], rax",
    "mov [rsp + 56], r11",
    "movaps [rsp + 64], xmm0",
    "movaps [rsp + 80], xmm1",
    "movaps [rsp + 96], xmm2",
    "movaps [rsp + 112], xmm3",
    "movaps [rsp + 128], xmm4",
    "movaps [rsp + 144], xmm5",
    "movaps [rsp + 160], xmm6",
    "movaps [rsp + 176], xmm7",
    "mov rdi, r11",
    "mov rsi, rbp",
    "call {before}",
    "test rax, rax",
    "jz 3f",
    "mov r10, rax",
    "mov rdi, [rsp]",
    "mov rsi, [rsp + 8]",
    "mov rdx, [rsp + 16]",
    "mov rcx, [rsp + 24]",
    "mov r8, [rsp + 32]",
    "mov r9, [rsp + 40]",
    "mov rax, [rsp + 48]",
    "movaps xmm0, [rsp + 64]",
    "movaps xmm1, [rsp + 80]",
    "movaps xmm2, [rsp + 96]",
    "movaps xmm3, [rsp + 112]",
    "movaps xmm4, [rsp + 128]",
    "movaps xmm5, [rsp + 144]",
    "movaps xmm6, [rsp + 160]",
    "movaps xmm7, [rsp + 176]",
    ".set sidestep_mpi_word, {words}",
    ".rept {words}",
    ".set sidestep_mpi_word, sidestep_mpi_word - 1",
    "push qword ptr [rbp + 16 + 8 * sidestep_mpi_word]",
    ".endr",
    "call r10",
    "lea rsp, [rbp - 192]",
    "mov [rsp], rax",
    "mov [rsp + 8], rdx",
    "movaps [rsp + 64], xmm0",
    "movaps [rsp + 80], xmm1",
    "mov rdi, [rsp + 56]",
    "mov rsi, rbp",
    "call {after}",
    "mov rax, [rsp]",
    "mov rdx, [rsp + 8]",
    "movaps xmm0, [rsp + 64]",
    "movaps xmm1, [rsp + 80]",
    ".cfi_remember_state",
    "leave",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_restore_state",
    // Any number but 0 is an error.
    "3: mov eax, 1",
    "leave",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size sidestep_mpi_enter, . - sidestep_mpi_enter",
    ".popsection",
    is_on = sym causality::IS_ON,
    words = const STACK_WORDS,
    before = sym before,
    after = sym after,
);

const _: () = assert!(STACK_WORDS.is_multiple_of(2), "the stack stays aligned");

/// Before a call: what this process has written is stored. Gives the function.
///
/// # Safety
/// Called by the assembly above, with the door's record and the frame's address.
unsafe extern "C-unwind" fn before(record: &'static Record, frame: u64) -> *mut () {
    let next = record.resolve();
    if next.is_null() || !causality::is_on() || guard::is_inside() {
        return next;
    }
    if causality::has_unstored() {
        let errno = errno::of_program();
        // SAFETY: this thread's own word.
        let kept = unsafe { *errno };
        mount::release();
        // SAFETY: as above.
        unsafe { *errno = kept };
    }
    if record.is_of_files() {
        guard::enter_file_call(frame);
    }
    next
}

/// After a call.
///
/// # Safety
/// As [`before`].
unsafe extern "C-unwind" fn after(record: &'static Record, frame: u64) {
    if record.is_of_files() {
        guard::leave_file_call(frame);
    }
    causality::hear();
}

/// Defines the doors of the functions of these names.
macro_rules! mpi_doors {
    ($($name:ident)*) => {
        $(
            /// The door of MPI's function of this name.
            ///
            /// # Safety
            /// As the function's.
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                std::arch::naked_asm!(
                    "lea r11, [rip + {record}]",
                    "jmp sidestep_mpi_enter",
                    record = sym records::$name,
                )
            }
        )*

        #[allow(non_upper_case_globals)]
        mod records {
            use $crate::doors::mpi::Record;
            $(pub static $name: Record = Record::new(stringify!($name));)*
        }
    };
}
pub(super) use mpi_doors;

//! From a trampoline into Rust and back.
//!
//! The kernel keeps every register but rax, rcx and r11 over a `syscall`, and compilers count on it. So all that Rust
//! may change is saved: the argument registers and xmm0 to xmm15. Callee-saved registers are Rust's own duty. The upper
//! halves of ymm and zmm, which libc's memcpy changes, are not saved: libc is compiled for the x86-64 baseline, so no
//! function of it that makes a system call holds a value there, and its callers don't expect vector registers to
//! survive a function call. A libc for which this is not so is refused ([`super::sites::Found::wide_registers`]).
//!
//! The frame describes itself to an unwinder as if the site had *called* it, so backtraces, and a cancellation that
//! strikes while we are here, go through it to libc's frame.
#![allow(unsafe_code)]

use super::calls::{self, Class};
use super::late;
use crate::cancellation::Cancellation;
use crate::causal;
use crate::dispatch::{self, Call, Verdict, under_us};
use crate::serve;
use house::ground::{causality, guard};
use house::posix::descriptor::entries::{COUNT, ENTRIES, entry};
use house::posix::mount;
use std::sync::atomic::Ordering;

/// What the entry's assembly keeps on the stack.
#[repr(C, align(16))]
pub struct Frame {
    call: Call,
    record: u64,
    vectors: [u128; 16],
}

const _: () = assert!(std::mem::size_of::<Frame>() == 320);

std::arch::global_asm!(
    ".pushsection .text.sidestep_gate, \"ax\", @progbits",
    // The number is only known now. rcx: the record; r11 is the one scratch register.
    ".balign 16",
    ".globl sidestep_gate_lookup",
    ".hidden sidestep_gate_lookup",
    "sidestep_gate_lookup:",
    "cmp rax, {calls}",
    "jae 4f",
    "lea r11, [rip + {classes}]",
    "movzx r11d, byte ptr [r11 + rax]",
    "test r11d, r11d",
    "jz 6f",
    "cmp r11d, {descriptor}",
    "jne 2f",
    // A number with rubbish in its upper half goes to Rust, which looks at the lower half only, as the kernel does.
    "cmp rdi, qword ptr [rip + {descriptors}]",
    "jae sidestep_gate_entry",
    "mov r11, qword ptr [rip + {entries}]",
    "cmp dword ptr [r11 + rdi * 4], 0",
    "jne sidestep_gate_entry",
    // Not ours; but perhaps a word to another process, or from one.
    "4: cmp dword ptr [rip + {is_on}], 0",
    "jne sidestep_gate_causal",
    "6: jmp qword ptr [rcx]",
    "2: cmp r11d, {mapping}",
    "jne 3f",
    "cmp r8, qword ptr [rip + {descriptors}]",
    "jae sidestep_gate_entry",
    "mov r11, qword ptr [rip + {entries}]",
    "cmp dword ptr [r11 + r8 * 4], 0",
    "je 4b",
    "jmp sidestep_gate_entry",
    "3: cmp r11d, {word}",
    "je 4b",
    "cmp r11d, {mask}",
    "jne sidestep_gate_entry",
    "mov r11, qword ptr [rip + sidestep_thread_words@GOTTPOFF]",
    "mov qword ptr fs:[r11 + {mask_word}], 0",
    "jmp 6b",
    // A call that is not ours, in a process with a causal container. rax: its number, which the table has.
    ".balign 16",
    ".globl sidestep_gate_causal",
    ".hidden sidestep_gate_causal",
    "sidestep_gate_causal:",
    "lea r11, [rip + {ways}]",
    "movzx r11d, byte ptr [r11 + rax]",
    "test r11d, r11d",
    "jz 4f",
    "test r11d, {futex}",
    "jz 2f",
    "test esi, {private}",
    "jnz 4f",
    "2: test r11d, {tells}",
    "jz 3f",
    "cmp qword ptr [rip + {unstored}], 0",
    "jne sidestep_gate_entry",
    "3: test r11d, {hears}",
    "jnz sidestep_gate_hear",
    "4: jmp qword ptr [rcx]",
    // A call that hears: made from here, or in the function that has to make it itself, and followed by an acquire. What
    // a library under us makes, or a thread of its own, is left where it is.
    ".balign 16",
    ".type sidestep_gate_hear, @function",
    "sidestep_gate_hear:",
    ".cfi_startproc",
    ".cfi_def_cfa rsp, 0",
    "mov r11, qword ptr [rip + sidestep_thread_words@GOTTPOFF]",
    "cmp qword ptr fs:[r11], 0",
    "jne 4f",
    "cmp qword ptr fs:[r11 + {library_word}], 0",
    "jne 4f",
    "cmp qword ptr [rcx + 24], 0",
    "jne 5f",
    "lea rsp, [rsp - 128]", // the red zone
    ".cfi_adjust_cfa_offset 128",
    "push qword ptr [rcx + 16]",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset rip, -136",
    "push rcx",
    ".cfi_adjust_cfa_offset 8",
    "syscall",
    "mov dword ptr [rip + {heard}], 1",
    "pop rcx",
    ".cfi_adjust_cfa_offset -8",
    "lea rsp, [rsp + 136]",
    ".cfi_adjust_cfa_offset -136",
    ".cfi_offset rip, -8",
    "jmp qword ptr [rcx + 8]",
    "4: jmp qword ptr [rcx]",
    // glibc from 2.41 on: a cancellation strikes only while the thread is between two addresses of its function, which
    // returns right behind the call. So it is called from here, with the word that it keeps above its return address.
    "5:",
    ".cfi_def_cfa rsp, 8",
    "mov r11, [rsp + 8]",
    "push r11",
    ".cfi_def_cfa_offset 16",
    "lea r11, [rip + 6f]",
    "push r11",
    ".cfi_def_cfa_offset 24",
    "jmp qword ptr [rcx]",
    // An unwinder looks at the instruction before the return address.
    ".cfi_def_cfa_offset 16",
    "nop",
    "6:",
    "mov dword ptr [rip + {heard}], 1",
    "lea rsp, [rsp + 8]",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    ".size sidestep_gate_hear, . - sidestep_gate_hear",
    // rcx: the record.
    ".globl sidestep_gate_entry",
    ".hidden sidestep_gate_entry",
    ".type sidestep_gate_entry, @function",
    "sidestep_gate_entry:",
    ".cfi_startproc",
    ".cfi_def_cfa rsp, 0",
    "lea rsp, [rsp - 128]", // the red zone
    ".cfi_adjust_cfa_offset 128",
    "push qword ptr [rcx + 16]",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset rip, -136",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_offset rbp, -144",
    "mov rbp, rsp",
    ".cfi_def_cfa rbp, 144",
    "sub rsp, 320",
    "and rsp, -16",
    "mov [rsp], rax",
    "mov [rsp + 8], rdi",
    "mov [rsp + 16], rsi",
    "mov [rsp + 24], rdx",
    "mov [rsp + 32], r10",
    "mov [rsp + 40], r8",
    "mov [rsp + 48], r9",
    "mov [rsp + 56], rcx",
    "movaps [rsp + 64], xmm0",
    "movaps [rsp + 80], xmm1",
    "movaps [rsp + 96], xmm2",
    "movaps [rsp + 112], xmm3",
    "movaps [rsp + 128], xmm4",
    "movaps [rsp + 144], xmm5",
    "movaps [rsp + 160], xmm6",
    "movaps [rsp + 176], xmm7",
    "movaps [rsp + 192], xmm8",
    "movaps [rsp + 208], xmm9",
    "movaps [rsp + 224], xmm10",
    "movaps [rsp + 240], xmm11",
    "movaps [rsp + 256], xmm12",
    "movaps [rsp + 272], xmm13",
    "movaps [rsp + 288], xmm14",
    "movaps [rsp + 304], xmm15",
    "mov rdi, rsp",
    "call {serve}",
    "movaps xmm0, [rsp + 64]",
    "movaps xmm1, [rsp + 80]",
    "movaps xmm2, [rsp + 96]",
    "movaps xmm3, [rsp + 112]",
    "movaps xmm4, [rsp + 128]",
    "movaps xmm5, [rsp + 144]",
    "movaps xmm6, [rsp + 160]",
    "movaps xmm7, [rsp + 176]",
    "movaps xmm8, [rsp + 192]",
    "movaps xmm9, [rsp + 208]",
    "movaps xmm10, [rsp + 224]",
    "movaps xmm11, [rsp + 240]",
    "movaps xmm12, [rsp + 256]",
    "movaps xmm13, [rsp + 272]",
    "movaps xmm14, [rsp + 288]",
    "movaps xmm15, [rsp + 304]",
    "mov rcx, [rsp + 56]",
    "mov r11, [rcx]",
    "test eax, eax",
    "jz 4f",
    "mov r11, [rcx + 8]",
    "cmp eax, 1",
    "je 4f",
    "lea r11, [rip + sidestep_gate_hear]",
    "4:",
    "mov rax, [rsp]", // the number as it was, or the result
    "mov rdi, [rsp + 8]",
    "mov rsi, [rsp + 16]",
    "mov rdx, [rsp + 24]",
    "mov r10, [rsp + 32]",
    "mov r8, [rsp + 40]",
    "mov r9, [rsp + 48]",
    "mov rsp, rbp",
    ".cfi_def_cfa rsp, 144",
    "pop rbp",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbp",
    "lea rsp, [rsp + 136]",
    "jmp r11",
    ".cfi_endproc",
    ".size sidestep_gate_entry, . - sidestep_gate_entry",
    ".popsection",
    calls = const calls::CALLS_COUNT,
    classes = sym calls::CLASSES,
    descriptor = const Class::Descriptor as u32,
    mapping = const Class::Mapping as u32,
    mask = const Class::Mask as u32,
    word = const Class::Word as u32,
    is_on = sym causality::IS_ON,
    heard = sym causality::HAS_HEARD,
    unstored = sym causality::UNSTORED,
    ways = sym causal::WAYS,
    tells = const causal::TELLS,
    hears = const causal::HEARS,
    futex = const causal::FUTEX,
    private = const causal::FUTEX_PRIVATE,
    library_word = const 8 * guard::LIBRARY_WORD_INDEX,
    mask_word = const 8 * guard::MASK_WORD_INDEX,
    descriptors = sym COUNT,
    entries = sym ENTRIES,
    serve = sym enter,
);

unsafe extern "C" {
    fn sidestep_gate_entry();
    fn sidestep_gate_lookup();
    fn sidestep_gate_causal();
}

/// Where a trampoline goes with a call that may be ours.
pub fn entry_address() -> usize {
    sidestep_gate_entry as *const () as usize
}

/// Where a trampoline goes whose site's number is not known before it runs.
pub fn lookup_address() -> usize {
    sidestep_gate_lookup as *const () as usize
}

/// Where a trampoline goes with a call that is not ours, where a causal container is connected.
pub fn causal_address() -> usize {
    sidestep_gate_causal as *const () as usize
}

/// Whether a descriptor is ours. Only the lower half counts, as for the kernel.
fn is_ours(descriptor: u64) -> bool {
    entry(descriptor as i32).is_some_and(|entry| entry.load(Ordering::Relaxed) != 0)
}

/// Serves a call from a site. 0: the kernel does it; 1: done, with the result where the number was; 2: the kernel does it,
/// and this process may hear something by it.
///
/// # Safety
/// Called by the assembly above with the frame that it built.
unsafe extern "C-unwind" fn enter(frame: *mut Frame) -> u64 {
    // SAFETY: by the caller's word; nobody else knows the frame.
    let frame = unsafe { &mut *frame };
    let mut call = frame.call.copied_by_words();
    if let Some(result) = late::look(frame.record, &call) {
        frame.call.number = result as u64;
        return 1;
    }
    let goes_on = match calls::class(call.number) {
        Class::Descriptor => is_ours(call.arguments[0]),
        Class::Mapping => is_ours(call.arguments[4]),
        // What a library under us asks of the kernel by path is its own business.
        // Whoever sets a signal's handler, ours must know.
        Class::Always if call.number == libc::SYS_rt_sigaction as u64 => true,
        // A thread's very end: nothing of its own is to be touched any more.
        Class::Always if call.number == libc::SYS_exit as u64 => {
            dispatch::before_thread_exit();
            false
        }
        Class::Always => !guard::is_inside() || guard::is_in_library() && calls::makes_descriptors(call.number),
        Class::Making => guard::is_in_library(),
        Class::Mask | Class::Word | Class::Alone => false,
    };
    if !goes_on {
        under_us::note_thread(&call);
        return left_to_kernel(&call);
    }
    // Nothing here has a destructor: releasing may unwind the thread, which then leaves as from libc's own frame.
    let cancellation = Cancellation::hold();
    // SAFETY: the call is the application's.
    let verdict = unsafe { serve::serve(&mut call) };
    let result = match verdict {
        Verdict::Done(value) => Some(value),
        Verdict::Pass if call == frame.call => None,
        Verdict::Pass if calls::runs_in_place(call.number) => {
            frame.call = call;
            None
        }
        // Compilers count on the argument registers after the call, so changed ones never reach the site.
        // SAFETY: the dispatcher vouches for the arguments it changed.
        Verdict::Pass => Some(unsafe { serve::kernel(&call) }),
    };
    cancellation.release();
    match result {
        Some(value) => {
            frame.call.number = value as u64;
            1
        }
        None => left_to_kernel(&call),
    }
}

/// Before the kernel does a call at its own site: what is due where it tells or hears. Nothing here has a destructor.
fn left_to_kernel(call: &Call) -> u64 {
    if causal::has_to_store(call) {
        let cancellation = Cancellation::hold();
        mount::release();
        cancellation.release();
    }
    if causal::hears(call) { 2 } else { 0 }
}

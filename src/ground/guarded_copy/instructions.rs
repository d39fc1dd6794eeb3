//! The instructions of a guarded copy, and where each of them goes on when it faults.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU8;

/// The smallest page.
pub const PAGE_BYTES: usize = 4096;

/// What the processor is good at: [`HAS_WIDE`], [`HAS_WIDEST`], [`HAS_FAST_STRINGS`]. Read by the assembly.
pub static ABILITIES: AtomicU8 = AtomicU8::new(0);

/// AVX: 32 bytes at a time.
pub const HAS_WIDE: u8 = 1;

/// `rep movsb` is fast for long copies.
pub const HAS_FAST_STRINGS: u8 = 2;

/// AVX-512: 64 bytes at a time.
pub const HAS_WIDEST: u8 = 4;

/// From here on `rep movsb` is faster than a loop, by glibc's own tuning: with 64 bytes at a time later than with less.
const FAST_STRINGS_BYTES_MIN: usize = 2112;
const FAST_STRINGS_BYTES_MIN_BESIDE_WIDEST: usize = 8192;

// What `sidestep_guarded_copy` has not changed when it faults are its three arguments: so a fault in the fast part
// goes on at `exact`, which does it again byte by byte and ends where it can't go on. Nothing here has a frame.
std::arch::global_asm!(
    ".pushsection .text.sidestep_guarded, \"ax\", @progbits",
    ".balign 16",
    ".hidden sidestep_guarded_copy",
    ".globl sidestep_guarded_copy",
    ".type sidestep_guarded_copy, @function",
    // rdi: target, rsi: source, rdx: bytes. rax: bytes that were not copied; then rdx: the address that is not there.
    "sidestep_guarded_copy:",
    ".cfi_startproc",
    ".hidden sidestep_guarded_fast_begin",
    ".globl sidestep_guarded_fast_begin",
    "sidestep_guarded_fast_begin:",
    "xor eax, eax",
    "cmp rdx, 16",
    "jb 5f",
    "cmp rdx, 32",
    "ja 2f",
    "movups xmm0, [rsi]",
    "movups xmm1, [rsi + rdx - 16]",
    "movups [rdi], xmm0",
    "movups [rdi + rdx - 16], xmm1",
    "ret",
    "2:",
    "cmp rdx, 64",
    "ja 3f",
    "movups xmm0, [rsi]",
    "movups xmm1, [rsi + 16]",
    "movups xmm2, [rsi + rdx - 32]",
    "movups xmm3, [rsi + rdx - 16]",
    "movups [rdi], xmm0",
    "movups [rdi + 16], xmm1",
    "movups [rdi + rdx - 32], xmm2",
    "movups [rdi + rdx - 16], xmm3",
    "ret",
    "3:",
    "movzx ecx, byte ptr [rip + {abilities}]",
    "test cl, {widest}",
    "jnz 9f",
    "cmp rdx, {long}",
    "jb 4f",
    "test cl, {strings}",
    "jnz sidestep_guarded_exact",
    "4:",
    "lea r8, [rdx - 64]",
    "test cl, {wide}",
    "mov ecx, 0",
    "jz 8f",
    "7:",
    "vmovdqu ymm0, [rsi + rcx]",
    "vmovdqu ymm1, [rsi + rcx + 32]",
    "vmovdqu [rdi + rcx], ymm0",
    "vmovdqu [rdi + rcx + 32], ymm1",
    "add rcx, 64",
    "cmp rcx, r8",
    "jb 7b",
    "vmovdqu ymm0, [rsi + r8]",
    "vmovdqu ymm1, [rsi + r8 + 32]",
    "vmovdqu [rdi + r8], ymm0",
    "vmovdqu [rdi + r8 + 32], ymm1",
    "vzeroupper",
    "ret",
    "8:",
    "movups xmm0, [rsi + rcx]",
    "movups xmm1, [rsi + rcx + 16]",
    "movups xmm2, [rsi + rcx + 32]",
    "movups xmm3, [rsi + rcx + 48]",
    "movups [rdi + rcx], xmm0",
    "movups [rdi + rcx + 16], xmm1",
    "movups [rdi + rcx + 32], xmm2",
    "movups [rdi + rcx + 48], xmm3",
    "add rcx, 64",
    "cmp rcx, r8",
    "jb 8b",
    "movups xmm0, [rsi + r8]",
    "movups xmm1, [rsi + r8 + 16]",
    "movups xmm2, [rsi + r8 + 32]",
    "movups xmm3, [rsi + r8 + 48]",
    "movups [rdi + r8], xmm0",
    "movups [rdi + r8 + 16], xmm1",
    "movups [rdi + r8 + 32], xmm2",
    "movups [rdi + r8 + 48], xmm3",
    "ret",
    "9:",
    "cmp rdx, 256",
    "jb 4b",
    "cmp rdx, {longer}",
    "jb 2f",
    "test cl, {strings}",
    "jnz sidestep_guarded_exact",
    "2:",
    "lea r8, [rdx - 256]",
    "xor ecx, ecx",
    "3:",
    "vmovdqu64 zmm0, [rsi + rcx]",
    "vmovdqu64 zmm1, [rsi + rcx + 64]",
    "vmovdqu64 zmm2, [rsi + rcx + 128]",
    "vmovdqu64 zmm3, [rsi + rcx + 192]",
    "vmovdqu64 [rdi + rcx], zmm0",
    "vmovdqu64 [rdi + rcx + 64], zmm1",
    "vmovdqu64 [rdi + rcx + 128], zmm2",
    "vmovdqu64 [rdi + rcx + 192], zmm3",
    "add rcx, 256",
    "cmp rcx, r8",
    "jb 3b",
    "vmovdqu64 zmm0, [rsi + r8]",
    "vmovdqu64 zmm1, [rsi + r8 + 64]",
    "vmovdqu64 zmm2, [rsi + r8 + 128]",
    "vmovdqu64 zmm3, [rsi + r8 + 192]",
    "vmovdqu64 [rdi + r8], zmm0",
    "vmovdqu64 [rdi + r8 + 64], zmm1",
    "vmovdqu64 [rdi + r8 + 128], zmm2",
    "vmovdqu64 [rdi + r8 + 192], zmm3",
    "vzeroupper",
    "ret",
    "5:",
    "cmp edx, 8",
    "jb 6f",
    "mov r8, [rsi]",
    "mov r9, [rsi + rdx - 8]",
    "mov [rdi], r8",
    "mov [rdi + rdx - 8], r9",
    "ret",
    "6:",
    "cmp edx, 4",
    "jb 7f",
    "mov r8d, [rsi]",
    "mov r9d, [rsi + rdx - 4]",
    "mov [rdi], r8d",
    "mov [rdi + rdx - 4], r9d",
    "ret",
    "7:",
    "test edx, edx",
    "jz 8f",
    "movzx r8d, byte ptr [rsi]",
    "movzx r9d, byte ptr [rsi + rdx - 1]",
    "mov rcx, rdx",
    "shr rcx",
    "movzx r10d, byte ptr [rsi + rcx]",
    "mov [rdi], r8b",
    "mov [rdi + rcx], r10b",
    "mov [rdi + rdx - 1], r9b",
    "8:",
    "ret",
    ".hidden sidestep_guarded_exact",
    ".globl sidestep_guarded_exact",
    "sidestep_guarded_exact:",
    "mov rcx, rdx",
    ".hidden sidestep_guarded_exact_begin",
    ".globl sidestep_guarded_exact_begin",
    "sidestep_guarded_exact_begin:",
    "rep movsb",
    ".hidden sidestep_guarded_exact_end",
    ".globl sidestep_guarded_exact_end",
    "sidestep_guarded_exact_end:",
    "mov rax, rcx",
    "ret",
    ".cfi_endproc",
    ".size sidestep_guarded_copy, . - sidestep_guarded_copy",
    // rdi: target, esi: the byte, rdx: bytes. rax: bytes that were not set.
    ".balign 16",
    ".hidden sidestep_guarded_fill",
    ".globl sidestep_guarded_fill",
    ".type sidestep_guarded_fill, @function",
    "sidestep_guarded_fill:",
    ".cfi_startproc",
    "mov eax, esi",
    "mov rcx, rdx",
    ".hidden sidestep_guarded_fill_begin",
    ".globl sidestep_guarded_fill_begin",
    "sidestep_guarded_fill_begin:",
    "rep stosb",
    ".hidden sidestep_guarded_fill_end",
    ".globl sidestep_guarded_fill_end",
    "sidestep_guarded_fill_end:",
    "mov rax, rcx",
    "ret",
    ".cfi_endproc",
    ".size sidestep_guarded_fill, . - sidestep_guarded_fill",
    // rdi: start, rsi: bytes, at least 1. Reads a byte of each page. rax: the address that is not there, or the end.
    ".balign 16",
    ".hidden sidestep_guarded_touch",
    ".globl sidestep_guarded_touch",
    ".type sidestep_guarded_touch, @function",
    "sidestep_guarded_touch:",
    ".cfi_startproc",
    "mov rax, rdi",
    "lea rdx, [rdi + rsi]",
    ".hidden sidestep_guarded_touch_begin",
    ".globl sidestep_guarded_touch_begin",
    "sidestep_guarded_touch_begin:",
    "2:",
    "movzx ecx, byte ptr [rax]",
    "or rax, {page} - 1",
    "inc rax",
    "cmp rax, rdx",
    "jb 2b",
    "mov rax, rdx",
    ".hidden sidestep_guarded_touch_end",
    ".globl sidestep_guarded_touch_end",
    "sidestep_guarded_touch_end:",
    "ret",
    ".cfi_endproc",
    ".size sidestep_guarded_touch, . - sidestep_guarded_touch",
    // The same, for writing: adds nothing to a byte of each page, in one step against other threads.
    ".balign 16",
    ".hidden sidestep_guarded_claim",
    ".globl sidestep_guarded_claim",
    ".type sidestep_guarded_claim, @function",
    "sidestep_guarded_claim:",
    ".cfi_startproc",
    "mov rax, rdi",
    "lea rdx, [rdi + rsi]",
    ".hidden sidestep_guarded_claim_begin",
    ".globl sidestep_guarded_claim_begin",
    "sidestep_guarded_claim_begin:",
    "2:",
    "lock or byte ptr [rax], 0",
    "or rax, {page} - 1",
    "inc rax",
    "cmp rax, rdx",
    "jb 2b",
    "mov rax, rdx",
    ".hidden sidestep_guarded_claim_end",
    ".globl sidestep_guarded_claim_end",
    "sidestep_guarded_claim_end:",
    "ret",
    ".cfi_endproc",
    ".size sidestep_guarded_claim, . - sidestep_guarded_claim",
    // rdi: a C string. rsi: how many bytes are looked at. rax: its length, or rsi; -1 where it is not there. Aligned
    // reads of 16 bytes lie in one page, so none reaches past the NUL into memory that is another's.
    ".balign 16",
    ".hidden sidestep_guarded_length",
    ".globl sidestep_guarded_length",
    ".type sidestep_guarded_length, @function",
    "sidestep_guarded_length:",
    ".cfi_startproc",
    "mov rdx, rdi",
    "and rdx, -16",
    "mov ecx, edi",
    "and ecx, 15",
    "pxor xmm0, xmm0",
    "xor r8d, r8d",
    "sub r8, rcx",
    ".hidden sidestep_guarded_length_begin",
    ".globl sidestep_guarded_length_begin",
    "sidestep_guarded_length_begin:",
    "movdqa xmm1, [rdx]",
    "pcmpeqb xmm1, xmm0",
    "pmovmskb eax, xmm1",
    "shr eax, cl",
    "shl eax, cl",
    "test eax, eax",
    "jnz 4f",
    "2:",
    "add r8, 16",
    "cmp r8, rsi",
    "jge 3f",
    "add rdx, 16",
    "movdqa xmm1, [rdx]",
    ".hidden sidestep_guarded_length_end",
    ".globl sidestep_guarded_length_end",
    "sidestep_guarded_length_end:",
    "pcmpeqb xmm1, xmm0",
    "pmovmskb eax, xmm1",
    "test eax, eax",
    "jz 2b",
    "4:",
    "bsf eax, eax",
    "add rax, r8",
    "cmp rax, rsi",
    "cmova rax, rsi",
    "ret",
    "3:",
    "mov rax, rsi",
    "ret",
    ".hidden sidestep_guarded_no_length",
    ".globl sidestep_guarded_no_length",
    "sidestep_guarded_no_length:",
    "mov rax, -1",
    "ret",
    ".cfi_endproc",
    ".size sidestep_guarded_length, . - sidestep_guarded_length",
    ".popsection",
    abilities = sym ABILITIES,
    long = const FAST_STRINGS_BYTES_MIN,
    longer = const FAST_STRINGS_BYTES_MIN_BESIDE_WIDEST,
    wide = const HAS_WIDE,
    widest = const HAS_WIDEST,
    strings = const HAS_FAST_STRINGS,
    page = const PAGE_BYTES,
);

unsafe extern "C" {
    static sidestep_guarded_fast_begin: u8;
    static sidestep_guarded_exact: u8;
    static sidestep_guarded_exact_begin: u8;
    static sidestep_guarded_exact_end: u8;
    static sidestep_guarded_fill_begin: u8;
    static sidestep_guarded_fill_end: u8;
    static sidestep_guarded_touch_begin: u8;
    static sidestep_guarded_touch_end: u8;
    static sidestep_guarded_claim_begin: u8;
    static sidestep_guarded_claim_end: u8;
    static sidestep_guarded_length_begin: u8;
    static sidestep_guarded_length_end: u8;
    static sidestep_guarded_no_length: u8;
    /// Sets bytes; gives how many were not set.
    pub fn sidestep_guarded_fill(target: *mut u8, byte: u32, length: usize) -> usize;
    /// Reads a byte of each page; gives the address that is not there, or the end.
    pub fn sidestep_guarded_touch(start: *const u8, length: usize) -> usize;
    /// The same, for writing.
    pub fn sidestep_guarded_claim(start: *mut u8, length: usize) -> usize;
    /// The length of a C string, or the bound; all ones where it is not there.
    pub fn sidestep_guarded_length(start: *const u8, length_max: usize) -> usize;
}

/// Where a thread goes on whose instruction met memory that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// Here, with its registers as they are.
    Again(usize),
    /// Here, with the address that is not there in rdx.
    Told(usize),
}

/// The landing of the instruction at `at`; `None` for one that is not of these.
pub fn landing(at: usize) -> Option<Landing> {
    let is_between = |begin: *const u8, end: *const u8| (begin as usize..end as usize).contains(&at);
    let here = |mark: *const u8| mark as usize;
    if is_between(&raw const sidestep_guarded_fast_begin, &raw const sidestep_guarded_exact) {
        return Some(Landing::Again(here(&raw const sidestep_guarded_exact)));
    }
    let told = if is_between(&raw const sidestep_guarded_exact_begin, &raw const sidestep_guarded_exact_end) {
        &raw const sidestep_guarded_exact_end
    } else if is_between(&raw const sidestep_guarded_fill_begin, &raw const sidestep_guarded_fill_end) {
        &raw const sidestep_guarded_fill_end
    } else if is_between(&raw const sidestep_guarded_touch_begin, &raw const sidestep_guarded_touch_end) {
        &raw const sidestep_guarded_touch_end
    } else if is_between(&raw const sidestep_guarded_claim_begin, &raw const sidestep_guarded_claim_end) {
        &raw const sidestep_guarded_claim_end
    } else if is_between(&raw const sidestep_guarded_length_begin, &raw const sidestep_guarded_length_end) {
        &raw const sidestep_guarded_no_length
    } else {
        return None;
    };
    Some(Landing::Told(here(told)))
}

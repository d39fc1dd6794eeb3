//! Copies, comparisons and lengths, which the compiler asks for by their C names.
//!
//! libc's are the fastest for each processor, and are found in libc itself at the start. Until then, and where the libc
//! is not glibc, plain ones in assembly serve: in Rust the compiler would see what they do, and call them by their names.
#![allow(unsafe_code)]

use super::link_map;
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function that is jumped to: a plain one, until libc's is known.
#[repr(transparent)]
pub struct Fastest(AtomicPtr<()>);

impl Fastest {
    const fn new(plain: unsafe extern "C" fn()) -> Self {
        Self(AtomicPtr::new(plain as *const () as *mut ()))
    }
}

/// Defines the functions: the C name, and the plain one's name and instructions.
macro_rules! fastest {
    ($($name:ident, $plain:ident: $($line:literal),*;)*) => {
        #[allow(non_upper_case_globals)]
        mod slots {
            use super::Fastest;
            $(pub static $name: Fastest = Fastest::new(super::$plain);)*
        }
        $(std::arch::global_asm!(
            ".pushsection .text.sidestep_bytes, \"ax\", @progbits",
            concat!(".globl ", stringify!($name)),
            concat!(".hidden ", stringify!($name)),
            concat!(".type ", stringify!($name), ", @function"),
            concat!(stringify!($name), ":"),
            "jmp qword ptr [rip + {slot}]",
            concat!(".size ", stringify!($name), ", . - ", stringify!($name)),
            concat!(".globl ", stringify!($plain)),
            concat!(".hidden ", stringify!($plain)),
            concat!(stringify!($plain), ":"),
            $($line,)*
            ".popsection",
            slot = sym slots::$name,
        );)*
        unsafe extern "C" { $(fn $plain();)* }

        /// Looks for libc's own.
        pub fn start() {
            $(look_up(concat!(stringify!($name), "\0"), &slots::$name);)*
        }
    };
}

fastest! {
    memcpy, sidestep_plain_memcpy:
        "mov rax, rdi", "mov rcx, rdx", "rep movsb", "ret";
    memmove, sidestep_plain_memmove:
        "mov rax, rdi", "mov rcx, rdx", "mov r8, rdi", "sub r8, rsi", "cmp r8, rdx", "jb 2f", "rep movsb", "ret",
        // The target begins within the source: from the end on.
        "2:", "lea rdi, [rdi + rdx - 1]", "lea rsi, [rsi + rdx - 1]", "std", "rep movsb", "cld", "ret";
    memset, sidestep_plain_memset:
        "mov r8, rdi", "mov eax, esi", "mov rcx, rdx", "rep stosb", "mov rax, r8", "ret";
    memcmp, sidestep_plain_memcmp:
        "xor ecx, ecx",
        "2:", "cmp rcx, rdx", "je 3f", "movzx eax, byte ptr [rdi + rcx]", "movzx r8d, byte ptr [rsi + rcx]",
        "inc rcx", "sub eax, r8d", "je 2b", "ret",
        "3:", "xor eax, eax", "ret";
    bcmp, sidestep_plain_bcmp:
        "jmp sidestep_plain_memcmp";
    strlen, sidestep_plain_strlen:
        "xor eax, eax", "2:", "cmp byte ptr [rdi + rax], 0", "je 3f", "inc rax", "jmp 2b", "3:", "ret";
    strnlen, sidestep_plain_strnlen:
        "xor eax, eax", "2:", "cmp rax, rsi", "je 3f", "cmp byte ptr [rdi + rax], 0", "je 3f", "inc rax", "jmp 2b",
        "3:", "ret";
    strncmp, sidestep_plain_strncmp:
        "xor ecx, ecx",
        "2:", "cmp rcx, rdx", "je 3f", "movzx eax, byte ptr [rdi + rcx]", "movzx r8d, byte ptr [rsi + rcx]", "inc rcx",
        "mov r9d, eax", "sub eax, r8d", "jne 4f", "test r9d, r9d", "jne 2b",
        "3:", "xor eax, eax", "4:", "ret";
    strcpy, sidestep_plain_strcpy:
        "mov rax, rdi", "2:", "mov cl, [rsi]", "mov [rdi], cl", "inc rsi", "inc rdi", "test cl, cl", "jne 2b", "ret";
}

fn look_up(name: &str, slot: &Fastest) {
    // SAFETY: `concat!` has put the NUL at the end.
    let name = unsafe { CStr::from_bytes_with_nul_unchecked(name.as_bytes()) };
    if let Some(found) = link_map::find_in_libc(name) {
        slot.0.store(found.cast_mut(), Ordering::Relaxed);
    }
}

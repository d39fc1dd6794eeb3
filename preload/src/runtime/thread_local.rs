//! Thread-local variables of the library's own: at a fixed distance from the thread pointer, for a preloaded library has
//! its place there from the start. libc's `__tls_get_addr` may allocate, and sanitizers export one of their own.

// Takes what the linker laid down for one variable (module and offset); the module is always this library. The distance
// of one variable from the thread pointer, less its offset, is that of the library's whole block.
std::arch::global_asm!(
    ".pushsection .text.sidestep_runtime.__tls_get_addr, \"ax\", @progbits",
    ".globl __tls_get_addr",
    ".hidden __tls_get_addr",
    ".type __tls_get_addr, @function",
    "__tls_get_addr:",
    "mov rax, qword ptr [rip + sidestep_errno@GOTTPOFF]",
    "add rax, qword ptr fs:[0]",
    "sub rax, qword ptr [rip + sidestep_errno_offset]",
    "add rax, qword ptr [rdi + 8]",
    "ret",
    ".size __tls_get_addr, . - __tls_get_addr",
    ".popsection",
    ".pushsection .rodata.sidestep_errno_offset, \"a\", @progbits",
    ".balign 8",
    "sidestep_errno_offset: .quad sidestep_errno@DTPOFF",
    ".popsection",
);

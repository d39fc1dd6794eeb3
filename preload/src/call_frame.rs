//! The frame in which assembly keeps a C call's registers while it asks Rust something: r11, which says whose call it is, the
//! six argument registers, and rax, by which a variadic function is told of its vector registers.

/// Opens the frame, of `$bytes` (64 at least, a multiple of 16): `[rsp]` is r11, the arguments follow.
macro_rules! save_call {
    ($bytes:literal) => {
        concat!(
            "push rbp\n.cfi_def_cfa_offset 16\n.cfi_offset rbp, -16\n",
            "mov rbp, rsp\n.cfi_def_cfa_register rbp\n",
            "sub rsp, ",
            $bytes,
            "\nmov [rsp], r11\nmov [rsp + 8], rdi\nmov [rsp + 16], rsi\nmov [rsp + 24], rdx\n",
            "mov [rsp + 32], rcx\nmov [rsp + 40], r8\nmov [rsp + 48], r9\nmov [rsp + 56], rax\n",
        )
    };
}

/// Gives the registers back and closes the frame: the next instruction is a jump to whoever the call is for.
macro_rules! restore_call {
    () => {
        concat!(
            "mov r11, [rsp]\nmov rdi, [rsp + 8]\nmov rsi, [rsp + 16]\nmov rdx, [rsp + 24]\n",
            "mov rcx, [rsp + 32]\nmov r8, [rsp + 40]\nmov r9, [rsp + 48]\nmov rax, [rsp + 56]\n",
            "leave\n.cfi_def_cfa rsp, 8\n",
        )
    };
}

pub(crate) use {restore_call, save_call};

//! How a hidden C symbol is defined.

/// Defines hidden C symbols that are functions of ours: what the rest of the library is linked with. Each has a section
/// of its own, so that the linker drops those that nobody refers to.
macro_rules! provide {
    ($($name:literal = $function:path;)*) => {
        $(std::arch::global_asm!(
            concat!(".pushsection .text.sidestep_runtime.", $name, ", \"ax\", @progbits"),
            concat!(".globl ", $name),
            concat!(".hidden ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            "jmp {function}",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            function = sym $function,
        );)*
    };
}
pub(super) use provide;

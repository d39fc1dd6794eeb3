//! How libsidestep.so is linked. Each choice was measured with `posix_spawn` and wait of `true`.

use std::path::PathBuf;

/// C functions that the library exports as doors and also calls itself: its own calls go to `src/runtime` instead.
const WRAPPED: &[&str] = &[
    "dlsym",
    "open",
    "open64",
    "openat64",
    "close",
    "read",
    "write",
    "readv",
    "writev",
    "pread",
    "pread64",
    "pwrite",
    "pwrite64",
    "lseek",
    "lseek64",
    "fstat",
    "fstat64",
    "stat64",
    "lstat64",
    "fstatat64",
    "statx",
    "fcntl",
    "ioctl",
    "fsync",
    "fdatasync",
    "ftruncate",
    "ftruncate64",
    "fstatfs",
    "readlink",
    "mkdir",
    "unlink",
    "unlinkat",
    "rmdir",
    "rename",
    "dup2",
    "chdir",
    "chmod",
    "copy_file_range",
    "preadv",
    "pwritev",
    "getcwd",
];

/// The libraries that rustc asks for. The linker finds empty ones: `src/runtime` has what is referred to.
const NOT_LINKED: &[&str] = &["c", "m", "rt", "dl", "util", "pthread"];

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let directory = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Rust asks for libgcc_s.so.1, which the dynamic linker then loads into every process. The unwinder that Rust's
    // panics need is in libgcc_eh.a just as well. This is found first.
    std::fs::write(directory.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
    for library in NOT_LINKED {
        std::fs::write(directory.join(format!("lib{library}.so")), "/* Nothing. */\n")?;
    }
    println!("cargo::rustc-link-search=native={}", directory.display());
    for name in WRAPPED {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--wrap={name}");
    }
    for argument in [
        // crtbeginS.o and its like refer weakly to what other objects may export.
        "-nostartfiles",
        // What nobody here defines is a fault now, and not when a program starts.
        "-Wl,-z,defs",
        // Before all other constructors, which may open files.
        "-Wl,-z,initfirst",
        "-Wl,-z,nodelete",
        // Calls among our own functions need no look-up.
        "-Wl,-Bsymbolic",
        "-Wl,--hash-style=gnu",
        "-Wl,-z,start-stop-visibility=hidden",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    Ok(())
}

//! How libsidestep.so is linked. Each choice was measured with `posix_spawn` and wait of `true`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let directory = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Rust asks for libgcc_s.so.1, which the dynamic linker then loads into every process. The unwinder that Rust's
    // panics need is in libgcc_eh.a just as well. This is found first.
    std::fs::write(directory.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
    println!("cargo::rustc-link-search=native={}", directory.display());
    for argument in [
        // Calls among our own functions need no look-up.
        "-Wl,-Bsymbolic",
        "-Wl,--hash-style=gnu",
        "-Wl,-z,start-stop-visibility=hidden",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    Ok(())
}

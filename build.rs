//! With the feature `bindgen`: makes the bindings of `include/sidestep_daos.h` anew, in `OUT_DIR`, where
//! `tests/daos_abi.rs` compares them with the committed ones; `SIDESTEP_WRITE_BINDINGS=1` replaces those. A plain build
//! needs none of it: neither libclang nor DAOS.

#[cfg(feature = "bindgen")]
#[path = "tests/daos_abi/checksum.rs"]
mod checksum;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=include");
    println!("cargo::rerun-if-env-changed=SIDESTEP_WRITE_BINDINGS");
    #[cfg(feature = "bindgen")]
    generate::bindings();
}

#[cfg(feature = "bindgen")]
mod generate {
    use std::path::PathBuf;
    use std::process::Command;

    /// The file's own words. The C names stay as they are: a reader looks for them in DAOS's documentation.
    const TOP: &str = "\
//! Made of `include/sidestep_daos.h` by `build.rs`: change it there, and then
//! `SIDESTEP_WRITE_BINDINGS=1 cargo check --features bindgen`.
#![allow(unsafe_code, non_camel_case_types, clippy::pedantic)]
";

    /// Both files' beginning, with what tells without libclang that they are of these declarations.
    fn top() -> String {
        let checksum = crate::checksum::of_declarations(std::path::Path::new("."));
        TOP.replace("#!", &format!("//!\n//! {checksum}\n#!"))
    }

    /// What the table takes from elsewhere; from the `libc` crate, so that these are the types that other code has.
    const FOR_CALLS: &str = "
use super::types::*;
use core::ffi::{c_char, c_int, c_uint, c_void};
use libc::{dirent, gid_t, mode_t, stat, timespec, uid_t};

";

    /// Where the table of calls begins: types and calls are a file each.
    const TABLE_BEGINS: &str = "/// Every call";

    pub fn bindings() {
        let mut builder = bindgen::Builder::default()
            .header("include/sidestep_daos.h")
            .allowlist_type("sidestep_daos_calls")
            .allowlist_type("dfs_attr_t|dfs_obj_info_t|daos_.*|d_.*")
            .blocklist_type("stat|dirent|mode_t|uid_t|gid_t|__.*|timespec")
            .use_core()
            .default_enum_style(bindgen::EnumVariation::ModuleConsts)
            .layout_tests(false)
            .generate_comments(true)
            .disable_header_comment()
            .formatter(bindgen::Formatter::None);
        // libclang comes without the compiler's own headers; the C compiler has them.
        if let Some(directory) = compiler_headers() {
            builder = builder.clang_arg("-isystem").clang_arg(directory);
        }
        let bindings = builder.generate().expect("libclang reads the declarations");
        let text = with_comments(&bindings.to_string());
        let (types, table) = text.split_once(TABLE_BEGINS).expect("the table comes last");
        write("types.rs", &format!("{}\nuse core::ffi::{{c_char, c_int, c_void}};\n\n{types}", top()));
        write("calls.rs", &format!("{}{FOR_CALLS}{TABLE_BEGINS}{table}", top()));
    }

    fn write(name: &str, text: &str) {
        let target = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join(name);
        std::fs::write(&target, text).expect("OUT_DIR is writable");
        let formatted = Command::new("rustfmt").args(["--edition", "2024", "--config-path", "."]).arg(&target).status();
        assert!(formatted.is_ok_and(|status| status.success()), "rustfmt formats the bindings");
        if std::env::var_os("SIDESTEP_WRITE_BINDINGS").is_some() {
            let committed = PathBuf::from("src/store/daos/bindings").join(name);
            std::fs::copy(&target, committed).expect("the sources are writable");
        }
    }

    /// Doc attributes as comments, and types by their short names.
    fn with_comments(bindings: &str) -> String {
        let bindings = bindings.replace(":: core :: option :: Option", "Option").replace(":: core :: ffi :: ", "");
        let mut text = String::new();
        // One long line, with each comment as `# [doc = " ..."]`.
        for (index, piece) in bindings.split("# [doc = \"").enumerate() {
            let code = match piece.split_once("\"]").filter(|_| index > 0) {
                Some((told, code)) => {
                    text.extend(told.split("\\n").map(|told| format!("\n///{}", told.trim_end())));
                    text.push('\n');
                    code
                }
                None => piece,
            };
            text.push_str(code);
        }
        text
    }

    fn compiler_headers() -> Option<String> {
        let told = Command::new("cc").arg("-print-file-name=include").output().ok()?;
        Some(String::from_utf8(told.stdout).ok()?.trim().to_owned())
    }
}

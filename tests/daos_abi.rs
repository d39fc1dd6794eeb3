//! The bindings are of the declarations in `include/`, and those are DAOS's own interface.

#[path = "daos_abi/checksum.rs"]
mod checksum;

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn bindings_are_of_the_declarations() {
    let told = checksum::of_declarations(root());
    for name in ["types.rs", "calls.rs"] {
        let path = root().join("src/store/daos/bindings").join(name);
        let committed = std::fs::read_to_string(&path).expect("committed bindings");
        assert!(
            committed.contains(&told),
            "include/ has changed since {name} was made of it: \
             SIDESTEP_WRITE_BINDINGS=1 cargo check --features bindgen"
        );
        #[cfg(feature = "bindgen")]
        {
            let anew = std::fs::read_to_string(Path::new(env!("OUT_DIR")).join(name)).expect("bindings made anew");
            assert_eq!(committed, anew, "{name} has drifted");
        }
    }
}

/// Where the real headers are, if anywhere: `SIDESTEP_DAOS_INCLUDE`, or where packages put them.
fn real_headers() -> Option<PathBuf> {
    let told = std::env::var_os("SIDESTEP_DAOS_INCLUDE").map(PathBuf::from);
    let usual = ["/usr/include", "/usr/local/include", "/opt/daos/include"].map(PathBuf::from);
    told.into_iter().chain(usual).find(|directory| directory.join("daos_fs.h").exists())
}

#[test]
fn declarations_agree_with_the_real_headers() {
    let Some(headers) = real_headers() else {
        println!("no daos_fs.h here: not compared (SIDESTEP_DAOS_INCLUDE says where it is)");
        return;
    };
    let told = Command::new("cc")
        .args(["-std=gnu11", "-fsyntax-only", "-Wall", "-Werror"])
        .arg("-I")
        .arg(root().join("include"))
        .arg("-isystem")
        .arg(headers)
        .arg(root().join("tests/daos_abi/real.c"))
        .output()
        .expect("a C compiler");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

//! The C programs and libraries of `tests/daos`, and programs of the host that a test needs.

use super::common::build;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program on the search path, or where the variable `SIDESTEP_TEST_` and its name says (`SIDESTEP_TEST_IOR`).
pub fn found(program: &str) -> Option<PathBuf> {
    let variable = format!("SIDESTEP_TEST_{}", program.to_uppercase());
    let told = std::env::var_os(variable).map(PathBuf::from);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    told.or_else(|| std::env::split_paths(&paths).map(|path| path.join(program)).find(|path| path.is_file()))
}

/// Compiles into `directory` what a script calls `$T/NAME`: a program, or a library where the name ends in `.so`. One
/// whose name begins with `mpi_` is compiled by `mpicc`.
///
/// # Errors
/// What the compiler said.
pub fn compile_those_named_in(script: &str, directory: &Path) -> Result<(), String> {
    for word in script.split("$T/").skip(1) {
        let end = word.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(word.len());
        let name = &word[..end];
        let place = directory.join(name);
        if place.exists() {
            continue;
        }
        let stem = name.trim_end_matches(".so");
        let shared: &[&str] = if stem == name { &[] } else { &["-shared", "-fPIC"] };
        let source = build::source_root().join(format!("tests/daos/{stem}.c"));
        let output = Command::new(if stem.starts_with("mpi_") { "mpicc" } else { "cc" })
            .args(["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-pthread"])
            .args(shared)
            .arg("-o")
            .args([&place, &source])
            .output()
            .map_err(|error| format!("no C compiler: {error}"))?;
        if !output.status.success() {
            return Err(format!("{}: {}", source.display(), String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(())
}

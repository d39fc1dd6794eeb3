//! What Sidestep intercepts: the symbols that the library exports, and the system calls in the gate's table.

use super::code::words;
use super::common::build;
use super::files::{File, of_kind};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The names of all exported functions and of all calls in the table.
pub fn surface() -> BTreeSet<String> {
    let mut names = exported();
    names.extend(in_the_gate());
    // MPI's have a row and a test as a whole.
    names.retain(|name| !name.starts_with("MPI_") && !name.starts_with("mpi_"));
    names
}

/// The functions that the built library exports.
fn exported() -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(build::library()).output();
    let output = output.expect("nm is needed (binutils)");
    assert!(output.status.success(), "nm cannot read the library");
    let text = String::from_utf8(output.stdout).expect("symbols are ASCII");
    let names = text.lines().filter_map(|line| line.split_whitespace().last());
    let names: BTreeSet<String> = names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect();
    assert!(names.contains("read"), "the library exports its doors");
    names
}

/// The calls of the gate's table, by the names that `SYS_*` has for them.
fn in_the_gate() -> BTreeSet<String> {
    let table = build::source_root().join("preload/src/gate/calls.rs");
    let text = fs::read_to_string(table).expect("the gate's table");
    let names: BTreeSet<String> =
        words(&text).filter_map(|word| word.strip_prefix("SYS_")).map(str::to_owned).collect();
    assert!(names.contains("openat"), "the table holds its calls");
    names
}

/// The words in code spans in the rows of the semantics table.
pub fn names_in_semantics() -> BTreeSet<String> {
    let text = fs::read_to_string(build::source_root().join("docs/SEMANTICS.md")).expect("docs/SEMANTICS.md");
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let spans = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    spans.flat_map(words).map(str::to_owned).collect()
}

/// The words of all tests: programs, cases and scripts, the Rust around them, and the examples of the semantics table,
/// but not these tidy tests.
pub fn names_in_tests() -> BTreeSet<String> {
    let is_test = |file: &File| file.path.starts_with("tests/") && !file.path.starts_with("tests/tidy");
    let mut text: String =
        of_kind(&["rs", "c", "h", "sh", "py"]).into_iter().filter(is_test).map(|file| file.text).collect();
    let semantics = fs::read_to_string(build::source_root().join("docs/SEMANTICS.md")).expect("docs/SEMANTICS.md");
    text.extend(semantics.lines().filter(|line| line.starts_with("$ ")));
    words(&text).map(|word| word.strip_prefix("SYS_").unwrap_or(word).to_owned()).collect()
}

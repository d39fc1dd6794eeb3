//! What `libsidestep.so` asks of the process that loads it: nothing that another libc, an older one, or anything else in
//! the process could answer differently.

mod common;

use common::build;
use std::process::Command;

/// The references that are left, and why each is safe. All are weak: where nobody has them, the loader says nothing.
const REFERENCES: &[(&str, &str)] = &[
    ("__libc_stack_end", "glibc's variable; a program that has it too has a copy of the value. Nobody: not a glibc"),
    ("dlsym", "called only where the libc is not a glibc, by a door that looks for the function behind it"),
    (
        "__pthread_key_create",
        "libgcc's test whether there are threads; either answer is right, for it uses no lock here",
    ),
    ("pthread_once", "libgcc fills a table of constants; it does so by itself where this is nobody's"),
];

/// What a tool of binutils says of the library.
fn told_by(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).arg(build::library()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} is needed (binutils): {error}"));
    assert!(output.status.success(), "{tool} cannot read the library");
    String::from_utf8(output.stdout).expect("symbols are ASCII")
}

#[test]
fn no_library_is_needed() {
    let dynamic = told_by("readelf", &["-dW"]);
    assert!(dynamic.contains("(INIT_ARRAY)"), "readelf lists the dynamic section:\n{dynamic}");
    let needed: Vec<&str> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
    assert!(needed.is_empty(), "a libc without these starts no program: {needed:?}");
    assert!(dynamic.contains("INITFIRST"), "constructors that open files come after ours");
}

#[test]
fn no_version_of_a_libc_is_needed() {
    let versions = told_by("readelf", &["-VW"]);
    assert!(!versions.contains("GLIBC_"), "an older glibc lacks these:\n{versions}");
}

#[test]
fn nothing_is_referred_to_that_others_may_replace() {
    let undefined = told_by("nm", &["-D", "--undefined-only"]);
    let mut found: Vec<(&str, &str)> = undefined.lines().filter_map(|line| line.trim().split_once(' ')).collect();
    found.sort_unstable();
    let mut known: Vec<(&str, &str)> = REFERENCES.iter().map(|(name, _)| ("w", *name)).collect();
    known.sort_unstable();
    assert_eq!(found, known, "give it a definition of ours in preload/src/runtime, or a reason here");
}

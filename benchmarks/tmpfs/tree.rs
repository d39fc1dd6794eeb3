//! The main job: a real tree, by the system's own programs. Start-up of the programs included.

use super::sides::Side;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// The group's name.
pub const GROUP: &str = "tree";

/// What is done, in this order; `$D` is the directory under test.
const STEPS: [(&str, &str); 5] = [
    ("tree_copy", "cp -a /usr/include \"$D/copy\""),
    ("tree_compare", "diff -r --no-dereference /usr/include \"$D/copy\""),
    ("tree_list", "ls -lR \"$D/copy\""),
    ("tree_archive", "tar cf - -C \"$D\" copy | cat"),
    ("tree_remove", "rm -r \"$D/copy\""),
];

/// Nanoseconds of each step.
pub fn run(side: &Side) -> Vec<(String, f64)> {
    let step = |(name, script): &(&str, &str)| {
        let mut shell = side.command(Path::new("sh"));
        shell.args(["-c", script]).env("D", &side.directory).stdout(Stdio::null());
        let start = Instant::now();
        let status = shell.status().expect("sh starts");
        let taken = start.elapsed().as_secs_f64() * 1e9;
        assert!(status.success(), "{script}: {status}");
        ((*name).to_owned(), taken)
    };
    STEPS.iter().map(step).collect()
}

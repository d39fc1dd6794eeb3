//! The main job: a real tree, by the system's own programs. Start-up of the programs included.

use super::sides::Side;
use std::path::Path;

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

/// Nanoseconds of each step: processor time, the programs' own and the kernel's for them, as bash's `time` sums it up.
/// On tmpfs nothing waits for a device, and what else the machine does is left out.
pub fn run(side: &Side) -> Vec<(String, f64)> {
    let step = |(name, script): &(&str, &str)| {
        let mut shell = side.command(Path::new("bash"));
        let timed = format!("set -o pipefail; TIMEFORMAT='%3U %3S'; time {{ {script}; }} > /dev/null");
        let output = shell.args(["-c", &timed]).env("D", &side.directory).output().expect("bash starts");
        assert!(output.status.success(), "{script}: {}", output.status);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let seconds = |word: &str| word.parse::<f64>().unwrap_or_else(|_| panic!("{script}: {told}"));
        ((*name).to_owned(), told.split_whitespace().map(seconds).sum::<f64>() * 1e9)
    };
    STEPS.iter().map(step).collect()
}

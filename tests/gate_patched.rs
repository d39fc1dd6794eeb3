//! Somebody else changes libc's memory: a debugger, a probe of the kernel's, another preload library. What they changed
//! is left alone in their process, told by name, and has no effect on anybody else's.

mod common;
mod gate_support;

use common::build;
use gate_support::{Door, Facts, Place, compile, initialised_before_us};
use std::path::Path;
use std::process::Command;

/// Functions whose first instruction is one that the gate displaces.
const NAMES: &str = "rename,mkdir,unlinkat";

/// A command with libc patched before our constructor runs.
fn patched(place: &Place, library: &Path, program: &str) -> Command {
    let mut command = place.command(Door::Gate, program);
    command.env("LD_PRELOAD", initialised_before_us(place, Door::Gate, library)).env("GATE_PATCHED", NAMES);
    command
}

fn facts(place: &Place, mut command: Command) -> Facts {
    command.env("SIDESTEP_DOCTOR", "1");
    place.facts_of(command)
}

/// The names in a fact, in the order of the alphabet.
fn names(facts: &Facts) -> Vec<String> {
    let mut names: Vec<_> = facts.get("changed_names").split(' ').map(str::to_owned).collect();
    names.sort();
    names
}

fn is_left_alone_and_told(facts: &Facts, sites: u64) {
    assert_eq!(facts.get("door"), "gate+symbols", "{facts:?}");
    assert_eq!(facts.number("changed"), 3, "{facts:?}");
    assert_eq!(facts.number("sites"), sites, "{facts:?}");
    assert_eq!(facts.number("patched") + facts.number("left_alone") + 3, sites, "{facts:?}");
    let expected = ["mkdir", "rename", "unlinkat"];
    assert!(names(facts) == expected, "{facts:?}");
}

#[test]
fn it_does_not_get_into_the_cache() {
    let place = Place::new();
    let library = compile(&place, "cc", "gate_patched.c", &["-shared", "-fPIC"]);
    let elsewhere = Place::new().facts(Door::Gate);
    let (sites, rewritten) = (elsewhere.number("sites"), elsewhere.number("patched"));
    // The patched process comes first and writes the cache.
    let first = facts(&place, patched(&place, &library, "/bin/true"));
    assert_eq!(first.get("cache"), "miss", "{first:?}");
    is_left_alone_and_told(&first, sites);
    let next = place.facts(Door::Gate);
    assert_eq!((next.get("cache"), next.get("door")), ("hit", "gate"), "{next:?}");
    assert_eq!((next.number("patched"), next.number("changed")), (rewritten, 0), "{next:?}");
    // It comes second and finds one: that is as good as it was.
    let second = facts(&place, patched(&place, &library, "/bin/true"));
    assert_eq!(second.get("cache"), "hit", "{second:?}");
    is_left_alone_and_told(&second, sites);
    let last = place.facts(Door::Gate);
    assert_eq!((last.get("cache"), last.number("patched")), ("hit", rewritten), "{last:?}");
}

#[test]
fn programs_run_in_it() {
    let place = Place::new();
    let library = compile(&place, "cc", "gate_patched.c", &["-shared", "-fPIC"]);
    let mut command = patched(&place, &library, "/bin/sh");
    command.args(["-c", "echo one > /daos/f && cat /daos/f && ls /daos && rm -f /nowhere && echo done"]);
    command.env("GATE_PATCHED", "rename,mkdir");
    assert_eq!(place.run(command), ("one\nf\ndone\n".to_owned(), String::new(), "exit 0".to_owned()));
}

#[test]
fn a_breakpoint_of_gdbs_is_not_written_over() {
    if Command::new("gdb").arg("--version").output().is_err() {
        println!("there is no gdb");
        return;
    }
    let place = Place::new();
    let wrapper = format!("set exec-wrapper env LD_PRELOAD={}", build::library().display());
    let debugger = |place: &Place| {
        let mut command = place.command(Door::None, "gdb");
        command.args(["-nx", "-q", "-batch", "-ex", "set breakpoint pending on", "-ex", "break chroot"]);
        command.args(["-ex", &wrapper, "-ex", "run", "--args", "/bin/mkdir", "/daos/d"]);
        place.run(command)
    };
    let (stdout, stderr, _) = debugger(&place);
    // Nobody calls chroot().
    assert!(stdout.contains("Breakpoint 1") && stdout.contains("exited normally"), "{stdout}{stderr}");
    let facts = place.facts(Door::Gate);
    assert_eq!((facts.get("cache"), facts.get("door"), facts.number("changed")), ("hit", "gate", 0), "{facts:?}");
    let mut command = place.command(Door::Gate, "/bin/sh");
    command.args(["-c", "mkdir /daos/e && mv /daos/e /daos/f && rmdir /daos/d /daos/f && echo served"]);
    assert_eq!(place.run(command).0, "served\n");
}

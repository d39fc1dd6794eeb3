//! A panic of ours inside a host's call: the call answers `EIO`, one line says so, and the host lives on.
//!
//! In a build of its own: the hooks are not in the library that users have.

mod common;

use common::world::Pair;
use common::{build, run_in, world};

#[test]
fn a_panic_becomes_eio() {
    if common::is_self_check() {
        return;
    }
    for call in ["openat", "write", "read", "newfstatat", "unlink"] {
        let mut pair = Pair::new();
        let library = pair.base().join("faults.so");
        std::fs::copy(build::library_with_faults(), &library).expect("it was built");
        let mounts = format!("{}=local:{}", pair.ours.prefix().display(), pair.store().display());
        pair.ours.environment = world::preload(&library, &mounts);
        pair.ours.environment.push(("SIDESTEP_FAULT".to_owned(), format!("panic:{call}")));
        let program = pair.add_program("faults").display().to_string();
        let outcome = run_in(&pair.ours, &program, &[]);
        assert_eq!(outcome.status, "exit 0", "{call}\n{}{}", outcome.stdout, outcome.stderr);
        for line in outcome.stdout.lines() {
            let (name, answer) = line.split_once(' ').expect("name and answer");
            let wanted = if name == call { "5" } else { "0" };
            assert_eq!(answer, wanted, "{call}: {name}\n{}{}", outcome.stdout, outcome.stderr);
        }
        assert!(outcome.stdout.contains(&format!("{call} 5\n")), "{call}\n{}", outcome.stdout);
        let told: Vec<&str> = outcome.stderr.lines().collect();
        assert!(told.len() == 1 && told[0].contains("idestep"), "{call}: {told:?}");
    }
}

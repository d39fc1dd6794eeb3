//! What the behaviour tests stand on: every case runs natively and under Sidestep, and the kernel is the oracle.
//!
//! 1. [`build`] makes `libsidestep.so` and the C programs, once for a test run.
//! 2. A [`world::Pair`] is a fresh directory on tmpfs with two sides of equal shape: a kernel directory, and a prefix
//!    over a new store.
//! 3. [`process`] runs a program there, with a limit on its time.
//! 4. [`compare`] puts outputs, exit codes and file trees side by side.
// Each test binary takes what it needs of this.
#![allow(dead_code)]

pub mod build;
pub mod cases;
pub mod compare;
pub mod engine;
pub mod process;
pub mod sections;
pub mod tree;
pub mod world;

use process::Outcome;
use std::time::Duration;
use world::{Pair, World};

/// How long a case may take on one side before it counts as hung. Ten times what the slowest takes on two busy cores.
pub const CASE_TIME_MAX: Duration = Duration::from_secs(120);

/// Runs `program` with `arguments` on both sides and compares everything. `Err` holds the readable difference.
pub fn run_on_both(pair: &Pair, program: &str, arguments: &[String]) -> Result<(), String> {
    let mut results = Vec::new();
    for world in [&pair.native, &pair.ours] {
        let outcome = run_in(world, program, arguments);
        let trees = if outcome.timed_out { Ok(String::new()) } else { tree::dump(world) };
        results.push((outcome, trees?));
    }
    if std::env::var_os("SIDESTEP_TEST_SHOW").is_some() {
        let (outcome, tree) = &results[0];
        eprintln!("{}\n{}{}\n{tree}", outcome.status, outcome.stdout, outcome.stderr);
    }
    let (ours, native) = (results.pop().expect("two sides"), results.pop().expect("two sides"));
    compare::differences(&native, &ours)
}

/// Runs one program in one world, from its host directory.
pub fn run_in(world: &World, program: &str, arguments: &[String]) -> Outcome {
    let mut command = world.command(program);
    command.args(arguments);
    let mut outcome = process::run(command, world.scratch(), CASE_TIME_MAX);
    outcome.normalise(world);
    outcome
}

/// Whether both sides are the kernel's this time (`SIDESTEP_TEST_SELF=1`): then there is no store to speak of.
pub fn is_self_check() -> bool {
    std::env::var_os("SIDESTEP_TEST_SELF").is_some()
}

/// A script, run by bash in Sidestep's world with other mounts than the pair's own.
pub fn shell_with(pair: &mut Pair, mounts: &str, script: &str) -> Outcome {
    let preload = world::preload(&pair.base().join("libsidestep.so"), mounts);
    pair.ours.environment.retain(|(name, _)| preload.iter().all(|(other, _)| name != other));
    pair.ours.environment.extend(preload);
    run_in(&pair.ours, "/bin/bash", &["-c".to_owned(), script.to_owned()])
}

/// Asserts on an outcome that went well, and gives what it said.
#[track_caller]
pub fn said(outcome: &Outcome) -> &str {
    assert_eq!((outcome.status.as_str(), outcome.stderr.as_str()), ("exit 0", ""), "{}", outcome.stdout);
    outcome.stdout.as_str()
}

//! Processes, threads and signals beside one another, for a while: natively for a moment, which checks the program, then
//! on both engines at once. `SIDESTEP_TEST_SECONDS` says how long.

mod common;

use common::engine::Engine;
use common::process::{self, Outcome};
use common::world::{Pair, World};
use std::time::Duration;

/// Some hundred thousand rounds of the quick threads, and some hundred of those that start programs.
const SECONDS: u64 = 120;

/// What is left to a program beyond its time: to notice that a thread stands still, on a busy machine.
const SPARE_SECONDS: u64 = 120;

fn stress(world: &World, program: &str, seconds: u64, manner: &[&str]) -> Outcome {
    let mut command = world.command(program);
    command.arg(seconds.to_string()).args(manner);
    let scratch = world.side.join("h");
    process::run(command, &scratch, Duration::from_secs(seconds + SPARE_SECONDS))
}

#[track_caller]
fn assert_sound(what: &str, outcome: &Outcome) {
    assert!(outcome.status == "exit 0" && outcome.stderr.is_empty(), "{what}: {}\n{}", outcome.status, outcome.stderr);
    println!("{what}: {}", outcome.stdout.trim());
}

/// Natively, which checks the program, then on both engines at once.
fn stress_both(seconds: u64, manner: &[&str]) {
    let engines = [Engine::Embedded, Engine::Emulator];
    let pairs = engines.each_ref().map(Pair::on);
    let program = pairs.each_ref().map(|pair| pair.add_program("process_stress").display().to_string());
    assert_sound("native", &stress(&pairs[0].native, &program[0], seconds.min(2), manner));
    if common::is_self_check() {
        return;
    }
    let outcomes = std::thread::scope(|scope| {
        let running = [0, 1].map(|index| {
            let (pair, program) = (&pairs[index], &program[index]);
            scope.spawn(move || stress(&pair.ours, program, seconds, manner))
        });
        running.map(|thread| thread.join().expect("it waits for a program"))
    });
    for (engine, outcome) in engines.iter().zip(&outcomes) {
        assert_sound(&format!("{engine:?}"), outcome);
    }
}

fn seconds() -> u64 {
    std::env::var("SIDESTEP_TEST_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"))
}

#[test]
fn nothing_is_mixed_up_while_threads_fork_spawn_and_exec() {
    stress_both(seconds(), &[]);
}

/// A machine that is paused, a job that is stopped for another, processor time that is used up: the clock goes on, and
/// nobody can tell from it that others have been given time.
#[test]
fn nothing_is_mixed_up_while_the_process_is_paused() {
    stress_both(seconds(), &["paused"]);
}

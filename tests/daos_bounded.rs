//! `timeout=` bounds every call, whatever libdfs does: over the stand-in, whose servers vanish and come back. The same on
//! DAOS, with an engine that is frozen, is `names_while_the_engine_freezes` in `tests/daos/failures.sh`.

mod common;

use common::build;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Runs `bounded_calls VERB` under Sidestep with a timeout of a second; there is a file `vanished` while no server is.
fn run(verb: &str) -> (TempDir, Output) {
    let base = tempfile::tempdir_in("/dev/shm").expect("tmpfs is writable");
    let vanished = base.path().join("vanished");
    let store = base.path().join("store");
    let options = match verb {
        "signal" => "timeout=30",
        "write" => "timeout=1&consistency=strict",
        _ => "timeout=1",
    };
    std::fs::create_dir(&store).expect("tmpfs is writable");
    let output = Command::new(build::program("bounded_calls"))
        .args([verb, "/bounded"])
        .arg(&vanished)
        .env("LD_PRELOAD", build::library())
        .env("SIDESTEP_MOUNTS", format!("/bounded=daos:tank/c1?{options}"))
        .env("SIDESTEP_LIBDFS", build::emulator())
        .env("SIDESTEP_EMULATOR_STORE", &store)
        .env("SIDESTEP_EMULATOR_CREATE", "1")
        .env("SIDESTEP_EMULATOR_VANISH", &vanished)
        .output()
        .expect("the program starts");
    (base, output)
}

#[track_caller]
fn succeeds(verb: &str) {
    let (_base, output) = run(verb);
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
}

#[test]
fn every_call_on_a_name_ends() {
    succeeds("names");
}

#[test]
fn threads_each_leave_a_call_and_end_when_the_servers_are_back() {
    succeeds("threads");
}

#[test]
fn a_fork_child_goes_on_without_what_its_parent_left() {
    succeeds("fork");
}

#[test]
fn a_signal_ends_the_wait_after_a_second() {
    succeeds("signal");
}

#[test]
fn what_was_left_while_a_file_was_made_keeps_nobody_from_making_others() {
    succeeds("create");
}

#[test]
fn a_long_write_that_was_given_up_on_does_not_come_over_the_next() {
    succeeds("write");
}

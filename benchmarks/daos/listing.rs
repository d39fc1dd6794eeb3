//! `ls` of a small directory as a whole process, and where its time goes.

use super::round::{NAMES, Take};
use super::sides::{Kind, Side, Sides};
use super::worker::Worker;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// The group's name.
pub const GROUP: &str = "ls";

/// Starts of `ls` that need no connection, of which the fastest counts.
const STARTS: usize = 20;

/// Measures `ls` on every side, a program that connects, lists and ends, and what does not need the store.
pub fn run(sides: &Sides, round: usize, take: &mut Take<'_>) {
    let host = sides.host_directory();
    for name in 0..NAMES {
        fs::write(host.join(format!("name.{name}")), "").expect("the host's directory is ours");
    }
    for turn in 0..sides.all.len() {
        let side = &sides.all[(turn + round) % sides.all.len()];
        let directory = side.directory(round);
        let mut maker = Worker::start(sides, side, &directory);
        for name in 0..NAMES {
            maker.ask(&format!("create name.{name}"));
        }
        maker.end();
        if side.kind == Kind::Libdfs {
            let bare = (0..STARTS).map(|_| timed_ls(None, &host)).fold(f64::MAX, f64::min);
            take("ls_bare", side.kind, bare);
        } else {
            let loaded = (0..STARTS).map(|_| timed_ls(Some(side), &host)).fold(f64::MAX, f64::min);
            take("ls_loaded", side.kind, loaded);
            std::thread::sleep(sides.settling);
            take("ls", side.kind, timed_ls(Some(side), &directory));
        }
        std::thread::sleep(sides.settling);
        parts(sides, side, &directory, take);
        let mut remover = Worker::start(sides, side, &directory);
        for name in 0..NAMES {
            remover.ask(&format!("remove name.{name}"));
        }
        remover.ask("remove_directory -");
        remover.end();
    }
}

/// Nanoseconds from starting `ls` to its end. It shows the names that are there, whatever it is served by.
fn timed_ls(side: Option<&Side>, directory: &Path) -> f64 {
    let mut command = side.map_or_else(|| std::process::Command::new("ls"), |side| side.command(Path::new("ls")));
    let start = Instant::now();
    let output = command.arg(directory).stdin(Stdio::null()).output().expect("ls starts");
    let elapsed = start.elapsed().as_nanos() as f64;
    let names = String::from_utf8_lossy(&output.stdout).lines().count();
    assert!(output.status.success() && names == NAMES, "ls {}: {names} names", directory.display());
    elapsed
}

/// The same by a program that times its own steps.
fn parts(sides: &Sides, side: &Side, directory: &Path, take: &mut Take<'_>) {
    let mut worker = Worker::start(sides, side, directory);
    for (name, value) in &worker.connecting {
        take(name, side.kind, *value);
    }
    if side.kind == Kind::Libdfs {
        take("first_touch", side.kind, worker.connecting.iter().map(|figure| figure.1).sum());
    }
    take("list", side.kind, worker.figure(&format!("list - {NAMES}")));
    take("end", side.kind, worker.end());
}

//! Runs programs natively and with the library over a prefix that they never touch: nothing may differ.
#![allow(dead_code)]

use crate::common::{build, process};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How a program meets the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Not at all.
    None,
    /// As users have it.
    Gate,
    /// With libc's text left alone.
    Symbols,
    /// As users have it over DAOS: with a causal container that is connected, and bytes that are not stored.
    Causal,
}

/// A fresh directory with a home of its own, so that no cache is shared, and one aside for a container.
pub struct Place(tempfile::TempDir, OnceCell<Box<Place>>);

impl Place {
    /// Makes one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"), OnceCell::new())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A command in a clean environment, in this directory.
    pub fn command(&self, door: Door, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path())
            .env("LC_ALL", "C")
            .env("SIDESTEP_MOUNTS", format!("/daos=local:{}/store", self.path().display()));
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        match door {
            Door::None => {}
            Door::Causal => {
                let aside = self.1.get_or_init(|| {
                    let aside = Self::new();
                    std::fs::create_dir(aside.path().join("store")).expect("our own directory");
                    compile(&aside, "cc", "gate_causal.c", &["-shared", "-fPIC"]);
                    Box::new(aside)
                });
                let (library, store) = (aside.path().join("gate_causal.built"), aside.path().join("store"));
                command
                    .env("LD_PRELOAD", format!("{} {}", build::library().display(), library.display()))
                    .env("SIDESTEP_MOUNTS", "/daos=daos:tank/c1")
                    .env("SIDESTEP_LIBDFS", build::emulator())
                    .env("SIDESTEP_EMULATOR_STORE", &store)
                    .env("SIDESTEP_EMULATOR_CREATE", "1");
            }
            Door::Gate => drop(command.env("LD_PRELOAD", build::library())),
            Door::Symbols => {
                command.env("LD_PRELOAD", build::library()).env("SIDESTEP_INTERCEPT", "symbols");
            }
        }
        command
    }

    /// Runs it to its end: output, errors, status.
    pub fn run(&self, command: Command) -> (String, String, String) {
        let outcome = process::run(command, self.path(), Duration::from_secs(60));
        (outcome.stdout, outcome.stderr, outcome.status)
    }

    /// What the library says of itself here.
    pub fn facts(&self, door: Door) -> Facts {
        let mut command = self.command(door, "/bin/true");
        command.env("SIDESTEP_DOCTOR", "1");
        self.facts_of(command)
    }

    /// What the library says of itself in a command.
    pub fn facts_of(&self, command: Command) -> Facts {
        let (stdout, stderr, status) = self.run(command);
        assert_eq!(status, "exit 0", "{stderr}");
        let split = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Facts(stdout.lines().filter_map(split).collect())
    }
}

/// `name=value` lines.
#[derive(Debug)]
pub struct Facts(Vec<(String, String)>);

impl Facts {
    /// The value of a fact.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The value of a fact that is a number.
    pub fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or_else(|_| panic!("{name} is no number in {self:?}"))
    }
}

/// The value of `LD_PRELOAD` that has another library initialised before ours, which is left out for [`Door::None`].
pub fn initialised_before_us(place: &Place, door: Door, library: &Path) -> String {
    let first = compile(place, "cc", "gate_first.c", &["-shared", "-fPIC", "-Wl,-z,initfirst"]);
    let ours = if door == Door::None { String::new() } else { format!("{} ", build::library().display()) };
    format!("{ours}{} {}", library.display(), first.display())
}

/// Runs `make(place, door)` with each door, each time in a new place, and wants the same from all.
pub fn same_everywhere(make: impl Fn(&Place, Door) -> Command) {
    let run = |door| {
        let place = Place::new();
        let (stdout, stderr, status) = place.run(make(&place, door));
        let here = place.path().display().to_string();
        (stdout.replace(&here, "%"), stderr.replace(&here, "%"), status)
    };
    let native = run(Door::None);
    assert!(!native.0.is_empty(), "the program says nothing natively: {native:?}");
    for door in [Door::Gate, Door::Symbols, Door::Causal] {
        assert_eq!(run(door), native, "left: {door:?}, right: native");
    }
}

/// A program or, with `-shared`, a library of `tests/programs`, compiled by `compiler` into `place`.
pub fn compile(place: &Place, compiler: &str, source: &str, flags: &[&str]) -> PathBuf {
    let binary = place.path().join(Path::new(source).with_extension("built"));
    let output = Command::new(compiler)
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .args(flags)
        .arg("-o")
        .args([&binary, &build::source_root().join("tests/programs").join(source)])
        .output()
        .expect("a compiler is needed (tests/setup installs it)");
    assert!(output.status.success(), "{source}:\n{}", String::from_utf8_lossy(&output.stderr));
    binary
}

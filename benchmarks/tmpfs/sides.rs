//! The two sides: a directory on tmpfs, and a prefix over a store on the same tmpfs.

use super::build;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One side.
pub struct Side {
    /// Where the files go.
    pub directory: PathBuf,
    /// `LD_PRELOAD` and what goes with it; empty natively.
    environment: Vec<(&'static str, String)>,
}

impl Side {
    /// Whether this is Sidestep's.
    pub fn is_ours(&self) -> bool {
        !self.environment.is_empty()
    }

    /// A program set up to run on this side.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_remove("LD_PRELOAD").env_remove("SIDESTEP").envs(self.environment.iter().map(|(n, v)| (n, v)));
        command
    }
}

/// Both sides, with the program that is run on them. Goes away with its files.
pub struct Sides {
    /// The kernel's.
    pub native: Side,
    /// Sidestep's.
    pub ours: Side,
    micro: PathBuf,
    base: PathBuf,
}

impl Sides {
    /// Builds the library and the program, and makes a fresh directory and a fresh store.
    pub fn new() -> Self {
        let base = PathBuf::from(format!("/dev/shm/sidestep-bench-{}", std::process::id()));
        let native = base.join("native");
        fs::create_dir_all(&native).expect("a tmpfs on /dev/shm is needed");
        // No such directory on the host: a call that the library misses fails, instead of being measured.
        let prefix = base.join("prefix");
        let mounts = format!("{}=local:{}", prefix.display(), base.join("store").display());
        let environment = vec![("LD_PRELOAD", build::library().display().to_string()), ("SIDESTEP_MOUNTS", mounts)];
        let micro = base.join("micro");
        let source = build::source_root().join("benchmarks/micro.c");
        let made =
            Command::new("cc").args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).args([&micro, &source]).status();
        assert!(made.expect("cc is needed").success(), "cc micro.c failed");
        Self {
            native: Side { directory: native, environment: Vec::new() },
            ours: Side { directory: prefix, environment },
            micro,
            base,
        }
    }

    /// Runs a group on a side: the names and figures that it printed.
    pub fn run(&self, side: &Side, group: &str) -> Vec<(String, f64)> {
        let mut command = side.command(&self.micro);
        let output = command.arg(group).arg(&side.directory).stderr(Stdio::inherit()).output().expect("micro starts");
        let kind = if side.is_ours() { "under Sidestep" } else { "natively" };
        assert!(output.status.success(), "micro {group} {kind}: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("micro prints text");
        let figure = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().map(|line| figure(line).expect("NAME NANOSECONDS")).collect()
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

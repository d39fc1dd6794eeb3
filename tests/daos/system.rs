//! The DAOS system that a test runs on, and how its clients get there.

use super::common::build;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A system: what leads to its agent, and whose pool the tests use.
pub struct System {
    /// The pool's label.
    pub pool: String,
    /// What the labels of the tests' containers begin with.
    pub prefix: String,
    /// Where `tests/daos/system.sh` keeps it, if it is the tests' own.
    directory: Option<PathBuf>,
}

impl System {
    /// The system to run on: the one that is shared, or the one that may be stopped.
    ///
    /// # Errors
    /// The variable that would have to be set.
    pub fn of(may_be_stopped: bool) -> Result<Self, &'static str> {
        const SHARED: &str = "SIDESTEP_TEST_DAOS";
        const OWN: &str = "SIDESTEP_TEST_DAOS_SYSTEM";
        let named = std::env::var(SHARED).map_err(|_| SHARED)?;
        let (pool, prefix) = named.split_once('/').ok_or("SIDESTEP_TEST_DAOS=POOL/CONTAINER")?;
        if !may_be_stopped {
            return Ok(Self { pool: pool.to_owned(), prefix: prefix.to_owned(), directory: None });
        }
        let directory = std::env::var_os(OWN).ok_or(OWN)?;
        Ok(Self { pool: "tank".to_owned(), prefix: prefix.to_owned(), directory: Some(directory.into()) })
    }

    /// Sets what leads a client to this system; the rest it has from our own environment.
    pub fn lead(&self, command: &mut Command) {
        command.env("SYSTEM_SH", build::source_root().join("tests/daos/system.sh"));
        if let Some(directory) = &self.directory {
            command.env("SYSTEM_DIRECTORY", directory);
            let environment = fs::read_to_string(directory.join("environment")).unwrap_or_default();
            command.envs(environment.lines().filter_map(|line| line.split_once('=')));
        }
        // Not the test's standard error: DAOS logs there what it retries.
        command.env("D_LOG_FILE", build::work_directory().join("daos-client.log")).env("D_LOG_MASK", "ERR");
    }

    /// Runs `daos` with these words.
    ///
    /// # Errors
    /// What it said, if it did not exit with 0.
    pub fn daos(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("daos");
        self.lead(&mut command);
        let output = command.args(words).output().map_err(|error| format!("daos does not start: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(said) } else { Err(format!("daos {}: {said}{complaint}", words.join(" "))) }
    }
}

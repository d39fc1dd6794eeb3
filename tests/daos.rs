//! Sidestep on a real DAOS: beside dfuse and libpil4dfs on the same container, through failures of the system, with
//! several processes on one file, and with programs as users run them.
//!
//! A section `### name` of `tests/daos/TOPIC.sh` is a test. `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names a system to run
//! them on; without it each is passed over. The pool is used: each test makes and removes containers of its own there,
//! named after CONTAINER. Those marked `system` stop the engine and the agent; they need a system that nobody else
//! uses, `SIDESTEP_TEST_DAOS_SYSTEM=DIRECTORY` as `tests/daos/system.sh` makes it. DAOS's libraries and commands are
//! found as its own programs find them: `PATH`, `LD_LIBRARY_PATH`, `DAOS_AGENT_DRPC_DIR`, `FI_*` and `D_*` are handed on.
//!
//! With `SIDESTEP_TEST_SELF=1` dfuse stands where Sidestep would, which checks the tests themselves (not those of
//! failures, and of what dfuse can't do).

mod common;
#[path = "daos/container.rs"]
mod container;
#[path = "daos/dfuse.rs"]
mod dfuse;
#[path = "daos/programs.rs"]
mod programs;
#[path = "daos/system.rs"]
mod system;

use common::{build, process, sections, sections::Section, world};
use container::Container;
use dfuse::Dfuse;
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::RwLock;
use std::time::Duration;
use system::System;

/// The longest test waits for an engine that is started again, some 20 s, and writes a gigabyte; three times that.
const TEST_TIME_MAX: Duration = Duration::from_secs(240);

/// What every test has: the functions `ours`, `pil`, `fail` and what else is in `tests/daos/prelude.sh`.
const PRELUDE: &str = include_str!("daos/prelude.sh");

/// Held for reading by each test, and for writing by one that stops the system under the others.
static SYSTEM_IN_USE: RwLock<()> = RwLock::new(());

fn main() -> ExitCode {
    let mut files: Vec<_> =
        fs::read_dir(build::source_root().join("tests/daos")).expect("it is there").flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    let trials = files.iter().flat_map(|file| trials_of(&file.path())).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trials_of(path: &Path) -> Vec<Trial> {
    let topic = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    let is_tests = path.extension().is_some_and(|ending| ending == "sh");
    let cases = if is_tests { sections::split(&fs::read_to_string(path).expect("a text")) } else { Vec::new() };
    cases
        .into_iter()
        .map(|case| {
            let topic = topic.clone();
            let name = format!("{topic}::{}", case.name);
            match why_not(&case) {
                Some(reason) => Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true),
                None => Trial::test(name, move || run(&topic, &case)),
            }
        })
        .collect()
}

/// Why a test is passed over here, if it is: its line in the output says so.
fn why_not(case: &Section) -> Option<String> {
    let system = System::of(has(case, "system"));
    let missing = case.attributes.iter().filter_map(|attribute| attribute.strip_prefix("needs="));
    match system {
        Err(variable) => Some(format!("skipped: {variable} is not set")),
        Ok(_) => missing
            .filter(|program| programs::found(program).is_none())
            .map(|program| format!("skipped: {program} is not installed"))
            .next(),
    }
}

fn has(case: &Section, attribute: &str) -> bool {
    case.attributes.iter().any(|given| given == attribute)
}

/// What stands behind `name=` among the attributes.
fn value<'a>(case: &'a Section, name: &str) -> Option<&'a str> {
    case.attributes.iter().find_map(|given| given.strip_prefix(name)?.strip_prefix('='))
}

fn run(topic: &str, case: &Section) -> Result<(), Failed> {
    let stops = has(case, "system");
    let _shared = (!stops).then(|| SYSTEM_IN_USE.read());
    let _alone = stops.then(|| SYSTEM_IN_USE.write());
    let system = System::of(stops).map_err(|variable| format!("{variable} is not set"))?;
    let place = Place::make()?;
    let container = Container::create(&system, &case.name, value(case, "container"))?;
    let mut mounts = Vec::new();
    for (name, options) in [("f", &["--disable-caching"][..]), ("g", &[])] {
        fs::create_dir(place.base.join(name))?;
        if has(case, "dfuse") {
            mounts.push(Dfuse::mount(&system, &container, &place.base.join(name), options)?);
        }
    }
    if common::is_self_check() {
        fs::create_dir(place.base.join("p"))?;
        mounts.push(Dfuse::mount(&system, &container, &place.base.join("p"), &["--disable-caching"])?);
    }
    let outcome = process::run(place.command(topic, case, &system, &container)?, &place.base, TEST_TIME_MAX);
    drop(mounts);
    if outcome.status != "exit 0" {
        return Err(format!("{}\n{}{}", outcome.status, outcome.stdout, outcome.stderr).into());
    }
    // The checker makes a snapshot: not of a container that is gone, or that may not be written.
    if has(case, "unchecked") { Ok(()) } else { container.check().map_err(Failed::from) }
}

/// A test's directory on the host; it goes away with this.
struct Place {
    base: PathBuf,
}

impl Place {
    fn make() -> Result<Self, Failed> {
        let base = world::fresh_base();
        for name in ["h", "i", "bin"] {
            fs::create_dir(base.join(name))?;
        }
        fs::copy(build::library(), base.join("libsidestep.so"))?;
        Ok(Self { base })
    }

    fn command(&self, topic: &str, case: &Section, system: &System, container: &Container) -> Result<Command, Failed> {
        let script = self.base.join(format!("{topic}.sh"));
        fs::write(&script, format!("{PRELUDE}\n{}", case.text))?;
        programs::compile_those_named_in(&case.text, &self.base.join("bin"))?;
        let mut command = Command::new("/bin/bash");
        system.lead(&mut command);
        command
            .arg(&script)
            .current_dir(self.base.join("h"))
            .env("HOME", self.base.join("h"))
            .env("XDG_CACHE_HOME", build::work_directory().join("cache"))
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BASE", &self.base)
            .env("H", self.base.join("h"))
            .env("F", self.base.join("f"))
            .env("G", self.base.join("g"))
            .env("I", self.base.join("i"))
            .env("P", self.base.join("p"))
            .env("T", self.base.join("bin"))
            .env("POOL", &container.pool)
            .env("CONTAINER", &container.label)
            .env("OPTIONS", value(case, "options").map_or(String::new(), |options| format!("?{options}")));
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Ok(command)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::env::var_os("SIDESTEP_TEST_KEEP").is_some() {
            eprintln!("kept: {}", self.base.display());
        } else {
            let _ = fs::remove_dir_all(&self.base);
        }
    }
}

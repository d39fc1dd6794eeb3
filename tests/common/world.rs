//! The two sides of a case: a kernel directory, and a prefix with a store behind it.

use super::engine::{self, Engine};
use super::{build, process};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The user of cases that must not be root: Debian's nobody.
pub const NOBODY: u32 = 65534;

/// One side. `p` is the directory under test, `h` an ordinary host directory beside it.
pub struct World {
    /// `BASE/a` or `BASE/b`: equal lengths, so that nothing that holds a path differs in size.
    pub side: PathBuf,
    /// `LD_PRELOAD` and what goes with it; empty on the native side.
    pub environment: Vec<(String, String)>,
    /// The user that programs run as, if not the test's own.
    pub user: Option<u32>,
}

impl World {
    /// The directory under test.
    pub fn prefix(&self) -> PathBuf {
        self.side.join("p")
    }

    /// The host directory beside it.
    pub fn host(&self) -> PathBuf {
        self.side.join("h")
    }

    /// A place that no case looks at: outputs are captured there.
    pub fn scratch(&self) -> &Path {
        self.side.parent().expect("a side has a base")
    }

    /// A program set up to run in this world: a clean environment, the host directory as its working directory.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.host())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.host())
            .env("XDG_CACHE_HOME", build::work_directory().join("cache"))
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHON", build::python())
            .env("P", self.prefix())
            .env("H", self.host())
            .env("T", self.scratch().join("bin"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .process_group(0);
        // What makes a case longer than it is in everyday runs.
        if let Some(rounds) = std::env::var_os("SIDESTEP_TEST_ROUNDS") {
            command.env("SIDESTEP_TEST_ROUNDS", rounds);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user).env("XDG_CACHE_HOME", self.scratch().join("cache"));
        }
        command
    }
}

/// Both sides, in a directory of their own on tmpfs that goes away with this.
pub struct Pair {
    /// The kernel's side.
    pub native: World,
    /// Sidestep's side; with `SIDESTEP_TEST_SELF=1` the kernel's again, which checks the case itself.
    pub ours: World,
    base: PathBuf,
}

impl Pair {
    /// A fresh pair with a default store.
    pub fn new() -> Self {
        Self::with_options("")
    }

    /// A fresh pair whose mount has options, as in `chunk=1KiB&targets=2`.
    pub fn with_options(options: &str) -> Self {
        Self::make(engine::chosen(), options, None)
    }

    /// A fresh pair whose programs run as [`NOBODY`], if the test itself is root.
    pub fn as_nobody() -> Self {
        Self::make(engine::chosen(), "", rustix::process::getuid().is_root().then_some(NOBODY))
    }

    /// A fresh pair on an engine of the test's choice.
    pub fn on(engine: &Engine) -> Self {
        Self::make(engine, "", None)
    }

    /// A fresh pair below a directory of the test's choice.
    pub fn below(place: &Path, options: &str) -> Self {
        Self::make_in(fresh_base_below(place), engine::chosen(), options, None)
    }

    fn make(engine: &Engine, options: &str, user: Option<u32>) -> Self {
        Self::make_in(fresh_base(), engine, options, user)
    }

    fn make_in(base: PathBuf, engine: &Engine, options: &str, user: Option<u32>) -> Self {
        let world = |name: &str| {
            let side = base.join(name);
            fs::create_dir_all(side.join("h")).expect("tmpfs is writable");
            World { side, environment: Vec::new(), user }
        };
        let mut pair = Self { native: world("a"), ours: world("b"), base: base.clone() };
        fs::create_dir(pair.native.prefix()).expect("tmpfs is writable");
        fs::create_dir(base.join("bin")).expect("tmpfs is writable");
        if super::is_self_check() {
            fs::create_dir(pair.ours.prefix()).expect("tmpfs is writable");
        } else {
            // A copy, because the target directory may be out of another user's reach.
            fs::copy(build::library(), base.join("libsidestep.so")).expect("the library was built");
            let options = engine.options(options.trim_start_matches('&'));
            let mark = if options.is_empty() { "" } else { "?" };
            let mounts = format!("{}={}{mark}{options}", pair.ours.prefix().display(), engine.url(&base));
            pair.ours.environment = preload(&base.join("libsidestep.so"), &mounts);
            pair.ours.environment.extend(engine.environment(&base));
            if matches!(engine, Engine::Daos(_)) {
                let mut command = pair.ours.command("/bin/bash");
                command.args(["-c", "shopt -s dotglob nullglob; chmod -R u+rwx \"$P\"/*; rm -rf \"$P\"/*"]);
                process::run(command, &base, super::CASE_TIME_MAX);
            }
        }
        if let Some(user) = user {
            fs::create_dir(base.join("cache")).expect("tmpfs is writable");
            for name in ["", "a", "b", "a/h", "b/h", "a/p", "b/p", "cache", "daos"] {
                let path = base.join(name);
                if path.exists() {
                    chown(&path, Some(user), Some(user)).expect("root may give away");
                }
            }
        }
        pair
    }

    /// The store behind our side's prefix.
    pub fn store(&self) -> PathBuf {
        self.base.join("store")
    }

    /// The directory that holds everything of this pair.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Puts a C program of `tests/programs` where both sides find it: `$T/NAME`.
    pub fn add_program(&self, name: &str) -> PathBuf {
        let place = self.base.join("bin").join(name);
        fs::copy(build::program(name), &place).expect("the program was compiled");
        place
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::env::var_os("SIDESTEP_TEST_KEEP").is_some() {
            eprintln!("kept: {}", self.base.display());
            return;
        }
        if fs::remove_dir_all(&self.base).is_err() {
            // A case may leave directories without permissions behind.
            let _ = Command::new("chmod").args(["-R", "u+rwx"]).arg(&self.base).status();
            let _ = fs::remove_dir_all(&self.base);
        }
    }
}

/// The variables that put a program under Sidestep.
pub fn preload(library: &Path, mounts: &str) -> Vec<(String, String)> {
    vec![("LD_PRELOAD".to_owned(), library.display().to_string()), ("SIDESTEP_MOUNTS".to_owned(), mounts.to_owned())]
}

/// A new directory, which everybody may enter: on tmpfs, or below `SIDESTEP_TEST_BASE`. On a disk the stores have a log.
pub fn fresh_base() -> PathBuf {
    let place = std::env::var_os("SIDESTEP_TEST_BASE").map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from);
    fresh_base_below(&place)
}

/// As [`fresh_base`], below a directory of the test's choice.
pub fn fresh_base_below(place: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let base = place.join(format!("sidestep-{}-{count}", std::process::id()));
    let _ = fs::remove_dir_all(&base);
    fs::create_dir(&base).expect("a tmpfs on /dev/shm is needed, or a directory of ours");
    fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).expect("our own directory");
    base
}

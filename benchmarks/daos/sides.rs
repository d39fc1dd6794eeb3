//! The sides: libdfs called directly, libpil4dfs, and Sidestep, all on the same container.

use super::build;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Who serves the files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The workload calls libdfs itself.
    Libdfs,
    /// libpil4dfs is preloaded.
    Libpil4dfs,
    /// Sidestep is preloaded.
    Ours,
}

/// One side.
pub struct Side {
    /// Who.
    pub kind: Kind,
    /// Under which path the container's root is.
    pub prefix: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Side {
    /// A program set up to run on this side.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_remove("LD_PRELOAD").env_remove("SIDESTEP").env_remove("SIDESTEP_MOUNTS");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The directory in the container that one round of this run has for itself.
    pub fn directory(&self, round: usize) -> PathBuf {
        let kind = match self.kind {
            Kind::Libdfs => "libdfs",
            Kind::Libpil4dfs => "libpil4dfs",
            Kind::Ours => "sidestep",
        };
        self.prefix.join(format!("bench-{}-{round}-{kind}", std::process::id()))
    }

    /// This side with options of the mount, where there are such.
    pub fn with_options(&self, options: &str) -> Self {
        let mut environment = self.environment.clone();
        for (name, value) in &mut environment {
            if *name == "SIDESTEP_MOUNTS" {
                value.push_str(options);
            }
        }
        Self { kind: self.kind, prefix: self.prefix.clone(), environment }
    }
}

/// All sides that this machine has, and the program that is run on them. Goes away with its files.
pub struct Sides {
    /// libdfs first, Sidestep last.
    pub all: Vec<Side>,
    /// The program that does and times what it is asked for.
    pub workload: PathBuf,
    /// What the figures were measured with, in words.
    pub description: String,
    /// How long a system is to be left alone after a connection: the engine of a real one spins a thread for 8 s.
    pub settling: Duration,
    /// Whether mdtest's phases take the names in orders of their own.
    pub is_shuffled: bool,
    base: PathBuf,
}

impl Sides {
    /// Builds the library and the program. `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names the system to be measured with;
    /// without it the emulator stands in.
    pub fn new() -> Result<Self, String> {
        let base = PathBuf::from(format!("/dev/shm/sidestep-bench-{}", std::process::id()));
        let mut sides = match std::env::var("SIDESTEP_TEST_DAOS") {
            Ok(named) => Self::real(&named, base)?,
            Err(_) => Self::emulated(base)?,
        };
        for directory in [sides.host_directory(), sides.base.join("store")] {
            fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        for side in &sides.all {
            // libpil4dfs insists on a directory there; one that lacks files shows a call that a library misses.
            fs::create_dir_all(&side.prefix).map_err(|error| format!("{}: {error}", side.prefix.display()))?;
        }
        sides.workload = sides.base.join("daos_workload");
        let sources = ["daos_workload.c", "daos/posix_files.c", "daos/dfs_files.c"];
        let sources = sources.map(|source| build::source_root().join("benchmarks").join(source));
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&sides.workload).args(sources);
        let made = compiler.status().map_err(|error| format!("cc is needed: {error}"))?;
        if !made.success() {
            return Err("cc daos_workload.c failed".to_owned());
        }
        Ok(sides)
    }

    /// Has mdtest's phases take the names in orders of their own.
    pub fn shuffle(&mut self) {
        self.is_shuffled = true;
        self.description.push_str(", names shuffled");
    }

    /// A directory on the host.
    pub fn host_directory(&self) -> PathBuf {
        self.base.join("host")
    }

    fn real(named: &str, base: PathBuf) -> Result<Self, String> {
        let (pool, container) = named.split_once('/').ok_or("SIDESTEP_TEST_DAOS=POOL/CONTAINER")?;
        let libdfs = library("SIDESTEP_LIBDFS", "libdfs.so")?;
        let mut all = Self::both(pool, container, &base, &libdfs);
        let prefix = base.join("libpil4dfs");
        let environment = vec![
            ("LD_PRELOAD", library("SIDESTEP_LIBPIL4DFS", "libpil4dfs.so")?.display().to_string()),
            ("D_IL_MOUNT_POINT", prefix.display().to_string()),
            ("D_IL_POOL", pool.to_owned()),
            ("D_IL_CONTAINER", container.to_owned()),
            // `ls` and other small programs it otherwise leaves alone.
            ("D_IL_NO_BYPASS", "1".to_owned()),
        ];
        all.insert(1, Side { kind: Kind::Libpil4dfs, prefix, environment });
        let description = format!("real DAOS, {}", libdfs.display());
        Ok(Self {
            all,
            workload: PathBuf::new(),
            description,
            settling: Duration::from_secs(9),
            is_shuffled: false,
            base,
        })
    }

    fn emulated(base: PathBuf) -> Result<Self, String> {
        let libdfs = emulator()?;
        let mut all = Self::both("pool", "container", &base, &libdfs);
        let latency = std::env::var("SIDESTEP_EMULATOR_LATENCY_US").unwrap_or_else(|_| "20".to_owned());
        for side in &mut all {
            side.environment.extend([
                ("SIDESTEP_EMULATOR_STORE", base.join("store").display().to_string()),
                ("SIDESTEP_EMULATOR_CREATE", "1".to_owned()),
                ("SIDESTEP_EMULATOR_LATENCY_US", latency.clone()),
            ]);
        }
        let description = format!("the emulator of libdfs, {latency} us for each message");
        Ok(Self { all, workload: PathBuf::new(), description, settling: Duration::ZERO, is_shuffled: false, base })
    }

    fn both(pool: &str, container: &str, base: &Path, libdfs: &Path) -> Vec<Side> {
        let libdfs = libdfs.display().to_string();
        let direct = vec![
            ("BENCH_LIBDFS", libdfs.clone()),
            ("BENCH_POOL", pool.to_owned()),
            ("BENCH_CONTAINER", container.to_owned()),
        ];
        let prefix = base.join("sidestep");
        let ours = vec![
            ("LD_PRELOAD", build::library().display().to_string()),
            ("SIDESTEP_MOUNTS", format!("{}=daos:{pool}/{container}", prefix.display())),
            ("SIDESTEP_LIBDFS", libdfs),
        ];
        vec![
            Side { kind: Kind::Libdfs, prefix: base.join("libdfs"), environment: direct },
            Side { kind: Kind::Ours, prefix, environment: ours },
        ]
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// The emulator, built as a release; `SIDESTEP_LIBDFS` names another one.
fn emulator() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("SIDESTEP_LIBDFS") {
        return Ok(path.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = build::target_directory();
    let mut command = Command::new(cargo);
    command.current_dir(build::source_root()).args(["build", "--release", "--quiet", "-p", "sidestep-dfs-emulator"]);
    let status = command.arg("--target-dir").arg(&target).status().map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err("the emulator was not built".to_owned());
    }
    Ok(target.join("release/libsidestep_dfs_emulator.so"))
}

/// A library of DAOS: where the variable says, or where the loader and DAOS's packages have it.
fn library(variable: &str, name: &str) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let loader = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let packaged = ["/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/opt/daos/lib64"];
    let places = loader.split(':').filter(|place| !place.is_empty()).chain(packaged);
    let found = places.map(|place| Path::new(place).join(name)).find(|path| path.exists());
    found.ok_or(format!("{name} is not found; {variable} can say where it is"))
}

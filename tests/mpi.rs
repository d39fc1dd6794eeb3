//! Jobs under MPICH and Open MPI whose ranks share files: MPI-IO in all its ways, and parallel HDF5, over the stand-in for
//! libdfs, or over the system that `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names. Each job runs natively too, and says the same.

mod common;

use common::build;
use common::process::{self, Outcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// The ranks of a job: as many as share a node of two processors.
const RANKS: &str = "2";

/// An implementation, by its name in Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mpi {
    Mpich,
    OpenMpi,
}

use Mpi::{Mpich, OpenMpi};

/// How the ranks come to have our variables.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// `mpiexec -genv NAME VALUE` of MPICH, `mpirun -x NAME=VALUE` of Open MPI.
    Option,
    /// A script between `mpiexec` and the program sets them.
    Script,
}

/// The ways of MPI-IO.
const WAYS: [&str; 12] = [
    "at",
    "at_all",
    "view_all",
    "view",
    "nonblocking",
    "halves",
    "size",
    "removed",
    "sync",
    "shared",
    "ordered",
    "atomic",
];

/// Those in which MPICH's ROMIO locks ranges of the file, which answers `ENOSYS` under a prefix: shared file pointers, atomic
/// mode. It locks in `view` too, unless `romio_ds_write=disable` says that it is to write each block by itself.
const LOCKED_BY_MPICH: [&str; 3] = ["shared", "ordered", "atomic"];

/// Open MPI reads what was begun by `MPI_File_read_at_all_begin` in a thread of libc's AIO. On a DAOS whose one engine shared
/// two cores with the ranks that read ended with `MPI_ERR_OTHER` in some runs, and why is not known yet.
const NOT_SURE_OF_OPEN_MPI: [&str; 1] = ["halves"];

impl Mpi {
    fn word(self) -> &'static str {
        match self {
            Mpich => "mpich",
            OpenMpi => "openmpi",
        }
    }

    fn ways(self) -> Vec<&'static str> {
        let left_out = match self {
            Mpich => &LOCKED_BY_MPICH[..],
            OpenMpi => &NOT_SURE_OF_OPEN_MPI[..],
        };
        WAYS.into_iter().filter(|way| !left_out.contains(way)).collect()
    }
}

/// Ranks that wait look again and again: one job at a time has the processors.
static TURN: Mutex<()> = Mutex::new(());

/// A job's directory on the host, and what its programs need.
struct Job {
    base: TempDir,
    mpi: Mpi,
    _turn: MutexGuard<'static, ()>,
}

impl Job {
    fn new(mpi: Mpi) -> Self {
        let base = tempfile::tempdir().expect("the directory for temporary files is writable");
        for name in ["store", "native", "scratch", "home"] {
            fs::create_dir(base.path().join(name)).expect("our own directory");
        }
        Self { base, mpi, _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// Compiles a program of `tests/programs` against this MPI.
    fn program(&self, name: &str, more: &[&str]) -> PathBuf {
        let binary = self.path(name);
        let mut compiler = Command::new(format!("mpicc.{}", self.mpi.word()));
        compiler.args(["-O1", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-o"]).arg(&binary);
        compiler.arg(build::source_root().join(format!("tests/programs/{name}.c"))).args(more);
        let output = compiler.output().expect("the MPI's compiler starts (tests/setup installs it)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        binary
    }

    /// Our variables, with `options` for the mount.
    fn variables(&self, options: &str) -> Vec<(&'static str, String)> {
        let url = std::env::var("SIDESTEP_TEST_DAOS").unwrap_or_else(|_| "tank/c1".to_owned());
        let mut variables = vec![
            ("SIDESTEP_MOUNTS", format!("/mpi=daos:{url}{options}")),
            ("LD_PRELOAD", build::library().display().to_string()),
        ];
        if std::env::var_os("SIDESTEP_TEST_DAOS").is_none() {
            variables.push(("SIDESTEP_LIBDFS", build::emulator().display().to_string()));
            variables.push(("SIDESTEP_EMULATOR_CREATE", "1".to_owned()));
            variables.push(("SIDESTEP_EMULATOR_STORE", self.path("store").display().to_string()));
        }
        variables
    }

    /// Runs a job with `variables` in the ranks.
    fn run(&self, manner: Manner, variables: &[(&'static str, String)], program: &Path, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(format!("mpiexec.{}", self.mpi.word()));
        // Two ranks on whatever there is, as root too, and no other way between them than memory.
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.env("OMPI_MCA_rmaps_base_oversubscribe", "1").env("OMPI_MCA_btl", "self,vader");
        command.env("OMPI_MCA_plm", "isolated");
        command.env("HOME", self.path("home")).env_remove("XDG_CACHE_HOME").args(["-n", RANKS]);
        match manner {
            Manner::Option => {
                for (name, value) in variables {
                    match self.mpi {
                        Mpich => command.args(["-genv", name, value]),
                        OpenMpi => command.args(["-x", &format!("{name}={value}")]),
                    };
                }
            }
            Manner::Script => {
                let lines: String =
                    variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
                let script = self.path("rank.sh");
                fs::write(&script, format!("{lines}exec \"$@\"\n")).expect("our own file");
                command.arg("/bin/sh").arg(script);
            }
        }
        command.arg(program).args(arguments);
        process::run(command, &self.path("scratch"), Duration::from_secs(300))
    }

    /// A directory under the prefix, made by a single process.
    fn directory(&self, options: &str) -> String {
        let path = format!("/mpi/job-{}-{}", std::process::id(), self.mpi.word());
        let mut command = Command::new("mkdir");
        command.args(["-p", &path]).envs(self.variables(options)).env("HOME", self.path("home"));
        assert!(command.status().expect("mkdir starts").success());
        path
    }
}

/// What a job said, if it ended well and complained of nothing.
#[track_caller]
fn said(what: &str, outcome: &Outcome) -> String {
    let is_well = outcome.status == "exit 0" && outcome.stderr.is_empty();
    assert!(is_well, "{what}: {}\n{}{}", outcome.status, outcome.stdout, outcome.stderr);
    outcome.stdout.clone()
}

/// A job ended itself with an error. What its ranks said before that may be lost on the way, or half of it.
#[track_caller]
fn assert_ended(what: &str, outcome: &Outcome) {
    let is_ended = outcome.status != "exit 0" && !outcome.timed_out && !outcome.stdout.contains(" wrong, ");
    assert!(is_ended, "{what}: {}\n{}{}", outcome.status, outcome.stdout, outcome.stderr);
}

/// MPI-IO in all ways, natively and under the prefix.
fn ways_are_right(mpi: Mpi, manner: Manner) {
    let job = Job::new(mpi);
    let program = job.program("mpi_io", &[]);
    let sieving = ("SIEVING", "disable".to_owned());
    let ways = mpi.ways();
    let arguments =
        |directory: &str| [&[directory][..], &ways].concat().iter().map(ToString::to_string).collect::<Vec<_>>();
    let run = |variables: &[_], directory: &str| {
        let arguments = arguments(directory);
        job.run(manner, variables, &program, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let native = run(std::slice::from_ref(&sieving), &job.path("native").display().to_string());
    let native = said("natively", &native);
    assert_eq!(native.lines().count(), ways.len(), "{native}");
    assert!(native.lines().all(|line| line.contains(": 0 wrong, size ") || line == "removed: gone"), "{native}");
    if common::is_self_check() {
        return;
    }
    let directory = job.directory("");
    let variables = [&job.variables("")[..], &[sieving]].concat();
    assert_eq!(said("under the prefix", &run(&variables, &directory)), native);
}

#[test]
fn mpich_has_its_ways_of_io() {
    ways_are_right(Mpich, Manner::Option);
}

#[test]
fn open_mpi_has_its_ways_of_io() {
    ways_are_right(OpenMpi, Manner::Option);
}

#[test]
fn a_script_may_set_the_variables() {
    ways_are_right(Mpich, Manner::Script);
    ways_are_right(OpenMpi, Manner::Script);
}

/// A job of MPICH in each of these ways, over a mount with `options`, ends with an error.
fn mpich_ends(options: &str, ways: &[&str]) {
    if common::is_self_check() {
        return;
    }
    let job = Job::new(Mpich);
    let program = job.program("mpi_io", &[]);
    let directory = job.directory("");
    for way in ways {
        assert_ended(way, &job.run(Manner::Option, &job.variables(options), &program, &[&directory, way]));
    }
}

/// Where a lock is needed the job is told so, and ends; nothing hangs.
#[test]
fn mpich_is_told_that_there_are_no_locks() {
    mpich_ends("", &LOCKED_BY_MPICH);
}

/// ROMIO knows DAOS's number, and has no driver for it in Debian's build.
#[test]
fn mpich_opens_nothing_on_what_is_called_daos() {
    mpich_ends("?f_type=daos", &["size"]);
}

fn hdf5_is_right(mpi: Mpi) {
    let job = Job::new(mpi);
    let libraries = format!("/usr/lib/x86_64-linux-gnu/hdf5/{}", mpi.word());
    let (include, own) = (format!("-I/usr/include/hdf5/{}", mpi.word()), format!("-Wl,-rpath,{libraries}"));
    let program = job.program("mpi_hdf5", &[&include, &format!("-L{libraries}"), &own, "-lhdf5"]);
    let native = job.path("native").join("file").display().to_string();
    let directory = if common::is_self_check() { String::new() } else { job.directory("") };
    for layout in ["contiguous", "chunked"] {
        for transfer in ["independent", "collective"] {
            let wanted = format!("{layout} {transfer}: 0 wrong\n");
            // Rows by turns have gaps.
            let sieving = [("SIEVING", "disable".to_owned())];
            let outcome = job.run(Manner::Option, &sieving, &program, &[&native, layout, transfer]);
            assert_eq!(said("natively", &outcome), wanted);
            if common::is_self_check() {
                continue;
            }
            let file = format!("{directory}/{layout}-{transfer}");
            let variables = [&job.variables("")[..], &sieving].concat();
            let outcome = job.run(Manner::Option, &variables, &program, &[&file, layout, transfer]);
            assert_eq!(said("under the prefix", &outcome), wanted);
        }
    }
}

#[test]
fn parallel_hdf5_of_mpich_is_right() {
    hdf5_is_right(Mpich);
}

#[test]
fn parallel_hdf5_of_open_mpi_is_right() {
    hdf5_is_right(OpenMpi);
}

/// A profiler that wraps MPI and libc counts what the program calls, before us in `LD_PRELOAD` or after us, and the ranks
/// see one another's bytes.
#[test]
fn a_profiler_may_come_before_or_after() {
    for mpi in [Mpich, OpenMpi] {
        let job = Job::new(mpi);
        let program = job.program("mpi_io", &[]);
        let profiler = job.program("mpi_profiler", &["-shared", "-fPIC"]).display().to_string();
        let preloads = |list: String| {
            let mut variables = job.variables("");
            variables.retain(|(name, _)| *name != "LD_PRELOAD");
            variables.push(("LD_PRELOAD", list));
            variables
        };
        let native = [("LD_PRELOAD", profiler.clone())];
        let directory = job.path("native").display().to_string();
        let native = said("natively", &job.run(Manner::Option, &native, &program, &[&directory, "at", "sync"]));
        assert!(native.contains("profile: 2 opened, 8 written, 13 met\n"), "{native}");
        if common::is_self_check() {
            continue;
        }
        let (directory, ours) = (job.directory(""), build::library().display().to_string());
        for list in [format!("{profiler}:{ours}"), format!("{ours}:{profiler}")] {
            let outcome = job.run(Manner::Option, &preloads(list.clone()), &program, &[&directory, "at", "sync"]);
            assert_eq!(said(&list, &outcome), native);
        }
    }
}

//! Suites that others wrote, run against the prefix: fsx and pjdfstest from crates.io; CPython's own tests, fio,
//! stress-ng, dbench and bonnie++ from Debian (`tests/setup` installs them).
//!
//! What passes natively and not under Sidestep is listed by name, with the reason, in `tests/third_party/*.txt`; over
//! DAOS (`third_party_daos.rs`) in `tests/daos/*.txt`. A case that fails and is not listed fails the test; so does a
//! listed one that passes: the lists only shrink.

mod common;

use common::engine;
use common::process::{self, Outcome};
use common::world::{Pair, World};
use common::{build, said};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The longest suite takes a third of this on two busy cores.
const SUITE_TIME_MAX: Duration = Duration::from_secs(600);

/// Operations of one fsx run, and its seeds.
const FSX_OPERATIONS: &str = "20000";
const FSX_SEEDS: [&str; 3] = ["1", "42", "20260101"];

/// Modules of CPython's suite that live on files. Not test_mmap, test_mailbox and test_dbm: they are of mmap and locks.
const CPYTHON_MODULES: &[&str] = &[
    "test_bufio",
    "test_bz2",
    "test_csv",
    "test_dbm_dumb",
    "test_epoll",
    "test_fcntl",
    "test_file",
    "test_filecmp",
    "test_fileinput",
    "test_fileio",
    "test_fork1",
    "test_glob",
    "test_gzip",
    "test_import",
    "test_io",
    "test_largefile",
    "test_linecache",
    "test_os",
    "test_pathlib",
    "test_poll",
    "test_popen",
    "test_posix",
    "test_select",
    "test_shelve",
    "test_shutil",
    "test_subprocess",
    "test_tarfile",
    "test_tempfile",
    "test_univnewlines",
    "test_zipfile",
    "test_zipimport",
];

/// A suite's program from crates.io, built once into the target directory.
fn suite(name: &str, version: &str) -> PathBuf {
    let root = build::work_directory().join("suites");
    let program = root.join("bin").join(name);
    let _lock = build::lock(&format!("suite-{name}"));
    if !program.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["install", "--quiet", "--locked", "--root"])
            .arg(&root)
            .arg("--target-dir")
            .arg(root.join("target"))
            .arg(format!("{name}@{version}"))
            .status()
            .expect("cargo starts");
        assert!(status.success(), "cargo install {name}@{version} failed");
    }
    program
}

/// Runs a suite's program in one world.
fn run(world: &World, program: &Path, arguments: &[&str]) -> Outcome {
    let mut command = world.command(&program.display().to_string());
    command.args(arguments);
    let mut outcome = process::run(command, world.scratch(), SUITE_TIME_MAX);
    outcome.normalise(world);
    outcome
}

/// Runs a Debian program in both worlds; it must be content in both.
fn content_in_both(pair: &Pair, program: &str, arguments: impl Fn(&str) -> Vec<String>) {
    for world in [&pair.native, &pair.ours] {
        let prefix = world.prefix().display().to_string();
        let arguments = arguments(&prefix);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = run(world, &found(program), &arguments);
        assert_eq!(outcome.status, "exit 0", "{program} {arguments:?}\n{}{}", outcome.stdout, outcome.stderr);
    }
}

fn found(program: &str) -> PathBuf {
    let places = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let path = places.iter().map(|place| Path::new(place).join(program)).find(|path| path.exists());
    path.unwrap_or_else(|| panic!("{program} is not installed: run tests/setup"))
}

/// The list of cases that may fail, with their reasons; a line is a name, spaces, and why. A reason that begins with
/// `stand-in:` does not count on a DAOS system.
fn listed(suite: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(engine::list_of(suite)).expect("each suite has its list");
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, reason) = line.split_once(char::is_whitespace).unwrap_or_else(|| panic!("no reason: {line}"));
            (name.to_owned(), reason.trim().to_owned())
        })
        .filter(|(_, reason)| engine::chosen().counts(reason))
        .collect()
}

/// Compares what failed under Sidestep alone with the list.
fn check_against_list(suite: &str, failed: &BTreeSet<String>) {
    let listed = listed(suite);
    let new: Vec<_> = failed.iter().filter(|name| !listed.contains_key(*name)).collect();
    let gone: Vec<_> = listed.keys().filter(|name| !failed.contains(*name)).collect();
    assert!(new.is_empty(), "{suite}: fail under Sidestep and are not listed: {new:#?}");
    assert!(gone.is_empty(), "{suite}: pass now, take them off the list: {gone:#?}");
}

fn fsx(options: &str) {
    let program = suite("fsx", "0.3.2");
    let pair = Pair::with_options(options);
    let configuration = pair.base().join("fsx.toml");
    // No mmap: it is of a later issue. Everything else that fsx knows.
    let weights = "[weights]\nclose_open = 1.0\ninvalidate = 0\nmapread = 0\nmapwrite = 0\nmsync = 0\nread = 10\n\
                   write = 10\ntruncate = 10\nfsync = 1\nfdatasync = 1\npunch_hole = 2\ncopy_file_range = 2\n\
                   sendfile = 2\nposix_fallocate = 1\nposix_fadvise = 1\n";
    fs::write(&configuration, weights).expect("tmpfs");
    for seed in FSX_SEEDS {
        let file = pair.ours.prefix().join("fsx").display().to_string();
        let configuration = configuration.display().to_string();
        let outcome = run(&pair.ours, &program, &["-f", &configuration, "-N", FSX_OPERATIONS, "-S", seed, &file]);
        assert_eq!(outcome.status, "exit 0", "seed {seed}\n{}{}", outcome.stdout, outcome.stderr);
        assert!((outcome.stdout + &outcome.stderr).contains("A-OK"), "seed {seed}");
    }
}

#[test]
fn fsx_finds_every_byte() {
    fsx("");
}

#[test]
fn fsx_finds_every_byte_in_small_chunks_on_two_targets() {
    fsx("chunk=1KiB&targets=2");
}

#[test]
fn pjdfstest() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("pjdfstest changes users: it needs root");
        return;
    }
    let program = suite("pjdfstest", "0.2.2");
    let pair = Pair::new();
    let configuration = pair.base().join("pjdfstest.toml");
    let settings = "[features]\nposix_fallocate = {}\n[settings]\nnaptime = 0.02\nallow_remount = false\n\
                    expected_failures = []\n[dummy_auth]\nentries = [[\"nobody\", \"nogroup\"], [\"daemon\", \"daemon\"]]\n";
    fs::write(&configuration, settings).expect("tmpfs");
    let failed = |world: &World| -> BTreeSet<String> {
        let arguments = ["-c", &configuration.display().to_string(), "-p", &world.prefix().display().to_string()];
        let outcome = run(world, &program, &arguments);
        assert!(outcome.stdout.contains("Summary: "), "{}\n{}", outcome.status, outcome.stderr);
        let lines = outcome.stdout.lines().filter_map(|line| line.trim_end().strip_suffix("FAILED"));
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    let native = failed(&pair.native);
    let ours = failed(&pair.ours);
    check_against_list("pjdfstest", &ours.difference(&native).cloned().collect());
}

#[test]
fn cpython() {
    let python = found("python3.11");
    let script = build::source_root().join("tests/third_party/cpython.py").display().to_string();
    let mut pair = Pair::new();
    pair.ours.environment.extend(engine::chosen().without_latency());
    let outcomes = |world: &World| -> BTreeMap<String, String> {
        let report = world.scratch().join(format!("report-{}", world.side.file_name().expect("named").display()));
        let (prefix, report) = (world.prefix().display().to_string(), report.display().to_string());
        let mut arguments = vec![script.as_str(), &prefix, &report];
        arguments.extend(CPYTHON_MODULES);
        let mut command = world.command(&python.display().to_string());
        command.args(&arguments);
        let scratch = world.host();
        let outcome = process::run(command, &scratch, SUITE_TIME_MAX);
        assert_eq!(outcome.status, "exit 0", "{}{}", outcome.stdout, outcome.stderr);
        let lines = outcome.stdout.lines().filter_map(|line| line.rsplit_once(' '));
        lines.map(|(name, outcome)| (name.to_owned(), outcome.to_owned())).collect()
    };
    // Side by side: most of the time the suite sleeps.
    let (native, ours) = std::thread::scope(|scope| {
        let native = scope.spawn(|| outcomes(&pair.native));
        let ours = outcomes(&pair.ours);
        (native.join().expect("the native run"), ours)
    });
    assert!(native.len() > 1_500, "only {} cases ran: is libpython3.11-testsuite installed?", native.len());
    let passed = native.iter().filter(|(_, outcome)| *outcome == "ok");
    let failed = passed.filter(|(name, _)| ours.get(*name).is_none_or(|outcome| outcome != "ok"));
    check_against_list("cpython", &failed.map(|(name, _)| name.clone()).collect());
}

#[test]
fn fio_verifies() {
    let pair = Pair::new();
    for engine in ["sync", "psync", "vsync", "pvsync", "pvsync2"] {
        // In threads and small blocks; in forked processes and blocks that keep to no border (IOR's 47,008 bytes).
        for how in ["--thread --bs=4k", "--numjobs=2 --bs=47008"] {
            content_in_both(&pair, "fio", |prefix| {
                let fixed = "--name=job --rw=randwrite --size=8m --verify=crc32c \
                             --fsync=50 --randseed=7 --do_verify=1 --verify_fatal=1 --output-format=terse --fallocate=none";
                let mut arguments: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
                arguments.extend([format!("--directory={prefix}"), format!("--ioengine={engine}")]);
                arguments.extend(how.split(' ').map(str::to_owned));
                arguments
            });
        }
    }
}

#[test]
fn stress_ng_verifies() {
    let pair = Pair::new();
    // The stressors of the filesystem class that need neither mmap, locks, xattr, hard links nor a device.
    let stressors = [
        "access",
        "chdir",
        "chmod",
        "copy-file",
        "dentry",
        "dir",
        "dirdeep",
        "dirmany",
        "dup",
        "fallocate",
        "filename",
        "fpunch",
        "fstat",
        "getdent",
        "hdd",
        "lease",
        "open",
        "readahead",
        "rename",
        "seek",
        "sendfile",
        "splice",
        "symlink",
        "touch",
        "utime",
    ];
    content_in_both(&pair, "stress-ng", |prefix| {
        let mut arguments: Vec<String> =
            ["--temp-path", prefix, "--verify", "--timeout", "1", "--oomable"].map(str::to_owned).to_vec();
        for stressor in stressors {
            arguments.extend([format!("--{stressor}"), "1".to_owned()]);
        }
        arguments
    });
}

#[test]
fn dbench() {
    let pair = Pair::new();
    content_in_both(&pair, "dbench", |prefix| {
        let arguments = ["-D", prefix, "-t", "4", "-c", "/usr/share/dbench/client.txt", "4"];
        arguments.map(str::to_owned).to_vec()
    });
}

#[test]
fn bonnie() {
    let pair = Pair::new();
    content_in_both(&pair, "bonnie++", |prefix| {
        let arguments = ["-d", prefix, "-u", "root", "-r", "16", "-s", "32", "-n", "2:20000:10:4", "-q"];
        arguments.map(str::to_owned).to_vec()
    });
    let empty = common::run_in(&pair.ours, "/bin/ls", &["-A".to_owned(), pair.ours.prefix().display().to_string()]);
    assert_eq!(said(&empty), "");
}

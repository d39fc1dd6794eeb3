//! The stand-in for libdfs is honest: it answers as DAOS does, and does what its settings say.
//!
//! `tests/programs/dfs_*.c` call libdfs directly and tell what it answers. What DAOS 2.8.0 told is in `tests/daos/`; with
//! `SIDESTEP_TEST_DAOS=POOL/CONTAINER` a DAOS system is asked anew (`SIDESTEP_WRITE_TRANSCRIPTS=1` keeps its answers).

mod common;

use common::build;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The programs whose answers are compared.
const PROGRAMS: [&str; 2] = ["dfs_behaviour", "dfs_events"];

fn store() -> TempDir {
    let store = tempfile::tempdir_in("/dev/shm").expect("tmpfs is writable");
    let made = probe(&store, &[("CREATE", "1")], &[]);
    assert!(made.status.success(), "{}", told(&made));
    store
}

fn emulated(store: &TempDir, program: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(build::program(program));
    command.arg(build::emulator()).args(["tank", "c1"]).env("SIDESTEP_EMULATOR_STORE", store.path());
    for (name, value) in settings {
        command.env(format!("SIDESTEP_EMULATOR_{name}"), value);
    }
    command
}

fn probe(store: &TempDir, settings: &[(&str, &str)], words: &[&str]) -> Output {
    emulated(store, "dfs_probe", settings).args(words).output().expect("the program starts")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn transcript(program: &str) -> PathBuf {
    build::source_root().join(format!("tests/daos/{program}.txt"))
}

#[track_caller]
fn assert_same(program: &str, emulated: &str, real: &str) {
    let differing = emulated.lines().zip(real.lines()).find(|(one, other)| one != other);
    assert!(differing.is_none(), "{program}: the emulator and DAOS differ: {differing:?}");
    assert_eq!(emulated.lines().count(), real.lines().count(), "{program}: one of them tells more");
}

#[test]
fn answers_are_those_of_daos() {
    let store = store();
    for program in PROGRAMS {
        let output = emulated(&store, program, &[("LATENCY_US", "0")]).output().expect("the program starts");
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let recorded = std::fs::read_to_string(transcript(program)).expect("a transcript");
        assert_same(program, &told(&output), &recorded);
    }
}

#[test]
fn a_daos_system_answers_as_it_did() {
    let Some(address) = std::env::var("SIDESTEP_TEST_DAOS").ok() else {
        println!("not asked: SIDESTEP_TEST_DAOS=POOL/CONTAINER names no DAOS system");
        return;
    };
    let (pool, container) = address.split_once('/').expect("SIDESTEP_TEST_DAOS=POOL/CONTAINER");
    let library = std::env::var_os("SIDESTEP_LIBDFS").unwrap_or_else(|| "libdfs.so".into());
    for program in PROGRAMS {
        let mut command = Command::new(build::program(program));
        let output = command.arg(&library).args([pool, container]).output().expect("the program starts");
        assert!(output.status.success(), "{}", told(&output));
        let told = String::from_utf8_lossy(&output.stdout);
        if std::env::var_os("SIDESTEP_WRITE_TRANSCRIPTS").is_some() {
            std::fs::write(transcript(program), told.as_bytes()).expect("the sources are writable");
        }
        assert_same(program, &std::fs::read_to_string(transcript(program)).expect("a transcript"), &told);
    }
}

#[test]
fn messages_are_counted_as_daos_sends_them() {
    let words =
        ["create", "messages", "write", "messages", "stat", "messages", "read", "messages", "remove", "messages"];
    let output = probe(&store(), &[], &words);
    let counts: Vec<String> =
        told(&output).lines().filter(|line| line.starts_with("messages")).map(str::to_owned).collect();
    // Made: one entry. Written: one chunk. Asked for: the entry and its object. Read: one chunk, all of it there.
    // Removed: the entry fetched, the object punched, the name punched.
    assert_eq!(counts, [1, 1, 2, 1, 3].map(|count| format!("messages: {count}")), "{}", told(&output));
}

#[test]
fn counts_of_several_processes_add_up_in_a_file() {
    let (store, counters) = (store(), tempfile::NamedTempFile::new_in("/dev/shm").expect("tmpfs is writable"));
    let settings = [("COUNTERS", counters.path().to_str().expect("a path"))];
    for _ in 0..2 {
        probe(&store, &settings, &["create", "stat", "stat", "new-child"]);
    }
    let bytes = std::fs::read(counters.path()).expect("it was made");
    let record = bytes.chunks(64).find(|record| record.starts_with(b"dfs_stat\0")).expect("a record");
    let number = |at: usize| u64::from_ne_bytes(record[at..at + 8].try_into().expect("eight bytes"));
    assert_eq!((number(48), number(56)), (6, 12));
}

#[test]
fn a_message_takes_its_time_with_and_without_an_event() {
    let store = store();
    let words = ["create", "slow", "late-write", "slow", "write", "slow"];
    let slow = probe(&store, &[("LATENCY_US", "40000")], &words);
    assert_eq!(told(&slow), "create: 0\nslow: yes\nlate-write: 0\nslow: yes\nwrite: 0\nslow: yes\n");
    let fast = probe(&store, &[("LATENCY_US", "0")], &words);
    assert_eq!(told(&fast), "create: 0\nslow: no\nlate-write: 0\nslow: no\nwrite: 0\nslow: no\n");
    let narrow = probe(&store, &[("BANDWIDTH", "1000000")], &["create", "slow", "write", "slow", "late-write", "slow"]);
    assert_eq!(told(&narrow), "create: 0\nslow: no\nwrite: 0\nslow: yes\nlate-write: 0\nslow: yes\n");
}

#[test]
fn long_transfers_go_on_while_nobody_looks() {
    let store = store();
    let output = probe(&store, &[], &["create", "meanwhile", "forked", "meanwhile"]);
    let whole = "2097152 bytes, 0";
    let expected = format!("create: 0\nmeanwhile: {whole}\nforked: in the child 0, {whole}\nmeanwhile: {whole}\n");
    assert_eq!(told(&output), expected);
    let spoilt = told(&probe(&store, &[], &["create", "spoilt"]));
    let complaint = "sidestep-dfs-emulator: the memory of a transfer was changed before it ended\n";
    assert_eq!(spoilt, format!("create: 0\nspoilt: {whole}\n{complaint}"));
}

#[test]
fn faults_strike_when_and_how_they_are_ordered() {
    let store = store();
    let with = |fault: &str, words: &[&str]| told(&probe(&store, &[("FAULT", fault)], words));
    assert_eq!(
        with("dfs_write:2:EIO,dfs_read:/2:short", &["create", "write", "late-write", "write", "read", "read"]),
        "create: 0\nwrite: 0\nlate-write: EIO\nwrite: 0\nread: 65536 bytes, 0\nread: 32768 bytes, 0\n"
    );
    assert_eq!(
        with("dfs_open:1:late-DER_TIMEDOUT", &["create", "create", "stat"]),
        "create: ETIMEDOUT\ncreate: EEXIST\nstat: 0\n"
    );
    assert_eq!(
        with("dfs_write:2+:DER_NOSPACE", &["create", "write", "write", "late-write"]),
        "create: 0\nwrite: 0\nwrite: ENOSPC\nlate-write: ENOSPC\n"
    );
    assert_eq!(
        with("daos_cont_open2:*:DER_CONT_NONEXIST", &[]),
        "daos_cont_open2(pool, arguments[3], 2, &container, NULL, NULL) -> -2050, and nothing more\n"
    );
    assert_eq!(
        with("*:5:EIO", &["create", "stat"]),
        "dfs_lookup_rel(fs, NULL, top_name, O_RDWR, &top, NULL, NULL) -> EIO, and nothing more\n"
    );
    assert!(with("dfs_open:1:EWHAT", &[]).contains("is ignored"));
    let mut hung = emulated(&store, "dfs_probe", &[("FAULT", "dfs_stat:1:hang")])
        .args(["create", "stat"])
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_millis(300));
    assert!(hung.try_wait().expect("a child").is_none(), "a call that hangs does not end");
    hung.kill().expect("a child");
    hung.wait().expect("a child");
}

#[test]
fn servers_that_vanish_answer_when_they_are_back() {
    for word in ["stat", "late-write"] {
        let store = store();
        let vanished = store.path().join("vanished");
        std::fs::write(&vanished, "").expect("tmpfs is writable");
        let settings = [("VANISH", vanished.to_str().expect("a path"))];
        let start = Instant::now();
        let mut command = emulated(&store, "dfs_probe", &settings);
        let mut child = command.args(["create", word]).spawn().expect("the program starts");
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().expect("a child").is_none(), "nothing is answered");
        std::fs::remove_file(&vanished).expect("it is there");
        assert!(child.wait().expect("a child").success());
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_full_pool_says_so_and_gives_back_what_is_removed() {
    let output =
        probe(&store(), &[("POOL_BYTES", "100000")], &["create", "write", "write", "remove", "create", "write"]);
    assert_eq!(told(&output), "create: 0\nwrite: 0\nwrite: 0\nremove: 0\ncreate: 0\nwrite: 0\n");
    let output = probe(&store(), &[("POOL_BYTES", "60000")], &["create", "write", "stat", "late-write"]);
    assert_eq!(told(&output), "create: 0\nwrite: ENOSPC\nstat: 0\nlate-write: ENOSPC\n");
}

#[test]
fn rights_agents_and_names_that_are_missing_are_told() {
    let store = store();
    let with = |name: &str, value: &str| told(&probe(&store, &[(name, value)], &[]));
    assert!(
        with("RIGHTS", "no-pool").starts_with("daos_pool_connect2") && with("RIGHTS", "no-pool").contains("-> -1001")
    );
    assert!(
        with("RIGHTS", "read-only").contains("daos_pool_connect2") && with("RIGHTS", "read-only").contains("-> -1001")
    );
    assert!(with("RIGHTS", "no-container").contains("daos_cont_open2"));
    assert!(with("AGENT", "absent").starts_with("daos_init() -> -2034"));
    let empty = tempfile::tempdir().expect("a directory");
    assert!(told(&probe(&empty, &[], &[])).contains("-> -1005"));
    let other = told(&probe(&empty, &[("CREATE", "unknown")], &[]));
    assert!(other.starts_with("dfs_mount") && other.contains("-> EINVAL"), "{other}");
}

#[test]
fn a_fork_child_has_to_start_anew() {
    let output = probe(&store(), &[], &["create", "child", "new-child", "stat"]);
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out, "create: 0\nchild: EIO\nnew-child: 0\nstat: 0\n");
    assert!(error.contains("dfs_stat in a fork child without daos_reinit"), "{error}");
}

#[test]
fn several_processes_share_a_container() {
    let store = store();
    let children: Vec<_> =
        (0..6).map(|_| emulated(&store, "dfs_behaviour", &[("LATENCY_US", "0")]).output_later()).collect();
    let recorded = std::fs::read_to_string(transcript("dfs_behaviour")).expect("a transcript");
    for child in children {
        let output = child.join().expect("a thread");
        assert_same("dfs_behaviour", &told(&output), &recorded);
    }
}

trait OutputLater {
    fn output_later(self) -> std::thread::JoinHandle<Output>;
}

impl OutputLater for Command {
    fn output_later(mut self) -> std::thread::JoinHandle<Output> {
        std::thread::spawn(move || self.output().expect("the program starts"))
    }
}

#[test]
fn its_descriptors_are_high_and_close_on_exec() {
    let store = store();
    let fault = [("FAULT", "dfs_stat:1:hang")];
    let mut child = emulated(&store, "dfs_probe", &fault).args(["create", "write", "stat"]).spawn().expect("it starts");
    std::thread::sleep(Duration::from_millis(500));
    let directory = Path::new("/proc").join(child.id().to_string());
    let numbers = std::fs::read_dir(directory.join("fd")).expect("a process").flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let own: Vec<u32> = numbers
        .filter(|number| {
            let target = std::fs::read_link(directory.join(format!("fd/{number}"))).unwrap_or_default();
            target.starts_with(store.path())
        })
        .collect();
    for number in &own {
        let info = std::fs::read_to_string(directory.join(format!("fdinfo/{number}"))).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:\t0")).unwrap_or_default().to_owned();
        assert!(u32::from_str_radix(&flags, 8).unwrap_or(0) & 0o2_000_000 != 0, "{number} is inherited: {info}");
        assert!(*number >= 700, "{number} is in the application's way");
    }
    child.kill().expect("a child");
    child.wait().expect("a child");
    assert!(!own.is_empty());
}

//! Random operations on several descriptors by two processes, with the kernel's file system as the oracle.
//!
//! A case is a script. The same C program plays it on both sides and tells what every call answered. It runs as a
//! server, so that a case starts no process but the second one, which is forked to share descriptors. A script that
//! is answered differently is shrunk, printed, and kept in `tests/random_operations.regressions`.
//!
//! `SIDESTEP_TEST_CASES` sets another number of cases than 10,000.

mod common;

use common::engine::{self, Engine};
use common::world::{Pair, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The number; a minute on two cores.
const CASES_COUNT_DEFAULT: u32 = 10_000;
/// A case takes some milliseconds; a server that answers nothing for this long hangs.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// The names that operations use: few, so that they meet.
const NAMES: &[&str] = &[
    "a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/a", "l", "../d", "d/..", "d/../a", "a/x", "d/", "l/a", "none/a", ".",
];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES)
}

fn slot() -> impl Strategy<Value = u8> {
    0u8..6
}

/// Lengths and offsets near the borders where things change: pages, chunks, inline files.
fn length() -> impl Strategy<Value = u32> {
    prop_oneof![
        3 => 0u32..200,
        2 => prop::sample::select(vec![511u32, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 8192, 65535, 65536, 65537]),
        2 => 0u32..20_000,
        1 => 0u32..120_000,
    ]
}

fn open_flags() -> impl Strategy<Value = i32> {
    let extra = prop::collection::vec(
        prop::sample::select(vec![
            libc::O_CREAT,
            libc::O_CREAT,
            libc::O_EXCL,
            libc::O_TRUNC,
            libc::O_APPEND,
            libc::O_DIRECTORY,
            libc::O_NOFOLLOW,
        ]),
        0..3,
    );
    (0i32..3, extra).prop_map(|(access, extra)| extra.into_iter().fold(access, |flags, flag| flags | flag))
}

fn data_operation() -> impl Strategy<Value = String> {
    // Not FALLOC_FL_ZERO_RANGE: tmpfs has not got it, and we have.
    let modes = vec![0, 1, 3];
    prop_oneof![
        4 => (slot(), length()).prop_map(|(s, n)| format!("read {s} {n}")),
        4 => (slot(), length(), length()).prop_map(|(s, n, at)| format!("pread {s} {n} {at}")),
        4 => (slot(), length(), any::<u16>()).prop_map(|(s, n, seed)| format!("write {s} {n} {seed}")),
        4 => (slot(), length(), length(), any::<u16>()).prop_map(|(s, n, at, seed)| format!("pwrite {s} {n} {at} {seed}")),
        1 => (slot(), length()).prop_map(|(s, n)| format!("readv {s} {n}")),
        1 => (slot(), length(), any::<u16>()).prop_map(|(s, n, seed)| format!("writev {s} {n} {seed}")),
        // Not SEEK_DATA and SEEK_HOLE: tmpfs tells holes in pages, others as they like.
        3 => (slot(), -10_000i32..100_000, 0..3).prop_map(|(s, at, whence)| format!("lseek {s} {at} {whence}")),
        2 => (slot(), length()).prop_map(|(s, n)| format!("ftruncate {s} {n}")),
        1 => (slot(), prop::sample::select(modes), length(), length())
            .prop_map(|(s, mode, at, n)| format!("fallocate {s} {mode} {at} {n}")),
        2 => (slot(), slot(), length()).prop_map(|(s, t, n)| format!("copy {s} {t} {n}")),
        1 => (slot(), slot(), length()).prop_map(|(s, t, n)| format!("send {s} {t} {n}")),
        2 => slot().prop_map(|s| format!("fstat {s}")),
        1 => slot().prop_map(|s| format!("fsync {s}")),
    ]
}

fn descriptor_operation() -> impl Strategy<Value = String> {
    let flags = vec![0, libc::O_APPEND, libc::O_NONBLOCK, libc::O_APPEND | libc::O_NONBLOCK];
    prop_oneof![
        8 => (slot(), name(), open_flags()).prop_map(|(s, name, flags)| format!("open {s} {name} {flags}")),
        // The usual way to open, so that the data calls meet files.
        8 => (slot(), name()).prop_map(|(s, name)| format!("open {s} {name} {}", libc::O_RDWR | libc::O_CREAT)),
        3 => slot().prop_map(|s| format!("close {s}")),
        2 => (slot(), slot()).prop_map(|(s, t)| format!("dup {s} {t}")),
        2 => (slot(), slot()).prop_map(|(s, t)| format!("dup2 {s} {t}")),
        1 => (slot(), prop::sample::select(flags)).prop_map(|(s, flags)| format!("flags {s} {flags}")),
        1 => slot().prop_map(|s| format!("getfl {s}")),
        1 => (slot(), 0o400u32..0o1000).prop_map(|(s, mode)| format!("fchmod {s} {mode}")),
    ]
}

fn name_operation() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => name().prop_map(|n| format!("mkdir {n}")),
        1 => name().prop_map(|n| format!("rmdir {n}")),
        2 => name().prop_map(|n| format!("unlink {n}")),
        4 => (name(), name(), 0..4).prop_map(|(n, m, flags)| format!("rename {n} {m} {flags}")),
        2 => (name(), name()).prop_map(|(n, m)| format!("symlink {n} {m}")),
        1 => name().prop_map(|n| format!("readlink {n}")),
        2 => name().prop_map(|n| format!("stat {n}")),
        2 => name().prop_map(|n| format!("lstat {n}")),
        1 => (name(), length()).prop_map(|(n, size)| format!("truncate {n} {size}")),
        1 => (name(), 0o700u32..0o1000).prop_map(|(n, mode)| format!("chmod {n} {mode}")),
        1 => (name(), 0..8).prop_map(|(n, mode)| format!("access {n} {mode}")),
        2 => name().prop_map(|n| format!("list {n}")),
        1 => name().prop_map(|n| format!("chdir {n}")),
        1 => Just("getcwd".to_owned()),
    ]
}

/// One line of a script: who does what, or a new second process.
fn line() -> impl Strategy<Value = String> {
    let operation = prop_oneof![5 => data_operation(), 4 => descriptor_operation(), 4 => name_operation()];
    prop_oneof![
        30 => (prop::bool::weighted(0.35), operation).prop_map(|(second, operation)| format!("{} {operation}", u8::from(second))),
        1 => Just("F".to_owned()),
    ]
}

/// The C program, alive on one side.
struct Server {
    child: Child,
    orders: ChildStdin,
    answers: mpsc::Receiver<String>,
}

impl Server {
    fn start(world: &World) -> Self {
        let mut command = world.command(&world.scratch().join("bin/oracle").display().to_string());
        let mut child = common::process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let orders = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || forward(output, &sender));
        Self { child, orders, answers }
    }

    /// Plays a script and gives the answers, one a line.
    fn play(&mut self, name: &str, script: &[String]) -> Result<Vec<String>, String> {
        let text = format!("B {name}\n{}\nE\n", script.join("\n"));
        self.orders.write_all(text.as_bytes()).map_err(|error| format!("the process is gone: {error}"))?;
        let mut answers = Vec::new();
        loop {
            match self.answers.recv_timeout(ANSWER_TIME_MAX) {
                Ok(line) if line == "E" => return Ok(answers),
                Ok(line) => answers.push(line),
                Err(error) => return Err(format!("no answer after {} lines: {error}", answers.len())),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        common::process::kill_group(self.child.id());
        let _ = self.child.wait();
    }
}

fn forward(output: ChildStdout, sender: &mpsc::Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if sender.send(line).is_err() {
            return;
        }
    }
}

/// Both sides, with their servers; a server that died is started anew for the next script.
struct Stage {
    pair: Pair,
    native: Option<Server>,
    ours: Option<Server>,
    count: u32,
}

impl Stage {
    fn play(&mut self, script: &[String]) -> Result<(), TestCaseError> {
        self.count += 1;
        let name = format!("case-{}", self.count);
        let native = play_on(&mut self.native, &self.pair.native, &name, script);
        let ours = play_on(&mut self.ours, &self.pair.ours, &name, script);
        let mut native = native.map_err(|error| TestCaseError::fail(format!("natively: {error}")))?;
        let mut ours = ours.map_err(|error| TestCaseError::fail(format!("under Sidestep: {error}")))?;
        native.iter_mut().chain(&mut ours).for_each(forget_links);
        if native == ours {
            return Ok(());
        }
        let lines: Vec<String> = script
            .iter()
            .map(String::as_str)
            .zip(native.iter().zip(&ours))
            .map(|(line, (native, ours))| match native == ours {
                true => format!("  {line} = {native}"),
                false => format!("- {line} = {native}\n+ {line} = {ours}"),
            })
            .collect();
        let counts = format!("{} and {} answers", native.len(), ours.len());
        Err(TestCaseError::fail(format!("kernel (-), Sidestep (+), {counts}:\n{}\n", lines.join("\n"))))
    }
}

/// A directory of DAOS has one link.
fn forget_links(answer: &mut String) {
    if *engine::chosen() != Engine::Embedded
        && let Some(at) = answer.find("mode 4").and_then(|at| Some(at + answer[at..].find(" links ")?))
    {
        answer.truncate(at);
    }
}

fn play_on(server: &mut Option<Server>, world: &World, name: &str, script: &[String]) -> Result<Vec<String>, String> {
    let result = server.get_or_insert_with(|| Server::start(world)).play(name, script);
    if result.is_err() {
        *server = None;
    }
    result
}

fn play_random(options: &str, share: u32) {
    let pair = Pair::with_options(&format!("{options}{}", engine::chosen().strict()));
    pair.add_program("oracle");
    let stage = RefCell::new(Stage { pair, native: None, ours: None, count: 0 });
    let cases =
        std::env::var("SIDESTEP_TEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(CASES_COUNT_DEFAULT);
    // Over DAOS each call is messages, and each second process connects: an eighth takes as long.
    let share = if *engine::chosen() == Engine::Embedded { share } else { 8 * share };
    let config = Config {
        cases: cases / share,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/random_operations.regressions"))),
        max_shrink_iters: 3_000,
        ..Config::default()
    };
    let script = prop::collection::vec(line(), 1..60);
    let mut runner = TestRunner::new(config);
    if let Err(error) = runner.run(&script, |script| stage.borrow_mut().play(&script)) {
        panic!("{error}");
    }
}

#[test]
fn two_processes_against_the_kernel() {
    play_random("", 1);
}

#[test]
fn small_chunks_on_two_targets() {
    play_random("chunk=1KiB&targets=2", 4);
}

//! kill -9 at random moments of a writing workload: the store is clean afterwards, every completed call is there, and
//! the call that was cut off has happened, not happened, or, a write, happened in part.
//!
//! One store lives through all the kills.

mod common;

use common::build;
use common::engine::{self, Engine};
use common::world::Pair;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

/// The number.
const KILLS_COUNT: u64 = 200;
/// How long a workload may take to its first call.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(30);
/// Writers in the workload.
const WRITERS: usize = 2;

/// What is in the directory: name to content.
type Files = BTreeMap<String, Vec<u8>>;

/// A call, as the workload announces it.
#[derive(Clone, Debug)]
enum Operation {
    Create(String),
    Write { name: String, offset: usize, bytes: Vec<u8> },
    Append { name: String, bytes: Vec<u8> },
    Truncate(String, usize),
    Rename(String, String),
    Unlink(String),
}

impl Operation {
    fn parse(words: &[&str]) -> Self {
        let number = |text: &str| text.parse::<u32>().expect("a number");
        let name = words[1].to_owned();
        match words[0] {
            "create" => Self::Create(name),
            "write" => {
                let bytes = pattern(number(words[4]), number(words[3]));
                Self::Write { name, offset: number(words[2]) as usize, bytes }
            }
            "append" => Self::Append { name, bytes: pattern(number(words[3]), number(words[2])) },
            "truncate" => Self::Truncate(name, number(words[2]) as usize),
            "rename" => Self::Rename(name, words[2].to_owned()),
            "unlink" => Self::Unlink(name),
            other => panic!("the workload announced {other}"),
        }
    }

    /// What a completed call does; `result` is what it returned.
    fn apply(&self, files: &mut Files, result: i64) {
        if result < 0 {
            return;
        }
        let done = usize::try_from(result).expect("not negative");
        match self {
            Self::Create(name) => {
                files.entry(name.clone()).or_default();
            }
            Self::Write { name, offset, bytes } => put(files.get_mut(name).expect("open"), *offset, &bytes[..done]),
            Self::Append { name, bytes } => files.get_mut(name).expect("open").extend_from_slice(&bytes[..done]),
            Self::Truncate(name, size) => files.get_mut(name).expect("truncate succeeded").resize(*size, 0),
            Self::Rename(from, to) => {
                let content = files.remove(from).expect("rename succeeded");
                files.insert(to.clone(), content);
            }
            Self::Unlink(name) => {
                files.remove(name);
            }
        }
    }

    /// The result of the call if it succeeds wholly.
    fn full_result(&self) -> i64 {
        match self {
            Self::Write { bytes, .. } | Self::Append { bytes, .. } => bytes.len() as i64,
            _ => 0,
        }
    }

    /// Whether the call could succeed on `files`.
    fn can_apply(&self, files: &Files) -> bool {
        match self {
            Self::Create(_) => true,
            Self::Write { name, .. } | Self::Append { name, .. } | Self::Truncate(name, _) | Self::Unlink(name) => {
                files.contains_key(name)
            }
            Self::Rename(from, _) => files.contains_key(from),
        }
    }

    /// Whether `found` lies between `before` and the state after this call, which was cut off.
    fn explains(&self, before: &Files, found: &Files) -> bool {
        if found == before {
            return true;
        }
        if !self.can_apply(before) {
            return false;
        }
        let mut after = before.clone();
        self.apply(&mut after, self.full_result());
        if *found == after {
            return true;
        }
        if *engine::chosen() != Engine::Embedded {
            match self {
                Self::Rename(from, to) => return is_between(before, &after, found, &[from, to], to),
                Self::Unlink(name) => return is_between(before, &after, found, &[name], name),
                _ => {}
            }
        }
        let (Self::Write { name, .. } | Self::Append { name, .. }) = self else { return false };
        // Every byte is the old one or the new one, and no other file differs.
        let (Some(old), Some(new), Some(now)) = (before.get(name), after.get(name), found.get(name)) else {
            return false;
        };
        let byte = |content: &[u8], at: usize| content.get(at).copied().unwrap_or(0);
        let mixed = (old.len()..=new.len()).contains(&now.len())
            && (0..now.len()).all(|at| now[at] == byte(old, at) || now[at] == byte(new, at));
        let others = |files: &Files| files.iter().filter(|(other, _)| *other != name).count();
        mixed
            && others(before) == others(found)
            && found.iter().all(|(other, content)| other == name || before.get(other) == Some(content))
    }
}

/// libdfs renames and removes in steps, the bytes of what goes away first: whoever is killed between them leaves each of
/// the names as it was, as it was to be, or gone; and what stood under `removed` without its bytes.
fn is_between(before: &Files, after: &Files, found: &Files, names: &[&String], removed: &String) -> bool {
    let others = |files: &Files| -> Files {
        let other = files.iter().filter(|(name, _)| !names.contains(name));
        other.map(|(name, content)| (name.clone(), content.clone())).collect()
    };
    let is_known = |name: &&String| {
        found.get(*name).is_none_or(|content| {
            let is_emptied = content.is_empty() && *name == removed && before.contains_key(removed);
            is_emptied || [before, after].iter().any(|files| files.get(*name) == Some(content))
        })
    };
    others(before) == others(found) && names.iter().all(is_known)
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// The bytes that the workload writes for a seed: a window of one long sequence.
fn pattern(seed: u32, length: u32) -> Vec<u8> {
    static SEQUENCE: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..200_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 15) as u8 | 1).collect());
    SEQUENCE[seed as usize..][..length as usize].to_vec()
}

/// Runs the workload for a while, kills it, and gives what each writer announced and confirmed.
fn run_and_kill(pair: &Pair, seed: u64, pause: Duration, waits: bool) -> Vec<(usize, Vec<String>)> {
    let program = pair.base().join("bin/workload").display().to_string();
    let mut command = pair.ours.command(&program);
    let mut child = common::process::spawn(command.args(["run", &seed.to_string()]).stdout(Stdio::piped()));
    let output = child.stdout.take().expect("piped");
    let (sender, begun) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let tell = |_: &String| {
            let _ = sender.send(());
        };
        lines.inspect(tell).collect::<Vec<_>>()
    });
    if waits {
        // The first call connects, or makes the store, which may take longer than all the others.
        begun.recv_timeout(BEGIN_TIME_MAX).expect("the workload begins");
    }
    std::thread::sleep(pause);
    common::process::kill_group(child.id());
    child.wait().expect("our own child");
    let lines = reader.join().expect("the reader ends with the pipe");
    lines
        .iter()
        .map(|line| {
            let mut words = line.split(' ').map(str::to_owned);
            let writer = words.next().and_then(|word| word.parse().ok()).expect("a writer's number");
            (writer, words.collect())
        })
        .collect()
}

/// What an unmodified program under Sidestep reads.
#[derive(Default)]
struct Dump {
    files: Files,
    /// Names by the inode that they lead to.
    names: BTreeMap<String, Vec<String>>,
}

fn dump(pair: &Pair) -> Dump {
    let program = pair.base().join("bin/workload").display().to_string();
    let output = pair.ours.command(&program).arg("dump").output().expect("the workload was compiled");
    assert!(output.status.success(), "dump: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let mut rest = output.stdout.as_slice();
    let mut dump = Dump::default();
    while !rest.is_empty() {
        let mut head = String::new();
        rest.read_line(&mut head).expect("from memory");
        let words: Vec<&str> = head.split_whitespace().collect();
        let [name, inode, length] = words[..] else { panic!("the dump says {head}") };
        let mut content = vec![0; length.parse().expect("a length")];
        rest.read_exact(&mut content).expect("as long as it says");
        dump.files.insert(name.to_owned(), content);
        dump.names.entry(inode.to_owned()).or_default().push(name.to_owned());
    }
    dump
}

fn is_pair(names: &[String], one: &String, other: &String) -> bool {
    names.len() == 2 && names.contains(one) && names.contains(other)
}

/// libdfs makes the new name before it takes the old one away: whoever is killed in between leaves two names of one file.
/// What is done under one of them shows under the other, so both go before the next round.
fn remove_halves(pair: &Pair, names: &[String], files: &mut Files) {
    let paths: Vec<String> = names.iter().map(|name| pair.ours.prefix().join(name).display().to_string()).collect();
    let outcome = common::run_in(&pair.ours, "/bin/rm", &paths);
    assert_eq!(common::said(&outcome), "", "the two names of one file go");
    for name in names {
        files.remove(name);
    }
}

fn check_store(pair: &Pair) {
    let output = Command::new(build::command()).arg("fsck").arg(pair.store()).output().expect("the command starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "fsck: {}\n{said}", output.status);
}

fn belongs_to(name: &str, writer: usize) -> bool {
    name.starts_with(&format!("w{writer}-"))
}

fn kill_again_and_again(pair: &Pair, kills_count: u64, seed: u64) {
    pair.add_program("workload");
    let has_store = !common::is_self_check() && *engine::chosen() == Engine::Embedded;
    let mut files = Files::new();
    let mut operations_count = 0;
    for round in 0..kills_count {
        let dice = (seed + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let waits = *engine::chosen() != Engine::Embedded || round == 0;
        let lines = run_and_kill(pair, seed + round, Duration::from_micros(5_000 + dice % 40_000), waits);
        if has_store {
            check_store(pair);
        }
        let Dump { files: mut found, names } = dump(pair);
        let mut twins: Vec<Vec<String>> = names.into_values().filter(|names| names.len() > 1).collect();
        let mut halves = Vec::new();
        for writer in 0..WRITERS {
            let own = |files: &Files| -> Files {
                files.iter().filter(|(name, _)| belongs_to(name, writer)).map(|(n, c)| (n.clone(), c.clone())).collect()
            };
            let mut expected = own(&files);
            let mut open: Option<Operation> = None;
            for (_, words) in lines.iter().filter(|(who, _)| *who == writer) {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                if words[0] == "done" {
                    let operation = open.take().expect("announced before it is done");
                    operation.apply(&mut expected, words[1].parse().expect("a result"));
                    operations_count += 1;
                } else {
                    open = Some(Operation::parse(&words));
                }
            }
            let found = own(&found);
            if *engine::chosen() != Engine::Embedded
                && let Some(Operation::Rename(from, to)) = &open
                && let Some(at) = twins.iter().position(|names| is_pair(names, from, to))
            {
                halves.extend(twins.swap_remove(at));
            }
            let right = open.as_ref().map_or(found == expected, |operation| operation.explains(&expected, &found));
            let sizes = |files: &Files| files.iter().map(|(n, c)| format!("{n}:{} ", c.len())).collect::<String>();
            assert!(
                right,
                "seed {seed}, round {round}, writer {writer}: cut off {:?}\nexpected {}\nfound    {}\ndiffer   {:?}",
                open.map(|operation| format!("{operation:?}").chars().take(150).collect::<String>()),
                sizes(&expected),
                sizes(&found),
                first_difference(&expected, &found)
            );
        }
        assert_eq!(twins, <Vec<Vec<String>>>::new(), "seed {seed}, round {round}: these lead to one file");
        if !halves.is_empty() {
            remove_halves(pair, &halves, &mut found);
        }
        files = found;
    }
    assert!(operations_count > kills_count * 10, "only {operations_count} calls were completed: nothing was tested");
}

fn first_difference(expected: &Files, found: &Files) -> Option<(String, Option<usize>)> {
    expected.iter().find(|(name, content)| found.get(*name) != Some(content)).map(|(name, content)| {
        let at = found.get(name).and_then(|now| now.iter().zip(content).position(|(a, b)| a != b));
        (name.clone(), at)
    })
}

/// The moment is what varies, so the seed may be anybody's; it is printed with a failure.
fn seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_secs() % 1_000_000)
}

fn options(given: &str) -> String {
    format!("{given}{}", engine::chosen().strict())
}

#[test]
fn two_hundred_kills() {
    kill_again_and_again(&Pair::with_options(&options("")), KILLS_COUNT, seed());
}

#[test]
fn kills_with_small_chunks_on_two_targets() {
    kill_again_and_again(&Pair::with_options(&options("chunk=4KiB&targets=2")), KILLS_COUNT / 4, seed());
}

/// There the store has a log, which tmpfs has no use for.
#[test]
fn kills_on_a_disk() {
    let pair = Pair::below(&build::work_directory(), &options("targets=2"));
    kill_again_and_again(&pair, KILLS_COUNT / 8, seed());
}

//! Several processes at once, forked ones, and killed ones.
//!
//! The workers are this test binary run again, as one test alone, with its task in an environment variable.
#![allow(unsafe_code)]

use super::super::LocalContainer;
use super::super::check::check;
use super::{fixture, get, put};
use crate::ground::buffer::Segment;
use crate::ground::mounts::MountOptions;
use crate::store::{ArrayObject, Container, Kind, NewNode, RenameMode};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TASK: &str = "SIDESTEP_TEST_TASK";
const RECORD_BYTES: usize = 77;
const FILE: NewNode<'static> = NewNode { kind: Kind::File, mode: 0o600, uid: 0, gid: 0, target: b"" };

fn start(task: &str, store: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::local::tests::processes::worker", "--nocapture"])
        .env(TASK, task)
        .env("SIDESTEP_TEST_STORE", store)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn open_by_name(container: &LocalContainer, name: &str) -> Box<dyn ArrayObject> {
    container.open(container.lookup(container.root(), name.as_bytes()).unwrap()).unwrap()
}

/// What a worker does; as a test of its own, without a task, it appends in a store of its own.
#[test]
fn worker() {
    let Ok(task) = std::env::var(TASK) else {
        let fixture = fixture();
        let node = fixture.open_new("log");
        append(&*node, b'x', 10);
        assert_eq!(get(&*node, 0, 1000), [b'x'; 10 * RECORD_BYTES]);
        return;
    };
    let store = std::env::var_os("SIDESTEP_TEST_STORE").unwrap();
    let container = LocalContainer::open(Path::new(&store), &MountOptions::default()).unwrap();
    match task.as_bytes() {
        [b'a', letter] => append(&*open_by_name(&container, "log"), *letter, 2000),
        _ => churn(&container, &task),
    }
}

fn append(node: &dyn ArrayObject, letter: u8, count: usize) {
    let record = [letter; RECORD_BYTES];
    // In two pieces: they have to stay together.
    let (head, tail) = record.split_at(30);
    for _ in 0..count {
        let done = node.append(&[Segment::of_slice(head), Segment::of_slice(tail)]).unwrap();
        assert_eq!(done.1, RECORD_BYTES);
    }
}

/// Makes, fills, moves and removes files for ever, telling each step that is complete.
fn churn(container: &LocalContainer, worker: &str) {
    let root = container.root();
    for index in 0u64.. {
        let name = format!("{worker}.{index}");
        let node = container.open(container.create(root, name.as_bytes(), &FILE).unwrap()).unwrap();
        let length = [10, 3901, 5000, 70_000][index as usize % 4];
        put(&*node, 0, &vec![index as u8; length]);
        println!("has {name} {length} {}", index as u8);
        if index % 3 == 1 {
            let to = format!("{worker}.moved.{index}");
            println!("moving {name}");
            container.rename((root, name.as_bytes()), (root, to.as_bytes()), RenameMode::Replace).unwrap();
            println!("has {to} {length} {}", index as u8);
        }
        if index >= 8 && (index - 8) % 3 == 0 {
            let old = format!("{worker}.{}", index - 8);
            println!("removing {old}");
            container.unlink(root, old.as_bytes()).unwrap();
            println!("gone {old}");
        }
        if index % 5 == 0 {
            let directory = format!("{worker}.directory.{index}");
            let new = NewNode { kind: Kind::Directory, ..FILE };
            let made = container.create(root, directory.as_bytes(), &new).unwrap();
            container.create(made.node, b"link", &NewNode { kind: Kind::Symlink, target: b"x", ..FILE }).unwrap();
        }
    }
}

#[test]
fn appends_of_four_processes_stay_whole() {
    let fixture = fixture();
    drop(fixture.open_new("log"));
    let store = fixture.directory.path().join("store");
    let workers: Vec<Child> = ["aa", "ab", "ac", "ad"].map(|task| start(task, &store)).into();
    for mut worker in workers {
        std::io::copy(worker.stdout.as_mut().unwrap(), &mut std::io::sink()).unwrap();
        assert!(worker.wait().unwrap().success());
    }
    let node = open_by_name(&fixture.container, "log");
    let bytes = get(&*node, 0, 1 << 20);
    assert_eq!(bytes.len(), 4 * 2000 * RECORD_BYTES);
    let mut counts = std::collections::BTreeMap::new();
    for record in bytes.chunks(RECORD_BYTES) {
        assert!(record.iter().all(|&byte| byte == record[0]), "a torn record");
        *counts.entry(record[0]).or_insert(0) += 1;
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(b'a', 2000), (b'b', 2000), (b'c', 2000), (b'd', 2000)]);
}

#[test]
fn a_killed_process_leaves_what_it_completed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store");
    drop(LocalContainer::open(&store, &MountOptions::default()).unwrap());
    for round in 0u64..12 {
        let mut workers = ["p", "q"].map(|letter| start(&format!("{letter}{round}"), &store));
        // Odd moments: some before the first step, some amid the thousandth.
        std::thread::sleep(std::time::Duration::from_micros(20_000 + round * 7_919 % 60_000));
        for worker in &mut workers {
            worker.kill().unwrap();
        }
        let mut steps = Vec::new();
        for worker in &mut workers {
            worker.wait().unwrap();
            let output = BufReader::new(worker.stdout.take().unwrap());
            steps.extend(output.lines().map(|line| line.unwrap()));
        }
        let mut findings = Vec::new();
        let summary = check(&store, false, &mut |finding| findings.push(finding.to_string())).unwrap();
        assert!(summary.is_clean(), "round {round}: {findings:?}");
        let container = LocalContainer::open(&store, &MountOptions::default()).unwrap();
        expect(&container, &steps, round);
    }
}

/// Every completed step is there, unless a later one undid it.
fn expect(container: &LocalContainer, steps: &[String], round: u64) {
    let mut has = std::collections::BTreeMap::new();
    let mut gone = Vec::new();
    for step in steps {
        let words: Vec<&str> = step.split(' ').collect();
        match words[..] {
            ["has", name, length, byte] => {
                has.insert(name.to_owned(), (length.parse::<usize>().unwrap(), byte.parse::<u8>().unwrap()));
            }
            // Perhaps it came to it, perhaps not.
            ["moving" | "removing", name] => drop(has.remove(name)),
            ["gone", name] => gone.push(name.to_owned()),
            _ => {}
        }
    }
    for (name, (length, byte)) in has {
        let bytes = get(&*open_by_name(container, &name), 0, length + 1);
        assert_eq!(bytes.len(), length, "round {round}: {name}");
        assert!(bytes.iter().all(|&b| b == byte), "round {round}: {name}");
    }
    for name in gone {
        assert!(container.lookup(container.root(), name.as_bytes()).is_err(), "round {round}: {name}");
    }
}

/// Does `work` in a forked child; true if it came to its end.
fn in_child(work: impl FnOnce()) -> bool {
    // SAFETY: the child does its work and ends by `_exit`; glibc's allocator works in it.
    match unsafe { libc::fork() } {
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok();
            // SAFETY: ends the child without the test harness's doings.
            unsafe { libc::_exit(i32::from(!done)) }
        }
        child => {
            assert!(child > 0);
            let mut status = 0;
            // SAFETY: our own child.
            unsafe { libc::waitpid(child, &mut status, 0) };
            status == 0
        }
    }
}

#[test]
fn a_forked_child_carries_on() {
    let fixture = fixture();
    let container = &fixture.container;
    let root = container.root();
    let node = fixture.open_new("shared");
    put(&*node, 0, &[1; 10_000]);
    for told in [true, false] {
        let file = format!("child.{told}");
        assert!(in_child(|| {
            if told {
                container.after_fork_in_child().unwrap();
            }
            assert_eq!(get(&*node, 0, 5000), [1; 5000]);
            put(&*node, 5000, &[2; 10]);
            let own = container.open(container.create(root, file.as_bytes(), &FILE).unwrap()).unwrap();
            put(&*own, 0, b"from the child");
            container.unlink(root, b"none").unwrap_err();
            assert!(in_child(|| {
                put(&*own, 14, b" and its child");
            }));
            assert_eq!(get(&*own, 0, 100), b"from the child and its child");
        }));
        assert_eq!(get(&*open_by_name(container, &file), 0, 100), b"from the child and its child");
    }
    assert_eq!(get(&*node, 5000, 10), [2; 10]);
    // What the children had open did not stay counted.
    container.unlink(root, b"child.true").unwrap();
    let next = fixture.make_file("next");
    assert_eq!(container.attributes(next.node).unwrap().link_count, 1);
    let path = fixture.directory.path().join("store");
    let mut findings = Vec::new();
    check(&path, false, &mut |finding| findings.push(finding)).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn an_unlinked_file_survives_its_opener_in_a_child_that_holds_it() {
    let fixture = fixture();
    let container = &fixture.container;
    let found = fixture.make_file("file");
    let node = container.open(found).unwrap();
    put(&*node, 0, b"bytes");
    container.unlink(container.root(), b"file").unwrap();
    let held = container.hold(&[found]).unwrap();
    drop(node);
    assert!(in_child(|| {
        let adopted = container.adopt(found, &[]).unwrap();
        assert_eq!(get(&*adopted, 0, 9), b"bytes");
        drop(adopted);
        let again = container.adopt(found, &[]).unwrap();
        assert_eq!(get(&*again, 0, 9), b"bytes");
    }));
    drop(container.adopt(found, &[]).unwrap());
    drop(held);
    drop(container.adopt(found, &[]).unwrap());
    assert!(container.adopt(found, &[]).is_err());
}

#[test]
fn a_lock_of_the_dead_is_taken_over() {
    let fixture = fixture();
    let container = &fixture.container;
    let node = fixture.open_new("file");
    assert!(in_child(|| {
        let path = fixture.directory.path().join("store");
        let store = super::super::store::Store::open(&path, &MountOptions::default()).unwrap();
        let record = store.record(node.found().node.0).unwrap();
        // Killed with both in hand, and the layout half changed.
        std::mem::forget(store.lock_names().unwrap());
        std::mem::forget(store.lock_record(record).unwrap());
        record.sequence.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
    put(&*node, 0, b"goes on");
    fixture.make_file("and on");
    assert_eq!(node.append(&[Segment::of_slice(b"!")]), Ok((7, 1)));
    assert_eq!(container.lookup(container.root(), b"and on").unwrap().kind, Kind::File);
}

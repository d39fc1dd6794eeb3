//! Stores that are not as they were left, at random: no signal, no hang, `EIO` or an answer; and what a repair says is true.
//!
//! `SIDESTEP_TEST_ROUNDS=N` makes N times as many. A worker tries one store after another and tells what it is about to try; it
//! is this test binary again.

use super::super::LocalContainer;
use super::super::OpenError;
use super::super::check::{CheckError, check};
use super::fuzz_damage::{Dice, Image};
use super::{Fixture, put};
use crate::ground::buffer::Segment;
use crate::ground::mounts::MountOptions;
use crate::store::{Container, Kind, NewNode, RenameMode};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TASK: &str = "SIDESTEP_TEST_FUZZ";
const STORES_COUNT: u64 = 300;
/// A store takes some 20 ms.
const TIME_PER_STORE: Duration = Duration::from_secs(30);
const FILE: NewNode<'static> = NewNode { kind: Kind::File, mode: 0o600, uid: 0, gid: 0, target: b"" };
/// Lengths of the files: in slots and beyond, over chunks and targets.
const LENGTHS: [usize; 8] = [0, 1, 100, 4000, 4096, 5000, 20_000, 70_000];

fn content(file: usize) -> Vec<u8> {
    (0..LENGTHS[file]).map(|at| (at / 16 * 7 + file * 31 + 1) as u8 | 1).collect()
}

/// Where stores are tried: in memory, if that can be had.
fn base() -> tempfile::TempDir {
    tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap()
}

fn furnished(options: &MountOptions, directory: tempfile::TempDir) -> Fixture {
    let container = LocalContainer::open(&directory.path().join("store"), options).unwrap();
    let fixture = Fixture { directory, container };
    let root = fixture.container.root();
    for (file, _) in LENGTHS.iter().enumerate() {
        let bytes = content(file);
        let node = fixture.open_new(&format!("file.{file}"));
        if !bytes.is_empty() {
            put(&*node, 0, &bytes);
        }
    }
    let directory = fixture.make(root, "directory", Kind::Directory);
    for index in 0..60 {
        let name = format!("some longer name, so that the tree has levels, {index:0100}");
        fixture.make(directory.node, &name, if index % 3 == 0 { Kind::Symlink } else { Kind::File });
    }
    for index in 0..40 {
        put(&*fixture.open_new(&format!("gone.{index}")), 0, b"bytes");
        fixture.container.unlink(root, format!("gone.{index}").as_bytes()).unwrap();
    }
    fixture
}

/// The images of a store and of another one. Of the later kinds the store was last used on another mount, if there is one in the
/// temporary directory: then it is recovered first.
fn images(kind: u64) -> [Image; 2] {
    let options = match kind % 2 {
        0 => MountOptions::default(),
        _ => MountOptions { targets: Some(2), chunk_bytes: Some(4096), ..MountOptions::default() },
    };
    [&options, &MountOptions::default()].map(|options| {
        let place = if kind < 2 { base() } else { tempfile::tempdir().unwrap() };
        let Fixture { directory, container } = furnished(options, place);
        drop(container);
        Image::take(&directory.path().join("store"))
    })
}

#[test]
fn damaged_stores_harm_nobody() {
    if let Ok(task) = std::env::var(TASK) {
        let numbers: Vec<u64> = task.split(' ').map(|word| word.parse().unwrap()).collect();
        return work(numbers[0], numbers[1]);
    }
    let rounds = std::env::var("SIDESTEP_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (mut at, end) = (0, STORES_COUNT * rounds);
    let mut failures = Vec::new();
    let (mut opened, mut mended) = (0, 0);
    while at < end {
        let mut worker = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::local::tests::fuzz::damaged_stores_harm_nobody", "--nocapture"])
            .env(TASK, format!("{at} {end}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(worker.stderr.take().unwrap());
        let said = std::thread::spawn(move || {
            let mut last = Vec::new();
            let mut line = String::new();
            while errors.read_line(&mut line).is_ok_and(|count| count != 0) {
                if !line.starts_with("sidestep: ") {
                    last.push(std::mem::take(&mut line));
                }
                line.clear();
            }
            last.into_iter().take(12).collect::<String>()
        });
        let (mut what, mut found) = (String::new(), Vec::new());
        for line in BufReader::new(worker.stdout.take().unwrap()).lines().map_while(Result::ok) {
            opened += u64::from(line == "it opens");
            mended += u64::from(line == "it is mended");
            if let Some((number, damage)) = line.strip_prefix("store ").and_then(|rest| rest.split_once(": ")) {
                (at, what) = (number.parse().unwrap(), damage.to_owned());
            } else if let Some(wrong) = line.strip_prefix("wrong: ") {
                found.push(format!("store {at}, {what}: {wrong}"));
            }
        }
        let status = worker.wait().unwrap();
        let said = said.join().unwrap();
        failures.append(&mut found);
        if status.success() {
            break;
        }
        failures.push(format!("store {at}, {what}: {status}\n{said}"));
        at += 1;
        if failures.len() > 20 {
            break;
        }
    }
    println!("of {end} stores {opened} opened, {mended} were mended");
    assert!(opened > end / 3 && mended > end / 5, "{opened} opened, {mended} were mended: nothing was tested");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Tries the stores from one number to another.
fn work(from: u64, to: u64) {
    let kinds = [0, 1, 2, 3].map(images);
    let base = base();
    let store = base.path().join("store");
    let tried = Arc::new(AtomicU64::new(from));
    watch(tried.clone());
    for number in from..to {
        let [image, other] = &kinds[[0, 1, 0, 2, 1, 0, 1, 3][number as usize % 8]];
        let mut dice = Dice::new(number);
        let mut image = image.clone();
        let damages: Vec<String> = (0..=dice.below(3)).map(|_| image.damage(&mut dice, other)).collect();
        println!("store {number}: {}", damages.join("; "));
        tried.store(number + 1, Ordering::Relaxed);
        image.put(&store);
        let is_sound = damages.iter().all(|damage| damage.starts_with("recent") || damage.starts_with("intents"));
        use_it(&store, is_sound);
        look_at_it(&store);
    }
}

/// Ends the worker where one store takes too long.
fn watch(tried: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut since = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = tried.load(Ordering::Relaxed);
            if now != since.0 {
                since = (now, Instant::now());
            } else if since.1.elapsed() > TIME_PER_STORE {
                println!("wrong: it takes too long");
                std::process::abort();
            }
        }
    });
}

/// As programs would.
fn use_it(store: &Path, must_be_right: bool) {
    let Ok(container) = LocalContainer::open(store, &MountOptions::default()) else { return };
    println!("it opens");
    let root = container.root();
    for (file, &length) in LENGTHS.iter().enumerate() {
        let Ok(found) = container.lookup(root, format!("file.{file}").as_bytes()) else { continue };
        let _ = container.attributes(found.node);
        let Ok(node) = container.open(found) else { continue };
        let mut bytes = vec![0; length + 100];
        let read = node.read_at(0, &[Segment::of_slice_mut(&mut bytes)]);
        if must_be_right
            && let Ok(count) = read
            && bytes[..count] != content(file)
        {
            println!("wrong: file.{file} has other bytes");
        }
        // Again: by windows from now on.
        for _ in 0..3 {
            let _ = node.read_at(length as u64 / 2, &[Segment::of_slice_mut(&mut bytes[..50])]);
        }
        let _ = node.write_at(length as u64 / 3, &[Segment::of_slice(b"overwritten")]);
        let _ = node.append(&[Segment::of_slice(b"appended")]);
        let _ = node.set_size(length as u64 / 2);
        let _ = node.sync();
    }
    for (directory, name) in [(root, &b"directory"[..]), (root, b"file.3")] {
        let Ok(found) = container.lookup(directory, name) else { continue };
        let mut names = 0;
        let _ = container.entries(found.node, 0, &mut |_| {
            names += 1;
            names < 1000
        });
    }
    let mut names = 0;
    let _ = container.entries(root, 0, &mut |_| {
        names += 1;
        names < 1000
    });
    for index in 0..20 {
        let name = format!("new.{index}");
        if let Ok(found) = container.create(root, name.as_bytes(), &FILE)
            && let Ok(node) = container.open(found)
        {
            let _ = node.write_at(0, &[Segment::of_slice(&[index; 5000][..index as usize * 250])]);
        }
    }
    let _ = container.rename((root, b"new.3"), (root, b"file.2"), RenameMode::Replace);
    let _ = container.unlink(root, b"file.1");
    let _ = container.sync();
}

/// As `fsck` would, and then as programs again.
fn look_at_it(store: &Path) {
    let _ = check(store, false, &mut |_| {});
    let mut findings = Vec::new();
    let repaired = check(store, true, &mut |finding| findings.push(finding.to_string()));
    let summary = match repaired {
        Ok(summary) => summary,
        // What another release wrote, as far as one can see.
        Err(CheckError::Open(OpenError::NewerFormat { .. } | OpenError::NotAStore { .. })) => return,
        Err(CheckError::Open(OpenError::ReadOnlyAndAbsent { .. })) => return,
        Err(error) => return println!("wrong: the repair ended: {error}"),
    };
    if !summary.is_clean() {
        return println!("wrong: the repair left something: {}", findings.join(" | "));
    }
    let mut again = Vec::new();
    match check(store, false, &mut |finding| again.push(finding.to_string())) {
        Ok(_) if again.is_empty() => {}
        Ok(_) => return println!("wrong: after the repair: {}; it said {}", again.join(" | "), findings.join(" | ")),
        Err(error) => return println!("wrong: after the repair: {error}"),
    }
    let container = match LocalContainer::open(store, &MountOptions::default()) {
        Ok(container) => container,
        Err(error) => return println!("wrong: repaired, and then: {error}"),
    };
    let used = container.create(container.root(), b"after the repair", &FILE).and_then(|found| {
        let node = container.open(found)?;
        node.write_at(0, &[Segment::of_slice(&[7; 9000])])?;
        let mut bytes = [0; 9000];
        node.read_at(0, &[Segment::of_slice_mut(&mut bytes)])?;
        Ok(bytes == [7; 9000])
    });
    if used != Ok(true) {
        println!("wrong: repaired, and then a new file: {used:?}");
    } else if !findings.is_empty() {
        println!("it is mended");
    }
}

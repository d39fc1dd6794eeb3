//! Power is cut under programs that sync: all that was promised is there afterwards, on ext4 and on XFS.
//!
//! The file system is one of its own on a loop device; the cut is its own call for that, with its log not flushed. Then it
//! is mounted again, as after a cut of power, and the store opens by itself, or is repaired first, and goes on being used.
//! Needs root and loop devices; says so and passes where there are none. `SIDESTEP_TEST_ROUNDS` makes it longer.

#![allow(unsafe_code)]

mod common;

use common::{build, world};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Rounds in all.
const ROUNDS_COUNT: u32 = 10;

/// A file system that does not go on for longer than this between its cuts is made anew.
const ROUNDS_PER_DISK: u32 = 3;

/// Programs at once.
const WRITERS_COUNT: u32 = 2;

/// File systems, and how one is made quietly.
const KINDS: [&[&str]; 2] = [&["mkfs.ext4", "-q", "-F"], &["mkfs.xfs", "-q", "-f"]];

/// Options of the store.
const OPTIONS: [&str; 3] = ["", "?targets=4&chunk=1KiB", "?chunk=64KiB"];

/// A file system on a loop device, unmounted when dropped.
struct Disk {
    base: PathBuf,
}

impl Disk {
    fn new(kind: &[&str]) -> Option<Self> {
        keep_mounts_to_ourselves().ok()?;
        let base = world::fresh_base();
        let disk = Self { base };
        let image = disk.base.join("image");
        File::create(&image).and_then(|file| file.set_len(600 << 20)).expect("space on tmpfs");
        let made = Command::new(kind[0]).args(&kind[1..]).arg(&image).output().ok()?;
        fs::create_dir(disk.mount_point()).expect("our own directory");
        (made.status.success() && disk.mount()).then_some(disk)
    }

    fn mount_point(&self) -> PathBuf {
        self.base.join("mount")
    }

    fn mount(&self) -> bool {
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([self.base.join("image"), self.mount_point()])
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success())
    }

    /// Takes the power away and gives it back. Returns when that began, as `synced` tells.
    fn cut(&self, writers: Vec<Child>) -> String {
        let cut = Command::new(build::program("synced")).arg("cut").arg(self.mount_point()).output();
        let cut = cut.expect("the program starts");
        assert!(cut.status.success(), "the file system knows the call");
        for mut writer in writers {
            // It has seen the error, or never syncs again.
            std::thread::sleep(Duration::from_millis(50));
            let _ = writer.kill();
            writer.wait().expect("our own child");
        }
        assert!(self.unmount(), "nobody is left on it");
        assert!(self.mount(), "mounted again");
        String::from_utf8_lossy(&cut.stdout).trim().to_owned()
    }

    fn unmount(&self) -> bool {
        (0..200).any(|_| {
            let done = Command::new("umount").arg(self.mount_point()).stderr(Stdio::null()).status();
            done.is_ok_and(|status| status.success()) || {
                std::thread::sleep(Duration::from_millis(100));
                false
            }
        })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unmount();
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// This thread and its children have a table of mounts of their own. A namespace that somebody makes beside them would have
/// the disk too, and keep it as it was cut: what is mounted again then is no new mount.
fn keep_mounts_to_ourselves() -> rustix::io::Result<()> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    // SAFETY: descriptors stay as they are.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// A directory in a store on a disk, or natively on it.
struct Place<'a> {
    disk: &'a Disk,
    store: Option<&'a str>,
}

impl Place<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(build::program("synced"));
        command.args(words).arg(self.directory());
        if let Some(options) = self.store {
            let mounts = format!("{}=local:{}{options}", self.prefix().display(), self.store_path().display());
            command.envs(world::preload(&build::library(), &mounts));
            command.env("XDG_CACHE_HOME", self.disk.base.join("cache"));
        }
        command
    }

    fn prefix(&self) -> PathBuf {
        self.disk.base.join("prefix")
    }

    fn store_path(&self) -> PathBuf {
        self.disk.mount_point().join("store")
    }

    fn directory(&self) -> PathBuf {
        if self.store.is_some() { self.prefix() } else { self.disk.mount_point() }
    }

    fn start(&self, seed: u32, told: &Path) -> Child {
        let mut command = self.command(&["run", &seed.to_string()]);
        command.stdout(File::create(told).expect("a file on tmpfs"));
        command.stderr(Stdio::null()).spawn().expect("the program starts")
    }

    fn check(&self, told: &Path, cut: &str) -> Output {
        self.command(&["check", cut])
            .stdin(File::open(told).expect("it was written"))
            .output()
            .expect("the program starts")
    }

    fn fsck(&self, arguments: &[&str]) -> Output {
        Command::new(build::command()).arg("fsck").args(arguments).arg(self.store_path()).output().expect("it starts")
    }
}

fn round(place: &Place<'_>, round: u32, seed: u32) {
    let told: Vec<PathBuf> = (0..WRITERS_COUNT).map(|writer| place.disk.base.join(format!("told.{writer}"))).collect();
    let writers = told.iter().zip(0..).map(|(told, writer)| place.start(seed * 10 + writer, told)).collect();
    std::thread::sleep(Duration::from_millis(200 + u64::from(seed * 7919 % 700)));
    let cut = place.disk.cut(writers);
    let case = format!("round {round}, store {:?}", place.store);
    // Cut before its first sync, a new store may be gone: then nothing was promised, which the check below sees.
    let is_there = place.store_path().join("header").exists();
    if place.store.is_some() && round % 2 == 1 && is_there {
        let looked = place.fsck(&[]);
        assert!(!looked.status.success(), "{case}: fsck says that a recovery is due: {looked:?}");
        let repaired = place.fsck(&["--repair"]);
        assert_eq!(repaired.status.code(), Some(0), "{case}: {repaired:?}");
    }
    for told in &told {
        let checked = place.check(told, &cut);
        let [stdout, stderr] = [&checked.stdout, &checked.stderr].map(|text| String::from_utf8_lossy(text));
        assert_eq!(checked.status.code(), Some(0), "{case}: {stdout}{stderr}");
    }
    if place.store.is_some() {
        let clean = place.fsck(&[]);
        assert_eq!(clean.status.code(), Some(0), "{case}: {clean:?}");
    }
}

fn rounds() -> u32 {
    let rounds = std::env::var("SIDESTEP_TEST_ROUNDS").ok().and_then(|text| text.parse().ok());
    rounds.unwrap_or(ROUNDS_COUNT)
}

#[test]
fn what_was_synced_survives_a_cut_of_power() {
    if common::is_self_check() {
        return;
    }
    let rounds = rounds();
    let mut done = 0;
    let mut made = 0;
    while done < rounds {
        let kind = KINDS[made as usize % KINDS.len()];
        let options = OPTIONS[made as usize / KINDS.len() % OPTIONS.len()];
        made += 1;
        let Some(disk) = Disk::new(kind) else {
            eprintln!("skipped: no {} on a loop device here", kind[0]);
            if made > 2 && done == 0 {
                return;
            }
            continue;
        };
        for _ in 0..ROUNDS_PER_DISK.min(rounds - done) {
            round(&Place { disk: &disk, store: Some(options) }, done, done + 1);
            done += 1;
        }
    }
}

#[test]
fn the_host_itself_keeps_what_was_synced() {
    for done in 0..rounds().div_ceil(ROUNDS_COUNT) {
        let Some(disk) = Disk::new(KINDS[done as usize % KINDS.len()]) else { return };
        round(&Place { disk: &disk, store: None }, done, done + 1);
    }
}

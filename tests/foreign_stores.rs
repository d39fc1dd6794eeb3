//! Stores into which somebody has put what is not the store's, or whose files were taken away or cut: nothing of the user's is
//! touched, nothing hangs, and `fsck` finds and mends it in one go.

mod common;

use common::process::Outcome;
use common::world::{NOBODY, Pair};
use common::{build, run_in, said};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TIME_MAX: Duration = Duration::from_secs(20);
const USE: &str =
    "cat $P/small $P/large | wc -c; ls -R $P | wc -l; echo more >> $P/large; echo x > $P/new; rm -f $P/new; true";

fn shell(pair: &Pair, script: &str) -> Outcome {
    run_in(&pair.ours, "/bin/bash", &["-c".to_owned(), script.to_owned()])
}

fn furnished(options: &str) -> Pair {
    let pair = Pair::with_options(options);
    said(&shell(&pair, "echo content > $P/small; seq 20000 > $P/large; mkdir $P/d; ln -s small $P/d/link"));
    pair
}

/// The command's exit code and what it said; it ends in time.
fn fsck(store: &Path, options: &[&str]) -> (i32, String) {
    let mut command = Command::new(build::command());
    command.arg("fsck").args(options).arg(store).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let begun = Instant::now();
    while child.try_wait().expect("our own child").is_none() {
        if begun.elapsed() > TIME_MAX {
            child.kill().expect("our own child");
            panic!("fsck does not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("it has ended");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), said)
}

/// The store's files, whatever they are called, and its directories of object files.
fn parts(store: &Path) -> Vec<PathBuf> {
    let list = Command::new("find").arg(store).args(["-mindepth", "1", "-printf", "%P\\n"]).output().expect("find");
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    text.lines().filter(|name| !name.starts_with("stand-ins/")).map(PathBuf::from).collect()
}

/// A repair mends it all, says so, and leaves a store that can be used.
fn mends(pair: &Pair, what: &str) {
    let (code, told) = fsck(&pair.store(), &["--repair"]);
    assert!(code == 0 || code == 1, "{what}: the repair: {code}\n{told}");
    let (code, told) = fsck(&pair.store(), &[]);
    assert_eq!(code, 0, "{what}: after the repair\n{told}");
    let used = shell(pair, "echo again > $P/again && cat $P/again && ls $P > /dev/null && rm $P/again");
    assert_eq!((used.stdout.as_str(), used.status.as_str()), ("again\n", "exit 0"), "{what}\n{}", used.stderr);
}

#[test]
fn what_stands_in_the_place_of_a_file() {
    if common::is_self_check() {
        return;
    }
    let pair = furnished("targets=2&chunk=16KiB");
    let saved = pair.base().join("saved");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp").success());
    };
    copy(&pair.store(), &saved);
    let victim = pair.base().join("victim");
    let precious: Vec<u8> = (0..50_000u32).map(|at| (at % 251) as u8).collect();
    for (index, part) in parts(&saved).iter().enumerate() {
        let is_file = saved.join(part).is_file();
        // All kinds for each would take minutes.
        for kind in [["symlink", "fifo"], ["hard link", "directory"]].map(|kinds| kinds[index % 2]) {
            copy(&saved, &pair.store());
            let path = pair.store().join(part);
            let what = format!("{kind} for {}", part.display());
            let _ = fs::remove_file(&victim);
            fs::write(&victim, &precious).expect("tmpfs");
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match kind {
                "symlink" => symlink(&victim, &path).expect("tmpfs"),
                "fifo" => rustix::fs::mknodat(
                    rustix::fs::CWD,
                    &path,
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                    0,
                )
                .expect("tmpfs"),
                "hard link" => fs::hard_link(&victim, &path).expect("tmpfs"),
                _ if is_file => fs::create_dir(&path).expect("tmpfs"),
                _ => fs::write(&path, "no directory").expect("tmpfs"),
            }
            let outcome = shell(&pair, USE);
            assert_eq!(outcome.status, "exit 0", "{what}\n{}", outcome.stderr);
            let (code, told) = fsck(&pair.store(), &[]);
            assert_ne!(code, 0, "{what} is not found\n{told}");
            assert!(!told.contains("panicked"), "{what}\n{told}");
            mends(&pair, &what);
            assert_eq!(fs::read(&victim).expect("it is there"), precious, "{what}: the user's file was changed");
        }
    }
}

#[test]
fn files_that_are_gone_or_cut() {
    if common::is_self_check() {
        return;
    }
    let pair = furnished("");
    let saved = pair.base().join("saved");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp").success());
    };
    copy(&pair.store(), &saved);
    for part in parts(&saved).iter().filter(|part| saved.join(part).is_file()) {
        for length in [None, Some(0), Some(1000), Some(5000)] {
            copy(&saved, &pair.store());
            let path = pair.store().join(part);
            match length {
                None => fs::remove_file(&path).expect("it was there"),
                Some(length) => {
                    fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(length)).expect("tmpfs")
                }
            }
            let what = format!("{} cut to {length:?}", part.display());
            // Looking at what is there hides nothing from the checker.
            let before = fsck(&pair.store(), &[]).0;
            let looked = shell(&pair, "cat $P/small $P/large > /dev/null; ls -l $P > /dev/null; true");
            assert_eq!(looked.status, "exit 0", "{what}\n{}", looked.stderr);
            if part.starts_with("targets") {
                assert_eq!((before, fsck(&pair.store(), &[]).0), (4, 4), "{what}: a look hides it");
            }
            mends(&pair, &what);
        }
    }
}

#[test]
fn an_object_file_that_is_cut_while_it_is_mapped() {
    if common::is_self_check() {
        return;
    }
    let pair = furnished("");
    let script = r#"
import glob, os, subprocess, sys
file = os.open(os.environ["P"] + "/large", os.O_RDWR)
for _ in range(5):
    os.pread(file, 4096, 40960); os.pwrite(file, b"mine", 50000)
for name in glob.glob(sys.argv[1] + "/targets/*/*/*"):
    subprocess.run(["truncate", "-s", "8192", name], env={"SIDESTEP": "off", "PATH": os.environ["PATH"]}, check=True)
for what in (lambda: os.pread(file, 4096, 40960), lambda: os.pwrite(file, b"mine", 50000)):
    try: print(what()[:1])
    except OSError as error: print(error.strerror)
print(len(os.pread(file, 4096, 0)))
"#;
    let arguments = ["-c".to_owned(), script.to_owned(), pair.store().display().to_string()];
    let outcome = run_in(&pair.ours, &build::python().display().to_string(), &arguments);
    let errors = "Input/output error\nInput/output error\n4096\n";
    assert_eq!((outcome.stdout.as_str(), outcome.status.as_str()), (errors, "exit 0"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("has lost its end"), "{}", outcome.stderr);
}

#[test]
fn a_store_of_a_stranger_is_refused_unless_it_is_shared() {
    if common::is_self_check() || !rustix::process::geteuid().is_root() {
        return;
    }
    let pair = furnished("");
    let all: Vec<PathBuf> = parts(&pair.store()).iter().map(|part| pair.store().join(part)).collect();
    for path in all.iter().chain([&pair.store()]) {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give away");
    }
    fs::set_permissions(pair.store(), fs::Permissions::from_mode(0o755)).expect("root may");
    let refused = shell(&pair, "cat $P/small; true");
    assert_eq!(refused.stdout, "");
    for word in ["Permission denied", "belongs to user 65534", "chmod g+w"] {
        assert!(refused.stderr.contains(word), "{word:?} is not in {}", refused.stderr);
    }
    assert_eq!(fsck(&pair.store(), &[]).0, 8);
    fs::set_permissions(pair.store(), fs::Permissions::from_mode(0o775)).expect("root may");
    assert_eq!(said(&shell(&pair, "cat $P/small")), "content\n");
    // One file of another user is none of a store that nobody shares.
    fs::set_permissions(pair.store(), fs::Permissions::from_mode(0o755)).expect("root may");
    chown(pair.store(), Some(0), Some(0)).expect("root may take");
    let refused = shell(&pair, "cat $P/small; true");
    assert!(refused.stderr.contains("belongs to user 65534"), "{}", refused.stderr);
}

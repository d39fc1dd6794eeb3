//! Stores that are none, that are not for us, or that are full: an errno for the program, a message for the user, and
//! nothing lost.

mod common;

use common::process::Outcome;
use common::world::{NOBODY, Pair};
use common::{build, run_in, said};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn shell(pair: &Pair, script: &str) -> Outcome {
    run_in(&pair.ours, "/bin/bash", &["-c".to_owned(), script.to_owned()])
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The errno that `open` of a file under the prefix answers, as perl sees it; the rest of the system goes on.
const ERRNO_OF_OPEN: &str = r#"perl -e 'open(F, "<", "$ENV{P}/f") and print "open "; printf "%d\n", $!; print -e "/etc/passwd" ? "host\n" : "none\n"'"#;

#[track_caller]
fn refused(pair: &Pair, errno: i32, named: &[&str]) {
    let outcome = shell(pair, ERRNO_OF_OPEN);
    assert_eq!(outcome.stdout, format!("{errno}\nhost\n"), "{}", outcome.stderr);
    for word in named {
        assert!(outcome.stderr.contains(word), "{word:?} is not in {:?}", outcome.stderr);
    }
    assert_eq!(outcome.status, "exit 0");
}

#[test]
fn a_directory_with_other_files() {
    if common::is_self_check() {
        return;
    }
    let pair = Pair::new();
    fs::create_dir(pair.store()).expect("tmpfs");
    fs::write(pair.store().join("thesis.tex"), "precious").expect("tmpfs");
    refused(&pair, libc::ENOTDIR, &["not a Sidestep store", "%/store"]);
    assert_eq!(fs::read_to_string(pair.store().join("thesis.tex")).ok().as_deref(), Some("precious"));
    assert_eq!(fs::read_dir(pair.store()).expect("readable").count(), 1, "nothing was added");
}

#[test]
fn a_file_where_the_store_should_be() {
    if common::is_self_check() {
        return;
    }
    let pair = Pair::new();
    fs::write(pair.store(), "a file").expect("tmpfs");
    refused(&pair, libc::ENOTDIR, &["not a Sidestep store"]);
    assert_eq!(fs::read_to_string(pair.store()).ok().as_deref(), Some("a file"));
}

#[test]
fn a_store_of_a_newer_format() {
    /// Where the header has its format's number (src/store/local/header.rs).
    const FORMAT_OFFSET: usize = 16;
    if common::is_self_check() {
        return;
    }
    let pair = Pair::new();
    assert_eq!(shell(&pair, "echo kept > $P/f").status, "exit 0");
    let header = pair.store().join("store");
    let sound = fs::read(&header).expect("a store was made");
    let mut newer = sound.clone();
    newer[FORMAT_OFFSET] = 200;
    fs::write(&header, &newer).expect("tmpfs");
    refused(&pair, libc::EPROTONOSUPPORT, &["%/store", "format 200", "use a newer Sidestep"]);
    fs::write(&header, &sound).expect("tmpfs");
    assert_eq!(shell(&pair, "cat $P/f").stdout, "kept\n");
}

#[test]
fn every_file_of_the_store_cut_off_or_garbled() {
    if common::is_self_check() {
        return;
    }
    // Whatever is broken: no crash, no hang, an errno or a right answer; and fsck has an opinion.
    let pair = Pair::new();
    said(&shell(&pair, "for i in $(seq 50); do seq $i 5000 > $P/f$i; done; echo content > $P/f; mkdir -p $P/a/b"));
    let saved = pair.base().join("saved");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let _ = fs::remove_dir_all(to);
        let status = Command::new("cp").args(["-a"]).args([from, to]).status().expect("cp");
        assert!(status.success());
    };
    copy(&pair.store(), &saved);
    let list = Command::new("find").arg(&saved).args(["-type", "f", "-printf", "%P\\n"]).output().expect("find");
    let files: Vec<String> = String::from_utf8_lossy(&list.stdout).lines().take(12).map(str::to_owned).collect();
    for file in &files {
        for damage in ["cut", "zero", "noise", "gone"] {
            copy(&saved, &pair.store());
            let path = pair.store().join(file);
            let mut bytes = fs::read(&path).expect("in the store");
            match damage {
                "cut" => bytes.truncate(bytes.len() / 3),
                "zero" => bytes.fill(0),
                _ => bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at.wrapping_mul(40503) >> 7) as u8),
            }
            if damage == "gone" {
                fs::remove_file(&path).expect("in the store");
            } else {
                fs::write(&path, bytes).expect("in the store");
            }
            let outcome =
                shell(&pair, "cat $P/f; ls -R $P | wc -l; cat $P/f* | wc -c; echo new > $P/new; rm -f $P/f1; true");
            assert_eq!(outcome.status, "exit 0", "{file} {damage}\n{}{}", outcome.stdout, outcome.stderr);
            for bad in ["Segmentation", "Bus error", "Aborted", "panicked"] {
                assert!(!outcome.stderr.contains(bad), "{file} {damage}\n{}", outcome.stderr);
            }
            let fsck = Command::new(build::command()).arg("fsck").arg(pair.store()).output().expect("fsck starts");
            assert!(fsck.status.code().is_some(), "{file} {damage}: fsck {}", fsck.status);
        }
    }
}

#[test]
fn a_store_of_somebody_else() {
    if common::is_self_check() || !is_root() {
        return;
    }
    let mut pair = Pair::new();
    said(&shell(&pair, "echo secret > $P/f"));
    fs::set_permissions(pair.store(), fs::Permissions::from_mode(0o700)).expect("our own");
    pair.ours.user = Some(NOBODY);
    refused(&pair, libc::EACCES, &["no right", "%/store"]);
    pair.ours.user = None;
    assert_eq!(said(&shell(&pair, "cat $P/f")), "secret\n");
}

#[test]
fn a_store_that_may_not_be_made() {
    if common::is_self_check() || !is_root() {
        return;
    }
    let mut pair = Pair::new();
    pair.ours.user = Some(NOBODY);
    refused(&pair, libc::EACCES, &["%/store"]);
}

/// Runs `script` with the store on a file system of its own, of `size` and mount flags; needs root.
fn on_own_file_system(size: &str, make: &str, flags: &str, script: &str) -> Option<(Outcome, Outcome)> {
    if common::is_self_check() || !is_root() {
        return None;
    }
    let pair = Pair::new();
    fs::create_dir(pair.store()).expect("tmpfs");
    let mount = |arguments: &[&str]| {
        Command::new("mount").args(arguments).arg(pair.store()).status().is_ok_and(|status| status.success())
    };
    let option = format!("size={size}");
    if !mount(&["-t", "tmpfs", "-o", &option, "tmpfs"]) {
        eprintln!("no right to mount: this container cannot try a full disk");
        return None;
    }
    let first = shell(&pair, make);
    let remounted = flags.is_empty() || mount(&["-o", &format!("remount,{flags}"), "tmpfs"]);
    let second = shell(&pair, script);
    let _ = Command::new("umount").arg("-l").arg(pair.store()).status();
    assert!(remounted, "remount,{flags}");
    Some((first, second))
}

#[test]
fn a_store_that_is_removed_under_its_users() {
    if common::is_self_check() {
        return;
    }
    let pair = Pair::new();
    let program = pair.add_program("store_removed").display().to_string();
    let outcome = run_in(&pair.ours, &program, &[pair.store().display().to_string()]);
    assert_eq!((outcome.stdout.as_str(), outcome.status.as_str()), ("", "exit 0"), "{}", outcome.stderr);
}

#[test]
fn a_full_disk() {
    let script = r#"
        dd if=/dev/zero of=$P/fill bs=100000 2>&1 | grep -o 'No space left on device'
        dd if=/dev/zero of=$P/fill2 bs=7 count=3000000 2>&1 | grep -o 'No space left on device'
        for i in $(seq 2000); do echo "small file $i" > $P/small-$i || break; done 2>&1 | grep -o -m 1 'No space left on device'
        cat $P/kept; sha256sum < $P/kept-big; ls $P > /dev/null && echo lists
        rm -f $P/fill $P/fill2; rm -f $P/small-*; echo again > $P/again && cat $P/again"#;
    let make = "echo kept > $P/kept; seq 100000 > $P/kept-big; sha256sum < $P/kept-big";
    let Some((first, second)) = on_own_file_system("24M", make, "", script) else { return };
    let hash = said(&first).to_owned();
    assert_eq!(second.status, "exit 0", "{}{}", second.stdout, second.stderr);
    let full = "No space left on device\n";
    let rest = second.stdout.trim_start_matches(full);
    assert!(second.stdout.starts_with(full), "{}{}", second.stdout, second.stderr);
    assert_eq!(rest, format!("kept\n{hash}lists\nagain\n"), "{}", second.stderr);
}

#[test]
fn a_disk_filled_by_somebody_else() {
    // Space that was there when the file was opened and is not when it is written: ENOSPC, never SIGBUS.
    let script = r#"
        exec 5<> $P/f; head -c 5000 /dev/zero >&5
        SIDESTEP=off dd if=/dev/zero of=$(dirname $P)/../store/../store/.ballast bs=64k 2> /dev/null
        head -c 3000000 /dev/zero >&5 2> /dev/null || echo refused
        truncate -s 5000000 $P/f 2> /dev/null; dd if=/dev/zero of=$P/f bs=4096 seek=900 count=50 conv=notrunc 2>&1 | grep -o 'No space left on device'
        wc -c < $P/kept; rm -f $(dirname $P)/../store/.ballast; echo after > $P/after && cat $P/after"#;
    let Some((first, second)) = on_own_file_system("16M", "seq 10000 > $P/kept", "", script) else { return };
    said(&first);
    assert_eq!(second.stdout, "refused\nNo space left on device\n48894\nafter\n", "{}", second.stderr);
}

#[test]
fn a_store_on_a_read_only_file_system() {
    let script = "cat $P/f; ls $P; echo x > $P/f; echo $?; echo y > $P/new; echo $?; rm $P/f; echo $?";
    let Some((first, second)) = on_own_file_system("16M", "echo kept > $P/f", "ro", script) else { return };
    said(&first);
    assert_eq!(second.stdout, "kept\nf\n1\n1\n1\n", "{}", second.stderr);
    assert_eq!(second.stderr.matches("Read-only file system").count(), 3, "{}", second.stderr);
}

#[test]
fn no_store_on_a_read_only_file_system() {
    let script = format!("{ERRNO_OF_OPEN}; true");
    let Some((_, second)) = on_own_file_system("16M", "true", "ro", &script) else { return };
    assert_eq!(second.stdout, format!("{}\nhost\n", libc::EROFS), "{}", second.stderr);
}

#[test]
fn one_can_go_to_where_nothing_can_be_written() {
    if common::is_self_check() || !is_root() {
        return;
    }
    let pair = Pair::new();
    assert_eq!(shell(&pair, "mkdir -p $P/d/e; echo kept > $P/d/f").status, "exit 0");
    let store = pair.store().display().to_string();
    let script = format!(
        "mount --make-rprivate / && mount --bind {store} {store} && mount -o remount,bind,ro {store} || exit 9
        cd $P/d && /bin/pwd && cat f && cd e && env -i /bin/pwd && cd .. && ls; echo x 2> /dev/null > f || echo refused"
    );
    let outcome = run_in(&pair.ours, "/usr/bin/unshare", &["-m", "/bin/bash", "-c", &script].map(str::to_owned));
    if outcome.status == "exit 9" {
        // Without the right to mount.
        return;
    }
    assert_eq!(outcome.stdout, "@/p/d\nkept\n@/p/d/e\ne\nf\nrefused\n", "{}", outcome.stderr);
}

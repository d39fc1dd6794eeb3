//! The gate's cache decides which bytes of libc are rewritten. Whatever is wrong with it, it is ignored and rebuilt.

mod common;
mod gate_support;

use gate_support::{Door, Place};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;

/// A place whose cache has been written and found good, and the file with libc's list, which is the longest.
fn warm() -> (Place, PathBuf) {
    let place = Place::new();
    assert_eq!(place.facts(Door::Gate).get("cache"), "miss");
    assert_eq!(place.facts(Door::Gate).get("cache"), "hit");
    let files: Vec<_> = fs::read_dir(directory(&place)).expect("the cache was made").flatten().collect();
    assert_eq!(files.len(), 2, "one file for each of two objects and no leavings: {files:?}");
    let length = |file: &fs::DirEntry| file.metadata().map_or(0, |metadata| metadata.len());
    let file = files.iter().max_by_key(|file| length(file)).expect("there are two").path();
    (place, file)
}

fn directory(place: &Place) -> PathBuf {
    place.path().join(".cache/sidestep")
}

/// The library's own checksum, for files that are poisoned with care.
fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for word in bytes.chunks(8) {
        let mut padded = [0; 8];
        padded[..word.len()].copy_from_slice(word);
        sum = (sum ^ u64::from_le_bytes(padded)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    sum ^ bytes.len() as u64
}

/// Changes the file's content and sets its checksum right.
fn poison(file: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = fs::read(file).expect("the cache is there");
    content.truncate(content.len() - 8);
    change(&mut content);
    let sum = checksum(&content);
    content.extend_from_slice(&sum.to_le_bytes());
    fs::write(file, content).expect("our own file");
}

/// Where the records start, behind the head and the key, and the bytes of each.
fn records(content: &[u8]) -> usize {
    24 + u32::from_le_bytes(content[8..12].try_into().expect("four bytes")) as usize
}

const RECORD_BYTES: usize = 60;

/// The file as it is now is rejected for `reason`, the gate is whole, and the next process finds a good file again.
fn rejected_and_rebuilt(place: &Place, reason: &str) {
    let facts = place.facts(Door::Gate);
    assert!(facts.get("cache").starts_with("rejected:") && facts.get("cache").contains(reason), "{facts:?}");
    assert_eq!(facts.get("door"), "gate", "{facts:?}");
    let patched = facts.number("patched");
    let facts = place.facts(Door::Gate);
    assert_eq!(facts.get("cache"), "hit", "{facts:?}");
    assert_eq!(facts.number("patched"), patched);
}

#[test]
fn the_cache_is_private() {
    let (place, file) = warm();
    assert_eq!(fs::metadata(directory(&place)).expect("it is there").mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(file).expect("it is there").mode() & 0o777, 0o600);
}

#[test]
fn truncated() {
    let (place, file) = warm();
    for length in [0, 7, 100, 4000] {
        fs::File::options().write(true).open(&file).and_then(|file| file.set_len(length)).expect("our own file");
        rejected_and_rebuilt(&place, "");
    }
}

#[test]
fn any_flipped_byte() {
    let (place, file) = warm();
    let good = fs::read(&file).expect("the cache is there");
    for at in [0, 9, 30, 300, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&file, bad).expect("our own file");
        rejected_and_rebuilt(&place, "checksum");
    }
}

#[test]
fn a_wrong_offset_with_a_right_checksum() {
    let (place, file) = warm();
    // The first site's window, its syscall, its end: each moved by one byte. Then by a lot.
    for (field, by) in [(8, 1), (12, 1), (16, 1), (8, 0x10_0000), (12, 0x7fff_0000), (16, 0x7fff_0000)] {
        poison(&file, |content| {
            let at = records(content) + field;
            let offset = u32::from_le_bytes(content[at..at + 4].try_into().expect("four bytes"));
            content[at..at + 4].copy_from_slice(&(offset.wrapping_add(by)).to_le_bytes());
        });
        rejected_and_rebuilt(&place, "");
    }
}

#[test]
fn other_bytes_than_memory_has() {
    let (place, file) = warm();
    poison(&file, |content| {
        let at = records(content) + 3 * RECORD_BYTES + 24;
        content[at] ^= 1;
    });
    rejected_and_rebuilt(&place, "not what was recorded");
}

#[test]
fn a_displacement_outside_its_window() {
    let (place, file) = warm();
    poison(&file, |content| {
        let at = records(content) + 1;
        content[at] = 200;
        content[at + 1] = 220;
    });
    rejected_and_rebuilt(&place, "not what was recorded");
}

#[test]
fn sites_twice_or_out_of_order() {
    let (place, file) = warm();
    poison(&file, |content| {
        let at = records(content);
        content.copy_within(at..at + RECORD_BYTES, at + RECORD_BYTES);
    });
    rejected_and_rebuilt(&place, "out of order");
}

#[test]
fn what_earlier_versions_wrote_is_not_believed_and_goes() {
    let (place, file) = warm();
    // Version 0.1 could write a list without a call that a debugger had a breakpoint on.
    poison(&file, |content| content[..8].copy_from_slice(b"SDSTEP03"));
    let other = directory(&place).join("gate-0123456789abcdef");
    fs::copy(&file, &other).expect("our own directory");
    rejected_and_rebuilt(&place, "another format");
    assert!(!other.exists(), "a list of an earlier version stays for ever");
}

#[test]
fn another_count() {
    let (place, file) = warm();
    poison(&file, |content| content[12..16].copy_from_slice(&u32::MAX.to_le_bytes()));
    rejected_and_rebuilt(&place, "length");
}

#[test]
fn another_libc_or_table() {
    let (place, file) = warm();
    poison(&file, |content| content[24] ^= 1);
    rejected_and_rebuilt(&place, "another libc");
}

#[test]
fn writable_by_others() {
    let (place, file) = warm();
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("our own file");
        rejected_and_rebuilt(&place, "others");
    }
}

#[test]
fn a_symlink_is_not_followed() {
    let (place, file) = warm();
    let elsewhere = place.path().join("elsewhere");
    fs::rename(&file, &elsewhere).expect("our own file");
    symlink(&elsewhere, &file).expect("a symlink");
    rejected_and_rebuilt(&place, "can't be opened");
    assert!(!fs::symlink_metadata(&file).expect("rebuilt").is_symlink());
}

#[test]
fn a_directory_or_a_pipe_in_its_place() {
    let (place, file) = warm();
    fs::remove_file(&file).expect("our own file");
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("a pipe");
    rejected_and_rebuilt(&place, "others");
    fs::remove_file(&file).expect("our own file");
    fs::create_dir(&file).expect("a directory");
    let facts = place.facts(Door::Gate);
    assert_eq!(facts.get("door"), "gate");
    assert!(facts.get("cache").starts_with("unavailable"), "{facts:?}");
}

#[test]
fn somebody_elses() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can give a file away");
        return;
    }
    let (place, file) = warm();
    chown(&file, Some(65534), Some(65534)).expect("root may");
    rejected_and_rebuilt(&place, "others");
    // A directory of somebody else's is not used at all: the next place is.
    chown(directory(&place), Some(65534), Some(65534)).expect("root may");
    let before = fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("still there");
    let facts = place.facts(Door::Gate);
    assert_eq!(facts.get("door"), "gate", "{facts:?}");
    assert_eq!(fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("untouched"), before);
}

#[test]
fn nowhere_to_write() {
    let place = Place::new();
    let mut command = place.command(Door::Gate, "/bin/true");
    command.env("SIDESTEP_DOCTOR", "1").env("XDG_CACHE_HOME", "/proc/nowhere").env("HOME", "/proc/nowhere");
    let facts = place.facts_of(command);
    // Then it is a directory of our own in /tmp.
    assert_eq!(facts.get("door"), "gate");
    assert!(["hit", "miss"].contains(&facts.get("cache")), "{facts:?}");
}

#[test]
fn many_processes_write_it_at_once() {
    let place = Place::new();
    let script = "for i in 1 2 3 4 5 6 7 8; do LD_PRELOAD=$LIBRARY /bin/echo $i & done; wait";
    let mut command_line = place.command(Door::None, "/bin/bash");
    command_line.args(["-c", script]).env("LIBRARY", common::build::library());
    let (stdout, stderr, status) = place.run(command_line);
    assert_eq!((stdout.lines().count(), stderr.as_str(), status.as_str()), (8, "", "exit 0"));
    assert_eq!(place.facts(Door::Gate).get("cache"), "hit");
    assert_eq!(fs::read_dir(directory(&place)).expect("it is there").count(), 2, "no leavings");
}

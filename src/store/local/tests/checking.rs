//! The checker: sound stores, and stores that were broken on purpose.

use super::super::check::{CheckError, Finding, Severity, Summary, check};
use super::super::key::{Key, entry_value};
use super::super::layout::CHECKPOINTS;
use super::super::store::Store;
use super::{Fixture, fixture, fixture_with, get, put};
use crate::ground::Errno;
use crate::ground::mounts::MountOptions;
use crate::store::{Container, Found, Kind, NodeId};
use std::path::Path;
use std::sync::atomic::Ordering;

fn run(path: &Path, repair: bool) -> (Summary, Vec<Finding>) {
    let mut findings = Vec::new();
    let summary = check(path, repair, &mut |finding| findings.push(finding)).unwrap();
    (summary, findings)
}

/// A store with something of everything.
fn furnished() -> Fixture {
    let fixture = fixture_with(&MountOptions { targets: Some(2), chunk_bytes: Some(4096), ..Default::default() });
    let root = fixture.container.root();
    let directory = fixture.make(root, "directory", Kind::Directory);
    fixture.make(directory.node, "inner", Kind::Directory);
    fixture.make(directory.node, "link", Kind::Symlink);
    put(&*fixture.open_new("small"), 0, b"small");
    put(&*fixture.open_new("large"), 0, &[9; 20_000]);
    drop(fixture.open_new("empty"));
    for index in 0..20 {
        put(&*fixture.open_new(&format!("gone.{index}")), 0, b"bytes");
        fixture.container.unlink(root, format!("gone.{index}").as_bytes()).unwrap();
    }
    fixture
}

/// Breaks the store of `furnished`, sees that the checker says `words` and mends it, and that it is clean then.
fn broken(words: &str, severity: Severity, break_it: impl FnOnce(&Store, &dyn Fn(&[u8]) -> Found)) -> Fixture {
    let fixture = furnished();
    let path = fixture.directory.path().join("store");
    let store = Store::open(&path, &MountOptions::default()).unwrap();
    let find = |name: &[u8]| fixture.container.lookup(fixture.container.root(), name).unwrap();
    break_it(&store, &find);
    drop(store);
    let Fixture { directory, container } = fixture;
    drop(container);
    let (summary, findings) = run(&path, false);
    assert!(!summary.is_clean());
    let told = findings.iter().any(|finding| finding.what.contains(words) && finding.severity == severity);
    assert!(told, "{words}: {findings:?}");
    let (summary, findings) = run(&path, true);
    assert!(summary.is_clean() && findings.iter().all(|finding| finding.repaired), "{findings:?}");
    let (summary, findings) = run(&path, false);
    assert!(summary.is_clean() && findings.is_empty(), "{words}, after the repair: {findings:?}");
    let container = super::LocalContainer::open(&path, &MountOptions::default()).unwrap();
    Fixture { directory, container }
}

#[test]
fn a_sound_store_is_clean_and_counted() {
    let fixture = furnished();
    let path = fixture.directory.path().join("store");
    let (summary, findings) = run(&path, false);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!((summary.files, summary.directories, summary.symlinks), (3, 3, 1));
    assert_eq!(summary.bytes, 20_005);
    assert!(summary.others_live);
    let repair = check(&path, true, &mut |_| {});
    assert_eq!(repair, Err(CheckError::InUse { directory: path.clone() }));
    // Open and without a name is no fault.
    let open = fixture.open_new("open");
    fixture.container.unlink(fixture.container.root(), b"open").unwrap();
    let (summary, findings) = run(&path, false);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(summary.orphans, 1);
    drop(open);
    drop(fixture.container);
    let (summary, findings) = run(&path, true);
    assert!(findings.is_empty(), "{findings:?}");
    assert!(!summary.others_live && summary.is_clean());
}

#[test]
fn no_store_is_made_by_looking_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none");
    assert!(matches!(check(&path, true, &mut |_| {}), Err(CheckError::Open(_))));
    assert!(!path.exists());
}

#[test]
fn names_that_lead_nowhere_go() {
    let fixture = broken("leads to a node that is gone", Severity::Damage, |store, _| {
        let found = Found { node: NodeId(4000), generation: 1, kind: Kind::File };
        store.change_tree(|writing| writing.put(&Key::of_entry(1, 128, b"dangling"), &entry_value(found))).unwrap();
    });
    assert!(!fixture.names(fixture.container.root()).contains(&"dangling".to_owned()));
}

#[test]
fn lost_nodes_are_found_again() {
    let mut lost = None;
    let fixture = broken("has lost its name", Severity::Damage, |store, find| {
        let found = find(b"small");
        let (_, position) = {
            let _names = store.lock_names().unwrap();
            store.flush_recent().unwrap();
            let root = NodeId(1);
            store.place(root, b"small", store.identity(root, b"small")).unwrap().taken().unwrap()
        };
        store.change_tree(|writing| writing.delete(&Key::of_entry(1, position, b"small"))).unwrap();
        lost = Some(found);
    });
    let root = fixture.container.root();
    let place = fixture.container.lookup(root, b"lost+found").unwrap();
    let name = lost.unwrap().node.0.to_string();
    let found = fixture.container.lookup(place.node, name.as_bytes()).unwrap();
    assert_eq!(get(&*fixture.container.open(found).unwrap(), 0, 9), b"small");
}

#[test]
fn wrong_counts_are_put_right() {
    let fixture = broken("counts 9 links and has 1", Severity::Damage, |store, find| {
        store.record(find(b"small").node.0).unwrap().links.store(9, Ordering::Relaxed);
    });
    let root = fixture.container.root();
    let found = fixture.container.lookup(root, b"small").unwrap();
    assert_eq!(fixture.container.attributes(found.node).unwrap().link_count, 1);
    broken("counts 7 entries and has 2", Severity::Damage, |store, find| {
        store.record(find(b"directory").node.0).unwrap().entries.store(7, Ordering::Relaxed);
    });
}

#[test]
fn directories_learn_where_they_are() {
    let fixture = broken("does not know that it is", Severity::Damage, |store, find| {
        let node = find(b"directory").node.0;
        store.change_tree(|writing| writing.delete(&Key::of_directory(node))).unwrap();
    });
    let root = fixture.container.root();
    let found = fixture.container.lookup(root, b"directory").unwrap();
    assert_eq!(fixture.container.whereabouts(found.node, &mut [0; 255]), Ok((root, 9)));
}

#[test]
fn shared_slots_are_parted_and_leaked_ones_listed() {
    let fixture = broken("have the same slot", Severity::Damage, |store, find| {
        let slot = store.record(find(b"small").node.0).unwrap().slot.load(Ordering::Relaxed);
        let empty = store.record(find(b"empty").node.0).unwrap();
        empty.slot.store(slot, Ordering::Relaxed);
    });
    put(&*fixture.open_new("other"), 0, b"other");
    let root = fixture.container.root();
    let small = fixture.container.lookup(root, b"small").unwrap();
    assert_eq!(get(&*fixture.container.open(small).unwrap(), 0, 9), b"small");
    broken("slots are nobody's", Severity::Leak, |store, _| {
        store.header().allocation_lock.slots.next.fetch_add(3, Ordering::Relaxed);
    });
    broken("node numbers are nobody's", Severity::Leak, |store, _| {
        store.header().names_lock.nodes.free.store(0, Ordering::Relaxed);
    });
}

#[test]
fn object_files_are_missed_and_superfluous_ones_go() {
    let fixture = broken("what is missing reads as zeros", Severity::Damage, |store, _| {
        std::fs::remove_dir_all(store.path().join("targets/1")).unwrap();
        std::fs::create_dir(store.path().join("targets/1")).unwrap();
    });
    let root = fixture.container.root();
    let large = fixture.container.lookup(root, b"large").unwrap();
    let bytes = get(&*fixture.container.open(large).unwrap(), 0, 30_000);
    assert_eq!(bytes.len(), 20_000);
    assert!(bytes.chunks(4096).all(|chunk| chunk.iter().all(|&byte| byte == chunk[0])));
    assert!(bytes.contains(&0) && bytes.contains(&9));
    broken("is nobody's", Severity::Leak, |store, _| {
        std::fs::create_dir_all(store.path().join("targets/0/ff")).unwrap();
        std::fs::write(store.path().join("targets/0/ff/ff.7"), "stray").unwrap();
    });
}

#[test]
fn symlinks_that_lost_their_target_say_so() {
    let fixture = broken("has lost its target", Severity::Damage, |store, find| {
        let directory = find(b"directory").node;
        let link = store.lookup(directory, b"link").unwrap().node.0;
        store.change_tree(|writing| writing.delete(&Key::of_symlink(link))).unwrap();
    });
    let root = fixture.container.root();
    let directory = fixture.container.lookup(root, b"directory").unwrap().node;
    let link = fixture.container.lookup(directory, b"link").unwrap().node;
    assert_eq!(fixture.container.read_link(link, &mut [0; 9]), Ok(4));
    assert_eq!(fixture.container.read_link(directory, &mut [0; 9]), Err(Errno::INVAL));
}

#[test]
fn an_unused_fixture_is_clean() {
    let fixture = fixture();
    let path = fixture.directory.path().join("store");
    let (summary, _) = run(&path, false);
    assert_eq!((summary.directories, summary.files), (1, 0));
    assert!(summary.is_clean());
}

#[test]
fn names_without_a_checkpoint_to_go_back_to_are_taken_from_the_tree() {
    let mut end = 0;
    let fixture = broken("is taken as it stands", Severity::Damage, |store, _| {
        store.sync_all().unwrap();
        end = store.header().log.end.load(Ordering::Relaxed);
        for name in CHECKPOINTS {
            std::fs::write(store.path().join(name), b"lost").unwrap();
        }
        store.header().boot.store(1, Ordering::Relaxed);
    });
    assert_ne!(end, 0, "on a disk");
    let root = fixture.container.root();
    let large = fixture.container.lookup(root, b"large").unwrap();
    assert_eq!(get(&*fixture.container.open(large).unwrap(), 0, 30_000), vec![9; 20_000]);
    assert_eq!(fixture.container.lookup(root, b"gone.3"), Err(Errno::NOENT));
    let store = Store::open(&fixture.directory.path().join("store"), &MountOptions::default()).unwrap();
    let start = store.header().log.start.load(Ordering::Relaxed);
    assert!(start > end, "entries of the log that was taken away have no place in the new one: {start}, {end}");
}

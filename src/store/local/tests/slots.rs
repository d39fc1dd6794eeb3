//! What a small file has, after a cut of power: from the log, or from its slot, whichever was promised or is newer.

use super::super::LocalContainer;
use super::super::layout;
use super::super::record::SLOT_LOGGED;
use super::super::store::Store;
use super::power::{BOOT_AT, Files, copy, lay_out};
use super::{Fixture, fixture, get, put};
use crate::ground::mounts::MountOptions;
use crate::store::Container;
use std::sync::Arc;

/// A file of a store, and the store itself.
struct Small {
    fixture: Fixture,
    store: Arc<Store>,
    file: Box<dyn crate::store::ArrayObject>,
}

impl Small {
    /// One that has `old`, synced.
    fn new(old: &[u8]) -> Self {
        let fixture = fixture();
        let store = Store::open(&fixture.directory.path().join("store"), &MountOptions::default()).unwrap();
        let file = fixture.open_new("small");
        put(&*file, 0, old);
        file.sync().unwrap();
        Self { fixture, store, file }
    }

    fn files(&self) -> Files {
        copy(&self.fixture.directory.path().join("store"))
    }

    fn is_logged(&self) -> bool {
        self.store.record(self.file.found().node.0).unwrap().has(SLOT_LOGGED)
    }
}

/// What the file has in a store of these files, after a cut of power.
fn recovered(mut disk: Files) -> Vec<u8> {
    disk.get_mut(layout::HEADER).unwrap()[BOOT_AT..BOOT_AT + 8].copy_from_slice(&1u64.to_ne_bytes());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    lay_out(&disk, &path);
    let container = LocalContainer::open(&path, &MountOptions::default()).unwrap();
    let file = container.open(container.lookup(container.root(), b"small").unwrap()).unwrap();
    get(&*file, 0, 10_000)
}

/// The files of one moment, with some of another one.
fn mixed(of: &Files, names: &[&str], from: &Files) -> Files {
    let mut disk = of.clone();
    for name in names {
        disk.insert((*name).to_owned(), from[*name].clone());
    }
    disk
}

#[test]
fn a_sync_does_not_need_the_slot_nor_the_record() {
    let small = Small::new(b"old bytes, a little longer");
    let before = small.files();
    small.file.set_size(0).unwrap();
    put(&*small.file, 0, b"new bytes");
    small.file.sync().unwrap();
    let after = small.files();
    for late in [&[layout::SLOTS][..], &[layout::NODES], &[layout::SLOTS, layout::NODES], &[]] {
        assert_eq!(recovered(mixed(&after, late, &before)), b"new bytes", "{late:?} as they were before");
    }
    let mut torn = after.clone();
    torn.get_mut(layout::SLOTS).unwrap().fill(0xdb);
    assert_eq!(recovered(torn), b"new bytes");
}

#[test]
fn what_is_changed_after_a_sync_survives_once_it_is_written_back() {
    for changes in 1..8u8 {
        let small = Small::new(b"0000");
        let synced = small.files();
        for change in 1..=changes {
            put(&*small.file, 4, &[b'0' + change]);
        }
        let written_back = small.files();
        let content = [b"0000", &[b'0' + changes][..]].concat();
        assert_eq!(recovered(written_back.clone()), content, "{changes} changes");
        // Trusted again, the slot was waited for.
        assert_eq!(small.is_logged(), changes % 4 != 0 && changes < 4, "{changes} changes");
        let late: &[&str] = if small.is_logged() { &[layout::SLOTS, layout::NODES] } else { &[layout::NODES] };
        assert_eq!(recovered(mixed(&written_back, late, &synced)), content, "{changes} changes, {late:?} late");
        // Before that the sync's bytes stand.
        assert_eq!(recovered(mixed(&written_back, &[layout::LOG, layout::NODES], &synced))[..4], *b"0000");
    }
}

#[test]
fn a_file_that_leaves_its_slot_is_not_taken_back_to_it() {
    let small = Small::new(b"in the slot");
    let before = small.files();
    put(&*small.file, 4000, &[7; 4000]);
    let moved = small.files();
    assert_eq!(recovered(moved.clone()).len(), 8000);
    assert_eq!(&recovered(mixed(&moved, &[layout::NODES], &before))[..11], b"in the slot");
    small.file.sync().unwrap();
    let after = small.files();
    for late in [&[layout::SLOTS, layout::NODES][..], &[layout::NODES], &[]] {
        assert_eq!(recovered(mixed(&after, late, &before)).len(), 8000, "{late:?} as they were before");
    }
}

#[test]
fn a_checkpoint_and_a_sync_of_everything_leave_the_slots_to_themselves() {
    for all in [false, true] {
        let small = Small::new(b"old bytes");
        let before = small.files();
        // As a heir finishes what a dead process was writing: the log is not told.
        let record = small.store.record(small.file.found().node.0).unwrap();
        let slot = u64::from(record.slot.load(std::sync::atomic::Ordering::Relaxed) - 1);
        small.store.slots().copy_in(slot * 4096, b"new bytes").unwrap();
        if all {
            small.fixture.container.sync().unwrap();
        } else {
            let _names = small.store.lock_names().unwrap();
            small.store.checkpoint().unwrap();
        }
        let after = small.files();
        assert_eq!(recovered(after.clone()), b"new bytes", "all {all}");
        // Nothing older than what was waited for is enough.
        assert_eq!(recovered(mixed(&after, &[layout::RECENT], &before)), b"new bytes", "all {all}");
        put(&*small.file, 0, b"newest bytes");
        small.file.sync().unwrap();
        let last = small.files();
        assert_eq!(recovered(mixed(&last, &[layout::SLOTS], &before)), b"newest bytes", "all {all}");
    }
}

#[test]
fn what_grew_and_was_not_synced_reads_as_zeros_and_not_as_somebody_s() {
    let small = Small::new(b"mine");
    let synced = small.files();
    put(&*small.file, 4, b" and more");
    let after = small.files();
    // The record came to the disk; the entry and the slot did not, in which there was somebody else's before.
    let mut disk = mixed(&after, &[layout::LOG], &synced);
    disk.get_mut(layout::SLOTS).unwrap().fill(b'X');
    let found = recovered(disk);
    assert!(found.starts_with(b"mine") && found[4..].iter().all(|&byte| byte == 0), "{found:?}");
}

//! Slots and object files have one owner each.

use super::super::layout::{SLOTS, STAND_INS, TARGETS};
use super::super::object::{self, Placement};
use super::super::record::{HAS_OBJECT, Record, SLOT_BLANK};
use super::super::store::{ROOT, SLOT_BYTES, Store};
use super::super::store_directory::Refusal;
use super::source::{SlotKept, Source};
use crate::ground::{Errno, Result};
use crate::store::Kind;
use rustix::fs::AtFlags;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// Puts right who has which space, and makes the lists of what is free anew. The records are right.
///
/// # Errors
/// As openat(2), unlinkat(2) and their like.
pub fn mend(store: &Store, source: &Source) -> Result<()> {
    let header = store.header();
    let state = &header.log;
    state.on.store(1, Ordering::Relaxed);
    state.current.store(source.current, Ordering::Relaxed);
    state.checkpointing.store(0, Ordering::Relaxed);
    state.switching.store(0, Ordering::Relaxed);
    for word in [&state.start, &state.stable, &state.end] {
        word.store(source.position_after, Ordering::Relaxed);
    }
    state.forget_condemned();
    state.lock.reset();
    let journal = &header.names_lock.journal;
    journal.clear();
    journal.freed.store(0, Ordering::Relaxed);
    header.names_lock.lock.reset();
    header.allocation_lock.journal.slot.store(0, Ordering::Relaxed);
    header.allocation_lock.lock.reset();
    header.orphans.store(0, Ordering::Relaxed);
    header.names_bytes.store(0, Ordering::Relaxed);
    store.recent().reset(header.hash_key.load(Ordering::Relaxed));
    store.measure_log()?;
    mend_slots(store)?;
    fill_slots(store, source)?;
    mend_nodes(store)?;
    mend_objects(store)?;
    for name in list(store, STAND_INS)? {
        remove(store, &format!("{STAND_INS}/{name}"), AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Every slot is one file's. Of several that claim one it is the file's that was promised its bytes: a slot that such a file
/// had is not another's before its own new place is stable. Of those that nobody was promised none has it, and they are
/// empty: whose bytes are in it can't be known.
fn mend_slots(store: &Store) -> Result<()> {
    let pool = &store.header().allocation_lock.slots;
    let stat = store.directory().stat(SLOTS).map_err(Refusal::errno)?;
    let has = stat.st_size.cast_unsigned() / SLOT_BYTES;
    let mut owners: HashMap<u64, Option<u64>> = HashMap::new();
    let mut last = 0;
    for node in nodes(store) {
        let Some(record) = store.record(node) else { continue };
        let Some(slot) = u64::from(record.slot.load(Ordering::Relaxed)).checked_sub(1) else { continue };
        if slot == 0 || slot >= has || record.kind() != Some(Kind::File) {
            empty(record);
            continue;
        }
        last = last.max(slot);
        let Some(&other) = owners.get(&slot) else {
            owners.insert(slot, Some(node));
            continue;
        };
        let other = other.and_then(|other| store.record(other).map(|record| (other, record)));
        let is_promised = |record: &Record| store.is_promised(record);
        match (is_promised(record), other) {
            (true, other) if other.is_none_or(|(_, other)| !is_promised(other)) => {
                other.into_iter().for_each(|(_, other)| empty(other));
                owners.insert(slot, Some(node));
            }
            (false, Some((_, other))) if !is_promised(other) => {
                [record, other].into_iter().for_each(empty);
                owners.insert(slot, None);
            }
            _ => empty(record),
        }
    }
    pool.next.store(last + 1, Ordering::Release);
    // Also where the file is long enough: a hole in it must not meet a full disk later.
    store.slots().allocate(0, (last + 1) * SLOT_BYTES)?;
    pool.allocated.store(last + 1, Ordering::Release);
    let owned = owners.into_iter().filter(|(_, owner)| owner.is_some()).map(|(slot, _)| slot);
    store.relist_slots(owned)
}

/// Slots get the bytes that the log has: those were promised, and what is in a slot may be older. What a file has beyond them
/// was not promised, and reads as zeros.
fn fill_slots(store: &Store, source: &Source) -> Result<()> {
    for (&node, SlotKept { generation, bytes, .. }) in &source.slots {
        let Some(record) = store.record(node).filter(|record| record.kind() == Some(Kind::File)) else { continue };
        let slot = u64::from(record.slot.load(Ordering::Relaxed));
        if slot == 0 || record.has(HAS_OBJECT) || record.generation.load(Ordering::Relaxed) != *generation {
            continue;
        }
        let mut whole = [0; SLOT_BYTES as usize];
        let length = bytes.len().min(whole.len());
        whole[..length].copy_from_slice(&bytes[..length]);
        store.slots().copy_in((slot - 1) * SLOT_BYTES, &whole)?;
        record.flags.fetch_and(!SLOT_BLANK, Ordering::Relaxed);
    }
    Ok(())
}

/// A file whose bytes are gone: nobody was promised them.
fn empty(record: &Record) {
    record.slot.store(0, Ordering::Relaxed);
    if record.kind() == Some(Kind::File) && !record.has(HAS_OBJECT) {
        record.extent.store(record.extent().with_size(0).0, Ordering::Relaxed);
        record.flags.fetch_and(!SLOT_BLANK, Ordering::Relaxed);
    }
}

/// The numbers behind the last node were never used; the free ones before it are listed.
fn mend_nodes(store: &Store) -> Result<()> {
    let pool = &store.header().names_lock.nodes;
    let last = nodes(store).filter(|&node| store.record(node).is_some_and(|record| record.kind().is_some())).last();
    pool.next.store(last.unwrap_or(ROOT) + 1, Ordering::Release);
    store.relist_nodes()
}

fn nodes(store: &Store) -> std::ops::Range<u64> {
    ROOT..store.header().names_lock.nodes.next.load(Ordering::Acquire)
}

/// Object files that are nobody's go; of the others it is seen how much of them the host has.
fn mend_objects(store: &Store) -> Result<()> {
    let targets = store.header().targets.load(Ordering::Relaxed);
    for target in 0..targets {
        let path = format!("{TARGETS}/{target}");
        store.directory().make_directory(&path).map_err(Refusal::errno)?;
        for directory in list(store, &path)? {
            for name in list(store, &format!("{path}/{directory}"))? {
                let file = format!("{path}/{directory}/{name}");
                let owner = object::parse_name(&name).and_then(|(node, generation)| {
                    let record = store.record(node).filter(|record| {
                        record.kind() == Some(Kind::File)
                            && record.has(HAS_OBJECT)
                            && record.generation.load(Ordering::Relaxed) == generation
                    })?;
                    Some((record, Placement::of(targets, node, generation, record.chunk_bytes())))
                });
                match owner {
                    Some((record, placement)) => {
                        let Ok(stat) = store.directory().stat(&file) else { continue };
                        let size = stat.st_size.cast_unsigned();
                        // What is there was perhaps written after the record: it is cleared when the file grows over it.
                        if size != 0 {
                            record.dirty_end.fetch_max(placement.file_offset(target, size - 1) + 1, Ordering::Relaxed);
                        }
                        let dense_end = record.dense_end.load(Ordering::Relaxed);
                        let needed = placement.target_end(target, dense_end);
                        if size < needed || stat.st_blocks.cast_unsigned() * 512 < needed {
                            record.dense_end.store(0, Ordering::Relaxed);
                        }
                    }
                    None => remove(store, &file, AtFlags::empty())?,
                }
            }
        }
    }
    missing_objects(store, targets);
    Ok(())
}

/// A file whose object files are not there has no dense part.
fn missing_objects(store: &Store, targets: u32) {
    for node in nodes(store) {
        let Some(record) = store.record(node).filter(|record| record.has(HAS_OBJECT)) else { continue };
        let generation = record.generation.load(Ordering::Relaxed);
        let placement = Placement::of(targets, node, generation, record.chunk_bytes());
        let dense_end = record.dense_end.load(Ordering::Relaxed);
        let is_short =
            |target| object::host_size(store, target, node, generation) < placement.target_end(target, dense_end);
        if dense_end != 0 && (0..targets).any(is_short) {
            record.dense_end.store(0, Ordering::Relaxed);
        }
    }
}

fn remove(store: &Store, path: &str, flags: AtFlags) -> Result<()> {
    match store.directory().remove(path, flags) {
        Err(Refusal::Host(Errno::NOENT)) | Ok(()) => Ok(()),
        // Something that is not ours: fsck tells of it.
        Err(Refusal::Host(Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY)) => Ok(()),
        Err(refusal) => Err(refusal.errno()),
    }
}

fn list(store: &Store, path: &str) -> Result<Vec<String>> {
    let directory = match store.directory().open_directory(path) {
        Err(Refusal::Host(Errno::NOENT)) => return Ok(Vec::new()),
        Err(Refusal::Host(errno)) => return Err(errno),
        // Not ours: fsck tells of it.
        Err(_) => return Ok(Vec::new()),
        Ok(directory) => directory,
    };
    let mut buffer = Vec::with_capacity(8192);
    let mut entries = rustix::fs::RawDir::new(directory.as_fd(), buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

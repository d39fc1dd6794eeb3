//! Records that are as new as anybody was promised.

use super::super::image::Image;
use super::super::layout::NODES;
use super::super::log::state::LogState;
use super::super::record::{
    CONDEMNED, Extent, FLAGS_OF_THE_LOG, HAS_OBJECT, HELD, OBJECT_BEGUN, ORPHAN, RECORD_BYTES, Record, STANDS_IN,
};
use super::super::store::{NODES_COUNT_MAX, ROOT, SLOT_BYTES, Store};
use super::super::store_directory::Refusal;
use super::source::{NameKept, Source};
use crate::ground::Result;
use crate::ground::kernel;
use crate::store::{Found, Kind};
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// Puts the records right that names lead to, frees the others, and counts names and directories anew. Returns which names
/// lead to a node.
///
/// # Errors
/// `ENOSPC` where the inode table was cut off.
pub fn mend(store: &Store, source: &Source) -> Result<Vec<bool>> {
    let next = make_room(store, source)?;
    let mut kept: Vec<bool> = source.names.iter().map(|name| is_in_range(name, next)).collect();
    for (name, kept) in source.names.iter().zip(&mut kept).filter(|(_, kept)| **kept) {
        *kept = restore(store, name.found, source.images.get(&name.found.node.0));
    }
    mend_root(store, source.images.get(&ROOT));
    drop_unreached(source, &mut kept);
    count(store, source, &kept, next);
    Ok(kept)
}

fn is_in_range(name: &NameKept, next: u64) -> bool {
    (ROOT + 1..next).contains(&name.found.node.0) && (ROOT..next).contains(&name.directory)
}

/// Sees to it that every record there may be has its place; the free ones behind the last are never used ones again.
fn make_room(store: &Store, source: &Source) -> Result<u64> {
    let header = store.header();
    let pool = &header.names_lock.nodes;
    let stat = store.directory().stat(NODES).map_err(Refusal::errno)?;
    let has = stat.st_size.cast_unsigned() / RECORD_BYTES as u64;
    let last = source.names.iter().map(|name| name.found.node.0).filter(|&node| node < NODES_COUNT_MAX).max();
    let next = has.max(last.unwrap_or(ROOT) + 1).max(ROOT + 1);
    // Also where the file is long enough: a hole in it must not meet a full disk later.
    store.nodes().allocate(0, next * RECORD_BYTES as u64)?;
    pool.allocated.store(next, Ordering::Release);
    pool.next.store(next, Ordering::Release);
    Ok(next)
}

/// Makes a node's record the one that a name leads to, from its image if the table has an older one. False if there is
/// neither.
fn restore(store: &Store, found: Found, image: Option<&Image>) -> bool {
    let Some(record) = store.record(found.node.0) else { return false };
    let is_there = record.kind() == Some(found.kind) && record.generation.load(Ordering::Relaxed) == found.generation;
    let image = image.filter(|image| image.kind() == Some(found.kind) && image.generation() == found.generation);
    match image {
        // The count of syncs only goes up: with as many, the table's record was written back after the image was taken.
        Some(image) if !is_there || is_before(record.synced.load(Ordering::Relaxed), image.synced()) => {
            image.restore(record);
            true
        }
        _ => is_there,
    }
}

/// Whether a count, which may have passed its highest value, is a lower one.
fn is_before(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}

fn mend_root(store: &Store, image: Option<&Image>) {
    let Some(root) = store.record(ROOT) else { return };
    let image = image.filter(|image| image.kind() == Some(Kind::Directory));
    if let Some(image) = image
        && (root.kind() != Some(Kind::Directory) || is_before(root.synced.load(Ordering::Relaxed), image.synced()))
    {
        image.restore(root);
    } else if root.kind() != Some(Kind::Directory) {
        root.uid.store(rustix::process::geteuid().as_raw(), Ordering::Relaxed);
        root.gid.store(rustix::process::getegid().as_raw(), Ordering::Relaxed);
        for time in [&root.accessed, &root.modified, &root.changed, &root.born] {
            time.store(kernel::now(), Ordering::Relaxed);
        }
        root.set_kind(Some(Kind::Directory), 0o755);
    }
}

/// A name in a directory that itself has none is nobody's: whoever removed it removed what was in it before.
fn drop_unreached(source: &Source, kept: &mut [bool]) {
    let mut above: HashMap<u64, u64> = HashMap::new();
    for (name, _) in source.names.iter().zip(kept.iter()).filter(|(_, kept)| **kept) {
        if name.found.kind == Kind::Directory {
            above.insert(name.found.node.0, name.directory);
        }
    }
    let mut reached: HashMap<u64, bool> = HashMap::from([(ROOT, true)]);
    for (name, kept) in source.names.iter().zip(kept.iter_mut()).filter(|(_, kept)| **kept) {
        let (mut path, mut at) = (Vec::new(), name.directory);
        let is_reached = loop {
            if let Some(&known) = reached.get(&at) {
                break known;
            }
            path.push(at);
            // Not reached as long as it is not known: so a ring ends.
            reached.insert(at, false);
            match above.get(&at) {
                Some(&parent) => at = parent,
                None => break false,
            }
        };
        for directory in path {
            reached.insert(directory, is_reached);
        }
        *kept = is_reached;
    }
}

/// Counts names and directories, makes the records of the living whole, and frees the others.
fn count(store: &Store, source: &Source, kept: &[bool], next: u64) {
    #[derive(Clone, Copy, Default)]
    struct Counts {
        names: u32,
        entries: u32,
        directories: u32,
    }
    let mut counts = vec![Counts::default(); next as usize];
    counts[ROOT as usize].names = 1;
    for (name, _) in source.names.iter().zip(kept).filter(|(_, kept)| **kept) {
        counts[name.found.node.0 as usize].names += 1;
        let directory = &mut counts[name.directory as usize];
        directory.entries += 1;
        directory.directories += u32::from(name.found.kind == Kind::Directory);
        if let (Some(record), Kind::Symlink) = (store.record(name.found.node.0), name.found.kind) {
            record.extent.store(Extent::new(0, name.target.len() as u64).0, Ordering::Relaxed);
        }
    }
    for node in ROOT..next {
        let (Some(record), counts) = (store.record(node), counts[node as usize]) else { continue };
        let kind = record.kind().filter(|_| counts.names != 0);
        record.lock.reset();
        record.sequence.store(0, Ordering::Relaxed);
        record.opens.store(0, Ordering::Relaxed);
        let Some(kind) = kind else {
            free(record);
            continue;
        };
        record.flags.fetch_and(!(HELD | ORPHAN | STANDS_IN | CONDEMNED | FLAGS_OF_THE_LOG), Ordering::Relaxed);
        record.next_free.store(0, Ordering::Relaxed);
        record
            .links
            .store(if kind == Kind::Directory { counts.directories + 2 } else { counts.names }, Ordering::Relaxed);
        record.entries.store(counts.entries, Ordering::Relaxed);
        record.created_at.fetch_min(source.position_after - 1, Ordering::Relaxed);
        if kind == Kind::File {
            make_whole(record);
        }
    }
}

/// A file whose bytes were on their way from its slot to objects when the kernel wrote its record back.
fn make_whole(record: &Record) {
    let size = record.extent().size();
    if record.has(HAS_OBJECT) {
        record.slot.store(0, Ordering::Relaxed);
    } else if record.slot.load(Ordering::Relaxed) != 0 && size > SLOT_BYTES {
        record.extent.store(record.extent().with_size(SLOT_BYTES).0, Ordering::Relaxed);
    }
    if !record.has(HAS_OBJECT) {
        record.flags.fetch_and(!OBJECT_BEGUN, Ordering::Relaxed);
        record.dirty_end.store(0, Ordering::Relaxed);
        record.dense_end.store(0, Ordering::Relaxed);
    }
    if record.chunk_bytes() == 0 {
        record.set_chunk_bytes(1 << 20);
    }
}

fn free(record: &Record) {
    record.slot.store(0, Ordering::Relaxed);
    record.flags.store(0, Ordering::Relaxed);
    record.links.store(0, Ordering::Relaxed);
    if record.kind().is_some() {
        record.generation.fetch_add(1, Ordering::Relaxed);
    }
    record.set_kind(None, 0);
}

impl LogState {
    /// Forgets what was condemned: it was freed, or has its name back.
    pub fn forget_condemned(&self) {
        for word in [&self.condemned_first, &self.condemned_last, &self.condemned_bytes, &self.next_end] {
            word.store(0, Ordering::Relaxed);
        }
        for word in [&self.drained, &self.condemned_stable] {
            word.store(self.condemned.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

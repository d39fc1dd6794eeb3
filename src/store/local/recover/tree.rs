//! A new tree of names.

use super::super::create::whereabouts;
use super::super::key::{Key, entry_value};
use super::super::layout::{NAMES, TREE, TREE_LOCK};
use super::super::store::{ROOT, Store};
use super::super::store_directory::Refusal;
use super::super::tree::MAP_BYTES_MIN;
use super::source::Source;
use crate::ground::{Errno, Result};
use crate::store::{Kind, NodeId};
use rustix::fs::AtFlags;
use std::sync::atomic::Ordering;

/// Names that go to the tree in one transaction.
const NAMES_PER_TRANSACTION: usize = 1024;

/// Bytes of the tree for each name, more than enough: its entry, its directory's or symlink's own key, half empty pages.
const BYTES_PER_NAME: u64 = 1024;

/// Removes the old tree, which is not open.
///
/// # Errors
/// As unlinkat(2).
pub fn remove(store: &Store, source: &Source) -> Result<()> {
    store.header().names_map_bytes.store(map_bytes(source), Ordering::Relaxed);
    store.directory().make_directory(NAMES).map_err(Refusal::errno)?;
    for name in [TREE, TREE_LOCK] {
        match store.directory().remove(name, AtFlags::empty()) {
            Ok(()) | Err(Refusal::Host(Errno::NOENT)) => {}
            Err(refusal) => return Err(refusal.errno()),
        }
    }
    Ok(())
}

/// Room that the map of the new tree needs.
fn map_bytes(source: &Source) -> u64 {
    (source.names.len() as u64 * BYTES_PER_NAME).next_power_of_two().max(MAP_BYTES_MIN)
}

/// Puts the names into the tree, which is empty.
///
/// # Errors
/// `ENOSPC`.
pub fn fill(store: &Store, source: &Source) -> Result<()> {
    store.commit(true, &[], Default::default(), |writing| {
        writing.put(&Key::of_directory(ROOT), &whereabouts(NodeId(ROOT), b""))
    })?;
    for names in source.names.chunks(NAMES_PER_TRANSACTION) {
        store.reserve_for_names(names.len() as u32)?;
        store.commit(true, &[], Default::default(), |writing| {
            for name in names {
                writing.put(&Key::of_entry(name.directory, name.position, &name.name), &entry_value(name.found))?;
                match name.found.kind {
                    Kind::File => {}
                    Kind::Directory => {
                        let place = whereabouts(NodeId(name.directory), &name.name);
                        writing.put(&Key::of_directory(name.found.node.0), &place)?;
                    }
                    Kind::Symlink => writing.put(&Key::of_symlink(name.found.node.0), &name.target)?,
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

//! A tree of names made anew, of what can be read of the old one.

use super::super::key::{self, Key, KeyOf};
use super::super::layout::{NODES, TREE, TREE_LOCK};
use super::super::record::RECORD_BYTES;
use super::super::store_directory::{Refusal, StoreDirectory};
use super::super::tree::{MAP_BYTES_MIN, PAGE_BYTES, Tree};
use super::super::tree_pages::TreePages;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, buffer::Segment, file_size_limit, kernel};
use rustix::fs::{AtFlags, OFlags};
use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where it is made.
const NEW: &str = "names.new";

/// Keys and values, in the tree's order.
type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Makes the tree anew and puts it in the old one's place, which goes; its bytes are answered. With `moves`, the names get the
/// places that `hash_key` gives them.
///
/// # Errors
/// As [`Refusal`] has them; then the old one is as it was.
pub fn make(directory: &Path, within: StoreDirectory, hash_key: u64, moves: bool) -> Result<u64, Refusal> {
    let _quiet = Quiet::enter();
    let mut entries = salvage(within)?;
    if moves || !fits(&entries, hash_key) {
        entries = moved(entries, hash_key);
    }
    let files = ["data.mdb", "lock.mdb"].map(|name| format!("{NEW}/{name}"));
    within.make_directory(NEW)?;
    for file in &files {
        forget(within, file)?;
    }
    let bytes = write(directory, within, &files, &entries)?;
    for name in [TREE, TREE_LOCK] {
        forget(within, name)?;
    }
    within.rename(&files[0], TREE)?;
    forget(within, &files[1])?;
    within.remove(NEW, AtFlags::REMOVEDIR)?;
    Ok(bytes)
}

fn forget(within: StoreDirectory, name: &str) -> Result<(), Refusal> {
    match within.remove(name, AtFlags::empty()) {
        Ok(()) | Err(Refusal::Host(Errno::NOENT)) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

fn write(directory: &Path, within: StoreDirectory, files: &[String; 2], entries: &Entries) -> Result<u64, Refusal> {
    for file in files {
        within.open(file, OFlags::RDWR | OFlags::CREATE)?;
    }
    let path = CString::new(directory.join(NEW).as_os_str().as_bytes()).map_err(|_| Refusal::Host(Errno::INVAL))?;
    let held: u64 = entries.iter().map(|(key, value)| (key.len() + value.len() + 64) as u64).sum();
    let map_bytes = (4 * held).next_power_of_two().max(MAP_BYTES_MIN);
    let make = || {
        let tree = Tree::open(&path, map_bytes, false)?;
        // Room for all of it: a store to a hole of a full disk would be SIGBUS.
        kernel::allocate(kernel::borrow(tree.data_descriptor()), 0, 4 * held + 64 * PAGE_BYTES)?;
        let mut writing = tree.write()?;
        for (key, value) in entries {
            writing.put(key, value)?;
        }
        writing.commit()?;
        tree.sync()?;
        Ok(tree.committed().1)
    };
    file_size_limit::without(make).map_err(Refusal::Host)
}

/// What can be read: the tree as far as it is whole, and of what lies about besides, the names of nodes that live and have none.
fn salvage(within: StoreDirectory) -> Result<Entries, Refusal> {
    let mut entries = Entries::new();
    let file = match within.open(TREE, OFlags::RDONLY) {
        Err(Refusal::Host(Errno::NOENT)) => return Ok(entries),
        opened => opened?,
    };
    let pages = TreePages::map(file.as_fd()).map_err(Refusal::Host)?;
    let mut named = HashSet::new();
    let mut others = Vec::new();
    pages.salvage(|key, value, is_in_tree| {
        let kind = KeyOf::parse(key);
        if kind == KeyOf::Unknown {
            return;
        }
        if !is_in_tree {
            others.push((key.to_vec(), value.to_vec()));
            return;
        }
        if let (KeyOf::Entry { .. }, Some(found)) = (kind, key::parse_entry_value(value)) {
            named.insert(found.node.0);
        }
        entries.insert(key.to_vec(), value.to_vec());
    });
    let nodes = within.open(NODES, OFlags::RDONLY)?;
    for (key, value) in others {
        let is_wanted = match KeyOf::parse(&key) {
            KeyOf::Entry { .. } => key::parse_entry_value(&value).is_some_and(|found| {
                !named.contains(&found.node.0)
                    && lives(nodes.as_fd().as_raw_fd(), found.node.0, Some(found.generation), found.kind as u32)
                    && named.insert(found.node.0)
            }),
            KeyOf::Directory(node) => lives(nodes.as_fd().as_raw_fd(), node, None, 2),
            KeyOf::Symlink(node) => lives(nodes.as_fd().as_raw_fd(), node, None, 3),
            KeyOf::Orphan(_) | KeyOf::Unknown => false,
        };
        if is_wanted {
            entries.entry(key).or_insert(value);
        }
    }
    Ok(entries)
}

/// Whether a record is that of a node that lives.
fn lives(nodes: i32, node: u64, generation: Option<u32>, kind: u32) -> bool {
    let mut words = [0u8; 8];
    let Some(offset) = node.checked_mul(RECORD_BYTES as u64) else { return false };
    let read = kernel::read_at(nodes, &Segment::of_slice_mut(&mut words), offset);
    let half = |at: usize| u32::from_ne_bytes(*words[at..].first_chunk().unwrap_or(&[0; 4]));
    read == Ok(words.len()) && half(0) >> 16 == kind && generation.is_none_or(|generation| half(4) == generation)
}

/// Whether the names are where the key puts them.
fn fits(entries: &Entries, hash_key: u64) -> bool {
    let mut names = entries.keys().filter_map(|key| match KeyOf::parse(key) {
        KeyOf::Entry { position, name, .. } => Some((position, name.to_vec())),
        _ => None,
    });
    names.next().is_none_or(|(position, name)| key::is_position_of(hash_key, &name, position))
}

/// All names at the places that the key gives them.
fn moved(entries: Entries, hash_key: u64) -> Entries {
    let mut moved = Entries::new();
    let mut taken = HashSet::new();
    for (key, value) in entries {
        let KeyOf::Entry { directory, name, .. } = KeyOf::parse(&key) else {
            moved.insert(key, value);
            continue;
        };
        let first = key::first_position(hash_key, name);
        let free = (first..first + key::POSITIONS_PER_HASH).find(|&position| taken.insert((directory, position)));
        if let Some(position) = free {
            moved.insert(Key::of_entry(directory, position, name).to_vec(), value);
        }
    }
    moved
}

//! What the tree of names holds.

use super::super::key::{KeyOf, parse_entry_value};
use super::super::recover::NameKept;
use super::super::store::Store;
use crate::ground::Result;
use crate::store::Found;
use std::collections::{BTreeMap, HashMap};

/// A directory's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The directory.
    pub directory: u64,
    /// Its place there.
    pub position: u64,
    /// The name.
    pub name: Vec<u8>,
    /// What it leads to; `None` for a value that is none.
    pub found: Option<Found>,
}

impl From<NameKept> for Entry {
    fn from(name: NameKept) -> Self {
        let NameKept { directory, position, name, found, .. } = name;
        Self { directory, position, name: name.into(), found: Some(found) }
    }
}

/// All keys, by what they are about.
#[derive(Default)]
pub struct Census {
    /// Entries in the tree's order.
    pub entries: Vec<Entry>,
    /// A directory's parent and own name.
    pub directories: BTreeMap<u64, (u64, Vec<u8>)>,
    /// The length of a symlink's target.
    pub symlinks: BTreeMap<u64, usize>,
    /// An orphan's generation.
    pub orphans: BTreeMap<u64, u32>,
    /// Keys of no known shape.
    pub unknown: Vec<Vec<u8>>,
    /// The entries that lead to a node, as indices.
    pub names_of: HashMap<u64, Vec<usize>>,
}

impl Census {
    /// Walks the tree.
    ///
    /// # Errors
    /// `EIO` for a damaged tree.
    pub fn take(store: &Store) -> Result<Self> {
        let mut census = Self::default();
        if !store.is_frozen() {
            store.flush_recent()?;
        }
        store.with_reader(|look| {
            let mut at = look.seek(&[0])?;
            while let Some((key, value)) = at {
                census.add(key, value);
                at = look.next()?;
            }
            Ok(())
        })?;
        for change in store.recent().changes() {
            let (directory, position, name, found) = change.get();
            census.entries.retain(|entry| (entry.directory, entry.position) != (directory.0, position));
            if found.is_some() {
                census.entries.push(Entry { directory: directory.0, position, name, found });
            }
        }
        Ok(census)
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        match KeyOf::parse(key) {
            KeyOf::Entry { directory, position, name } => {
                let found = parse_entry_value(value);
                self.entries.push(Entry { directory, position, name: name.to_vec(), found });
            }
            KeyOf::Directory(node) => {
                let (parent, name) = value.split_first_chunk::<8>().unwrap_or((&[0; 8], b""));
                self.directories.insert(node, (u64::from_le_bytes(*parent), name.to_vec()));
            }
            KeyOf::Symlink(node) => {
                self.symlinks.insert(node, value.len());
            }
            KeyOf::Orphan(node) => {
                let generation = value.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                self.orphans.insert(node, generation);
            }
            KeyOf::Unknown => self.unknown.push(key.to_vec()),
        }
    }

    /// Sorts the entries that are good by the nodes that they lead to.
    pub fn index(&mut self) {
        self.names_of.clear();
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(found) = entry.found {
                self.names_of.entry(found.node.0).or_default().push(index);
            }
        }
    }
}

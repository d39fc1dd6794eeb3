//! A directory's entries, in the order of their positions.

use super::key::{self, Key, KeyOf};
use super::store::Store;
use crate::ground::{Errno, Result};
use crate::store::{DirectoryEntry, Found, NodeId};
use std::collections::BTreeMap;

impl Store {
    /// Tells a directory's entries after `position`, until `visit` answers false.
    ///
    /// # Errors
    /// `ENOTDIR`, `ESTALE`. A directory that was removed has none.
    pub fn entries(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()> {
        match self.directory_record(directory) {
            Err(Errno::NOENT) => return Ok(()),
            record => record?,
        };
        if self.is_frozen() && self.recent().count() != 0 {
            return self.entries_with_recent(directory, position, visit);
        }
        self.settle()?;
        self.entries_in_tree(directory, position, visit)
    }

    fn entries_in_tree(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()> {
        self.with_reader(|look| {
            let mut at = look.seek(&Key::of_entry(directory.0, position.saturating_add(1), b""))?;
            while let Some((key, value)) = at {
                let KeyOf::Entry { directory: of, position, name } = KeyOf::parse(key) else { break };
                if of != directory.0 {
                    break;
                }
                let found = key::parse_entry_value(value).ok_or(Errno::IO)?;
                if !visit(DirectoryEntry { name, found, position, is_certain: true }) {
                    break;
                }
                at = look.next()?;
            }
            Ok(())
        })
    }

    /// On a read-only host the recent changes stay where they are.
    fn entries_with_recent(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()> {
        let mut entries: BTreeMap<u64, (Vec<u8>, Found)> = BTreeMap::new();
        self.entries_in_tree(directory, position, &mut |entry| {
            entries.insert(entry.position, (entry.name.to_vec(), entry.found));
            true
        })?;
        for change in self.recent().changes() {
            match change.get() {
                (of, at, name, Some(found)) if of == directory && at > position => {
                    entries.insert(at, (name, found));
                }
                (of, at, _, None) if of == directory => {
                    entries.remove(&at);
                }
                _ => {}
            }
        }
        for (position, (name, found)) in &entries {
            if !visit(DirectoryEntry { name, found: *found, position: *position, is_certain: true }) {
                break;
            }
        }
        Ok(())
    }
}

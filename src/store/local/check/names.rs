//! Are the names right?

use super::super::create::whereabouts;
use super::super::key::Key;
use super::super::record::Record;
use super::super::store::{ROOT, Store};
use super::census::{Census, Entry};
use super::{Checker, Severity};
use crate::ground::Result;
use crate::store::{Found, Kind, NodeId};
use std::collections::HashSet;
use std::collections::btree_map::Entry::Vacant;
use std::sync::atomic::Ordering;

impl Checker<'_> {
    /// Entries lead to nodes, directories have one name and are reached from the root.
    pub fn check_names(&mut self, census: &mut Census) -> Result<()> {
        for key in &census.unknown {
            self.find(Severity::Damage, format!("a key of no known kind in the tree of names: {key:02x?}"), |store| {
                store.change_tree(|writing| writing.delete(key))
            })?;
        }
        let store = self.store;
        let is_directory = |node| store.record(node).is_some_and(|record| record.kind() == Some(Kind::Directory));
        let mut good = Vec::with_capacity(census.entries.len());
        for entry in std::mem::take(&mut census.entries) {
            let wrong = match entry.found {
                _ if !is_directory(entry.directory) => Some("lies in a directory that is gone"),
                None => Some("has no readable value"),
                Some(found) => live(store, found).is_none().then_some("leads to a node that is gone"),
            };
            match wrong {
                None => good.push(entry),
                Some(wrong) => {
                    let what = format!("{} {wrong}", shown(&entry));
                    self.find(Severity::Damage, what, |store| {
                        store.change_tree(|writing| {
                            writing.delete(&Key::of_entry(entry.directory, entry.position, &entry.name))
                        })
                    })?;
                }
            }
        }
        census.entries = good;
        census.index();
        if let Vacant(place) = census.directories.entry(ROOT) {
            place.insert((ROOT, Vec::new()));
            self.find(Severity::Damage, "the root does not know that it is one".to_owned(), |store| {
                store.change_tree(|writing| writing.put(&Key::of_directory(ROOT), &whereabouts(NodeId(ROOT), b"")))
            })?;
        }
        self.check_directories(census)?;
        self.check_reach(census)
    }

    /// Each directory has one entry, which is the one that its own key tells.
    fn check_directories(&mut self, census: &mut Census) -> Result<()> {
        let mut surplus = HashSet::new();
        for (&node, names) in &census.names_of {
            if census.entries[names[0]].found.is_none_or(|found| found.kind != Kind::Directory) {
                continue;
            }
            let own = census.directories.get(&node);
            let told = names.iter().copied().find(|&index| {
                let entry = &census.entries[index];
                own.is_some_and(|(parent, name)| *parent == entry.directory && *name == entry.name)
            });
            let kept = told.unwrap_or(names[0]);
            surplus.extend(names.iter().copied().filter(|&index| index != kept));
            if told.is_none() {
                let entry = census.entries[kept].clone();
                let what = format!("directory {node} does not know that it is {}", shown(&entry));
                self.find(Severity::Damage, what, |store| {
                    store.change_tree(|writing| {
                        writing.put(&Key::of_directory(node), &whereabouts(NodeId(entry.directory), &entry.name))
                    })
                })?;
                census.directories.insert(node, (entry.directory, entry.name));
            }
        }
        for &index in &surplus {
            let entry = census.entries[index].clone();
            let what = format!("{} is a second name of a directory", shown(&entry));
            self.find(Severity::Damage, what, |store| {
                store
                    .change_tree(|writing| writing.delete(&Key::of_entry(entry.directory, entry.position, &entry.name)))
            })?;
        }
        if !surplus.is_empty() {
            let mut index = 0;
            census.entries.retain(|_| {
                index += 1;
                !surplus.contains(&(index - 1))
            });
            census.index();
        }
        let gone: Vec<u64> = census
            .directories
            .keys()
            .copied()
            .filter(|&node| self.store.record(node).is_none_or(|record| record.kind() != Some(Kind::Directory)))
            .collect();
        for node in gone {
            census.directories.remove(&node);
            self.find(Severity::Leak, format!("the tree tells where directory {node} is, which is gone"), |store| {
                store.change_tree(|writing| writing.delete(&Key::of_directory(node)))
            })?;
        }
        Ok(())
    }

    /// No directory hangs in a ring of its own.
    fn check_reach(&mut self, census: &mut Census) -> Result<()> {
        let mut reached = HashSet::from([ROOT]);
        let directories: Vec<u64> = census.directories.keys().copied().collect();
        for node in directories {
            let mut path = Vec::new();
            let mut at = node;
            while !reached.contains(&at) {
                if path.contains(&at) {
                    let (parent, name) = census.directories[&at].clone();
                    let what = format!("directory {at} lies within itself");
                    let entry = census.entries.iter().position(|e| e.directory == parent && e.name == name);
                    let removed = entry.map(|index| census.entries.remove(index));
                    census.index();
                    self.find(Severity::Damage, what, |store| match &removed {
                        Some(entry) => store.change_tree(|writing| {
                            writing.delete(&Key::of_entry(entry.directory, entry.position, &entry.name))
                        }),
                        None => Ok(()),
                    })?;
                    break;
                }
                path.push(at);
                match census.directories.get(&at) {
                    // Without a name it is lost, which the check of nodes sees.
                    Some((parent, _)) if census.names_of.contains_key(&at) => at = *parent,
                    _ => break,
                }
            }
            reached.extend(path);
        }
        Ok(())
    }
}

/// The record of a node that is as it was found.
pub fn live(store: &Store, found: Found) -> Option<&Record> {
    store.record(found.node.0).filter(|record| {
        record.kind() == Some(found.kind) && record.generation.load(Ordering::Relaxed) == found.generation
    })
}

/// An entry for a reader.
pub fn shown(entry: &Entry) -> String {
    format!("entry {:?} of directory {}", String::from_utf8_lossy(&entry.name), entry.directory)
}

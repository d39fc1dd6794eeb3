//! Do the records count right?

use super::super::key::Key;
use super::super::record::{CONDEMNED, HAS_OBJECT, ORPHAN, Record};
use super::super::store::{ROOT, SLOT_BYTES};
use super::census::Census;
use super::{Checker, Severity};
use crate::ground::Result;
use crate::store::Kind;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// What a directory's record counts.
#[derive(Clone, Copy, Default)]
struct Counts {
    entries: u32,
    directories: u32,
}

impl Checker<'_> {
    /// Every live record has its names; every orphan is somebody's.
    pub fn check_nodes(&mut self, census: &Census) -> Result<()> {
        let mut counts: HashMap<u64, Counts> = HashMap::new();
        for entry in &census.entries {
            let counts = counts.entry(entry.directory).or_default();
            counts.entries += 1;
            counts.directories += u32::from(entry.found.is_some_and(|found| found.kind == Kind::Directory));
        }
        let mut lost = Vec::new();
        for node in ROOT..self.store.header().names_lock.nodes.next.load(Ordering::Acquire) {
            let Some(record) = self.store.record(node) else { continue };
            let Some(kind) = record.kind() else { continue };
            self.count(kind, record);
            let names = census.names_of.get(&node).map_or(0, Vec::len) as u32;
            let links = record.links.load(Ordering::SeqCst);
            if names == 0 && node != ROOT {
                if links == 0 {
                    self.check_orphan(census, node, record)?;
                } else {
                    lost.push((node, kind));
                }
                continue;
            }
            match kind {
                Kind::Directory => {
                    let counts = counts.get(&node).copied().unwrap_or_default();
                    self.check_count(node, "entries", &record.entries, counts.entries)?;
                    self.check_count(node, "links", &record.links, counts.directories + 2)?;
                }
                Kind::File => {
                    self.check_count(node, "links", &record.links, names)?;
                    self.check_layout(node, record)?;
                }
                Kind::Symlink => {
                    self.check_count(node, "links", &record.links, names)?;
                    self.check_target(census, node, record)?;
                }
            }
        }
        for (&node, &generation) in &census.orphans {
            let is_one = self.store.record(node).is_some_and(|record| {
                record.kind().is_some()
                    && record.generation.load(Ordering::Relaxed) == generation
                    && record.links.load(Ordering::Relaxed) == 0
            });
            if !is_one {
                self.find(
                    Severity::Leak,
                    format!("the tree lists node {node} as an orphan, which is gone"),
                    |store| store.change_tree(|writing| writing.delete(&Key::of_orphan(node))),
                )?;
            }
        }
        for &node in census.symlinks.keys() {
            if self.store.record(node).is_none_or(|record| record.kind() != Some(Kind::Symlink)) {
                self.find(
                    Severity::Leak,
                    format!("the tree has a target for node {node}, which is no symlink"),
                    |store| store.change_tree(|writing| writing.delete(&Key::of_symlink(node))),
                )?;
            }
        }
        for (node, kind) in lost {
            let what = format!("node {node} has lost its name; it goes to lost+found/{node}");
            self.find(Severity::Damage, what, |store| store.link_lost(node, kind))?;
        }
        Ok(())
    }

    fn count(&mut self, kind: Kind, record: &Record) {
        match kind {
            Kind::File => {
                self.summary.files += 1;
                self.summary.bytes += record.extent().size();
            }
            Kind::Directory => self.summary.directories += 1,
            Kind::Symlink => self.summary.symlinks += 1,
        }
    }

    fn check_count(&mut self, node: u64, what: &str, word: &std::sync::atomic::AtomicU32, right: u32) -> Result<()> {
        let told = word.load(Ordering::Relaxed);
        if told == right {
            return Ok(());
        }
        self.find(Severity::Damage, format!("node {node} counts {told} {what} and has {right}"), |_| {
            word.store(right, Ordering::Relaxed);
            Ok(())
        })
    }

    fn check_orphan(&mut self, census: &Census, node: u64, record: &Record) -> Result<()> {
        if self.store.is_kept(record, node) {
            self.summary.orphans += 1;
            return Ok(());
        }
        if record.has(CONDEMNED) {
            // It goes with the next sync.
            return Ok(());
        }
        let listed = census.orphans.contains_key(&node);
        self.find(Severity::Leak, format!("node {node} has no name and nobody has it open"), |store| {
            if listed {
                record.flags.fetch_or(ORPHAN, Ordering::AcqRel);
            }
            store.release(node)
        })
    }

    fn check_layout(&mut self, node: u64, record: &Record) -> Result<()> {
        let size = record.extent().size();
        if record.has(HAS_OBJECT) || record.slot.load(Ordering::Relaxed) == 0 || size <= SLOT_BYTES {
            return Ok(());
        }
        let what = format!("file {node} has {size} bytes in a slot of {SLOT_BYTES}; the rest is gone");
        self.find(Severity::Damage, what, |_| {
            let _ = record.extent.fetch_update(Ordering::SeqCst, Ordering::Acquire, |word| {
                Some(super::super::record::Extent(word).with_size(SLOT_BYTES).0)
            });
            Ok(())
        })
    }

    fn check_target(&mut self, census: &Census, node: u64, record: &Record) -> Result<()> {
        let told = record.extent().size();
        match census.symlinks.get(&node) {
            Some(&length) if length as u64 == told => Ok(()),
            Some(&length) => {
                let what = format!("symlink {node} counts {told} bytes of target and has {length}");
                self.find(Severity::Damage, what, |_| {
                    let extent = record.extent();
                    record.extent.store(extent.with_size(length as u64).0, Ordering::Relaxed);
                    Ok(())
                })
            }
            None => {
                const GONE: &[u8] = b"lost";
                let what = format!("symlink {node} has lost its target");
                self.find(Severity::Damage, what, |store| {
                    let extent = record.extent();
                    record.extent.store(extent.with_size(GONE.len() as u64).0, Ordering::Relaxed);
                    store.change_tree(|writing| writing.put(&Key::of_symlink(node), GONE))
                })
            }
        }
    }
}

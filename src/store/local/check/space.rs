//! Is every slot and every object file somebody's, and one's only?

use super::super::layout::{STAND_INS, TARGETS};
use super::super::object::{Placement, parse_name};
use super::super::record::{HAS_OBJECT, OBJECT_BEGUN, Record};
use super::super::store::{ROOT, Store};
use super::super::store_directory::Refusal;
use super::{Checker, Finding, Severity};
use crate::ground::{Errno, Result};
use crate::store::Kind;
use rustix::fs::AtFlags;
use std::sync::atomic::Ordering;

/// What a number is in use for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Nobody,
    Owner(u64),
    Free,
}

impl Checker<'_> {
    /// Slots, free lists, object files, stand-ins.
    pub fn check_space(&mut self) -> Result<()> {
        self.check_slots()?;
        self.check_free_nodes()?;
        for target in 0..self.store.header().targets.load(Ordering::Relaxed) {
            self.check_target_directory(target)?;
        }
        self.check_objects()?;
        self.check_stand_ins()
    }

    fn check_slots(&mut self) -> Result<()> {
        let store = self.store;
        let pool = &store.header().allocation_lock.slots;
        let mut uses = vec![Use::Nobody; pool.next.load(Ordering::Acquire) as usize];
        for node in ROOT..store.header().names_lock.nodes.next.load(Ordering::Acquire) {
            // Free records too: a slot stays with its record.
            let Some(record) = store.record(node) else { continue };
            let Some(slot) = record.slot.load(Ordering::Acquire).checked_sub(1) else { continue };
            let wrong = match uses.get(slot as usize) {
                Some(Use::Nobody) if slot != 0 => {
                    uses[slot as usize] = Use::Owner(node);
                    continue;
                }
                Some(Use::Owner(other)) => format!("files {other} and {node} have the same slot {slot}"),
                _ => format!("file {node} has slot {slot}, which there is not"),
            };
            self.find(Severity::Damage, wrong, |store| store.give_other_slot(node, record, slot))?;
            if self.repair
                && let Some(own) = record.slot.load(Ordering::Acquire).checked_sub(1)
            {
                uses.resize(uses.len().max(own as usize + 1), Use::Nobody);
                uses[own as usize] = Use::Owner(node);
            }
        }
        let mut broken = false;
        let mut at = pool.free.load(Ordering::Acquire);
        while at != 0 && !broken {
            match uses.get_mut(at as usize) {
                Some(free @ Use::Nobody) => {
                    *free = Use::Free;
                    at = store.next_free_slot(at).unwrap_or(u64::MAX);
                }
                _ => broken = true,
            }
        }
        let leaked = uses.iter().skip(1).filter(|&&slot| slot == Use::Nobody).count();
        let owned = || (1..uses.len() as u64).filter(|&slot| matches!(uses[slot as usize], Use::Owner(_)));
        if broken {
            let what = "the list of free slots leads to one that is not free".to_owned();
            self.find(Severity::Damage, what, |store| store.relist_slots(owned()))
        } else if leaked != 0 {
            self.find(Severity::Leak, format!("{leaked} slots are nobody's"), |store| store.relist_slots(owned()))
        } else {
            Ok(())
        }
    }

    fn check_free_nodes(&mut self) -> Result<()> {
        let store = self.store;
        let pool = &store.header().names_lock.nodes;
        let next = pool.next.load(Ordering::Acquire);
        let mut free = vec![false; next as usize];
        let mut broken = false;
        let mut at = pool.free.load(Ordering::Acquire);
        while at != 0 {
            match (free.get_mut(at as usize), store.record(at)) {
                (Some(seen @ false), Some(record)) if record.kind().is_none() => {
                    *seen = true;
                    at = record.next_free.load(Ordering::Relaxed);
                }
                _ => {
                    broken = true;
                    break;
                }
            }
        }
        let is_free = |node: u64| store.record(node).is_some_and(|record| record.kind().is_none());
        let leaked = (ROOT..next).filter(|&node| is_free(node) && !free[node as usize]).count();
        if broken {
            let what = "the list of free nodes leads to one that is not free".to_owned();
            self.find(Severity::Damage, what, |store| store.relist_nodes())
        } else if leaked != 0 {
            self.find(Severity::Leak, format!("{leaked} node numbers are nobody's"), |store| store.relist_nodes())
        } else {
            Ok(())
        }
    }

    /// Object files on a target that nobody owns.
    fn check_target_directory(&mut self, target: u32) -> Result<()> {
        let path = format!("{TARGETS}/{target}");
        for directory in list(self.store, &path)? {
            for name in list(self.store, &format!("{path}/{directory}"))? {
                let owner = parse_name(&name).filter(|&(node, generation)| {
                    owner_of(self.store, node, generation, Kind::File)
                        .is_some_and(|record| record.has(HAS_OBJECT | OBJECT_BEGUN))
                });
                // While others live, a file may be on its way into its objects.
                if owner.is_none() && !self.summary.others_live {
                    let file = format!("{path}/{directory}/{name}");
                    self.find(Severity::Leak, format!("object file {file} is nobody's"), |store| {
                        store.directory().remove(&file, AtFlags::empty()).map_err(Refusal::errno)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Object files that are shorter than their record believes.
    fn check_objects(&mut self) -> Result<()> {
        let store = self.store;
        let targets = store.header().targets.load(Ordering::Relaxed);
        for node in ROOT..store.header().names_lock.nodes.next.load(Ordering::Acquire) {
            let Some(record) = store.record(node).filter(|record| record.has(HAS_OBJECT)) else { continue };
            if record.kind() != Some(Kind::File) {
                continue;
            }
            let generation = record.generation.load(Ordering::Relaxed);
            let placement = Placement::of(targets, node, generation, record.chunk_bytes());
            let dense_end = record.dense_end.load(Ordering::Acquire);
            for target in 0..targets {
                let needed = placement.target_end(target, dense_end);
                let size = super::super::object::host_size(store, target, node, generation);
                if size < needed {
                    let what = format!(
                        "file {node} has {size} of {needed} bytes on target {target}; what is missing reads as zeros"
                    );
                    self.find(Severity::Damage, what, |_| {
                        record.dense_end.store(0, Ordering::Release);
                        Ok(())
                    })?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn check_stand_ins(&mut self) -> Result<()> {
        for name in list(self.store, STAND_INS)? {
            if self.summary.others_live {
                continue;
            }
            let path = format!("{STAND_INS}/{name}");
            if list(self.store, &path).is_ok_and(|files| !files.is_empty()) {
                // Somebody's bytes: they are his to move.
                self.summary.damages += 1;
                let what = format!("{path} holds what a program wrote past Sidestep 0.1: move it to where it belongs");
                (self.report)(Finding { severity: Severity::Damage, what, repaired: false });
                continue;
            }
            self.find(Severity::Leak, format!("{path} stands for no directory"), |store| {
                store.directory().remove(&path, AtFlags::REMOVEDIR).map_err(Refusal::errno)
            })?;
        }
        Ok(())
    }
}

fn owner_of(store: &Store, node: u64, generation: u32, kind: Kind) -> Option<&Record> {
    store
        .record(node)
        .filter(|record| record.kind() == Some(kind) && record.generation.load(Ordering::Relaxed) == generation)
}

fn list(store: &Store, path: &str) -> Result<Vec<String>> {
    match store.directory().list(path) {
        Err(Refusal::Host(Errno::NOENT)) => Ok(Vec::new()),
        listed => listed.map_err(Refusal::errno),
    }
}

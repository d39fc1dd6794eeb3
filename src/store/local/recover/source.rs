//! What there is to go back to.

use super::super::header::Header;
use super::super::image::Image;
use super::super::layout::{CHECKPOINTS, LOG};
use super::super::log::append::LOG_SEGMENT_BYTES;
use super::super::log::checkpoint_file::{Checkpoint, read_all};
use super::super::log::entry::{self, ENTRY_BYTES_MIN, NameThere};
use super::super::store::Store;
use super::super::store_directory::Refusal;
use crate::ground::kernel::Low;
use crate::ground::{Errno, Result};
use crate::store::Found;
use rustix::fs::OFlags;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// Positions are raised by so much beyond all that is known: what was not on stable storage may have had higher ones.
pub const POSITION_STEP: u64 = 1 << 40;

/// A name that something leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKept {
    /// The directory.
    pub directory: u64,
    /// The place in the directory.
    pub position: u64,
    /// The name.
    pub name: Box<[u8]>,
    /// What it leads to.
    pub found: Found,
    /// The target of a symlink.
    pub target: Box<[u8]>,
}

impl NameKept {
    fn of(there: &NameThere<'_>) -> Option<Self> {
        let NameThere { directory, position, name, found, target } = *there;
        Some(Self { directory, position, name: name.into(), found: found?, target: target.into() })
    }
}

/// What the log has of a slot.
pub struct SlotKept {
    /// The position of the entry.
    position: u64,
    /// Which of the nodes that had the number.
    pub generation: u32,
    /// The bytes from the slot's first on.
    pub bytes: Box<[u8]>,
}

/// The names and images that can be trusted.
pub struct Source {
    /// The names, in the tree's order.
    pub names: Vec<NameKept>,
    /// The last image of each node that has one in the log.
    pub images: HashMap<u64, Image>,
    /// What the node of a last image had in its slot, where the log tells.
    pub slots: HashMap<u64, SlotKept>,
    /// Positions from here on were never used.
    pub position_after: u64,
    /// Whether there was a checkpoint. Without one it is a new store, of which nobody was promised anything.
    pub has_checkpoint: bool,
    /// Which checkpoint file they are from.
    pub current: u32,
}

impl Source {
    /// What a store has; `None` where no checkpoint is whole.
    ///
    /// # Errors
    /// As open(2) and pread(2).
    pub fn read(store: &Store) -> Result<Option<Self>> {
        let header = store.header();
        let id = header.id.load(Ordering::Relaxed);
        let mut newest: Option<(u32, Checkpoint)> = None;
        for (index, name) in (0..).zip(CHECKPOINTS) {
            let Some(file) = open(store, name)? else { continue };
            let Some(checkpoint) = Checkpoint::read(file.as_fd(), id)? else { continue };
            if newest.as_ref().is_none_or(|(_, other)| other.position < checkpoint.position) {
                newest = Some((index, checkpoint));
            }
        }
        let known = [&header.log.start, &header.log.end].map(|word| word.load(Ordering::Relaxed));
        let mut source = Self {
            names: Vec::new(),
            images: HashMap::new(),
            slots: HashMap::new(),
            position_after: 0,
            has_checkpoint: newest.is_some(),
            current: 0,
        };
        let mut end = known[0].max(known[1]);
        match newest {
            // Cut before its first sync, it is a new store.
            None if header.log.anchored.load(Ordering::Relaxed) == 0 => {}
            None => return Ok(None),
            Some((current, checkpoint)) => {
                source.current = current;
                let log = open(store, LOG)?.map_or_else(|| Ok(Vec::new()), |file| whole(&file))?;
                end = end.max(checkpoint.position + log.len() as u64);
                source.take(header, &checkpoint, &log);
            }
        }
        source.position_after = (end + POSITION_STEP).next_multiple_of(4096);
        Ok(Some(source))
    }

    fn take(&mut self, header: &Header, checkpoint: &Checkpoint, log: &[u8]) {
        let hash_key = header.hash_key.load(Ordering::Relaxed);
        let mut changes: BTreeMap<(u64, u64), Option<NameKept>> = BTreeMap::new();
        // The target of a symlink is in the entry that made it, or in the checkpoint; not in one that moved it.
        let mut targets: HashMap<u64, Box<[u8]>> = HashMap::new();
        let mut at = 0;
        while let Some(entry) =
            log.get(at..).and_then(|bytes| entry::read(bytes, hash_key, checkpoint.position + at as u64))
        {
            for name in &entry.names {
                if let Some(found) = name.found.filter(|_| !name.target.is_empty()) {
                    targets.insert(found.node.0, name.target.into());
                }
                changes.insert((name.directory, name.position), NameKept::of(name));
            }
            if let Some((node, image)) = entry.image {
                self.images.insert(node, image);
                // An image without bytes says that they are elsewhere now.
                match entry.slot {
                    Some(bytes) => {
                        let position = checkpoint.position + at as u64;
                        let kept = SlotKept { position, generation: image.generation(), bytes: bytes.into() };
                        self.slots.insert(node, kept)
                    }
                    None => self.slots.remove(&node),
                };
            }
            if let Some(position) = entry.slots_synced {
                self.slots.retain(|_, kept| kept.position >= position);
            }
            at += entry.length;
            let left = LOG_SEGMENT_BYTES - at % LOG_SEGMENT_BYTES;
            if left < ENTRY_BYTES_MIN {
                at += left;
            }
        }
        let mut changes = changes.into_iter().peekable();
        let mut names = checkpoint.names().filter(|name| name.found.is_some()).peekable();
        loop {
            let change = changes.peek().map(|(place, _)| *place);
            let before = names.peek().map(|name| (name.directory, name.position));
            match (change, before) {
                (None, None) => break,
                (Some(change), before) if before.is_none_or(|before| change <= before) => {
                    if before == Some(change)
                        && let Some(gone) = names.next()
                        && let Some(found) = gone.found
                        && !gone.target.is_empty()
                    {
                        // It may have moved elsewhere.
                        targets.entry(found.node.0).or_insert_with(|| gone.target.into());
                    }
                    self.names.extend(changes.next().and_then(|(_, change)| change));
                }
                _ => self.names.extend(names.next().and_then(|name| NameKept::of(&name))),
            }
        }
        for name in &mut self.names {
            if name.found.kind == crate::store::Kind::Symlink
                && name.target.is_empty()
                && let Some(target) = targets.get(&name.found.node.0)
            {
                name.target = target.clone();
            }
        }
    }

    /// Keeps the names for which `kept` is set, and lets go of the images.
    pub fn keep(&mut self, kept: &[bool]) {
        let mut kept = kept.iter();
        self.names.retain(|_| kept.next().copied().unwrap_or(false));
        self.images = HashMap::new();
    }
}

fn open(store: &Store, name: &str) -> Result<Option<Low>> {
    match store.directory().open(name, OFlags::RDONLY) {
        Err(Refusal::Host(Errno::NOENT)) => Ok(None),
        opened => opened.map(Some).map_err(Refusal::errno),
    }
}

fn whole(file: &Low) -> Result<Vec<u8>> {
    let mut bytes = vec![0; rustix::fs::fstat(file.as_fd())?.st_size as usize];
    let count = read_all(file.as_fd(), &mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

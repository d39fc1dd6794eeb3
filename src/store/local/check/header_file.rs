//! A store's header, as a file: read, judged and put right while nobody has it mapped.

use super::super::header::{FORMAT, HEADER_BYTES, Header, MAGIC, Pool};
use super::super::layout::{CHECKPOINTS, CHUNK_BYTES_DEFAULT, HEADER};
use super::super::log::checkpoint_file::Checkpoint;
use super::super::log::host;
use super::super::log::state::LogState;
use super::super::recover::POSITION_STEP;
use super::super::store::NODES_COUNT_MAX;
use super::super::store_directory::{Refusal, StoreDirectory};
use super::super::tree::MAP_BYTES_MIN;
use super::super::{CHUNK_BYTES_RANGE, CHUNK_BYTES_STEP, TARGETS_RANGE};
use crate::ground::buffer::Segment;
use crate::ground::{Errno, kernel};
use rustix::fs::OFlags;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};

/// The names' file can't grow to more: 16 TiB.
const MAP_BYTES_MAX: u64 = 1 << 44;

/// Slots have numbers of 32 bits.
const SLOTS_COUNT_MAX: u64 = u32::MAX as u64;

/// Positions that a log can have reached; more is damage.
const POSITION_MAX: u64 = 1 << 62;

/// The header's bytes, all of them: what the file lacks is zero.
pub struct HeaderFile {
    bytes: Box<[u8; HEADER_BYTES]>,
    has: usize,
    is_changed: bool,
    is_new: bool,
}

impl HeaderFile {
    /// As it is now; a file that is gone has no byte.
    ///
    /// # Errors
    /// As [`Refusal`] has them.
    pub fn read(within: StoreDirectory) -> Result<Self, Refusal> {
        let mut bytes = Box::new([0; HEADER_BYTES]);
        let has = match within.open(HEADER, OFlags::RDONLY) {
            Err(Refusal::Host(Errno::NOENT)) => 0,
            // Told already, and set aside if it is to be.
            Err(foreign) if !matches!(foreign, Refusal::Host(_)) => 0,
            opened => {
                let segment = Segment::of_slice_mut(&mut bytes[..]);
                kernel::read_at(opened?.as_fd().as_raw_fd(), &segment, 0).map_err(Refusal::Host)?
            }
        };
        Ok(Self { bytes, has, is_changed: false, is_new: false })
    }

    /// Writes it anew.
    ///
    /// # Errors
    /// As pwrite(2).
    pub fn write(&self, within: StoreDirectory) -> Result<(), Refusal> {
        let file = within.open(HEADER, OFlags::RDWR | OFlags::CREATE)?;
        let written = kernel::write_at(file.as_fd().as_raw_fd(), &Segment::of_slice(&self.bytes[..]), 0);
        match written.map_err(Refusal::Host)? {
            HEADER_BYTES => rustix::fs::fsync(file.as_fd()).map_err(Refusal::Host),
            _ => Err(Refusal::Host(Errno::NOSPC)),
        }
    }

    /// A word of it.
    pub fn word(&self, offset: usize) -> u64 {
        self.bytes[offset..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// Changes a word.
    pub fn set_word(&mut self, offset: usize, value: u64) {
        self.bytes[offset..offset + 8].copy_from_slice(&value.to_ne_bytes());
        self.is_changed = true;
    }

    fn half(&self, offset: usize) -> u32 {
        self.bytes[offset..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// Whether there is something to be written.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Whether the key of the names' places is another one than the names had.
    pub fn has_new_key(&self) -> bool {
        self.is_new
    }

    /// Whether a later release wrote it.
    pub fn is_newer(&self) -> bool {
        self.bytes[..16] == MAGIC && self.half(offset_of!(Header, format)) > FORMAT
    }

    /// How many targets there are.
    pub fn targets(&self) -> u32 {
        self.half(offset_of!(Header, targets))
    }

    /// Puts right what cannot be, as far as the store's other files tell: how many target directories there are, and how many
    /// records and slots have their space. What was wrong goes to `wrong`.
    pub fn correct(&mut self, targets: u32, nodes: u64, slots: u64, wrong: &mut Vec<String>) {
        let targets = targets.clamp(*TARGETS_RANGE.start(), *TARGETS_RANGE.end());
        if self.has < 24 || self.bytes[..16] != MAGIC || self.half(offset_of!(Header, format)) == 0 {
            wrong.push("it is gone, or no store's; a new one is made of what the other files tell".to_owned());
            self.renew(targets);
        } else if self.has < HEADER_BYTES {
            wrong.push(format!("it is cut off, at {} bytes", self.has));
            if self.has < offset_of!(Header, epoch) {
                self.renew(targets);
            }
            self.is_changed = true;
        }
        if self.targets() != targets {
            wrong.push(format!("it tells of {} targets, and there are {targets}", self.targets()));
            let at = offset_of!(Header, targets);
            self.bytes[at..at + 4].copy_from_slice(&targets.to_ne_bytes());
            self.is_changed = true;
        }
        let chunk_bytes = self.word(offset_of!(Header, chunk_bytes));
        if !CHUNK_BYTES_RANGE.contains(&chunk_bytes) || !chunk_bytes.is_multiple_of(CHUNK_BYTES_STEP) {
            wrong.push(format!("chunks of {chunk_bytes} bytes"));
            self.set_word(offset_of!(Header, chunk_bytes), CHUNK_BYTES_DEFAULT);
        }
        self.correct_pool(offset_of!(Header, names_lock.nodes), nodes.min(NODES_COUNT_MAX), "nodes", wrong);
        self.correct_pool(offset_of!(Header, allocation_lock.slots), slots.min(SLOTS_COUNT_MAX), "slots", wrong);
        let (bytes, map) = (self.word(offset_of!(Header, names_bytes)), self.word(offset_of!(Header, names_map_bytes)));
        if map != 0 && (!map.is_power_of_two() || !(MAP_BYTES_MIN..=MAP_BYTES_MAX).contains(&map)) {
            wrong.push(format!("the names may take {map} bytes"));
            self.set_word(offset_of!(Header, names_map_bytes), 0);
        }
        if bytes > MAP_BYTES_MAX {
            wrong.push(format!("the names take {bytes} bytes"));
            self.set_word(offset_of!(Header, names_bytes), 0);
        }
    }

    fn correct_pool(&mut self, at: usize, has: u64, of: &str, wrong: &mut Vec<String>) {
        let offsets =
            [offset_of!(Pool, next), offset_of!(Pool, allocated), offset_of!(Pool, free)].map(|offset| at + offset);
        let [next, allocated, free] = offsets.map(|offset| self.word(offset));
        // Files get longer first, and are noted after.
        let is_right = next >= 1 && next <= allocated.max(1) && free < next && allocated <= has.max(1 << 33);
        let is_used = self.word(at + offset_of!(Pool, free_count)) <= next;
        // A file that is too short is told by itself; a number that no file could have is the header's.
        let is_possible = allocated <= has.saturating_mul(2).saturating_add(1 << 16);
        if is_right && is_used && is_possible {
            return;
        }
        wrong.push(format!("{next} {of} were used, {allocated} have their space, {free} is free"));
        for (offset, value) in offsets.into_iter().zip([has.max(1), has, 0]) {
            self.set_word(offset, value);
        }
        self.set_word(at + offset_of!(Pool, free_count), 0);
    }

    /// Begins it anew.
    fn renew(&mut self, targets: u32) {
        let mut random = [0u8; 16];
        // Without random numbers the key is a known one, which does no harm to those who do not choose names to collide.
        let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
        let numbers = [0, 8].map(|at| u64::from_ne_bytes(*random[at..].first_chunk().unwrap_or(&[1; 8])));
        self.bytes.fill(0);
        Header::initialise(&mut self.bytes, targets, CHUNK_BYTES_DEFAULT, numbers, false);
        // Without a log: the old one's entries can't prove themselves any more, and the tree has the names.
        // The pools are put right by what the files have.
        self.set_word(offset_of!(Header, names_lock.nodes.next), 0);
        self.set_word(offset_of!(Header, allocation_lock.slots.next), 0);
        self.is_changed = true;
        self.is_new = true;
    }

    /// Whether writes may have been lost since it was used last: a recovery puts everything right then.
    pub fn is_in_doubt(&self, within: StoreDirectory) -> bool {
        self.half(offset_of!(Header, log.on)) != 0
            && (self.word(offset_of!(Header, boot)) != host::boot_number()
                || self.word(offset_of!(Header, log.mount)) != host::mount_number(within.as_fd()))
    }

    /// Whether the store had a checkpoint, and has none that is whole.
    ///
    /// # Errors
    /// As open(2) and pread(2).
    pub fn has_lost_checkpoints(&self, within: StoreDirectory) -> Result<bool, Refusal> {
        if self.half(offset_of!(Header, log.anchored)) == 0 {
            return Ok(false);
        }
        let id = self.word(offset_of!(Header, id));
        for name in CHECKPOINTS {
            match within.open(name, OFlags::RDONLY) {
                Err(Refusal::Host(Errno::NOENT)) => {}
                Err(refusal) => return Err(refusal),
                Ok(file) if Checkpoint::read(file.as_fd(), id).map_err(Refusal::Host)?.is_some() => return Ok(false),
                Ok(_) => {}
            }
        }
        Ok(true)
    }

    /// What is wrong with the log's positions, and with its file of so many bytes.
    pub fn wrong_of_log(&self, bytes: u64) -> Option<String> {
        if self.half(offset_of!(Header, log.on)) == 0 {
            return None;
        }
        let allocated = self.word(offset_of!(Header, log.allocated));
        if !LogState::is_possible(|offset| self.word(offset_of!(Header, log) + offset)) {
            Some("cannot be where the header says".to_owned())
        } else if bytes < allocated {
            Some(format!("has {bytes} bytes and should have {allocated}"))
        } else {
            None
        }
    }

    /// Takes the log away: the store is given a new one, of the names that it has, when it is opened.
    pub fn remove_log(&mut self) {
        let at = offset_of!(Header, log);
        let ends = [offset_of!(Header, log.start), offset_of!(Header, log.end)].map(|at| self.word(at));
        self.bytes[at..at + size_of::<LogState>()].fill(0);
        // Far behind all positions that there were: the old log's entries, which are still in the file, must have no place in
        // the new one, and what was made before it is older than it.
        let last = ends.into_iter().filter(|&end| end < POSITION_MAX).max().unwrap_or(0);
        self.set_word(offset_of!(Header, log.start), (last + POSITION_STEP).next_multiple_of(4096));
    }

    /// Forgets what somebody was doing: it was for another tree.
    pub fn reset_journals(&mut self) {
        let (from, to) = (offset_of!(Header, names_lock), offset_of!(Header, names_lock.nodes));
        self.bytes[from..to].fill(0);
        self.is_changed = true;
    }
}

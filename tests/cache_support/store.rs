//! The bytes: what every container of every "process" of a test shares.
#![allow(unsafe_code)]

use super::faults::Faults;
use super::transfer::{Kind as Direction, MemoryTransfer};
use sidestep::ground::buffer::{Segment, total_bytes};
use sidestep::ground::{Errno, Result, kernel};
use sidestep::store::{
    Allocation, AppendGuard, ArrayObject, Attributes, Changes, Extent, Found, Kind, NodeId, RemoteArray, Timestamp,
    Transfer,
};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What is stored of a file.
#[derive(Debug, Default)]
pub struct Bytes {
    pub bytes: Vec<u8>,
    pub modified: i64,
    /// How often the bytes were changed.
    pub changes: u64,
}

/// A stored file.
#[derive(Debug)]
pub struct StoredFile {
    pub number: u64,
    pub chunk_bytes: u64,
    pub inside: Mutex<Bytes>,
    pub turn: Mutex<()>,
}

impl StoredFile {
    pub fn new(number: u64, chunk_bytes: u64) -> Arc<Self> {
        Arc::new(Self { number, chunk_bytes, inside: Mutex::default(), turn: Mutex::default() })
    }

    pub fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.inside.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn found(&self) -> Found {
        Found { node: NodeId(self.number), generation: 1, kind: Kind::File }
    }

    pub fn attributes(&self) -> Attributes {
        let inside = self.lock();
        let time = Timestamp(inside.modified);
        Attributes {
            node: NodeId(self.number),
            generation: 1,
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            link_count: 1,
            size_bytes: inside.bytes.len() as u64,
            blocks: 0,
            chunk_bytes: self.chunk_bytes,
            accessed: time,
            modified: time,
            changed: time,
            born: time,
        }
    }

    /// Copies from the stored bytes; tells how many there were.
    pub fn fetch(&self, extent: &Extent) -> usize {
        let inside = self.lock();
        let rest = inside.bytes.get(extent.offset as usize..).unwrap_or(&[]);
        let count = rest.len().min(extent.segment.len());
        // SAFETY: `count` bytes of the store are copied to memory that the caller lent.
        unsafe { extent.segment.part(0, count).fill_from(rest.as_ptr()) }.unwrap();
        count
    }

    /// Copies to the stored bytes.
    pub fn keep(&self, extent: &Extent) {
        let mut inside = self.lock();
        inside.changes += 1;
        let (start, end) = (extent.offset as usize, extent.offset as usize + extent.segment.len());
        if inside.bytes.len() < end {
            inside.bytes.resize(end, 0);
        }
        // SAFETY: the vector has these bytes.
        unsafe { extent.segment.copy_to(inside.bytes[start..end].as_mut_ptr()) }.unwrap();
        inside.modified = kernel::now();
    }
}

/// An opening of a stored file in one "process".
pub struct MemoryArray {
    pub file: Arc<StoredFile>,
    pub faults: Arc<Faults>,
    /// What each message costs, in nanoseconds, spun away as an engine that polls does.
    pub latency: u64,
    /// What each MiB adds to that.
    pub latency_of_mib: u64,
}

impl MemoryArray {
    fn begin(&self, direction: Direction, extents: &[Extent]) -> Result<Box<dyn Transfer>> {
        check_order(extents);
        let ready = self.begin_message(extents.iter().map(|extent| extent.segment.len()).sum())?;
        Ok(Box::new(MemoryTransfer::begin(direction, &self.file, &self.faults, extents, ready)))
    }

    fn message(&self, bytes: usize) -> Result<()> {
        let end = Instant::now() + self.time_of(bytes);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        self.faults.bytes.fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed);
        self.faults.call()
    }

    /// A message that its sender does not wait for here.
    fn begin_message(&self, bytes: usize) -> Result<Instant> {
        self.faults.bytes.fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed);
        self.faults.call()?;
        Ok(Instant::now() + self.time_of(bytes))
    }

    fn time_of(&self, bytes: usize) -> Duration {
        Duration::from_nanos(self.latency + self.latency_of_mib * bytes as u64 / (1 << 20))
    }

    fn extents(offset: u64, segments: &[Segment]) -> Vec<Extent> {
        let mut at = offset;
        let extent = |segment: &Segment| {
            let extent = Extent { offset: at, segment: *segment };
            at += segment.len() as u64;
            extent
        };
        segments.iter().map(extent).collect()
    }
}

struct Turn<'a>(#[allow(dead_code)] MutexGuard<'a, ()>);

impl AppendGuard for Turn<'_> {}

impl ArrayObject for MemoryArray {
    fn found(&self) -> Found {
        self.file.found()
    }

    fn size_bytes(&self) -> Result<u64> {
        self.message(0)?;
        Ok(self.file.lock().bytes.len() as u64)
    }

    fn attributes(&self) -> Result<Attributes> {
        Ok(self.file.attributes())
    }

    fn change(&self, changes: &Changes) -> Result<()> {
        self.message(0)?;
        if let Some(modified) = changes.modified {
            self.file.lock().modified = modified.0;
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.read_extents(&Self::extents(offset, segments))
    }

    fn write_at(&self, offset: u64, segments: &[Segment]) -> Result<usize> {
        self.write_extents(&Self::extents(offset, segments))?;
        Ok(total_bytes(segments))
    }

    fn append(&self, segments: &[Segment]) -> Result<(u64, usize)> {
        let end = self.size_bytes()?;
        Ok((end, self.write_at(end, segments)?))
    }

    fn set_size(&self, size_bytes: u64) -> Result<()> {
        self.message(0)?;
        let mut inside = self.file.lock();
        inside.changes += 1;
        inside.bytes.resize(size_bytes as usize, 0);
        Ok(())
    }

    fn allocate(&self, how: Allocation, offset: u64, length: u64) -> Result<()> {
        self.message(0)?;
        let mut inside = self.file.lock();
        inside.changes += 1;
        let end = (offset + length) as usize;
        if matches!(how, Allocation::Extend | Allocation::ZeroExtend) && inside.bytes.len() < end {
            inside.bytes.resize(end, 0);
        }
        if !matches!(how, Allocation::Extend | Allocation::KeepSize) {
            let there = end.min(inside.bytes.len());
            if let Some(emptied) = inside.bytes.get_mut(offset as usize..there) {
                emptied.fill(0);
            }
        }
        Ok(())
    }

    fn seek_data(&self, offset: u64) -> Result<u64> {
        self.message(0)?;
        if offset < self.file.lock().bytes.len() as u64 { Ok(offset) } else { Err(Errno::NXIO) }
    }

    fn seek_hole(&self, offset: u64) -> Result<u64> {
        self.message(0)?;
        let end = self.file.lock().bytes.len() as u64;
        if offset < end { Ok(end) } else { Err(Errno::NXIO) }
    }

    fn size_at_hand(&self) -> Option<u64> {
        None
    }

    fn sync(&self) -> Result<()> {
        self.message(0)
    }
}

impl RemoteArray for MemoryArray {
    fn read_extents(&self, extents: &[Extent]) -> Result<usize> {
        check_order(extents);
        self.message(extents.iter().map(|extent| extent.segment.len()).sum())?;
        let count = extents.iter().map(|extent| self.file.fetch(extent)).sum();
        Ok(if self.faults.is_short() { self.faults.below(count as u64 + 1) as usize } else { count })
    }

    fn write_extents(&self, extents: &[Extent]) -> Result<()> {
        check_order(extents);
        let outcome = self.message(extents.iter().map(|extent| extent.segment.len()).sum());
        // With an error nobody knows which of them arrived.
        let arrived =
            if outcome.is_ok() { extents.len() } else { self.faults.below(extents.len() as u64 + 1) as usize };
        extents[..arrived].iter().for_each(|extent| self.file.keep(extent));
        outcome
    }

    fn begin_read(&self, extents: &[Extent]) -> Result<Box<dyn Transfer>> {
        self.begin(Direction::Read, extents)
    }

    fn begin_write(&self, extents: &[Extent]) -> Result<Box<dyn Transfer>> {
        self.begin(Direction::Write, extents)
    }

    fn last_change(&self) -> Result<(u64, Option<u64>)> {
        self.message(0)?;
        let inside = self.file.lock();
        Ok((inside.bytes.len() as u64, Some(inside.changes)))
    }

    fn chunk_bytes(&self) -> u64 {
        self.file.chunk_bytes
    }

    fn note_written(&self, _size_bytes_min: u64) {}

    fn lock_for_append(&self) -> Result<Box<dyn AppendGuard + '_>> {
        Ok(Box::new(Turn(self.file.turn.lock().unwrap())))
    }
}

fn check_order(extents: &[Extent]) {
    for pair in extents.windows(2) {
        assert!(pair[0].offset + pair[0].segment.len() as u64 <= pair[1].offset, "extents out of order: {extents:?}");
    }
}

//! Object files: the bytes of a file that is too large for a slot, spread over the targets by chunk.
//!
//! Chunk `i` of an object lies on target `(h + i) % targets`, `h` being a hash of the node and its generation, there
//! at `i / targets` chunks from the start. With one target the object file is the file.
#![allow(unsafe_code)]

use super::complaint::complain;
use super::record::{OBJECTS_KNOWN, Record};
use super::store::Store;
use super::store_directory::Refusal;
use super::window::{COPY_BYTES_MAX, Windows};
use crate::ground::buffer::Segment;
use crate::ground::guarded_copy::readable;
use crate::ground::kernel;
use crate::ground::{Errno, Result};
use rustix::fs::{AtFlags, OFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Where a piece of a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The target.
    pub target: u32,
    /// The offset in the target's object file.
    pub offset: u64,
    /// Bytes from there on that are contiguous in the file too.
    pub length: u64,
}

/// How one file's chunks are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    targets: u32,
    first: u32,
    chunk_bytes: u64,
}

impl Placement {
    /// Of a node.
    pub fn of(targets: u32, node: u64, generation: u32, chunk_bytes: u64) -> Self {
        let hash = (node ^ u64::from(generation) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        Self { targets, first: (hash % u64::from(targets)) as u32, chunk_bytes: chunk_bytes.max(512) }
    }

    /// Where the bytes from `offset` on lie, `length` of them at most.
    #[inline]
    pub fn piece(&self, offset: u64, length: u64) -> Piece {
        if self.targets == 1 {
            return Piece { target: 0, offset, length };
        }
        let (chunk, within) = (offset / self.chunk_bytes, offset % self.chunk_bytes);
        let targets = u64::from(self.targets);
        Piece {
            target: ((u64::from(self.first) + chunk) % targets) as u32,
            offset: chunk / targets * self.chunk_bytes + within,
            length: length.min(self.chunk_bytes - within),
        }
    }

    /// Where, in a target's object file, the first byte lies that is at or after the file's `offset`.
    pub fn target_end(&self, target: u32, offset: u64) -> u64 {
        if self.targets == 1 {
            return offset;
        }
        let targets = u64::from(self.targets);
        let (chunk, within) = (offset / self.chunk_bytes, offset % self.chunk_bytes);
        let (row, column) = (chunk / targets, chunk % targets);
        let own = (u64::from(target) + targets - u64::from(self.first)) % targets;
        match own.cmp(&column) {
            std::cmp::Ordering::Less => (row + 1).saturating_mul(self.chunk_bytes),
            std::cmp::Ordering::Equal => row * self.chunk_bytes + within,
            std::cmp::Ordering::Greater => row * self.chunk_bytes,
        }
    }

    /// The file's offset of a target's offset: [`Placement::piece`] the other way round.
    pub fn file_offset(&self, target: u32, offset: u64) -> u64 {
        if self.targets == 1 {
            return offset;
        }
        let targets = u64::from(self.targets);
        let (row, within) = (offset / self.chunk_bytes, offset % self.chunk_bytes);
        let column = (u64::from(target) + targets - u64::from(self.first)) % targets;
        (row * targets + column) * self.chunk_bytes + within
    }
}

/// The blocks that the host counts for a node's object files.
pub fn host_blocks(store: &Store, node: u64, generation: u32) -> u64 {
    (0..store.header().targets.load(Ordering::Relaxed))
        .filter_map(|target| store.directory().stat(&path(target, node, generation)).ok())
        .map(|stat| stat.st_blocks.cast_unsigned())
        .sum()
}

/// The bytes of an object file; 0 where there is none.
pub fn host_size(store: &Store, target: u32, node: u64, generation: u32) -> u64 {
    store.directory().stat(&path(target, node, generation)).map_or(0, |stat| stat.st_size.cast_unsigned())
}

/// The path of the directory of an object file below the store's directory.
pub fn directory(target: u32, node: u64) -> String {
    format!("targets/{target}/{:02x}", node & 0xff)
}

/// Which node and generation an object file's name says: `NODE.GENERATION`, both hexadecimal.
pub fn parse_name(name: &str) -> Option<(u64, u32)> {
    let (node, generation) = name.split_once('.')?;
    Some((u64::from_str_radix(node, 16).ok()?, u32::from_str_radix(generation, 16).ok()?))
}

/// The path of an object file below the store's directory.
fn path(target: u32, node: u64, generation: u32) -> String {
    format!("{}/{node:x}.{generation:x}", directory(target, node))
}

/// Removes a node's object files.
pub fn remove(store: &Store, node: u64, generation: u32) {
    for target in 0..store.header().targets.load(Ordering::Relaxed) {
        // One that is not there was never written to.
        let _ = store.directory().remove(&path(target, node, generation), AtFlags::empty());
    }
}

/// The object files of one open file, each opened at its first use and kept. Numbers and not owners, so that opening
/// one takes no lock.
pub struct ObjectFiles {
    node: u64,
    generation: u32,
    /// How the chunks lie on them.
    pub placement: Placement,
    targets: Box<[Target]>,
}

/// One target's object file.
struct Target {
    number: AtomicI32,
    /// It was shorter when it was opened than its record believes.
    is_cut: AtomicBool,
    windows: Windows,
}

/// No file yet.
const UNOPENED: i32 = -1;

impl ObjectFiles {
    /// Of a node; none is opened.
    pub fn new(store: &Store, node: u64, generation: u32, record: &Record) -> Self {
        let targets = store.header().targets.load(Ordering::Relaxed);
        let placement = Placement::of(targets, node, generation, record.chunk_bytes());
        let target = |_| Target {
            number: AtomicI32::new(UNOPENED),
            is_cut: AtomicBool::new(false),
            windows: Windows::default(),
        };
        Self { node, generation, placement, targets: (0..targets).map(target).collect() }
    }

    /// The object file on a target; `None` where there is none and none is to be made.
    ///
    /// # Errors
    /// As open(2).
    #[inline]
    pub fn file(&self, store: &Store, target: u32, make: bool) -> Result<Option<i32>> {
        let number = self.targets[target as usize].number.load(Ordering::Acquire);
        if number >= 0 { Ok(Some(number)) } else { self.open(store, target, make) }
    }

    #[cold]
    fn open(&self, store: &Store, target: u32, make: bool) -> Result<Option<i32>> {
        let path = path(target, self.node, self.generation);
        let access = if store.is_frozen() { OFlags::RDONLY } else { OFlags::RDWR };
        let record = store.record(self.node).filter(|record| record.has(OBJECTS_KNOWN));
        if make
            && let Some(record) = record
            && store.directory().open(&path, access).is_err()
        {
            // One more: the host does not know it for good before the next sync.
            record.flags.fetch_and(!OBJECTS_KNOWN, Ordering::SeqCst);
            let _ = store.directory().open(&path, access | OFlags::CREATE);
            record.flags.fetch_and(!OBJECTS_KNOWN, Ordering::SeqCst);
        }
        let flags = if make { access | OFlags::CREATE } else { access };
        let open = || store.directory().open(&path, flags);
        let refused = |refusal: Refusal| match refusal {
            Refusal::Host(errno) => errno,
            foreign => complain(store, format_args!("its `{path}` {foreign}")),
        };
        let file = match open() {
            Err(Refusal::Host(Errno::NOENT)) if !make => return Ok(None),
            Err(Refusal::Host(Errno::NOENT)) => {
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                store.directory().make_directory(directory).and_then(|()| open()).map_err(refused)?
            }
            opened => opened.map_err(refused)?,
        };
        if self.is_cut(store, target, file.as_fd())? {
            self.targets[target as usize].is_cut.store(true, Ordering::Release);
        }
        let number = file.park()?.into_number();
        let place = &self.targets[target as usize].number;
        match place.compare_exchange(UNOPENED, number, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(Some(number)),
            Err(other) => {
                kernel::close_number(number);
                Ok(Some(other))
            }
        }
    }

    /// Whether an object file has lost its end, in a power failure or by a stranger's hand. It must not be mapped there:
    /// SIGBUS.
    fn is_cut(&self, store: &Store, target: u32, file: BorrowedFd<'_>) -> Result<bool> {
        let Some(record) = store.record(self.node) else { return Ok(false) };
        let has = rustix::fs::fstat(file)?.st_size.cast_unsigned();
        let dense_end = record.dense_end.load(Ordering::Acquire);
        if has >= self.placement.target_end(target, dense_end) {
            return Ok(false);
        }
        // What is gone from beyond the size was nobody's.
        let size = record.extent().size();
        let is_cut = has < self.placement.target_end(target, dense_end.min(size));
        if !is_cut && !store.is_frozen() {
            record.dense_end.fetch_min(size, Ordering::SeqCst);
        }
        Ok(is_cut)
    }

    /// Whether one of those opened had lost its end then.
    pub fn are_cut(&self) -> bool {
        self.targets.iter().any(|target| target.is_cut.load(Ordering::Acquire))
    }

    /// Looks again, after the file was cut.
    pub fn recheck(&self, store: &Store) {
        for (index, target) in self.targets.iter().enumerate() {
            let number = target.number.load(Ordering::Acquire);
            if number >= 0
                && let Ok(is_cut) = self.is_cut(store, index as u32, kernel::borrow(number))
            {
                target.is_cut.store(is_cut, Ordering::Release);
            }
        }
    }

    /// What is told of bytes that must be there and are not.
    #[cold]
    fn lost(&self, store: &Store, target: u32) -> Errno {
        let path = path(target, self.node, self.generation);
        complain(store, format_args!("its file `{path}` has lost its end"))
    }

    /// A window on a piece, if it is to be used.
    #[inline]
    fn window(&self, store: &Store, file: i32, piece: Piece, length: usize) -> Option<*mut u8> {
        let target = &self.targets[piece.target as usize];
        if length > COPY_BYTES_MAX || target.is_cut.load(Ordering::Relaxed) {
            return None;
        }
        target.windows.at(file, !store.is_frozen(), piece.offset, length)
    }

    /// Reads a range into `segments`; returns the bytes read. Holes, and what lies beyond an object file's end, are
    /// zeros. Before `dense_end` there are no holes.
    ///
    /// # Errors
    /// As pread(2), with nothing read.
    #[inline]
    pub fn read(
        &self,
        store: &Store,
        offset: u64,
        length: usize,
        segments: &[Segment],
        dense_end: u64,
    ) -> Result<usize> {
        for_each_part(segments, length, |part, at| {
            let mut done = 0;
            while done < part.len() {
                let piece = self.placement.piece(offset + (at + done) as u64, (part.len() - done) as u64);
                let rest = part.part(done, piece.length as usize);
                let file = self.file(store, piece.target, false)?;
                if let Some(file) = file
                    && offset + (at + done + rest.len()) as u64 <= dense_end
                    && let Some(start) = self.window(store, file, piece, rest.len())
                {
                    // SAFETY: mapped memory that has its space, of the part's length.
                    unsafe { rest.fill_from(start) }?;
                    done += rest.len();
                    continue;
                }
                let count = match file {
                    Some(file) => kernel::read_at(file, &rest, piece.offset)?,
                    None => 0,
                };
                if count == 0 {
                    if offset + ((at + done) as u64) < dense_end {
                        return Err(self.lost(store, piece.target));
                    }
                    rest.zero()?;
                }
                done += if count == 0 { rest.len() } else { count };
            }
            Ok(done)
        })
    }

    /// Writes `segments` to a range; returns the bytes that found space. Before `dense_end` all have it.
    ///
    /// # Errors
    /// As pwrite(2), with nothing written.
    #[inline]
    pub fn write(
        &self,
        store: &Store,
        offset: u64,
        length: usize,
        segments: &[Segment],
        dense_end: u64,
    ) -> Result<usize> {
        for_each_part(segments, length, |part, at| {
            let mut done = 0;
            while done < part.len() {
                let piece = self.placement.piece(offset + (at + done) as u64, (part.len() - done) as u64);
                let rest = part.part(done, piece.length as usize);
                let file = self.file(store, piece.target, true)?.ok_or(Errno::IO)?;
                if self.targets[piece.target as usize].is_cut.load(Ordering::Relaxed) && offset < dense_end {
                    // What is lost would look like a hole from then on.
                    return Err(self.lost(store, piece.target));
                }
                if offset + (at + done + rest.len()) as u64 <= dense_end
                    && let Some(start) = self.window(store, file, piece, rest.len())
                {
                    // The pages are mapped by reads, see `window`; one that the host has lost is met here.
                    if readable(start, rest.len()) < rest.len() {
                        return Err(self.lost(store, piece.target));
                    }
                    // SAFETY: mapped memory that has its space, of the part's length.
                    let copied = unsafe { rest.copy_to(start) };
                    match copied {
                        Ok(()) => {}
                        Err(errno) if at + done == 0 => return Err(errno),
                        Err(_) => return Ok(done),
                    }
                    done += rest.len();
                    continue;
                }
                match kernel::write_at(file, &rest, piece.offset) {
                    Ok(0) => return Ok(done),
                    Ok(count) => done += count,
                    Err(errno) if at + done == 0 => return Err(errno),
                    Err(_) => return Ok(done),
                }
            }
            Ok(done)
        })
    }

    /// Does `work` with each object file's part of a range.
    ///
    /// # Errors
    /// What `work` answers.
    pub fn for_each_piece(&self, offset: u64, length: u64, mut work: impl FnMut(Piece) -> Result<()>) -> Result<()> {
        let mut done = 0;
        while done < length {
            let piece = self.placement.piece(offset + done, length - done);
            work(piece)?;
            done += piece.length;
        }
        Ok(())
    }

    /// The object files, those opened that exist.
    ///
    /// # Errors
    /// As open(2).
    pub fn existing(&self, store: &Store) -> Result<Vec<(u32, BorrowedFd<'static>)>> {
        let mut files = Vec::new();
        for target in 0..self.targets.len() as u32 {
            if let Some(number) = self.file(store, target, false)? {
                files.push((target, kernel::borrow(number)));
            }
        }
        Ok(files)
    }
}

impl Drop for ObjectFiles {
    fn drop(&mut self) {
        for target in &self.targets {
            let number = target.number.load(Ordering::Acquire);
            if number >= 0 {
                kernel::close_number(number);
            }
        }
    }
}

/// Goes over `length` bytes of `segments`; `work` gets a part, and where in the range it begins, and answers the bytes done.
/// Stops where that is less than the part.
pub fn for_each_part(
    segments: &[Segment],
    length: usize,
    mut work: impl FnMut(Segment, usize) -> Result<usize>,
) -> Result<usize> {
    let mut at = 0;
    for segment in segments {
        if at == length {
            break;
        }
        let part = segment.part(0, length - at);
        let done = match work(part, at) {
            // What was done stands; the error comes again with the next call.
            Err(_) if at != 0 => return Ok(at),
            answer => answer?,
        };
        at += done;
        if done < part.len() {
            break;
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_place() {
        for (targets, chunk_bytes) in [(1, 4096), (2, 1024), (3, 1536), (7, 512)] {
            let placement = Placement::of(targets, 12345, 6, chunk_bytes);
            let mut places = std::collections::HashSet::new();
            let mut offset = 0;
            while offset < 40_000 {
                let piece = placement.piece(offset, 40_000 - offset);
                assert!(piece.target < targets);
                for byte in [0, piece.length - 1] {
                    assert!(places.insert((piece.target, piece.offset + byte)) || piece.length == 1);
                    assert_eq!(placement.file_offset(piece.target, piece.offset + byte), offset + byte);
                }
                offset += piece.length;
            }
            if targets > 1 {
                let used: std::collections::HashSet<_> = places.iter().map(|place| place.0).collect();
                assert_eq!(used.len(), targets as usize);
            }
        }
    }
}

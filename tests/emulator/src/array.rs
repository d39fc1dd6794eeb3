//! A file's object: an array of bytes. It begins to be with its first byte, and goes when it is punched, whoever has it
//! open: a reader then finds nothing, and a writer makes it again.

use crate::container::{Container, locked};
use crate::errors::{Answer, Der};
use crate::oid::Oid;
use crate::wire::Exchange;
use crate::{process, server};
use rustix::io::Errno;
use sidestep::ground::buffer::Segment;
use sidestep::store::{Allocation, ArrayObject, Container as _, Kind, NewNode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A range of an array: where it begins, and its bytes.
pub type Range = (u64, u64);

/// Ranges in one call, if they are tiny ([`TINY_BYTES_MAX`]); more are refused.
const TINY_RANGES_MAX: usize = 16384;

/// A range of so many bytes is tiny.
const TINY_BYTES_MAX: u64 = 16;

/// An open array.
pub struct Array {
    container: Arc<Container>,
    oid: Oid,
    chunk_bytes: u64,
    object: Mutex<Option<Arc<dyn ArrayObject>>>,
    /// In which process long transfers have moved its bytes, counted from 1 along the line of forks; 0 for none.
    moved_in: AtomicU32,
}

impl Array {
    /// Opens it; without a message, there or not.
    pub fn open(container: Arc<Container>, oid: Oid, chunk_bytes: u64) -> Self {
        Self { container, oid, chunk_bytes, object: Mutex::new(None), moved_in: AtomicU32::new(0) }
    }

    /// Its chunk size in bytes.
    pub fn chunk_bytes(&self) -> u64 {
        self.chunk_bytes
    }

    /// Its size in bytes; one message.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn size(&self, wire: &mut Exchange) -> Answer<u64> {
        wire.message();
        self.size_now()
    }

    /// Its size in bytes and its epoch; one message.
    ///
    /// # Errors
    /// As [`Array::size`].
    pub fn stat(&self, wire: &mut Exchange) -> Answer<(u64, i64)> {
        wire.message();
        let Some(object) = self.object()? else { return Ok((0, 0)) };
        let attributes = object.attributes()?;
        Ok((attributes.size_bytes, attributes.modified.0))
    }

    /// Cuts it off, or lets it grow: a message for a list of the chunks, and one more to each of those that change.
    ///
    /// # Errors
    /// `DER_NO_PERM`, `DER_NOSPACE`.
    pub fn set_size(&self, wire: &mut Exchange, size_bytes: u64) -> Answer<()> {
        wire.message();
        self.check_writable()?;
        // Nothing to cut off: nothing is done, and the epoch stays.
        if size_bytes == 0 && self.object()?.is_none() {
            return Ok(());
        }
        let object = self.make()?;
        let before = object.size_bytes()?;
        wire.messages(1 + before.saturating_sub(size_bytes) / self.chunk_bytes);
        if before < size_bytes {
            self.container.take_room(size_bytes - before)?;
        }
        let is_spoiled = size_bytes != 0 && (size_bytes - 1).is_multiple_of(self.chunk_bytes);
        let after = if is_spoiled { self.spoiled_size(&*object, before, size_bytes) } else { size_bytes };
        object.set_size(after)?;
        if is_spoiled {
            object.write_at(size_bytes - 1, &[Segment::of_slice(&[0])])?;
        }
        self.container.give_room(before.saturating_sub(after));
        Ok(())
    }

    /// DAOS 2.8 does not cut a chunk off behind its first byte: what the chunk has stays, and that byte becomes zero.
    fn spoiled_size(&self, object: &dyn ArrayObject, before: u64, size_bytes: u64) -> u64 {
        let end_of_chunk = size_bytes.saturating_add(self.chunk_bytes - 1);
        let has_data = object.seek_data(size_bytes - 1).is_ok_and(|at| at < end_of_chunk);
        if has_data { before.min(end_of_chunk).max(size_bytes) } else { size_bytes }
    }

    /// Makes a hole; a message to each chunk.
    ///
    /// # Errors
    /// `DER_NO_PERM`.
    pub fn punch(&self, wire: &mut Exchange, range: Range) -> Answer<()> {
        wire.messages(self.chunks(&[range]));
        self.check_writable()?;
        let Some(object) = self.object()? else { return Ok(()) };
        Ok(object.allocate(Allocation::PunchHole, range.0, range.1)?)
    }

    /// Takes the whole object away; one message.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn remove(&self, wire: &mut Exchange) -> Answer<()> {
        wire.message();
        self.check_writable()?;
        let size_bytes = self.size_now()?;
        match self.container.store.unlink(self.container.arrays, self.oid.to_name().as_bytes()) {
            Ok(()) => self.container.give_room(size_bytes),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    /// The messages that a transfer takes: one to each chunk, all at once; and behind them, where a read comes to the
    /// end of the array or to a hole there, one that asks for the size.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn announce(&self, wire: &mut Exchange, ranges: &[Range], is_read: bool) -> Answer<()> {
        wire.messages(self.chunks(ranges));
        let end = ranges.iter().map(|(offset, length)| offset.saturating_add(*length)).max().unwrap_or(0);
        if is_read && end > self.size_now()? {
            wire.message();
        }
        wire.bytes(ranges.iter().map(|(_, length)| length).sum());
        Ok(())
    }

    /// Whether a transfer is long enough for the servers to see to it while the client goes on, and the host's files that
    /// it needs are open: a descriptor that comes and goes in another thread would be in the client's way.
    pub fn may_go_on_alone(&self, ranges: &[Range]) -> bool {
        let bytes = ranges.iter().map(|(_, length)| length).sum::<u64>();
        bytes >= server::BYTES_MIN && self.moved_in.load(Ordering::Acquire) == process::generation() + 1
    }

    fn note_moved(&self, bytes: u64) {
        if bytes >= server::BYTES_MIN {
            self.moved_in.store(process::generation() + 1, Ordering::Release);
        }
    }

    /// Whether ranges and memory go together.
    ///
    /// # Errors
    /// `DER_INVAL` where they are not equally long; `DER_NOTSUPPORTED` for too many tiny ranges.
    pub fn check(ranges: &[Range], memory: &[Segment]) -> Answer<()> {
        let tiny = ranges.iter().filter(|(_, length)| *length <= TINY_BYTES_MAX).count();
        if tiny > TINY_RANGES_MAX {
            return Err(Der::NOTSUPPORTED.into());
        }
        let wanted: u64 = ranges.iter().map(|(_, length)| length).sum();
        let there: u64 = memory.iter().map(|segment| segment.len() as u64).sum();
        if wanted == there { Ok(()) } else { Err(Der::INVAL.into()) }
    }

    /// Reads the ranges into memory, one after another. What lies past the end of the array is left as it was. The
    /// bytes that were there.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn read(&self, ranges: &[Range], memory: &[Segment]) -> Answer<u64> {
        let Some(object) = self.object()? else { return Ok(0) };
        let size_bytes = object.size_bytes()?;
        let mut read = 0;
        for (offset, segments) in pair(ranges, memory) {
            let there = size_bytes.saturating_sub(offset);
            let wanted = cut(segments, there);
            let length: u64 = wanted.iter().map(|segment| segment.len() as u64).sum();
            // Cut off meanwhile: the rest reads as a hole, the size having been asked for before.
            let got = object.read_at(offset, &wanted)? as u64;
            for segment in skip(&wanted, got) {
                segment.zero()?;
            }
            read += length;
        }
        self.note_moved(read);
        Ok(read)
    }

    /// Writes the ranges from memory, one after another.
    ///
    /// # Errors
    /// `DER_NO_PERM`, `DER_NOSPACE`.
    pub fn write(&self, ranges: &[Range], memory: &[Segment]) -> Answer<()> {
        self.check_writable()?;
        let mut written = 0;
        for (offset, segments) in pair(ranges, memory) {
            let length: u64 = segments.iter().map(|segment| segment.len() as u64).sum();
            let end = offset.checked_add(length).ok_or(Der::INVAL)?;
            self.write_range(offset, end, &segments)?;
            written += length;
        }
        self.note_moved(written);
        Ok(())
    }

    fn write_range(&self, offset: u64, end: u64, segments: &[Segment]) -> Answer<()> {
        loop {
            let object = self.make()?;
            let growth = end.saturating_sub(object.size_bytes()?);
            self.container.take_room(growth)?;
            let written = object.write_at(offset, segments);
            match written {
                Ok(written) if written as u64 == end - offset => {}
                Ok(_) => return Err(Der::NOSPACE.into()),
                Err(errno) => {
                    self.container.give_room(growth);
                    return Err(errno.into());
                }
            }
            // Punched while it was being written: the write goes to the array that comes after.
            if object.attributes()?.link_count != 0 {
                return Ok(());
            }
        }
    }

    fn size_now(&self) -> Answer<u64> {
        Ok(self.object()?.map_or(Ok(0), |object| object.size_bytes())?)
    }

    fn chunks(&self, ranges: &[Range]) -> u64 {
        let of = |(offset, length): &Range| {
            let last = offset.saturating_add(length.saturating_sub(1));
            (offset / self.chunk_bytes, last / self.chunk_bytes)
        };
        let mut count = 0;
        let mut behind = None;
        for (first, last) in ranges.iter().filter(|(_, length)| *length != 0).map(of) {
            count += last - first + u64::from(behind != Some(first));
            behind = Some(last);
        }
        count
    }

    fn check_writable(&self) -> Answer<()> {
        if self.container.is_writable { Ok(()) } else { Err(Der::NO_PERM.into()) }
    }

    /// The object as it is now; `None` while there is none.
    fn object(&self) -> Answer<Option<Arc<dyn ArrayObject>>> {
        let mut kept = locked(&self.object);
        if let Some(object) = kept.as_ref()
            && object.attributes().is_ok_and(|attributes| attributes.link_count != 0)
        {
            return Ok(Some(object.clone()));
        }
        *kept = None;
        self.moved_in.store(0, Ordering::Release);
        loop {
            let name = self.oid.to_name();
            let Some(found) = self.container.find(self.container.arrays, name.as_bytes())? else { return Ok(None) };
            match self.container.store.open(found) {
                Err(Errno::NOENT | Errno::STALE) => {}
                opened => {
                    let object: Arc<dyn ArrayObject> = Arc::from(opened?);
                    *kept = Some(object.clone());
                    return Ok(Some(object));
                }
            }
        }
    }

    fn make(&self) -> Answer<Arc<dyn ArrayObject>> {
        loop {
            if let Some(object) = self.object()? {
                return Ok(object);
            }
            let new = NewNode { kind: Kind::File, mode: 0o600, uid: 0, gid: 0, target: b"" };
            match self.container.store.create(self.container.arrays, self.oid.to_name().as_bytes(), &new) {
                Ok(_) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Gives each range its part of the memory.
fn pair(ranges: &[Range], memory: &[Segment]) -> Vec<(u64, Vec<Segment>)> {
    let mut rest = memory.to_vec();
    let part = |(offset, length): &Range| {
        let segments = cut(rest.clone(), *length);
        rest = skip(&rest, *length);
        (*offset, segments)
    };
    ranges.iter().filter(|(_, length)| *length != 0).map(part).collect()
}

/// The first `length` bytes of some memory.
fn cut(memory: Vec<Segment>, length: u64) -> Vec<Segment> {
    let mut left = length;
    let mut first = |segment: Segment| {
        let part = segment.part(0, usize::try_from(left).unwrap_or(usize::MAX));
        left -= part.len() as u64;
        (!part.is_empty()).then_some(part)
    };
    memory.into_iter().filter_map(&mut first).collect()
}

/// All but the first `length` bytes of some memory.
fn skip(memory: &[Segment], length: u64) -> Vec<Segment> {
    let mut left = length;
    let mut after = |segment: &Segment| {
        let skipped = left.min(segment.len() as u64);
        left -= skipped;
        let part = segment.part(usize::try_from(skipped).unwrap_or(usize::MAX), usize::MAX);
        (!part.is_empty()).then_some(part)
    };
    memory.iter().filter_map(&mut after).collect()
}

//! Which reads go to a chunk itself, past libdfs: see [`super::client::chunk`].

use super::client::chunk::ChunkReads;
use super::client::entries::Object;
use super::client::handle::Handle;
use super::client::mounted::Mounted;
use super::client::transfer::Direction;
use super::copied::{self, Failed};
use crate::ground::Result;
use crate::ground::buffer::Segment;
use crate::store::Extent;
use std::sync::Arc;

/// A longer read does not feel what libdfs does around it.
const SHORT_BYTES_MAX: u64 = 64 << 10;

/// The file's object, if `extents` are to be read, and one short range within a chunk, of which every byte is expected to
/// be there.
pub fn choose(
    mounted: &Arc<Mounted>,
    handle: &Arc<Handle>,
    direction: Direction,
    extents: &[Extent],
) -> Option<Arc<Object>> {
    let agreement = &mounted.layout.chunks;
    if direction == Direction::Write || agreement.is_refused() {
        return None;
    }
    let start = extents.first()?.offset;
    let mut end = start;
    for extent in extents {
        if extent.offset != end {
            return None;
        }
        end += extent.segment.len() as u64;
    }
    let reads: &ChunkReads = &handle.chunk_reads;
    let is_short = end - start <= SHORT_BYTES_MAX;
    if !is_short || !reads.is_expected(end) || !is_in_one_chunk(handle, start, end) {
        return None;
    }
    let object = reads.object(|| mounted.open_file(handle)).ok()?;
    if !agreement.is_settled() {
        let agrees = compare(mounted, handle, object, start, (end - start) as usize);
        if agrees != Ok(true) {
            reads.give_up();
        }
        agreement.note(agrees);
    }
    agreement.is_reached().then(|| object.clone())
}

fn is_in_one_chunk(handle: &Handle, start: u64, end: u64) -> bool {
    handle.chunk_bytes().is_ok_and(|bytes| bytes != 0 && start / bytes == (end - 1) / bytes)
}

/// Reads a range by libdfs and past it; whether that is the same, by bytes that are not: those would be the same in another
/// place too.
fn compare(
    mounted: &Arc<Mounted>,
    handle: &Arc<Handle>,
    object: &Arc<Object>,
    offset: u64,
    bytes: usize,
) -> Result<bool> {
    let mut told = Vec::new();
    for object in [None, Some(object)] {
        let mut memory = vec![0; bytes].into_boxed_slice();
        let extent = Extent { offset, segment: Segment::of_slice_mut(&mut memory) };
        mounted.count(1);
        let count = copied::one_piece(mounted, handle, Direction::Read, &[extent], object, &mounted.patience());
        let is_all = match count {
            Ok(count) => count == Some(bytes),
            Err(Failed::Told(errno) | Failed::GivenUp(errno)) => return Err(errno),
        };
        told.push((is_all, memory));
    }
    let (is_all, bytes) = &told[0];
    let do_bytes_tell = bytes.iter().any(|byte| Some(byte) != bytes.first());
    Ok(*is_all && do_bytes_tell && told[0] == told[1])
}

//! Transfers of an application's bytes, by way of memory of our own.
//!
//! libdaos goes on with a transfer that nobody waits for any more, and an application's memory is not to change behind its
//! back after its call was given up on. So bytes are copied, in pieces of which several are under way: while one is copied
//! the others travel. (Without a copy each such transfer needs an event queue, whose network is then left alone: one takes
//! libdaos 40 ms and 40 MiB to make, measured with 2.8.0 over ofi+tcp, and moved a MiB no faster.)
#![allow(unsafe_code)]

use super::client::handle::Handle;
use super::client::mounted::Mounted;
use super::client::operation::Operation;
use super::client::transfer::{Direction, Ranges};
use super::lock::Lock;
use super::patience::Patience;
use crate::ground::buffer::Segment;
use crate::ground::{Errno, Result};
use crate::store::Extent;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of a piece.
const PIECE_BYTES: usize = 512 << 10;

/// Pieces under way.
const UNDER_WAY_MAX: usize = 4;

/// From so many bytes on memory is kept for the next piece, since the kernel takes as long to make it as a copy takes.
const KEPT_BYTES_MIN: usize = 64 << 10;

/// Memory for pieces that nobody uses.
static SPARE: Lock<Vec<Box<[u8]>>> = Lock::new(Vec::new());

/// Why a transfer failed.
pub enum Failed {
    /// The library said so, and is done with the memory.
    Told(Errno),
    /// Nobody waits for it any more.
    GivenUp(Errno),
}

/// A piece under way.
struct Piece {
    operation: Operation<Ranges>,
    /// The application's, and our own in its place.
    extents: Vec<(Segment, Segment)>,
    memory: Box<[u8]>,
}

/// Moves `extents`. The bytes that were there to read, up to the first that were not; or written.
///
/// # Errors
/// As [`Failed`] has them.
pub fn transfer(
    mounted: &Arc<Mounted>,
    handle: &Arc<Handle>,
    direction: Direction,
    extents: &[Extent],
    patience: &Patience,
) -> std::result::Result<usize, Failed> {
    let bytes: usize = extents.iter().map(|extent| extent.segment.len()).sum();
    if bytes <= PIECE_BYTES {
        return Piece::begin(mounted, handle, direction, extents).map_err(Failed::Told)?.end(direction, patience);
    }
    let mut under_way = VecDeque::new();
    let mut moved = 0;
    // What is read behind a piece that came short was written since: the end that was seen is the end.
    let mut is_at_end = false;
    let mut failed = None;
    let mut land = |piece: Piece, failed: &mut Option<Failed>| {
        let bytes = piece.bytes();
        match piece.end(direction, patience) {
            Ok(count) if !is_at_end => {
                moved += count;
                is_at_end = count < bytes;
            }
            Ok(_) => {}
            Err(error) => *failed = Some(error),
        }
    };
    for part in pieces(extents) {
        if under_way.len() == UNDER_WAY_MAX
            && let Some(first) = under_way.pop_front()
        {
            land(first, &mut failed);
        }
        if failed.is_some() {
            break;
        }
        match Piece::begin(mounted, handle, direction, &part) {
            Ok(piece) => under_way.push_back(piece),
            Err(errno) => failed = Some(Failed::Told(errno)),
        }
    }
    while let Some(first) = under_way.pop_front() {
        land(first, &mut failed);
    }
    failed.map_or(Ok(moved), Err)
}

impl Piece {
    fn begin(mounted: &Arc<Mounted>, handle: &Arc<Handle>, direction: Direction, part: &[Extent]) -> Result<Self> {
        let bytes = part.iter().map(|extent| extent.segment.len()).sum();
        let mut memory = memory_of(bytes);
        let (mut extents, mut own_extents) = (Vec::with_capacity(part.len()), Vec::with_capacity(part.len()));
        let mut rest = &mut memory[..];
        for Extent { offset, segment } in part {
            let (first, behind) = rest.split_at_mut(segment.len());
            if direction == Direction::Write {
                // SAFETY: as long as the segment, and nobody else's.
                unsafe { segment.copy_to(first.as_mut_ptr()) }?;
            }
            let own = Segment::of_slice_mut(first);
            extents.push((*segment, own));
            own_extents.push(Extent { offset: *offset, segment: own });
            rest = behind;
        }
        // SAFETY: the memory is ours, and left alone for good if the operation is given up on.
        let operation = unsafe { Operation::transfer(mounted, handle, direction, &own_extents) }?;
        Ok(Self { operation, extents, memory })
    }

    fn bytes(&self) -> usize {
        self.extents.iter().map(|(segment, _)| segment.len()).sum()
    }

    /// Waits for the end. The bytes that were read, or written.
    fn end(mut self, direction: Direction, patience: &Patience) -> std::result::Result<usize, Failed> {
        let bytes = self.bytes();
        match self.operation.wait(patience) {
            Ok(()) => {
                let (mut count, mut given) = (bytes, Ok(()));
                if direction == Direction::Read {
                    count = usize::try_from(self.operation.byte_count()).unwrap_or(bytes);
                    given = self.give(count);
                }
                keep(self.memory);
                given.map(|()| count).map_err(Failed::Told)
            }
            Err(errno) if self.operation.is_lost() => {
                std::mem::forget(self.memory);
                Err(Failed::GivenUp(errno))
            }
            Err(errno) => Err(Failed::Told(errno)),
        }
    }

    /// Gives the application the first `count` bytes: what lies past the end of the file stays as it was.
    ///
    /// # Errors
    /// `EFAULT`.
    fn give(&self, count: usize) -> Result<()> {
        let mut left = count;
        for (segment, own) in &self.extents {
            let length = own.len().min(left);
            // SAFETY: ours, of at least that length.
            unsafe { segment.part(0, length).fill_from(own.as_ptr()) }?;
            left -= length;
        }
        Ok(())
    }
}

/// Cuts extents into lists of as many bytes as a piece has, but for the last.
fn pieces(extents: &[Extent]) -> impl Iterator<Item = Vec<Extent>> {
    let mut left = extents.iter().copied();
    let mut rest: Option<Extent> = None;
    std::iter::from_fn(move || {
        let mut piece = Vec::new();
        let mut room = PIECE_BYTES;
        while room != 0 {
            let Some(Extent { offset, segment }) = rest.take().or_else(|| left.next()) else { break };
            let first = segment.part(0, room);
            let behind = segment.part(first.len(), usize::MAX);
            rest = (!behind.is_empty()).then_some(Extent { offset: offset + first.len() as u64, segment: behind });
            room -= first.len();
            piece.push(Extent { offset, segment: first });
        }
        (!piece.is_empty()).then_some(piece)
    })
}

fn memory_of(bytes: usize) -> Box<[u8]> {
    if bytes >= KEPT_BYTES_MIN {
        if let Some(spare) = SPARE.lock().pop() {
            return spare;
        }
        return vec![0; PIECE_BYTES].into_boxed_slice();
    }
    vec![0; bytes].into_boxed_slice()
}

fn keep(memory: Box<[u8]>) {
    let mut spare = SPARE.lock();
    if memory.len() == PIECE_BYTES && spare.len() < UNDER_WAY_MAX {
        spare.push(memory);
    }
}

/// In a fork child: whoever held the lock is not here.
pub fn after_fork_in_child() {
    SPARE.free_in_child();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_full_but_for_the_last() {
        let mut bytes = vec![0; 2 * PIECE_BYTES + 10];
        let (low, high) = bytes.split_at_mut(100);
        let extents = [
            Extent { offset: 5, segment: Segment::of_slice_mut(low) },
            Extent { offset: 1000, segment: Segment::of_slice_mut(high) },
        ];
        let lists: Vec<Vec<(u64, usize)>> = pieces(&extents)
            .map(|piece| piece.iter().map(|extent| (extent.offset, extent.segment.len())).collect())
            .collect();
        let second = 1000 + (PIECE_BYTES - 100) as u64;
        assert_eq!(
            lists,
            [
                vec![(5, 100), (1000, PIECE_BYTES - 100)],
                vec![(second, PIECE_BYTES)],
                vec![(second + PIECE_BYTES as u64, 10)]
            ]
        );
        assert_eq!(pieces(&[]).count(), 0);
    }

    #[test]
    fn memory_is_used_again() {
        let memory = memory_of(KEPT_BYTES_MIN);
        let at = memory.as_ptr();
        keep(memory);
        let again = memory_of(PIECE_BYTES);
        assert_eq!(again.as_ptr(), at);
        assert_eq!(memory_of(10).len(), 10);
    }
}

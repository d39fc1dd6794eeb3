//! One "process" that plays random operations on a file and compares each answer with a plain vector.

use crate::cache_support::container::MemoryContainer;
use crate::cache_support::random::Random;
use crate::cache_support::store::StoredFile;
use sidestep::cache::CachedContainer;
use sidestep::ground::Errno;
use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::MountOptions;
use sidestep::store::{Allocation, ArrayObject, Container};
use std::sync::{Arc, OnceLock};

/// Bytes for writes: what a write stores is a piece of these.
pub fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut random = Random::new(99);
        (0..(8 << 20) / 8).flat_map(|_| random.next().to_le_bytes()).collect()
    })
}

/// An open description, and where it reads and writes on.
pub struct Open {
    pub object: Box<dyn ArrayObject>,
    pub cursor: u64,
    /// What it reads or writes next while it goes on in equal pieces at equal distances: where, how far apart, how long,
    /// and how many are left.
    stride: (u64, u64, u64, u64),
}

/// A "process".
pub struct Player {
    pub container: CachedContainer,
    pub memory: Arc<MemoryContainer>,
    pub file: Arc<StoredFile>,
    pub open: Vec<Open>,
    /// No write goes past this byte.
    pub size_max: u64,
    room: Vec<u8>,
}

impl Player {
    /// A process with some descriptions of `file`, and a small cache.
    pub fn new(file: &Arc<StoredFile>, seed: u64, descriptions: usize, options: &MountOptions) -> Self {
        let memory = MemoryContainer::new(std::slice::from_ref(file), seed);
        let container = CachedContainer::new(memory.clone(), options);
        let block = sidestep_block(file.chunk_bytes);
        let size_max = (block * 5).clamp(300_000, 3 << 20) + 777;
        let room = vec![0; size_max as usize + 4096];
        let mut player = Self { container, memory, file: file.clone(), open: Vec::new(), size_max, room };
        for _ in 0..descriptions {
            player.open_one();
        }
        player
    }

    /// Opens the file once more.
    pub fn open_one(&mut self) {
        let object = self.container.open(self.file.found()).unwrap();
        self.open.push(Open { object, cursor: 0, stride: (0, 0, 0, 0) });
    }

    /// A range: many small ones, some of pages, few of blocks; half of them go on at the description's cursor.
    pub fn range(&mut self, random: &mut Random, which: usize) -> (u64, u64) {
        if let (start, step, length, left @ 1..) = self.open[which].stride {
            let is_inside = start + length <= self.size_max;
            self.open[which].stride = (start + step, step, length, if is_inside { left - 1 } else { 0 });
            if is_inside {
                return (start, length);
            }
        }
        if random.one_in(60) {
            let length = 1 + random.below(20_000);
            let step = length + random.below(3 * length);
            self.open[which].stride = (random.below(self.size_max / 2), step, length, 10 + random.below(100));
        }
        let length = match random.below(100) {
            0..50 => 1 + random.below(300),
            50..75 => 4096,
            75..92 => 1 + random.below(20_000),
            92..98 => 1 + random.below(150_000),
            _ => 1 + random.below(self.size_max / 2),
        };
        let start = match random.below(4) {
            0 | 1 => self.open[which].cursor,
            2 => random.below(self.size_max) / 4096 * 4096,
            _ => random.below(self.size_max),
        };
        let start = if start >= self.size_max { 0 } else { start };
        (start, length.min(self.size_max - start))
    }

    /// Reads, into one segment or two.
    pub fn read(&mut self, which: usize, start: u64, length: u64, is_split: bool) -> Result<&[u8], Errno> {
        let room = &mut self.room[..length as usize];
        room.fill(0xAA);
        let cut = if is_split { length as usize / 3 } else { 0 };
        let (low, high) = room.split_at_mut(cut);
        let segments = [Segment::of_slice_mut(low), Segment::of_slice_mut(high)];
        let segments = if is_split { &segments[..] } else { &segments[1..] };
        let count = self.open[which].object.read_at(start, segments)?;
        self.open[which].cursor = start + count as u64;
        assert!(count as u64 <= length);
        Ok(&self.room[..count])
    }

    /// Writes noise; what was to be written and what the call answered.
    pub fn write(
        &mut self,
        random: &mut Random,
        which: usize,
        range: (u64, u64),
    ) -> (&'static [u8], Result<usize, Errno>) {
        let (start, length) = range;
        let from = random.below(noise().len() as u64 - length) as usize;
        let bytes = &noise()[from..from + length as usize];
        let cut = if random.one_in(4) { bytes.len() / 3 } else { 0 };
        let segments = [Segment::of_slice(&bytes[..cut]), Segment::of_slice(&bytes[cut..])];
        let segments = if cut == 0 { &segments[1..] } else { &segments[..] };
        let outcome = self.open[which].object.write_at(start, segments);
        self.open[which].cursor = start + *outcome.as_ref().unwrap_or(&0) as u64;
        (bytes, outcome)
    }
}

/// What the cache makes of a chunk size, near enough: the tests' ranges are to span several blocks.
fn sidestep_block(chunk: u64) -> u64 {
    chunk.max(64 << 10)
}

/// Puts bytes into a model, which grows as a file does.
pub fn put(model: &mut Vec<u8>, start: u64, bytes: &[u8]) {
    let (start, end) = (start as usize, start as usize + bytes.len());
    if !bytes.is_empty() && model.len() < end {
        model.resize(end, 0);
    }
    if let Some(place) = model.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

/// What a model has in a range.
pub fn at(model: &[u8], start: u64, length: u64) -> &[u8] {
    let start = (start as usize).min(model.len());
    &model[start..(start + length as usize).min(model.len())]
}

/// Empties a range of a model.
pub fn punch(model: &mut [u8], start: u64, length: u64) {
    let low = (start as usize).min(model.len());
    let high = ((start + length) as usize).min(model.len());
    model[low..high].fill(0);
}

/// Fails with the place of the first difference.
#[track_caller]
pub fn same(what: &str, start: u64, told: &[u8], expected: &[u8]) {
    if told != expected {
        let first = told.iter().zip(expected).position(|(one, other)| one != other);
        let last = told.iter().zip(expected).rposition(|(one, other)| one != other);
        let lengths = (told.len(), expected.len());
        let (first, last) = (first.map(|at| start + at as u64), last.map(|at| start + at as u64));
        panic!("{what} from {start}: {lengths:?} bytes told and expected, different from {first:?} to {last:?}");
    }
}

/// Which `fallocate` to try.
pub fn any_allocation(random: &mut Random) -> Allocation {
    let ways = [
        Allocation::Extend,
        Allocation::KeepSize,
        Allocation::PunchHole,
        Allocation::ZeroExtend,
        Allocation::ZeroKeepSize,
    ];
    ways[random.below(ways.len() as u64) as usize]
}

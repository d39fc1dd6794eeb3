//! An entry of the log, as bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | a hash of the rest, the seal |
//! | 8 | the entry's position |
//! | 4, 1, 1, 2 | its length, how many names, whether an image (2: and a slot's bytes), the length of a target or of the bytes |
//! | 32 and the name, for each | directory, place in it, node, generation, kind (0 if the name went), length of the name |
//! | 8, 128 | the node and the image of its record |
//! | | the symlink's target, or what the node has in its slot |
//!
//! Every part is padded to 8 bytes. An entry without names and image fills up a segment's end. One whose third number is 3
//! has a position and nothing else: what the entries before that have of slots is in the slots.

use super::super::commit::Outcome;
use super::super::image::{IMAGE_WORDS, Image};
use super::super::key::NAME_BYTES_MAX;
use crate::store::{Found, Kind, NodeId};

/// Bytes before the parts.
pub const ENTRY_BYTES_MIN: usize = 24;

/// The longest entry: a symlink's. Two names and an image are less.
pub const ENTRY_BYTES_MAX: usize = 8 << 10;

const NAME_HEAD_BYTES: usize = 32;
const IMAGE_BYTES: usize = IMAGE_WORDS * 8;

/// An image is followed by what the node has in its slot.
const IMAGE_WITH_SLOT: u8 = 2;

/// No image, but a position.
const SLOTS_SYNCED: u8 = 3;

/// What an entry says besides its names.
#[derive(Clone, Copy, Default)]
pub struct Logged<'a> {
    /// A node and its record.
    pub image: Option<(u64, Image)>,
    /// A new symlink's target.
    pub target: &'a [u8],
    /// What the node has in its slot, where the log is to have it; then there is an image, and no target.
    pub slot: &'a [u8],
    /// Before this position no entry is needed for what it has of a slot. Said alone.
    pub slots_synced: Option<u64>,
}

/// A name in an entry or a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameThere<'a> {
    /// The directory.
    pub directory: u64,
    /// The place in the directory.
    pub position: u64,
    /// The name.
    pub name: &'a [u8],
    /// What it leads to; `None` for a name that went.
    pub found: Option<Found>,
    /// The target of a symlink, where the entry or the checkpoint has it.
    pub target: &'a [u8],
}

/// An entry that proved itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What became of names.
    pub names: Vec<NameThere<'a>>,
    /// A node and its record.
    pub image: Option<(u64, Image)>,
    /// What the node has in its slot, where the entry tells.
    pub slot: Option<&'a [u8]>,
    /// What entries before this position have of slots is in the slots.
    pub slots_synced: Option<u64>,
    /// Its bytes.
    pub length: usize,
}

/// Bytes to be filled in order.
struct Pen<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Pen<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.at += bytes.len();
    }

    /// Zeros to the next multiple of 8.
    fn pad(&mut self) {
        let padding = self.at.next_multiple_of(8) - self.at;
        self.put(&[0; 8][..padding]);
    }
}

/// Writes an entry; returns its length. `bytes` has [`ENTRY_BYTES_MAX`] at least.
pub fn write(bytes: &mut [u8], hash_key: u64, position: u64, outcomes: &[Outcome<'_>], logged: Logged<'_>) -> usize {
    let mut pen = Pen { bytes, at: ENTRY_BYTES_MIN };
    for outcome in outcomes {
        put_name(&mut pen, outcome.directory.0, outcome.position, outcome.name, outcome.found);
    }
    if let Some((node, image)) = logged.image {
        pen.put(&node.to_le_bytes());
        for word in image.0 {
            pen.put(&word.to_le_bytes());
        }
    }
    let (has_slot, rest) = if logged.slot.is_empty() { (false, logged.target) } else { (true, logged.slot) };
    pen.put(rest);
    pen.pad();
    let image = match (logged.slots_synced, logged.image) {
        (Some(position), _) => {
            pen.put(&position.to_le_bytes());
            SLOTS_SYNCED
        }
        (None, Some(_)) if has_slot => IMAGE_WITH_SLOT,
        (None, image) => u8::from(image.is_some()),
    };
    let length = pen.at;
    let shape = Shape { names: outcomes.len(), image, rest_bytes: rest.len() };
    seal(bytes, hash_key, position, length, shape);
    length
}

/// Writes an entry that says nothing, over the whole of `bytes`.
pub fn write_filler(bytes: &mut [u8], hash_key: u64, position: u64) {
    let length = bytes.len();
    bytes[ENTRY_BYTES_MIN..].fill(0);
    seal(bytes, hash_key, position, length, Shape { names: 0, image: 0, rest_bytes: 0 });
}

/// What the parts of an entry are.
struct Shape {
    names: usize,
    image: u8,
    rest_bytes: usize,
}

fn seal(bytes: &mut [u8], hash_key: u64, position: u64, length: usize, shape: Shape) {
    let mut head = Pen { bytes: &mut *bytes, at: 8 };
    head.put(&position.to_le_bytes());
    head.put(&(length as u32).to_le_bytes());
    head.put(&[shape.names as u8, shape.image]);
    head.put(&(shape.rest_bytes as u16).to_le_bytes());
    let sum = seal_of(hash_key ^ position, &bytes[8..length]);
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
}

/// A hash of whole words, two chains of multiplications side by side: some 20 ns for the entry of a new file, where
/// [`super::super::key::hash`] takes 100. On the disk: it must never change for format 2.
fn seal_of(key: u64, bytes: &[u8]) -> u64 {
    const STEPS: [u64; 4] =
        [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut chains = [key ^ STEPS[0], key.rotate_left(32) ^ bytes.len() as u64];
    let mut chunks = bytes.chunks_exact(32);
    for chunk in &mut chunks {
        let words: [u64; 4] = std::array::from_fn(|index| word(&chunk[index * 8..]));
        chains[0] = fold(chains[0] ^ words[0], words[1] ^ STEPS[1]) ^ words[1];
        chains[1] = fold(chains[1] ^ words[2], words[3] ^ STEPS[2]) ^ words[3];
    }
    for rest in chunks.remainder().chunks_exact(8) {
        chains[0] = fold(chains[0] ^ word(rest), STEPS[3]) ^ word(rest);
    }
    fold(chains[0] ^ STEPS[2], chains[1] ^ STEPS[3])
}

fn put_name(pen: &mut Pen<'_>, directory: u64, position: u64, name: &[u8], found: Option<Found>) {
    pen.put(&directory.to_le_bytes());
    pen.put(&position.to_le_bytes());
    pen.put(&found.map_or(0, |found| found.node.0).to_le_bytes());
    pen.put(&found.map_or(0, |found| found.generation).to_le_bytes());
    pen.put(&[found.map_or(0, |found| found.kind as u8), name.len() as u8, 0, 0]);
    pen.put(name);
    pen.pad();
}

/// Bytes that are taken apart in order.
pub struct Parts<'a> {
    bytes: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Of some bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next bytes and what pads them.
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(..length)?;
        self.bytes = self.bytes.get(length.next_multiple_of(8)..)?;
        Some(part)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// The next name, without a target.
    pub fn name(&mut self) -> Option<NameThere<'a>> {
        let (directory, position, node) = (self.number()?, self.number()?, self.number()?);
        let rest = self.take(NAME_HEAD_BYTES - 24)?;
        let generation = u32::from_le_bytes(*rest.first_chunk()?);
        let kind = match rest[4] {
            0 => None,
            1 => Some(Kind::File),
            2 => Some(Kind::Directory),
            3 => Some(Kind::Symlink),
            _ => return None,
        };
        let name = self.take(usize::from(rest[5]))?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return None;
        }
        let found = kind.map(|kind| Found { node: NodeId(node), generation, kind });
        Some(NameThere { directory, position, name, found, target: b"" })
    }

    /// The next target of a symlink, with its length before it.
    pub fn target(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok().filter(|&length| length < ENTRY_BYTES_MAX)?)
    }

    /// Bytes that are left.
    pub fn rest(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all is taken.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Puts a name of a checkpoint, as [`Parts::name`] and [`Parts::target`] take it.
pub fn put_checkpoint_name(bytes: &mut Vec<u8>, name: &NameThere<'_>) {
    let mut room = [0; NAME_HEAD_BYTES + NAME_BYTES_MAX + 8];
    let mut pen = Pen { bytes: &mut room, at: 0 };
    put_name(&mut pen, name.directory, name.position, name.name, name.found);
    let length = pen.at;
    bytes.extend_from_slice(&room[..length]);
    if name.found.is_some_and(|found| found.kind == Kind::Symlink) {
        bytes.extend_from_slice(&(name.target.len() as u64).to_le_bytes());
        bytes.extend_from_slice(name.target);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
}

/// Bytes of a name in a checkpoint, without a target.
pub fn checkpoint_name_bytes(name: &[u8]) -> u64 {
    (NAME_HEAD_BYTES + name.len().next_multiple_of(8)) as u64
}

/// The entry at the beginning of `bytes`, if it is the one of that position and as it was written.
pub fn read(bytes: &[u8], hash_key: u64, position: u64) -> Option<Entry<'_>> {
    let mut head = Parts::new(bytes);
    let (sum, own_position) = (head.number()?, head.number()?);
    let shape = head.take(8)?;
    let length = u32::from_le_bytes(*shape.first_chunk()?) as usize;
    let is_whole = length >= ENTRY_BYTES_MIN && length.is_multiple_of(8) && own_position == position;
    let bytes = bytes.get(..length).filter(|_| is_whole)?;
    if seal_of(hash_key ^ position, &bytes[8..]) != sum {
        return None;
    }
    let mut entry = Entry { length, ..Entry::default() };
    let mut parts = Parts::new(&bytes[ENTRY_BYTES_MIN..]);
    for _ in 0..shape[4] {
        entry.names.push(parts.name()?);
    }
    if shape[5] == SLOTS_SYNCED {
        entry.slots_synced = Some(parts.number()?);
    } else if shape[5] != 0 {
        let node = parts.number()?;
        let image = parts.take(IMAGE_BYTES)?;
        let mut words = [0; IMAGE_WORDS];
        for (word, bytes) in words.iter_mut().zip(image.chunks_exact(8)) {
            *word = u64::from_le_bytes(*bytes.first_chunk()?);
        }
        entry.image = Some((node, Image(words)));
    }
    let rest_bytes = u16::from_le_bytes([shape[6], shape[7]]);
    if rest_bytes != 0 {
        let rest = parts.take(usize::from(rest_bytes))?;
        if shape[5] == IMAGE_WITH_SLOT {
            entry.slot = Some(rest);
        } else {
            entry.names.iter_mut().for_each(|name| name.target = rest);
        }
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::super::super::recent::Identity;
    use super::*;

    fn outcome(name: &[u8], node: u64) -> Outcome<'_> {
        let found = (node != 0).then_some(Found { node: NodeId(node), generation: 7, kind: Kind::Symlink });
        let identity = Identity::of(1, NodeId(3), name);
        Outcome { directory: NodeId(3), name, identity, position: 4096, found }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_no_flipped_bit_passes() {
        let mut bytes = vec![0xee; ENTRY_BYTES_MAX];
        let image = Some((9, Image(std::array::from_fn(|index| index as u64 * 77))));
        let (long, target) = ([b'n'; 255], [b't'; 4095]);
        let outcomes = [outcome(&long, 0), outcome(b"b", 9)];
        let length =
            write(&mut bytes, 5, 1234, &outcomes, Logged { image, target: &target, slot: b"", slots_synced: None });
        let entry = read(&bytes, 5, 1234).unwrap();
        assert_eq!((entry.length, entry.image, entry.names.len()), (length, image, 2));
        assert_eq!((entry.names[0].name, entry.names[0].found), (&long[..], None));
        assert_eq!((entry.names[1].name, entry.names[1].found), (&b"b"[..], outcomes[1].found));
        assert_eq!(entry.names[1].target, &target[..]);
        assert_eq!(read(&bytes, 5, 1235), None);
        assert_eq!(read(&bytes, 6, 1234), None);
        assert_eq!(read(&bytes[..length - 1], 5, 1234), None);
        for at in (0..length).step_by(1) {
            bytes[at] ^= 0x10;
            assert_eq!(read(&bytes, 5, 1234), None, "byte {at}");
            bytes[at] ^= 0x10;
        }
        let slot = [b's'; 4096];
        let length = write(&mut bytes, 5, 1234, &[], Logged { image, target: b"", slot: &slot, slots_synced: None });
        let entry = read(&bytes[..length], 5, 1234).unwrap();
        assert_eq!((entry.image, entry.slot), (image, Some(&slot[..])));
        let length = write(&mut bytes, 5, 1234, &[], Logged { slots_synced: Some(99), ..Logged::default() });
        let entry = read(&bytes[..length], 5, 1234).unwrap();
        assert_eq!((entry.image, entry.slot, entry.slots_synced), (None, None, Some(99)));
        write_filler(&mut bytes[..64], 5, 8);
        let filler = read(&bytes, 5, 8).unwrap();
        assert_eq!((filler.length, filler.names.len(), filler.image), (64, 0, None));
    }

    #[test]
    fn names_of_a_checkpoint_are_read_as_they_were_put() {
        let mut bytes = Vec::new();
        let found = |kind| Some(Found { node: NodeId(2), generation: 1, kind });
        let file = NameThere { directory: 1, position: 5, name: b"f", found: found(Kind::File), target: b"" };
        let link = NameThere { name: b"link", found: found(Kind::Symlink), target: b"some/where", ..file };
        for name in [&file, &link, &file] {
            put_checkpoint_name(&mut bytes, name);
        }
        let mut parts = Parts::new(&bytes);
        assert_eq!(parts.name(), Some(file));
        assert_eq!(parts.name(), Some(NameThere { target: b"", ..link }));
        assert_eq!(parts.target(), Some(link.target));
        assert_eq!(parts.name(), Some(file));
        assert!(parts.is_empty());
    }
}

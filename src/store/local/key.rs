//! The keys of the tree of names.
//!
//! | first byte | then | value |
//! |---|---|---|
//! | 1, an entry | directory, position, name | node, generation, kind |
//! | 2, a directory | node | parent, own name |
//! | 3, a symlink | node | target |
//! | 4, an orphan | node | generation |
//!
//! Numbers are 8 bytes, big-endian in keys, so that the tree's order is theirs. An entry's position is 56 bits of the
//! name's hash and 7 bits that tell names of equal hash apart: unique in its directory, the same for the entry's whole
//! life, and so the place where a listing goes on, whatever else comes and goes.

use crate::store::{Found, Kind, NodeId};

const ENTRY: u8 = 1;
const DIRECTORY: u8 = 2;
const SYMLINK: u8 = 3;
const ORPHAN: u8 = 4;

/// Bytes of an entry's key before the name.
pub const ENTRY_PREFIX_BYTES: usize = 17;

/// Positions of one hash: names in a directory whose 56 bits agree. With a secret hash key nobody reaches two.
pub const POSITIONS_PER_HASH: u64 = 128;

/// The longest name.
pub const NAME_BYTES_MAX: usize = 255;

/// Bytes of an entry's value.
pub const ENTRY_VALUE_BYTES: usize = 16;

/// A key on the stack.
pub struct Key {
    bytes: [u8; ENTRY_PREFIX_BYTES + NAME_BYTES_MAX],
    length: usize,
}

impl std::ops::Deref for Key {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Key {
    fn of_number(tag: u8, number: u64) -> Self {
        let mut key = Self { bytes: [0; ENTRY_PREFIX_BYTES + NAME_BYTES_MAX], length: 9 };
        key.bytes[0] = tag;
        key.bytes[1..9].copy_from_slice(&number.to_be_bytes());
        key
    }

    /// Of a directory's entry; with an empty name, where entries from `position` on begin.
    #[inline]
    pub fn of_entry(directory: u64, position: u64, name: &[u8]) -> Self {
        let mut key = Self { bytes: [0; ENTRY_PREFIX_BYTES + NAME_BYTES_MAX], length: ENTRY_PREFIX_BYTES };
        key.bytes[0] = ENTRY;
        key.bytes[1..9].copy_from_slice(&directory.to_be_bytes());
        key.bytes[9..17].copy_from_slice(&position.to_be_bytes());
        let name = &name[..name.len().min(NAME_BYTES_MAX)];
        key.bytes[ENTRY_PREFIX_BYTES..ENTRY_PREFIX_BYTES + name.len()].copy_from_slice(name);
        key.length += name.len();
        key
    }

    /// Of a directory's whereabouts.
    pub fn of_directory(node: u64) -> Self {
        Self::of_number(DIRECTORY, node)
    }

    /// Of a symlink's target.
    pub fn of_symlink(node: u64) -> Self {
        Self::of_number(SYMLINK, node)
    }

    /// Of an orphan.
    pub fn of_orphan(node: u64) -> Self {
        Self::of_number(ORPHAN, node)
    }
}

/// What a key of the tree is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOf<'a> {
    /// A directory's entry.
    Entry {
        /// The directory.
        directory: u64,
        /// The entry's place in it.
        position: u64,
        /// The name.
        name: &'a [u8],
    },
    /// A directory's whereabouts.
    Directory(u64),
    /// A symlink's target.
    Symlink(u64),
    /// An orphan.
    Orphan(u64),
    /// Nothing that this release writes.
    Unknown,
}

impl<'a> KeyOf<'a> {
    /// Takes a key apart.
    #[inline]
    pub fn parse(key: &'a [u8]) -> Self {
        let Some((&tag, rest)) = key.split_first() else { return Self::Unknown };
        let Some((number, rest)) = rest.split_first_chunk::<8>() else { return Self::Unknown };
        let number = u64::from_be_bytes(*number);
        match tag {
            ENTRY => match rest.split_first_chunk::<8>() {
                Some((position, name)) if !name.is_empty() => {
                    Self::Entry { directory: number, position: u64::from_be_bytes(*position), name }
                }
                _ => Self::Unknown,
            },
            DIRECTORY => Self::Directory(number),
            SYMLINK => Self::Symlink(number),
            ORPHAN => Self::Orphan(number),
            _ => Self::Unknown,
        }
    }
}

/// An entry's value.
pub fn entry_value(found: Found) -> [u8; ENTRY_VALUE_BYTES] {
    let mut value = [0; ENTRY_VALUE_BYTES];
    value[..8].copy_from_slice(&found.node.0.to_le_bytes());
    value[8..12].copy_from_slice(&found.generation.to_le_bytes());
    value[12] = found.kind as u8;
    value
}

/// What an entry's value leads to; `None` if it is no such value.
#[inline]
pub fn parse_entry_value(value: &[u8]) -> Option<Found> {
    let value: &[u8; ENTRY_VALUE_BYTES] = value.try_into().ok()?;
    let kind = match value[12] {
        1 => Kind::File,
        2 => Kind::Directory,
        3 => Kind::Symlink,
        _ => return None,
    };
    Some(Found {
        node: NodeId(u64::from_le_bytes(*value.first_chunk()?)),
        generation: u32::from_le_bytes(*value[8..].first_chunk()?),
        kind,
    })
}

/// The first position of a name's hash.
#[inline]
pub fn first_position(hash_key: u64, name: &[u8]) -> u64 {
    // 1 at least: positions below 3 are `.` and `..`.
    ((hash(hash_key, name) >> 8).max(1)) * POSITIONS_PER_HASH
}

/// Whether a name may be at a position, as far as its hash goes.
pub fn is_position_of(hash_key: u64, name: &[u8], position: u64) -> bool {
    position / POSITIONS_PER_HASH == first_position(hash_key, name) / POSITIONS_PER_HASH
}

/// A hash by folded multiplication, 8 bytes at a step. On the disk: it must never change for format 1.
#[inline]
pub fn hash(key: u64, name: &[u8]) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }
    let mut state = key ^ STEP.wrapping_mul(name.len() as u64 + 1);
    let mut chunks = name.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = fold(state ^ u64::from_le_bytes(word), STEP | 1).wrapping_add(key);
    }
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    state = fold(state ^ u64::from_le_bytes(word), 0xd6e8_feb8_6659_fd93).wrapping_add(key);
    fold(state, key | 1) ^ state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parsed_as_they_were_made() {
        let key = Key::of_entry(7, 512, b"name");
        assert_eq!(KeyOf::parse(&key), KeyOf::Entry { directory: 7, position: 512, name: b"name" });
        assert_eq!(KeyOf::parse(&Key::of_directory(9)), KeyOf::Directory(9));
        assert_eq!(KeyOf::parse(&Key::of_symlink(9)), KeyOf::Symlink(9));
        assert_eq!(KeyOf::parse(&Key::of_orphan(9)), KeyOf::Orphan(9));
        assert_eq!(KeyOf::parse(b""), KeyOf::Unknown);
        assert_eq!(KeyOf::parse(b"\x01short"), KeyOf::Unknown);
        let found = Found { node: NodeId(3), generation: 5, kind: Kind::Symlink };
        assert_eq!(parse_entry_value(&entry_value(found)), Some(found));
        assert_eq!(parse_entry_value(b"x"), None);
    }

    #[test]
    fn positions_spread_and_leave_room_for_the_dots() {
        let mut positions: Vec<u64> =
            (0..100_000).map(|i| first_position(0x1234_5678_9abc_def0, format!("file.{i}").as_bytes())).collect();
        assert!(positions.iter().all(|position| (128..1 << 63).contains(position) && position % 128 == 0));
        positions.sort_unstable();
        positions.dedup();
        assert_eq!(positions.len(), 100_000);
        let low = positions.iter().filter(|&&position| position < 1 << 62).count();
        assert!((45_000..55_000).contains(&low), "{low}");
    }
}

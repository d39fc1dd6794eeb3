//! A directory entry: what DAOS keeps under a name in a directory's object.

use crate::oid::Oid;
use std::collections::BTreeMap;

/// Seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds above them.
    pub nanoseconds: i64,
}

impl Time {
    /// Of nanoseconds since the epoch.
    pub fn of(nanoseconds: i64) -> Self {
        Self { seconds: nanoseconds.div_euclid(1_000_000_000), nanoseconds: nanoseconds.rem_euclid(1_000_000_000) }
    }

    /// The wall clock.
    pub fn now() -> Self {
        Self::of(sidestep::ground::kernel::now())
    }
}

/// The bit of a mode by which a later layout marks a name that is one of several of its object.
const HARD_LINK: u32 = 1 << 31;

/// What is kept under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Kind and permission bits, as `st_mode` has them, and a mark.
    pub mode: u32,
    /// The object behind the name.
    pub oid: Oid,
    /// When the bytes were changed, if nothing newer is known of the object.
    pub modified: Time,
    /// When the entry was changed.
    pub changed: Time,
    /// The object's epoch when `modified` was set by hand: while the object's is still this, `modified` counts.
    pub epoch: i64,
    /// A file's chunk size, or a directory's for the files to come; 0 is the container's.
    pub chunk_bytes: u64,
    /// Object class for what is made in a directory; 0 is the container's.
    pub class: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// A symlink's target.
    pub target: Vec<u8>,
    /// Extended attributes.
    pub extended: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Record {
    /// The kind's bits of the mode.
    pub fn kind(&self) -> u32 {
        self.mode & libc::S_IFMT
    }

    /// Kind and permission bits, without the mark of a hard link.
    pub fn mode(&self) -> u32 {
        self.mode & !HARD_LINK
    }

    /// Changes them.
    pub fn set_mode(&mut self, mode: u32) {
        self.mode = self.mode & HARD_LINK | mode;
    }

    /// Whether its object has other names.
    pub fn is_hard_link(&self) -> bool {
        self.mode & HARD_LINK != 0
    }

    /// Marks it so.
    pub fn mark_hard_link(&mut self) {
        self.mode |= HARD_LINK;
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.target.len());
        for word in [self.mode, self.class, self.uid, self.gid] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let times = [self.modified.seconds, self.modified.nanoseconds, self.changed.seconds, self.changed.nanoseconds];
        for word in times.into_iter().chain([self.epoch]) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for word in [self.oid.lo, self.oid.hi, self.chunk_bytes] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        put(&mut bytes, &self.target);
        for (name, value) in &self.extended {
            put(&mut bytes, name);
            put(&mut bytes, value);
        }
        bytes
    }

    /// From bytes; `None` if they are not such a record.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut word = || Some(u32::from_le_bytes(*take(&mut rest)?));
        let (mode, class, uid, gid) = (word()?, word()?, word()?, word()?);
        let mut long = || Some(i64::from_le_bytes(*take(&mut rest)?));
        let modified = Time { seconds: long()?, nanoseconds: long()? };
        let changed = Time { seconds: long()?, nanoseconds: long()? };
        let epoch = long()?;
        let mut long = || Some(u64::from_le_bytes(*take(&mut rest)?));
        let (oid, chunk_bytes) = (Oid { lo: long()?, hi: long()? }, long()?);
        let target = get(&mut rest)?;
        let mut extended = BTreeMap::new();
        while !rest.is_empty() {
            extended.insert(get(&mut rest)?, get(&mut rest)?);
        }
        Some(Self { mode, oid, modified, changed, epoch, chunk_bytes, class, uid, gid, target, extended })
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(first)
}

fn put(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(value);
}

fn get(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = u32::from_le_bytes(*take(rest)?) as usize;
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let record = Record {
            mode: libc::S_IFLNK | 0o777,
            oid: Oid { lo: 7, hi: 1 << 60 },
            modified: Time::of(-1),
            changed: Time { seconds: i64::MAX, nanoseconds: 999_999_999 },
            epoch: 5,
            chunk_bytes: 1 << 20,
            class: 3,
            uid: 1000,
            gid: 1001,
            target: b"../there".to_vec(),
            extended: BTreeMap::from([(b"user.a".to_vec(), Vec::new()), (b"user.b".to_vec(), vec![9; 70_000])]),
        };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record));
        assert_eq!(Record::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Time::of(-1), Time { seconds: -1, nanoseconds: 999_999_999 });
    }
}

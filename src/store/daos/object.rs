//! A node's object, and the number that programs see.

use crate::store::NodeId;

/// An object's number in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// Lower half.
    pub low: u64,
    /// Upper half; its upper 32 bits are DAOS's (type, class).
    pub high: u64,
}

/// What dfuse numbers a container's root, when the container is all that it serves.
pub const ROOT: NodeId = NodeId(1);

impl ObjectId {
    /// The inode number that dfuse shows: the sequence parts of both halves, and the container's own number on top.
    pub fn node(self) -> NodeId {
        let high = self.high & 0xffff_ffff | ROOT.0 << 48;
        NodeId(high ^ self.low << 32)
    }

    /// As a name: 32 hexadecimal digits, upper half first.
    pub fn to_name(self) -> String {
        format!("{:016x}{:016x}", self.high, self.low)
    }

    /// And back.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok().filter(|name| name.len() == 32 && name.is_ascii())?;
        let half = |text| u64::from_str_radix(text, 16).ok();
        Some(Self { high: half(&name[..16])?, low: half(&name[16..])? })
    }

    /// A place in a file of locks, below 2^61: every bit of the object counts.
    pub fn lock_offset(self) -> u64 {
        let mixed = (self.low ^ self.high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29) & ((1 << 61) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dfuses() {
        let object = ObjectId { low: 0x1_0000_0002, high: 0x0a00_0000_0000_0003 };
        assert_eq!(object.node(), NodeId((3 | 1 << 48) ^ (2 << 32)));
    }

    #[test]
    fn names_lead_back() {
        let object = ObjectId { low: 7, high: u64::MAX };
        assert_eq!(object.to_name(), "ffffffffffffffff0000000000000007");
        assert_eq!(ObjectId::from_name(object.to_name().as_bytes()), Some(object));
        assert_eq!(ObjectId::from_name(b"7"), None);
        assert_eq!(ObjectId::from_name("\u{e9}ffffffffffffff0000000000000007".as_bytes()), None);
    }

    #[test]
    fn lock_offsets_leave_room_for_others() {
        for low in 0..1000 {
            assert!(ObjectId { low, high: low << 40 }.lock_offset() < 1 << 61);
        }
    }
}

//! Nodes: files, directories and symlinks, and what is known of each.

/// A node's number in its container; `st_ino`. Used again after the node is gone, then with another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An array object.
    File = 1,
    /// A directory.
    Directory = 2,
    /// A symbolic link.
    Symlink = 3,
}

/// What a name led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The node.
    pub node: NodeId,
    /// Which of the nodes that had this number.
    pub generation: u32,
    /// What it is.
    pub kind: Kind,
}

/// Nanoseconds since the epoch; years 1677 to 2262.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From seconds and nanoseconds, clamped to what fits.
    pub fn from_parts(seconds: i64, nanoseconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
    }

    /// Whole seconds, rounded down, and the nanoseconds above them.
    pub fn parts(self) -> (i64, i64) {
        (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000))
    }
}

/// Everything `stat` tells of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Its number.
    pub node: NodeId,
    /// Which of the nodes that had this number.
    pub generation: u32,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names that lead to it; a directory has 2 and one for each directory in it; 0 once unlinked.
    pub link_count: u32,
    /// Bytes; for a symlink the length of its target; a directory as tmpfs counts it, 40 and 20 for each entry.
    pub size_bytes: u64,
    /// Blocks of 512 bytes in use, counted in pages as tmpfs counts them.
    pub blocks: u64,
    /// The chunk size of a file; 4096 for anything else.
    pub chunk_bytes: u64,
    /// Last access, under relatime's rule.
    pub accessed: Timestamp,
    /// Last change of the bytes.
    pub modified: Timestamp,
    /// Last change of anything.
    pub changed: Timestamp,
    /// When it was made.
    pub born: Timestamp,
}

/// Changes of attributes, all at once; `None` leaves one alone. The change time moves with any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Permission bits, `0o7777`.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Access time.
    pub accessed: Option<Timestamp>,
    /// Modification time.
    pub modified: Option<Timestamp>,
}

/// A node to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewNode<'a> {
    /// What it will be.
    pub kind: Kind,
    /// Permission bits, `0o7777`, the umask already applied.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// A symlink's target, 1 to 4095 bytes; empty for the others.
    pub target: &'a [u8],
}

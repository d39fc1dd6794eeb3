//! A container's namespace.

use super::{ArrayObject, Attributes, Changes, Found, NewNode, NodeId};
use crate::ground::kernel::Parked;
use crate::ground::{Errno, Result};

/// How `rename` treats the target name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// Replaces it, under POSIX's rules for files and directories.
    Replace,
    /// `RENAME_NOREPLACE`: `EEXIST` if it is there.
    NoReplace,
    /// `RENAME_EXCHANGE`: both stay, each under the other's name.
    Exchange,
}

/// One entry of a directory, as `readdir` sees it.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'a> {
    /// The name, 1 to 255 bytes, without a slash.
    pub name: &'a [u8],
    /// What it leads to.
    pub found: Found,
    /// Where the listing goes on after this entry; below 2^63 and above 2. Holds while the directory changes: an entry
    /// that was there all the time is told exactly once.
    pub position: u64,
    /// Whether `found` is the truth. Otherwise only the name is known: the kind was not asked for (`DT_UNKNOWN`), and the
    /// number is one that no other entry of the directory has.
    pub is_certain: bool,
}

/// `statfs` in the engine's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes free for everybody.
    pub free_bytes: u64,
    /// Nodes in all, and free.
    pub total_nodes: u64,
    /// Nodes free.
    pub free_nodes: u64,
    /// A number that tells this container from others (`f_fsid`, and `st_dev` from it).
    pub id: u64,
}

/// A container with a POSIX namespace. Names are 1 to 255 bytes without slash and never `.` or `..`: the caller has
/// checked. Every call may be made by several threads at once, and answers `EROFS` where the mount is read-only and
/// `ESTALE` for a node that is gone.
pub trait Container: Send + Sync {
    /// The root directory.
    fn root(&self) -> NodeId;

    /// What `name` leads to in `directory`; symlinks are not followed.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`.
    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Found>;

    /// As [`Container::lookup`] if it is known without asking another machine; `None` where it would have to be asked.
    fn lookup_at_hand(&self, directory: NodeId, name: &[u8]) -> Option<Result<Found>> {
        Some(self.lookup(directory, name))
    }

    /// As [`Container::lookup`], by a caller that is about to ask for the attributes: an engine far away gets both at
    /// once.
    ///
    /// # Errors
    /// As `lookup`.
    fn lookup_to_tell(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        self.lookup(directory, name)
    }

    /// As [`Container::lookup`], by a caller that opens a file next and looks the name up again where that says `ENOENT`:
    /// an engine far away may answer from memory, and leave the question to the open.
    ///
    /// # Errors
    /// As `lookup`.
    fn lookup_to_open(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        self.lookup(directory, name)
    }

    /// The attributes of a node.
    ///
    /// # Errors
    /// `ESTALE` if it is gone.
    fn attributes(&self, node: NodeId) -> Result<Attributes>;

    /// Changes attributes.
    fn change(&self, node: NodeId, changes: &Changes) -> Result<()>;

    /// Makes a node under a new name.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`, `ENOENT` where the directory itself has been removed.
    fn create(&self, directory: NodeId, name: &[u8], new: &NewNode<'_>) -> Result<Found>;

    /// Removes the name of a file or symlink. The bytes stay while anybody has it open.
    ///
    /// # Errors
    /// `ENOENT`, `EISDIR` for a directory.
    fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ENOTEMPTY`.
    fn remove_directory(&self, directory: NodeId, name: &[u8]) -> Result<()>;

    /// Gives a node another name, in one step for every observer.
    ///
    /// # Errors
    /// As rename(2): `ENOENT`, `EEXIST`, `EISDIR`, `ENOTDIR`, `ENOTEMPTY`, `EINVAL` for a directory into itself.
    fn rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), mode: RenameMode) -> Result<()>;

    /// Copies a symlink's target into `buffer`, cut off where that ends; returns the bytes copied.
    fn read_link(&self, node: NodeId, buffer: &mut [u8]) -> Result<usize>;

    /// Tells the entries after `position` (0 from the start), without `.` and `..`, until `visit` answers false.
    fn entries(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()>;

    /// A directory's parent and its own name there, written to `name` (255 bytes are enough); the root is its own
    /// parent with an empty name. Returns the parent and the name's length. A removed directory that somebody still has
    /// open answers with what they were.
    ///
    /// # Errors
    /// `ENOENT` or `ESTALE` for a directory that is gone.
    fn whereabouts(&self, directory: NodeId, name: &mut [u8]) -> Result<(NodeId, usize)>;

    /// Opens a node: until the object is dropped it lives on, unlinked or not.
    ///
    /// # Errors
    /// `ENOENT` if it was unlinked since it was found: look it up again. `EMFILE`, `ENOMEM`.
    fn open(&self, found: Found) -> Result<Box<dyn ArrayObject>>;

    /// As [`Container::open`], by a caller that will read: an engine far away may begin to.
    ///
    /// # Errors
    /// As `open`.
    fn open_to_read(&self, found: Found) -> Result<Box<dyn ArrayObject>> {
        self.open(found)
    }

    /// Opens a node that another process of ours handed over, unlinked or not, with the ticket that
    /// [`ArrayObject::ticket`] wrote there; or one that this process has open, with an empty ticket.
    fn adopt(&self, found: Found, ticket: &[u8]) -> Result<Box<dyn ArrayObject>>;

    /// A kernel descriptor that keeps the nodes alive for as long as any process has a copy of it, through fork and
    /// exec and a kill: what a hand-over leaves in the air is counted by the kernel. Close-on-exec.
    fn hold(&self, found: &[Found]) -> Result<Parked>;

    /// Space and numbers.
    fn capacity(&self) -> Result<Capacity>;

    /// Everything that was done is on stable storage when this returns.
    fn sync(&self) -> Result<()>;

    /// Whether changes are refused.
    fn is_read_only(&self) -> bool;

    /// This is a fork child that inherited the container: what must not be shared with the parent is made anew when
    /// it is next needed.
    ///
    /// # Errors
    /// `EIO` where it can't be used here: threads of the parent that this process does not have were at work in it, and
    /// nobody knows what they left.
    fn after_fork_in_child(&self) -> Result<()>;

    /// What a directory's stand-in as a working directory is called on the host: it tells the container and the
    /// directory, in at most 128 bytes without a slash, and leads back through [`Container::directory_of_stand_in`].
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOENT` for a directory that is gone.
    fn stand_in_name(&self, directory: NodeId) -> Result<String>;

    /// Which directory such a name tells, if it is one of this container's.
    fn directory_of_stand_in(&self, name: &str) -> Option<NodeId>;

    /// As [`Container::attributes`], for a check of permissions: mode, owner and kind are right, the rest may be old or
    /// missing. An engine far away may know it without a message.
    ///
    /// # Errors
    /// As `attributes`.
    fn rights(&self, node: NodeId) -> Result<Attributes> {
        self.attributes(node)
    }

    /// Whether the store is on other machines: `stat` then advises transfers of a whole chunk.
    fn is_remote(&self) -> bool {
        false
    }

    /// What `statfs` calls the file system (`f_type`).
    fn file_system_magic(&self) -> u64 {
        SIDESTEP_MAGIC
    }

    /// An extended attribute's value: copied to `room`, its length returned; with an empty `room` the length alone.
    ///
    /// # Errors
    /// `ENODATA`, `ERANGE` for too little room, `EOPNOTSUPP` for an engine that keeps none.
    fn extended_attribute(&self, _node: NodeId, _name: &[u8], _room: &mut [u8]) -> Result<usize> {
        Err(Errno::OPNOTSUPP)
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// `EEXIST`, `ENODATA`, `E2BIG`, `ERANGE` for a name of more than 255 bytes, `EOPNOTSUPP`.
    fn set_extended_attribute(&self, _node: NodeId, _name: &[u8], _value: &[u8], _only: Option<OnlyIf>) -> Result<()> {
        Err(Errno::OPNOTSUPP)
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// `ENODATA`, `EOPNOTSUPP`.
    fn remove_extended_attribute(&self, _node: NodeId, _name: &[u8]) -> Result<()> {
        Err(Errno::OPNOTSUPP)
    }

    /// The names of a node's extended attributes, each with a NUL behind it, as `listxattr` has them.
    ///
    /// # Errors
    /// `ERANGE` for too little room, `EOPNOTSUPP`.
    fn extended_attribute_names(&self, _node: NodeId, _room: &mut [u8]) -> Result<usize> {
        Err(Errno::OPNOTSUPP)
    }

    /// Every byte that this process wrote through this container is in the store when this returns: before a fork, an
    /// exec and the end of the process. Errors stay with the files that they befell.
    fn flush(&self) {}

    /// This process ends, and makes no further call: the last on this node removes what they shared.
    fn leave(&self) {}

    /// Before a fork, and before any container's [`before_fork`](Self::before_fork): what has to be asked of another machine
    /// first.
    fn rest_before_fork(&self) {}

    /// Before a fork of this process, after [`Container::flush`]: no call of another thread is under way in the engine
    /// from here on until one of `after_fork_in_parent` and `after_fork_in_child`.
    fn before_fork(&self) {}

    /// After a fork, in the parent, or a fork that failed.
    fn after_fork_in_parent(&self) {}
}

/// When `setxattr` may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlyIf {
    /// `XATTR_CREATE`: `EEXIST` where the attribute is there.
    Absent,
    /// `XATTR_REPLACE`: `ENODATA` where it is not.
    Present,
}

/// "side": no kernel file system has this number, and a program that knows some takes an unknown one for a local disk.
pub const SIDESTEP_MAGIC: u64 = 0x7369_6465;

//! Containers and their array objects: what an engine does.
//!
//! An engine knows nodes, names and bytes at offsets. It knows no descriptor, cursor, path or permission: those are
//! [`crate::posix`]'s. DAOS's model: a container holds a POSIX namespace, a file is an array object of bytes split
//! into chunks, and chunk `i` of an object has its place on a target.

pub mod array;
pub mod container;
pub mod daos;
pub mod local;
pub mod node;
pub mod remote;

pub use array::{Allocation, ArrayObject, TICKET_BYTES_MAX};
pub use container::{Capacity, Container, DirectoryEntry, OnlyIf, RenameMode, SIDESTEP_MAGIC};
pub use node::{Attributes, Changes, Found, Kind, NewNode, NodeId, Timestamp};
pub use remote::{AppendGuard, Extent, RemoteArray, RemoteContainer, Transfer};

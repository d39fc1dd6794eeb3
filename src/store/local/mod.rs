//! The embedded engine: a store in a directory of the host, for several processes at once, without a daemon.
//!
//! What happens to one write of a file that is larger than a slot:
//!
//! 1. [`open_node::OpenNode`] looks at the node's [`record::Record`] in the mapped inode table: where are the bytes, how
//!    long is the file, is the layout at rest?
//! 2. [`object::Placement`] tells which target's object file, and where in it, for each chunk.
//! 3. The bytes go there; the size in the record is raised; the layout is looked at again.
//!
//! And to one new name: under the names lock ([`names::NamesGuard`]) a record is taken, the stores to come are
//! listed in the [`journal`], the change is listed among the [`recent`] ones, the stores are done. A transaction puts the
//! recent changes into the [`tree`] of names, many at a time.
//!
//! Lock order: names, then a record's own, then allocation. All of them are held under
//! [`crate::ground::guard::Quiet`], by a session that others can see dead, see [`shared_lock`].

mod attributes;
pub mod check;
mod commit;
mod complaint;
mod container;
mod create;
mod header;
mod hint;
mod image;
mod intents;
mod journal;
mod key;
mod layout;
mod listing;
mod log;
mod names;
mod numbers;
mod object;
mod open_error;
mod open_node;
mod opens;
mod overwrite;
mod process;
mod read;
mod recent;
mod record;
mod recover;
mod registry;
mod remove;
mod rename;
mod resize;
mod seek;
mod shared_file;
mod shared_lock;
mod stand_in;
mod store;
mod store_directory;
mod tree;
mod tree_pages;
mod window;
mod write;

#[cfg(test)]
mod tests;

pub use container::LocalContainer;
pub use open_error::{CHUNK_BYTES_RANGE, CHUNK_BYTES_STEP, OpenError, TARGETS_RANGE};

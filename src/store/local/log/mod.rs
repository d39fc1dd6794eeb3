//! What of the store survives a cut of power: a log of the changes of names, and a checkpoint of the names before it.
//!
//! The tree of names, the recent names and the inode table are memory that processes share. The kernel writes their pages
//! back in any order, so after a cut of power they are a mixture of moments. There is something to go back to all the same:
//!
//! 1. A **checkpoint** ([`checkpoint_file`]) has every name, in a file of its own with a hash over it. Two files take turns.
//! 2. The **log** ([`entry`], [`append`]) has every change of a name since, and an image of the record of each node that was
//!    made or synced. An entry carries its place in the log's history and a hash, so what is valid of a log after a cut is
//!    the longest beginning of it whose entries prove themselves.
//! 3. A **sync** ([`sync`], [`node`]) is a flush of the log. When the log is long, a new checkpoint is written and the log begins
//!    anew ([`checkpoint`]).
//! 4. What a checkpoint or a synced log may still lead to is not used again before its removal is stable: the node is
//!    **condemned** ([`condemned`]) until the next sync.
//! 5. Whoever opens the store alone, in another run of the host's kernel or on another mount of its file system than the
//!    last one did ([`host`]), makes the tree anew from the checkpoint and the log: see [`super::recover`].
//!
//! An entry is written to mapped memory, without a system call. On a file system that lives in memory there is no log.

pub mod append;
pub mod checkpoint;
pub mod checkpoint_file;
pub mod condemned;
pub mod entry;
pub mod extents;
pub mod host;
pub mod last_image;
pub mod node;
pub mod slot;
pub mod state;
pub mod sync;

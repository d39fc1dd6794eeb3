//! The chunk cache: what of a file's bytes is kept in this process, before an engine on another machine.
//!
//! # A read
//!
//! 1. [`array`]: `read_at` asks the file's [`hints`] for the frame of the block. The [`frame`] says whose it is, which
//!    pages are known and which bytes are dirty; the bytes are copied, and the frame's version is looked at again. That
//!    is a hit: no lock, no system call, no locked instruction, and a signal handler may do it in the middle of another.
//! 2. [`read`]: otherwise, under the file's lock, what is cached is copied, blocks that are coming are waited for, and
//!    the rest is one message: as much as a block or more goes straight to the application's memory, less goes through
//!    a frame of its own ([`load`]) into the cache. Dirty bytes are laid over both. The lock is not held meanwhile; what
//!    was changed until the answer came is asked again.
//! 3. Reads in a row fetch 32 KiB, then four times as much with every miss, up to a block; from then on blocks are asked
//!    for [`ahead`], 1, 2, 4... up to 8 MiB, and never past the end of the file. A reader that is through with a block
//!    gives it up: one that reads a file once leaves two blocks behind. A file that is read again keeps them. Reads of a
//!    block or more are read ahead of only where that turns out to be faster ([`pace`]). Equal pieces at equal distances
//!    are asked for ahead too, and nothing between them ([`stride`]).
//! 4. A read at random fetches the pages it asks for. In a file that is larger than a description's share of the cache
//!    they are kept when they are asked for the second time ([`ghosts`]).
//!
//! # A write
//!
//! 1. [`array`]: `write_at` joins the block's [`dirty_word`], copies, and leaves it with the range grown. That is all of
//!    a small write that goes on where the last one ended.
//! 2. [`write`]: otherwise, under the lock, the bytes go into the block and become a dirty range of it. Nothing is read
//!    for that, and nothing but these ranges is ever written: two processes that write different bytes of one chunk both
//!    find their bytes in the store.
//! 3. [`write_back`]: a block that is dirty in full goes at once, while the program goes on, four of a file at a time. So
//!    do the ranges of a block that a writer left who goes upwards in the file.
//!    Everything else goes as lists of ranges, as many blocks in one call as fit: when the file is closed, at `fsync`,
//!    before fork, exec and exit, when 512 pieces or 16 MiB were gathered, when memory is needed, before this process tells
//!    another one anything ([`causal`]), and after a while ([`flusher`]).
//! 4. A write of a block or more goes from the application's memory to the store before it returns, where that turns out
//!    to be faster ([`pace`]); one of more than 16 MiB always does.
//!
//! # The rules
//!
//! * **Within a process** every description of a file sees every write at once, in every mode.
//! * **`causal`**: what this process may tell anybody of is in the store before; what it reads is no older than anything it
//!   may have heard of ([`causal`]). 10 ms after the last write everything is on its way, and nothing that is cached is
//!   believed for longer than a second without a question.
//! * **`close-to-open`**: `open`, `fsync` and `sync` forget every clean byte and the end of the file. Until then cached
//!   bytes are served, as old as they may be. The end of the file is asked for again where a read meets it and it was
//!   learnt more than a second ago. What a process wrote is in the store when `close`, `fsync`, `fork`, `exec` or `exit`
//!   returns, or after a second; a kill before that loses it.
//! * **`strict`** (the mount's, or a description's by `O_SYNC`, `O_DSYNC`, `O_DIRECT`, or while processes share it): a
//!   write is in the store when it returns, a read asks the store. What other descriptions of this process have dirty is
//!   stored before.
//! * **Appends** take the node's lock for the file, ask where it ends and write there, in every mode.
//! * **Errors of a late write** stay with every description that wrote since its bytes were last all stored. Each is told
//!   once, by its next `write`, `fsync` or `close`. The bytes stay dirty and readable, and are tried again by every
//!   later flush and by memory pressure, but not by the clock until something is written anew. So an `fsync` that
//!   succeeds after one that failed has stored them. Bytes that the last `close` could not store are lost, with a line
//!   that says how many.
//! * **Attributes** show the size and the times of writes that are not stored yet. A time that is set is set after what
//!   was written before is stored.
//! * **Memory**: `cache=` bounds a container's blocks in a process (256 MiB if not said), what its open files cost beside
//!   them included; the blocks of one file may come to a quarter of it for each of its descriptions. Blocks cost the pages
//!   that were touched. Within it up to 10 MiB wait to be used again. The memory of a transfer that was given up is never
//!   used again.
//!
//! # Locks
//!
//! In this order: a container's registry, a file's state, the spare frames and the flusher's list. All of them are taken
//! with signals blocked ([`lock`]), so no handler meets one that its own thread holds. A file's lock may be held over a
//! message, and is waited for up to the mount's timeout; whoever has one takes another file's, or the registry, only if
//! it is free. [`fork`] takes all of a container's and keeps them over the fork.

mod ahead;
mod array;
mod block;
mod block_size;
mod causal;
mod container;
mod dirty_word;
mod file;
mod flusher;
mod fork;
mod frame;
mod ghosts;
mod hints;
mod load;
mod lock;
mod memory;
mod opening;
mod pace;
mod pages;
mod passage;
mod ranges;
mod read;
mod registry;
mod resize;
mod seen_end;
mod span;
mod statistics;
mod stride;
mod write;
mod write_back;

pub use causal::release;
pub use container::CachedContainer;
pub use flusher::thread_ends;
pub use statistics::{Statistics, statistics};

use std::time::Duration;

/// Bound of a container's cache in a process where `cache=` says nothing, in bytes.
pub const CACHE_BYTES: u64 = 256 << 20;

/// The least that `cache=` can bring it to: below, a single block of an ordinary chunk would not fit.
pub const CACHE_BYTES_MIN: u64 = 1 << 20;

/// Which part of it the blocks of one open file description may come to: a quarter, 64 MiB if nothing is said.
pub const DESCRIPTOR_SHARE: u64 = 4;

/// How long a lock is waited for where `timeout=` says nothing.
const PATIENCE: Duration = Duration::from_secs(60);

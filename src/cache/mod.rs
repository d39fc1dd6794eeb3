//! The chunk cache.

mod ahead;
mod array;
mod block;
mod block_size;
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
mod pages;
mod passage;
mod ranges;
mod read;
mod registry;
mod resize;
mod seen_end;
mod span;
mod statistics;
mod write;
mod write_back;

pub use container::CachedContainer;
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

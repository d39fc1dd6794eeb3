//! `SIDESTEP_MOUNTS`: which path prefixes are ours, and which store is behind each.
//!
//! 1. [`environment`] finds the text: `SIDESTEP_MOUNTS`, else libpil4dfs's `D_IL_*`, else the default.
//! 2. [`parse`] cuts it into mounts, and checks each word of it; the first fault is told as a [`MountsError`].
//! 3. [`to_text`] writes mounts down again, for a child whose environment must not depend on ours.
//!
//! All of it runs in a constructor of somebody else's process: no panic, no output, the environment only read.

mod environment;
mod error;
pub mod glob;
mod own_files;
mod parse;
mod size;
#[cfg(test)]
mod tests;
mod text;

pub use environment::{from_environment, is_turned_off, means_off};
pub use error::{MountsError, Trouble};
pub use own_files::leads_under;
pub use parse::{parse, parse_from};
pub use text::{escape, to_text};

use std::path::PathBuf;

/// The variable that lists the mounts.
pub const MOUNTS_VARIABLE: &str = "SIDESTEP_MOUNTS";

/// Chunk sizes that a container may have, in bytes: below, a chunk's upkeep outweighs it; above, a window of one
/// chunk is no longer small beside a process.
pub const CHUNK_BYTES: std::ops::RangeInclusive<u64> = 1024..=64 << 20;

/// Chunk sizes are multiples of this: the block in which `st_blocks` counts.
pub const CHUNK_STEP_BYTES: u64 = 512;

/// Targets that an embedded store may have.
pub const TARGETS: std::ops::RangeInclusive<u32> = 1..=64;

/// Seconds that a call may wait for a store that does not answer. Below a second a busy engine would look like a dead
/// one; above an hour nobody waits.
pub const TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 1..=3600;

/// One mount: a path prefix, and the container behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute, normalised, without a trailing slash: `/daos`.
    pub prefix: Vec<u8>,
    /// Where the container is.
    pub url: StoreUrl,
    /// What stood behind the `?`.
    pub options: MountOptions,
}

/// Where a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `local:DIRECTORY`, the embedded engine.
    Local {
        /// The store's directory on the host.
        directory: PathBuf,
    },
    /// `daos:POOL/CONTAINER`.
    Daos {
        /// Pool label or UUID.
        pool: String,
        /// Container label or UUID.
        container: String,
    },
}

/// When a write is in the store, and how stale a read may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// A write is in the store when `write` returns.
    Strict,
    /// Before this process does anything by which another could learn of it; a read is no older than anything that this
    /// process may have heard of.
    Causal,
    /// At close, fsync, fork, exec, exit, a full chunk, or after a second.
    CloseToOpen,
}

/// What `statfs` calls the file system (`f_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystemType {
    /// A number that no other file system has: programs take it for one that they know nothing special of.
    Sidestep,
    /// DAOS's own. ROMIO has a driver of that number, which most builds of MPICH lack: they open no file then.
    Daos,
}

/// The options of a mount; `None` is the engine's or the container's own choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// Chunk size of new files, in bytes: 1 KiB to 64 MiB, a multiple of 512.
    pub chunk_bytes: Option<u64>,
    /// Targets of a new embedded store: 1 to 64.
    pub targets: Option<u32>,
    /// Consistency mode.
    pub consistency: Option<Consistency>,
    /// Bound of the chunk cache per process, in bytes.
    pub cache_bytes: Option<u64>,
    /// Every change answers `EROFS`.
    pub readonly: bool,
    /// The snapshot to look at, by name.
    pub snapshot: Option<String>,
    /// The DAOS system's name, where it is not the agent's default.
    pub system: Option<String>,
    /// The `f_type` of a DAOS container; [`FileSystemType::Sidestep`] if not said.
    pub file_system_type: Option<FileSystemType>,
    /// How long a call may wait for a DAOS system that does not answer, in seconds: 1 to 3600; 60 if not said.
    pub timeout_seconds: Option<u32>,
    /// Glob patterns, relative to the prefix, of paths that stay with the host.
    pub exclude: Vec<String>,
}

impl MountOptions {
    /// Whether `relative`, a path below the prefix without a leading slash, stays with the host. No allocation.
    pub fn excludes(&self, relative: &[u8]) -> bool {
        self.exclude.iter().any(|pattern| glob::covers(pattern.as_bytes(), relative))
    }
}

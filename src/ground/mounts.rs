//! `SIDESTEP_MOUNTS`: which path prefixes are ours, and which store is behind each.

use std::path::PathBuf;

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

/// When a write is in the store, and how stale a read may be (DESIGN, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// A write is in the store when `write` returns.
    Strict,
    /// At close, fsync, fork, exec, exit, a full chunk, or after a second.
    CloseToOpen,
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
    /// Glob patterns, relative to the prefix, of paths that stay with the host.
    pub exclude: Vec<String>,
}

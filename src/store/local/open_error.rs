//! Why a store could not be opened: the thing by its name, and the remedy.

use crate::ground::Errno;
use std::fmt;
use std::path::PathBuf;

/// Chunk sizes that a store takes, in bytes; and they are multiples of [`CHUNK_BYTES_STEP`].
pub const CHUNK_BYTES_RANGE: std::ops::RangeInclusive<u64> = 1024..=64 << 20;

/// A chunk size is a multiple of this: DAOS's own sector.
pub const CHUNK_BYTES_STEP: u64 = 512;

/// Targets that a store may have.
pub const TARGETS_RANGE: std::ops::RangeInclusive<u32> = 1..=64;

/// Why a store could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// A file, or a directory of somebody else's files.
    NotAStore {
        /// The store's directory.
        directory: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// Made by a later release.
    NewerFormat {
        /// The store's directory.
        directory: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format that this release knows.
        known: u32,
    },
    /// Made by an earlier release, which is using it: it is converted by whoever is alone in it.
    OlderFormatInUse {
        /// The store's directory.
        directory: PathBuf,
    },
    /// Writes were lost, and whoever opens it changes nothing.
    RecoveryDue {
        /// The store's directory.
        directory: PathBuf,
    },
    /// There is no store yet and none can be made: the mount or the host's file system is read-only.
    ReadOnlyAndAbsent {
        /// The store's directory.
        directory: PathBuf,
    },
    /// The host's permissions do not let us in.
    NoRight {
        /// The store's directory.
        directory: PathBuf,
        /// The path that was refused.
        refused: PathBuf,
    },
    /// Somebody else's, who does not share it.
    Stranger {
        /// The store's directory.
        directory: PathBuf,
        /// The user that it belongs to.
        owner: u32,
    },
    /// Something that is not the store's stands in the place of one of its files.
    Foreign {
        /// The store's directory.
        directory: PathBuf,
        /// What, and where.
        what: String,
    },
    /// `chunk=` is out of range.
    ChunkSize {
        /// What was asked for.
        chunk_bytes: u64,
    },
    /// `targets=` is out of range.
    Targets {
        /// What was asked for.
        targets: u32,
    },
    /// No space on the host's file system.
    DiskFull {
        /// The store's directory.
        directory: PathBuf,
    },
    /// Something in the store is not as it was left.
    Damaged {
        /// The store's directory.
        directory: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Somebody else has held the store's opening lock for too long.
    Busy {
        /// The store's directory.
        directory: PathBuf,
    },
    /// The host answered with another error.
    Host {
        /// The path that it was about.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The host's answer.
        errno: Errno,
    },
}

impl OpenError {
    /// What the calls on a mount answer whose store cannot be opened.
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotAStore { .. } => Errno::NOTDIR,
            Self::NewerFormat { .. } => Errno::PROTONOSUPPORT,
            Self::OlderFormatInUse { .. } => Errno::BUSY,
            Self::RecoveryDue { .. } => Errno::UCLEAN,
            Self::ReadOnlyAndAbsent { .. } => Errno::ROFS,
            Self::NoRight { .. } | Self::Stranger { .. } => Errno::ACCESS,
            Self::ChunkSize { .. } | Self::Targets { .. } => Errno::INVAL,
            Self::DiskFull { .. } => Errno::NOSPC,
            Self::Damaged { .. } | Self::Foreign { .. } => Errno::IO,
            Self::Busy { .. } => Errno::BUSY,
            Self::Host { errno, .. } => *errno,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAStore { directory, found } => {
                write!(f, "{} is not a Sidestep store: {found}; give an empty or a new directory", directory.display())
            }
            Self::NewerFormat { directory, format, known } => write!(
                f,
                "the store {} has format {format}, this release knows up to {known}; use a newer Sidestep",
                directory.display()
            ),
            Self::OlderFormatInUse { directory } => write!(
                f,
                "the store {} is in use by processes of an older Sidestep; end them (fuser {}/live names them), and it is \
                 converted when it is next opened",
                directory.display(),
                directory.display()
            ),
            Self::RecoveryDue { directory } => write!(
                f,
                "the store {} was last used before the host was started, or its disk mounted, anew, and is to be recovered; \
                 use it once, or run `sidestep fsck --repair {}`",
                directory.display(),
                directory.display()
            ),
            Self::ReadOnlyAndAbsent { directory } => write!(
                f,
                "there is no store at {} and it cannot be made read-only; mount it once without `readonly`, on a \
                 file system that can be written",
                directory.display()
            ),
            Self::NoRight { directory, refused } => write!(
                f,
                "no right to use the store {}: {} was refused; ask its owner, or choose a directory of your own",
                directory.display(),
                refused.display()
            ),
            Self::Stranger { directory, owner } => write!(
                f,
                "no right to use the store {}: it belongs to user {owner}, and its mode does not let others write; use a \
                 store of your own, or run this as its owner, who may share it too (chmod g+w)",
                directory.display()
            ),
            Self::Foreign { directory, what } => write!(
                f,
                "the store {} is not safe to use: {what}; see how that came there, then run `sidestep fsck --repair {}`",
                directory.display(),
                directory.display()
            ),
            Self::ChunkSize { chunk_bytes } => write!(
                f,
                "chunk size {chunk_bytes} is out of range; choose 1 KiB to 64 MiB, a multiple of {CHUNK_BYTES_STEP} bytes"
            ),
            Self::Targets { targets } => write!(
                f,
                "{targets} targets are out of range; choose {} to {}",
                TARGETS_RANGE.start(),
                TARGETS_RANGE.end()
            ),
            Self::DiskFull { directory } => write!(
                f,
                "no space for the store {}; free some on its file system, or choose another directory",
                directory.display()
            ),
            Self::Damaged { directory, what } => write!(
                f,
                "the store {} is damaged: {what}; run `sidestep fsck --repair {}`",
                directory.display(),
                directory.display()
            ),
            Self::Busy { directory } => write!(
                f,
                "another process has been opening the store {} for too long; see who holds {}/live (fuser, lslocks)",
                directory.display(),
                directory.display()
            ),
            Self::Host { path, doing, errno: Errno::PERM } => {
                write!(
                    f,
                    "{doing} {}: the kernel forbids it: a filter of system calls, or the file's flags",
                    path.display()
                )
            }
            Self::Host { path, doing, errno } => write!(f, "{doing} {}: {errno}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

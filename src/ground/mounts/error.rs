//! What is wrong with a list of mounts, where, and what to do about it.

use std::fmt;

/// The first fault of a list of mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountsError {
    /// The variable (or the option of the command) that the text came from.
    pub source: &'static str,
    /// Which mount of the list, counted from 1; 0 where the fault is not in one.
    pub mount: usize,
    /// The mount's own text; empty where there is none.
    pub mount_text: String,
    /// Where the offending text starts in the whole list, in bytes, counted from 0.
    pub offset_bytes: usize,
    /// The offending text.
    pub found: String,
    /// What is wrong with it.
    pub trouble: Trouble,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing between two commas.
    EmptyMount,
    /// No `=` between prefix and store.
    NoStore,
    /// A prefix that does not start with a slash.
    RelativePrefix,
    /// A prefix with `..` in it.
    PrefixGoesUp,
    /// `/`, or the kernel's own `/proc`, `/sys`, `/dev`.
    ReservedPrefix,
    /// A prefix that no path can have.
    LongPrefix,
    /// Two mounts with one prefix.
    SamePrefix,
    /// Neither `local:` nor `daos:`.
    UnknownStore,
    /// A store's directory that does not start with a slash.
    RelativeDirectory,
    /// A store that lies under one of the prefixes.
    StoreUnderPrefix,
    /// `local:` without a directory, and no home to put the default one in.
    NoHome,
    /// The default store lies under the default prefix: `HOME` or `XDG_DATA_HOME` does.
    HomeUnderPrefix,
    /// Not `POOL/CONTAINER`.
    BadContainer,
    /// An option that does not exist.
    UnknownOption,
    /// An option given twice.
    RepeatedOption,
    /// An option without the value that it needs.
    NoValue,
    /// `readonly=something`.
    UnwantedValue,
    /// Not a size.
    BadSize,
    /// Outside 1 KiB to 64 MiB, or not a multiple of 512.
    BadChunk,
    /// Outside 1 to 64.
    BadTargets,
    /// Not `causal`, `strict` or `close-to-open`.
    BadConsistency,
    /// Neither `sidestep` nor `daos`.
    BadFileSystemType,
    /// Outside 1 s to 3600 s.
    BadTimeout,
    /// A pattern with an open bracket.
    BadPattern,
    /// `%` without two hexadecimal digits, or `%00`.
    BadEscape,
    /// Not UTF-8 where only a name or a number can stand.
    NotText,
    /// `D_IL_MOUNT_POINT` without the other two.
    IncompletePil4dfs,
}

impl Trouble {
    /// What is wrong, to be read after the offending text.
    fn what(self) -> &'static str {
        match self {
            Self::EmptyMount => "is no mount",
            Self::NoStore => "names no store",
            Self::RelativePrefix => "is not an absolute path",
            Self::PrefixGoesUp => "has `..` in it",
            Self::ReservedPrefix => "belongs to the system",
            Self::LongPrefix => "is longer than a path can be",
            Self::SamePrefix => "is the prefix of another mount already",
            Self::UnknownStore => "is no kind of store",
            Self::RelativeDirectory => "is not an absolute path",
            Self::StoreUnderPrefix => "lies under a prefix of this list",
            Self::NoHome => "has no directory, and neither XDG_DATA_HOME nor HOME says where the default one is",
            Self::HomeUnderPrefix => "would be the default store, and lies under its own prefix, /daos",
            Self::BadContainer => "is not a pool and a container",
            Self::UnknownOption => "is no option of a mount",
            Self::RepeatedOption => "is given twice",
            Self::NoValue => "needs a value",
            Self::UnwantedValue => "takes no value",
            Self::BadSize => "is not a size",
            Self::BadChunk => "is not a chunk size",
            Self::BadTargets => "is not a number of targets",
            Self::BadConsistency => "is no consistency mode",
            Self::BadFileSystemType => "is no type of a file system",
            Self::BadTimeout => "is not a number of seconds from 1 to 3600",
            Self::BadPattern => "has a `[` that is not closed",
            Self::BadEscape => "has a `%` without two hexadecimal digits of a byte other than 0",
            Self::NotText => "is not UTF-8",
            Self::IncompletePil4dfs => "is not set",
        }
    }

    /// What to do about it.
    fn remedy(self) -> &'static str {
        match self {
            Self::EmptyMount => "remove the extra comma (a comma inside a path is written %2C)",
            Self::NoStore => "write PREFIX=local:DIRECTORY or PREFIX=daos:POOL/CONTAINER",
            Self::RelativePrefix => "start the prefix with a slash, like /daos",
            Self::PrefixGoesUp => "write the path that is meant, without `..`",
            Self::ReservedPrefix => "take a prefix of its own, like /daos; not /, and nothing in /proc, /sys or /dev",
            Self::LongPrefix => "take a prefix of at most 1024 bytes",
            Self::SamePrefix => "give each mount its own prefix",
            Self::UnknownStore => "write local:DIRECTORY or daos:POOL/CONTAINER",
            Self::RelativeDirectory => "write the store's directory from the root on, like local:/var/tmp/store",
            Self::StoreUnderPrefix => "keep the store outside all prefixes, like local:/var/tmp/store",
            Self::NoHome | Self::HomeUnderPrefix => DIRECTORY_REMEDY,
            Self::BadContainer => "write daos:POOL/CONTAINER, with labels or UUIDs",
            Self::UnknownOption => {
                "the options are chunk=, targets=, consistency=, cache=, readonly, snapshot=, sys=, f_type=, timeout=, exclude="
            }
            Self::RepeatedOption => "keep one of them (only exclude= may be repeated)",
            Self::NoValue => "write it as option=value",
            Self::UnwantedValue => "write readonly alone, or leave it out",
            Self::BadSize => "write a whole number with nothing, K, M, G, KiB, MiB or GiB behind it, like 4MiB",
            Self::BadChunk => "take 1KiB to 64MiB, a multiple of 512 bytes",
            Self::BadTargets => "take 1 to 64",
            Self::BadConsistency => "write causal, strict or close-to-open",
            Self::BadFileSystemType => "write sidestep or daos",
            Self::BadTimeout => "write whole seconds, like timeout=60",
            Self::BadPattern => "close the bracket, or write \\[ for a bracket in a name",
            Self::BadEscape => "write %25 for a percent sign itself",
            Self::NotText => "names of pools, containers, options and patterns are UTF-8",
            Self::IncompletePil4dfs => {
                "set D_IL_POOL and D_IL_CONTAINER beside D_IL_MOUNT_POINT, or use SIDESTEP_MOUNTS"
            }
        }
    }
}

/// What helps where there is no home directory, or none for a store.
const DIRECTORY_REMEDY: &str = "set HOME elsewhere, or name the store: SIDESTEP_MOUNTS=/daos=local:/some/directory";

impl fmt::Display for MountsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if self.mount > 0 {
            write!(f, "mount {} ({:?}), byte {}: ", self.mount, self.mount_text, self.offset_bytes)?;
        }
        write!(f, "{:?} {}; {}", self.found, self.trouble.what(), self.trouble.remedy())
    }
}

impl std::error::Error for MountsError {}

//! What a check finds.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Space that nobody uses: what a killed process may leave. Nothing is lost; the next lone opening gives it back.
    Leak,
    /// Something that a user would see: a name that leads nowhere, a wrong count, bytes that are gone.
    Damage,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence without a full stop.
    pub what: String,
    /// Whether it was mended.
    pub repaired: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Leak => "leak",
            Severity::Damage => "damage",
        };
        let repaired = if self.repaired { " (repaired)" } else { "" };
        write!(f, "{severity}: {}{repaired}", self.what)
    }
}

/// What a check counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files found.
    pub files: u64,
    /// Directories found, the root among them.
    pub directories: u64,
    /// Symlinks found.
    pub symlinks: u64,
    /// Files that are unlinked and kept because somebody has them open.
    pub orphans: u64,
    /// Bytes in all files.
    pub bytes: u64,
    /// Findings of [`Severity::Leak`].
    pub leaks: u64,
    /// Findings of [`Severity::Damage`].
    pub damages: u64,
    /// Findings that were mended.
    pub repaired: u64,
    /// Whether other processes had the store open meanwhile: then what they were doing may show as a finding.
    pub others_live: bool,
}

impl Summary {
    /// Whether nothing was found that has not been mended. Leaked space counts.
    pub fn is_clean(&self) -> bool {
        self.leaks + self.damages == self.repaired
    }
}

/// Why a check could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckError {
    /// The store cannot be opened at all.
    Open(super::super::OpenError),
    /// The store cannot be opened, though all that a repair knows to mend is mended.
    Beyond(super::super::OpenError),
    /// A repair was asked for while other processes use the store.
    InUse {
        /// The store's directory.
        directory: std::path::PathBuf,
    },
    /// The host answered with an error on the way.
    Host {
        /// What was being read or mended.
        doing: String,
        /// The host's answer.
        errno: crate::ground::Errno,
    },
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Beyond(error) => {
                // Not with the advice to do what was just done.
                let text = error.to_string();
                let what = text.split_once("; run `sidestep fsck").map_or(text.as_str(), |(what, _)| what);
                write!(f, "{what}; this can't be mended: bring the store back from a copy, or take a new directory")
            }
            Self::InUse { directory } => write!(
                f,
                "other processes use the store {}; end them (fuser {}/live names them), then repair it",
                directory.display(),
                directory.display()
            ),
            Self::Host { doing, errno } => write!(f, "{doing}: {errno}"),
        }
    }
}

impl std::error::Error for CheckError {}

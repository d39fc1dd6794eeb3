//! What became of the gate in this process, for whoever asks.

use super::cache::Outcome;
use super::objects::{LIBC, Object, Place};
use std::fmt::{Display, Formatter};

/// Why the gate, or an object's part in it, was not installed; then the symbol doors are the whole door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

/// What became of the gate in this process.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Why there is none.
    pub refused: Option<Refused>,
    /// The objects that were looked at.
    pub parts: Vec<Part>,
    /// Microseconds that it took.
    pub start_us: u32,
}

/// What became of one object.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Its `DT_SONAME`.
    pub name: &'static str,
    /// Its path, as the dynamic linker names it.
    pub path: Vec<u8>,
    /// Its GNU build id.
    pub build_id: Vec<u8>,
    /// Why it was left as it is.
    pub refused: Option<Refused>,
    /// Call sites of the table.
    pub sites: u32,
    /// Of these, rewritten.
    pub patched: u32,
    /// Of these, not rewritten, as nothing around them can be moved.
    pub left_alone: u32,
    /// Of these, not rewritten, as threads were there that might have been in the middle.
    pub left_to_threads: u32,
    /// Of these, not rewritten, as memory has something else there than the file: their addresses.
    pub changed: Vec<usize>,
    /// Where the list came from.
    pub cache: Outcome,
}

impl Part {
    /// An object about which nothing is known yet.
    pub fn of(object: &Object) -> Self {
        let path = match &object.place {
            Place::Path(path) => path.clone(),
            Place::Open(_) => Vec::new(),
        };
        Self { name: object.name, path, build_id: object.build_id.clone(), ..Self::default() }
    }
}

impl Status {
    /// Whether the gate misses nothing, so that the symbols need not be doors.
    pub fn is_whole(&self) -> bool {
        self.refused.is_none() && self.shortfall().is_none()
    }

    /// libc's part.
    pub fn libc(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == LIBC)
    }

    /// A sum over all objects.
    pub fn sum(&self, count: impl Fn(&Part) -> u32) -> u32 {
        self.parts.iter().map(count).sum()
    }

    /// The outcome that tells most about the cache.
    pub fn cache(&self) -> Outcome {
        self.parts.iter().map(|part| part.cache).max().unwrap_or_default()
    }

    /// What is missing from a gate that was installed.
    pub fn shortfall(&self) -> Option<Shortfall<'_>> {
        let refused = self.parts.iter().find_map(|part| Some((part.name, &part.refused.as_ref()?.0)));
        if let Some((name, reason)) = refused {
            return Some(Shortfall::Object { name, reason });
        }
        let left_to_threads = self.sum(|part| part.left_to_threads);
        if left_to_threads > 0 {
            return Some(Shortfall::Threads(left_to_threads));
        }
        let changed = self.sum(|part| part.changed.len() as u32);
        (changed > 0).then_some(Shortfall::Changed(changed))
    }
}

/// What is missing from a gate that was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall<'a> {
    /// An object other than libc was left as it is.
    Object {
        /// Its `DT_SONAME`.
        name: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// So many sites were left, for threads were already running.
    Threads(u32),
    /// So many sites were left, for somebody else had changed them.
    Changed(u32),
}

impl Display for Shortfall<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object { name, reason } => write!(formatter, "{name} is not rewritten: {reason}"),
            Self::Threads(_) => write!(formatter, "threads were already running"),
            Self::Changed(_) => write!(formatter, "somebody else has patched libc in memory"),
        }
    }
}

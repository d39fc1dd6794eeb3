//! A container on another machine with the cache before it.

use super::array::{CachedArray, First};
use super::file::CachedFile;
use super::lock::Lock;
use super::opening::Opening;
use super::passage::Passage;
use super::registry::Registry;
use super::{CACHE_BYTES, CACHE_BYTES_MIN, DESCRIPTOR_SHARE, PATIENCE};
use crate::ground::deep_stack::run_quiet;
use crate::ground::guard::{self, Quiet};
use crate::ground::kernel::Parked;
use crate::ground::mounts::{Consistency, MountOptions};
use crate::ground::{Result, causality, diagnostics};
use crate::store::{
    ArrayObject, Attributes, Capacity, Changes, Container, DirectoryEntry, Found, Kind, NewNode, NodeId, OnlyIf,
    RemoteArray, RemoteContainer, RenameMode,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

/// What the files of a container share.
pub struct Shared {
    /// The files.
    pub(super) registry: Lock<Registry>,
    /// Files in it.
    pub(super) files: AtomicU64,
    /// Memory of all blocks, in bytes.
    pub(super) used_bytes: AtomicU64,
    /// What that may come to, with what the files cost beside them.
    pub(super) bound_bytes: u64,
    /// What the blocks of a file may come to, for each of its descriptions.
    pub(super) descriptor_bytes: u64,
    /// Whether the mount is strict.
    is_strict: bool,
    /// Whether it is causal.
    is_causal: bool,
    /// How long a lock is waited for: a message may take the mount's whole timeout.
    pub(super) patience: Duration,
    /// The thread that prepared for a fork or an exec; 0 for none.
    pub(super) forker: AtomicUsize,
    /// The files whose locks it has.
    pub(super) held: Lock<Vec<Arc<CachedFile>>>,
    /// Whether the thread that stores what is a second old knows of this.
    pub(super) is_watched: AtomicBool,
    /// Whether long writes went faster by the cache when that was last tried.
    pub(super) are_long_writes_cached: AtomicBool,
}

impl Shared {
    /// Whether calls of this description pass the cache; within a call of MPI on a file, where ranks meet without telling
    /// anybody, those of a causal one do too.
    #[inline(always)]
    pub fn is_strict(&self, opening: &Opening) -> bool {
        self.is_strict || opening.is_strict() || self.is_causal && guard::is_in_file_call()
    }

    /// Whether the mount's mode is causal.
    #[inline(always)]
    pub fn is_causal(&self) -> bool {
        self.is_causal
    }
}

/// A container on another machine with the cache before it: names go to it as they are, bytes through the cache.
pub struct CachedContainer {
    remote: Arc<dyn RemoteContainer>,
    shared: Arc<Shared>,
}

impl CachedContainer {
    /// Puts a cache before `remote`. Of the mount's options: `consistency=` (causal if not said), `cache=` (256
    /// MiB if not said, 1 MiB at least), `timeout=`.
    pub fn new(remote: Arc<dyn RemoteContainer>, options: &MountOptions) -> Self {
        let bound_bytes = options.cache_bytes.unwrap_or(CACHE_BYTES).max(CACHE_BYTES_MIN);
        let patience = options.timeout_seconds.map_or(PATIENCE, |seconds| Duration::from_secs(u64::from(seconds)));
        let is_causal = options.consistency.unwrap_or(Consistency::Causal) == Consistency::Causal;
        if is_causal {
            causality::switch_on();
        }
        let shared = Arc::new(Shared {
            registry: Lock::new(Registry::default()),
            files: AtomicU64::new(0),
            used_bytes: AtomicU64::new(0),
            bound_bytes,
            descriptor_bytes: (bound_bytes / DESCRIPTOR_SHARE).max(CACHE_BYTES_MIN),
            // Where calls that tell or hear are not seen, every call asks.
            is_strict: options.consistency == Some(Consistency::Strict) || is_causal && causality::is_deaf(),
            is_causal: is_causal && !causality::is_deaf(),
            patience,
            forker: AtomicUsize::new(0),
            held: Lock::new(Vec::new()),
            is_watched: AtomicBool::new(false),
            are_long_writes_cached: AtomicBool::new(true),
        });
        Self { remote, shared }
    }

    /// Memory of the blocks that are cached now, in bytes: what was read or written at least once, in pages.
    pub fn used_bytes(&self) -> u64 {
        self.shared.used_bytes.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn wrap(&self, remote: Arc<dyn RemoteArray>, first: First) -> Result<Box<dyn ArrayObject>> {
        if remote.found().kind != Kind::File {
            let opened = Box::new(Passage(remote.clone()));
            if first != First::Adopted {
                remote.confirm()?;
            }
            return Ok(opened);
        }
        let before = causality::heard();
        let opened = CachedArray::new(&self.shared, remote.clone(), first)?;
        if first != First::Adopted {
            remote.confirm()?;
        }
        if self.shared.is_causal()
            && let Some(heard) = causality::hear_name(before)
        {
            // Of this file nothing is cached that is older than its open.
            opened.note_proved(heard);
        }
        Ok(Box::new(opened))
    }

    /// A call that changes what others see of names and attributes: what was written before is stored first.
    fn tell<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.shared.is_causal() && causality::has_unstored() {
            super::release();
        }
        self.hear(call)
    }

    /// A call whose answer may be a word from another process, by a name that is there or by an attribute.
    fn hear<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let outcome = run_quiet(call);
        if self.shared.is_causal() {
            causality::hear_name(causality::heard());
        }
        outcome
    }

    fn lay_over(&self, attributes: Result<Attributes>) -> Result<Attributes> {
        let mut attributes = attributes?;
        if attributes.kind == Kind::File
            && let Some(file) = self.shared.file_of(attributes.node)
        {
            file.compare(&attributes);
            file.lay_over(&mut attributes);
        }
        Ok(attributes)
    }
}

impl Container for CachedContainer {
    fn root(&self) -> NodeId {
        self.remote.root()
    }

    fn lookup(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        self.hear(|| self.remote.lookup(directory, name))
    }

    fn lookup_at_hand(&self, directory: NodeId, name: &[u8]) -> Option<Result<Found>> {
        run_quiet(|| self.remote.lookup_at_hand(directory, name))
    }

    fn lookup_to_tell(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        self.hear(|| self.remote.lookup_to_tell(directory, name))
    }

    fn lookup_to_open(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        run_quiet(|| self.remote.lookup_to_open(directory, name))
    }

    fn attributes(&self, node: NodeId) -> Result<Attributes> {
        self.lay_over(self.hear(|| self.remote.remote_attributes(node)))
    }

    fn change(&self, node: NodeId, changes: &Changes) -> Result<()> {
        if let Some(file) = self.shared.file_of(node) {
            file.before_change(changes);
        }
        self.tell(|| self.remote.change(node, changes))
    }

    fn create(&self, directory: NodeId, name: &[u8], new: &NewNode<'_>) -> Result<Found> {
        self.tell(|| self.remote.create(directory, name, new))
    }

    fn unlink(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.tell(|| self.remote.unlink(directory, name))
    }

    fn remove_directory(&self, directory: NodeId, name: &[u8]) -> Result<()> {
        self.tell(|| self.remote.remove_directory(directory, name))
    }

    fn rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), mode: RenameMode) -> Result<()> {
        self.tell(|| self.remote.rename(from, to, mode))
    }

    fn read_link(&self, node: NodeId, buffer: &mut [u8]) -> Result<usize> {
        self.hear(|| self.remote.read_link(node, buffer))
    }

    fn entries(
        &self,
        directory: NodeId,
        position: u64,
        visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
    ) -> Result<()> {
        self.hear(|| self.remote.entries(directory, position, visit))
    }

    fn whereabouts(&self, directory: NodeId, name: &mut [u8]) -> Result<(NodeId, usize)> {
        self.hear(|| self.remote.whereabouts(directory, name))
    }

    fn open(&self, found: Found) -> Result<Box<dyn ArrayObject>> {
        self.wrap(run_quiet(|| self.remote.open_remote(found))?, First::Open)
    }

    fn open_to_read(&self, found: Found) -> Result<Box<dyn ArrayObject>> {
        self.wrap(run_quiet(|| self.remote.open_remote(found))?, First::Read)
    }

    fn adopt(&self, found: Found, ticket: &[u8]) -> Result<Box<dyn ArrayObject>> {
        self.wrap(run_quiet(|| self.remote.adopt_remote(found, ticket))?, First::Adopted)
    }

    fn hold(&self, found: &[Found]) -> Result<Parked> {
        run_quiet(|| self.remote.hold(found))
    }

    fn capacity(&self) -> Result<Capacity> {
        self.hear(|| self.remote.capacity())
    }

    fn sync(&self) -> Result<()> {
        let stored = self.shared.write_all_back();
        self.remote.sync().and(stored)
    }

    fn is_read_only(&self) -> bool {
        self.remote.is_read_only()
    }

    fn after_fork_in_child(&self) -> Result<()> {
        self.remote.after_fork_in_child()?;
        self.shared.after_fork_in_child()
    }

    fn leave(&self) {
        run_quiet(|| self.remote.leave());
    }

    fn stand_in_name(&self, directory: NodeId) -> Result<String> {
        run_quiet(|| self.remote.stand_in_name(directory))
    }

    fn directory_of_stand_in(&self, name: &str) -> Option<NodeId> {
        run_quiet(|| self.remote.directory_of_stand_in(name))
    }

    fn rights(&self, node: NodeId) -> Result<Attributes> {
        run_quiet(|| self.remote.rights(node))
    }

    fn is_remote(&self) -> bool {
        self.remote.is_remote()
    }

    fn file_system_magic(&self) -> u64 {
        self.remote.file_system_magic()
    }

    fn extended_attribute(&self, node: NodeId, name: &[u8], room: &mut [u8]) -> Result<usize> {
        self.hear(|| self.remote.extended_attribute(node, name, room))
    }

    fn set_extended_attribute(&self, node: NodeId, name: &[u8], value: &[u8], only: Option<OnlyIf>) -> Result<()> {
        self.tell(|| self.remote.set_extended_attribute(node, name, value, only))
    }

    fn remove_extended_attribute(&self, node: NodeId, name: &[u8]) -> Result<()> {
        self.tell(|| self.remote.remove_extended_attribute(node, name))
    }

    fn extended_attribute_names(&self, node: NodeId, room: &mut [u8]) -> Result<usize> {
        self.hear(|| self.remote.extended_attribute_names(node, room))
    }

    fn flush(&self) {
        if let Err(errno) = self.shared.write_all_back() {
            diagnostics::say(&format!("bytes that were written are not stored yet, and may be lost: {errno}"));
        }
        self.remote.flush();
    }

    fn rest_before_fork(&self) {
        self.shared.before_fork(true);
    }

    fn before_fork(&self) {
        self.shared.before_fork(false);
        self.remote.before_fork();
    }

    fn after_fork_in_parent(&self) {
        self.remote.after_fork_in_parent();
        self.shared.after_fork_in_parent();
    }
}

impl Shared {
    /// Stores what every file has that is not in the store.
    fn write_all_back(&self) -> Result<()> {
        let quiet = Quiet::enter();
        let mut outcome = Ok(());
        for file in self.all_files().ok_or(crate::ground::Errno::IO)? {
            // The flag of an end that nobody stored yet: most files have nothing, and need no lock.
            if file.is_stored() {
                continue;
            }
            let stored = file.lock(&quiet).and_then(|mut state| file.write_back(&mut state, None));
            outcome = outcome.and(stored);
        }
        outcome
    }
}

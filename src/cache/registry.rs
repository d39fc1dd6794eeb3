//! Which files of a container this process has cached.

use super::container::Shared;
use super::file::CachedFile;
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result};
use crate::store::{NodeId, RemoteArray};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A node of one generation.
pub type Key = (u64, u32);

/// The files that have descriptions, by node.
#[derive(Default)]
pub struct Registry {
    /// The files.
    pub files: BTreeMap<Key, Arc<CachedFile>>,
    /// Where the next search for room begins.
    pub hand: Key,
}

/// Numbers for files, over all containers of the process; 0 is no file's.
static IDS: AtomicU64 = AtomicU64::new(1);

impl Shared {
    /// The file of a node that was just opened, with one user more.
    ///
    /// # Errors
    /// `EIO` where the registry's lock is not to be had.
    pub fn enter(self: &Arc<Self>, remote: Arc<dyn RemoteArray>) -> Result<Arc<CachedFile>> {
        let found = remote.found();
        let quiet = Quiet::enter();
        self.await_fork()?;
        let mut registry = self.registry.lock_within(&quiet, self.patience).ok_or(Errno::IO)?;
        let file = registry.files.entry((found.node.0, found.generation)).or_insert_with(|| {
            self.files.fetch_add(1, Ordering::Relaxed);
            Arc::new(CachedFile::new(IDS.fetch_add(1, Ordering::Relaxed), remote, self.clone()))
        });
        file.users.fetch_add(1, Ordering::Relaxed);
        Ok(file.clone())
    }

    /// A user less; true for the last one: the file is not in the registry any more.
    pub fn leave(&self, file: &Arc<CachedFile>) -> bool {
        let quiet = Quiet::enter();
        let mut registry = self.registry.lock(&quiet);
        if file.users.fetch_sub(1, Ordering::AcqRel) != 1 {
            return false;
        }
        let key = (file.found.node.0, file.found.generation);
        if registry.files.get(&key).is_some_and(|known| Arc::ptr_eq(known, file)) {
            registry.files.remove(&key);
        }
        self.files.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Files with descriptions, at least 1.
    pub fn files_open(&self) -> u64 {
        self.files.load(Ordering::Relaxed).max(1)
    }

    /// The cached file of a node, if there is one. Of two generations it is the younger.
    pub fn file_of(&self, node: NodeId) -> Option<Arc<CachedFile>> {
        let quiet = Quiet::enter();
        let registry = self.registry.lock_within(&quiet, self.patience)?;
        registry.files.range((node.0, 0)..=(node.0, u32::MAX)).next_back().map(|(_, file)| file.clone())
    }

    /// All cached files; `None` if the registry's lock is not to be had.
    pub fn all_files(&self) -> Option<Vec<Arc<CachedFile>>> {
        let quiet = Quiet::enter();
        let registry = self.registry.lock_within(&quiet, self.patience)?;
        Some(registry.files.values().cloned().collect())
    }
}

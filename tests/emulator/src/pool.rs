//! Pools and their containers: directories below `SIDESTEP_EMULATOR_STORE`, and the handles that this process has.

use crate::container::{self, Container, Properties, locked, parse_uuid};
use crate::errors::{Answer, Der};
use crate::settings::{Rights, settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// `DAOS_PC_RW` and `DAOS_COO_RW`: for writing.
pub const FOR_WRITING: u32 = 1 << 1;

/// A pool that this process is connected to.
pub struct Pool {
    /// Its directory.
    pub directory: PathBuf,
    /// Its UUID.
    pub uuid: [u8; 16],
    is_writable: bool,
}

static POOLS: Mutex<BTreeMap<u64, Arc<Pool>>> = Mutex::new(BTreeMap::new());
static CONTAINERS: Mutex<BTreeMap<u64, Arc<Container>>> = Mutex::new(BTreeMap::new());

fn new_handle() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// `daos_pool_connect`.
///
/// # Errors
/// `DER_NONEXIST`, `DER_NO_PERM`.
pub fn connect(name: &str, flags: u32) -> Answer<u64> {
    let rights = settings().rights;
    let is_writable = flags & FOR_WRITING != 0;
    let root = settings().store.as_ref().ok_or(Der::NONEXIST)?;
    let (directory, properties) = find(root, name)?;
    if rights == Rights::NoPool || is_writable && rights == Rights::ReadOnly {
        return Err(Der::NO_PERM.into());
    }
    let handle = new_handle();
    locked(&POOLS).insert(handle, Arc::new(Pool { directory, uuid: properties.uuid, is_writable }));
    Ok(handle)
}

/// `daos_pool_disconnect`.
///
/// # Errors
/// `DER_NO_HDL`.
pub fn disconnect(handle: u64) -> Answer<()> {
    locked(&POOLS).remove(&handle).map(drop).ok_or(Der::NO_HDL.into())
}

/// The pool of a handle.
///
/// # Errors
/// `DER_NO_HDL`.
pub fn pool(handle: u64) -> Answer<Arc<Pool>> {
    locked(&POOLS).get(&handle).cloned().ok_or(Der::NO_HDL.into())
}

impl Pool {
    /// Bytes of it that are free.
    ///
    /// # Errors
    /// What the host answers.
    pub fn free_bytes(&self) -> Answer<u64> {
        Ok(settings().pool_bytes.saturating_sub(container::used_bytes(&self.directory)?))
    }
}

/// `daos_cont_open`.
///
/// # Errors
/// `DER_NONEXIST`, `DER_NO_PERM`.
pub fn open_container(pool_handle: u64, name: &str, flags: u32) -> Answer<u64> {
    let pool = pool(pool_handle)?;
    let rights = settings().rights;
    let is_writable = flags & FOR_WRITING != 0;
    let (directory, _) = find(&pool.directory, name)?;
    if rights == Rights::NoContainer || is_writable && !pool.is_writable {
        return Err(Der::NO_PERM.into());
    }
    let container = Container::open(&directory, &pool.directory, is_writable)?;
    let handle = new_handle();
    locked(&CONTAINERS).insert(handle, container);
    Ok(handle)
}

/// `daos_cont_close`.
///
/// # Errors
/// `DER_NO_HDL`.
pub fn close_container(handle: u64) -> Answer<()> {
    locked(&CONTAINERS).remove(&handle).map(drop).ok_or(Der::NO_HDL.into())
}

/// The container of a handle.
///
/// # Errors
/// `DER_NO_HDL`.
pub fn container(handle: u64) -> Answer<Arc<Container>> {
    locked(&CONTAINERS).get(&handle).cloned().ok_or(Der::NO_HDL.into())
}

/// What is called `name`, or has it as its UUID, in a directory. Made where it is missing, if the settings say so.
fn find(directory: &Path, name: &str) -> Answer<(PathBuf, Properties)> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(Der::INVAL.into());
    }
    if let Some(uuid) = parse_uuid(name) {
        let entries = std::fs::read_dir(directory).map_err(|_| Der::NONEXIST)?;
        let paths = entries.flatten().map(|entry| entry.path());
        let mut known = paths.filter_map(|path| Properties::read(&path).map(|properties| (path, properties)));
        return known.find(|(_, properties)| properties.uuid == uuid).ok_or(Der::NONEXIST.into());
    }
    let path = directory.join(name);
    if let Some(properties) = Properties::read(&path) {
        return Ok((path, properties));
    }
    let Some(layout) = &settings().create else { return Err(Der::NONEXIST.into()) };
    Properties::write(&path, layout, settings().chunk_bytes)?;
    let properties = Properties::read(&path).ok_or(Der::NONEXIST)?;
    Ok((path, properties))
}

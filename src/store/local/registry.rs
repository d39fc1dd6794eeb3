//! The stores that this process has open, each once.
//!
//! LMDB's locks on its lock file are the process's: a second environment on the same file would drop the first one's
//! when it closes. So two mounts of one store share it.

use super::OpenError;
use super::store::Store;
use crate::ground::change::Change;
use crate::ground::{Result, kernel};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// Which directory a store is, whatever path leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKey {
    device: u64,
    inode: u64,
}

/// The key of an open directory.
///
/// # Errors
/// As fstat(2).
pub fn key_of(directory: BorrowedFd<'_>) -> Result<StoreKey> {
    let stat = rustix::fs::fstat(directory)?;
    Ok(StoreKey { device: stat.st_dev, inode: stat.st_ino })
}

/// A store that is open, or that this process opens or closes just now.
struct Entry {
    key: StoreKey,
    process: u32,
    store: Weak<Store>,
}

/// A list behind a lock that names its process: one that a fork caught is nobody's in the child.
struct Registry {
    process: AtomicU32,
    stores: std::cell::UnsafeCell<Vec<Entry>>,
}

// SAFETY: the list is touched by whoever has set `process` from 0, alone.
#[allow(unsafe_code)]
unsafe impl Sync for Registry {}

static REGISTRY: Registry = Registry { process: AtomicU32::new(0), stores: std::cell::UnsafeCell::new(Vec::new()) };

fn own_process() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get().cast_unsigned()
}

#[allow(unsafe_code)]
fn with_stores<T>(work: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
    // A fork child gets a whole list.
    let _change = Change::begin();
    let me = own_process();
    loop {
        let owner = REGISTRY.process.load(Ordering::Relaxed);
        // The process of an inherited lock is not us; its thread does not exist here.
        if owner != me && REGISTRY.process.compare_exchange(owner, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            break;
        }
        rustix::thread::sched_yield();
    }
    // SAFETY: we hold the lock, and `work` below does not come back here.
    let answer = work(unsafe { &mut *REGISTRY.stores.get() });
    REGISTRY.process.store(0, Ordering::Release);
    answer
}

/// The store of a key: the one that is open, or the one that `make` opens.
///
/// # Errors
/// What `make` answers.
pub fn open(
    key: StoreKey,
    make: impl FnOnce() -> std::result::Result<Store, OpenError>,
) -> std::result::Result<Arc<Store>, OpenError> {
    loop {
        enum Answer {
            Open(Arc<Store>),
            Closing,
            Ours,
        }
        let process = own_process();
        let answer = with_stores(|stores| match stores.iter_mut().find(|entry| entry.key == key) {
            None => {
                stores.push(Entry { key, process, store: Weak::new() });
                Answer::Ours
            }
            Some(entry) => match entry.store.upgrade() {
                Some(store) => Answer::Open(store),
                None if entry.process == process => Answer::Closing,
                // A thread of the parent was at it, which is not here.
                None => {
                    entry.process = process;
                    Answer::Ours
                }
            },
        });
        match answer {
            Answer::Open(store) => return Ok(store),
            // Another thread is opening or closing it.
            Answer::Closing => kernel::sleep(1000),
            Answer::Ours => break,
        }
    }
    let made = make().map(Arc::new).inspect_err(|_| forget(key));
    if let Ok(store) = &made {
        with_stores(|stores| {
            if let Some(entry) = stores.iter_mut().find(|entry| entry.key == key) {
                entry.store = Arc::downgrade(store);
                entry.process = own_process();
            }
        });
    }
    made
}

/// Forgets a store that is closed.
pub fn forget(key: StoreKey) {
    with_stores(|stores| stores.retain(|entry| entry.key != key));
}

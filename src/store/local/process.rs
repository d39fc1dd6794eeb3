//! What a process of the store has for itself: its session, its lock file, its view of the tree.
//!
//! All of it is found through one page that the kernel wipes in a forked child, so a child begins with nothing and makes
//! its own at first need, whether or not anybody told it of the fork: LMDB is not used across fork, and a lock that was
//! held by another thread of the parent is free in the child.
//!
//! `live` is locked by open file description, which the kernel gives up when the process ends, however it ends:
//!
//! | byte | lock |
//! |---|---|
//! | 0 | write: making or opening the store |
//! | 1 | read: living in it; write: alone in it |
//! | 16 and session | write: this session lives |
//! | 2^40 and node | read: this node is held by a descriptor in a hand-over |
#![allow(unsafe_code)]

use super::header::{FORMAT, SESSIONS_COUNT};
use super::hint::Hint;
use super::layout::{self, LIVE, NAMES, OPENING_BYTE, PATIENCE_MILLISECONDS, TREE, TREE_LOCK};
use super::recover::Recovery;
use super::store::Store;
use super::store_directory::Refusal;
use super::tree::{FileKey, Reader, Tree};
use super::{OpenError, tree, tree_pages};
use crate::ground::file_size_limit;
use crate::ground::guard::Quiet;
use crate::ground::kernel::{self, RangeLock};
use crate::ground::stopwatch::Stopwatch;
use crate::ground::{Errno, Result};
use rustix::fs::OFlags;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

/// Locked by all who live in the store, or by who is alone in it.
pub const LIVING_BYTE: u64 = 1;
const SESSIONS_BYTE: u64 = 16;
/// Where the bytes of held nodes begin.
pub const HELD_BYTE: u64 = 1 << 40;

/// Pages of the tree that whoever is alone looks at before LMDB is given them: those of some 40,000 names, in some 0.3 ms. Of
/// a larger tree it looks at the upper levels, and `fsck` at all.
const PAGES_CHECKED_MAX: usize = 1024;

/// How long a thread waits for the one that makes its process's part: longer than that one waits for other processes. It
/// goes past that if the other was stopped, or was a vfork child that was killed.
const MAKING_NANOSECONDS_MAX: i64 = 3 * PATIENCE_MILLISECONDS as i64 * 1_000_000;

const PAGE_BYTES: usize = 4096;
const READERS_KEPT_MAX: usize = 64;

/// The page that is wiped in a child. Zero: nothing was made yet.
#[repr(C)]
struct Page {
    /// This process's number once all the rest is made.
    process: AtomicU32,
    making: AtomicU32,
    /// The owner word of this process's session.
    owner: AtomicU32,
    tree: AtomicPtr<Tree>,
    misses: AtomicU32,
    hint: Hint,
    readers: [AtomicPtr<Reader>; READERS_KEPT_MAX],
}

const _: () = assert!(size_of::<Page>() <= PAGE_BYTES);

/// This process's part in a store.
pub struct Process {
    page: NonNull<Page>,
    // Not wiped: a child finds here what it inherited and has to let go of.
    live: AtomicI32,
    tree: AtomicPtr<Tree>,
}

// SAFETY: the page is atomics, and stays mapped for as long as this lives.
unsafe impl Send for Process {}
// SAFETY: as above.
unsafe impl Sync for Process {}

impl Process {
    /// With nothing made yet.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: new anonymous memory; wiping it on fork leaves atomics in their first state.
        let page = unsafe {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            let start = rustix::mm::mmap_anonymous(ptr::null_mut(), PAGE_BYTES, protection, MapFlags::PRIVATE)?;
            rustix::mm::madvise(start, PAGE_BYTES, Advice::LinuxWipeOnFork)?;
            start
        };
        let page = NonNull::new(page.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { page, live: AtomicI32::new(-1), tree: AtomicPtr::new(ptr::null_mut()) })
    }

    #[inline(always)]
    fn page(&self) -> &Page {
        // SAFETY: mapped for as long as `self`, and all of it atomics.
        unsafe { self.page.as_ref() }
    }

    /// This process's number, 0 before it has made its part.
    #[inline(always)]
    pub fn number(&self) -> u32 {
        self.page().process.load(Ordering::Acquire)
    }

    /// The owner word for shared locks.
    #[inline]
    pub fn owner(&self) -> u32 {
        self.page().owner.load(Ordering::Relaxed)
    }

    /// Makes this process's part unless it is there.
    ///
    /// # Errors
    /// What opening the lock file or the tree answers; `EIO` for a store that was removed under its users: `ENOENT` would
    /// say of a name in it that others have changed it.
    #[inline]
    pub fn ready(&self, store: &Store) -> Result<()> {
        if self.number() != 0 { Ok(()) } else { self.make_for_call(store) }
    }

    #[cold]
    fn make_for_call(&self, store: &Store) -> Result<()> {
        self.make(store).map_err(|error| match error.errno() {
            Errno::NOENT => Errno::IO,
            errno => errno,
        })
    }

    /// As [`Process::ready`], with the reason in full.
    ///
    /// # Errors
    /// As [`OpenError`] has them.
    #[cold]
    pub fn make(&self, store: &Store) -> std::result::Result<(), OpenError> {
        let _quiet = Quiet::enter();
        let page = self.page();
        let mut since = None;
        while page.making.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // Another thread is at it, for some hundred microseconds, or as long as it waits for another process.
            if since.get_or_insert_with(Stopwatch::start).nanoseconds() > MAKING_NANOSECONDS_MAX {
                return Err(OpenError::Busy { directory: store.path().to_owned() });
            }
            rustix::thread::sched_yield();
        }
        let made = if self.number() == 0 { self.make_alone(store) } else { Ok(()) };
        page.making.store(0, Ordering::Release);
        made
    }

    fn make_alone(&self, store: &Store) -> std::result::Result<(), OpenError> {
        self.let_go_of_inherited();
        let directory = store.path();
        let host = |name: &str, errno| layout::host_error(directory, &directory.join(name), "opening", errno);
        let busy = || OpenError::Busy { directory: directory.to_owned() };
        if store.is_frozen() {
            store.check_lengths()?;
            let tree = open_tree(store, true, true)?;
            self.publish(tree, 0);
            return Ok(());
        }
        let live = store.directory().open(LIVE, OFlags::RDWR | OFlags::CREATE);
        let live = live.map_err(|refusal| layout::refused(directory, LIVE, "opening", refusal))?;
        let live = live.park().map_err(|errno| host(LIVE, errno))?;
        let lock = |lock, byte| layout::lock_patiently(live.as_fd(), lock, byte).map_err(|errno| host(LIVE, errno));
        if !lock(RangeLock::Write, OPENING_BYTE)? {
            return Err(busy());
        }
        let alone =
            kernel::lock_range(live.as_fd(), RangeLock::Write, LIVING_BYTE, 1).map_err(|errno| host(LIVE, errno))?;
        if !alone && !lock(RangeLock::Read, LIVING_BYTE)? {
            return Err(busy());
        }
        let header = store.header();
        if header.format.load(Ordering::Acquire) < FORMAT && !alone {
            return Err(OpenError::OlderFormatInUse { directory: directory.to_owned() });
        }
        let recovery = if alone && store.is_in_doubt() { Some(Recovery::begin(store)?) } else { None };
        store.check_lengths()?;
        if alone && !header.log.is_sound() {
            let what = "its log cannot be where the header says".to_owned();
            return Err(OpenError::Damaged { directory: directory.to_owned(), what });
        }
        if alone {
            let twice = (2 * header.names_bytes.load(Ordering::Relaxed)).next_power_of_two();
            header.names_map_bytes.fetch_max(twice.max(tree::MAP_BYTES_MIN), Ordering::Relaxed);
        }
        let owner = take_session(store, &live).map_err(|errno| host(LIVE, errno))?;
        let tree = open_tree(store, false, alone)?;
        tree.clear_dead_readers();
        let number = live.into_number();
        self.live.store(number, Ordering::Release);
        self.publish(tree, owner);
        let recovered = if alone { store.settle_alone(recovery) } else { store.sweep_if_any() };
        let live = kernel::borrow(number);
        let unlocked = kernel::lock_range(live, RangeLock::Read, LIVING_BYTE, 1)
            .and_then(|_| kernel::lock_range(live, RangeLock::None, OPENING_BYTE, 1));
        recovered.and(unlocked.map(drop)).map_err(|errno| host("", errno))
    }

    fn publish(&self, tree: Tree, owner: u32) {
        let tree = Box::into_raw(Box::new(tree));
        self.tree.store(tree, Ordering::Release);
        let page = self.page();
        page.tree.store(tree, Ordering::Release);
        page.owner.store(owner, Ordering::Release);
        page.process.store(rustix::process::getpid().as_raw_nonzero().get().cast_unsigned(), Ordering::Release);
    }

    /// What a parent left in this child, or nothing.
    fn let_go_of_inherited(&self) {
        let live = self.live.swap(-1, Ordering::AcqRel);
        if live >= 0 {
            // Closing a copy leaves the parent's locks alone; unlocking would not.
            kernel::close_number(live);
        }
        let tree = self.tree.swap(ptr::null_mut(), Ordering::AcqRel);
        if !tree.is_null() {
            // SAFETY: published by `publish` in the parent, and this child, whose page was wiped, has not used it.
            drop(unsafe { Box::from_raw(tree) });
        }
    }

    /// Tells of a fork: lets go of what was inherited at once, so that the parent's end is not hidden by us.
    pub fn after_fork_in_child(&self) {
        let _quiet = Quiet::enter();
        if self.number() == 0 {
            self.let_go_of_inherited();
        }
    }

    /// The lock file's descriptor, -1 on a frozen store.
    pub fn live(&self) -> i32 {
        self.live.load(Ordering::Acquire)
    }

    /// The tree. [`Process::ready`] has been.
    pub fn tree(&self) -> Result<&Tree> {
        // SAFETY: set before `number`, freed when this is dropped.
        unsafe { self.page().tree.load(Ordering::Acquire).as_ref() }.ok_or(Errno::IO)
    }

    /// Does `look` with a read transaction of its own. Takes no lock, unless one has to be made.
    pub fn with_reader<T>(&self, store: &Store, look: impl FnOnce(&tree::Look<'_>) -> Result<T>) -> Result<T> {
        self.ready(store)?;
        let readers = &self.page().readers;
        let kept = readers.iter().find_map(|kept| {
            // A look before the swap: an empty place is the rule beyond the first.
            if kept.load(Ordering::Relaxed).is_null() {
                return None;
            }
            NonNull::new(kept.swap(ptr::null_mut(), Ordering::AcqRel))
        });
        let mut reader = match kept {
            // SAFETY: put there by `give_back`, and ours alone since the swap.
            Some(reader) => unsafe { Box::from_raw(reader.as_ptr()) },
            None => {
                let _quiet = Quiet::enter();
                Box::new(self.tree()?.reader()?)
            }
        };
        if !reader.renew() {
            // Another process took us for dead and cleared its place.
            let _quiet = Quiet::enter();
            let tree = self.tree()?;
            tree.end(std::mem::replace(&mut *reader, tree.reader()?));
            if !reader.renew() {
                return Err(Errno::IO);
            }
        }
        let answer = look(&reader.look());
        self.give_back(reader);
        answer
    }

    fn give_back(&self, reader: Box<Reader>) {
        let reader = Box::into_raw(reader);
        for kept in &self.page().readers {
            let empty = kept.load(Ordering::Relaxed).is_null();
            if empty && kept.compare_exchange(ptr::null_mut(), reader, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        }
        let _quiet = Quiet::enter();
        if let Ok(tree) = self.tree() {
            // SAFETY: ours alone.
            tree.end(*unsafe { Box::from_raw(reader) });
        }
    }

    /// The last absent name.
    pub fn hint(&self) -> &Hint {
        &self.page().hint
    }

    /// True once in so many times.
    pub fn counts_to(&self, times: u32) -> bool {
        self.page().misses.fetch_add(1, Ordering::Relaxed).is_multiple_of(times)
    }

    /// Keeps others out, if nobody else is in. False if somebody is.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn exclude_others(&self) -> Result<bool> {
        // On a read-only host nobody changes anything.
        if self.live() < 0 {
            return Ok(true);
        }
        kernel::lock_range(kernel::borrow(self.live()), RangeLock::Write, LIVING_BYTE, 1)
    }

    /// Lets others in again.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn admit_others(&self) -> Result<()> {
        if self.live() < 0 {
            return Ok(());
        }
        kernel::lock_range(kernel::borrow(self.live()), RangeLock::Read, LIVING_BYTE, 1).map(drop)
    }

    /// Whether a lock's owner is no more.
    pub fn is_dead(&self, store: &Store, owner: u32) -> bool {
        if owner == self.owner() {
            return false;
        }
        let session = super::header::session_of(owner);
        if store.header().owner_word(session) != owner {
            return true;
        }
        let live = kernel::borrow(self.live());
        kernel::is_range_locked(live, SESSIONS_BYTE + u64::from(session), 1).is_ok_and(|locked| !locked)
    }
}

impl Process {
    /// Lets go of everything but the page. Nobody uses the store any more.
    pub fn close(&self) {
        let _quiet = Quiet::enter();
        if self.number() != 0
            && let Ok(tree) = self.tree()
        {
            for kept in &self.page().readers {
                let reader = kept.swap(ptr::null_mut(), Ordering::AcqRel);
                if !reader.is_null() {
                    // SAFETY: put there by `give_back`.
                    tree.end(*unsafe { Box::from_raw(reader) });
                }
            }
        }
        let live = self.live.swap(-1, Ordering::AcqRel);
        self.page().process.store(0, Ordering::Release);
        let tree = self.tree.swap(ptr::null_mut(), Ordering::AcqRel);
        if !tree.is_null() {
            // SAFETY: from `publish`, and nobody uses the store any more.
            drop(unsafe { Box::from_raw(tree) });
        }
        if live >= 0 {
            kernel::close_number(live);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.close();
        // SAFETY: mapped by `new`.
        let _ = unsafe { rustix::mm::munmap(self.page.as_ptr().cast(), PAGE_BYTES) };
    }
}

/// Takes a session that nobody has.
fn take_session(store: &Store, live: &kernel::Parked) -> Result<u32> {
    let header = store.header();
    for _ in 0..SESSIONS_COUNT {
        let session = header.session_hint.fetch_add(1, Ordering::Relaxed) % SESSIONS_COUNT;
        if kernel::lock_range(live.as_fd(), RangeLock::Write, SESSIONS_BYTE + u64::from(session), 1)? {
            header.incarnations[session as usize].fetch_add(1, Ordering::AcqRel);
            if header.owner_word(session) == 0 {
                header.incarnations[session as usize].fetch_add(1, Ordering::AcqRel);
            }
            return Ok(header.owner_word(session));
        }
    }
    Err(Errno::USERS)
}

fn open_tree(store: &Store, read_only: bool, alone: bool) -> std::result::Result<Tree, OpenError> {
    let directory = store.path();
    let refused = |name: &'static str| move |refusal| layout::refused(directory, name, "opening", refusal);
    let host = |errno| match errno {
        Errno::IO | Errno::INVAL => OpenError::Damaged {
            directory: directory.to_owned(),
            what: "its tree of names cannot be opened".to_owned(),
        },
        errno => layout::host_error(directory, &directory.join(NAMES), "opening", errno),
    };
    // LMDB opens its files by their paths, and follows symlinks: they are looked at before, and what it opened after. Ours are
    // closed before it opens its own: a close drops the locks that this process has on the file.
    let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR | OFlags::CREATE };
    let file = store.directory().open(TREE, access).map_err(refused(TREE))?;
    let hash_key = store.header().hash_key.load(Ordering::Relaxed);
    if alone && let Err(wrong) = tree_pages::check_file(file.as_fd(), PAGES_CHECKED_MAX, hash_key) {
        let what = format!("its tree of names cannot be read: {wrong}");
        return Err(OpenError::Damaged { directory: directory.to_owned(), what });
    }
    let data = FileKey::of(file.as_fd()).map_err(host)?;
    drop(file);
    let lock = match store.directory().open(TREE_LOCK, access) {
        Err(Refusal::Host(Errno::NOENT)) if read_only => None,
        opened => {
            let lock = opened.map_err(refused(TREE_LOCK))?;
            if !read_only {
                file_size_limit::without(|| tree::prepare_lock_file(lock.as_fd())).map_err(host)?;
            }
            Some(FileKey::of(lock.as_fd()).map_err(host)?)
        }
    };
    let path = directory.join(NAMES);
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| host(Errno::INVAL))?;
    let map_bytes = store.header().names_map_bytes.load(Ordering::Relaxed).max(tree::MAP_BYTES_MIN);
    // What LMDB opens goes to a high number at once.
    let library = Quiet::enter_library();
    let tree = file_size_limit::without(|| Tree::open(&path, map_bytes, read_only)).map_err(host)?;
    drop(library);
    if !tree.is_of(data, lock) {
        let what = format!("somebody changed `{NAMES}` while it was opened");
        return Err(OpenError::Foreign { directory: directory.to_owned(), what });
    }
    Ok(tree)
}

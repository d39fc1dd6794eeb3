//! The open file description: what `open` made and every `dup` of it shares.
#![allow(unsafe_code)]

use super::descriptor::arena::Arena;
use super::descriptor::hold::Hold;
use super::mount::Mount;
use crate::ground::{Errno, Result};
use crate::store::{ArrayObject, Found, NodeId};
use rustix::fs::OFlags;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// The flags that `fcntl(F_SETFL)` may change.
pub const CHANGEABLE: OFlags = OFlags::APPEND
    .union(OFlags::NONBLOCK)
    .union(OFlags::DIRECT)
    .union(OFlags::NOATIME)
    .union(OFlags::from_bits_retain(libc::O_ASYNC as u32));

/// What the descriptors of one description share, between processes too once it has been handed over.
#[repr(C)]
pub struct Shared {
    /// The cursor: a file's next byte, a directory's position. With [`MOVED`] set, the truth is in a page elsewhere.
    pub cursor: AtomicU64,
    /// Status flags, `O_*`.
    pub flags: AtomicU32,
    /// 1 while one process alone has it: nobody was made since it was opened, or only this process itself anew, by exec.
    pub is_sole: AtomicU32,
}

/// Set in a cursor that moved to the hand-over's page: offsets are below 2^63.
pub const MOVED: u64 = 1 << 63;

/// What a description may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// `read` and its kin.
    pub read: bool,
    /// `write` and its kin.
    pub write: bool,
    /// `O_PATH`: neither, and no attributes are changed through it either.
    pub path_only: bool,
}

impl Access {
    /// From the flags of `open`.
    pub fn of_flags(flags: OFlags) -> Self {
        let mode = flags.bits() & libc::O_ACCMODE.cast_unsigned();
        let path_only = flags.contains(OFlags::PATH);
        let (read, write) = match mode.cast_signed() {
            libc::O_RDONLY => (true, false),
            libc::O_WRONLY => (false, true),
            libc::O_RDWR => (true, true),
            // 3 asks for both rights and gets neither, for ioctl only.
            _ => (false, false),
        };
        Self { read: read && !path_only, write: write && !path_only, path_only }
    }
}

/// What `F_GETFL` tells for good of a description that was opened with `flags`.
fn fixed_flags(flags: OFlags) -> OFlags {
    if flags.contains(OFlags::PATH) {
        return flags & (OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW);
    }
    let once = OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Every open of a 64-bit process is O_LARGEFILE, which libc calls 0.
    flags.difference(CHANGEABLE | once) | OFlags::from_bits_retain(0o100_000)
}

/// An open file description of ours.
pub struct Description {
    /// The mount that it was opened through.
    pub mount: &'static Mount,
    /// The open node.
    pub object: Box<dyn ArrayObject>,
    /// What may be done with it.
    pub access: Access,
    /// The flags of `open` that stay: access mode, `O_DIRECTORY`, `O_SYNC`...
    pub fixed_flags: OFlags,
    /// Where it was opened: the directory, and the name below.
    pub directory: NodeId,
    /// The last name of its path; empty for a directory opened as itself.
    pub name: Box<[u8]>,
    own: Shared,
    /// The live part in the hand-over's memory, once it is there.
    live: AtomicPtr<Shared>,
    /// The same place; from `Box::into_raw`, or null.
    place: AtomicPtr<Place>,
}

/// Where a description is for other processes.
pub struct Place {
    /// The memory.
    pub arena: Arc<Arena>,
    /// The place in it.
    pub index: u32,
    /// What keeps the node alive.
    pub hold: Option<Arc<Hold>>,
}

impl Description {
    /// A new description with its cursor at 0.
    pub fn new(
        mount: &'static Mount,
        object: Box<dyn ArrayObject>,
        flags: OFlags,
        directory: NodeId,
        name: &[u8],
    ) -> Self {
        let description = Self {
            mount,
            object,
            access: Access::of_flags(flags),
            fixed_flags: fixed_flags(flags),
            directory,
            name: name.into(),
            own: Shared {
                cursor: AtomicU64::new(0),
                flags: AtomicU32::new((flags & CHANGEABLE).bits()),
                is_sole: AtomicU32::new(1),
            },
            live: AtomicPtr::new(std::ptr::null_mut()),
            place: AtomicPtr::new(std::ptr::null_mut()),
        };
        description.choose_consistency();
        description
    }

    /// Tells the object whether this opening is strict whatever its mount says: with `O_SYNC`, `O_DSYNC` and `O_DIRECT`,
    /// and where other processes may write through it too. What nobody writes through may be cached by everybody.
    fn choose_consistency(&self) {
        let is_direct = self.shared().flags.load(Ordering::Relaxed) & OFlags::DIRECT.bits() != 0;
        let is_shared = self.access.write && self.shared().is_sole.load(Ordering::Acquire) == 0;
        self.object.set_strict(is_direct || self.is_synchronous() || is_shared);
    }

    /// Another process is about to have it too.
    pub fn share(&self) {
        self.shared().is_sole.store(0, Ordering::Release);
        self.choose_consistency();
    }

    /// The node.
    pub fn found(&self) -> Found {
        self.object.found()
    }

    /// The shared part, wherever it is now.
    #[inline(always)]
    pub fn shared(&self) -> &Shared {
        let live = self.live.load(Ordering::Acquire);
        if live.is_null() {
            return &self.own;
        }
        // SAFETY: in memory that the place keeps mapped until this description is dropped.
        unsafe { &*live }
    }

    /// The inode of the memfd that the place is in; 0 for none.
    pub fn page_inode(&self) -> u64 {
        self.place().map_or(0, |place| place.arena.inode())
    }

    /// Whether the shared part is in a page that other processes may have.
    pub fn is_handed_over(&self) -> bool {
        !self.live.load(Ordering::Acquire).is_null()
    }

    /// Moves the shared part to a place, unless somebody else moved it first. Calls under way find the mark in the old
    /// cursor and go on with the new one.
    pub fn move_to(&self, place: Box<Place>) {
        // Who sets the mark moves it.
        let Ok(cursor) = self.own.cursor.fetch_update(Ordering::AcqRel, Ordering::Acquire, |cursor| {
            (cursor & MOVED == 0).then_some(cursor | MOVED)
        }) else {
            return;
        };
        let live = place.arena.shared(place.index);
        // SAFETY: in the arena, which the place keeps mapped.
        let target = unsafe { live.as_ref() };
        self.write_shared(target);
        target.cursor.store(cursor, Ordering::Release);
        self.place.store(Box::into_raw(place), Ordering::Release);
        self.live.store(live.as_ptr(), Ordering::Release);
    }

    /// Writes the shared part as it is now, for a process that is to begin with it.
    pub fn write_shared(&self, target: &Shared) {
        target.cursor.store(self.own.cursor.load(Ordering::Acquire) & !MOVED, Ordering::Release);
        target.flags.store(self.own.flags.load(Ordering::Acquire), Ordering::Release);
        target.is_sole.store(self.own.is_sole.load(Ordering::Acquire), Ordering::Release);
    }

    /// Takes on a place that another process filled.
    pub fn adopt_place(&self, place: Box<Place>) {
        self.own.cursor.store(MOVED, Ordering::Release);
        let live = place.arena.shared(place.index);
        self.place.store(Box::into_raw(place), Ordering::Release);
        self.live.store(live.as_ptr(), Ordering::Release);
        self.choose_consistency();
    }

    /// Where the shared part is, once it was handed over.
    pub fn place(&self) -> Option<&Place> {
        // SAFETY: null, or set once and freed by the drop.
        unsafe { self.place.load(Ordering::Acquire).as_ref() }
    }

    /// Where the cursor is.
    #[inline]
    pub fn cursor(&self) -> u64 {
        loop {
            let cursor = self.shared().cursor.load(Ordering::Acquire);
            if cursor & MOVED == 0 {
                return cursor;
            }
            std::hint::spin_loop();
        }
    }

    /// Sets the cursor from `from` to `to`; the cursor as it is now if it was not at `from`. Where it moves to a page at
    /// this moment, that is where it is set: its value did not change.
    #[inline]
    pub fn move_cursor(&self, from: u64, to: u64) -> std::result::Result<(), u64> {
        loop {
            match self.shared().cursor.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(current) if current & MOVED != 0 => std::hint::spin_loop(),
                Err(current) => return Err(current),
            }
        }
    }

    /// Sets the cursor, whatever it was.
    pub fn set_cursor(&self, to: u64) {
        let mut from = self.cursor();
        while let Err(current) = self.move_cursor(from, to) {
            from = current;
        }
    }

    /// All status flags, as `F_GETFL` tells them.
    pub fn flags(&self) -> OFlags {
        self.fixed_flags | OFlags::from_bits_retain(self.shared().flags.load(Ordering::Relaxed))
    }

    /// `F_SETFL`.
    pub fn set_flags(&self, flags: OFlags) {
        self.shared().flags.store((flags & CHANGEABLE).bits(), Ordering::Relaxed);
        self.choose_consistency();
    }

    /// Whether writes go to the end.
    #[inline(always)]
    pub fn appends(&self) -> bool {
        self.shared().flags.load(Ordering::Relaxed) & OFlags::APPEND.bits() != 0
    }

    /// Whether each write is to be on stable storage when it returns.
    #[inline(always)]
    pub fn is_synchronous(&self) -> bool {
        self.fixed_flags.bits() & (libc::O_SYNC | libc::O_DSYNC).cast_unsigned() != 0
    }

    /// Whether that is enough for what it takes to read the bytes: `O_DSYNC` alone, which is a part of `O_SYNC`.
    pub fn is_data_synchronous(&self) -> bool {
        self.fixed_flags.bits() & libc::O_SYNC.cast_unsigned() == libc::O_DSYNC.cast_unsigned()
    }

    /// Checks that data may be read.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline(always)]
    pub fn check_readable(&self) -> Result<()> {
        if self.access.read { Ok(()) } else { Err(Errno::BADF) }
    }

    /// Checks that data may be written.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline(always)]
    pub fn check_writable(&self) -> Result<()> {
        if self.access.write { Ok(()) } else { Err(Errno::BADF) }
    }

    /// Checks that it is more than a path.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn check_open(&self) -> Result<()> {
        if self.access.path_only { Err(Errno::BADF) } else { Ok(()) }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        let place = *self.place.get_mut();
        if !place.is_null() {
            // SAFETY: from `Box::into_raw`, and nobody uses the description any more.
            drop(unsafe { Box::from_raw(place) });
        }
    }
}

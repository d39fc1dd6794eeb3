//! The store's directory on the host: what is in it, and how it comes to be.
//!
//! ```text
//! live              byte locks: who is opening, who lives, which nodes are held (see `process`)
//! store             the header, written last: with it the store exists
//! names/            the tree of names
//! nodes  slots      the inode table, the inline slots
//! recent            the names used or changed last
//! log               the changes since the newer checkpoint
//! checkpoint.0, .1  all names, at two moments
//! intents           the short overwrites that are under way, made at the first one
//! targets/T/HH/     object files, INO.GENERATION
//! stand-ins/        directories for the kernel to stand in, INO.GENERATION
//! ```
#![allow(unsafe_code)]

use super::header::{FORMAT, HEADER_BYTES, Header, MAGIC};
use super::log::host;
use super::recent::{RECENT_BYTES, Recent};
use super::record::RECORD_BYTES;
use super::store::SLOT_BYTES;
use super::store_directory::{Refusal, StoreDirectory};
use super::{CHUNK_BYTES_RANGE, CHUNK_BYTES_STEP, OpenError, TARGETS_RANGE};
use crate::ground::kernel::{self, Low, Parked, RangeLock};
use crate::ground::mounts::MountOptions;
use crate::ground::{Errno, buffer::Segment, file_size_limit};
use rustix::fs::{Mode, OFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// The file of byte locks.
pub const LIVE: &str = "live";
/// The header's file.
pub const HEADER: &str = "store";
/// The directory of the tree.
pub const NAMES: &str = "names";
/// The tree's file.
pub const TREE: &str = "names/data.mdb";
/// The file of LMDB's own locks.
pub const TREE_LOCK: &str = "names/lock.mdb";
/// The inode table.
pub const NODES: &str = "nodes";
/// The inline slots.
pub const SLOTS: &str = "slots";
/// The names used or changed last.
pub const RECENT: &str = "recent";
/// The log of changes.
pub const LOG: &str = "log";
/// The two checkpoints.
pub const CHECKPOINTS: [&str; 2] = ["checkpoint.0", "checkpoint.1"];
/// The files that have to be there after a cut of power. The tree and the recent names are made anew.
pub const FILES: [&str; 7] = [LIVE, NODES, SLOTS, RECENT, LOG, CHECKPOINTS[0], CHECKPOINTS[1]];
/// The short overwrites that are under way.
pub const INTENTS: &str = "intents";
/// The directory of targets.
pub const TARGETS: &str = "targets";
/// The directory of stand-ins.
pub const STAND_INS: &str = "stand-ins";
const HEADER_NEW: &str = "store.new";

const OURS: [&str; 13] = [
    LIVE,
    HEADER,
    HEADER_NEW,
    NAMES,
    NODES,
    SLOTS,
    RECENT,
    INTENTS,
    LOG,
    CHECKPOINTS[0],
    CHECKPOINTS[1],
    TARGETS,
    STAND_INS,
];

/// The byte of `live` that is locked while the store is made or opened.
pub const OPENING_BYTE: u64 = 0;

/// How long an opener waits for another, in milliseconds.
pub const PATIENCE_MILLISECONDS: u32 = 10_000;

/// The chunk size of new files of a new store, unless the mount says otherwise: DAOS's own.
pub const CHUNK_BYTES_DEFAULT: u64 = 1 << 20;

const PRIVATE_DIRECTORY: Mode = Mode::from_raw_mode(0o700);

/// A store's directory, with its header mapped.
pub struct Layout {
    /// Its path, absolute.
    pub path: PathBuf,
    /// The directory itself.
    pub root: Parked,
    /// The same, for whoever opens what is in it.
    pub directory: StoreDirectory,
    /// The header. Mapped for as long as this lives.
    pub header: NonNull<Header>,
    /// The recent names. Mapped for as long as this lives.
    pub recent: NonNull<Recent>,
    /// The host's file system is read-only: nothing at all is stored to.
    pub frozen: bool,
}

impl Layout {
    /// Whether the files are as long as the header says: what is mapped must be there.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] for one that is cut off or gone.
    pub fn check_lengths(&self) -> Result<(), OpenError> {
        // SAFETY: mapped for as long as `self`.
        let header = unsafe { self.header.as_ref() };
        let load = |word: &std::sync::atomic::AtomicU64| word.load(std::sync::atomic::Ordering::Acquire);
        let nodes = load(&header.names_lock.nodes.allocated) * RECORD_BYTES as u64;
        let slots = load(&header.allocation_lock.slots.allocated) * SLOT_BYTES;
        let log = load(&header.log.allocated);
        let names = [(NODES, nodes), (SLOTS, slots), (TREE, load(&header.names_bytes)), (LOG, log)];
        for (name, needed) in names.into_iter().filter(|(_, needed)| *needed != 0) {
            let length = match self.directory.stat(name) {
                Ok(stat) => stat.st_size.cast_unsigned(),
                Err(Refusal::Host(Errno::NOENT)) => 0,
                Err(refusal) => return Err(refused(&self.path, name, "opening", refusal)),
            };
            if length < needed {
                let what = format!("its file `{name}` has {length} bytes and should have {needed}");
                return Err(OpenError::Damaged { directory: self.path.clone(), what });
            }
        }
        Ok(())
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: mapped by `open`; whoever refers to them holds this.
        unsafe {
            let _ = rustix::mm::munmap(self.header.as_ptr().cast(), HEADER_BYTES);
            let _ = rustix::mm::munmap(self.recent.as_ptr().cast(), RECENT_BYTES);
        }
    }
}

/// Opens the store's directory, making the store if there is none.
///
/// # Errors
/// Every way in which it is not, or cannot become, a store.
pub fn open(directory: &Path, options: &MountOptions) -> Result<Layout, OpenError> {
    check_options(options)?;
    let may_make = !options.readonly;
    let host = |path: &Path, doing: &'static str, errno: Errno| host_error(directory, path, doing, errno);
    let root = loop {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match Low::open(rustix::fs::CWD, directory, flags, Mode::empty()) {
            Ok(root) => break root.park().map_err(|errno| host(directory, "opening", errno))?,
            Err(Errno::NOENT) if may_make => make_directories(directory)?,
            Err(Errno::NOENT) => return Err(OpenError::ReadOnlyAndAbsent { directory: directory.into() }),
            Err(Errno::NOTDIR) => {
                let found = "it is a file, or a part of the path is".to_owned();
                return Err(OpenError::NotAStore { directory: directory.into(), found });
            }
            Err(errno) => return Err(host(directory, "opening", errno)),
        }
    };
    let path = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let within = StoreDirectory::of(&root).map_err(|errno| host(directory, "opening", errno))?;
    if let Some(owner) = within.stranger() {
        return Err(OpenError::Stranger { directory: directory.into(), owner });
    }
    match within.open(HEADER, OFlags::RDONLY) {
        Ok(_) => {}
        Err(Refusal::Host(Errno::NOENT)) if may_make => make(directory, within, options)?,
        Err(Refusal::Host(Errno::NOENT)) => {
            refuse_strangers(directory, within)?;
            return Err(OpenError::ReadOnlyAndAbsent { directory: directory.into() });
        }
        Err(refusal) => return Err(refused(directory, HEADER, "opening", refusal)),
    }
    let (header, frozen) = map_header(directory, within)?;
    let recent = map_recent(directory, within, frozen)?;
    Ok(Layout { path, root, directory: within, header, recent, frozen })
}

/// Whether a directory has a store's header.
pub fn is_there(directory: &Path) -> bool {
    rustix::fs::access(directory.join(HEADER), rustix::fs::Access::EXISTS).is_ok()
}

fn check_options(options: &MountOptions) -> Result<(), OpenError> {
    if let Some(chunk_bytes) = options.chunk_bytes
        && (!CHUNK_BYTES_RANGE.contains(&chunk_bytes) || chunk_bytes % CHUNK_BYTES_STEP != 0)
    {
        return Err(OpenError::ChunkSize { chunk_bytes });
    }
    match options.targets {
        Some(targets) if !TARGETS_RANGE.contains(&targets) => Err(OpenError::Targets { targets }),
        _ => Ok(()),
    }
}

/// The host's refusal in the store's terms.
pub fn host_error(directory: &Path, path: &Path, doing: &'static str, errno: Errno) -> OpenError {
    let directory = directory.to_owned();
    match errno {
        Errno::NOSPC | Errno::DQUOT => OpenError::DiskFull { directory },
        Errno::ROFS => OpenError::ReadOnlyAndAbsent { directory },
        Errno::ACCESS => OpenError::NoRight { directory, refused: path.to_owned() },
        errno => OpenError::Host { path: path.to_owned(), doing, errno },
    }
}

/// A refusal in the store's terms.
pub fn refused(directory: &Path, name: &str, doing: &'static str, refusal: Refusal) -> OpenError {
    match refusal {
        Refusal::Host(errno) => host_error(directory, &directory.join(name), doing, errno),
        foreign => {
            let what = format!("its `{name}` {foreign}");
            OpenError::Foreign { directory: directory.to_owned(), what }
        }
    }
}

fn make_directories(directory: &Path) -> Result<(), OpenError> {
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty())
        && rustix::fs::access(parent, rustix::fs::Access::EXISTS) == Err(Errno::NOENT)
    {
        make_directories(parent)?;
    }
    match rustix::fs::mkdir(directory, PRIVATE_DIRECTORY) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(host_error(directory, directory, "making", errno)),
    }
}

/// A directory with anything of somebody else's in it is not to be filled with ours.
fn refuse_strangers(directory: &Path, within: StoreDirectory) -> Result<(), OpenError> {
    let host = |errno| host_error(directory, directory, "listing", errno);
    let listed = within.open_directory(".").map_err(|refusal| refused(directory, ".", "listing", refusal))?;
    let mut buffer = Vec::with_capacity(8192);
    let mut entries = rustix::fs::RawDir::new(listed.as_fd(), buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(host)?;
        let name = entry.file_name().to_bytes();
        let known = OURS.iter().any(|known| known.as_bytes() == name);
        if !known && name != b"." && name != b".." {
            let found = format!("it holds other files, {} for one", String::from_utf8_lossy(name));
            return Err(OpenError::NotAStore { directory: directory.into(), found });
        }
    }
    Ok(())
}

/// Makes a store, one maker at a time.
fn make(directory: &Path, within: StoreDirectory, options: &MountOptions) -> Result<(), OpenError> {
    refuse_strangers(directory, within)?;
    let host = |name: &str, errno| host_error(directory, &directory.join(name), "making", errno);
    let refused = |name: &str, refusal| refused(directory, name, "making", refusal);
    let live = within.open(LIVE, OFlags::RDWR | OFlags::CREATE).map_err(|refusal| refused(LIVE, refusal))?;
    lock_patiently(live.as_fd(), RangeLock::Write, OPENING_BYTE)
        .map_err(|errno| host(LIVE, errno))?
        .then_some(())
        .ok_or_else(|| OpenError::Busy { directory: directory.to_owned() })?;
    if within.stat(HEADER).is_ok() {
        return Ok(());
    }
    let targets = options.targets.unwrap_or(1);
    let chunk_bytes = options.chunk_bytes.unwrap_or(CHUNK_BYTES_DEFAULT);
    let mut directories = vec![NAMES.to_owned(), TARGETS.to_owned(), STAND_INS.to_owned()];
    directories.extend((0..targets).map(|target| format!("{TARGETS}/{target}")));
    for name in &directories {
        within.make_directory(name).map_err(|refusal| refused(name, refusal))?;
    }
    // What a maker that was killed on the way may have left is begun anew.
    for (name, length) in [(NODES, 0), (SLOTS, 0), (RECENT, RECENT_BYTES as u64)] {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let file = within.open(name, flags).map_err(|refusal| refused(name, refusal))?;
        if length != 0 {
            file_size_limit::without(|| kernel::allocate(file.as_fd(), 0, length))
                .map_err(|errno| host(name, errno))?;
        }
        rustix::fs::fsync(file.as_fd()).map_err(|errno| host(name, errno))?;
    }
    for name in [TREE, TREE_LOCK] {
        match within.remove(name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Refusal::Host(Errno::NOENT)) => {}
            Err(refusal) => return Err(refused(name, refusal)),
        }
    }
    // With the header the store exists, also after a cut of power.
    within.sync_directory(".").map_err(|refusal| refused(HEADER, refusal))?;
    file_size_limit::without(|| write_header(within, targets, chunk_bytes))
        .map_err(|refusal| refused(HEADER, refusal))?;
    within.sync_directory(".").map_err(|refusal| refused(HEADER, refusal))
}

fn write_header(within: StoreDirectory, targets: u32, chunk_bytes: u64) -> Result<(), Refusal> {
    let mut random = [0u8; 16];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(Refusal::Host)?;
    let numbers = [0, 8].map(|at| u64::from_ne_bytes(*random[at..].first_chunk().unwrap_or(&[1; 8])));
    let mut bytes = Box::new([0u8; HEADER_BYTES]);
    // Without a boot number: whoever opens it first begins from nothing.
    Header::initialise(&mut bytes, targets, chunk_bytes, numbers, !host::is_in_memory(within.as_fd()));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
    let file = within.open(HEADER_NEW, flags)?;
    let written = kernel::write_at(file.as_fd().as_raw_fd(), &Segment::of_slice(&bytes[..]), 0);
    if written.map_err(Refusal::Host)? != HEADER_BYTES {
        return Err(Refusal::Host(Errno::NOSPC));
    }
    rustix::fs::fsync(file.as_fd()).map_err(Refusal::Host)?;
    within.rename(HEADER_NEW, HEADER)
}

/// Takes a lock, waiting for others for some seconds. False if they did not go.
///
/// # Errors
/// As fcntl(2).
pub fn lock_patiently(live: std::os::fd::BorrowedFd<'_>, lock: RangeLock, byte: u64) -> crate::ground::Result<bool> {
    // An opening takes less than a millisecond: often at first, then seldom.
    const OFTEN: (u32, u32) = (100, 100);
    const SELDOM: (u32, u32) = (PATIENCE_MILLISECONDS / 2, 2000);
    for (times, microseconds) in [OFTEN, SELDOM] {
        for _ in 0..times {
            if kernel::lock_range(live, lock, byte, 1)? {
                return Ok(true);
            }
            kernel::sleep(microseconds);
        }
    }
    Ok(false)
}

fn map_header(directory: &Path, within: StoreDirectory) -> Result<(NonNull<Header>, bool), OpenError> {
    let path = directory.join(HEADER);
    let host = |errno| host_error(directory, &path, "opening", errno);
    let damaged = |what: &str| OpenError::Damaged { directory: directory.to_owned(), what: what.to_owned() };
    let refused = |refusal| refused(directory, HEADER, "opening", refusal);
    let (file, frozen) = match within.open(HEADER, OFlags::RDWR) {
        Ok(file) => (file, false),
        Err(Refusal::Host(Errno::ROFS)) => (within.open(HEADER, OFlags::RDONLY).map_err(refused)?, true),
        Err(refusal) => return Err(refused(refusal)),
    };
    let mut start = [0u8; 24];
    let count = kernel::read_at(file.as_fd().as_raw_fd(), &Segment::of_slice_mut(&mut start), 0).map_err(host)?;
    if count < start.len() || start[..16] != MAGIC {
        let found = format!("its file `{HEADER}` does not begin as a store's");
        return Err(OpenError::NotAStore { directory: directory.to_owned(), found });
    }
    let format = u32::from_ne_bytes(*start[16..].first_chunk().unwrap_or(&[0; 4]));
    if format > FORMAT {
        return Err(OpenError::NewerFormat { directory: directory.to_owned(), format, known: FORMAT });
    }
    let targets = u32::from_ne_bytes(*start[20..].first_chunk().unwrap_or(&[0; 4]));
    if format == 0 || !TARGETS_RANGE.contains(&targets) {
        return Err(damaged("its header's numbers are out of range"));
    }
    let size = rustix::fs::fstat(file.as_fd()).map_err(host)?.st_size;
    if size < HEADER_BYTES as i64 {
        return Err(damaged("its header is cut off"));
    }
    let start = map_whole(&file, HEADER_BYTES, frozen).map_err(host)?;
    NonNull::new(start.cast()).map(|header| (header, frozen)).ok_or_else(|| host(Errno::NOMEM))
}

fn map_recent(directory: &Path, within: StoreDirectory, frozen: bool) -> Result<NonNull<Recent>, OpenError> {
    let path = directory.join(RECENT);
    let host = |errno| host_error(directory, &path, "opening", errno);
    let access = if frozen { OFlags::RDONLY } else { OFlags::RDWR };
    let file = match within.open(RECENT, access) {
        Err(Refusal::Host(Errno::NOENT)) => {
            let what = format!("its file `{RECENT}` is gone");
            return Err(OpenError::Damaged { directory: directory.to_owned(), what });
        }
        opened => opened.map_err(|refusal| refused(directory, RECENT, "opening", refusal))?,
    };
    if rustix::fs::fstat(file.as_fd()).map_err(host)?.st_size < RECENT_BYTES as i64 {
        let what = format!("its file `{RECENT}` is cut off");
        return Err(OpenError::Damaged { directory: directory.to_owned(), what });
    }
    let start = map_whole(&file, RECENT_BYTES, frozen).map_err(host)?;
    NonNull::new(start.cast()).ok_or_else(|| host(Errno::NOMEM))
}

fn map_whole(file: &Low, length: usize, frozen: bool) -> crate::ground::Result<*mut std::ffi::c_void> {
    let protection = if frozen { ProtFlags::READ } else { ProtFlags::READ | ProtFlags::WRITE };
    // SAFETY: a new mapping of a file that is as long, has its space, and never shrinks.
    unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file.as_fd(), 0) }
}

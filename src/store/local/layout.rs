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
//! targets/T/HH/     object files, INO.GENERATION
//! stand-ins/        directories for the kernel to stand in, INO.GENERATION
//! ```
#![allow(unsafe_code)]

use super::header::{FORMAT, HEADER_BYTES, Header, MAGIC};
use super::log::host;
use super::recent::{RECENT_BYTES, Recent};
use super::record::RECORD_BYTES;
use super::store::SLOT_BYTES;
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
const TREE: &str = "names/data.mdb";
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
/// The directory of targets.
pub const TARGETS: &str = "targets";
/// The directory of stand-ins.
pub const STAND_INS: &str = "stand-ins";
const HEADER_NEW: &str = "store.new";

const OURS: [&str; 12] =
    [LIVE, HEADER, HEADER_NEW, NAMES, NODES, SLOTS, RECENT, LOG, CHECKPOINTS[0], CHECKPOINTS[1], TARGETS, STAND_INS];

/// The byte of `live` that is locked while the store is made or opened.
pub const OPENING_BYTE: u64 = 0;

/// How long an opener waits for another, in milliseconds.
pub const PATIENCE_MILLISECONDS: u32 = 10_000;

/// The chunk size of new files of a new store, unless the mount says otherwise: DAOS's own.
const CHUNK_BYTES_DEFAULT: u64 = 1 << 20;

const PRIVATE_FILE: Mode = Mode::from_raw_mode(0o600);
const PRIVATE_DIRECTORY: Mode = Mode::from_raw_mode(0o700);

/// A store's directory, with its header mapped.
pub struct Layout {
    /// Its path, absolute.
    pub path: PathBuf,
    /// The directory itself.
    pub root: Parked,
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
            let stat = rustix::fs::statat(&self.root, name, rustix::fs::AtFlags::empty());
            let length = stat.map_or(0, |stat| stat.st_size.cast_unsigned());
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
    match Low::open(root.as_fd(), HEADER, OFlags::RDONLY, Mode::empty()) {
        Ok(_) => {}
        Err(Errno::NOENT) if may_make => make(directory, &root, options)?,
        Err(Errno::NOENT) => {
            refuse_strangers(directory, &root)?;
            return Err(OpenError::ReadOnlyAndAbsent { directory: directory.into() });
        }
        Err(errno) => return Err(host(&directory.join(HEADER), "opening", errno)),
    }
    let (header, frozen) = map_header(directory, &root)?;
    let recent = map_recent(directory, &root, frozen)?;
    Ok(Layout { path, root, header, recent, frozen })
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
        Errno::ACCESS | Errno::PERM => OpenError::NoRight { directory, refused: path.to_owned() },
        errno => OpenError::Host { path: path.to_owned(), doing, errno },
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
fn refuse_strangers(directory: &Path, root: &Parked) -> Result<(), OpenError> {
    let host = |errno| host_error(directory, directory, "listing", errno);
    let listed = Low::open(root.as_fd(), ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map_err(host)?;
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
fn make(directory: &Path, root: &Parked, options: &MountOptions) -> Result<(), OpenError> {
    refuse_strangers(directory, root)?;
    let within = |name: &str| directory.join(name);
    let host = |name: &str, errno| host_error(directory, &within(name), "making", errno);
    let live = Low::open(root.as_fd(), LIVE, OFlags::RDWR | OFlags::CREATE, PRIVATE_FILE)
        .map_err(|errno| host(LIVE, errno))?;
    lock_patiently(live.as_fd(), RangeLock::Write, OPENING_BYTE)
        .map_err(|errno| host(LIVE, errno))?
        .then_some(())
        .ok_or_else(|| OpenError::Busy { directory: directory.to_owned() })?;
    if rustix::fs::accessat(root, HEADER, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty()).is_ok() {
        return Ok(());
    }
    let targets = options.targets.unwrap_or(1);
    let chunk_bytes = options.chunk_bytes.unwrap_or(CHUNK_BYTES_DEFAULT);
    let mut directories = vec![NAMES.to_owned(), TARGETS.to_owned(), STAND_INS.to_owned()];
    directories.extend((0..targets).map(|target| format!("{TARGETS}/{target}")));
    for name in &directories {
        match rustix::fs::mkdirat(root, name.as_str(), PRIVATE_DIRECTORY) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(host(name, errno)),
        }
    }
    // What a maker that was killed on the way may have left is begun anew.
    for (name, length) in [(NODES, 0), (SLOTS, 0), (RECENT, RECENT_BYTES as u64)] {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let file = Low::open(root.as_fd(), name, flags, PRIVATE_FILE).map_err(|errno| host(name, errno))?;
        if length != 0 {
            file_size_limit::without(|| kernel::allocate(file.as_fd(), 0, length))
                .map_err(|errno| host(name, errno))?;
        }
        rustix::fs::fsync(file.as_fd()).map_err(|errno| host(name, errno))?;
    }
    for name in ["names/data.mdb", "names/lock.mdb"] {
        match rustix::fs::unlinkat(root, name, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(host(name, errno)),
        }
    }
    // With the header the store exists, also after a cut of power.
    sync_directory(root).map_err(|errno| host(HEADER, errno))?;
    file_size_limit::without(|| write_header(root, targets, chunk_bytes)).map_err(|errno| host(HEADER, errno))?;
    sync_directory(root).map_err(|errno| host(HEADER, errno))
}

/// Waits until the names in the store's directory are on stable storage.
fn sync_directory(root: &Parked) -> crate::ground::Result<()> {
    rustix::fs::fsync(Low::open(root.as_fd(), ".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?.as_fd())
}

fn write_header(root: &Parked, targets: u32, chunk_bytes: u64) -> crate::ground::Result<()> {
    let mut random = [0u8; 16];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let numbers = [0, 8].map(|at| u64::from_ne_bytes(*random[at..].first_chunk().unwrap_or(&[1; 8])));
    let mut bytes = Box::new([0u8; HEADER_BYTES]);
    // Without a boot number: whoever opens it first begins from nothing.
    Header::initialise(&mut bytes, targets, chunk_bytes, numbers, !host::is_in_memory(root.as_fd()));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
    let file = Low::open(root.as_fd(), HEADER_NEW, flags, PRIVATE_FILE)?;
    let written = kernel::write_at(file.as_fd().as_raw_fd(), &Segment::of_slice(&bytes[..]), 0)?;
    if written != HEADER_BYTES {
        return Err(Errno::NOSPC);
    }
    rustix::fs::fsync(file.as_fd())?;
    rustix::fs::renameat(root, HEADER_NEW, root, HEADER)
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

fn map_header(directory: &Path, root: &Parked) -> Result<(NonNull<Header>, bool), OpenError> {
    let path = directory.join(HEADER);
    let host = |errno| host_error(directory, &path, "opening", errno);
    let damaged = |what: &str| OpenError::Damaged { directory: directory.to_owned(), what: what.to_owned() };
    let (file, frozen) = match Low::open(root.as_fd(), HEADER, OFlags::RDWR, Mode::empty()) {
        Ok(file) => (file, false),
        Err(Errno::ROFS) => (Low::open(root.as_fd(), HEADER, OFlags::RDONLY, Mode::empty()).map_err(host)?, true),
        Err(errno) => return Err(host(errno)),
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

fn map_recent(directory: &Path, root: &Parked, frozen: bool) -> Result<NonNull<Recent>, OpenError> {
    let path = directory.join(RECENT);
    let host = |errno| host_error(directory, &path, "opening", errno);
    let access = if frozen { OFlags::RDONLY } else { OFlags::RDWR };
    let file = match Low::open(root.as_fd(), RECENT, access, Mode::empty()) {
        Err(Errno::NOENT) => {
            let what = format!("its file `{RECENT}` is gone");
            return Err(OpenError::Damaged { directory: directory.to_owned(), what });
        }
        opened => opened.map_err(host)?,
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

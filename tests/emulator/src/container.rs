//! A container on the host: a store of the embedded engine that holds objects, and a page that all processes share.
//!
//! Objects are DAOS's, not files: a directory is an object with an entry under each name ([`crate::keys`]), a file is an
//! array with a number ([`crate::array`]); that one leads to the other is libdfs's business, and so it is here. In the
//! embedded store they lie under `keys/OID/NAME` and `arrays/OID`, and new entries are made in `staging` and moved.

use crate::errors::{Answer, Der};
use crate::settings::{LAYOUT_VERSION, settings};
use crate::shared_page::SharedPage;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sidestep::ground::buffer::Segment;
use sidestep::ground::kernel::{self, Low, Parked, RangeLock};
use sidestep::ground::mounts::MountOptions;
use sidestep::store::local::LocalContainer;
use sidestep::store::{Container as _, Found, Kind, NewNode, NodeId};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Words of a container's page.
const NUMBERS: usize = 0;

/// Word of a pool's page.
const USED_BYTES: usize = 0;

/// A container that is open in this process.
pub struct Container {
    /// Its directory on the host.
    pub directory: PathBuf,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// Chunk size of its files in bytes.
    pub chunk_bytes: u64,
    /// Whether it was made as a POSIX container.
    pub is_posix: bool,
    /// What its superblock says of the layout.
    pub layout_version: u16,
    /// Whether it can be written to.
    pub is_writable: bool,
    /// The embedded engine.
    pub store: LocalContainer,
    /// Where directories' objects are.
    pub keys: NodeId,
    /// Where files' objects are.
    pub arrays: NodeId,
    /// Where entries are made.
    pub staging: NodeId,
    lock: Mutex<Parked>,
    page: SharedPage,
    pool_page: SharedPage,
}

/// All that are open.
static OPEN: Mutex<Vec<Weak<Container>>> = Mutex::new(Vec::new());

/// Locks what the real library locks too; a panic in between does not count.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `daos_reinit` does for the containers that are open.
pub fn after_fork_in_child() {
    for container in locked(&OPEN).iter().filter_map(Weak::upgrade) {
        let _ = container.store.after_fork_in_child();
        if let Ok(lock) = open_lock(&container.directory, container.is_writable) {
            *locked(&container.lock) = lock;
        }
    }
}

impl Container {
    /// Opens the container in `directory`, of the pool in the directory above it.
    ///
    /// # Errors
    /// `DER_NONEXIST` if it is none; what the host answers.
    pub fn open(directory: &Path, pool: &Path, is_writable: bool) -> Answer<Arc<Self>> {
        let container = Arc::new(Self::open_at(directory, pool, is_writable)?);
        let mut open = locked(&OPEN);
        open.retain(|known| known.strong_count() != 0);
        open.push(Arc::downgrade(&container));
        Ok(container)
    }

    /// As [`Container::open`], but nobody tells it of a fork.
    ///
    /// # Errors
    /// As there.
    pub fn open_at(directory: &Path, pool: &Path, is_writable: bool) -> Answer<Self> {
        let properties = Properties::read(directory).ok_or(Der::NONEXIST)?;
        let options = MountOptions { readonly: !is_writable, ..MountOptions::default() };
        let store = LocalContainer::open(&directory.join(STORE), &options).map_err(|error| {
            crate::settings::complain(&error.to_string());
            error.errno()
        })?;
        let root = store.root();
        let at = |name: &str| match store.lookup(root, name.as_bytes()) {
            Err(Errno::NOENT) if is_writable => make_directory(&store, root, name),
            found => found,
        };
        let (keys, arrays, staging) = (at("keys")?.node, at("arrays")?.node, at("staging")?.node);
        Ok(Self {
            directory: directory.to_owned(),
            uuid: properties.uuid,
            chunk_bytes: properties.chunk_bytes,
            is_posix: properties.layout == "posix",
            layout_version: properties.layout_version,
            is_writable,
            keys,
            arrays,
            staging,
            lock: Mutex::new(open_lock(directory, is_writable)?),
            page: SharedPage::map(&directory.join("page"))?,
            pool_page: SharedPage::map(&pool.join("page"))?,
            store,
        })
    }

    /// A number that no other mount has.
    ///
    /// # Errors
    /// `DER_NO_PERM` where it is open for reading alone.
    pub fn take_number(&self) -> Answer<u64> {
        if !self.is_writable {
            return Err(Der::NO_PERM.into());
        }
        Ok(self.page.add(NUMBERS, 1) + 1)
    }

    /// Alone with the entries until the guard is dropped: no other process or thread changes any.
    ///
    /// # Errors
    /// What the host answers.
    pub fn lock(&self) -> Answer<Alone<'_>> {
        let guard = locked(&self.lock);
        let descriptor = guard.as_fd();
        while !kernel::lock_range(descriptor, RangeLock::Write, 0, 1)? {
            rustix::thread::sched_yield();
        }
        Ok(Alone { guard })
    }

    /// Takes room in the pool.
    ///
    /// # Errors
    /// `DER_NOSPACE`.
    pub fn take_room(&self, bytes: u64) -> Answer<()> {
        if bytes != 0 && self.pool_page.add(USED_BYTES, bytes) + bytes > settings().pool_bytes {
            self.pool_page.subtract(USED_BYTES, bytes);
            return Err(Der::NOSPACE.into());
        }
        Ok(())
    }

    /// Gives room back.
    pub fn give_room(&self, bytes: u64) {
        self.pool_page.subtract(USED_BYTES, bytes);
    }

    /// What `directory` holds under `name`.
    ///
    /// # Errors
    /// What the embedded engine answers, but for `ENOENT`.
    pub fn find(&self, directory: NodeId, name: &[u8]) -> Answer<Option<Found>> {
        match self.store.lookup(directory, name) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::STALE) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Bytes of a pool that are in use.
///
/// # Errors
/// What the host answers.
pub fn used_bytes(pool: &Path) -> Answer<u64> {
    Ok(SharedPage::map(&pool.join("page"))?.get(USED_BYTES))
}

/// Held while entries are changed.
pub struct Alone<'a> {
    guard: MutexGuard<'a, Parked>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let _ = kernel::lock_range(self.guard.as_fd(), RangeLock::None, 0, 1);
    }
}

/// A directory in the embedded store, if another process has made it meanwhile.
///
/// # Errors
/// What the embedded engine answers.
pub fn make_directory(store: &LocalContainer, parent: NodeId, name: &str) -> rustix::io::Result<Found> {
    let new = NewNode { kind: Kind::Directory, mode: 0o700, uid: 0, gid: 0, target: b"" };
    match store.create(parent, name.as_bytes(), &new) {
        Err(Errno::EXIST) => store.lookup(parent, name.as_bytes()),
        made => made,
    }
}

fn open_lock(directory: &Path, is_writable: bool) -> rustix::io::Result<Parked> {
    let flags = if is_writable { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDONLY };
    Low::open(CWD, directory.join("lock"), flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?.park()
}

/// The embedded store's directory in a container's.
const STORE: &str = "store";

/// What a container or pool was made with.
pub struct Properties {
    /// Its UUID.
    pub uuid: [u8; 16],
    /// `posix`, or whatever else.
    pub layout: String,
    /// Which version of it.
    pub layout_version: u16,
    /// Chunk size in bytes.
    pub chunk_bytes: u64,
}

/// libdfs's chunk size where nobody asks for another.
const CHUNK_BYTES: u64 = 1 << 20;

impl Properties {
    /// Of what is in `directory`; `None` if nothing is.
    pub fn read(directory: &Path) -> Option<Self> {
        let text = read_file(&directory.join("properties"))?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(str::to_owned)
        };
        let chunk_bytes = value("chunk").and_then(|text| text.parse().ok()).filter(|bytes| *bytes != 0);
        Some(Self {
            uuid: parse_uuid(&value("uuid")?)?,
            layout: value("layout").unwrap_or_default(),
            layout_version: value("version").and_then(|text| text.parse().ok()).unwrap_or(LAYOUT_VERSION),
            chunk_bytes: chunk_bytes.unwrap_or(CHUNK_BYTES),
        })
    }

    /// Makes a pool or container, with a new UUID. Nothing happens where it is already.
    ///
    /// # Errors
    /// What the host answers.
    pub fn write(directory: &Path, layout: &str, chunk_bytes: u64) -> Answer<()> {
        let make = |path: &Path| match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno),
        };
        make(directory)?;
        let mut uuid = [0; 16];
        rustix::rand::getrandom(&mut uuid, rustix::rand::GetRandomFlags::empty())?;
        let (uuid, version) = (format_uuid(uuid), settings().layout_version);
        let text = format!("uuid={uuid}\nlayout={layout}\nversion={version}\nchunk={chunk_bytes}\n");
        let staged = directory.join(format!("properties.{}", rustix::process::getpid().as_raw_nonzero()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = Low::open(rustix::fs::CWD, &staged, flags, Mode::from_raw_mode(0o600))?;
        kernel::write(file.number(), &Segment::of_slice(text.as_bytes()))?;
        // A link, not a rename: of two processes that make one container at once, the first has it.
        let made = match rustix::fs::link(&staged, directory.join("properties")) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno),
        };
        rustix::fs::unlink(&staged)?;
        Ok(made?)
    }
}

fn read_file(path: &Path) -> Option<String> {
    let file = Low::open(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = vec![0; 1024];
    let length = rustix::io::pread(&file, &mut text, 0).ok()?;
    text.truncate(length);
    String::from_utf8(text).ok()
}

/// The text of a UUID, as bytes.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    (digits.len() == 32 && text.len() == 36).then_some(())?;
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

fn format_uuid(uuid: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(uuid));
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

//! The store's directory, and the one way to open what is in it.
//!
//! Whoever can write to the directory can put anything in the place of a file: a symlink to a file of the user's, a hard link
//! of one, a FIFO that nobody writes to. So nothing is opened through a symlink, nothing is waited for, and what was opened
//! is looked at before it is used: a regular file, or a directory, of the store's owner, and with one name.
//!
//! A store belongs to the owner of its directory. Somebody else, root too, may use it where the directory's mode lets others
//! write (`g+w` or `o+w`): whoever may write there may replace every file, so its owner has given the store into their
//! hands by that, and by nothing less. Files in such a store are made with the directory's rights, and may be anybody's.

use crate::ground::kernel::{self, Low, Parked};
use crate::ground::{Errno, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Rights of others to write.
const SHARED_MODE: u32 = 0o022;

/// The directory, open for as long as the store is, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct StoreDirectory {
    number: RawFd,
    owner: u32,
    mode: u32,
}

/// Why a file of the store was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The host's answer.
    Host(Errno),
    /// A symlink, on the way or at the end.
    Symlink,
    /// Neither a regular file nor a directory, or the other one of them.
    Kind(FileType),
    /// Somebody else's.
    Owner(u32),
    /// A file that has other names on the host.
    Names(u64),
}

impl Refusal {
    /// What a call answers that met it.
    pub fn errno(self) -> Errno {
        match self {
            Self::Host(errno) => errno,
            Self::Symlink | Self::Kind(_) | Self::Owner(_) | Self::Names(_) => Errno::IO,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(errno) => errno.fmt(f),
            Self::Symlink => f.write_str("is a symlink, or lies behind one"),
            Self::Kind(FileType::Directory) => f.write_str("is a directory"),
            Self::Kind(FileType::RegularFile) => f.write_str("is a file and no directory"),
            Self::Kind(FileType::Fifo) => f.write_str("is a FIFO"),
            Self::Kind(FileType::Socket) => f.write_str("is a socket"),
            Self::Kind(FileType::CharacterDevice | FileType::BlockDevice) => f.write_str("is a device"),
            Self::Kind(FileType::Symlink | FileType::Unknown) => f.write_str("is no regular file"),
            Self::Owner(owner) => write!(f, "belongs to user {owner}"),
            Self::Names(count) => write!(f, "has {count} names on the host"),
        }
    }
}

impl StoreDirectory {
    /// Of an open directory, which outlives this.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn of(root: &Parked) -> Result<Self> {
        let stat = rustix::fs::fstat(root)?;
        Ok(Self { number: root.as_fd().as_raw_fd(), owner: stat.st_uid, mode: stat.st_mode & 0o7777 })
    }

    /// The owner, if that is somebody else who does not share the store.
    pub fn stranger(self) -> Option<u32> {
        let is_ours = self.owner == rustix::process::geteuid().as_raw() || self.mode & SHARED_MODE != 0;
        (!is_ours).then_some(self.owner)
    }

    /// The directory itself.
    #[inline]
    pub fn as_fd<'a>(self) -> BorrowedFd<'a> {
        kernel::borrow(self.number)
    }

    /// Opens a regular file; `access` is for reading or for both, and may have `CREATE` and `TRUNC`.
    ///
    /// # Errors
    /// As [`Refusal`] has them.
    pub fn open(self, path: &str, access: OFlags) -> std::result::Result<Low, Refusal> {
        // What is cut is looked at first.
        let (flags, cuts) = (access.difference(OFlags::TRUNC), access.contains(OFlags::TRUNC));
        let mode = if access.contains(OFlags::CREATE) { self.file_mode() } else { Mode::empty() };
        let file = self.open_any(path, flags, mode)?;
        self.judge(&file, FileType::RegularFile)?;
        if cuts {
            rustix::fs::ftruncate(file.as_fd(), 0).map_err(Refusal::Host)?;
        }
        if access.contains(OFlags::CREATE) && self.mode & SHARED_MODE != 0 {
            // The umask of whoever makes a file is not for those who share it. Somebody else's has its mode.
            let _ = rustix::fs::fchmod(file.as_fd(), self.file_mode());
        }
        Ok(file)
    }

    /// Opens a directory, to be listed.
    ///
    /// # Errors
    /// As [`Refusal`] has them.
    pub fn open_directory(self, path: &str) -> std::result::Result<Low, Refusal> {
        let directory = self.open_any(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        self.judge(&directory, FileType::Directory)?;
        Ok(directory)
    }

    fn open_any(self, path: &str, flags: OFlags, mode: Mode) -> std::result::Result<Low, Refusal> {
        Low::open_beneath(self.as_fd(), path, flags, mode).map_err(|errno| match errno {
            // The kernel's words for what is not what it should be; the thing itself tells more.
            Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR | Errno::NODEV | Errno::OPNOTSUPP => {
                self.kind_instead(path, errno)
            }
            errno => Refusal::Host(errno),
        })
    }

    /// What stands where a file or directory should be.
    fn kind_instead(self, path: &str, errno: Errno) -> Refusal {
        match rustix::fs::statat(self.as_fd(), path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => Refusal::Symlink,
                kind => Refusal::Kind(kind),
            },
            Err(_) if errno == Errno::LOOP || errno == Errno::NOTDIR => Refusal::Symlink,
            Err(errno) => Refusal::Host(errno),
        }
    }

    /// Whether what was opened is the store's.
    fn judge(self, file: &Low, wanted: FileType) -> std::result::Result<(), Refusal> {
        let stat = rustix::fs::fstat(file.as_fd()).map_err(Refusal::Host)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != wanted {
            return Err(Refusal::Kind(kind));
        }
        if stat.st_uid != self.owner && self.mode & SHARED_MODE == 0 {
            return Err(Refusal::Owner(stat.st_uid));
        }
        if wanted == FileType::RegularFile && stat.st_nlink > 1 {
            return Err(Refusal::Names(stat.st_nlink));
        }
        Ok(())
    }

    /// What the host tells of a file, which must be the store's.
    ///
    /// # Errors
    /// As [`Refusal`] has them.
    pub fn stat(self, path: &str) -> std::result::Result<Stat, Refusal> {
        let file = self.open_any(path, OFlags::PATH, Mode::empty())?;
        self.judge(&file, FileType::RegularFile)?;
        rustix::fs::fstat(file.as_fd()).map_err(Refusal::Host)
    }

    /// Waits until what is in a directory is on stable storage.
    ///
    /// # Errors
    /// As fsync(2), as [`Refusal`] has them.
    pub fn sync_directory(self, path: &str) -> std::result::Result<(), Refusal> {
        rustix::fs::fsync(self.open_directory(path)?.as_fd()).map_err(Refusal::Host)
    }

    /// Waits until the directory above knows this one on stable storage. One that is closed to us is not of our making.
    ///
    /// # Errors
    /// As fsync(2).
    pub fn sync_above(self) -> Result<()> {
        match Low::open(self.as_fd(), "..", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
            Ok(above) => rustix::fs::fsync(above.as_fd()),
            Err(_) => Ok(()),
        }
    }

    /// Makes a directory; one that is there is no error.
    ///
    /// # Errors
    /// As mkdirat(2), [`Refusal`] for what is on the way.
    pub fn make_directory(self, path: &str) -> std::result::Result<(), Refusal> {
        let mode = Mode::from_raw_mode(0o700 | self.shared_bits());
        self.in_parent(path, |parent, name| match rustix::fs::mkdirat(parent, name, mode) {
            Ok(()) if self.mode & SHARED_MODE != 0 => rustix::fs::chmodat(parent, name, mode, AtFlags::empty()),
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno),
        })
    }

    /// Removes a file, or with `AtFlags::REMOVEDIR` a directory.
    ///
    /// # Errors
    /// As unlinkat(2), [`Refusal`] for what is on the way.
    pub fn remove(self, path: &str, flags: AtFlags) -> std::result::Result<(), Refusal> {
        self.in_parent(path, |parent, name| rustix::fs::unlinkat(parent, name, flags))
    }

    /// Moves what is at `path`, whatever it is, to a new name in the directory itself.
    ///
    /// # Errors
    /// `EEXIST`; as renameat2(2), [`Refusal`] for what is on the way.
    pub fn move_up(self, path: &str, name_there: &str) -> std::result::Result<(), Refusal> {
        self.in_parent(path, |parent, name| {
            rustix::fs::renameat_with(parent, name, self.as_fd(), name_there, rustix::fs::RenameFlags::NOREPLACE)
        })
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// As [`Refusal`] has them.
    pub fn list(self, path: &str) -> std::result::Result<Vec<String>, Refusal> {
        let directory = self.open_directory(path)?;
        let mut buffer = Vec::with_capacity(8192);
        let mut entries = rustix::fs::RawDir::new(directory.as_fd(), buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let name = entry.map_err(Refusal::Host)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Puts the file `from` in the place of `to`; both lie in the directory itself.
    ///
    /// # Errors
    /// As renameat(2).
    pub fn rename(self, from: &str, to: &str) -> std::result::Result<(), Refusal> {
        rustix::fs::renameat(self.as_fd(), from, self.as_fd(), to).map_err(Refusal::Host)
    }

    fn in_parent(
        self,
        path: &str,
        work: impl FnOnce(BorrowedFd<'_>, &str) -> Result<()>,
    ) -> std::result::Result<(), Refusal> {
        let worked = match path.rsplit_once('/') {
            Some((parent, name)) => work(self.open_directory(parent)?.as_fd(), name),
            None => work(self.as_fd(), path),
        };
        worked.map_err(Refusal::Host)
    }

    fn file_mode(self) -> Mode {
        Mode::from_raw_mode(0o600 | self.shared_bits() & 0o066)
    }

    /// The rights that others have in a shared store.
    fn shared_bits(self) -> u32 {
        if self.mode & SHARED_MODE != 0 { self.mode & 0o077 } else { 0 }
    }
}

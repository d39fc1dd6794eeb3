//! The lists of sites on disk, one for each object, so that decoding (8 ms) happens once per libc and not once per
//! process.
//!
//! A list decides which bytes of libc are rewritten, so it is trusted only as far as the user trusts himself: the
//! directory and the file belong to the effective user and nobody else can write them, no symlink is followed, the
//! checksum fits, and the bytes of every site are those that were recorded, in memory or, where somebody has patched
//! this process, in the object's file. Whatever is wrong, the file is ignored and replaced. What is kept comes from the
//! object's file alone. Files are written under another name and renamed, so a reader sees a whole file or none.

use super::object_file::{self, ObjectFile};
use super::objects::Object;
use super::records::{self, FILE_BYTES_MAX, MAGIC};
use super::sites::{self, Found, Site};
use super::{calls, checksum};
use house::ground::{file_size_limit, mounts};
use house::posix::mount;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::os::unix::ffi::OsStringExt;

/// Where a list of sites came from; the later ones tell more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nobody asked for one.
    #[default]
    Unused,
    /// From the cache.
    Hit,
    /// There was none; it was written.
    Miss,
    /// There is no place for one. Why.
    Unavailable(&'static str),
    /// There was one that is not to be trusted; a new one was written. Why.
    Rejected(&'static str),
}

/// An object's list, as it can be used in this process.
pub struct List {
    /// What memory has as the file has it.
    pub found: Found,
    /// The sites that somebody has changed in memory.
    pub changed: Vec<Site>,
    /// Where the list came from.
    pub outcome: Outcome,
}

/// The cache's directory, or why there is none. It holds a descriptor, and one is all that a process may have at its start
/// (`ulimit -n 4`): where no second is free, the directory gives its own up to the object's file.
pub struct Cache(Result<OwnedFd, &'static str>);

impl Cache {
    /// Opens the first of the usual places that is ours alone. Made if it is not there.
    pub fn open() -> Self {
        Self(directory())
    }

    /// The list of `object`, from here or else from its file.
    ///
    /// # Errors
    /// Why its file tells nothing.
    pub fn list(&mut self, object: &Object) -> Result<List, &'static str> {
        let Some(key) = key(object) else {
            return fresh(object, Outcome::Unavailable("libc has no build id, or its file is not there"), |_, _| {});
        };
        let directory = match &self.0 {
            Ok(directory) => directory,
            Err(reason) => return fresh(object, Outcome::Unavailable(reason), |_, _| {}),
        };
        let name = format!("gate-{:016x}", checksum(&key));
        let outcome = match read(directory, &name) {
            Ok(Some(file)) => match believed(&file, &key, object) {
                Ok(list) => return Ok(list),
                Err(reason) => Outcome::Rejected(reason),
            },
            Ok(None) => Outcome::Miss,
            Err(Unread::NoDescriptor) => {
                let reason = "no descriptor is free for it";
                self.0 = Err(reason);
                return fresh(object, Outcome::Unavailable(reason), |_, _| {});
            }
            Err(Unread::Distrusted(reason)) => Outcome::Rejected(reason),
        };
        fresh(object, outcome, |list, file| {
            let content = records::encode(&list.found, &key, file.text());
            if write(directory, &name, &content).is_err() {
                list.outcome = Outcome::Unavailable("the cache directory can't be written");
            }
        })
    }
}

/// Why a file of the cache was not read.
enum Unread {
    /// The process or the system may open no more files.
    NoDescriptor,
    /// It is not as this library writes it. What is wrong.
    Distrusted(&'static str),
}

/// The list in a file of the cache. Where memory differs from it, the object's own file decides who is wrong.
fn believed(file: &[u8], key: &[u8], object: &Object) -> Result<List, &'static str> {
    let (found, differing) = records::parse(file, key, object)?;
    let mut changed = Vec::new();
    if !differing.is_empty() {
        let file = object_file::open(object)?;
        for differing in differing {
            let text = object_file::window(object, &file, differing.site.text());
            if text.as_ref() != Some(&differing.recorded) {
                return Err("a site is not what was recorded");
            }
            changed.push(differing.site);
        }
    }
    Ok(List { found, changed, outcome: Outcome::Hit })
}

/// The list of an object as its file has it: what `keep` is told of before memory is looked at.
fn fresh(object: &Object, outcome: Outcome, keep: impl Fn(&mut List, &ObjectFile)) -> Result<List, &'static str> {
    let file = ObjectFile::read(object)?;
    let mut list = List { found: sites::find(&file), changed: Vec::new(), outcome };
    keep(&mut list, &file);
    let memory = object.text_bytes();
    let is_unchanged = |site: &Site| {
        let range = site.text().start as usize..site.text().end as usize;
        memory.get(range.clone()) == file.text().get(range)
    };
    (list.found.sites, list.changed) = list.found.sites.into_iter().partition(is_unchanged);
    Ok(list)
}

/// What a list is good for: this object, unchanged on disk, and this table of calls.
fn key(object: &Object) -> Option<Vec<u8>> {
    let mut key = [*MAGIC, calls::fingerprint().to_le_bytes()].concat();
    if object.build_id.is_empty() {
        return None;
    }
    let status = object_file::status(object)?;
    let numbers = [status.st_mtime as u64, status.st_mtime_nsec, status.st_size as u64];
    for word in numbers.into_iter().chain([object.text.len() as u64, object.text_offset]) {
        key.extend_from_slice(&word.to_le_bytes());
    }
    key.extend_from_slice(object.name.as_bytes());
    key.extend_from_slice(&object.build_id);
    Some(key)
}

fn directory() -> Result<OwnedFd, &'static str> {
    let of =
        |name: &str| std::env::var_os(name).map(OsStringExt::into_vec).filter(|value| value.first() == Some(&b'/'));
    let user = rustix::process::geteuid().as_raw();
    let parents = [
        of("XDG_CACHE_HOME").map(|parent| (parent, "sidestep".to_owned())),
        of("HOME").map(|home| ([&home[..], b"/.cache"].concat(), "sidestep".to_owned())),
        Some((b"/tmp".to_vec(), format!("sidestep-{user}"))),
    ];
    let mut last = "there is no cache directory";
    for (parent, name) in parents.into_iter().flatten() {
        let path = [&parent[..], b"/", name.as_bytes()].concat();
        if mounts::leads_under(&path, mount::prefixes()) {
            last = "the cache directory lies under a prefix";
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut opened = openat(CWD, path.as_slice(), flags, Mode::empty());
        if opened.is_err() {
            let _ = mkdirat(CWD, parent.as_slice(), Mode::RWXU);
            let _ = mkdirat(CWD, path.as_slice(), Mode::RWXU);
            opened = openat(CWD, path.as_slice(), flags, Mode::empty());
        }
        match opened {
            Ok(directory) if is_private(&directory, FileType::Directory) => return Ok(directory),
            Ok(_) => last = "the cache directory belongs to others or they can write it",
            Err(_) => last = "the cache directory can't be made",
        }
    }
    Err(last)
}

/// Whether a file is of this kind, the effective user's, and for nobody else to write.
fn is_private(file: &OwnedFd, kind: FileType) -> bool {
    fstat(file).is_ok_and(|status| {
        FileType::from_raw_mode(status.st_mode) == kind
            && status.st_uid == rustix::process::geteuid().as_raw()
            && status.st_mode & 0o022 == 0
    })
}

fn read(directory: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>, Unread> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::MFILE | Errno::NFILE) => return Err(Unread::NoDescriptor),
        Err(_) => return Err(Unread::Distrusted("the file can't be opened")),
    };
    if !is_private(&file, FileType::RegularFile) {
        return Err(Unread::Distrusted("the file belongs to others or they can write it"));
    }
    let size = fstat(&file).map_or(0, |status| status.st_size as usize);
    if size > FILE_BYTES_MAX {
        return Err(Unread::Distrusted("the file is too large"));
    }
    let mut content = vec![0; size];
    match rustix::io::pread(&file, &mut content, 0) {
        Ok(read) if read == size => Ok(Some(content)),
        _ => Err(Unread::Distrusted("the file can't be read")),
    }
}

fn write(directory: &OwnedFd, name: &str, content: &[u8]) -> rustix::io::Result<()> {
    remove_older_formats(directory);
    let temporary = format!("{name}.{}", rustix::process::getpid().as_raw_nonzero());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Left by a process of this number that was killed meanwhile.
    let _ = unlinkat(directory, temporary.as_str(), AtFlags::empty());
    let file = openat(directory, temporary.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
    let written = file_size_limit::without(|| rustix::io::write(&file, content));
    let renamed = match written {
        Ok(written) if written == content.len() => renameat(directory, temporary.as_str(), directory, name),
        Ok(_) => Err(Errno::NOSPC),
        Err(error) => Err(error),
    };
    if renamed.is_err() {
        let _ = unlinkat(directory, temporary.as_str(), AtFlags::empty());
    }
    renamed
}

/// Removes the lists of versions that nobody should believe any more.
fn remove_older_formats(directory: &OwnedFd) {
    let Ok(entries) = Dir::read_from(directory) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_bytes().starts_with(b"gate-")) {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut magic = [0; 8];
        let file = openat(directory, entry.file_name(), flags, Mode::empty());
        let is_old = file.is_ok_and(|file| rustix::io::read(&file, &mut magic) == Ok(8)) && {
            magic.starts_with(&MAGIC[..6]) && magic < *MAGIC
        };
        if is_old {
            let _ = unlinkat(directory, entry.file_name(), AtFlags::empty());
        }
    }
}

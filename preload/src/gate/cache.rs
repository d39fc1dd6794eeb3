//! The list of sites on disk, by build id, so that decoding (8 ms) happens once per libc and not once per process.
//!
//! The list decides which bytes of libc are rewritten, so it is trusted only as far as the user trusts himself: the
//! directory and the file belong to the effective user and nobody else can write them, no symlink is followed, the
//! checksum fits, and every site's bytes in memory are those that were recorded. Whatever is wrong, the file is ignored
//! and replaced. Files are written under another name and renamed, so a reader sees a whole file or none.
#![allow(unsafe_code)]

use super::objects::Object;
use super::sites::{Found, JUMP_BYTES, Recheck, Site, WINDOW_BYTES_MAX};
use super::{calls, checksum};
use house::ground::{file_size_limit, mounts};
use house::posix::mount;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat, renameat, stat, unlinkat};
use std::os::unix::ffi::OsStringExt;

/// Where the list of sites came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody asked for one.
    #[default]
    Unused,
    /// From the cache.
    Hit,
    /// There was none; it was written.
    Miss,
    /// There was one that is not to be trusted; a new one was written. Why.
    Rejected(&'static str),
    /// There is no place for one. Why.
    Unavailable(&'static str),
}

/// Written first in each file; the last digits are the format's version.
const MAGIC: &[u8; 8] = b"SDSTEP03";

/// A record: eight bytes of small fields and four offsets, then the bytes from the window's start to its end.
const RECORD_BYTES: usize = TEXT_AT + TEXT_BYTES;

/// Where a record's text starts.
const TEXT_AT: usize = 24;

/// A window and a `syscall` behind it, padded.
const TEXT_BYTES: usize = WINDOW_BYTES_MAX + 4;

/// libc has some 600 sites; a file larger than 4,096 records is none of ours.
const RECORDS_COUNT_MAX: usize = 4096;

/// The list from the cache, or else from `decode`, which then is kept for the next process.
pub fn load_or(objects: &[Object; 2], decode: impl Fn(&[Object; 2]) -> Found) -> (Found, Outcome) {
    let Some(key) = key(objects) else {
        return (decode(objects), Outcome::Unavailable("libc has no build id, or its file is not there"));
    };
    let directory = match directory() {
        Ok(directory) => directory,
        Err(reason) => return (decode(objects), Outcome::Unavailable(reason)),
    };
    let name = format!("gate-{:016x}", checksum(&key));
    let outcome = match read(&directory, &name) {
        Ok(Some(file)) => match parse(&file, &key, objects) {
            Ok(found) => return (found, Outcome::Hit),
            Err(reason) => Outcome::Rejected(reason),
        },
        Ok(None) => Outcome::Miss,
        Err(reason) => Outcome::Rejected(reason),
    };
    let found = decode(objects);
    match write(&directory, &name, &encode(&found, &key, objects)) {
        Ok(()) => (found, outcome),
        Err(_) => (found, Outcome::Unavailable("the cache directory can't be written")),
    }
}

/// What a list is good for: these two objects, unchanged on disk, and this table of calls.
fn key(objects: &[Object; 2]) -> Option<Vec<u8>> {
    let mut key = [*MAGIC, calls::fingerprint().to_le_bytes()].concat();
    for object in objects {
        if object.build_id.is_empty() {
            return None;
        }
        let status = stat(object.path.as_slice()).ok()?;
        for word in [status.st_mtime as u64, status.st_mtime_nsec, status.st_size as u64, object.text.len() as u64] {
            key.extend_from_slice(&word.to_le_bytes());
        }
        key.extend_from_slice(&(object.build_id.len() as u64).to_le_bytes());
        key.extend_from_slice(&object.build_id);
    }
    Some(key)
}

/// The first of the usual places that is ours alone, opened. Made if it is not there.
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

fn read(directory: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>, &'static str> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(_) => return Err("the file can't be opened"),
    };
    if !is_private(&file, FileType::RegularFile) {
        return Err("the file belongs to others or they can write it");
    }
    let size = fstat(&file).map_or(0, |status| status.st_size as usize);
    if size > MAGIC.len() + 4096 + RECORDS_COUNT_MAX * RECORD_BYTES {
        return Err("the file is too large");
    }
    let mut content = vec![0; size];
    match rustix::io::pread(&file, &mut content, 0) {
        Ok(read) if read == size => Ok(Some(content)),
        _ => Err("the file can't be read"),
    }
}

fn write(directory: &OwnedFd, name: &str, content: &[u8]) -> rustix::io::Result<()> {
    let temporary = format!("{name}.{}", rustix::process::getpid().as_raw_nonzero());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Left by a process of this number that was killed meanwhile.
    let _ = unlinkat(directory, temporary.as_str(), rustix::fs::AtFlags::empty());
    let file = openat(directory, temporary.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
    let written = file_size_limit::without(|| rustix::io::write(&file, content));
    let renamed = match written {
        Ok(written) if written == content.len() => renameat(directory, temporary.as_str(), directory, name),
        Ok(_) => Err(rustix::io::Errno::NOSPC),
        Err(error) => Err(error),
    };
    if renamed.is_err() {
        let _ = unlinkat(directory, temporary.as_str(), rustix::fs::AtFlags::empty());
    }
    renamed
}

/// The bytes of a site that are recorded and verified.
fn text<'a>(site: &Site, objects: &'a [Object; 2]) -> Option<&'a [u8]> {
    let end = site.end.max(site.syscall.checked_add(2)?);
    objects.get(usize::from(site.object))?.text_bytes().get(site.start as usize..end as usize)
}

fn encode(found: &Found, key: &[u8], objects: &[Object; 2]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let numbers = [key.len(), found.sites.len(), found.left_alone as usize, usize::from(found.wide_registers)];
    for number in numbers {
        file.extend_from_slice(&(number as u32).to_le_bytes());
    }
    file.extend_from_slice(key);
    for site in &found.sites {
        let (displacement, next) = site.relative.unwrap_or((u8::MAX, u8::MAX));
        let class = site.class.map_or(u8::MAX, |class| class as u8);
        let (mask, target) = site.recheck.map_or((0, 0), |recheck| (recheck.mask, recheck.target));
        let text = text(site, objects).unwrap_or_default();
        file.extend_from_slice(&[
            site.object,
            class,
            displacement,
            next,
            text.len() as u8,
            u8::from(site.is_one_instruction),
            mask,
            0,
        ]);
        for offset in [site.start, site.syscall, site.end, target] {
            file.extend_from_slice(&offset.to_le_bytes());
        }
        let mut padded = [0; TEXT_BYTES];
        padded[..text.len()].copy_from_slice(text);
        file.extend_from_slice(&padded);
    }
    let sum = checksum(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

fn parse(file: &[u8], key: &[u8], objects: &[Object; 2]) -> Result<Found, &'static str> {
    let (content, sum) = file.split_last_chunk::<8>().ok_or("the file is too short")?;
    if checksum(content) != u64::from_le_bytes(*sum) {
        return Err("the checksum is wrong");
    }
    let rest = content.strip_prefix(MAGIC).ok_or("the file is of another format")?;
    let (head, rest) = rest.split_first_chunk::<16>().ok_or("the file is too short")?;
    let number = |index: usize| u32::from_le_bytes([head[index], head[index + 1], head[index + 2], head[index + 3]]);
    let (key_bytes, count) = (number(0) as usize, number(4) as usize);
    if rest.get(..key_bytes) != Some(key) {
        return Err("the file is for another libc");
    }
    let records = &rest[key_bytes..];
    if count > RECORDS_COUNT_MAX || records.len() != count * RECORD_BYTES {
        return Err("the file has another length than it says");
    }
    let mut found = Found { sites: Vec::with_capacity(count), left_alone: number(8), wide_registers: number(12) != 0 };
    let mut last = (0, 0);
    for record in records.chunks_exact(RECORD_BYTES) {
        let site = site(record, objects).ok_or("a site is not what was recorded")?;
        if (site.object, site.start) < last {
            return Err("the sites are out of order");
        }
        last = (site.object, site.end.max(site.syscall + 2));
        found.sites.push(site);
    }
    Ok(found)
}

/// The site of a record, if it makes sense and memory still has the bytes that were recorded.
fn site(record: &[u8], objects: &[Object; 2]) -> Option<Site> {
    let offset =
        |at: usize| record.get(at..at + 4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()));
    let site = Site {
        object: record[0],
        class: match record[1] {
            1 => Some(calls::Class::Descriptor),
            2 => Some(calls::Class::Mapping),
            3 => Some(calls::Class::Always),
            4 => Some(calls::Class::Making),
            u8::MAX => None,
            _ => return None,
        },
        start: offset(8)?,
        syscall: offset(12)?,
        end: offset(16)?,
        is_one_instruction: record[5] == 1,
        recheck: if record[6] == 0 { None } else { Some(Recheck { mask: record[6], target: offset(20)? }) },
        relative: if record[2] == u8::MAX { None } else { Some((record[2], record[3])) },
    };
    let window = site.end.checked_sub(site.start)? as usize;
    let before = site.syscall.checked_sub(site.start)? as usize;
    let in_place = site.end == site.syscall;
    let text_bytes = objects.get(usize::from(site.object))?.text.len();
    let sane = (JUMP_BYTES..=WINDOW_BYTES_MAX).contains(&window)
        && site.recheck.is_none_or(|recheck| in_place && (recheck.target as usize) < text_bytes)
        && (in_place || site.end >= site.syscall.checked_add(2)?)
        && site
            .relative
            .is_none_or(|(at, next)| usize::from(at) + 4 <= usize::from(next) && usize::from(next) <= window);
    let text = text(&site, objects)?;
    let recorded = record.get(TEXT_AT..)?.get(..usize::from(record[4]))?;
    (sane && text == recorded && text.get(before..before + 2) == Some(&[0x0f, 0x05])).then_some(site)
}

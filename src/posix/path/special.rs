//! The host's names for what is open and for where processes are: `/dev/stdin`, `/dev/fd/N`, `/proc/self/fd/N`,
//! `/proc/self/cwd`. The kernel has a placeholder there; what it stands for is ours.

use super::buffer::{PathBuffer, split_first};
use crate::ground::Result;
use crate::posix::descriptor::{placeholder, table};
use crate::posix::mount::Mount;
use crate::posix::{stand_in, working_directory};
use crate::store::NodeId;
use rustix::fs::{AtFlags, CWD};

/// What such a name leads to, and what is behind it, with the slash that it begins with.
pub enum Special<'a> {
    /// To a descriptor of ours.
    Descriptor(i32, &'a [u8]),
    /// To the directory that a process works in.
    Directory(&'static Mount, NodeId, &'a [u8]),
    /// To another process's descriptor that stands for a file of ours which this process has not. Followed, it would be
    /// opened as the memory that the placeholder is, and swallow what is written.
    OutOfReach(&'a [u8]),
}

/// What `path` leads to if it is such a name; `None` for every other path, at the cost of a comparison.
///
/// # Errors
/// `ENAMETOOLONG`, and what the kernel says of another process's link.
pub fn special(path: &[u8]) -> Result<Option<Special<'_>>> {
    if !path.starts_with(b"/dev/") && !path.starts_with(b"/proc/") {
        return Ok(None);
    }
    let end = &path[path.len()..];
    match path {
        b"/dev/stdin" => return Ok(descriptor(0, end)),
        b"/dev/stdout" => return Ok(descriptor(1, end)),
        b"/dev/stderr" => return Ok(descriptor(2, end)),
        _ => {}
    }
    if let Some(named) = path.strip_prefix(b"/dev/fd/") {
        let (number, rest) = split_first(named);
        return Ok(decimal(number).and_then(|number| descriptor(number, rest)));
    }
    let Some(link) = Link::of(path) else { return Ok(None) };
    let (name, rest) = split_first(link.behind);
    match name {
        b"cwd" => Ok(link.working_directory(path)?.map(|(mount, node)| Special::Directory(mount, node, rest))),
        b"fd" => {
            let (number, rest) = split_first(rest);
            match decimal(number) {
                Some(number) if link.is_own => Ok(descriptor(number, rest)),
                Some(number) => descriptor_of_another(path, number, rest),
                None => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

fn descriptor(number: i32, rest: &[u8]) -> Option<Special<'_>> {
    table::is_ours(number).then_some(Special::Descriptor(number, rest))
}

/// The descriptor of this process that is the same as another process's, because one has it from the other.
fn descriptor_of_another<'a>(path: &'a [u8], number: i32, rest: &'a [u8]) -> Result<Option<Special<'a>>> {
    let link = PathBuffer::of(&path[..path.len() - rest.len()])?;
    let mut told = [0u8; 64];
    let length = rustix::fs::readlinkat_raw(CWD, link.as_c_str(), &mut told[..]).unwrap_or(0);
    if told[..length] != *placeholder::LINK {
        return Ok(None);
    }
    let theirs = rustix::fs::statat(CWD, link.as_c_str(), AtFlags::empty())?;
    let is_same = table::is_ours(number)
        && rustix::fs::fstat(placeholder::borrowed(number))
            .is_ok_and(|own| (theirs.st_dev, theirs.st_ino) == (own.st_dev, own.st_ino));
    Ok(Some(if is_same { Special::Descriptor(number, rest) } else { Special::OutOfReach(rest) }))
}

/// A path below a process's directory in procfs.
struct Link<'a> {
    /// Whether it is this process's.
    is_own: bool,
    /// What follows.
    behind: &'a [u8],
}

impl<'a> Link<'a> {
    fn of(path: &'a [u8]) -> Option<Self> {
        let (process, mut behind) = split_first(path.strip_prefix(b"/proc/")?);
        let own = rustix::process::getpid().as_raw_pid();
        let is_own = match process {
            b"self" => true,
            b"thread-self" => return Some(Self { is_own: true, behind }),
            _ => decimal(process)? == own,
        };
        if let (b"task", rest) = split_first(behind) {
            let (thread, rest) = split_first(rest);
            decimal(thread)?;
            let end = path.len() - rest.len();
            // One that does not exist has nothing open and is nowhere.
            rustix::fs::statat(CWD, PathBuffer::of(&path[..end]).ok()?.as_c_str(), AtFlags::empty()).ok()?;
            behind = rest;
        }
        Some(Self { is_own, behind })
    }

    /// Where the process works, if that is under a prefix.
    fn working_directory(&self, path: &[u8]) -> Result<Option<(&'static Mount, NodeId)>> {
        if self.is_own {
            return Ok(working_directory::current());
        }
        let (_, rest) = split_first(self.behind);
        Ok(stand_in::place_at(PathBuffer::of(&path[..path.len() - rest.len()])?.as_c_str()))
    }
}

/// A number of at most nine digits.
fn decimal(text: &[u8]) -> Option<i32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_and_short() {
        assert_eq!(decimal(b"17"), Some(17));
        assert_eq!(decimal(b""), None);
        assert_eq!(decimal(b"1a"), None);
        assert_eq!(decimal(b"9999999999"), None);
    }

    #[test]
    fn every_spelling_is_understood() {
        let behind = |path: &str| Link::of(path.as_bytes()).map(|link| (link.is_own, link.behind.to_vec()));
        let own = std::process::id();
        assert_eq!(behind(&format!("/proc/{own}/fd/5")), Some((true, b"/fd/5".to_vec())));
        assert_eq!(behind(&format!("/proc/self/task/{own}//cwd/x")), Some((true, b"//cwd/x".to_vec())));
        assert_eq!(behind("/proc//thread-self/cwd"), Some((true, b"/cwd".to_vec())));
        assert_eq!(behind("/proc/1/cwd"), Some((false, b"/cwd".to_vec())));
        assert_eq!(behind("/proc/self/task/999999999/cwd"), None);
        assert_eq!(behind("/proc/sys/kernel"), None);
    }
}

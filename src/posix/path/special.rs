//! The host's names for open files: `/dev/stdin`, `/dev/fd/N`, `/proc/self/fd/N`.

use super::buffer::split_first;
use crate::posix::descriptor::table;

/// The descriptor of ours that `path` names, and what is behind it without the slashes (a name in it, if it is a
/// directory); `None` for every other path, at the cost of a comparison.
pub fn descriptor_named(path: &[u8]) -> Option<(i32, &[u8])> {
    if !path.starts_with(b"/dev/") && !path.starts_with(b"/proc/") {
        return None;
    }
    let (descriptor, rest) = match path {
        b"/dev/stdin" => (0, &path[path.len()..]),
        b"/dev/stdout" => (1, &path[path.len()..]),
        b"/dev/stderr" => (2, &path[path.len()..]),
        _ => {
            let named = path.strip_prefix(b"/dev/fd/").or_else(|| process_descriptors(path))?;
            let (number, rest) = split_first(named);
            (decimal(number)?, &rest[rest.iter().take_while(|byte| **byte == b'/').count()..])
        }
    };
    table::is_ours(descriptor).then_some((descriptor, rest))
}

/// What follows `/proc/self/fd/` or its longer spellings.
fn process_descriptors(path: &[u8]) -> Option<&[u8]> {
    let path = path.strip_prefix(b"/proc/")?;
    if let Some(rest) = path.strip_prefix(b"self/fd/").or_else(|| path.strip_prefix(b"thread-self/fd/")) {
        return Some(rest);
    }
    let digits = path.iter().position(|byte| !byte.is_ascii_digit())?;
    let id = decimal(&path[..digits])?;
    let rest = path[digits..].strip_prefix(b"/fd/")?;
    (id == rustix::process::getpid().as_raw_pid()).then_some(rest)
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
        let own = format!("/proc/{}/fd/5", std::process::id());
        assert_eq!(process_descriptors(own.as_bytes()), Some(&b"5"[..]));
        assert_eq!(process_descriptors(b"/proc/self/fd/12"), Some(&b"12"[..]));
        assert_eq!(process_descriptors(b"/proc/1/fd/12"), None);
        assert_eq!(process_descriptors(b"/proc/self/status"), None);
    }
}

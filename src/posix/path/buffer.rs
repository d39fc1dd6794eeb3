//! A path that is being put together. Its memory comes from the global allocator, which in a host process is the
//! library's own (lock-free, so a door may be called from a signal handler); on the stack it would be too large for
//! the small stacks that signal handlers and `posix_spawn`'s children run on.

use crate::ground::{Errno, Result};

/// `PATH_MAX`, the terminating NUL included.
pub const PATH_BYTES_MAX: usize = 4096;

/// A path of at most `PATH_MAX` - 1 bytes, kept with a NUL behind it.
#[derive(Clone)]
pub struct PathBuffer {
    /// Always ends in the NUL.
    bytes: Vec<u8>,
}

impl PathBuffer {
    /// An empty one.
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(PATH_BYTES_MAX);
        bytes.push(0);
        Self { bytes }
    }

    /// One that holds `path`.
    ///
    /// # Errors
    /// `ENAMETOOLONG`.
    pub fn of(path: &[u8]) -> Result<Self> {
        let mut buffer = Self::new();
        buffer.push(path)?;
        Ok(buffer)
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// `ENAMETOOLONG`, with nothing added.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.bytes.len() + bytes.len() > PATH_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.pop();
        self.bytes.extend_from_slice(bytes);
        self.bytes.push(0);
        Ok(())
    }

    /// Adds a component, with a slash before it where one is missing.
    ///
    /// # Errors
    /// `ENAMETOOLONG`.
    pub fn push_component(&mut self, component: &[u8]) -> Result<()> {
        if self.as_bytes().last() != Some(&b'/') {
            self.push(b"/")?;
        }
        self.push(component)
    }

    /// Takes the last component away; `/` stays `/`.
    pub fn pop_component(&mut self) {
        let cut = self.as_bytes().iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.truncate(cut.max(1));
    }

    /// Cuts it off.
    pub fn truncate(&mut self, length: usize) {
        let length = length.min(self.bytes.len() - 1);
        self.bytes.truncate(length);
        self.bytes.push(0);
    }

    /// The path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 1]
    }

    /// The path as the kernel takes it.
    pub fn as_c_str(&self) -> &std::ffi::CStr {
        std::ffi::CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    /// The whole room, for a call that fills it; tell the length with `set_length`.
    pub fn room(&mut self) -> &mut [u8] {
        self.bytes.resize(PATH_BYTES_MAX, 0);
        &mut self.bytes
    }

    /// Declares the first `length` bytes of the room the path.
    pub fn set_length(&mut self, length: usize) {
        self.truncate(length.min(PATH_BYTES_MAX - 1));
    }
}

impl Default for PathBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Splits off the first component: (component, what follows the slashes behind it). Empty when there is none.
pub fn split_first(path: &[u8]) -> (&[u8], &[u8]) {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let path = &path[start..];
    let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    let rest = &path[end..];
    (&path[..end], rest)
}

/// Whether nothing but slashes is left.
pub fn is_finished(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_come_and_go() {
        let mut path = PathBuffer::of(b"/a").unwrap();
        path.push_component(b"bc").unwrap();
        assert_eq!(path.as_bytes(), b"/a/bc");
        assert_eq!(path.as_c_str(), c"/a/bc");
        path.pop_component();
        path.pop_component();
        assert_eq!(path.as_bytes(), b"/");
        path.pop_component();
        path.push_component(b"d").unwrap();
        assert_eq!(path.as_bytes(), b"/d");
    }

    #[test]
    fn a_path_that_does_not_fit_leaves_the_buffer_as_it_was() {
        let mut path = PathBuffer::of(b"/a").unwrap();
        assert_eq!(path.push(&[b'x'; PATH_BYTES_MAX]), Err(Errno::NAMETOOLONG));
        assert_eq!(path.as_bytes(), b"/a");
        assert!(path.push(&[b'x'; PATH_BYTES_MAX - 3]).is_ok());
    }

    #[test]
    fn splitting_skips_every_slash() {
        assert_eq!(split_first(b"//usr//lib/"), (&b"usr"[..], &b"//lib/"[..]));
        assert_eq!(split_first(b"lib"), (&b"lib"[..], &b""[..]));
        assert_eq!(split_first(b"//"), (&b""[..], &b""[..]));
        assert!(is_finished(b"//"));
        assert!(!is_finished(b"/x"));
    }
}

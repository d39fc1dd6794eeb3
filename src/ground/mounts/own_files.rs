//! Whether a file of the library's own would lie under a prefix: a store, a cache.
//!
//! The library's own calls pass no door. They would make on the host what the program looks for in a container, and a
//! child that is told the same path in `SIDESTEP_MOUNTS` would refuse it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Symlinks that are followed: the kernel's own bound.
const SYMLINKS_COUNT_MAX: u32 = 40;

/// Whether an absolute path of the host is, or leads through symlinks to, one of the prefixes or something under it. The
/// prefix need not exist on the host, and the path need not either.
pub fn leads_under<'a>(path: &[u8], prefixes: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
    let mut here = PathBuf::from("/");
    let mut rest: Vec<Vec<u8>> = reversed(path);
    let mut links_count = 0;
    while let Some(name) = rest.pop() {
        if name == b".." {
            here.pop();
            continue;
        }
        here.push(OsStr::from_bytes(&name));
        if prefixes.clone().any(|prefix| is_below(here.as_os_str().as_bytes(), prefix)) {
            return true;
        }
        let Ok(target) = rustix::fs::readlink(&here, Vec::new()) else { continue };
        links_count += 1;
        if links_count > SYMLINKS_COUNT_MAX {
            return false;
        }
        here = if target.as_bytes().first() == Some(&b'/') {
            PathBuf::from("/")
        } else {
            here.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned)
        };
        rest.extend(reversed(target.as_bytes()));
    }
    false
}

/// The names of a path, the last first.
fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    let names = Path::new(OsStr::from_bytes(path)).components().rev();
    names
        .filter_map(|name| match name {
            Component::Normal(name) => Some(name.as_bytes().to_vec()),
            Component::ParentDir => Some(b"..".to_vec()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// Whether `path` is `prefix` or something under it.
pub(super) fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn symlinks_and_dots_are_seen_through() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink("/no/such/prefix", at("absolute")).unwrap();
        symlink("absolute/deep", at("relative")).unwrap();
        symlink("..", at("up")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let leads =
            |path: PathBuf| leads_under(path.as_os_str().as_bytes(), [b"/no/such/prefix".as_slice()].into_iter());
        assert!(leads(at("absolute")));
        assert!(leads(at("absolute/store")));
        assert!(leads(at("relative/store")));
        assert!(leads(at("absent/../relative")));
        assert!(leads("/no/such/./x/../prefix//store".into()));
        assert!(!leads(at("loop/store")));
        assert!(!leads(at("up/store")));
        assert!(!leads("/no/such/prefix-and-more".into()));
        // Through the prefix and out again: whether that is the host's depends on what is in the container.
        assert!(leads("/no/such/prefix/../other".into()));
    }
}

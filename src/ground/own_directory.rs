//! A directory that is one user's and nobody else's, in a place where everybody may make some.

use super::{Errno, Result};
use rustix::fs::Mode;

/// Whether the directory had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// It was.
    Missing,
    /// It was there.
    There,
}

/// Makes `path` for `user` alone, where it is not there yet.
///
/// # Errors
/// `EACCES` where something else stands there: a symlink, a file, what is another user's or open to others.
pub fn make(path: &str, user: u32) -> Result<Was> {
    let was = match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Ok(()) => Was::Missing,
        Err(Errno::EXIST) => Was::There,
        Err(error) => return Err(error),
    };
    let stat = rustix::fs::lstat(path)?;
    let is_own = stat.st_mode & libc::S_IFMT == libc::S_IFDIR && stat.st_uid == user && stat.st_mode & 0o077 == 0;
    if is_own { Ok(was) } else { Err(Errno::ACCESS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_somebody_else_may_have_planted_is_refused() {
        let user = rustix::process::geteuid().as_raw();
        let base = format!("/dev/shm/sidestep-test-own.{}", std::process::id());
        assert_eq!(make(&base, user), Ok(Was::Missing));
        assert_eq!(make(&base, user), Ok(Was::There));
        let link = format!("{base}/link");
        symlink("/tmp", &link).unwrap();
        assert_eq!(make(&link, user), Err(Errno::ACCESS));
        let file = format!("{base}/file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(make(&file, user), Err(Errno::ACCESS));
        let open = format!("{base}/open");
        make(&open, user).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o710)).unwrap();
        assert_eq!(make(&open, user), Err(Errno::ACCESS));
        assert_eq!(make(&base, user + 1), Err(Errno::ACCESS));
        std::fs::remove_dir_all(base).unwrap();
    }
}

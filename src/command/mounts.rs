//! `--mount`, on top of what the environment says.

use super::Failure;
use crate::ground::mounts::{self, Mount};
use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The mounts that `--mount` names, or else those of the environment.
///
/// # Errors
/// The first fault of the list, with its place and remedy.
pub(super) fn mounts(options: &[OsString]) -> Result<Vec<Mount>, Failure> {
    if options.is_empty() {
        return mounts::from_environment().map_err(|error| Failure::new(2, error));
    }
    let here = env::current_dir().unwrap_or_default();
    let texts: Vec<Vec<u8>> = options.iter().map(|option| from_here(option.as_bytes(), &here)).collect();
    mounts::parse_from("--mount", &texts.join(&b',')).map_err(|error| Failure::new(2, error))
}

/// A mount with its store's directory taken from the root on: a shell's user means the directory where they are,
/// while the library runs in processes that are anywhere.
fn from_here(option: &[u8], here: &Path) -> Vec<u8> {
    const SCHEME: &[u8] = b"=local:";
    let Some(start) = option.windows(SCHEME.len()).position(|window| window == SCHEME) else {
        return option.to_vec();
    };
    let (head, directory) = option.split_at(start + SCHEME.len());
    if matches!(directory.first(), None | Some(b'/' | b'?')) {
        return option.to_vec();
    }
    let mut text = head.to_vec();
    mounts::escape(here.as_os_str().as_bytes(), &mut text);
    text.push(b'/');
    text.extend_from_slice(directory);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_store_is_where_the_user_is() {
        let here = Path::new("/h,x");
        for (option, text) in [
            ("/a=local:s?readonly", "/a=local:/h%2Cx/s?readonly"),
            ("/a=local:/s", "/a=local:/s"),
            ("/a=local:", "/a=local:"),
            ("/a=local:?readonly", "/a=local:?readonly"),
            ("/a=daos:p/c", "/a=daos:p/c"),
        ] {
            assert_eq!(from_here(option.as_bytes(), here), text.as_bytes());
        }
    }

    #[test]
    fn several_options_make_one_list() {
        let list = mounts(&["/a=local:/s".into(), "/b=local:/t?targets=2".into()]).unwrap();
        assert_eq!(list.len(), 2);
        let failure = mounts(&["/a=local:/s".into(), "/a=local:/t".into()]).unwrap_err();
        assert!(failure.message.starts_with("--mount: mount 2 "), "{}", failure.message);
        assert_eq!(failure.code, 2);
    }
}

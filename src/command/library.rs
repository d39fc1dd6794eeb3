//! Where libsidestep.so is, and how it gets into `LD_PRELOAD`.

use super::Failure;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The library's file name.
pub(super) const NAME: &str = "libsidestep.so";

/// `SIDESTEP_LIBRARY`, else beside this command, else in `../lib` and `../lib64`.
///
/// # Errors
/// Where it is in none of these places, or where `LD_PRELOAD` can't hold its path.
pub(super) fn find() -> Result<PathBuf, Failure> {
    let library = match env::var_os("SIDESTEP_LIBRARY").filter(|path| !path.is_empty()) {
        Some(path) => named(Path::new(&path))?,
        None => beside_this_command()?,
    };
    if library.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b' ' | b':')) {
        let path = library.display();
        return Err(Failure::new(
            2,
            format_args!("{path}: LD_PRELOAD cannot hold a path with a space or a colon; move the library"),
        ));
    }
    Ok(library)
}

/// The library that the user named.
fn named(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| {
        let path = path.display();
        Failure::new(2, format_args!("SIDESTEP_LIBRARY={path}: {error}; set it to the path of {NAME}, or unset it"))
    })
}

fn beside_this_command() -> Result<PathBuf, Failure> {
    let command = env::current_exe().and_then(|path| path.canonicalize());
    let command = command.map_err(|error| {
        Failure::new(2, format_args!("cannot tell where this command is ({error}); set SIDESTEP_LIBRARY to {NAME}"))
    })?;
    let directory = command.parent().unwrap_or(Path::new("/"));
    let places = ["", "../lib", "../lib64"].map(|place| directory.join(place).join(NAME));
    places.iter().find_map(|place| place.canonicalize().ok()).ok_or_else(|| {
        let directory = directory.display();
        Failure::new(
            2,
            format_args!(
                "{NAME} is neither in {directory} nor in ../lib beside it; build it with `cargo build --release \
                 --workspace`, or set SIDESTEP_LIBRARY to its path"
            ),
        )
    })
}

/// The libraries of an `LD_PRELOAD` list: spaces and colons separate them.
pub(super) fn preloaded(list: &OsStr) -> impl Iterator<Item = &OsStr> {
    list.as_bytes().split(|byte| matches!(byte, b' ' | b':')).filter(|part| !part.is_empty()).map(OsStr::from_bytes)
}

/// `existing` with `library` as its last entry. Last, because profilers and I/O libraries that wrap the same calls
/// (Darshan, HDF5 and PnetCDF connectors, address sanitizers) have to come before the one that ends them.
pub(super) fn with_library(existing: Option<OsString>, library: &Path) -> OsString {
    let existing = existing.unwrap_or_default();
    if preloaded(&existing).any(|entry| entry == library) {
        return existing;
    }
    let mut list = existing;
    if !list.is_empty() {
        list.push(":");
    }
    list.push(library);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_the_last_of_the_list_and_there_once() {
        let library = Path::new("/l/libsidestep.so");
        assert_eq!(with_library(None, library), "/l/libsidestep.so");
        assert_eq!(with_library(Some("".into()), library), "/l/libsidestep.so");
        assert_eq!(
            with_library(Some("/d/libdarshan.so x.so".into()), library),
            "/d/libdarshan.so x.so:/l/libsidestep.so"
        );
        let there = OsString::from("a.so:/l/libsidestep.so");
        assert_eq!(with_library(Some(there.clone()), library), there);
    }
}

//! The environment of a new program: whatever the application made of it, the library and its mounts are in it,
//! unless the user turned Sidestep off.

use super::arguments::{take_bytes, take_of};
use crate::runtime::link_map;
use house::ground::guarded_copy::string_length;
use house::ground::mounts::{self, Mount, StoreUrl, to_text};
use house::posix::descriptor::handover;
use house::posix::working_directory;
use std::ffi::{CString, c_char};
use std::sync::atomic::{AtomicPtr, Ordering};

/// What tells a new program up to which number it may have inherited descriptors of ours.
const INHERITED: &str = "SIDESTEP_INHERITED";

/// What this program was started with and hands on.
struct Kept {
    /// The library's own path.
    library: Vec<u8>,
    /// `LD_PRELOAD=` the library alone.
    preload: CString,
    /// Each `NAME=value` of ours.
    variables: Vec<CString>,
}

static KEPT: AtomicPtr<Kept> = AtomicPtr::new(std::ptr::null_mut());

/// Variables that are handed on as they were begin so. `SIDESTEP_MOUNTS` is written anew, and two are for one exec.
const OURS: &[u8] = b"SIDESTEP_";
const NOT_HANDED_ON: [&[u8]; 3] = [b"SIDESTEP_MOUNTS", b"SIDESTEP_CWD", b"SIDESTEP_INHERITED"];

/// Where there is a `daos:` mount, so are those that DAOS, its transport and its network read: without them a child of
/// `env -i` might look for another agent or another network.
const OF_DAOS: [&[u8]; 7] = [b"DAOS_", b"D_IL_", b"D_LOG_", b"DD_", b"CRT_", b"FI_", b"OFI_"];

/// Whether a variable is handed on.
fn is_handed_on(name: &[u8], has_daos: bool) -> bool {
    let is_ours = name.starts_with(OURS) && !NOT_HANDED_ON.contains(&name);
    is_ours || has_daos && OF_DAOS.iter().any(|start| name.starts_with(start))
}

/// Remembers what is to be handed on. The mounts are written down whole: another home directory or data directory must
/// not lead to another store.
pub fn start(mounts: &[Mount]) {
    let Some(library) = own_path() else { return };
    let mut variables = Vec::new();
    variables.extend(CString::new([b"SIDESTEP_MOUNTS=", to_text(mounts).as_slice()].concat()));
    let has_daos = mounts.iter().any(|mount| matches!(mount.url, StoreUrl::Daos { .. }));
    for (name, value) in std::env::vars_os() {
        use std::os::unix::ffi::OsStrExt;
        if is_handed_on(name.as_bytes(), has_daos) {
            variables.extend(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()));
        }
    }
    let Ok(preload) = CString::new([b"LD_PRELOAD=".as_slice(), &library].concat()) else { return };
    KEPT.store(Box::into_raw(Box::new(Kept { library, preload, variables })), Ordering::Release);
}

/// Up to which number the environment says that descriptors may have been inherited.
pub fn highest_inherited() -> Option<i32> {
    let said = std::env::var_os(INHERITED)?;
    said.to_str().and_then(|said| said.parse().ok())
}

/// The path that the library was loaded from, absolute.
fn own_path() -> Option<Vec<u8>> {
    let name = link_map::own()?.name().to_bytes();
    if name.starts_with(b"/") {
        return Some(name.to_vec());
    }
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let path = std::fs::canonicalize(std::ffi::OsStr::from_bytes(name)).ok()?;
    Some(path.into_os_string().into_vec())
}

/// An environment in the making: pointers to the application's strings and to ours.
pub struct Environment {
    pointers: Vec<*const c_char>,
    /// The strings that had to be put together.
    _made: [Option<CString>; 3],
}

impl Environment {
    /// As `execve` takes it.
    pub fn as_ptr(&self) -> u64 {
        self.pointers.as_ptr() as u64
    }
}

/// A longer line is one that no program can be started with (`MAX_ARG_STRLEN`).
const LINE_BYTES_MAX: usize = 32 * 4096;

/// The environment for a new program, or `None` where `given` is right as it is.
///
/// # Safety
/// `given` is null or the application's word for an array of C strings with a null at its end.
pub unsafe fn complete(given: u64) -> Option<Environment> {
    // SAFETY: null, or leaked by `start`.
    let kept = unsafe { KEPT.load(Ordering::Acquire).as_ref() }?;
    let mut pointers: Vec<*const c_char> = Vec::new();
    // Copies: the program may change or take away its own at any time.
    let mut lines: Vec<Vec<u8>> = Vec::new();
    if given != 0 {
        loop {
            // What can't be read is the kernel's to refuse.
            // SAFETY: any word is a pointer.
            let entry = unsafe { take_of::<*const c_char>(given, pointers.len()) }.ok()?;
            if entry.is_null() {
                break;
            }
            let length = string_length(entry.cast(), LINE_BYTES_MAX).ok()?;
            lines.push(take_bytes(entry as u64, length).ok()?);
            pointers.push(entry);
        }
    }
    if lines.iter().any(|line| line.strip_prefix(b"SIDESTEP=").is_some_and(mounts::means_off)) {
        return None;
    }
    let mut is_changed = false;
    let says_directory = lines.iter().position(|line| name_of(line) == b"SIDESTEP_CWD");
    if let Some(index) = says_directory {
        pointers.remove(index);
        lines.remove(index);
        is_changed = true;
    }
    let directory =
        working_directory::to_tell().and_then(|told| CString::new([b"SIDESTEP_CWD=".as_slice(), &told].concat()).ok());
    let mut added: Vec<*const c_char> = directory.iter().map(|line| line.as_ptr()).collect();
    added.extend(
        kept.variables
            .iter()
            .filter(|variable| !lines.iter().any(|line| name_of(line) == name_of(variable.as_bytes())))
            .map(|variable| variable.as_ptr()),
    );
    if let Some(index) = lines.iter().position(|line| name_of(line) == INHERITED.as_bytes()) {
        pointers.remove(index);
        lines.remove(index);
        is_changed = true;
    }
    let highest = handover::highest_inherited();
    let inherited = highest.and_then(|highest| CString::new(format!("{INHERITED}={highest}")).ok());
    added.extend(inherited.iter().map(|line| line.as_ptr()));
    let preload = lines.iter().position(|line| line.starts_with(b"LD_PRELOAD="));
    let mut put_together = None;
    match preload {
        None => added.push(kept.preload.as_ptr()),
        Some(index) => {
            let value = &lines[index][b"LD_PRELOAD=".len()..];
            let is_in = value.split(|byte| *byte == b':' || *byte == b' ').any(|path| is_library(kept, path));
            if !is_in {
                let mut line = kept.preload.as_bytes().to_vec();
                if !value.is_empty() {
                    line.push(b':');
                    line.extend_from_slice(value);
                }
                let line = CString::new(line).ok()?;
                pointers[index] = line.as_ptr();
                put_together = Some(line);
            }
        }
    }
    if !is_changed && added.is_empty() && put_together.is_none() {
        return None;
    }
    pointers.extend(added);
    pointers.push(std::ptr::null());
    Some(Environment { pointers, _made: [put_together, directory, inherited] })
}

/// Whether a path of `LD_PRELOAD` is this library, by whatever directory it is reached.
fn is_library(kept: &Kept, path: &[u8]) -> bool {
    let last = |path: &[u8]| path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    !path.is_empty() && path[last(path)..] == kept.library[last(&kept.library)..]
}

fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'=').next().unwrap_or_default()
}

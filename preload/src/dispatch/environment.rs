//! The environment of a new program: whatever the application made of it, the library and its mounts are in it,
//! unless the user turned Sidestep off.

use super::arguments::pointer;
use house::ground::mounts::{self, Mount, StoreUrl, to_text};
use house::posix::descriptor::handover;
use house::posix::working_directory;
use std::ffi::{CStr, CString, c_char};
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
    // SAFETY: all zeros are a valid `Dl_info`, and the address is one of this library's.
    let name = unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(own_path as *const () as *const _, &raw mut found) == 0 || found.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(found.dli_fname).to_bytes()
    };
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

/// The environment for a new program, or `None` where `given` is right as it is.
///
/// # Safety
/// `given` is null or the application's word for an array of C strings with a null at its end.
pub unsafe fn complete(given: u64) -> Option<Environment> {
    // SAFETY: null, or leaked by `start`.
    let kept = unsafe { KEPT.load(Ordering::Acquire).as_ref() }?;
    let mut pointers: Vec<*const c_char> = Vec::new();
    if given != 0 {
        let mut next = pointer::<*const c_char>(given).ok()?;
        // SAFETY: by the caller's word.
        unsafe {
            while !next.read_unaligned().is_null() {
                pointers.push(next.read_unaligned());
                next = next.add(1);
            }
        }
    }
    // SAFETY: by the caller's word.
    let text = |entry: &*const c_char| unsafe { CStr::from_ptr(*entry) };
    let is_off = pointers.iter().any(|entry| {
        let entry = text(entry).to_bytes();
        entry.strip_prefix(b"SIDESTEP=").is_some_and(mounts::means_off)
    });
    if is_off {
        return None;
    }
    let mut is_changed = false;
    let says_directory = pointers.iter().position(|entry| name_of(text(entry)) == b"SIDESTEP_CWD");
    if let Some(index) = says_directory {
        pointers.remove(index);
        is_changed = true;
    }
    let directory = working_directory::untold()
        .and_then(|path| CString::new([b"SIDESTEP_CWD=".as_slice(), path.as_bytes()].concat()).ok());
    let mut added: Vec<*const c_char> = directory.iter().map(|line| line.as_ptr()).collect();
    added.extend(
        kept.variables
            .iter()
            .filter(|variable| !pointers.iter().any(|entry| name_of(text(entry)) == name_of(variable)))
            .map(|variable| variable.as_ptr()),
    );
    let said = pointers.iter().position(|entry| name_of(text(entry)) == INHERITED.as_bytes());
    if let Some(index) = said {
        pointers.remove(index);
        is_changed = true;
    }
    let highest = handover::highest_inherited();
    let inherited = highest.and_then(|highest| CString::new(format!("{INHERITED}={highest}")).ok());
    added.extend(inherited.iter().map(|line| line.as_ptr()));
    let preload = pointers.iter().position(|entry| text(entry).to_bytes().starts_with(b"LD_PRELOAD="));
    let mut put_together = None;
    match preload {
        None => added.push(kept.preload.as_ptr()),
        Some(index) => {
            let value = &text(&pointers[index]).to_bytes()[b"LD_PRELOAD=".len()..];
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

fn name_of(variable: &CStr) -> &[u8] {
    variable.to_bytes().split(|byte| *byte == b'=').next().unwrap_or_default()
}

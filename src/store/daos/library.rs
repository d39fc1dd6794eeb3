//! libdfs and libdaos, loaded when a `daos:` mount is first touched.
//!
//! The libraries are asked for each call by its name. One that a release does not have yet is left out, and the engine
//! does without it; nothing is ever decided by a version number.
#![allow(unsafe_code)]

use super::bindings::Calls;
use super::destructors;
use crate::ground::Errno;
use crate::ground::guard::Quiet;
use std::ffi::{CStr, CString, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where to look: a file, or the directory of `libdfs.so`.
pub const LIBRARY_VARIABLE: &CStr = c"SIDESTEP_LIBDFS";

/// What the loader is asked for otherwise: by the name alone (its own path, `LD_LIBRARY_PATH`), then where packages put
/// it.
const USUAL: [&CStr; 5] = [
    c"libdfs.so",
    c"/usr/lib64/libdfs.so",
    c"/usr/lib/x86_64-linux-gnu/libdfs.so",
    c"/opt/daos/lib64/libdfs.so",
    c"/usr/local/lib64/libdfs.so",
];

/// Why there are no libraries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The loader found none, or could not load it.
    NotLoaded {
        /// The loader's words about each place.
        why: String,
    },
    /// A library without a call that the engine can't do without.
    Incomplete {
        /// Which library.
        library: String,
        /// The call's name.
        call: &'static str,
    },
}

impl LoadError {
    /// What the calls on a mount answer: `ELIBACC`, "can't access a needed shared library", or `ELIBBAD`.
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotLoaded { .. } => Errno::LIBACC,
            Self::Incomplete { .. } => Errno::LIBBAD,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded { why } => {
                write!(
                    f,
                    "DAOS's library libdfs.so is not to be had ({why}); install daos-client, or set SIDESTEP_LIBDFS"
                )
            }
            Self::Incomplete { library, call } => {
                write!(f, "{library} has no {call}; install daos-client 2.4 or later, or set SIDESTEP_LIBDFS")
            }
        }
    }
}

/// The calls that were found, in libraries that stay loaded.
pub struct Library {
    /// The calls.
    pub calls: Calls,
    /// Whether files can have several names with it: a release whose layout is not known here.
    pub makes_hard_links: bool,
    /// What was loaded: a path, or the name that the loader found.
    pub name: String,
}

static LOADED: AtomicPtr<Library> = AtomicPtr::new(std::ptr::null_mut());

/// The libraries, loaded at the first call. Two threads at once may both load; the loader counts, and one table stays.
///
/// # Errors
/// As [`LoadError`] has them.
pub fn load() -> Result<&'static Library, LoadError> {
    let known = LOADED.load(Ordering::Acquire);
    if !known.is_null() {
        // SAFETY: a leaked box.
        return Ok(unsafe { &*known });
    }
    let _quiet = Quiet::enter();
    let before = destructors::loaded();
    let (handle, name) = open()?;
    destructors::leave_out_since(&before);
    let calls = look_up(handle).map_err(|call| LoadError::Incomplete { library: name.clone(), call })?;
    let makes_hard_links = !symbol(handle, c"dfs_link").is_null();
    let library: &'static Library = Box::leak(Box::new(Library { calls, makes_hard_links, name }));
    LOADED.store(std::ptr::from_ref(library).cast_mut(), Ordering::Release);
    Ok(library)
}

/// The library that was loaded, if one was.
pub fn loaded() -> Option<&'static Library> {
    let known = LOADED.load(Ordering::Acquire);
    // SAFETY: null, or a leaked box.
    unsafe { known.as_ref() }
}

fn open() -> Result<(*mut c_void, String), LoadError> {
    let mut why = String::new();
    let told = told_place();
    let places: Vec<&CStr> = match &told {
        Some(place) => vec![place.as_c_str()],
        None => USUAL.to_vec(),
    };
    for place in places {
        // SAFETY: a name with its NUL. The constructors of libdaos and its like run under `Quiet`.
        let handle = unsafe { libc::dlopen(place.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if !handle.is_null() {
            return Ok((handle, place.to_string_lossy().into_owned()));
        }
        // SAFETY: the loader's message of this thread, or null.
        let message = unsafe { libc::dlerror() };
        let is_there =
            place.to_bytes().first() != Some(&b'/') || rustix::fs::access(place, rustix::fs::Access::EXISTS).is_ok();
        if !message.is_null() && (is_there || told.is_some()) {
            // SAFETY: a string that is valid until the next call of the loader in this thread.
            let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
            why.push_str(if why.is_empty() { "" } else { "; " });
            why.push_str(&message);
        }
    }
    Err(LoadError::NotLoaded { why })
}

/// The place that the user named: a directory stands for the `libdfs.so` in it.
fn told_place() -> Option<CString> {
    // SAFETY: getenv of a constant name; the value is copied at once. Not std's: its lock would not survive a fork.
    let value = unsafe { libc::getenv(LIBRARY_VARIABLE.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv's answer is a string.
    let value = unsafe { CStr::from_ptr(value) };
    if value.is_empty() {
        return None;
    }
    let is_directory = rustix::fs::stat(value).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFDIR);
    if !is_directory {
        return Some(value.to_owned());
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(value.to_bytes())).join("libdfs.so");
    CString::new(path.as_os_str().as_bytes()).ok()
}

fn symbol(handle: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: a handle of dlopen's and a name with its NUL; libdaos is found as a library that libdfs needs.
    unsafe { libc::dlsym(handle, name.as_ptr()) }
}

/// Gives back memory that the libraries made with `malloc`. Theirs is the program's, and not what this crate is linked
/// with.
///
/// # Safety
/// As the C function's.
pub unsafe fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    let found = symbol(libc::RTLD_DEFAULT, c"free");
    if !found.is_null() {
        // SAFETY: the function of that name has this type.
        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(found)(block) }
    }
}

/// Fills the table; the name of the first needed call that is missing. Every field of the table is named here, or it
/// does not compile.
macro_rules! look_up {
    (needed: $($needed:ident)*; optional: $($optional:ident)*) => {
        #[allow(clippy::missing_transmute_annotations)]
        fn look_up(handle: *mut c_void) -> Result<Calls, &'static str> {
            const fn name(text: &'static str) -> &'static CStr {
                match CStr::from_bytes_with_nul(text.as_bytes()) {
                    Ok(name) => name,
                    Err(_) => c"",
                }
            }
            $(
                let $needed = symbol(handle, const { name(concat!(stringify!($needed), "\0")) });
                if $needed.is_null() {
                    return Err(stringify!($needed));
                }
            )*
            Ok(Calls {
                // SAFETY: the symbol of this name has this type: tests/daos_abi.rs holds both together.
                $($needed: unsafe { std::mem::transmute::<*mut c_void, _>($needed) },)*
                // SAFETY: as above; null is `None`.
                $($optional: unsafe {
                    std::mem::transmute::<*mut c_void, _>(
                        symbol(handle, const { name(concat!(stringify!($optional), "\0")) }),
                    )
                },)*
            })
        }
    };
}

look_up! {
    needed:
        daos_init daos_fini daos_pool_connect2 daos_pool_disconnect daos_pool_query daos_cont_open2 daos_cont_close
        daos_cont_query daos_eq_create daos_eq_destroy daos_eq_poll daos_event_init daos_event_fini daos_event_test
        dfs_mount dfs_umount dfs_query dfs_lookup dfs_lookup_rel dfs_open dfs_dup dfs_release dfs_read dfs_readx
        dfs_write dfs_writex dfs_get_size dfs_punch dfs_readdir dfs_mkdir dfs_remove dfs_move dfs_exchange dfs_stat
        dfs_ostat dfs_osetattr dfs_chmod dfs_sync dfs_setxattr dfs_getxattr dfs_removexattr dfs_listxattr dfs_get_mode
        dfs_get_symlink_value dfs_obj2id dfs_obj_local2global dfs_obj_global2local dfs_get_chunk_size;
    optional:
        d_log_init_adv daos_reinit crt_register_progress_cb crt_context_num daos_event_abort dfs_mount_snap
        dfs_readdirplus dfs_chown dfs_obj_get_info dfs_obj_set_chunk_size dfs_ostatx daos_obj_open daos_obj_close
        daos_obj_fetch daos_array_stat d_hlc2timespec dfs_get_file_oh
        dfs_local2global
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_told_with_the_remedy() {
        let error = LoadError::NotLoaded { why: "no such file".to_owned() };
        assert_eq!(error.errno(), Errno::LIBACC);
        let text = error.to_string();
        assert!(text.contains("no such file") && text.contains("install daos-client"), "{text}");
        let error = LoadError::Incomplete { library: "libdfs.so".to_owned(), call: "dfs_exchange" };
        assert!(error.to_string().contains("dfs_exchange"));
    }

    #[test]
    fn a_call_that_is_missing_is_named() {
        // SAFETY: the program itself, which has none of the calls.
        let own = unsafe { libc::dlopen(std::ptr::null(), libc::RTLD_NOW) };
        assert_eq!(look_up(own).err(), Some("daos_init"));
    }
}

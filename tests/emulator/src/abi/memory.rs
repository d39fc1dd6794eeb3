//! What comes from C and goes back to it.
#![allow(unsafe_code)]

use crate::attributes::Stat;
use crate::calls::Call;
use crate::errors::{Answer, Der};
use crate::mount::{Mount, Object};
use crate::oid::Oid;
use crate::process;
use crate::record::Time;
use crate::wire::{self, Exchange};
use rustix::io::Errno;
use sidestep::store::daos::bindings::{daos_obj_id_t, dfs_obj_t, dfs_t};
use std::ffi::{CStr, c_char, c_int};

/// Serves a call of libdfs: 0 or a positive errno.
pub fn dfs(call: Call, work: impl FnOnce(&mut Exchange) -> Answer<()>) -> c_int {
    let answer = process::check(call).and_then(|()| wire::serve(call, work));
    answer.map_or_else(|trouble| trouble.for_dfs(), |()| 0)
}

/// Serves a call of libdfs that sends no message.
pub fn dfs_here(call: Call, work: impl FnOnce() -> Answer<()>) -> c_int {
    let answer = process::check(call).and_then(|()| wire::serve_here(call, work));
    answer.map_or_else(|trouble| trouble.for_dfs(), |()| 0)
}

/// Serves a call of libdaos that sends no message: 0 or a negative DER number.
pub fn daos_here(call: Call, work: impl FnOnce() -> Answer<()>) -> c_int {
    let answer = process::check(call).and_then(|()| wire::serve_here(call, work));
    answer.map_or_else(|trouble| trouble.for_daos(), |()| 0)
}

/// A client's mount.
///
/// # Errors
/// `EINVAL` for none.
///
/// # Safety
/// It came from `dfs_mount` and was not unmounted.
pub unsafe fn mount<'a>(dfs: *mut dfs_t) -> Answer<&'a Mount> {
    // SAFETY: the caller's word.
    unsafe { dfs.cast::<Mount>().as_ref() }.ok_or(Errno::INVAL.into())
}

/// A client's object; none means the root in some calls.
///
/// # Safety
/// It came from this library and was not released.
pub unsafe fn object<'a>(node: *mut dfs_obj_t) -> Option<&'a Object> {
    // SAFETY: the caller's word.
    unsafe { node.cast::<Object>().as_ref() }
}

/// As [`object`], where there must be one.
///
/// # Errors
/// `EINVAL` for none.
///
/// # Safety
/// As [`object`].
pub unsafe fn some_object<'a>(node: *mut dfs_obj_t) -> Answer<&'a Object> {
    // SAFETY: the caller's word.
    unsafe { object(node) }.ok_or(Errno::INVAL.into())
}

/// Hands an object to the client.
///
/// # Safety
/// `out` is writable.
pub unsafe fn give(object: Object, out: *mut *mut dfs_obj_t) {
    // SAFETY: the caller's word.
    unsafe { out.write(Box::into_raw(Box::new(object)).cast()) };
}

/// Whether a place for an answer is one.
///
/// # Errors
/// `EINVAL` for none.
pub fn check_out<T>(out: *mut T) -> Answer<()> {
    if out.is_null() { Err(Errno::INVAL.into()) } else { Ok(()) }
}

/// A text of the client's; `None` for none.
///
/// # Safety
/// It ends with a zero byte.
pub unsafe fn text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller's word.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// As [`text`], where there must be one.
///
/// # Errors
/// `EINVAL` for none.
///
/// # Safety
/// As [`text`].
pub unsafe fn some_text<'a>(of: *const c_char) -> Answer<&'a [u8]> {
    // SAFETY: the caller's word.
    unsafe { text(of) }.ok_or(Errno::INVAL.into())
}

/// A label or UUID.
///
/// # Errors
/// `DER_INVAL`.
///
/// # Safety
/// As [`text`].
pub unsafe fn label<'a>(of: *const c_char) -> Answer<&'a str> {
    // SAFETY: the caller's word.
    let bytes = unsafe { text(of) }.ok_or(Der::INVAL)?;
    std::str::from_utf8(bytes).map_err(|_| Der::INVAL.into())
}

/// Tells a node's attributes, where they are wanted.
///
/// # Safety
/// `out` is null or writable.
pub unsafe fn tell(stat: &Stat, out: *mut libc::stat) {
    if out.is_null() {
        return;
    }
    // SAFETY: the caller's word; a `struct stat` is numbers alone.
    unsafe {
        out.write_bytes(0, 1);
        let out = &mut *out;
        out.st_nlink = 1;
        out.st_mode = stat.mode;
        out.st_uid = stat.uid;
        out.st_gid = stat.gid;
        out.st_size = stat.size_bytes.cast_signed();
        out.st_blocks = stat.blocks.cast_signed();
        out.st_blksize = stat.chunk_bytes.cast_signed();
        let accessed = stat.accessed();
        (out.st_atime, out.st_atime_nsec) = (accessed.seconds, accessed.nanoseconds);
        (out.st_mtime, out.st_mtime_nsec) = (stat.modified.seconds, stat.modified.nanoseconds);
        (out.st_ctime, out.st_ctime_nsec) = (stat.changed.seconds, stat.changed.nanoseconds);
    }
}

/// The attributes that a client wants to have set.
pub fn wanted(stat: &libc::stat) -> Stat {
    Stat {
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size_bytes: stat.st_size.cast_unsigned(),
        modified: Time { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec },
        ..Stat::default()
    }
}

/// Tells an object's id, where it is wanted.
///
/// # Safety
/// `out` is null or writable.
pub unsafe fn tell_oid(oid: Oid, out: *mut daos_obj_id_t) {
    if !out.is_null() {
        // SAFETY: the caller's word.
        unsafe { out.write(daos_obj_id_t { lo: oid.lo, hi: oid.hi }) };
    }
}

//! What is known of an open node without a message, and handing it over.
#![allow(unsafe_code)]

use super::memory::{check_out, dfs_here, give, mount, object, some_object, tell_oid};
use crate::calls::Call;
use crate::errors::Answer;
use crate::handover::{self, HANDOVER_BYTES};
use crate::mount::Body;
use crate::oid;
use libc::mode_t;
use rustix::io::Errno;
use sidestep::store::daos::bindings::{d_iov_t, daos_obj_id_t, dfs_obj_info_t, dfs_obj_t, dfs_t};
use std::ffi::{c_char, c_int};
use std::ptr;

/// Kind and permission bits as they were.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_get_mode(node: *mut dfs_obj_t, mode: *mut mode_t) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_get_mode, || unsafe {
        check_out(mode)?;
        mode.write(some_object(node)?.mode);
        Ok(())
    })
}

/// A symlink's target, cut off where the room ends, and the room that it needs with its end.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_get_symlink_value(
    node: *mut dfs_obj_t,
    target: *mut c_char,
    byte_count: *mut u64,
) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_get_symlink_value, || unsafe {
        let object = object(node).ok_or(Errno::INVAL)?;
        let Body::Symlink(value) = &object.body else { return Err(Errno::INVAL.into()) };
        check_out(byte_count)?;
        let room = usize::try_from(*byte_count).map_err(|_| Errno::INVAL)?;
        if room != 0 && !target.is_null() {
            let length = value.len().min(room - 1);
            ptr::copy_nonoverlapping(value.as_ptr(), target.cast(), length);
            target.add(length).write(0);
        }
        byte_count.write(value.len() as u64 + 1);
        Ok(())
    })
}

/// A node's object.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_obj2id(node: *mut dfs_obj_t, out: *mut daos_obj_id_t) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_obj2id, || unsafe {
        check_out(out)?;
        tell_oid(some_object(node)?.oid, out);
        Ok(())
    })
}

/// What is known of a node.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_obj_get_info(of: *mut dfs_t, node: *mut dfs_obj_t, info: *mut dfs_obj_info_t) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_obj_get_info, || unsafe {
        let mount = mount(of)?;
        let object = some_object(node)?;
        let info = info.as_mut().ok_or(Errno::INVAL)?;
        tell_oid(object.oid, &raw mut info.doi_oid);
        info.doi_oclass_id = object.oid.class();
        match &object.body {
            Body::File(array) => info.doi_chunk_size = array.chunk_bytes(),
            Body::Directory { chunk_bytes, .. } => {
                let own = *chunk_bytes;
                info.doi_chunk_size = if own == 0 { mount.container.chunk_bytes } else { own };
                info.doi_dir_oclass_id = oid::DIRECTORY_CLASS;
                info.doi_file_oclass_id = oid::FILE_CLASS;
            }
            Body::Symlink(_) => (info.doi_oclass_id, info.doi_chunk_size) = (0, 0),
        }
        Ok(())
    })
}

/// An open node as bytes; with no memory, how many.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_obj_local2global(of: *mut dfs_t, node: *mut dfs_obj_t, bytes: *mut d_iov_t) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_obj_local2global, || unsafe {
        let object = some_object(node)?;
        if matches!(object.body, Body::Symlink(_)) {
            return Err(Errno::INVAL.into());
        }
        give_bytes(bytes, || handover::to_bytes(mount(of)?, object))
    })
}

/// The mount as bytes for another process.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_local2global(of: *mut dfs_t, bytes: *mut d_iov_t) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_local2global, || unsafe {
        let mount = mount(of)?;
        give_bytes(bytes, || Ok(handover::mount_to_bytes(mount)))
    })
}

/// Hands bytes to the client, who is told how many they are if it brings no memory for them.
unsafe fn give_bytes<const N: usize>(to: *mut d_iov_t, make: impl FnOnce() -> Answer<[u8; N]>) -> Answer<()> {
    // SAFETY: the caller's word.
    unsafe {
        let to = to.as_mut().ok_or(Errno::INVAL)?;
        if to.iov_buf.is_null() {
            to.iov_buf_len = N;
            return Ok(());
        }
        if to.iov_buf_len == 0 || to.iov_buf_len < to.iov_len {
            return Err(Errno::INVAL.into());
        }
        if to.iov_buf_len < N {
            to.iov_buf_len = N;
            return Err(Errno::NOBUFS.into());
        }
        to.iov_len = N;
        to.iov_buf.cast::<[u8; N]>().write(make()?);
        Ok(())
    }
}

/// And back.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_obj_global2local(
    of: *mut dfs_t,
    flags: c_int,
    bytes: d_iov_t,
    node: *mut *mut dfs_obj_t,
) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_obj_global2local, || unsafe {
        let mount = mount(of)?;
        check_out(node)?;
        if bytes.iov_buf.is_null() || bytes.iov_buf_len < bytes.iov_len || bytes.iov_len != HANDOVER_BYTES {
            return Err(Errno::INVAL.into());
        }
        let bytes = bytes.iov_buf.cast::<[u8; HANDOVER_BYTES]>().read();
        give(handover::from_bytes(mount, flags, &bytes)?, node);
        Ok(())
    })
}

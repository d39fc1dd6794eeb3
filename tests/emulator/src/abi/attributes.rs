//! Attributes, extended ones too.
#![allow(unsafe_code)]

use super::events::{Announced, Sent, Transfer, transfer};
use super::memory::{check_out, dfs, mount, object, some_object, some_text, tell, text, wanted};
use crate::calls::Call;
use crate::mount::Body;
use crate::oid;
use crate::wire::Exchange;
use libc::{gid_t, mode_t, stat, uid_t};
use rustix::io::Errno;
use sidestep::store::daos::bindings::{daos_event_t, dfs_obj_t, dfs_t};
use std::ffi::{c_char, c_int, c_void};
use std::{ptr, slice};

/// Attributes by name.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_stat(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    name: *const c_char,
    stat: *mut stat,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_stat, |wire| unsafe {
        tell(&mount(of)?.stat(wire, object(directory), text(name))?, stat);
        Ok(())
    })
}

/// Attributes of an open node.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_ostat(of: *mut dfs_t, node: *mut dfs_obj_t, stat: *mut stat) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_ostat, |wire| unsafe {
        tell(&mount(of)?.stat_object(wire, some_object(node)?)?, stat);
        Ok(())
    })
}

/// The same, its messages under way at the same time.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_ostatx(
    of: *mut dfs_t,
    node: *mut dfs_obj_t,
    stat: *mut stat,
    event: *mut daos_event_t,
) -> c_int {
    if event.is_null() {
        // SAFETY: the caller's word.
        return unsafe { dfs_ostat(of, node, stat) };
    }
    transfer(Call::dfs_ostatx, event, |wire| {
        // SAFETY: the caller's word.
        let object = unsafe {
            mount(of)?;
            some_object(node)?
        };
        wire.messages(if matches!(object.body, Body::Symlink(_)) { 1 } else { 2 });
        let sent = Sent((of, node, stat));
        let told: Transfer = Box::new(move |_| {
            let Sent((of, node, stat)) = { sent };
            // SAFETY: the client's word: all three stay until now.
            unsafe { tell(&mount(of)?.stat_object(&mut Exchange::unheard(), some_object(node)?)?, stat) };
            Ok(())
        });
        Ok(Announced { transfer: told, meanwhile: None })
    })
}

/// Sets attributes, and tells them.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_osetattr(of: *mut dfs_t, node: *mut dfs_obj_t, stat: *mut stat, flags: c_int) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_osetattr, |wire| unsafe {
        let mount = mount(of)?;
        check_out(stat)?;
        let set = mount.set_attributes(wire, some_object(node)?, &wanted(&*stat), flags)?;
        tell(&set, stat);
        Ok(())
    })
}

/// Sets the permission bits.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_chmod(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    name: *const c_char,
    mode: mode_t,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_chmod, |wire| unsafe { mount(of)?.set_mode(wire, object(directory), text(name), mode) })
}

/// Sets the owner.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_chown(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    name: *const c_char,
    uid: uid_t,
    gid: gid_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_chown, |wire| unsafe { mount(of)?.set_owner(wire, object(directory), text(name), (uid, gid), flags) })
}

/// Sets the chunk size of files to come in a directory.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_obj_set_chunk_size(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    _flags: c_int,
    chunk_bytes: u64,
) -> c_int {
    // SAFETY: the caller's word; only this call changes an open object, and not while another uses it.
    dfs(Call::dfs_obj_set_chunk_size, |wire| unsafe {
        let mount = mount(of)?;
        let object = some_object(directory)?;
        if !object.is_directory() {
            return Err(Errno::NOTSUP.into());
        }
        let chunk_bytes = if chunk_bytes == 0 { mount.container.chunk_bytes } else { chunk_bytes };
        mount.container.update(wire, object.parent, &object.name, |record| {
            record.chunk_bytes = chunk_bytes;
            Ok(())
        })?;
        // The root knows at once; any other directory when it is opened again.
        if object.oid == oid::ROOT {
            let root = &raw mut (*of.cast::<crate::mount::Mount>()).root.body;
            *root = Body::Directory { chunk_bytes, class: 0 };
        }
        Ok(())
    })
}

/// Sets an extended attribute.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_setxattr(
    of: *mut dfs_t,
    node: *mut dfs_obj_t,
    name: *const c_char,
    value: *const c_void,
    byte_count: u64,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_setxattr, |wire| unsafe {
        let mount = mount(of)?;
        let length = usize::try_from(byte_count).map_err(|_| Errno::INVAL)?;
        let value = match length {
            0 => &[],
            _ if value.is_null() => return Err(Errno::INVAL.into()),
            _ => slice::from_raw_parts(value.cast(), length),
        };
        mount.set_extended(wire, some_object(node)?, some_text(name)?, value, flags)
    })
}

/// Reads one.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_getxattr(
    of: *mut dfs_t,
    node: *mut dfs_obj_t,
    name: *const c_char,
    value: *mut c_void,
    byte_count: *mut u64,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_getxattr, |wire| unsafe {
        let mount = mount(of)?;
        check_out(byte_count)?;
        let room = usize::try_from(*byte_count).map_err(|_| Errno::INVAL)?;
        let room = (room != 0 && !value.is_null()).then_some(room);
        let there = mount.extended(wire, some_object(node)?, some_text(name)?, room)?;
        if room.is_some() {
            ptr::copy_nonoverlapping(there.as_ptr(), value.cast(), there.len());
        }
        byte_count.write(there.len() as u64);
        Ok(())
    })
}

/// Removes one.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_removexattr(of: *mut dfs_t, node: *mut dfs_obj_t, name: *const c_char) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_removexattr, |wire| unsafe { mount(of)?.remove_extended(wire, some_object(node)?, some_text(name)?) })
}

/// Lists them, each with a zero byte behind it; those that there is room for, and the room that all need.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_listxattr(
    of: *mut dfs_t,
    node: *mut dfs_obj_t,
    names: *mut c_char,
    byte_count: *mut u64,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_listxattr, |wire| unsafe {
        let mount = mount(of)?;
        check_out(byte_count)?;
        let mut room = *byte_count;
        let mut out = names.cast::<u8>();
        let mut needed = 0;
        for name in mount.extended_names(wire, some_object(node)?)? {
            let length = name.len() as u64 + 1;
            needed += length;
            if !names.is_null() && room >= length {
                ptr::copy_nonoverlapping(name.as_ptr(), out, name.len());
                out.add(name.len()).write(0);
                out = out.add(name.len() + 1);
                room -= length;
            }
        }
        byte_count.write(needed);
        Ok(())
    })
}

//! Names: looking up, making, removing, renaming, listing.
#![allow(unsafe_code)]

use super::memory::{check_out, dfs, dfs_here, give, mount, object, some_object, some_text, tell, tell_oid, text};
use crate::attributes::Stat;
use crate::calls::Call;
use crate::errors::Answer;
use crate::mount::{Mount, Object};
use crate::open::Opening;
use crate::wire::Exchange;
use libc::{dirent, mode_t, stat};
use rustix::io::Errno;
use sidestep::store::daos::bindings::{daos_anchor_t, daos_obj_id_t, dfs_obj_t, dfs_t};
use std::ffi::{c_char, c_int};
use std::ptr;

/// Hands over what was looked up.
unsafe fn answer_lookup(
    (object, attributes): (Object, Option<Stat>),
    node: *mut *mut dfs_obj_t,
    mode: *mut mode_t,
    stat: *mut stat,
) {
    // SAFETY: the caller's word.
    unsafe {
        if !mode.is_null() {
            mode.write(object.mode);
        }
        if let Some(attributes) = attributes {
            tell(&attributes, stat);
        }
        give(object, node);
    }
}

/// Opens what a path leads to.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_lookup(
    of: *mut dfs_t,
    path: *const c_char,
    flags: c_int,
    node: *mut *mut dfs_obj_t,
    mode: *mut mode_t,
    stat: *mut stat,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_lookup, |wire| unsafe {
        let mount = mount(of)?;
        check_out(node)?;
        let found = mount.lookup(wire, some_text(path)?, flags, !stat.is_null())?;
        answer_lookup(found, node, mode, stat);
        Ok(())
    })
}

/// Opens what a name leads to in a directory.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_lookup_rel(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    name: *const c_char,
    flags: c_int,
    node: *mut *mut dfs_obj_t,
    mode: *mut mode_t,
    stat: *mut stat,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_lookup_rel, |wire| unsafe {
        let mount = mount(of)?;
        check_out(node)?;
        let found = mount.lookup_in(wire, object(directory), some_text(name)?, flags, !stat.is_null())?;
        answer_lookup(found, node, mode, stat);
        Ok(())
    })
}

/// Opens or makes a node.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_open(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    name: *const c_char,
    mode: mode_t,
    flags: c_int,
    _class: u32,
    chunk_bytes: u64,
    target: *const c_char,
    node: *mut *mut dfs_obj_t,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_open, |wire| unsafe {
        let mount = mount(of)?;
        check_out(node)?;
        let how = Opening { mode, flags, chunk_bytes, target: text(target) };
        give(mount.open(wire, object(directory), some_text(name)?, &how)?, node);
        Ok(())
    })
}

/// Another handle to a node.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_dup(
    of: *mut dfs_t,
    node: *mut dfs_obj_t,
    flags: c_int,
    copy: *mut *mut dfs_obj_t,
) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_dup, || unsafe {
        let mount = mount(of)?;
        check_out(copy)?;
        give(mount.duplicate(some_object(node)?, flags)?, copy);
        Ok(())
    })
}

/// Closes a node.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_release(node: *mut dfs_obj_t) -> c_int {
    // SAFETY: the caller's word; it is used no more.
    dfs_here(Call::dfs_release, || unsafe {
        some_object(node)?;
        drop(Box::from_raw(node.cast::<Object>()));
        Ok(())
    })
}

/// Makes a directory.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_mkdir(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    name: *const c_char,
    mode: mode_t,
    _class: u32,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_mkdir, |wire| unsafe { mount(of)?.make_directory(wire, object(directory), some_text(name)?, mode) })
}

/// Removes a name.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_remove(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    name: *const c_char,
    force: bool,
    removed: *mut daos_obj_id_t,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_remove, |wire| unsafe {
        tell_oid(mount(of)?.remove(wire, object(directory), some_text(name)?, force)?, removed);
        Ok(())
    })
}

/// Renames.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_move(
    of: *mut dfs_t,
    from: *mut dfs_obj_t,
    name: *const c_char,
    to: *mut dfs_obj_t,
    new_name: *const c_char,
    replaced: *mut daos_obj_id_t,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_move, |wire| unsafe {
        let (from, to) = ((object(from), some_text(name)?), (object(to), some_text(new_name)?));
        if let Some(oid) = mount(of)?.rename(wire, from, to)? {
            tell_oid(oid, replaced);
        }
        Ok(())
    })
}

/// Exchanges two names.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_exchange(
    of: *mut dfs_t,
    first: *mut dfs_obj_t,
    first_name: *const c_char,
    second: *mut dfs_obj_t,
    second_name: *const c_char,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_exchange, |wire| unsafe {
        let (first, second) = ((object(first), some_text(first_name)?), (object(second), some_text(second_name)?));
        mount(of)?.exchange(wire, first, second)
    })
}

/// What `da_type` says: on the way, at the end.
const ANCHOR_ON_THE_WAY: u16 = 1;
const ANCHOR_AT_THE_END: u16 = 3;

/// Tells names, and attributes where they are wanted: a message for the names, two to each entry.
unsafe fn list(
    wire: &mut Exchange,
    mount: &Mount,
    directory: Option<&Object>,
    (anchor, count): (*mut daos_anchor_t, *mut u32),
    entries: *mut dirent,
    stats: *mut stat,
) -> Answer<()> {
    let directory = directory.filter(|directory| directory.is_directory()).ok_or(Errno::NOTDIR)?;
    // SAFETY: the caller's word.
    let (wanted, anchor) = unsafe { (count.read() as usize, anchor.as_mut()) };
    if wanted == 0 {
        return Ok(());
    }
    check_out(entries)?;
    let anchor = anchor.ok_or(Errno::INVAL)?;
    let mut told = 0;
    while anchor.da_type != ANCHOR_AT_THE_END && told < wanted {
        let after = u64::from_ne_bytes(*anchor.da_buf.first_chunk().ok_or(Errno::INVAL)?);
        let (names, is_last) = mount.container.names(wire, directory.oid, after, wanted - told)?;
        for (position, name) in &names {
            // SAFETY: the caller's word that there is room for as many as are wanted.
            unsafe {
                let d_name = (&raw mut (*entries.add(told)).d_name).cast::<u8>();
                ptr::copy_nonoverlapping(name.as_ptr(), d_name, name.len());
                d_name.add(name.len()).write(0);
                if !stats.is_null() {
                    tell(&mount.entry_stat(wire, directory.oid, name, None, true)?.0, stats.add(told));
                }
            }
            anchor.da_buf[..8].copy_from_slice(&position.to_ne_bytes());
            told += 1;
        }
        anchor.da_type = if is_last { ANCHOR_AT_THE_END } else { ANCHOR_ON_THE_WAY };
    }
    // SAFETY: the caller's word.
    unsafe { count.write(u32::try_from(told).unwrap_or(u32::MAX)) };
    Ok(())
}

/// Tells names.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_readdir(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    anchor: *mut daos_anchor_t,
    count: *mut u32,
    entries: *mut dirent,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_readdir, |wire| unsafe {
        list(wire, mount(of)?, object(directory), (anchor, count), entries, ptr::null_mut())
    })
}

/// Tells names and attributes.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_readdirplus(
    of: *mut dfs_t,
    directory: *mut dfs_obj_t,
    anchor: *mut daos_anchor_t,
    count: *mut u32,
    entries: *mut dirent,
    stats: *mut stat,
) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_readdirplus, |wire| unsafe {
        list(wire, mount(of)?, object(directory), (anchor, count), entries, stats)
    })
}

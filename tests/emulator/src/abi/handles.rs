//! Starting, pools, containers, mounts.
#![allow(unsafe_code)]

use super::events::with_event;
use super::memory::{check_out, dfs, dfs_here, label, mount, text};
use crate::calls::Call;
use crate::container::Container;
use crate::counters;
use crate::errors::{Answer, Der, Trouble};
use crate::mount::Mount;
use crate::settings::settings;
use crate::wire;
use crate::{oid, pool, process};
use rustix::io::Errno;
use sidestep::store::daos::bindings::{
    d_rank_list_t, daos_cont_info_t, daos_event_t, daos_handle_t, daos_pool_info_t, daos_prop_t, dfs_attr_t, dfs_t,
};
use std::ffi::{c_char, c_int, c_uint};
use std::sync::Arc;

fn code(answer: Answer<()>) -> c_int {
    answer.map_or_else(Trouble::for_daos, |()| 0)
}

/// Opens a log that is never written.
///
/// # Safety
/// As libgurt has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn d_log_init_adv(
    _tag: *mut c_char,
    _file: *mut c_char,
    _flavor: c_uint,
    _mask: u64,
    _error_mask: u64,
    _identity: Option<unsafe extern "C" fn(thread: *mut u32, user: *mut u64)>,
) -> c_int {
    code(wire::serve_here(Call::d_log_init_adv, || Ok(())))
}

/// Starts the library.
#[unsafe(no_mangle)]
pub extern "C" fn daos_init() -> c_int {
    code(wire::serve_here(Call::daos_init, process::start))
}

/// Ends it.
#[unsafe(no_mangle)]
pub extern "C" fn daos_fini() -> c_int {
    code(wire::serve_here(Call::daos_fini, process::end))
}

/// Starts it anew in a fork child.
#[unsafe(no_mangle)]
pub extern "C" fn daos_reinit() -> c_int {
    code(wire::serve_here(Call::daos_reinit, process::start_in_child))
}

/// The messages so far, of all processes that share the counters.
#[unsafe(no_mangle)]
pub extern "C" fn emulator_messages() -> u64 {
    counters::messages()
}

/// Connects to a pool: a message to find its service, one to it.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_pool_connect2(
    pool: *const c_char,
    _system: *const c_char,
    flags: c_uint,
    handle: *mut daos_handle_t,
    info: *mut daos_pool_info_t,
    event: *mut daos_event_t,
) -> c_int {
    // SAFETY: the caller's word.
    with_event(Call::daos_pool_connect2, event, |wire| unsafe {
        wire.message();
        wire.message();
        check_out(handle)?;
        let cookie = pool::connect(label(pool)?, flags)?;
        handle.write(daos_handle_t { cookie });
        tell_pool(cookie, info)
    })
}

/// Disconnects.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_pool_disconnect(pool: daos_handle_t, event: *mut daos_event_t) -> c_int {
    with_event(Call::daos_pool_disconnect, event, |wire| {
        wire.message();
        pool::disconnect(pool.cookie)
    })
}

/// Tells of a pool.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_pool_query(
    pool: daos_handle_t,
    _ranks: *mut *mut d_rank_list_t,
    info: *mut daos_pool_info_t,
    _properties: *mut daos_prop_t,
    event: *mut daos_event_t,
) -> c_int {
    with_event(Call::daos_pool_query, event, |wire| {
        wire.message();
        // SAFETY: the caller's word.
        unsafe { tell_pool(pool.cookie, info) }
    })
}

unsafe fn tell_pool(handle: u64, info: *mut daos_pool_info_t) -> Answer<()> {
    let pool = pool::pool(handle)?;
    let free = pool.free_bytes()?;
    // SAFETY: null or writable, by the caller's word.
    let Some(info) = (unsafe { info.as_mut() }) else { return Ok(()) };
    info.pi_uuid = pool.uuid;
    (info.pi_ntargets, info.pi_nnodes, info.pi_ndisabled) = (1, 1, 0);
    (info.pi_map_ver, info.pi_leader) = (1, 0);
    let space = &mut info.pi_space;
    space.ps_space.s_total = [settings().pool_bytes, 0];
    space.ps_space.s_free = [free, 0];
    (space.ps_free_min, space.ps_free_max, space.ps_free_mean) = ([free, 0], [free, 0], [free, 0]);
    space.ps_ntargets = 1;
    Ok(())
}

/// Opens a container.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_cont_open2(
    pool: daos_handle_t,
    container: *const c_char,
    flags: c_uint,
    handle: *mut daos_handle_t,
    info: *mut daos_cont_info_t,
    event: *mut daos_event_t,
) -> c_int {
    // SAFETY: the caller's word.
    with_event(Call::daos_cont_open2, event, |wire| unsafe {
        wire.message();
        check_out(handle)?;
        let cookie = pool::open_container(pool.cookie, label(container)?, flags)?;
        handle.write(daos_handle_t { cookie });
        tell_container(cookie, info)
    })
}

/// Closes it.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_cont_close(container: daos_handle_t, event: *mut daos_event_t) -> c_int {
    with_event(Call::daos_cont_close, event, |wire| {
        wire.message();
        pool::close_container(container.cookie)
    })
}

/// Tells of a container; of its properties nothing.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_cont_query(
    container: daos_handle_t,
    info: *mut daos_cont_info_t,
    properties: *mut daos_prop_t,
    event: *mut daos_event_t,
) -> c_int {
    with_event(Call::daos_cont_query, event, |wire| {
        wire.message();
        if !properties.is_null() {
            return Err(Der::NOTSUPPORTED.into());
        }
        // SAFETY: the caller's word.
        unsafe { tell_container(container.cookie, info) }
    })
}

unsafe fn tell_container(handle: u64, info: *mut daos_cont_info_t) -> Answer<()> {
    let container = pool::container(handle)?;
    // SAFETY: null or writable, by the caller's word.
    if let Some(info) = unsafe { info.as_mut() } {
        info.ci_uuid = container.uuid;
        (info.ci_lsnapshot, info.ci_nhandles, info.ci_nsnapshots) = (0, 1, 0);
        (info.ci_md_otime, info.ci_md_mtime) = (0, 0);
    }
    Ok(())
}

/// Mounts a container.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_mount(
    _pool: daos_handle_t,
    container: daos_handle_t,
    flags: c_int,
    out: *mut *mut dfs_t,
) -> c_int {
    dfs(Call::dfs_mount, |wire| {
        check_out(out)?;
        let mount = Mount::new(wire, pool::container(container.cookie)?, flags, false)?;
        // SAFETY: the caller's word.
        unsafe { out.write(Box::into_raw(Box::new(mount)).cast()) };
        Ok(())
    })
}

/// Mounts a snapshot, for reading.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_mount_snap(
    _pool: daos_handle_t,
    container: daos_handle_t,
    _flags: c_int,
    epoch: u64,
    name: *const c_char,
    out: *mut *mut dfs_t,
) -> c_int {
    dfs(Call::dfs_mount_snap, |wire| {
        check_out(out)?;
        if epoch == u64::MAX {
            return Err(Errno::INVAL.into());
        }
        let container = pool::container(container.cookie)?;
        let snapshot: Arc<Container> = if epoch == 0 {
            // SAFETY: the caller's word.
            let name = unsafe { text(name) }.ok_or(Errno::INVAL)?;
            wire.message();
            container.snapshot_by_name(name)?
        } else {
            container.snapshot(epoch)?
        };
        let mount = Mount::new(wire, snapshot, libc::O_RDONLY, true)?;
        // SAFETY: the caller's word.
        unsafe { out.write(Box::into_raw(Box::new(mount)).cast()) };
        Ok(())
    })
}

/// Unmounts.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_umount(dfs: *mut dfs_t) -> c_int {
    // SAFETY: the caller's word; it is used no more.
    dfs_here(Call::dfs_umount, || unsafe {
        mount(dfs)?;
        drop(Box::from_raw(dfs.cast::<Mount>()));
        Ok(())
    })
}

/// Tells the container's attributes.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_query(dfs: *mut dfs_t, attributes: *mut dfs_attr_t) -> c_int {
    // SAFETY: the caller's word; the structure is numbers and a pointer that may be null.
    dfs_here(Call::dfs_query, || unsafe {
        let mount = mount(dfs)?;
        check_out(attributes)?;
        attributes.write_bytes(0, 1);
        let attributes = &mut *attributes;
        attributes.da_chunk_size = mount.container.chunk_bytes;
        attributes.da_dir_oclass_id = oid::DIRECTORY_CLASS;
        attributes.da_file_oclass_id = oid::FILE_CLASS;
        Ok(())
    })
}

/// Does nothing, as there.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_sync(dfs: *mut dfs_t) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_sync, || unsafe { mount(dfs) }?.check_writable())
}

/// Makes a snapshot of a container, and tells its epoch.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_cont_create_snap(
    container: daos_handle_t,
    epoch: *mut u64,
    name: *mut c_char,
    event: *mut daos_event_t,
) -> c_int {
    with_event(Call::daos_cont_create_snap, event, |wire| {
        wire.message();
        check_out(epoch)?;
        // SAFETY: the caller's word.
        unsafe {
            let made = pool::container(container.cookie)?.make_snapshot(text(name).unwrap_or_default())?;
            epoch.write(made);
        }
        Ok(())
    })
}

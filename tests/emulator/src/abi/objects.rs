//! Objects past libdfs: a directory's entries as it lays them out, an array's size.
#![allow(unsafe_code)]

use super::events::{Announced, Sent, Transfer, transfer_as};
use super::memory::{check_out, daos_here, dfs_here, some_object};
use crate::array::Array;
use crate::calls::Call;
use crate::container::Container;
use crate::errors::{Answer, Der, Trouble};
use crate::oid::Oid;
use crate::pool;
use crate::record::{Record, Time};
use crate::settings::{Layout, settings};
use libc::timespec;
use sidestep::store::daos::bindings::{
    d_iov_t, d_sg_list_t, daos_array_stbuf_t, daos_event_t, daos_handle_t, daos_iod_t, daos_iom_t, daos_key_t,
    daos_obj_id_t, daos_recx_t, dfs_obj_t,
};
use std::ffi::{c_int, c_uint};
use std::sync::Arc;
use std::{ptr, slice};

/// The key of an entry's bytes, how many they are, and how many more [`Layout::Longer`] has.
const ENTRY_KEY: &[u8] = b"DFS_INODE";
const ENTRY_BYTES: usize = 88;
const MORE_BYTES: usize = 8;

/// The kind of value that an entry is: an array of bytes.
const IOD_ARRAY: u32 = 2;

/// `DAOS_IOMF_DETAIL`: a client wants to be told of all ranges.
const ALL: u32 = 1;

/// An open object.
struct Opened {
    container: Arc<Container>,
    oid: Oid,
}

/// A client's object.
unsafe fn opened<'a>(handle: daos_handle_t) -> Answer<&'a Opened> {
    // SAFETY: the caller's word: of `daos_obj_open`, and not closed.
    unsafe { ptr::with_exposed_provenance::<Opened>(handle.cookie as usize).as_ref() }.ok_or(Der::NO_HDL.into())
}

/// The bytes of a key.
unsafe fn bytes<'a>(key: *const d_iov_t) -> Answer<&'a [u8]> {
    // SAFETY: the caller's word.
    unsafe {
        let key = key.as_ref().filter(|key| !key.iov_buf.is_null()).ok_or(Der::INVAL)?;
        Ok(slice::from_raw_parts(key.iov_buf.cast(), key.iov_len))
    }
}

/// Opens an object.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_obj_open(
    container: daos_handle_t,
    object: daos_obj_id_t,
    _mode: c_uint,
    handle: *mut daos_handle_t,
    _event: *mut daos_event_t,
) -> c_int {
    daos_here(Call::daos_obj_open, || {
        check_out(handle)?;
        let container = pool::container(container.cookie)?;
        let oid = Oid { lo: object.lo, hi: object.hi };
        let opened = Box::new(Opened { container, oid });
        // SAFETY: the caller's word.
        unsafe { handle.write(daos_handle_t { cookie: Box::into_raw(opened).expose_provenance() as u64 }) };
        Ok(())
    })
}

/// Closes one.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_obj_close(object: daos_handle_t, _event: *mut daos_event_t) -> c_int {
    // SAFETY: the caller's word; it is used no more.
    daos_here(Call::daos_obj_close, || unsafe {
        drop(Box::from_raw(ptr::from_ref(opened(object)?).cast_mut()));
        Ok(())
    })
}

/// An entry as libdfs lays it out.
fn entry(record: &Record) -> Vec<u8> {
    let mut entry = vec![0; ENTRY_BYTES];
    let mut put = |at: usize, value: &[u8]| entry[at..at + value.len()].copy_from_slice(value);
    put(0, &record.mode.to_ne_bytes());
    let signed = [
        (20, record.modified.seconds),
        (28, record.changed.seconds),
        (48, record.modified.nanoseconds),
        (56, record.changed.nanoseconds),
        (80, record.epoch),
    ];
    for (at, value) in signed {
        put(at, &value.to_ne_bytes());
    }
    let words = [(4, record.oid.lo), (12, record.oid.hi), (36, record.chunk_bytes), (72, record.target.len() as u64)];
    for (at, value) in words {
        put(at, &value.to_ne_bytes());
    }
    for (at, value) in [(44, record.class), (64, record.uid), (68, record.gid)] {
        put(at, &value.to_ne_bytes());
    }
    match settings().layout {
        Layout::Known => {}
        Layout::Other => entry.rotate_right(8),
        Layout::Longer => entry.resize(ENTRY_BYTES + MORE_BYTES, 0),
    }
    entry
}

/// Reads an entry.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_obj_fetch(
    object: daos_handle_t,
    _transaction: daos_handle_t,
    _flags: u64,
    key: *mut daos_key_t,
    count: c_uint,
    what: *mut daos_iod_t,
    memory: *mut d_sg_list_t,
    maps: *mut daos_iom_t,
    event: *mut daos_event_t,
) -> c_int {
    transfer_as(Call::daos_obj_fetch, event, Trouble::for_daos, |wire| {
        // SAFETY: the caller's word.
        let (opened, room_bytes) = unsafe {
            let what = what.as_ref().filter(|_| count == 1).ok_or(Der::INVAL)?;
            if bytes(&raw const what.iod_name)? != ENTRY_KEY || what.iod_type != IOD_ARRAY {
                return Err(Der::INVAL.into());
            }
            bytes(key)?;
            let range = what.iod_recxs.as_ref().filter(|range| range.rx_idx == 0).ok_or(Der::INVAL)?;
            (opened(object)?, range.rx_nr as usize)
        };
        wire.message();
        let (container, oid) = (opened.container.clone(), opened.oid);
        let sent = Sent((key, memory, maps));
        let told: Transfer = Box::new(move |_| {
            let Sent((key, memory, maps)) = { sent };
            // SAFETY: the client's word: both stay until now.
            unsafe {
                let name = bytes(key)?;
                let record = container.fetch(&mut crate::wire::Exchange::unheard(), oid, name, false)?;
                let record = record.ok_or(Der::NONEXIST)?;
                let memory = memory.as_mut().ok_or(Der::INVAL)?;
                let room = memory.sg_iovs.as_mut().ok_or(Der::INVAL)?;
                let entry = entry(&record);
                let count = entry.len().min(room_bytes).min(room.iov_buf_len);
                ptr::copy_nonoverlapping(entry.as_ptr(), room.iov_buf.cast(), count);
                memory.sg_nr_out = 1;
                if let Some(maps) = maps.as_mut() {
                    tell(maps, daos_recx_t { rx_idx: 0, rx_nr: count as u64 });
                }
            }
            Ok(())
        });
        Ok(Announced { transfer: told, meanwhile: None })
    })
}

/// Tells what there is: one range.
fn tell(there: &mut daos_iom_t, range: daos_recx_t) {
    (there.iom_nr_out, there.iom_recx_lo, there.iom_recx_hi) = (1, range, range);
    if there.iom_flags & ALL != 0 && there.iom_nr == 0 {
        // SAFETY: freed by the client, as the real one's is.
        unsafe {
            let room: *mut daos_recx_t = crate::memory::of_program(size_of::<daos_recx_t>()).cast();
            if let Some(room) = room.as_mut() {
                *room = range;
                (there.iom_nr, there.iom_recxs) = (1, room);
            }
        }
    }
}

/// The array of a file.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_get_file_oh(file: *mut dfs_obj_t, array: *mut daos_handle_t) -> c_int {
    // SAFETY: the caller's word; the array lives as long as the open file.
    dfs_here(Call::dfs_get_file_oh, || unsafe {
        check_out(array)?;
        let of_file = Arc::as_ptr(some_object(file)?.array()?);
        array.write(daos_handle_t { cookie: of_file.expose_provenance() as u64 });
        Ok(())
    })
}

/// Asks for an array's size and epoch.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_array_stat(
    array: daos_handle_t,
    _transaction: daos_handle_t,
    stat: *mut daos_array_stbuf_t,
    event: *mut daos_event_t,
) -> c_int {
    transfer_as(Call::daos_array_stat, event, Trouble::for_daos, |wire| {
        check_out(stat)?;
        wire.message();
        let sent = Sent((array, stat));
        let told: Transfer = Box::new(move |_| {
            let Sent((array, stat)) = { sent };
            // SAFETY: the client's word: of `dfs_get_file_oh`, and the file is open until now.
            unsafe {
                let array = ptr::with_exposed_provenance::<Array>(array.cookie as usize);
                let array = array.as_ref().ok_or(Der::NO_HDL)?;
                let (size_bytes, epoch) = array.stat(&mut crate::wire::Exchange::unheard())?;
                stat.write(daos_array_stbuf_t { st_size: size_bytes, st_max_epoch: epoch.cast_unsigned() });
            }
            Ok(())
        });
        Ok(Announced { transfer: told, meanwhile: None })
    })
}

/// An epoch as a time: here it is one, in nanoseconds.
///
/// # Safety
/// As libgurt has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn d_hlc2timespec(epoch: u64, time: *mut timespec) -> c_int {
    daos_here(Call::d_hlc2timespec, || {
        check_out(time)?;
        let told = Time::of(epoch.cast_signed());
        // SAFETY: the caller's word.
        unsafe { time.write(timespec { tv_sec: told.seconds, tv_nsec: told.nanoseconds }) };
        Ok(())
    })
}

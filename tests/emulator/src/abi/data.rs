//! Bytes.
#![allow(unsafe_code)]

use super::events::{Announced, Sent, Transfer, transfer};
use super::memory::{check_out, dfs, dfs_here, mount, object, some_object};
use crate::array::{Array, Range};
use crate::calls::Call;
use crate::errors::Answer;
use crate::mount::Object;
use crate::task::Meanwhile;
use rustix::io::Errno;
use sidestep::ground::buffer::Segment;
use sidestep::store::daos::bindings::{d_sg_list_t, daos_event_t, dfs_iod_t, dfs_obj_t, dfs_t};
use std::ffi::c_int;

/// The memory of a list.
pub unsafe fn segments(list: *mut d_sg_list_t) -> Answer<Vec<Segment>> {
    // SAFETY: null or a list, by the caller's word.
    let Some(list) = (unsafe { list.as_ref() }) else { return Ok(Vec::new()) };
    let mut segments = Vec::with_capacity(list.sg_nr as usize);
    for index in 0..list.sg_nr as usize {
        // SAFETY: the list has so many pieces.
        unsafe {
            let piece = *list.sg_iovs.add(index);
            segments.push(Segment::new(piece.iov_buf.cast(), piece.iov_len)?);
        }
    }
    Ok(segments)
}

/// The ranges of a list.
unsafe fn ranges(list: *mut dfs_iod_t) -> Answer<Vec<Range>> {
    // SAFETY: null or a list, by the caller's word.
    let list = unsafe { list.as_ref() }.ok_or(Errno::INVAL)?;
    let at = |index| {
        // SAFETY: the list has so many ranges.
        let range = unsafe { *list.iod_rgs.add(index) };
        (range.rg_idx, range.rg_len)
    };
    Ok((0..usize::try_from(list.iod_nr).map_err(|_| Errno::INVAL)?).map(at).collect())
}

fn total(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| segment.len() as u64).sum()
}

/// The readable file behind an object.
unsafe fn readable<'a>(dfs: *mut dfs_t, file: *mut dfs_obj_t) -> Answer<&'a Object> {
    // SAFETY: the caller's word.
    let object = unsafe {
        mount(dfs)?;
        some_object(file)?
    };
    object.array()?;
    if object.access() == libc::O_WRONLY { Err(Errno::PERM.into()) } else { Ok(object) }
}

/// The writable file behind an object.
unsafe fn writable<'a>(dfs: *mut dfs_t, file: *mut dfs_obj_t) -> Answer<&'a Object> {
    // SAFETY: the caller's word.
    let object = unsafe {
        mount(dfs)?.check_writable()?;
        some_object(file)?
    };
    object.array()?;
    if object.access() == libc::O_RDONLY { Err(Errno::PERM.into()) } else { Ok(object) }
}

/// Reads ranges, or one range of the memory's length.
unsafe fn read(
    call: Call,
    (dfs, file): (*mut dfs_t, *mut dfs_obj_t),
    ranges: impl FnOnce(u64) -> Answer<Vec<Range>>,
    memory: *mut d_sg_list_t,
    byte_count: *mut u64,
    event: *mut daos_event_t,
) -> c_int {
    transfer(call, event, |wire| {
        // SAFETY: the caller's word.
        let object = unsafe { readable(dfs, file)? };
        check_out(memory)?;
        check_out(byte_count)?;
        // SAFETY: the caller's word.
        let segments_now = unsafe { segments(memory)? };
        let ranges = ranges(total(&segments_now))?;
        let array = object.array()?.clone();
        if !ranges.iter().all(|(_, length)| *length == 0) {
            Array::check(&ranges, &segments_now)?;
            array.announce(wire, &ranges, true)?;
        }
        let meanwhile = array.may_go_on_alone(&ranges).then(|| Meanwhile::of(&segments_now, false));
        let sent = Sent((memory, byte_count));
        let read: Transfer = Box::new(move |is_short| {
            let Sent((memory, byte_count)) = { sent };
            // SAFETY: the client's word: both stay until now.
            unsafe {
                let mut segments = segments(memory)?;
                let mut ranges = ranges;
                if is_short {
                    (ranges, segments) = half(&ranges, &segments);
                }
                byte_count.write(array.read(&ranges, &segments)?);
            }
            Ok(())
        });
        Ok(Announced { transfer: read, meanwhile })
    })
}

/// The first half of a transfer.
pub fn half(ranges: &[Range], segments: &[Segment]) -> (Vec<Range>, Vec<Segment>) {
    let Some((offset, length)) = ranges.first().copied() else { return (Vec::new(), Vec::new()) };
    let Some(segment) = segments.first() else { return (Vec::new(), Vec::new()) };
    let length = length.min(segment.len() as u64) / 2;
    (vec![(offset, length)], vec![segment.part(0, usize::try_from(length).unwrap_or(usize::MAX))])
}

/// Writes ranges, or one range of the memory's length.
unsafe fn write(
    call: Call,
    (dfs, file): (*mut dfs_t, *mut dfs_obj_t),
    ranges: impl FnOnce(u64) -> Answer<Vec<Range>>,
    memory: *mut d_sg_list_t,
    event: *mut daos_event_t,
) -> c_int {
    transfer(call, event, |wire| {
        // SAFETY: the caller's word.
        let (object, segments_now) = unsafe { (writable(dfs, file)?, segments(memory)?) };
        let ranges = ranges(total(&segments_now))?;
        let array = object.array()?.clone();
        if !ranges.iter().all(|(_, length)| *length == 0) {
            Array::check(&ranges, &segments_now)?;
            array.announce(wire, &ranges, false)?;
        }
        let meanwhile = array.may_go_on_alone(&ranges).then(|| Meanwhile::of(&segments_now, true));
        let sent = Sent(memory);
        let write: Transfer = Box::new(move |_| {
            let Sent(memory) = { sent };
            // SAFETY: the client's word: it stays until now.
            array.write(&ranges, &unsafe { segments(memory)? })
        });
        Ok(Announced { transfer: write, meanwhile })
    })
}

/// Reads one range.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_read(
    dfs: *mut dfs_t,
    file: *mut dfs_obj_t,
    memory: *mut d_sg_list_t,
    offset: u64,
    byte_count: *mut u64,
    event: *mut daos_event_t,
) -> c_int {
    let one = |length| Ok(vec![(offset, length)]);
    // SAFETY: the caller's word.
    unsafe { read(Call::dfs_read, (dfs, file), one, memory, byte_count, event) }
}

/// Reads several.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_readx(
    dfs: *mut dfs_t,
    file: *mut dfs_obj_t,
    list: *mut dfs_iod_t,
    memory: *mut d_sg_list_t,
    byte_count: *mut u64,
    event: *mut daos_event_t,
) -> c_int {
    // SAFETY: the caller's word.
    unsafe { read(Call::dfs_readx, (dfs, file), |_| ranges(list), memory, byte_count, event) }
}

/// Writes one range.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_write(
    dfs: *mut dfs_t,
    file: *mut dfs_obj_t,
    memory: *mut d_sg_list_t,
    offset: u64,
    event: *mut daos_event_t,
) -> c_int {
    let one = |length| Ok(vec![(offset, length)]);
    // SAFETY: the caller's word.
    unsafe { write(Call::dfs_write, (dfs, file), one, memory, event) }
}

/// Writes several.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_writex(
    dfs: *mut dfs_t,
    file: *mut dfs_obj_t,
    list: *mut dfs_iod_t,
    memory: *mut d_sg_list_t,
    event: *mut daos_event_t,
) -> c_int {
    // SAFETY: the caller's word.
    unsafe { write(Call::dfs_writex, (dfs, file), |_| ranges(list), memory, event) }
}

/// A file's size.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_get_size(of: *mut dfs_t, file: *mut dfs_obj_t, byte_count: *mut u64) -> c_int {
    // SAFETY: the caller's word.
    dfs(Call::dfs_get_size, |wire| unsafe {
        mount(of)?;
        check_out(byte_count)?;
        byte_count.write(some_object(file)?.array()?.size(wire)?);
        Ok(())
    })
}

/// Makes a hole, or cuts the file off: where the hole reaches the end, or the length is 2^64 - 1.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_punch(of: *mut dfs_t, file: *mut dfs_obj_t, offset: u64, length: u64) -> c_int {
    dfs(Call::dfs_punch, |wire| {
        // SAFETY: the caller's word.
        let array = unsafe { writable(of, file)? }.array()?;
        if length == u64::MAX {
            return array.set_size(wire, offset);
        }
        let size_bytes = array.size(wire)?;
        if size_bytes <= offset {
            return Ok(());
        }
        if size_bytes <= offset.saturating_add(length) {
            return array.set_size(wire, offset);
        }
        array.punch(wire, (offset, length))
    })
}

/// A file's chunk size.
///
/// # Safety
/// As libdfs has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfs_get_chunk_size(file: *mut dfs_obj_t, byte_count: *mut u64) -> c_int {
    // SAFETY: the caller's word.
    dfs_here(Call::dfs_get_chunk_size, || unsafe {
        let object = object(file).ok_or(Errno::INVAL)?;
        check_out(byte_count)?;
        byte_count.write(object.array()?.chunk_bytes());
        Ok(())
    })
}

//! A file's chunks as keys of its object: numbered from 1, their bytes under `"0"`.
#![allow(unsafe_code)]

use super::data::{half, segments};
use super::events::{Announced, Sent, Transfer, transfer_as};
use super::objects::{IOD_ARRAY, bytes};
use crate::array::Array;
use crate::calls::Call;
use crate::errors::{Answer, Der, Trouble};
use crate::settings::{Layout, settings};
use sidestep::store::daos::bindings::{d_sg_list_t, daos_event_t, daos_iod_t, daos_iom_t, daos_key_t, daos_recx_t};
use std::ffi::c_int;
use std::sync::Arc;

/// Where a chunk's bytes are.
const KEY: &[u8] = b"0";

/// `DAOS_IOMF_DETAIL`.
const ALL: u32 = 1;

/// What a client hands over: the chunk's number, what of it, where to, and what there is.
type Asked = (*mut daos_key_t, *mut daos_iod_t, *mut d_sg_list_t, *mut daos_iom_t);

/// The chunk's number and the range of it that is asked for.
unsafe fn asked((key, what, _, _): Asked) -> Answer<(u64, daos_recx_t)> {
    // SAFETY: the caller's word.
    unsafe {
        let what = what.as_ref().ok_or(Der::INVAL)?;
        let is_bytes = bytes(&raw const what.iod_name)? == KEY && what.iod_type == IOD_ARRAY && what.iod_size == 1;
        let number = bytes(key)?.first_chunk().map(|number| u64::from_ne_bytes(*number)).ok_or(Der::INVAL)?;
        let range = what.iod_recxs.as_ref().filter(|_| is_bytes && what.iod_nr == 1).ok_or(Der::INVAL)?;
        Ok((number, *range))
    }
}

/// Reads a part of a chunk. Where there is no byte the memory is left as it was.
///
/// # Safety
/// As libdaos's `daos_obj_fetch` has it.
pub unsafe fn fetch(array: &Arc<Array>, all: Asked, event: *mut daos_event_t) -> c_int {
    transfer_as(Call::daos_obj_fetch, event, Trouble::for_daos, |wire| {
        // SAFETY: the caller's word.
        let (number, range) = unsafe { asked(all)? };
        // A library that lays files out otherwise numbers chunks from 0.
        let first = u64::from(settings().layout != Layout::Other);
        let start = number.checked_sub(first).ok_or(Der::INVAL)? * array.chunk_bytes() + range.rx_idx;
        wire.message();
        wire.bytes(range.rx_nr);
        let (sent, array) = (Sent(all), array.clone());
        let told: Transfer = Box::new(move |is_short| {
            let Sent((_, _, memory, there)) = { sent };
            // SAFETY: the client's word: both stay until now.
            unsafe {
                let (mut ranges, mut segments) = (vec![(start, range.rx_nr)], segments(memory)?);
                if is_short {
                    (ranges, segments) = half(&ranges, &segments);
                }
                let count = array.read(&ranges, &segments)?;
                if let Some(there) = there.as_mut() {
                    tell(there, daos_recx_t { rx_nr: count, ..range });
                }
            }
            Ok(())
        });
        Ok(Announced { transfer: told, meanwhile: None })
    })
}

/// Tells what there is: one range, or none.
pub fn tell(there: &mut daos_iom_t, range: daos_recx_t) {
    let count = u32::from(range.rx_nr != 0);
    (there.iom_nr_out, there.iom_recx_lo, there.iom_recx_hi) = (count, range, range);
    if there.iom_flags & ALL != 0 && there.iom_nr == 0 && count != 0 {
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

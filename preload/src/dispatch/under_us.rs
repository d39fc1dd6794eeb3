//! The descriptors of a library under us (sockets of a network, logs): moved to high numbers as they are made, so that
//! the application gets the numbers that it expects, and spared when it closes a whole range.

use super::arguments::{descriptor, put, take};
use super::{Call, Verdict};
use crate::serve::kernel;
use house::ground::kernel::{Parked, borrow, close, park_copy};
use house::ground::parked;

/// Makes a call that returns a descriptor, or stores two.
///
/// # Safety
/// The call's pointers are worth what a system call's are.
pub unsafe fn make(call: &Call) -> Verdict {
    // SAFETY: by the caller's word.
    let result = unsafe { kernel(call) };
    let pair = match call.number as i64 {
        libc::SYS_pipe | libc::SYS_pipe2 => Some(call.arguments[0]),
        libc::SYS_socketpair => Some(call.arguments[3]),
        _ => None,
    };
    match pair {
        _ if result < 0 => {}
        None => return Verdict::Done(i64::from(raise(descriptor(result as u64)))),
        Some(address) => {
            // SAFETY: the kernel has just written there.
            let _ = unsafe { take::<[i32; 2]>(address).and_then(|pair| put(address, pair.map(raise))) };
        }
    }
    Verdict::Done(result)
}

/// Moves a new descriptor up, close-on-exec: another program has no use for it. It stays where it is if no number is
/// left there.
fn raise(low: i32) -> i32 {
    let Ok(high) = park_copy(borrow(low)).map(Parked::into_number) else { return low };
    close(low);
    high
}

/// The library closes a descriptor: the number may be the application's next.
pub fn forget(number: i32) {
    parked::remove(number);
}

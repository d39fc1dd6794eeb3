//! What a library under us asks of the kernel, while a call of the application's is served: it is never ours. If the
//! library's own descriptor has a number that the table knows, by whatever mistake, the call would wait for itself.
//!
//! The descriptors that such a library makes (sockets of a network, logs, files) are moved to high numbers as they are
//! made, so that the application gets the numbers that it expects, and spared when it closes a whole range.

use super::arguments::{descriptor, kernel_result, put, take};
use super::{Call, Verdict};
use crate::serve::kernel;
use house::ground::kernel::{Parked, borrow, close, park_copy};
use house::ground::{guard, internal, parked};

/// Passes a call on.
///
/// # Safety
/// The call's pointers are worth what a system call's are.
pub unsafe fn pass(call: &Call) -> Verdict {
    if guard::is_in_library() && crate::gate::calls::makes_descriptors(call.number) {
        // SAFETY: by the caller's word.
        return unsafe { make(call) };
    }
    if call.number as i64 == libc::SYS_close {
        // The number may be the application's next.
        parked::remove(descriptor(call.arguments[0]));
    }
    Verdict::Pass
}

/// A library under us makes a thread: what that thread calls is no word from another process to the program.
pub fn note_thread(call: &Call) {
    const POINTER_OFFSET: u64 = 56;
    let is_clone = [libc::SYS_clone, libc::SYS_clone3].contains(&(call.number as i64));
    if !is_clone || !guard::is_in_library() {
        return;
    }
    let [first, .., fifth, _] = call.arguments;
    let (flags, pointer) = match call.number as i64 {
        libc::SYS_clone => (first, fifth),
        // SAFETY: libc's own structure, as the kernel is about to read it.
        _ => unsafe { (take::<u64>(first).unwrap_or(0), take::<u64>(first + POINTER_OFFSET).unwrap_or(0)) },
    };
    let wanted = (libc::CLONE_THREAD | libc::CLONE_SETTLS) as u64;
    if flags & wanted == wanted && pointer != 0 {
        // SAFETY: the pointer that the new thread begins with.
        unsafe { guard::note_library_thread(pointer as usize) };
    }
}

/// Makes a call that returns a descriptor, or stores two.
///
/// # Safety
/// The call's pointers are worth what a system call's are.
unsafe fn make(call: &Call) -> Verdict {
    let pair = match call.number as i64 {
        libc::SYS_pipe | libc::SYS_pipe2 => Some(call.arguments[0]),
        libc::SYS_socketpair => Some(call.arguments[3]),
        _ => None,
    };
    let Some(address) = pair else {
        // SAFETY: by the caller's word.
        let opened = internal::open(|| unsafe { kernel_result(call) }.map(|number| number as i32));
        return Verdict::of(opened.map(Parked::into_number));
    };
    // SAFETY: by the caller's word.
    let result = unsafe { kernel(call) };
    if result >= 0 {
        // SAFETY: the kernel has just written there.
        let _ = unsafe { take::<[i32; 2]>(address).and_then(|pair| put(address, pair.map(raise))) };
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

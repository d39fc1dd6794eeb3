//! The library's start.
#![allow(unsafe_code)]

use super::{bounded, daos_call};
use crate::store::daos::library::Library;
use crate::store::daos::lock::Lock;

/// Whether `daos_init` was called with success. Never undone: a library's end among an application's destructors is how
/// others hang.
static IS_STARTED: Lock<bool> = Lock::new(false);

/// Starts the library, once: `daos_init`, 60 to 300 ms. 0, or a negative number.
pub fn start(library: &'static Library) -> i32 {
    let mut is_started = IS_STARTED.lock();
    if *is_started {
        return 0;
    }
    open_log(library);
    let answer = daos_call!(library, daos_init());
    *is_started = answer == 0;
    if *is_started {
        bounded::register(library);
    }
    answer
}

/// Keeps the library's words out of the program's output. Without a `D_LOG_FILE` it would write each error to standard
/// output, such as that an extended attribute is not there. What a user has to know our own messages say; with a
/// `D_LOG_FILE` everything goes there, as `D_LOG_MASK` has it. Nothing of the environment is changed.
fn open_log(library: &'static Library) {
    const ERRORS: u64 = 0x400_0000;
    const CRITICAL: u64 = 0x500_0000;
    // SAFETY: getenv of a constant name, and a look at the string's first byte.
    let is_told = unsafe {
        let value = libc::getenv(c"D_LOG_FILE".as_ptr());
        !value.is_null() && *value != 0
    };
    if !is_told {
        // The tag is copied; a library without this call logs where it likes.
        let tag = c"sidestep".as_ptr().cast_mut();
        let _ = daos_call!(library, d_log_init_adv(tag, std::ptr::null_mut(), 0, ERRORS, CRITICAL, None));
    }
}

/// Makes the network anew in a fork child. 0, or a negative number.
pub fn reinit(library: &'static Library) -> i32 {
    IS_STARTED.free_in_child();
    if !*IS_STARTED.lock() {
        return 0;
    }
    let answer = daos_call!(library, daos_reinit());
    bounded::register(library);
    answer
}

//! The library's start.
#![allow(unsafe_code)]

use super::daos_call;
use crate::store::daos::library::Library;
use crate::store::daos::lock::Lock;

/// Whether `daos_init` was called with success. Never undone: a library's end among an application's destructors is how
/// others hang.
static IS_STARTED: Lock<bool> = Lock::new(false);

/// Starts the library, once: `daos_init`, 60 to 300 ms. 0, or a negative number.
///
/// It logs to its own log as the user's `D_LOG_FILE` and `D_LOG_MASK` have it; nothing of the environment is changed.
pub fn start(library: &'static Library) -> i32 {
    let mut is_started = IS_STARTED.lock();
    if *is_started {
        return 0;
    }
    let answer = daos_call!(library, daos_init());
    *is_started = answer == 0;
    answer
}

/// Makes the network anew in a fork child. 0, or a negative number.
pub fn reinit(library: &'static Library) -> i32 {
    IS_STARTED.free_in_child();
    if !*IS_STARTED.lock() {
        return 0;
    }
    daos_call!(library, daos_reinit())
}

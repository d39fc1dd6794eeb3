//! What a waiting call does meanwhile: the function that the program had registered is called at each turn, in the
//! thread that waits, and may not come back for long. The thread's one event for such calls is taken until then, and a
//! second call on it fails as the real library's does.
#![allow(unsafe_code)]

use crate::errors::{Answer, Der};
use sidestep::ground::kernel;
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::RwLock;

/// A function to be called at each turn.
pub type Turn = unsafe extern "C" fn(context: *mut c_void, timeout: i64, argument: *mut c_void) -> i64;

static REGISTERED: RwLock<Option<Turn>> = RwLock::new(None);

thread_local! {
    static IS_EVENT_TAKEN: Cell<bool> = const { Cell::new(false) };
}

/// Between two turns, in microseconds, where the program does not say.
const PAUSE_US: i64 = 1000;

/// `crt_register_progress_cb`, for the one context that there is. Nobody has an argument.
pub fn register(turn: Option<Turn>) {
    if let Ok(mut registered) = REGISTERED.write() {
        *registered = turn;
    }
}

/// One turn of waiting.
pub fn wait() {
    let turn = REGISTERED.read().ok().and_then(|registered| *registered);
    // SAFETY: the program's own function, which it registered for this.
    let told = turn.map_or(0, |turn| unsafe { turn(std::ptr::null_mut(), 0, std::ptr::null_mut()) });
    kernel::sleep(u32::try_from(if told > 0 { told.min(PAUSE_US) } else { PAUSE_US }).unwrap_or(0));
}

/// A thread's event for calls without one, until dropped.
#[derive(Debug)]
pub struct OwnEvent(());

impl OwnEvent {
    /// Takes this thread's.
    ///
    /// # Errors
    /// `DER_BUSY` while another call of this thread has it.
    pub fn take() -> Answer<Self> {
        if IS_EVENT_TAKEN.replace(true) { Err(Der::BUSY.into()) } else { Ok(Self(())) }
    }
}

impl Drop for OwnEvent {
    fn drop(&mut self) {
        IS_EVENT_TAKEN.set(false);
    }
}

/// In a fork child: the event is made anew.
pub fn after_fork_in_child() {
    IS_EVENT_TAKEN.set(false);
}

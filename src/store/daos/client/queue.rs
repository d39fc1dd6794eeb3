//! Event queues, for transfers of applications' memory that is too much to copy: each has a network context of its own,
//! which takes libdaos 40 ms to make (measured with 2.8.0 over ofi+tcp). All other operations go on the context that
//! libdaos has anyway.
//!
//! A queue is lent to one operation at a time. After an operation that was given up on it is never lent and never
//! polled again: what the network would still store for that operation it stores when its context is driven, and so
//! never. The memory and the sockets of such a queue are lost; that is the price of an application's buffer that must
//! not change behind its back.
#![allow(unsafe_code)]

use super::daos_call;
use crate::ground::Result;
use crate::store::daos::bindings::daos_handle_t;
use crate::store::daos::error::of_daos;
use crate::store::daos::library::Library;
use crate::store::daos::lock::Lock;

/// Queues that nobody uses.
static FREE: Lock<Vec<u64>> = Lock::new(Vec::new());

/// A queue, for one operation.
pub struct Queue {
    handle: daos_handle_t,
}

impl Queue {
    /// A queue that nobody else has until it is given back.
    ///
    /// # Errors
    /// What the library says where it can make no more.
    pub fn lend(library: &'static Library) -> Result<Self> {
        if let Some(cookie) = FREE.lock().pop() {
            return Ok(Self { handle: daos_handle_t { cookie } });
        }
        Ok(Self { handle: make(library)? })
    }

    /// The library's handle.
    pub(super) fn handle(&self) -> daos_handle_t {
        self.handle
    }

    /// Gives it back, with nothing under way.
    pub fn give_back(self) {
        FREE.lock().push(self.handle.cookie);
    }
}

fn make(library: &'static Library) -> Result<daos_handle_t> {
    let mut handle = daos_handle_t { cookie: 0 };
    of_daos(daos_call!(library, daos_eq_create(&raw mut handle)))?;
    Ok(handle)
}

/// In a fork child: all queues are the parent's.
pub fn forget_all() {
    FREE.free_in_child();
    FREE.lock().clear();
}

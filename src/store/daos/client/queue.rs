//! Event queues: each has a network context of its own, so a thread that waits on one drives nobody else's transfers.
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

/// Queues that nobody uses, and the one that operations share whose memory is our own.
struct Queues {
    free: Vec<u64>,
    shared: Option<u64>,
}

static QUEUES: Lock<Queues> = Lock::new(Queues { free: Vec::new(), shared: None });

/// A queue, for one operation.
pub struct Queue {
    handle: daos_handle_t,
    is_shared: bool,
}

impl Queue {
    /// A queue that nobody else has until it is given back.
    ///
    /// # Errors
    /// What the library says where it can make no more.
    pub fn lend(library: &'static Library) -> Result<Self> {
        if let Some(cookie) = QUEUES.lock().free.pop() {
            return Ok(Self { handle: daos_handle_t { cookie }, is_shared: false });
        }
        Ok(Self { handle: make(library)?, is_shared: false })
    }

    /// The queue of all operations whose memory is our own: read-ahead and writing behind. Several threads may drive it.
    ///
    /// # Errors
    /// As `lend`.
    pub fn shared(library: &'static Library) -> Result<Self> {
        let known = QUEUES.lock().shared;
        let cookie = match known {
            Some(cookie) => cookie,
            None => {
                let made = make(library)?.cookie;
                // Another thread may have been as fast; then there are two, and one of them is lent.
                let mut queues = QUEUES.lock();
                match queues.shared {
                    Some(first) => {
                        queues.free.push(made);
                        first
                    }
                    None => *queues.shared.insert(made),
                }
            }
        };
        Ok(Self { handle: daos_handle_t { cookie }, is_shared: true })
    }

    /// The library's handle.
    pub(super) fn handle(&self) -> daos_handle_t {
        self.handle
    }

    /// Gives it back, with nothing under way.
    pub fn give_back(self) {
        if !self.is_shared {
            QUEUES.lock().free.push(self.handle.cookie);
        }
    }
}

fn make(library: &'static Library) -> Result<daos_handle_t> {
    let mut handle = daos_handle_t { cookie: 0 };
    of_daos(daos_call!(library, daos_eq_create(&raw mut handle)))?;
    Ok(handle)
}

/// In a fork child: all queues are the parent's.
pub fn forget_all() {
    QUEUES.free_in_child();
    let mut queues = QUEUES.lock();
    queues.free.clear();
    queues.shared = None;
}

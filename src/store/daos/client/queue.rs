//! Event queues, for long transfers of applications' memory: each has a network context of its own, which takes libdaos
//! 40 ms and 40 MiB to make (measured with 2.8.0 over ofi+tcp). All other operations go on the context that libdaos has
//! anyway, through memory of our own.
//!
//! So a process that moves little makes none, and one that moves more has it made by a thread while it goes on.
//!
//! A queue is lent to one operation at a time. After an operation that was given up on it is never lent and never
//! polled again: what the network would still store for that operation it stores when its context is driven, and so
//! never. The memory and the sockets of such a queue are lost; that is the price of an application's buffer that must
//! not change behind its back.
#![allow(unsafe_code)]

use super::daos_call;
use crate::ground::guard;
use crate::store::daos::bindings::daos_handle_t;
use crate::store::daos::entrance;
use crate::store::daos::error::of_daos;
use crate::store::daos::library::Library;
use crate::store::daos::lock::Lock;

/// After so many bytes that were copied for want of a queue, one is made: copying them has cost about as much.
const COPIED_BYTES_MAX: usize = 64 << 20;

/// Queues of a process: two threads at a time move their bytes without a copy.
const QUEUES_COUNT_MAX: usize = 2;

/// Stack of the thread that makes one.
const STACK_BYTES: usize = 256 << 10;

struct Queues {
    /// Those that nobody uses.
    free: Vec<u64>,
    /// How many were made, or could not be made.
    count: usize,
    is_making: bool,
    /// Since the last one.
    copied_bytes: usize,
}

const NONE: Queues = Queues { free: Vec::new(), count: 0, is_making: false, copied_bytes: 0 };

static QUEUES: Lock<Queues> = Lock::new(NONE);

/// A queue, for one operation.
pub struct Queue {
    handle: daos_handle_t,
}

impl Queue {
    /// A queue that nobody else has until it is given back, for a transfer of `bytes`. `None`: they are copied this time.
    pub fn at_hand(library: &'static Library, bytes: usize) -> Option<Self> {
        let mut queues = QUEUES.lock();
        if let Some(cookie) = queues.free.pop() {
            return Some(Self { handle: daos_handle_t { cookie } });
        }
        queues.copied_bytes = queues.copied_bytes.saturating_add(bytes);
        let is_wanted = queues.copied_bytes > COPIED_BYTES_MAX && queues.count < QUEUES_COUNT_MAX && !queues.is_making;
        // A child on its parent's memory becomes another program soon.
        if is_wanted && !guard::in_vfork_window() {
            queues.is_making = true;
            drop(queues);
            let make = move || make(library);
            if std::thread::Builder::new().stack_size(STACK_BYTES).spawn(make).is_err() {
                note_made(None);
            }
        }
        None
    }

    /// The library's handle.
    pub(super) fn handle(&self) -> daos_handle_t {
        self.handle
    }

    /// Gives it back, with nothing under way.
    pub fn give_back(self) {
        QUEUES.lock().free.push(self.handle.cookie);
    }
}

/// What the thread does.
fn make(library: &'static Library) {
    guard::allow_libc_signals();
    // A fork waits for whoever is inside.
    let Ok(_entered) = entrance::enter() else { return };
    let mut handle = daos_handle_t { cookie: 0 };
    let made = of_daos(daos_call!(library, daos_eq_create(&raw mut handle)));
    note_made(made.is_ok().then_some(handle.cookie));
}

fn note_made(made: Option<u64>) {
    let mut queues = QUEUES.lock();
    queues.free.extend(made);
    queues.count += 1;
    (queues.is_making, queues.copied_bytes) = (false, 0);
}

/// In a fork child: all queues are the parent's.
pub fn forget_all() {
    QUEUES.free_in_child();
    *QUEUES.lock() = NONE;
}

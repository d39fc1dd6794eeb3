//! Event queues: an operation that was launched ends when its time has come and somebody looks, and not before.
//!
//! Only then is a short transfer's memory touched, so that memory which was given away too early shows. What the emulator
//! itself spends on it is part of that time, as it is in a call that waits: work begins as much earlier as it took of late.
//! A long transfer's bytes are moved meanwhile ([`crate::server`]). The last of them are remembered, and looked at again
//! when it ends: they must be the same.
#![allow(unsafe_code)]

use crate::container::locked;
use crate::errors::{Answer, Der};
use crate::process;
use crate::settings::complain;
use crate::task::{self, Meanwhile, Task, Work};
use crate::wire::{self, Exchange};
use sidestep::ground::kernel;
use sidestep::store::daos::bindings::daos_event;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An event's state, in the first of its private words.
const READY: u64 = 0;
const RUNNING: u64 = 1;
const COMPLETED: u64 = 2;

const STATE: usize = 0;
const QUEUE: usize = 1;
const MARK: usize = 2;

/// In every event that was readied.
const MARK_VALUE: u64 = 0x5349_4445_5354_4550;

/// A client's event. It stays where it is until it has ended, by the client's word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event(*mut daos_event);

// SAFETY: whoever touches it holds its queue's lock, or is the client between two operations.
unsafe impl Send for Event {}

#[derive(Default)]
struct Tasks {
    running: Vec<(Event, Task)>,
    completed: Vec<Event>,
    were_servers_gone: bool,
}

struct Queue {
    generation: u32,
    tasks: Mutex<Tasks>,
}

/// Queues by their handles.
static QUEUES: Mutex<BTreeMap<u64, Arc<Queue>>> = Mutex::new(BTreeMap::new());

/// Where events without a queue are.
const NO_QUEUE: u64 = 0;

/// Between two looks where nothing says when to look, in microseconds.
const PAUSE_US: u32 = 100;

/// What `daos_reinit` does: what had no queue is the parent's business alone.
pub fn after_fork_in_child() {
    locked(&QUEUES).remove(&NO_QUEUE);
}

/// `daos_eq_create`.
pub fn create_queue() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let handle = NEXT.fetch_add(1, Ordering::Relaxed);
    let queue = Queue { generation: process::generation(), tasks: Mutex::default() };
    locked(&QUEUES).insert(handle, Arc::new(queue));
    handle
}

fn queue(handle: u64) -> Answer<Arc<Queue>> {
    let mut queues = locked(&QUEUES);
    if handle == NO_QUEUE {
        let make = || Arc::new(Queue { generation: process::generation(), tasks: Mutex::default() });
        return Ok(queues.entry(NO_QUEUE).or_insert_with(make).clone());
    }
    let queue = queues.get(&handle).cloned().ok_or(Der::NONEXIST)?;
    if queue.generation != process::generation() {
        complain("an event queue of the parent is used in a fork child");
        return Err(Der::NONEXIST.into());
    }
    Ok(queue)
}

/// `daos_eq_destroy`.
///
/// # Errors
/// `DER_BUSY` with operations in it, unless `force`: then they are waited for.
pub fn destroy_queue(handle: u64, force: bool) -> Answer<()> {
    let queue = queue(handle)?;
    if !force {
        let tasks = locked(&queue.tasks);
        if !tasks.running.is_empty() || !tasks.completed.is_empty() {
            return Err(Der::BUSY.into());
        }
    }
    while !progress(&queue) {
        kernel::sleep(PAUSE_US);
    }
    locked(&QUEUES).remove(&handle);
    Ok(())
}

/// Ends what is due; whether nothing is running any more.
fn progress(queue: &Queue) -> bool {
    let mut tasks = locked(&queue.tasks);
    if tasks.running.is_empty() {
        return true;
    }
    if wire::are_servers_gone() {
        tasks.were_servers_gone = true;
        return false;
    }
    if std::mem::take(&mut tasks.were_servers_gone) {
        // What was on its way is sent again, and nobody says in which order: in the one that shows most.
        tasks.running.reverse();
    }
    let now = Instant::now();
    let soon = task::soon(now);
    let mut at = 0;
    while at < tasks.running.len() {
        let Some(outcome) = tasks.running[at].1.outcome(now, soon) else {
            at += 1;
            continue;
        };
        let event = tasks.running.remove(at).0;
        // SAFETY: a running event is the library's.
        unsafe { event.end(outcome) };
        tasks.completed.push(event);
    }
    tasks.running.is_empty()
}

/// Waits until something may have changed, not longer than `until`.
fn pause(queue: &Queue, until: Option<Instant>) {
    let now = Instant::now();
    let (due, overdue) = {
        let tasks = locked(&queue.tasks);
        let due = tasks.running.iter().filter_map(|(_, task)| task.due).min();
        (due, tasks.running.iter().find_map(|(_, task)| task.overdue(now)))
    };
    match (due, overdue) {
        (_, Some(job)) => job.wait(),
        (Some(due), _) if due > now => wire::wait_until(until.map_or(due, |until| until.min(due))),
        _ => kernel::sleep(PAUSE_US),
    }
}

/// When a wait of `timeout` microseconds is over: 0 at once, negative never.
fn end_of_wait(timeout: i64) -> Option<Instant> {
    u64::try_from(timeout).ok().map(|timeout| Instant::now() + Duration::from_micros(timeout))
}

/// `daos_eq_poll`: takes up to `count` ended events out of a queue.
///
/// # Errors
/// `DER_INVAL` for a count of 0; `DER_NONEXIST` for no queue of this process.
pub fn poll(handle: u64, wait_running: bool, timeout: i64, count: usize) -> Answer<Vec<*mut daos_event>> {
    if count == 0 {
        return Err(Der::INVAL.into());
    }
    let queue = queue(handle)?;
    let until = end_of_wait(timeout);
    loop {
        let is_idle = progress(&queue);
        let mut tasks = locked(&queue.tasks);
        let taken = tasks.completed.len().min(count);
        let events: Vec<Event> = tasks.completed.drain(..taken).collect();
        drop(tasks);
        if !events.is_empty() {
            for event in &events {
                // SAFETY: it has ended, and the client has not been told yet.
                unsafe { event.set(STATE, READY) };
            }
            return Ok(events.into_iter().map(|event| event.0).collect());
        }
        if wait_running && is_idle || until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Vec::new());
        }
        pause(&queue, until);
    }
}

impl Event {
    /// A client's event.
    ///
    /// # Safety
    /// It points to an event that stays until it has ended.
    pub unsafe fn new(event: *mut daos_event) -> Self {
        Self(event)
    }

    unsafe fn get(self, word: usize) -> u64 {
        // SAFETY: `new`'s contract.
        unsafe { (*self.0).ev_private[word] }
    }

    unsafe fn set(self, word: usize, value: u64) {
        // SAFETY: `new`'s contract.
        unsafe { (*self.0).ev_private[word] = value }
    }

    unsafe fn end(self, outcome: i32) {
        // SAFETY: `new`'s contract.
        unsafe {
            (*self.0).ev_error = outcome;
            self.set(STATE, COMPLETED);
        }
    }

    /// `daos_event_init`.
    ///
    /// # Errors
    /// `DER_NONEXIST` for no queue.
    ///
    /// # Safety
    /// As [`Event::new`].
    pub unsafe fn ready(self, handle: u64) -> Answer<()> {
        queue(handle)?;
        // SAFETY: `new`'s contract; an event is numbers alone.
        unsafe {
            self.0.write_bytes(0, 1);
            self.set(QUEUE, handle);
            self.set(MARK, MARK_VALUE);
        }
        Ok(())
    }

    unsafe fn queue(self) -> Answer<Arc<Queue>> {
        // SAFETY: `new`'s contract.
        unsafe {
            if self.get(MARK) != MARK_VALUE {
                complain("an event is used that daos_event_init did not ready");
                return Err(Der::INVAL.into());
            }
            queue(self.get(QUEUE))
        }
    }

    /// `daos_event_fini`.
    ///
    /// # Errors
    /// `DER_BUSY` while its operation runs.
    ///
    /// # Safety
    /// As [`Event::new`].
    pub unsafe fn finish(self) -> Answer<()> {
        // SAFETY: `new`'s contract.
        unsafe {
            let queue = self.queue()?;
            let mut tasks = locked(&queue.tasks);
            if self.get(STATE) == RUNNING {
                return Err(Der::BUSY.into());
            }
            tasks.completed.retain(|event| *event != self);
            self.set(MARK, 0);
        }
        Ok(())
    }

    /// `daos_event_test`: whether it has ended, after at most `timeout` microseconds; then it is ready again.
    ///
    /// # Errors
    /// `DER_NONEXIST` where its queue is gone.
    ///
    /// # Safety
    /// As [`Event::new`].
    pub unsafe fn test(self, timeout: i64) -> Answer<bool> {
        // SAFETY: `new`'s contract.
        let queue = unsafe { self.queue()? };
        let until = end_of_wait(timeout);
        loop {
            progress(&queue);
            let mut tasks = locked(&queue.tasks);
            // SAFETY: `new`'s contract, under the queue's lock.
            let state = unsafe { self.get(STATE) };
            if state != RUNNING {
                tasks.completed.retain(|event| *event != self);
                // SAFETY: as above.
                unsafe { self.set(STATE, READY) };
                return Ok(true);
            }
            let own = tasks.running.iter().find(|(event, _)| *event == self);
            let overdue = own.and_then(|(_, task)| task.overdue(Instant::now()));
            drop(tasks);
            if let Some(job) = overdue {
                job.look();
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            pause(&queue, until);
        }
    }

    /// `daos_event_abort`, which does nothing to an operation there either.
    ///
    /// # Errors
    /// `DER_NO_PERM` where none runs.
    ///
    /// # Safety
    /// As [`Event::new`].
    pub unsafe fn abort(self) -> Answer<()> {
        // SAFETY: `new`'s contract.
        unsafe {
            let queue = self.queue()?;
            let _tasks = locked(&queue.tasks);
            if self.get(STATE) == RUNNING { Ok(()) } else { Err(Der::NO_PERM.into()) }
        }
    }

    /// Launches an operation: `work` is done when its messages are through, at a look at the queue; or, where it is told
    /// which memory it moves, as soon as the servers come to it.
    ///
    /// # Errors
    /// `DER_NO_PERM` for an event that has an operation already.
    ///
    /// # Safety
    /// As [`Event::new`]; what `work` touches stays as long, and the memory too.
    pub unsafe fn launch(
        self,
        wire: &Exchange,
        never_ends: bool,
        work: Work,
        meanwhile: Option<&Meanwhile>,
    ) -> Answer<()> {
        // SAFETY: `new`'s contract.
        unsafe {
            let queue = self.queue()?;
            let mut tasks = locked(&queue.tasks);
            if self.get(STATE) != READY {
                return Err(Der::NO_PERM.into());
            }
            self.set(STATE, RUNNING);
            let due = (!never_ends).then(|| wire.due());
            tasks.running.push((self, Task::new(due, work, meanwhile)));
        }
        Ok(())
    }
}

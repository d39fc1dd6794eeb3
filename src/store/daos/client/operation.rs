//! An operation under way: an event, on the network context that the library has anyway, and the memory that the library
//! looks at until it has ended.
#![allow(unsafe_code)]

use super::daos_call;
use super::mounted::Mounted;
use crate::ground::{Errno, Result, waiting};
use crate::store::daos::bindings::{daos_event_t, daos_handle_t};
use crate::store::daos::entrance;
use crate::store::daos::error::of_daos;
use crate::store::daos::patience::Patience;
use std::sync::Arc;

/// What an operation is about: the memory that the library looks at until it has ended.
pub trait Subject {
    /// What the event's number means at its end.
    ///
    /// # Errors
    /// What the operation failed with.
    fn outcome(number: i32) -> Result<()>;
}

/// Where the library writes to.
struct Memory<S> {
    event: daos_event_t,
    subject: S,
}

/// An operation that was begun. Dropped before it has ended it is given up on: its memory is lost.
pub struct Operation<S: Subject> {
    memory: Option<Box<Memory<S>>>,
    is_lost: bool,
    mounted: Arc<Mounted>,
    generation: u32,
    outcome: Option<Result<()>>,
}

// SAFETY: the memory is this operation's alone, and libdaos lets any thread drive an event.
unsafe impl<S: Subject> Send for Operation<S> {}

impl<S: Subject> Operation<S> {
    /// Begins an operation: `launch` hands the library its subject, which stays where it is, and its event.
    ///
    /// # Errors
    /// What the library says before it has begun.
    pub(super) fn begin(
        mounted: &Arc<Mounted>,
        subject: S,
        launch: impl FnOnce(&mut S, *mut daos_event_t) -> i32,
    ) -> Result<Self> {
        let event = daos_event_t { ev_error: 0, ev_private: [0; 20], ev_debug: 0 };
        let mut memory = Box::new(Memory { event, subject });
        let no_queue = daos_handle_t { cookie: 0 };
        of_daos(daos_call!(mounted.library, daos_event_init(&raw mut memory.event, no_queue, std::ptr::null_mut())))?;
        let event = &raw mut memory.event;
        let answer = launch(&mut memory.subject, event);
        let operation = Self {
            memory: Some(memory),
            is_lost: false,
            mounted: mounted.clone(),
            generation: entrance::generation(),
            outcome: None,
        };
        operation.begun(answer)
    }

    fn begun(mut self, answer: i32) -> Result<Self> {
        match S::outcome(answer) {
            Ok(()) => Ok(self),
            Err(error) => {
                // Whether the library completed the event with the error or never launched it, nothing is under way:
                // both leave an event that can be finished. One that can not is left alone.
                self.outcome = Some(Err(error));
                self.finish();
                Err(error)
            }
        }
    }

    /// Drives the network for at most `microseconds`; whether the operation has ended.
    pub fn poll(&mut self, microseconds: i64) -> bool {
        if self.outcome.is_some() {
            return true;
        }
        if self.generation != entrance::generation() {
            // Begun by the parent before a fork: it ends there.
            self.outcome = Some(Err(Errno::CANCELED));
            self.lose();
            return true;
        }
        let Some(memory) = self.memory.as_deref_mut() else { return true };
        let mut has_ended = false;
        let answer =
            daos_call!(self.mounted.library, daos_event_test(&raw mut memory.event, microseconds, &raw mut has_ended));
        if let Err(error) = of_daos(answer) {
            self.outcome = Some(Err(error));
            self.lose();
            return true;
        }
        if has_ended {
            self.outcome = Some(S::outcome(memory.event.ev_error));
            self.finish();
        }
        has_ended
    }

    /// Waits for the end. On an error the memory may be in use for good if the operation was given up on:
    /// [`Operation::is_lost`] tells.
    ///
    /// # Errors
    /// The operation's own; `ETIMEDOUT` or `EINTR` where patience ended first, and it was given up on.
    pub fn wait(&mut self, patience: &Patience) -> Result<()> {
        self.wait_or_leave(patience).unwrap_or_else(|error| {
            self.outcome = Some(Err(error));
            self.lose();
            entrance::note_given_up();
            Err(error)
        })
    }

    /// Waits for the end; what it came to.
    ///
    /// # Errors
    /// `ETIMEDOUT` or `EINTR` where patience ended first. It is under way then, and its memory in use.
    pub fn wait_or_leave(&mut self, patience: &Patience) -> Result<Result<()>> {
        loop {
            let next = patience.next();
            // One look in any case: what went before may have taken the time, and the answer be there.
            if self.poll(next.unwrap_or(0)) {
                waiting::answered();
                return Ok(self.outcome.unwrap_or(Err(Errno::IO)));
            }
            next?;
        }
    }

    /// Whether it was given up on: what it read into or wrote from may still be looked at.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// The subject, as the library has left it. Nothing where it may still write there.
    pub fn subject(&self) -> Option<&S> {
        self.memory.as_deref().filter(|_| self.outcome.is_some()).map(|memory| &memory.subject)
    }

    /// The event is over.
    fn finish(&mut self) {
        let Some(memory) = self.memory.as_deref_mut() else { return };
        let answer = daos_call!(self.mounted.library, daos_event_fini(&raw mut memory.event));
        if answer != 0 {
            self.lose();
        }
    }

    /// The library may look at the memory for ever: it is leaked.
    fn lose(&mut self) {
        self.is_lost = true;
        if let Some(memory) = self.memory.take() {
            std::mem::forget(memory);
        }
    }
}

impl<S: Subject> Drop for Operation<S> {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.lose();
        }
    }
}

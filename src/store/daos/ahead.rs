//! Entries that are asked for before the program asks for them: while names come in an order ([`super::sequence`]), the
//! next ones are on their way. A `stat` then waits for one message where it would for two.
//!
//! What comes is believed as anything that was told is: for a second, unless a process of this node has changed the
//! name since, or this process may have heard from another one, and never by an `open`, which asks anew. With
//! `consistency=strict` nothing is asked for ahead. A name that leads nowhere is not remembered.

use super::client::entries::{Lead, Sought};
use super::client::names::Name;
use super::client::operation::Operation;
use super::patience;
use super::sequence::Sequence;
use super::store::{Known, Store};
use crate::ground::{Errno, Result};
use crate::store::{Found, NodeId};
use std::collections::VecDeque;

/// Entries under way: as many as keep a target busy while one answer is used.
pub const UNDER_WAY_MAX: usize = 16;

/// What nobody asked for is waited for before there is more of it than this.
const UNUSED_MAX: usize = 256;

/// The entries that are on their way.
#[derive(Default)]
pub struct Ahead {
    sequence: Sequence,
    under_way: VecDeque<Early>,
    /// Their order has ended, and they have not.
    unused: Vec<Operation<Sought>>,
}

/// An entry that was asked for early.
struct Early {
    directory: NodeId,
    name: Box<[u8]>,
    asked: i64,
    operation: Operation<Sought>,
}

impl Ahead {
    /// Takes out what was asked for under a name.
    fn take(&mut self, directory: NodeId, name: &[u8]) -> Option<Early> {
        let at = self.under_way.iter().position(|early| early.directory == directory && *early.name == *name)?;
        // Those before it were left out by who asks for the names.
        let skipped = self.under_way.drain(..at).map(|early| early.operation);
        self.unused.extend(skipped);
        self.under_way.pop_front()
    }

    /// Forgets what is on its way.
    fn give_up(&mut self) {
        let operations = self.under_way.drain(..).map(|early| early.operation);
        self.unused.extend(operations);
    }
}

impl Store {
    fn may_look_ahead(&self) -> bool {
        self.believes() && self.agrees_on_entries()
    }

    /// What a name leads to, if its entry was asked for early and is believed. Nothing where libdfs has to be asked.
    ///
    /// # Errors
    /// `ETIMEDOUT`, `EINTR` where patience ends first.
    pub fn asked_early(&self, directory: &Known, name: &Name) -> Result<Option<Found>> {
        if !self.may_look_ahead() {
            return Ok(None);
        }
        let early = self.ahead.lock().take(directory.id, name.as_bytes());
        let Some(mut early) = early else { return Ok(None) };
        let entry = early.operation.wait_for_entry(&self.mounted);
        let since = self.file_since().max(self.board.name_changed(directory.object, name.as_bytes()));
        match entry {
            Ok(Lead::To(entry)) if early.asked > since => self.note_entry(directory, name, &entry, early.asked),
            Ok(Lead::To(_)) => Ok(None),
            // It may have come to be there since; or libdfs has to be asked, from now on about all of them.
            Ok(Lead::Nowhere | Lead::NotUnderstood) => {
                let mut ahead = self.ahead.lock();
                ahead.sequence.end();
                ahead.give_up();
                Ok(None)
            }
            Err(error @ (Errno::TIMEDOUT | Errno::INTR)) => Err(error),
            // A parent asked, and this is its fork child; or it failed by itself.
            Err(_) => Ok(None),
        }
    }

    /// The program asks for a name: those that follow in its order are asked for too.
    pub fn look_ahead(&self, directory: &Known, name: &Name) {
        if !self.may_look_ahead() {
            return;
        }
        let mut ahead = self.ahead.lock();
        ahead.sequence.note_asked(directory.id, name.as_bytes());
        let Ahead { sequence, under_way, unused } = &mut *ahead;
        unused.retain_mut(|operation| !operation.poll(0));
        let next = sequence.next(UNDER_WAY_MAX);
        if next.is_empty() {
            ahead.give_up();
            return;
        }
        // Half of them at a time: an answer that is used is followed by a run of requests, or by none.
        if under_way.len() > UNDER_WAY_MAX / 2 || unused.len() > UNUSED_MAX {
            return;
        }
        let Ok(object) = self.as_object(directory) else { return };
        for name in next {
            let is_asked = |early: &Early| early.directory == directory.id && early.name == name;
            let is_known = || self.nodes.lock().child(directory.id, &name, self.since()).is_some();
            if under_way.len() >= UNDER_WAY_MAX || under_way.iter().any(is_asked) || is_known() {
                continue;
            }
            let asked = patience::now();
            let Ok(operation) = Name::new(&name).and_then(|name| Operation::seek(&self.mounted, &object, &name)) else {
                break;
            };
            under_way.push_back(Early { directory: directory.id, name, asked, operation });
        }
    }

    /// A listing has fetched names, the first ones or further ones: they are an order to ask for them in.
    pub fn note_listed(&self, directory: NodeId, is_first: bool, names: &[Box<[u8]>]) {
        if self.may_look_ahead() {
            self.ahead.lock().sequence.note_listed(directory, is_first, names);
        }
    }
}

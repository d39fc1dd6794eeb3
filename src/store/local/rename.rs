//! Names that move.

use super::commit::Outcome;
use super::create::whereabouts;
use super::journal::Field;
use super::key::{self, Key};
use super::log::entry::Logged;
use super::names::Place;
use super::recent::Identity;
use super::record::Record;
use super::remove::forget_node;
use super::store::{ROOT, Store};
use super::tree::Look;
use crate::ground::{Errno, Result, kernel};
use crate::store::{Found, Kind, NodeId, RenameMode};
use std::sync::atomic::Ordering;

/// One end of a rename.
#[derive(Clone, Copy)]
struct End<'a> {
    directory: NodeId,
    record: &'a Record,
    name: &'a [u8],
    identity: Identity,
    found: Found,
    position: u64,
}

impl<'a> End<'a> {
    /// What becomes of its name.
    fn outcome(&self, found: Option<Found>) -> Outcome<'a> {
        let Self { directory, name, identity, position, .. } = *self;
        Outcome { directory, name, identity, position, found }
    }
}

impl Store {
    /// Gives a node another name, in one transaction.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename(&self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), mode: RenameMode) -> Result<()> {
        let _names = self.lock_names()?;
        let (from_record, to_record) = (self.directory_record(from.0)?, self.directory_record(to.0)?);
        enum Plan {
            Nothing,
            Exchange((Found, u64), (Found, u64)),
            Move((Found, u64), Option<(Found, u64)>, u64),
        }
        let (from_identity, to_identity) = (self.identity(from.0, from.1), self.identity(to.0, to.1));
        // A new name's place is told by the tree alone.
        self.make_room(to_identity, true)?;
        let source = self.place(from.0, from.1, from_identity)?.taken().ok_or(Errno::NOENT)?;
        let place = self.place(to.0, to.1, to_identity)?;
        let target = place.taken();
        let plan = self.with_reader(|look| {
            match (mode, target) {
                (RenameMode::NoReplace, Some(_)) => return Err(Errno::EXIST),
                (RenameMode::Exchange, None) => return Err(Errno::NOENT),
                _ => {}
            }
            if source.0.kind == Kind::Directory && self.is_within(look, to.0, source.0.node)? {
                return Err(Errno::INVAL);
            }
            if let Some((target, _)) = target
                && target.kind == Kind::Directory
                && from.0 != to.0
                && self.is_within(look, from.0, target.node)?
            {
                return Err(if mode == RenameMode::Exchange { Errno::INVAL } else { Errno::NOTEMPTY });
            }
            match (mode, target) {
                (_, Some((target, _))) if target.node == source.0.node => Ok(Plan::Nothing),
                (RenameMode::Exchange, Some(target)) => Ok(Plan::Exchange(source, target)),
                (_, Some((target, position))) => {
                    self.check_replaced(source.0, target)?;
                    Ok(Plan::Move(source, Some((target, position)), position))
                }
                (_, None) => match place {
                    Place::Free(position) => Ok(Plan::Move(source, None, position)),
                    Place::Taken(..) => Err(Errno::IO),
                },
            }
        })?;
        let from_end = |(found, position)| End {
            directory: from.0,
            record: from_record,
            name: from.1,
            identity: from_identity,
            found,
            position,
        };
        let to_end = |(found, position)| End {
            directory: to.0,
            record: to_record,
            name: to.1,
            identity: to_identity,
            found,
            position,
        };
        match plan {
            Plan::Nothing => Ok(()),
            Plan::Exchange(source, target) => self.exchange(from_end(source), to_end(target)),
            Plan::Move(source, replaced, position) => {
                let replaced = replaced.map(|(found, _)| found);
                self.move_name(from_end(source), to_end((source.0, position)), replaced)
            }
        }
    }

    /// Whether `directory` is `ancestor` or lies below it.
    fn is_within(&self, look: &Look<'_>, directory: NodeId, ancestor: NodeId) -> Result<bool> {
        let mut at = directory.0;
        // A damaged tree may have a ring: no path is as deep as the store has nodes.
        for _ in 0..self.header().names_lock.nodes.next.load(Ordering::Relaxed) {
            if at == ancestor.0 {
                return Ok(true);
            }
            if at == ROOT {
                return Ok(false);
            }
            let value = look.get(&Key::of_directory(at))?.ok_or(Errno::IO)?;
            at = u64::from_le_bytes(*value.first_chunk().ok_or(Errno::IO)?);
        }
        Err(Errno::IO)
    }

    fn check_replaced(&self, source: Found, target: Found) -> Result<()> {
        match (source.kind, target.kind) {
            (Kind::Directory, Kind::Directory) if self.is_empty(target) => Ok(()),
            (Kind::Directory, Kind::Directory) => Err(Errno::NOTEMPTY),
            (Kind::Directory, Kind::File | Kind::Symlink) => Err(Errno::NOTDIR),
            (Kind::File | Kind::Symlink, Kind::Directory) => Err(Errno::ISDIR),
            (Kind::File | Kind::Symlink, Kind::File | Kind::Symlink) => Ok(()),
        }
    }

    fn is_empty(&self, directory: Found) -> bool {
        self.record(directory.node.0).is_some_and(|record| record.entries.load(Ordering::Relaxed) == 0)
    }

    fn move_name(&self, source: End<'_>, target: End<'_>, replaced: Option<Found>) -> Result<()> {
        let now = kernel::now();
        let moves_directory = i64::from(source.found.kind == Kind::Directory);
        let replaces_directory = i64::from(replaced.is_some_and(|found| found.kind == Kind::Directory));
        let comes = i64::from(replaced.is_none());
        if source.directory == target.directory {
            self.list_directory(source.directory, source.record, comes - 1, -replaces_directory, now);
        } else {
            self.list_directory(source.directory, source.record, -1, -moves_directory, now);
            self.list_directory(target.directory, target.record, comes, moves_directory - replaces_directory, now);
        }
        let journal = &self.header().names_lock.journal;
        journal.list(source.found.node.0, Field::Changed, now.cast_unsigned());
        let lost = match replaced {
            Some(found) => {
                let record = self.record(found.node.0).ok_or(Errno::IO);
                let record = record.inspect_err(|_| self.abandon())?;
                Some((found, record, self.list_loss(found, record, now, true)))
            }
            None => None,
        };
        let outcomes = [source.outcome(None), target.outcome(Some(source.found))];
        self.commit(replaced.is_some(), &outcomes, Logged::default(), |writing| {
            writing.delete(&Key::of_entry(source.directory.0, source.position, source.name))?;
            if let Some((found, record, becomes_orphan)) = lost {
                forget_node(writing, found, record, becomes_orphan)?;
            }
            let value = key::entry_value(source.found);
            writing.put(&Key::of_entry(target.directory.0, target.position, target.name), &value)?;
            if source.found.kind == Kind::Directory {
                let place = whereabouts(target.directory, target.name);
                writing.put(&Key::of_directory(source.found.node.0), &place)?;
            }
            Ok(())
        })
    }

    fn exchange(&self, one: End<'_>, other: End<'_>) -> Result<()> {
        let now = kernel::now();
        let subdirectories = |end: &End<'_>| i64::from(end.found.kind == Kind::Directory);
        if one.directory == other.directory {
            self.list_directory(one.directory, one.record, 0, 0, now);
        } else {
            let comes = subdirectories(&other) - subdirectories(&one);
            self.list_directory(one.directory, one.record, 0, comes, now);
            self.list_directory(other.directory, other.record, 0, -comes, now);
        }
        let journal = &self.header().names_lock.journal;
        journal.list(one.found.node.0, Field::Changed, now.cast_unsigned());
        journal.list(other.found.node.0, Field::Changed, now.cast_unsigned());
        let outcomes = [one.outcome(Some(other.found)), other.outcome(Some(one.found))];
        self.commit(true, &outcomes, Logged::default(), |writing| {
            for (place, found) in [(&one, other.found), (&other, one.found)] {
                let key = Key::of_entry(place.directory.0, place.position, place.name);
                writing.put(&key, &key::entry_value(found))?;
                if found.kind == Kind::Directory {
                    writing.put(&Key::of_directory(found.node.0), &whereabouts(place.directory, place.name))?;
                }
            }
            Ok(())
        })
    }

    /// Lists what a rename means for a directory that a name goes from or comes to.
    fn list_directory(&self, directory: NodeId, record: &Record, entries: i64, links: i64, now: i64) {
        let journal = &self.header().names_lock.journal;
        let sum = |value: u32, change: i64| u64::from(value).saturating_add_signed(change);
        journal.list(directory.0, Field::Entries, sum(record.entries.load(Ordering::Relaxed), entries));
        journal.list(directory.0, Field::Modified, now.cast_unsigned());
        journal.list(directory.0, Field::Links, sum(record.links.load(Ordering::Relaxed), links));
    }
}

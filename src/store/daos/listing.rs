//! Listing a directory.
//!
//! A listing is begun at position 0 and remembered under a number: names are fetched in batches and kept, so that a
//! position, which is that number and a count, leads back to the same place while names come and go. The servers tell
//! names in the order of their hashes, each once, whatever changes meanwhile.
//!
//! A name alone says neither what it leads to nor its number. Asking is a message for each; so in a small directory
//! (and in the first batch of a large one) every name is looked up, many at a time ([`super::entries`]), which makes the
//! `stat`s that follow cheap; further on only what is known already is told, and the rest left open
//! ([`DirectoryEntry::is_certain`]). Who asks for the attributes of the names as they come has the next ones asked for
//! ahead ([`super::ahead`]).

use super::client::names::Anchor;
use super::hidden;
use super::store::{Known, Store};
use crate::ground::{Errno, Result};
use crate::store::{DirectoryEntry, Found, Kind, NodeId};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Names in a batch: 128 names are one message, and one reply of some KiB.
const BATCH_COUNT: usize = 128;

/// So many names of a directory are looked up one by one.
const LOOKED_UP_COUNT_MAX: usize = 64;

/// Listings that are remembered for a descriptor that comes back.
const LISTINGS_COUNT_MAX: usize = 32;

/// Positions 1 and 2 are those after `.` and `..`.
const RESERVED_POSITIONS: u64 = 2;

/// A listing under way.
struct Listing {
    number: u64,
    directory: NodeId,
    names: Vec<Box<[u8]>>,
    /// What the first of them were found to lead to when they were fetched.
    found: Vec<Option<Found>>,
    anchor: Anchor,
    is_whole: bool,
}

/// The listings of a container, most recently used last.
#[derive(Default)]
pub struct Listings {
    kept: Vec<Listing>,
    last_number: u64,
}

impl Listings {
    /// Takes a listing out; a new one for a number that is not there.
    fn take(&mut self, number: u64, directory: NodeId) -> Listing {
        let at = self.kept.iter().position(|listing| listing.number == number && listing.directory == directory);
        match at.filter(|_| number != 0) {
            Some(at) => self.kept.remove(at),
            None => {
                // 31 bits: a position stays below 2^63. A number that is asked for and lost is given again.
                self.last_number = self.last_number % 0x7fff_fffe + 1;
                let number = if number == 0 { self.last_number } else { number };
                Listing {
                    number,
                    directory,
                    names: Vec::new(),
                    found: Vec::new(),
                    anchor: Anchor::start(),
                    is_whole: false,
                }
            }
        }
    }

    fn put_back(&mut self, listing: Listing) -> Option<Listing> {
        self.kept.push(listing);
        (self.kept.len() > LISTINGS_COUNT_MAX).then(|| self.kept.remove(0))
    }
}

/// Tells the entries after `position`, until `visit` answers false.
///
/// # Errors
/// `ENOTDIR`, `ESTALE`. A directory that was removed has none.
pub fn entries(
    store: &Store,
    directory: NodeId,
    position: u64,
    visit: &mut dyn FnMut(DirectoryEntry<'_>) -> bool,
) -> Result<()> {
    let known = match store.directory(directory) {
        Err(Errno::NOENT) => return Ok(()),
        known => known?,
    };
    let (number, mut index) = match position {
        0..=RESERVED_POSITIONS => (0, 0),
        position => (position >> 32, (position & 0xffff_ffff).saturating_sub(RESERVED_POSITIONS) as usize),
    };
    let mut listing = store.listings.lock().take(number, directory);
    let outcome = loop {
        if index >= listing.names.len() {
            if listing.is_whole {
                break Ok(());
            }
            match store.fetch(&known, &mut listing) {
                Ok(()) => continue,
                Err(error) => break Err(error),
            }
        }
        let name = listing.names[index].clone();
        let position = listing.number << 32 | (index as u64 + 1 + RESERVED_POSITIONS);
        let found = listing.found.get(index).copied().flatten();
        let told = match store.tell(&known, &name, (index, found)) {
            Ok(told) => told,
            Err(error) => break Err(error),
        };
        index += 1;
        let Some((found, is_certain)) = told else { continue };
        if !visit(DirectoryEntry { name: &name, found, position, is_certain }) {
            break Ok(());
        }
    };
    let spare = store.listings.lock().put_back(listing);
    drop(spare);
    outcome
}

impl Store {
    fn fetch(&self, directory: &Known, listing: &mut Listing) -> Result<()> {
        let Listing { names, found, anchor, is_whole, .. } = listing;
        // A batch that failed half way must not be told twice: it is fetched into a list of its own.
        let mut batch = Vec::new();
        self.mounted.list(&directory.handle, anchor, BATCH_COUNT, &mut |name| batch.push(name.into()))?;
        if names.is_empty() {
            *found = self.ask_first(directory, &batch[..batch.len().min(LOOKED_UP_COUNT_MAX)]);
        }
        self.note_listed(directory.id, names.is_empty(), &batch);
        names.append(&mut batch);
        *is_whole = anchor.is_at_end();
        Ok(())
    }

    /// What the first names of a listing lead to: one by one until it is known that entries can be read past libdfs.
    fn ask_first(&self, directory: &Known, names: &[Box<[u8]>]) -> Vec<Option<Found>> {
        let mut found = Vec::new();
        for name in names {
            if self.agrees_on_entries() {
                break;
            }
            let is_shown = !hidden::is_hidden(directory.id, name);
            found.push(is_shown.then(|| self.look_up(directory.id, name, false).ok()).flatten());
        }
        if self.agrees_on_entries() {
            found.extend(self.ask_entries(directory, &names[found.len()..]));
        }
        found
    }

    /// What is to be told of a name; `None` for one that is not shown or gone by now.
    fn tell(
        &self,
        directory: &Known,
        name: &[u8],
        (index, found): (usize, Option<Found>),
    ) -> Result<Option<(Found, bool)>> {
        if hidden::is_hidden(directory.id, name) {
            return Ok(None);
        }
        let at_hand = self.look_up_at_hand(directory.id, name).and_then(Result::ok);
        if let Some(found) = at_hand.or(found) {
            return Ok(Some((found, true)));
        }
        if index < LOOKED_UP_COUNT_MAX {
            return match self.ask(directory.id, name, false) {
                Ok(found) => Ok(Some((found, true))),
                Err(Errno::NOENT) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let mut hasher = DefaultHasher::new();
        (directory.object, name).hash(&mut hasher);
        let node = NodeId(hasher.finish() | 1);
        Ok(Some((Found { node, generation: 0, kind: Kind::File }, false)))
    }
}

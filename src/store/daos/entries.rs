//! Entries of directories as the servers keep them, read past libdfs where that saves waiting: see
//! [`super::client::entries`].
//!
//! libdfs stays the judge of what an entry is. The first file that it looks up in a process is looked up here too, and made
//! a handle of: if what comes out is not what libdfs says, to the byte, or if an entry is met that is not understood,
//! libdfs makes all calls ([`super::layout`]).

use super::ahead::UNDER_WAY_MAX;
use super::client::entries::{Entry, Lead, Object, Sought};
use super::client::handle::{Handle, kind_of};
use super::client::names::Name;
use super::client::operation::Operation;
use super::nodes::Node;
use super::object::ROOT;
use super::patience;
use super::stat;
use super::store::{Known, Store};
use crate::ground::{Errno, Result};
use crate::store::{Attributes, Found, Kind, TICKET_BYTES_MAX, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes that libdfs writes down of an open node, and what is where in them (2.4 to 2.8).
const TICKET_BYTES: usize = 344;
const FLAGS_AT: usize = 4;
const MODE_AT: usize = 8;
const OBJECT_AT: usize = 16;
const PARENT_AT: usize = 32;
const CHUNK_BYTES_AT: usize = 48;
const NAME_AT: usize = 88;

impl Store {
    /// Whether entries may be read here.
    pub fn agrees_on_entries(&self) -> bool {
        self.mounted.layout.is_agreed()
    }

    /// libdfs has just found a file: if it is the first, holds what is read here against that. One message, once.
    pub fn compare_entry(&self, parent: &Known, name: &Name, handle: &Handle) {
        let layout = &self.mounted.layout;
        if !layout.is_settled() && handle.mode().map(kind_of) == Ok(Kind::File) {
            layout.note(self.compare(parent, name, handle));
        }
    }

    fn compare(&self, parent: &Known, name: &Name, handle: &Handle) -> Result<bool> {
        let Lead::To(entry) = self.ask_entry(parent, name)? else { return Ok(false) };
        let mut told = [0; TICKET_BYTES_MAX];
        let length = self.mounted.to_global(handle, &mut told)?;
        let mut made = self.ticket_of(parent, name, &entry)?;
        // How it was opened is said anew when a handle is made of it.
        made[FLAGS_AT..MODE_AT].copy_from_slice(&told[FLAGS_AT..MODE_AT]);
        Ok((entry.object, entry.mode) == (handle.object()?, handle.mode()?) && told[..length] == made[..])
    }

    /// What libdfs would write down of the file of an entry; from what it writes down of the root.
    fn ticket_of(&self, parent: &Known, name: &Name, entry: &Entry) -> Result<[u8; TICKET_BYTES]> {
        let mut room = [0; TICKET_BYTES_MAX];
        if self.mounted.to_global(&self.known(ROOT)?.handle, &mut room)? != TICKET_BYTES {
            return Err(Errno::PROTO);
        }
        let mut ticket = [0; TICKET_BYTES];
        ticket.copy_from_slice(&room[..TICKET_BYTES]);
        ticket[NAME_AT..].fill(0);
        let mut put = |at: usize, value: &[u8]| ticket[at..at + value.len()].copy_from_slice(value);
        put(MODE_AT, &entry.mode.to_ne_bytes());
        for (at, object) in [(OBJECT_AT, entry.object), (PARENT_AT, parent.object)] {
            put(at, &object.low.to_ne_bytes());
            put(at + 8, &object.high.to_ne_bytes());
        }
        put(CHUNK_BYTES_AT, &self.chunk_bytes_of(entry).to_ne_bytes());
        put(NAME_AT, name.as_bytes());
        Ok(ticket)
    }

    fn chunk_bytes_of(&self, entry: &Entry) -> u64 {
        if entry.chunk_bytes == 0 { self.mounted.container_chunk_bytes } else { entry.chunk_bytes }
    }

    /// A directory's object, opened once for as long as the node is known.
    ///
    /// # Errors
    /// The library's; `ESTALE`.
    pub fn as_object(&self, directory: &Known) -> Result<Arc<Object>> {
        if let Some(object) = self.with(directory.id, |node| node.as_object.clone()).ok_or(Errno::STALE)? {
            return Ok(object);
        }
        let object = Arc::new(self.mounted.open_directory(directory.object)?);
        self.with(directory.id, |node| node.as_object = Some(object.clone()));
        Ok(object)
    }

    /// What a name leads to at this moment, by one message.
    ///
    /// # Errors
    /// The library's.
    pub fn ask_entry(&self, directory: &Known, name: &Name) -> Result<Lead> {
        let object = self.as_object(directory)?;
        self.retry(|| Operation::seek(&self.mounted, &object, name)?.wait_for_entry(&self.mounted))
    }

    /// Notes the file that a name led to when it was `asked`; `None` for an entry of another kind, whose handle only libdfs
    /// can make. No message.
    ///
    /// # Errors
    /// The library's.
    pub fn note_entry(&self, directory: &Known, name: &Name, entry: &Entry, asked: i64) -> Result<Option<Found>> {
        if kind_of(entry.mode) != Kind::File {
            return Ok(None);
        }
        let place = (directory.id, name.as_bytes());
        let at_hand = {
            let mut nodes = self.nodes.lock();
            let id = nodes.of_object(entry.object);
            let node = id.and_then(|id| nodes.get(id));
            let is_there = |node: &&mut Node| {
                (node.parent, &node.name[..]) == place && !node.is_handle_renamed && !node.is_removed
            };
            node.filter(is_there).map(|node| node.handle.clone())
        };
        let handle = match at_hand {
            Some(handle) => handle,
            None => Arc::new(self.mounted.open_global(&self.ticket_of(directory, name, entry)?)?),
        };
        let mut spare = Vec::new();
        let mut nodes = self.nodes.lock();
        let id = nodes.insert(place, (entry.object, Kind::File), handle, entry.mode & 0o7777, asked);
        if let Some(node) = nodes.get(id) {
            node.is_confirmed = false;
            node.note_entry(*entry, asked);
        }
        spare.append(&mut nodes.trim());
        drop(nodes);
        drop(spare);
        Ok(Some(Found { node: id, generation: 0, kind: Kind::File }))
    }

    /// A file's attributes, where its entry is believed: by one message, to its array.
    ///
    /// # Errors
    /// The library's.
    pub fn attributes_by_entry(&self, known: &Known, since: i64) -> Result<Option<Attributes>> {
        if !self.agrees_on_entries() {
            return Ok(None);
        }
        let entry = self.with(known.id, |node| if node.is_removed { None } else { node.fresh_entry(since) }).flatten();
        let Some((entry, asked)) = entry else { return Ok(None) };
        let (size_bytes, epoch) = self.retry(|| self.mounted.array_stat(&known.handle))?;
        let (modified, changed) = self.times_by(&entry, epoch)?;
        let mut attributes = stat::unknown(known.id, known.kind, entry.mode & 0o7777, Some((entry.uid, entry.gid)));
        attributes.size_bytes = size_bytes;
        attributes.blocks = size_bytes.div_ceil(512);
        attributes.chunk_bytes = self.chunk_bytes_of(&entry);
        (attributes.modified, attributes.changed) = (modified, changed);
        (attributes.accessed, attributes.born) = (modified.max(changed), modified.min(changed));
        self.with(known.id, |node| node.set_attributes(attributes, asked));
        Ok(Some(attributes))
    }

    /// When a file was modified and changed, as libdfs says it: by the entry where nothing was written since its time was
    /// set by hand, by the array's last change else.
    fn times_by(&self, entry: &Entry, epoch: u64) -> Result<(Timestamp, Timestamp)> {
        if epoch == 0 {
            return Ok((entry.modified, entry.changed));
        }
        let written = self.mounted.time_of(epoch)?;
        let is_by_hand = self.mounted.time_of(entry.epoch)? == written;
        Ok((if is_by_hand { entry.modified } else { written }, entry.changed.max(written)))
    }

    /// What many names lead to, in their order; nothing for one that is not there or could not be asked about. A message
    /// for each, several under way at once.
    pub fn ask_entries(&self, directory: &Known, names: &[Box<[u8]>]) -> Vec<Option<Found>> {
        let Ok(object) = self.as_object(directory) else { return Vec::new() };
        let mut under_way = VecDeque::new();
        let mut found = Vec::with_capacity(names.len());
        let land = |(name, asked, begun): (Name, i64, Result<Operation<Sought>>)| {
            let Ok(Lead::To(entry)) = begun.ok()?.wait_for_entry(&self.mounted) else { return None };
            let kind = kind_of(entry.mode);
            match self.note_entry(directory, &name, &entry, asked) {
                Ok(Some(found)) => Some(found),
                _ => Some(Found { node: self.nodes.lock().number_of(entry.object), generation: 0, kind }),
            }
        };
        for name in names {
            if under_way.len() == UNDER_WAY_MAX {
                found.extend(under_way.pop_front().map(land));
            }
            let Ok(name) = Name::new(name) else { break };
            let begun = Operation::seek(&self.mounted, &object, &name);
            under_way.push_back((name, patience::now(), begun));
        }
        found.extend(under_way.into_iter().map(land));
        found
    }
}

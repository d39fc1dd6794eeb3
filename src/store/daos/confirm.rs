//! Whether a name still leads to a node that is remembered: by one question under way with others, where a look-up would
//! be a question for the name and, after its answer, one for what it leads to.
//!
//! libdfs asks for the attributes of an open node by its name and compares the object (`dfs_ostatx`): so a node whose
//! handle is at hand is found under its name, with its attributes and its size, in the time of one message. An open needs
//! no look-up before that: what the name was once known to lead to is opened, and its name asked about while the first
//! bytes are on their way ([`crate::cache`]). Where the answer is another node, the name is looked up.
//!
//! Attributes and size are a message more, which costs the servers as much as the name does. Most programs ask for them
//! after an open (`fstat`), and find them told. One that has not done so after its last opens is not told them any more, by
//! its opens, until it asks ([`Told`]).

use super::client::entries::Lead;
use super::client::names::Name;
use super::hidden;
use super::nodes::{Node, OpenTold};
use super::object::ROOT;
use super::patience;
use super::store::Store;
use crate::ground::{Errno, Result};
use crate::store::{Found, Kind, NodeId};
use std::sync::atomic::{AtomicU32, Ordering};

/// How old the answer of an open may be when a read takes the end of the file from it. Longer than a program needs to come
/// to its first read; shorter than it needs to start another one that writes to the file, and to wait for it.
const OPENED_NANOSECONDS: i64 = 1_000_000;

/// How often an open asks anew for a name that other processes of this node go on changing.
const CONFIRMATIONS_COUNT_MAX: u32 = 8;

/// After so many opens in a row whose attributes nobody asked for, opens do without.
const UNUSED_COUNT_MAX: u32 = 8;

/// How many opens in a row were told attributes that nobody asked for.
#[derive(Default)]
pub struct Told {
    unused: AtomicU32,
}

impl Told {
    fn are_wanted(&self) -> bool {
        self.unused.load(Ordering::Relaxed) < UNUSED_COUNT_MAX
    }

    /// Somebody asks for the attributes of an open file: whether they were told along with its open or not.
    pub fn note_asked(&self, node: &mut Node) {
        if node.open_told != OpenTold::Nothing {
            node.open_told = OpenTold::Nothing;
            self.unused.store(0, Ordering::Relaxed);
        }
    }

    /// An open file is closed.
    pub fn note_closed(&self, node: &mut Node) {
        if std::mem::take(&mut node.open_told) == OpenTold::Attributes {
            self.unused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Store {
    /// What `name` was last known to lead to, however long ago, if a question to its handle can tell whether it still does.
    fn remembered(&self, directory: NodeId, name: &[u8]) -> Option<Found> {
        if self.mounted.library.calls.dfs_ostatx.is_none() || hidden::is_hidden(directory, name) {
            return None;
        }
        let mut nodes = self.nodes.lock();
        let found = nodes.child(directory, name, i64::MIN)?;
        let node = nodes.get(found.node)?;
        node.is_confirmed = false;
        let has_name = !node.is_handle_renamed && !node.is_removed && node.parent == directory && node.name == name;
        (has_name && found.kind != Kind::Symlink && found.node != ROOT).then_some(found)
    }

    /// Asks a node's handle whether its name still leads to it; its attributes are told then. False: the name leads
    /// elsewhere, or nowhere.
    ///
    /// # Errors
    /// The library's, but for `ENOENT`.
    fn confirm(&self, id: NodeId) -> Result<bool> {
        let known = self.known(id)?;
        let asked = patience::now();
        let stat = match self.retry(|| self.mounted.stat(&known.handle)) {
            Err(Errno::NOENT) => return Ok(false),
            stat => stat?,
        };
        self.note_attributes(&known, &stat, asked)?;
        self.nodes.lock().believe(id, asked);
        Ok(true)
    }

    /// The same by a message to the directory alone. `None` where only libdfs can tell.
    fn confirm_name(&self, id: NodeId) -> Result<Option<bool>> {
        let (parent, name, object) =
            self.with(id, |node| (node.parent, node.name.clone(), node.object)).ok_or(Errno::NOENT)?;
        let (parent, name) = (self.known(parent)?, Name::new(&name)?);
        let asked = patience::now();
        let entry = match self.ask_entry(&parent, &name)? {
            Lead::To(entry) if entry.object == object => entry,
            Lead::To(_) | Lead::Nowhere => return Ok(Some(false)),
            Lead::NotUnderstood => return Ok(None),
        };
        let mut nodes = self.nodes.lock();
        nodes.believe(id, asked);
        if let Some(node) = nodes.get(id) {
            node.note_entry(entry, asked);
            node.open_told = OpenTold::Name;
        }
        Ok(Some(true))
    }

    /// What `name` leads to with its attributes, by a question to what it was known to lead to; `None` where that is
    /// nothing or something else by now.
    ///
    /// # Errors
    /// The library's.
    pub fn ask_remembered(&self, directory: NodeId, name: &[u8]) -> Result<Option<Found>> {
        let Some(found) = self.remembered(directory, name) else { return Ok(None) };
        if !self.confirm(found.node)? {
            return Ok(None);
        }
        self.with(found.node, |node| node.is_confirmed = true);
        Ok(Some(found))
    }

    /// What `name` leads to, for a caller that opens it next and looks again where that says `ENOENT`: a file is answered
    /// from memory, however old. Who is checked for permission needs the attributes as they are, and gets them with it.
    ///
    /// # Errors
    /// As `look_up`.
    pub fn look_up_to_open(&self, directory: NodeId, name: &[u8]) -> Result<Found> {
        let is_checked = !rustix::process::geteuid().is_root();
        if is_checked {
            return self.look_up(directory, name, true);
        }
        // A directory that was removed leads nowhere.
        self.directory(directory)?;
        match self.remembered(directory, name).filter(|found| found.kind == Kind::File) {
            Some(found) => Ok(found),
            None => self.look_up(directory, name, false),
        }
    }

    /// An open's own message: the node is under its name at this moment. None where a look-up has just found it there.
    ///
    /// # Errors
    /// `ENOENT` if its name leads elsewhere by now.
    pub fn confirm_open(&self, id: NodeId) -> Result<()> {
        for _ in 0..CONFIRMATIONS_COUNT_MAX {
            self.find_open(id)?;
            // This node knows that the file is open, so whoever removes its name from here on keeps its bytes. Who began
            // before may not have seen that: then it is asked again whether the name still leads to it.
            let doubtful = self.nodes.lock().doubtful_name(id);
            let Some((directory, name)) = doubtful else { return Ok(()) };
            self.board.wait_for_name(directory, &name);
        }
        Err(Errno::NOENT)
    }

    fn find_open(&self, id: NodeId) -> Result<()> {
        let told = self.with(id, |node| {
            let has_name = !node.is_handle_renamed && !node.is_removed && node.kind == Kind::File;
            (std::mem::take(&mut node.is_confirmed), has_name)
        });
        let (is_confirmed, has_name) = told.ok_or(Errno::NOENT)?;
        if id == ROOT || is_confirmed {
            return Ok(());
        }
        let is_name_enough = has_name && self.agrees_on_entries() && !self.told.are_wanted();
        let answer = if is_name_enough { self.confirm_name(id)? } else { None };
        let is_found = match has_name {
            _ if answer.is_some() => answer == Some(true),
            true if self.mounted.library.calls.dfs_ostatx.is_some() => {
                let is_found = self.confirm(id)?;
                if is_found {
                    self.with(id, |node| node.open_told = OpenTold::Attributes);
                }
                is_found
            }
            _ => false,
        };
        let outcome = if is_found {
            Ok(())
        } else {
            // Found in the hidden directory it has no name: this open came too late.
            self.reopen(id).and_then(|_| match self.with(id, |node| node.is_removed) {
                Some(false) => Ok(()),
                _ => Err(Errno::NOENT),
            })
        };
        self.with(id, |node| node.is_confirmed = false);
        outcome.inspect_err(|error| self.disbelieve(id, *error))
    }

    /// A file's size as it was last told, however long ago.
    pub fn size_to_expect(&self, id: NodeId) -> Option<u64> {
        self.with(id, |node| node.attributes.map(|attributes| attributes.size_bytes)).flatten()
    }

    /// A file's size, if an open or a look-up was told it a moment ago.
    pub fn size_just_told(&self, id: NodeId) -> Option<u64> {
        let told_now = patience::now() - OPENED_NANOSECONDS;
        let fresh = |node: &mut Node| {
            let since = told_now.max(self.board.node_changed(node.object));
            node.fresh_attributes(since).map(|attributes| attributes.size_bytes)
        };
        self.with(id, fresh).flatten()
    }
}

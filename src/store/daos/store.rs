//! A mounted container and what this process knows of it; look-ups.

use super::ahead::Ahead;
use super::board::Board;
use super::client::bounded;
use super::client::handle::{Handle, kind_of};
use super::client::mounted::Mounted;
use super::client::names::Name;
use super::confirm::Told;
use super::entrance;
use super::error::is_transient;
use super::hearing::Hearing;
use super::hidden;
use super::listing::Listings;
use super::lock::Lock;
use super::nodes::{Node, Nodes};
use super::object::{ObjectId, ROOT};
use super::open_error::OpenError;
use super::patience;
use super::runtime::Runtime;
use super::stat;
use crate::ground::mounts::{Consistency, FileSystemType, MountOptions};
use crate::ground::{Errno, Result};
use crate::store::{Attributes, Found, Kind, NodeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub use super::known::{Known, Which};

/// How long names and attributes are believed, see [`super::nodes`].
const BELIEVED_NANOSECONDS: i64 = 1_000_000_000;

/// How often a name is asked for again that led nowhere while another process of this node changed it.
const QUESTIONS_COUNT_MAX: u32 = 8;

/// A mounted container.
pub struct Store {
    /// libdfs's side.
    pub mounted: Arc<Mounted>,
    /// The nodes that are known.
    pub nodes: Lock<Nodes>,
    /// Listings under way.
    pub listings: Lock<Listings>,
    /// This node's files about the container.
    pub runtime: Runtime,
    /// What this node's processes changed.
    pub board: Board,
    /// Entries that were asked for early.
    pub ahead: Lock<Ahead>,
    /// Whether opens are told attributes.
    pub told: Told,
    /// The hidden directory's handle, once it was looked for.
    pub hidden: Lock<Option<Arc<Handle>>>,
    believed_nanoseconds: i64,
    /// What this process may have heard other than by names, and when that was noticed.
    hearing: Hearing,
    /// The process that this belongs to, in a line of forks.
    generation: AtomicU32,
    /// A fork of this process is waited for or under way, and was begun through this container.
    is_closing: AtomicBool,
    /// What `statfs` is to say.
    pub file_system_type: FileSystemType,
}

impl Store {
    /// Connects and mounts. Whoever calls is inside.
    ///
    /// # Errors
    /// As [`OpenError`] has them.
    pub fn open(pool: &str, container: &str, options: &MountOptions) -> std::result::Result<Arc<Self>, OpenError> {
        let mounted = Arc::new(Mounted::connect(pool, container, options)?);
        let runtime = Runtime::open(mounted.uuid);
        let board = Board::open(runtime.directory());
        let root = || -> Result<_> {
            let handle = Arc::new(mounted.root()?);
            let (object, mode) = (handle.object()?, handle.mode()?);
            Ok(Nodes::new(handle, object, mode & 0o7777, board))
        };
        let nodes = root().map_err(|errno| OpenError::root(pool, container, errno))?;
        let is_strict = options.consistency == Some(Consistency::Strict);
        let store = Arc::new(Self {
            runtime,
            board,
            nodes: Lock::new(nodes),
            listings: Lock::new(Listings::default()),
            ahead: Lock::new(Ahead::default()),
            told: Told::default(),
            hidden: Lock::new(None),
            believed_nanoseconds: if is_strict { 0 } else { BELIEVED_NANOSECONDS },
            hearing: Hearing::new(options.consistency.unwrap_or(Consistency::Causal) == Consistency::Causal),
            file_system_type: options.file_system_type.unwrap_or(FileSystemType::Sidestep),
            generation: AtomicU32::new(entrance::generation()),
            is_closing: AtomicBool::new(false),
            mounted,
        });
        store.remove_orphans();
        Ok(store)
    }

    /// Whether anything is believed that was told before.
    pub fn believes(&self) -> bool {
        self.believed_nanoseconds != 0
    }

    /// Since when what was told is still believed.
    pub fn since(&self) -> i64 {
        // With nothing believed, not even what is told at this very moment.
        if self.believed_nanoseconds == 0 { i64::MAX } else { patience::now() - self.believed_nanoseconds }
    }

    /// Makes a call again that failed in passing, until it succeeds or the mount's patience ends.
    ///
    /// # Errors
    /// The call's last, or `EINTR`.
    pub fn retry<T>(&self, mut call: impl FnMut() -> Result<T>) -> Result<T> {
        let patience = self.mounted.patience();
        let mut outcome = call();
        for attempt in 0.. {
            match outcome {
                Err(error) if is_transient(error) && error != Errno::INTR && !bounded::is_left_here() => {
                    match patience.pause(attempt) {
                        Ok(()) => outcome = call(),
                        Err(Errno::INTR) => return Err(Errno::INTR),
                        Err(_) => break,
                    }
                }
                _ => break,
            }
        }
        outcome
    }

    /// `EROFS` where the mount can't be changed.
    ///
    /// # Errors
    /// That.
    pub fn check_may_change(&self) -> Result<()> {
        if self.mounted.is_read_only { Err(Errno::ROFS) } else { Ok(()) }
    }

    /// A node that is known.
    ///
    /// # Errors
    /// `ESTALE`.
    pub fn known(&self, id: NodeId) -> Result<Known> {
        let mut nodes = self.nodes.lock();
        let node = nodes.get(id).ok_or(Errno::STALE)?;
        Ok(Known { id, object: node.object, kind: node.kind, handle: node.handle.clone() })
    }

    /// A directory that is known and there.
    ///
    /// # Errors
    /// `ESTALE`, `ENOTDIR`, `ENOENT` for one that was removed.
    pub fn directory(&self, id: NodeId) -> Result<Known> {
        let (known, is_removed) = {
            let mut nodes = self.nodes.lock();
            let node = nodes.get(id).ok_or(Errno::STALE)?;
            let known = Known { id, object: node.object, kind: node.kind, handle: node.handle.clone() };
            (known, node.is_removed)
        };
        if known.kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        if is_removed || self.is_found_removed(id) { Err(Errno::NOENT) } else { Ok(known) }
    }

    /// What `name` leads to, if that is believed or known to be hidden.
    pub fn look_up_at_hand(&self, directory: NodeId, name: &[u8]) -> Option<Result<Found>> {
        if hidden::is_hidden(directory, name) {
            return Some(Err(Errno::NOENT));
        }
        let (since, file_since) = (self.since(), self.file_since());
        let mut nodes = self.nodes.lock();
        let mut found = nodes.child(directory, name, since)?;
        if found.kind != Kind::Directory {
            found = nodes.child(directory, name, file_since)?;
        }
        let node = nodes.get(found.node)?;
        node.is_confirmed = false;
        Some(Ok(found))
    }

    /// What `name` leads to; asked where it is not believed, with the attributes if they are `told` along.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ESTALE`.
    pub fn look_up(&self, directory: NodeId, name: &[u8], told: bool) -> Result<Found> {
        match self.look_up_at_hand(directory, name) {
            Some(answer) => answer,
            None => self.ask(directory, name, told),
        }
    }

    /// What `name` leads to, asked now.
    ///
    /// # Errors
    /// As `look_up`.
    pub fn ask(&self, directory: NodeId, name: &[u8], told: bool) -> Result<Found> {
        let parent = self.directory(directory)?;
        if told && let Some(found) = self.ask_remembered(directory, name)? {
            return Ok(found);
        }
        let c_name = Name::new(name)?;
        let early = self.asked_early(&parent, &c_name)?;
        if told {
            self.look_ahead(&parent, &c_name);
        }
        if let Some(found) = early {
            return Ok(found);
        }
        let mut asked;
        let mut answer;
        let mut again = 0..QUESTIONS_COUNT_MAX;
        loop {
            asked = patience::now();
            answer = self.retry(|| {
                if told {
                    let (handle, stat) = self.mounted.look_up_told(&parent.handle, &c_name)?;
                    Ok((handle, Some(stat)))
                } else {
                    Ok((self.mounted.look_up(&parent.handle, &c_name)?, None))
                }
            });
            // In the middle of another process's rename the name may lead nowhere.
            let is_doubtful = matches!(answer, Err(Errno::NOENT))
                && self.board.name_changed(parent.object, name) > asked
                && again.next().is_some();
            if !is_doubtful {
                break;
            }
            self.board.wait_for_name(parent.object, name);
        }
        match answer {
            Ok((handle, stat)) => {
                self.compare_entry(&parent, &c_name, &handle);
                self.note((directory, name), handle, stat.as_ref(), asked)
            }
            Err(error) => {
                if error == Errno::NOENT {
                    self.note_absent(directory, name);
                }
                Err(error)
            }
        }
    }

    /// Notes what the message has told that was sent when it was `asked`: a name in a directory leads to `handle`.
    ///
    /// # Errors
    /// The library's.
    pub fn note(
        &self,
        (directory, name): (NodeId, &[u8]),
        handle: Handle,
        stat: Option<&libc::stat>,
        asked: i64,
    ) -> Result<Found> {
        let (object, mode) = (handle.object()?, handle.mode()?);
        let kind = kind_of(mode);
        let chunk_bytes = if stat.is_some() && kind == Kind::File { handle.chunk_bytes()? } else { 0 };
        let mut spare = Vec::new();
        let mut nodes = self.nodes.lock();
        let id = nodes.insert((directory, name), (object, kind), Arc::new(handle), mode & 0o7777, asked);
        if let Some(node) = nodes.get(id) {
            node.is_confirmed = true;
            if let Some(stat) = stat {
                node.set_attributes(stat::attributes(id, kind, stat, chunk_bytes), asked);
            }
        }
        spare.append(&mut nodes.trim());
        drop(nodes);
        drop(spare);
        Ok(Found { node: id, generation: 0, kind })
    }

    /// A name leads nowhere: another client removed it, or gave it to something else.
    pub(super) fn note_absent(&self, directory: NodeId, name: &[u8]) {
        let gone = self.nodes.lock().forget_name(directory, name);
        if let Some(id) = gone {
            let handle = {
                let mut nodes = self.nodes.lock();
                if let Some(node) = nodes.get(id) {
                    node.is_confirmed = false;
                    node.forget_attributes();
                }
                nodes.forget(id)
            };
            drop(handle);
        }
    }

    /// A node's attributes, asked where they are not believed.
    ///
    /// # Errors
    /// `ESTALE` for a node that is gone.
    pub fn attributes(&self, id: NodeId) -> Result<Attributes> {
        {
            let mut nodes = self.nodes.lock();
            let node = nodes.get(id).ok_or(Errno::STALE)?;
            self.told.note_asked(node);
            if let Some(attributes) = node.fresh_attributes(self.node_since(node.object)) {
                return Ok(attributes);
            }
        }
        self.ask_attributes(id)
    }

    /// Since when what was told of a node is still believed.
    fn node_since(&self, object: ObjectId) -> i64 {
        self.since().max(self.hearing.since()).max(self.board.node_changed(object))
    }

    /// Since when the name of a file is still believed; a directory's is for as long as [`since`](Self::since) says.
    pub fn file_since(&self) -> i64 {
        self.since().max(self.hearing.since())
    }

    fn ask_attributes(&self, id: NodeId) -> Result<Attributes> {
        let mut known = self.known(id)?;
        if known.kind == Kind::File
            && let Some(attributes) = self.attributes_by_entry(&known, self.node_since(known.object))?
        {
            return Ok(attributes);
        }
        let asked = patience::now();
        if id == ROOT {
            let stat = self.retry(|| self.mounted.stat_root())?;
            return self.note_attributes(&known, &stat, asked);
        }
        // The handle remembers parent and name; after a rename it is opened again under the new one.
        let mut is_renamed = self.nodes.lock().get(id).ok_or(Errno::STALE)?.is_handle_renamed;
        for _ in 0..2 {
            if is_renamed {
                known = match self.reopen(id) {
                    // Its directory may be one that this process never saw.
                    Err(Errno::NOENT | Errno::STALE) => return self.last_attributes(id),
                    known => known?,
                };
            }
            match self.retry(|| self.mounted.stat(&known.handle)) {
                Err(Errno::NOENT) => is_renamed = true,
                stat => return self.note_attributes(&known, &stat?, asked),
            }
        }
        self.last_attributes(id)
    }

    pub(super) fn note_attributes(&self, known: &Known, stat: &libc::stat, asked: i64) -> Result<Attributes> {
        let chunk_bytes = if known.kind == Kind::File { known.handle.chunk_bytes()? } else { 0 };
        let mut attributes = stat::attributes(known.id, known.kind, stat, chunk_bytes);
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.get(known.id) {
            if node.is_removed {
                attributes.link_count = 0;
            }
            node.set_attributes(attributes, asked);
        }
        Ok(attributes)
    }

    /// A node without a name: what was told last, if this process has it open.
    fn last_attributes(&self, id: NodeId) -> Result<Attributes> {
        let asked = patience::now();
        let (is_open, kind, handle, last, rights) = {
            let mut nodes = self.nodes.lock();
            let node = nodes.get(id).ok_or(Errno::STALE)?;
            (node.opens != 0, node.kind, node.handle.clone(), node.attributes, node.rights)
        };
        if !is_open {
            let gone = self.nodes.lock().forget(id);
            drop(gone);
            return Err(Errno::STALE);
        }
        let mut attributes = last.unwrap_or_else(|| stat::unknown(id, kind, rights.mode, rights.owner));
        if kind == Kind::File {
            attributes.size_bytes = self.retry(|| self.mounted.size(&handle))?;
            attributes.chunk_bytes = handle.chunk_bytes()?;
        }
        attributes.link_count = 0;
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.get(id) {
            node.is_removed = true;
            node.set_attributes(attributes, asked);
        }
        Ok(attributes)
    }

    /// What a check of permissions needs. The superuser passes them all, so its owner is not asked for.
    ///
    /// # Errors
    /// As `attributes`.
    pub fn rights(&self, id: NodeId) -> Result<Attributes> {
        {
            let mut nodes = self.nodes.lock();
            let node = nodes.get(id).ok_or(Errno::STALE)?;
            if let Some(attributes) = node.fresh_attributes(self.node_since(node.object)) {
                return Ok(attributes);
            }
            let since = self.since().max(self.board.rights_changed(node.object));
            let is_superuser = rustix::process::geteuid().is_root();
            let owner = node.rights.owner.or(is_superuser.then_some((0, 0)));
            if node.rights.told > since && owner.is_some() {
                return Ok(stat::unknown(id, node.kind, node.rights.mode, owner));
            }
        }
        self.ask_attributes(id)
    }

    /// Calls libdfs about a node by its entry: with a handle that knows the present name, and once more after another
    /// client's rename.
    ///
    /// # Errors
    /// The call's; `ESTALE` for a node that is gone.
    pub fn of_entry<T>(&self, id: NodeId, mut call: impl FnMut(&Mounted, &Handle) -> Result<T>) -> Result<T> {
        let stale = |error| if error == Errno::NOENT { Errno::STALE } else { error };
        let mut known = self.known(id)?;
        if self.with(id, |node| node.is_handle_renamed) == Some(true) {
            known = self.reopen(id).map_err(stale)?;
        }
        match self.retry(|| call(&self.mounted, &known.handle)) {
            Err(Errno::NOENT) if id != ROOT => {
                let known = self.reopen(id).map_err(stale)?;
                self.retry(|| call(&self.mounted, &known.handle))
            }
            outcome => outcome,
        }
    }

    /// This process changed something of a node that its times tell.
    pub fn note_times_changed(&self, id: NodeId) {
        let object = self.with(id, |node| {
            node.forget_times();
            node.object
        });
        if let Some(object) = object {
            self.board.note_node(object);
        }
    }

    /// Changes a node in the table, if it is there.
    pub fn with<T>(&self, id: NodeId, change: impl FnOnce(&mut Node) -> T) -> Option<T> {
        self.nodes.lock().get(id).map(change)
    }

    /// Before a fork.
    pub fn before_fork(&self) {
        if !self.is_closing.swap(true, Ordering::AcqRel) {
            entrance::close();
        }
    }

    /// After a fork, in the parent.
    pub fn after_fork_in_parent(&self) {
        if self.is_closing.swap(false, Ordering::AcqRel) {
            entrance::open();
        }
    }

    /// In a fork child, which has one thread: nothing is asked, nothing is made anew until something is used.
    ///
    /// # Errors
    /// `EIO` where other threads of the parent were inside the libraries.
    pub fn after_fork_in_child(&self) -> Result<()> {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel);
        entrance::begin_child(generation)?;
        self.is_closing.store(false, Ordering::Release);
        self.nodes.free_in_child();
        self.listings.free_in_child();
        self.ahead.free_in_child();
        self.hidden.free_in_child();
        self.runtime.after_fork_in_child();
        self.mounted.after_fork_in_child();
        bounded::after_fork_in_child();
        Ok(())
    }
}

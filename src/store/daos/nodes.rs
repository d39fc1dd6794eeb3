//! The nodes that this process knows: a cache of the container's namespace, and the handles of libdfs by which it is
//! reached.
//!
//! | what | how long it is believed | what ends it earlier |
//! |---|---|---|
//! | a name leads to a node | a second | this process's own rename, removal or new node |
//! | attributes of a node | a second | this process's own change or write |
//! | a name leads nowhere | not at all | |
//! | a directory's own handle | for good | its object is the directory, whatever it is called |
//!
//! What another process of this node changes ends it at once ([`super::board`]); what a client on another node renames,
//! removes or makes anew is seen after a second at most by `stat`. By `open` it is seen at once: an open always comes with
//! a message that finds the name as it is ([`Node::is_confirmed`], [`super::confirm`]). With `consistency=strict` nothing
//! is believed.
//!
//! A node that another client renamed or removed is found out by libdfs, which compares the object when it asks for
//! attributes; its name is then looked up once more, and if that leads elsewhere the node is gone (`ESTALE`).
//!
//! Files and symlinks that nobody has open are forgotten, oldest first, past [`NODES_COUNT_MAX`]; directories, whose
//! numbers programs keep for longer, past [`DIRECTORIES_COUNT_MAX`].

use super::board::Board;
use super::client::entries::{Entry, Object};
use super::client::handle::Handle;
use super::object::{ObjectId, ROOT};
use crate::store::{Attributes, Found, Kind, NodeId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Files and symlinks that are remembered though nobody has them open: 1.2 KiB each with libdfs's handle.
const NODES_COUNT_MAX: usize = 8192;

/// Directories that are remembered.
const DIRECTORIES_COUNT_MAX: usize = 32768;

/// A hash map without a random seed: getting one is a call that may block in a young system, and names of a directory
/// are no attacker's choice that costs more than the messages behind them.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// What a name leads to, as far as is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    node: NodeId,
    told: i64,
}

/// Who may do what with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Permission bits.
    pub mode: u32,
    /// Owner and group, if they were told.
    pub owner: Option<(u32, u32)>,
    /// When, by [`super::patience::now`].
    pub told: i64,
}

/// What an open's own message told beside that the name leads to the file, as far as nobody has asked for it since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenTold {
    /// It is of no interest any more, or there was no such message.
    #[default]
    Nothing,
    /// Attributes and size, for a second message under way at the same time.
    Attributes,
    /// The name alone.
    Name,
}

/// A node.
pub struct Node {
    /// Its object.
    pub object: ObjectId,
    /// What it is.
    pub kind: Kind,
    /// Where its name is; of a node that was removed, where it was.
    pub parent: NodeId,
    /// Its name there.
    pub name: Vec<u8>,
    /// When that was so, by [`super::patience::now`].
    pub placed: i64,
    /// The parent's path in the container as another process told it, which handed the node over: this one may never
    /// have seen that directory.
    pub parent_path: Option<Box<[u8]>>,
    /// libdfs's handle.
    pub handle: Arc<Handle>,
    /// The handle was opened under another name: good for bytes and entries, not for attributes.
    pub is_handle_renamed: bool,
    /// Permissions.
    pub rights: Rights,
    /// Attributes as they were last told.
    pub attributes: Option<Attributes>,
    /// When; 0 for never or no more. Shared with the node's open arrays, which reset it as they write.
    pub attributes_told: Arc<AtomicI64>,
    /// Its entry, and when it was told, where that was read past libdfs ([`super::entries`]).
    entry: Option<(Entry, i64)>,
    /// A directory's object, if it was opened past libdfs.
    pub as_object: Option<Arc<Object>>,
    /// Open arrays of this process.
    pub opens: u32,
    /// Its name was removed while it was open, by this process or, as it was found out, by another.
    pub is_removed: bool,
    /// It was moved to the hidden directory, to be removed by whoever closes it last.
    pub is_hidden: bool,
    /// It was found by a note of another process that renamed it ([`super::moved`]).
    pub has_used_note: bool,
    /// A message found it under its name, and no look-up has since been answered from memory: an open that follows may
    /// count on that message having been sent after the open began.
    pub is_confirmed: bool,
    /// What its last open was told along.
    pub open_told: OpenTold,
    children: Map<Box<[u8]>, Known>,
    /// When it was last used, in the table's own count.
    used: u64,
}

impl Node {
    /// As the traits tell of it.
    pub fn found(&self, node: NodeId) -> Found {
        Found { node, generation: 0, kind: self.kind }
    }

    /// The attributes, if they were told after `since`.
    pub fn fresh_attributes(&self, since: i64) -> Option<Attributes> {
        self.attributes.filter(|_| self.attributes_told.load(Ordering::Acquire) > since)
    }

    /// Attributes that were told when they were `asked` for.
    pub fn set_attributes(&mut self, attributes: Attributes, asked: i64) {
        self.rights = Rights { mode: attributes.mode, owner: Some((attributes.uid, attributes.gid)), told: asked };
        self.attributes = Some(attributes);
        self.attributes_told.store(asked, Ordering::Release);
    }

    /// The entry as it was when it was `asked` for.
    pub fn note_entry(&mut self, entry: Entry, asked: i64) {
        self.rights = Rights { mode: entry.mode & 0o7777, owner: Some((entry.uid, entry.gid)), told: asked };
        self.entry = Some((entry, asked));
    }

    /// The entry and when it was asked for, if that was after `since`.
    pub fn fresh_entry(&self, since: i64) -> Option<(Entry, i64)> {
        self.entry.filter(|(_, asked)| *asked > since)
    }

    /// Times and sizes are other ones by now, permissions are not.
    pub fn forget_times(&mut self) {
        self.attributes_told.store(0, Ordering::Release);
        self.entry = None;
    }

    /// They are other ones by now.
    pub fn forget_attributes(&mut self) {
        self.forget_times();
        self.rights.told = 0;
    }
}

/// Nodes by their numbers.
pub struct Nodes {
    table: Map<NodeId, Node>,
    directories_count: usize,
    clock: u64,
    board: Board,
}

impl Nodes {
    /// The root alone.
    pub fn new(root: Arc<Handle>, object: ObjectId, mode: u32, board: Board) -> Self {
        let mut nodes = Self { table: Map::default(), directories_count: 0, clock: 0, board };
        let mut node = node(object, Kind::Directory, (ROOT, b""), root, mode);
        node.opens = 1;
        nodes.table.insert(ROOT, node);
        nodes
    }

    /// A node, which counts as used.
    pub fn get(&mut self, id: NodeId) -> Option<&mut Node> {
        self.clock += 1;
        let clock = self.clock;
        let node = self.table.get_mut(&id)?;
        node.used = clock;
        Some(node)
    }

    /// What `name` in `directory` leads to, if that was told after `since` and no process of this node changed it later.
    pub fn child(&mut self, directory: NodeId, name: &[u8], since: i64) -> Option<Found> {
        let parent = self.table.get(&directory)?;
        let known = *parent.children.get(name)?;
        if known.told <= since.max(self.board.name_changed(parent.object, name)) {
            return None;
        }
        self.get(known.node).map(|node| node.found(known.node))
    }

    /// Notes that `name` in `directory` leads to an object, as the message told that was sent at `now`; returns its number.
    pub fn insert(
        &mut self,
        (directory, name): (NodeId, &[u8]),
        (object, kind): (ObjectId, Kind),
        handle: Arc<Handle>,
        mode: u32,
        now: i64,
    ) -> NodeId {
        let id = self.number_of(object);
        if let Some(before) = self.table.get_mut(&directory).and_then(|parent| parent.children.get_mut(name)) {
            let other = std::mem::replace(before, Known { node: id, told: now });
            if other.node != id
                && let Some(other) = self.table.get_mut(&other.node)
            {
                other.is_confirmed = false;
                other.forget_attributes();
            }
        } else if let Some(parent) = self.table.get_mut(&directory) {
            parent.children.insert(name.into(), Known { node: id, told: now });
        }
        match self.get(id) {
            Some(node) => {
                if node.parent != directory || node.name != name {
                    // Renamed by another client.
                    let (parent, name) = (node.parent, std::mem::replace(&mut node.name, name.to_vec()));
                    node.parent = directory;
                    self.forget_name_if(parent, &name, id);
                }
                if let Some(node) = self.table.get_mut(&id) {
                    node.handle = handle;
                    node.placed = now;
                    (node.is_handle_renamed, node.is_removed, node.is_hidden) = (false, false, false);
                    if node.rights.mode != mode || node.rights.owner.is_none() {
                        node.rights = Rights { mode, owner: None, told: now };
                    }
                }
            }
            None => {
                self.clock += 1;
                let mut new = node(object, kind, (directory, name), handle, mode);
                (new.used, new.rights.told, new.placed) = (self.clock, now, now);
                self.directories_count += usize::from(kind == Kind::Directory);
                self.table.insert(id, new);
            }
        }
        id
    }

    /// The directory's object and the name under which a node was last found, if another process of this node has changed
    /// that name since, or is about to.
    pub fn doubtful_name(&self, id: NodeId) -> Option<(ObjectId, Vec<u8>)> {
        let node = self.table.get(&id)?;
        let parent = self.table.get(&node.parent)?;
        let told = parent.children.get(node.name.as_slice()).filter(|known| known.node == id)?.told;
        (told <= self.board.name_changed(parent.object, &node.name)).then(|| (parent.object, node.name.clone()))
    }

    /// The number of an object: dfuse's, unless another object has that already, as may happen once in 2^32.
    pub fn number_of(&self, object: ObjectId) -> NodeId {
        let mut id = object.node();
        while self.table.get(&id).is_some_and(|node| node.object != object) || id == ROOT {
            id = NodeId(id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63);
        }
        id
    }

    /// Which node an object is, if it is known.
    pub fn of_object(&self, object: ObjectId) -> Option<NodeId> {
        if self.table.get(&ROOT).is_some_and(|root| root.object == object) {
            return Some(ROOT);
        }
        let id = self.number_of(object);
        self.table.contains_key(&id).then_some(id)
    }

    /// A node's name leads to it, as the message told that was sent when it was `asked`.
    pub fn believe(&mut self, id: NodeId, asked: i64) {
        let Some((parent, name)) = self.table.get_mut(&id).map(|node| (node.parent, std::mem::take(&mut node.name)))
        else {
            return;
        };
        if let Some(known) = self.table.get_mut(&parent).and_then(|parent| parent.children.get_mut(&name[..]))
            && known.node == id
        {
            known.told = asked;
        }
        if let Some(node) = self.table.get_mut(&id) {
            (node.name, node.placed) = (name, asked);
        }
    }

    /// `name` in `directory` leads nowhere, or elsewhere.
    pub fn forget_name(&mut self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        self.table.get_mut(&directory)?.children.remove(name).map(|known| known.node)
    }

    /// Forgets what a name leads to, if that is `id`.
    pub fn forget_name_if(&mut self, directory: NodeId, name: &[u8], id: NodeId) {
        if let Some(parent) = self.table.get_mut(&directory)
            && parent.children.get(name).is_some_and(|known| known.node == id)
        {
            parent.children.remove(name);
        }
    }

    /// This process gave a node another name, which is not believed yet.
    pub fn rename(&mut self, id: NodeId, (directory, name): (NodeId, &[u8])) {
        let Some(node) = self.table.get_mut(&id) else { return };
        let before = (node.parent, std::mem::replace(&mut node.name, name.to_vec()));
        node.parent = directory;
        node.is_handle_renamed = true;
        node.forget_attributes();
        self.forget_name_if(before.0, &before.1, id);
        if let Some(parent) = self.table.get_mut(&directory) {
            parent.children.insert(name.into(), Known { node: id, told: 0 });
        }
    }

    /// Forgets a node whose name is gone and which nobody has open.
    pub fn forget(&mut self, id: NodeId) -> Option<Arc<Handle>> {
        let node = self.table.get(&id)?;
        if node.opens != 0 || id == ROOT {
            return None;
        }
        let (parent, name) = (node.parent, node.name.clone());
        self.forget_name_if(parent, &name, id);
        let node = self.table.remove(&id)?;
        self.directories_count -= usize::from(node.kind == Kind::Directory);
        Some(node.handle)
    }

    /// Whether `inner` is `outer` or below it, by what is known.
    pub fn is_below(&self, inner: NodeId, outer: NodeId) -> bool {
        let mut at = inner;
        // Another client's renames can make a ring of what is remembered.
        for _ in 0..self.table.len() + 1 {
            if at == outer {
                return true;
            }
            match self.table.get(&at) {
                Some(node) if at != ROOT => at = node.parent,
                _ => return false,
            }
        }
        false
    }

    /// The path of a directory that is not known, if a node that was handed over tells it.
    pub fn told_path(&self, directory: NodeId) -> Option<Box<[u8]>> {
        if self.table.contains_key(&directory) {
            return None;
        }
        self.table.values().filter(|node| node.parent == directory).find_map(|node| node.parent_path.clone())
    }

    /// The objects that this process has open.
    pub fn open_objects(&self) -> Vec<ObjectId> {
        let open = self.table.iter().filter(|(id, node)| node.opens != 0 && **id != ROOT);
        open.map(|(_, node)| node.object).collect()
    }

    /// Forgets what was not used for longest, where there is too much. The handles are for the caller to drop without the
    /// lock.
    pub fn trim(&mut self) -> Vec<Arc<Handle>> {
        let too_many_directories = self.directories_count > DIRECTORIES_COUNT_MAX;
        if self.table.len() - self.directories_count <= NODES_COUNT_MAX && !too_many_directories {
            return Vec::new();
        }
        let is_spare = |node: &Node| match node.kind {
            Kind::Directory => too_many_directories && node.children.is_empty(),
            _ => true,
        };
        let mut spare: Vec<(u64, NodeId)> = self
            .table
            .iter()
            .filter(|(_, node)| node.opens == 0 && is_spare(node))
            .map(|(id, node)| (node.used, *id))
            .collect();
        // An eighth at a time, so that the walk is shared by a thousand new nodes.
        let count = (spare.len() / 8).max(1).min(spare.len());
        if count == 0 {
            return Vec::new();
        }
        spare.select_nth_unstable(count - 1);
        spare[..count].iter().filter_map(|(_, id)| self.forget(*id)).collect()
    }
}

fn node(object: ObjectId, kind: Kind, (parent, name): (NodeId, &[u8]), handle: Arc<Handle>, mode: u32) -> Node {
    Node {
        object,
        kind,
        parent,
        name: name.to_vec(),
        placed: 0,
        parent_path: None,
        handle,
        is_handle_renamed: false,
        rights: Rights { mode, owner: None, told: 0 },
        attributes: None,
        attributes_told: Arc::new(AtomicI64::new(0)),
        entry: None,
        as_object: None,
        opens: 0,
        is_removed: false,
        is_hidden: false,
        has_used_note: false,
        is_confirmed: false,
        open_told: OpenTold::Nothing,
        children: Map::default(),
        used: 0,
    }
}

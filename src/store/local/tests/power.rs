//! Power that is cut, without a machine that loses it: the store's files become a mixture of moments.
//!
//! The kernel writes pages back in any order. So of every page that nobody waited for, the disk may have the state of any
//! moment since it was last waited for. Here that is played out: the files are copied at several moments, one of them right
//! after the last sync, and a new store is put together from them, page by page. What the syncs waited for (the log, object
//! files and checkpoints) is never older than the last one of them, the slots are not older than when the log was last told
//! that they are to be trusted, the inode table not older than a checkpoint; the tree, the recent names and the header are as
//! old as can be.

use super::super::LocalContainer;
use super::super::check::check;
use super::super::layout;
use super::super::record::SLOT_LOGGED;
use super::super::store::Store;
use super::{Fixture, fixture_with, get, put};
use crate::ground::mounts::MountOptions;
use crate::store::{Container, Kind, NodeId, RenameMode};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const PAGE_BYTES: usize = 4096;

/// Numbers at random, the same ones each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// The files of a store's directory, by their path in it.
pub type Files = BTreeMap<String, Vec<u8>>;

pub fn copy(directory: &Path) -> Files {
    let mut files = Files::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                files.insert(name, read_sparse(&path));
            }
        }
    }
    files
}

/// A file without the zeros at its end: the tree's file is a gibibyte of hole.
fn read_sparse(path: &Path) -> Vec<u8> {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    let length = fs::metadata(path).unwrap();
    let most = length.len().min((length.blocks() * 512).next_multiple_of(PAGE_BYTES as u64));
    let mut bytes = Vec::new();
    fs::File::open(path).unwrap().take(most).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Whether a sync waits for a file's pages.
fn is_waited_for(name: &str) -> bool {
    name == layout::LOG || name.starts_with(layout::TARGETS) || layout::CHECKPOINTS.contains(&name)
}

/// Which of the copies was taken right after the last sync, of which kind.
#[derive(Clone, Copy, Default)]
struct Waited {
    /// Of a file.
    file: usize,
    /// Of slots, which are to be trusted since.
    slots: usize,
    /// Of the inode table, by a checkpoint.
    nodes: usize,
}

/// A disk as a cut of power may leave it.
fn cut(copies: &[Files], at: Waited, dice: &mut Dice) -> Files {
    let mut names: BTreeSet<&String> = copies[at.file].keys().collect();
    for later in &copies[at.file..] {
        // A file that came after the sync may have come to the disk or not.
        names.extend(later.keys().filter(|_| dice.roll(2) == 0));
    }
    let mut disk = Files::new();
    for name in names {
        let oldest = match name.as_str() {
            layout::SLOTS => at.slots,
            layout::NODES => at.nodes,
            name if is_waited_for(name) => at.file,
            _ => 0,
        };
        let versions: Vec<&Vec<u8>> = copies[oldest..].iter().filter_map(|files| files.get(name)).collect();
        // An object file that is removed may be gone or not.
        if !copies[copies.len() - 1].contains_key(name) && dice.roll(2) == 0 {
            continue;
        }
        let length = versions.iter().map(|bytes| bytes.len()).max().unwrap_or(0);
        let mut bytes = Vec::with_capacity(length);
        for page in 0..length.div_ceil(PAGE_BYTES) {
            let version = versions[dice.roll(versions.len() as u64) as usize];
            let end = ((page + 1) * PAGE_BYTES).min(length);
            let page = version.get(page * PAGE_BYTES..end.min(version.len())).unwrap_or_default();
            bytes.extend_from_slice(page);
            bytes.resize(end, 0);
        }
        disk.insert(name.clone(), bytes);
    }
    // So that it is seen: another mount.
    if let Some(header) = disk.get_mut(layout::HEADER) {
        header[BOOT_AT..BOOT_AT + 8].copy_from_slice(&1u64.to_ne_bytes());
    }
    disk
}

pub const BOOT_AT: usize = std::mem::offset_of!(super::super::header::Header, boot);

const TARGETS_AT: usize = std::mem::offset_of!(super::super::header::Header, targets);

pub fn lay_out(disk: &Files, directory: &Path) {
    for name in ["names", "targets", "stand-ins"] {
        fs::create_dir_all(directory.join(name)).unwrap();
    }
    let targets = disk[layout::HEADER][TARGETS_AT];
    for target in 0..targets {
        fs::create_dir_all(directory.join(format!("targets/{target}"))).unwrap();
    }
    for (name, bytes) in disk {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What the user was promised: contents that a file may have, by name; `None` for "not there".
#[derive(Clone, Default)]
struct Promises {
    files: BTreeMap<String, Vec<Option<Vec<u8>>>>,
}

impl Promises {
    /// From now on the file has this, and nothing else.
    fn is(&mut self, name: &str, content: Option<Vec<u8>>) {
        self.files.insert(name.to_owned(), vec![content]);
    }

    /// The file may have this too.
    fn may_be(&mut self, name: &str, content: Option<Vec<u8>>) {
        self.files.entry(name.to_owned()).or_insert_with(|| vec![None]).push(content);
    }
}

/// A program that writes, and syncs some of what it writes.
struct Program<'a> {
    fixture: &'a Fixture,
    dice: Dice,
    promises: Promises,
    content: BTreeMap<String, Vec<u8>>,
    turn: u64,
    /// Slots were synced and are to be trusted, as of now.
    has_trusted: bool,
}

impl Program<'_> {
    fn root(&self) -> NodeId {
        self.fixture.container.root()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = [0, 10, 300, 4096, 5000, 20_000][self.dice.roll(6) as usize];
        self.turn += 1;
        (0..length).map(|index| (self.turn as usize * 31 + index / 512) as u8).collect()
    }

    fn write(&self, name: &str, content: &[u8]) {
        let node = self.fixture.open_new(name);
        put(&*node, 0, content);
    }

    fn sync(&self, name: &str) {
        let container = &self.fixture.container;
        let found = container.lookup(self.root(), name.as_bytes()).unwrap();
        container.open(found).unwrap().sync().unwrap();
    }

    fn sync_root(&self) {
        let container = &self.fixture.container;
        let found = crate::store::Found { node: self.root(), generation: 0, kind: Kind::Directory };
        let attributes = container.attributes(self.root()).unwrap();
        container.open(crate::store::Found { generation: attributes.generation, ..found }).unwrap().sync().unwrap();
    }

    /// Whether the log has what a file has in its slot.
    fn is_logged(&self, name: &str) -> bool {
        let path = self.fixture.directory.path().join("store");
        let store = Store::open(&path, &MountOptions::default()).unwrap();
        let found = self.fixture.container.lookup(self.root(), name.as_bytes()).unwrap();
        store.record(found.node.0).unwrap().has(SLOT_LOGGED)
    }

    /// A new checkpoint, which trusts the slots.
    fn checkpoint(&mut self) {
        let store = Store::open(&self.fixture.directory.path().join("store"), &MountOptions::default()).unwrap();
        let _names = store.lock_names().unwrap();
        store.checkpoint().unwrap();
        self.has_trusted = true;
    }

    /// A turn after which all that it did is promised.
    fn step_synced(&mut self) {
        let (name, content) = (format!("n{}", self.dice.roll(30)), self.bytes());
        if self.content.contains_key(&name) && self.dice.roll(3) == 0 {
            // In place.
            let container = &self.fixture.container;
            let node = container.open(container.lookup(self.root(), name.as_bytes()).unwrap()).unwrap();
            node.set_size(0).unwrap();
            put(&*node, 0, &content);
            node.sync().unwrap();
        } else if self.content.contains_key(&name) {
            // An atomic replacement.
            self.write("new", &content);
            self.sync("new");
            let root = self.root();
            self.fixture.container.rename((root, b"new"), (root, name.as_bytes()), RenameMode::Replace).unwrap();
        } else {
            self.write(&name, &content);
            self.sync(&name);
        }
        self.sync_root();
        self.promises.is(&name, Some(content.clone()));
        self.promises.is("new", None);
        self.content.insert(name, content);
    }

    /// A turn of which nothing is promised. True if it synced something all the same.
    fn step_unsynced(&mut self) -> bool {
        let container = &self.fixture.container;
        let root = container.root();
        let some = self.content.keys().nth(self.dice.roll(self.content.len().max(1) as u64) as usize).cloned();
        let turn = self.dice.roll(4);
        let mut syncs = turn == 1 && some.is_some();
        match (turn, some) {
            (0, Some(name)) => {
                container.unlink(root, name.as_bytes()).unwrap();
                self.content.remove(&name);
                self.promises.may_be(&name, None);
            }
            // A replacement whose new file is synced, and the directory is not: the old one or the new one.
            (1, Some(name)) => {
                let content = self.bytes();
                let temporary = format!("t{}", self.turn);
                self.write(&temporary, &content);
                self.sync(&temporary);
                container.rename((root, temporary.as_bytes()), (root, name.as_bytes()), RenameMode::Replace).unwrap();
                self.promises.may_be(&name, Some(content.clone()));
                // What was synced with the temporary file includes all changes of names before.
                self.content.insert(name, content);
            }
            (2, Some(name)) => {
                // An append: what was there stays.
                let more = self.bytes();
                let node = container.open(container.lookup(root, name.as_bytes()).unwrap()).unwrap();
                let before = self.content[&name].clone();
                let was_logged = self.is_logged(&name);
                node.append(&[crate::ground::buffer::Segment::of_slice(&more)]).unwrap();
                let whole = [before.clone(), more].concat();
                // A file that was promised does not leave its slot before its new place is stable.
                syncs = before.len() <= PAGE_BYTES && whole.len() > PAGE_BYTES;
                self.has_trusted |= was_logged && !syncs && !self.is_logged(&name);
                syncs |= self.has_trusted;
                self.promises.files.entry(name.clone()).or_default().push(Some(whole.clone()));
                self.content.insert(name, whole);
            }
            _ => {
                let (name, content) = (format!("u{}", self.turn), self.bytes());
                self.write(&name, &content);
                if self.dice.roll(2) == 0 {
                    container.unlink(root, name.as_bytes()).unwrap();
                }
            }
        }
        syncs
    }
}

/// Whether what is there is one of the promised contents; of an append a part may be there, or zeros for it.
fn is_kept(found: Option<&[u8]>, promised: &[Option<Vec<u8>>]) -> bool {
    promised.iter().any(|one| match (one, found) {
        (None, None) => true,
        (Some(one), Some(found)) => {
            one == found
                || promised.iter().flatten().any(|shorter| {
                    // Beyond what was synced an append may be there in part, and what is not there is zeros.
                    one.starts_with(shorter)
                        && found.len() >= shorter.len()
                        && found.len() <= one.len()
                        && found[..shorter.len()] == **shorter
                })
        }
        _ => false,
    })
}

fn verify(container: &LocalContainer, promises: &Promises, case: &str) {
    let root = container.root();
    for (name, promised) in &promises.files {
        let found = container.lookup(root, name.as_bytes()).ok().map(|found| {
            let node = container.open(found).unwrap();
            get(&*node, 0, 1 << 20)
        });
        assert!(
            is_kept(found.as_deref(), promised),
            "{case}: {name} has {:?} bytes, of which the first are {:?}; promised are {:?}",
            found.as_ref().map(Vec::len),
            found.as_ref().and_then(|bytes| bytes.first()),
            promised
                .iter()
                .map(|one| one.as_ref().map(|bytes| (bytes.len(), bytes.first().copied())))
                .collect::<Vec<_>>()
        );
    }
}

fn play(options: &MountOptions, seed: u64) {
    let fixture = fixture_with(options);
    let store = fixture.directory.path().join("store");
    let mut program = Program {
        fixture: &fixture,
        dice: Dice(seed),
        promises: Promises::default(),
        content: BTreeMap::new(),
        turn: 0,
        has_trusted: false,
    };
    // The first sync waits for the store's own files too.
    program.step_synced();
    let mut copies = vec![copy(&store)];
    let mut at = Waited::default();
    for part in 0..2 {
        for _ in 0..program.dice.roll(12) {
            program.step_unsynced();
            program.step_synced();
            if part == 1 && program.dice.roll(20) == 0 {
                program.checkpoint();
                at.nodes = copies.len();
            }
            if std::mem::take(&mut program.has_trusted) {
                at.slots = copies.len();
                copies.push(copy(&store));
            }
        }
        if part == 1 {
            program.step_synced();
        }
        copies.push(copy(&store));
    }
    at.file = copies.len() - 1;
    for turn in 0..program.dice.roll(40) {
        let syncs = program.step_unsynced();
        if syncs || turn % 10 == 9 {
            copies.push(copy(&store));
        }
        if syncs {
            at.file = copies.len() - 1;
        }
        if std::mem::take(&mut program.has_trusted) {
            at.slots = at.file;
        }
    }
    copies.push(copy(&store));
    for round in 0..4 {
        let case = format!("seed {seed}, cut {round}");
        let disk = cut(&copies, at, &mut program.dice);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        lay_out(&disk, &path);
        let error = check(&path, false, &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains("recovered"), "{error}");
        if round % 2 == 0 {
            // A recovery that is cut off in its middle, at its end and after it.
            let container = LocalContainer::open(&path, options).unwrap_or_else(|error| panic!("{case}: {error}"));
            verify(&container, &program.promises, &case);
            drop(container);
            let after = copy(&path);
            let is_done = program.dice.roll(2) == 0;
            let mut again = cut(&[disk.clone(), after.clone()], Waited::default(), &mut program.dice);
            // The new checkpoint is there only once the inode table and the slots are, and the new log only after it.
            let ordered = if is_done { &after } else { &disk };
            for name in [layout::NODES, layout::SLOTS, layout::LOG, layout::CHECKPOINTS[0], layout::CHECKPOINTS[1]] {
                if is_done || ![layout::NODES, layout::SLOTS].contains(&name) {
                    again.insert(name.to_owned(), ordered.get(name).cloned().unwrap_or_default());
                }
            }
            fs::remove_dir_all(&path).unwrap();
            lay_out(&again, &path);
        }
        let summary = check(&path, true, &mut |finding| panic!("{case}: {finding}"));
        assert!(summary.unwrap_or_else(|error| panic!("{case}: {error}")).is_clean());
        let container = LocalContainer::open(&path, options).unwrap();
        verify(&container, &program.promises, &format!("{case}, repaired"));
        // It goes on being used.
        let used = Fixture { directory, container };
        for index in 0..40 {
            let node = used.open_new(&format!("after.{index}"));
            put(&*node, 0, &vec![index; 100 * usize::from(index)]);
        }
        verify(&used.container, &program.promises, &format!("{case}, used"));
        drop(used.container);
        let summary = check(&path, false, &mut |finding| panic!("{case}, used: {finding}")).unwrap();
        assert!(summary.is_clean());
    }
}

/// `SIDESTEP_TEST_ROUNDS` makes it longer.
fn rounds() -> u64 {
    std::env::var("SIDESTEP_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

#[test]
fn what_was_synced_survives_any_mixture_of_pages() {
    for seed in 0..rounds() {
        let spread = MountOptions { targets: Some(3), chunk_bytes: Some(1024), ..MountOptions::default() };
        play(&if seed % 3 == 2 { spread } else { MountOptions::default() }, seed);
    }
}

#[test]
fn a_recovery_without_need_changes_nothing() {
    let fixture = fixture_with(&MountOptions::default());
    let root = fixture.container.root();
    let below = fixture.make(root, "directory", Kind::Directory).node;
    for index in 0..300 {
        let found = fixture.make(below, &format!("file.{index}"), Kind::File);
        put(&*fixture.container.open(found).unwrap(), 0, &vec![index as u8; 20 * index]);
    }
    for index in (0..300).step_by(3) {
        fixture.container.unlink(below, format!("file.{index}").as_bytes()).unwrap();
        let from = format!("file.{}", index + 1);
        fixture.container.rename((below, from.as_bytes()), (root, from.as_bytes()), RenameMode::Replace).unwrap();
    }
    let states = |container: &LocalContainer| {
        let mut states = Vec::new();
        for directory in [root, below] {
            container
                .entries(directory, 0, &mut |entry| {
                    let node = container.open(entry.found).unwrap();
                    let attributes = node.attributes().unwrap();
                    let bytes = if entry.found.kind == Kind::File { get(&*node, 0, 10_000) } else { Vec::new() };
                    let at = (entry.position, entry.name.to_vec(), entry.found);
                    states.push((at, attributes.size_bytes, attributes.link_count, attributes.changed, bytes));
                    true
                })
                .unwrap();
        }
        states
    };
    let before = states(&fixture.container);
    assert_eq!(before.len(), 201);
    let Fixture { directory, container } = fixture;
    drop(container);
    let path = directory.path().join("store");
    let mut disk = copy(&path);
    let header = disk.get_mut(layout::HEADER).unwrap();
    header[BOOT_AT..BOOT_AT + 8].copy_from_slice(&1u64.to_ne_bytes());
    fs::remove_dir_all(&path).unwrap();
    lay_out(&disk, &path);
    let container = LocalContainer::open(&path, &MountOptions::default()).unwrap();
    assert_eq!(states(&container), before);
}

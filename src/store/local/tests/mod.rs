//! The embedded engine from the outside.

mod checking;
mod data;
mod full_disk;
mod fuzz;
mod fuzz_damage;
mod names;
mod older_format;
mod opening;
mod power;
mod processes;
mod slots;

use super::LocalContainer;
use crate::ground::mounts::MountOptions;
use crate::store::{ArrayObject, Container, Found, Kind, NewNode, NodeId};

/// A store in a directory of its own, gone when dropped.
pub struct Fixture {
    pub directory: tempfile::TempDir,
    pub container: LocalContainer,
}

/// A new store with the default options.
pub fn fixture() -> Fixture {
    fixture_with(&MountOptions::default())
}

/// A new store.
pub fn fixture_with(options: &MountOptions) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let container = LocalContainer::open(&directory.path().join("store"), options).unwrap();
    Fixture { directory, container }
}

impl Fixture {
    pub fn make(&self, directory: NodeId, name: &str, kind: Kind) -> Found {
        let target: &[u8] = if kind == Kind::Symlink { b"some/where" } else { b"" };
        let new = NewNode { kind, mode: 0o644, uid: 1, gid: 2, target };
        self.container.create(directory, name.as_bytes(), &new).unwrap()
    }

    pub fn make_file(&self, name: &str) -> Found {
        self.make(self.container.root(), name, Kind::File)
    }

    pub fn open_new(&self, name: &str) -> Box<dyn ArrayObject> {
        self.container.open(self.make_file(name)).unwrap()
    }

    pub fn names(&self, directory: NodeId) -> Vec<String> {
        let mut names = Vec::new();
        self.container
            .entries(directory, 0, &mut |entry| {
                names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                true
            })
            .unwrap();
        names.sort();
        names
    }
}

/// Writes a slice.
pub fn put(node: &dyn ArrayObject, offset: u64, bytes: &[u8]) -> usize {
    node.write_at(offset, &[crate::ground::buffer::Segment::of_slice(bytes)]).unwrap()
}

/// Reads what is there of a range.
pub fn get(node: &dyn ArrayObject, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; length];
    let count = node.read_at(offset, &[crate::ground::buffer::Segment::of_slice_mut(&mut bytes)]).unwrap();
    bytes.truncate(count);
    bytes
}

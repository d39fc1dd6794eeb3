//! A directory of its own for each test, in the container that the environment names.

use sidestep::ground::mounts::MountOptions;
use sidestep::store::daos::DaosContainer;
use sidestep::store::{Container, Found, Kind, NewNode, NodeId};
use std::sync::{Arc, OnceLock};

/// Where the tests are to run: pool and container.
pub fn names() -> Option<(String, String)> {
    let value = std::env::var("SIDESTEP_TEST_DAOS").ok()?;
    let (pool, container) = value.split_once('/').expect("SIDESTEP_TEST_DAOS=POOL/CONTAINER");
    Some((pool.to_owned(), container.to_owned()))
}

/// A container and a fresh directory in it, removed at the end.
pub struct Place {
    pub container: Arc<DaosContainer>,
    pub directory: NodeId,
    name: String,
}

/// One connection for all tests of a process.
fn shared() -> Option<Arc<DaosContainer>> {
    static CONTAINER: OnceLock<Option<Arc<DaosContainer>>> = OnceLock::new();
    CONTAINER.get_or_init(|| another(&MountOptions::default())).clone()
}

/// A connection of its own.
pub fn another(options: &MountOptions) -> Option<Arc<DaosContainer>> {
    let (pool, container) = names()?;
    Some(DaosContainer::open(&pool, &container, options).unwrap_or_else(|error| panic!("{error}")))
}

impl Place {
    /// None where no system is named.
    pub fn new(test: &str) -> Option<Self> {
        let Some(container) = shared() else {
            println!("SIDESTEP_TEST_DAOS=POOL/CONTAINER is not set: nothing to test against");
            return None;
        };
        let name = format!("test-{test}-{}", std::process::id());
        remove_tree(container.as_ref(), container.root(), name.as_bytes());
        let found = container.create(container.root(), name.as_bytes(), &new(Kind::Directory, 0o755)).unwrap();
        Some(Self { directory: found.node, container, name })
    }

    /// Makes a file.
    pub fn file(&self, name: &str) -> Found {
        self.container.create(self.directory, name.as_bytes(), &new(Kind::File, 0o644)).unwrap()
    }

    /// The directory's name in the root.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove_tree(self.container.as_ref(), self.container.root(), self.name.as_bytes());
    }
}

/// A node to be made by this user.
pub fn new(kind: Kind, mode: u32) -> NewNode<'static> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    NewNode { kind, mode, uid, gid, target: b"" }
}

/// The names in a directory, sorted.
pub fn list(container: &dyn Container, directory: NodeId) -> Vec<String> {
    let mut names = Vec::new();
    container
        .entries(directory, 0, &mut |entry| {
            names.push(String::from_utf8_lossy(entry.name).into_owned());
            true
        })
        .unwrap();
    names.sort();
    names
}

fn remove_tree(container: &dyn Container, parent: NodeId, name: &[u8]) {
    let Ok(found) = container.lookup(parent, name) else { return };
    if found.kind == Kind::Directory {
        for inner in list(container, found.node) {
            remove_tree(container, found.node, inner.as_bytes());
        }
        container.remove_directory(parent, name).unwrap();
    } else {
        container.unlink(parent, name).unwrap();
    }
}

//! A full disk: an errno, never a signal, and nothing lost. A read-only one: all that is there, and no change.

use super::super::LocalContainer;
use super::super::check::check;
use super::{get, put};
use crate::ground::Errno;
use crate::ground::buffer::Segment;
use crate::ground::mounts::MountOptions;
use crate::store::{Allocation, ArrayObject, Container, Kind, NewNode};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

const FILE: NewNode<'static> = NewNode { kind: Kind::File, mode: 0o600, uid: 0, gid: 0, target: b"" };

/// A small tmpfs of its own, or `None` where we may not mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        match mount("sidestep-test", directory.path(), "tmpfs", MountFlags::empty(), Some(options.as_c_str())) {
            Ok(()) => Some(Self(directory)),
            Err(errno) => {
                eprintln!("not run: mounting a tmpfs needs the superuser ({errno})");
                None
            }
        }
    }

    fn open(&self) -> LocalContainer {
        LocalContainer::open(&self.0.path().join("store"), &MountOptions::default()).unwrap()
    }

    fn is_clean(&self) {
        let mut findings = Vec::new();
        let summary = check(&self.0.path().join("store"), false, &mut |finding| findings.push(finding)).unwrap();
        assert!(summary.is_clean(), "{findings:?}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

/// Writes `length` bytes at a time until there is no space; returns the bytes written.
fn fill(node: &dyn ArrayObject, length: usize) -> u64 {
    let bytes = vec![0xab; length];
    let mut at = 0;
    loop {
        match node.write_at(at, &[Segment::of_slice(&bytes)]) {
            Ok(count) => at += count as u64,
            Err(errno) => {
                assert_eq!(errno, Errno::NOSPC);
                return at;
            }
        }
    }
}

#[test]
fn a_full_disk_is_enospc_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::new("16m") else { return };
    let container = disk.open();
    let root = container.root();
    let open = |name: &str| container.open(container.create(root, name.as_bytes(), &FILE).unwrap()).unwrap();
    let kept = open("kept");
    put(&*kept, 0, &[7; 100_000]);
    // Through its windows too, from now on.
    for _ in 0..5 {
        assert_eq!(get(&*kept, 4096, 4096), [7; 4096]);
    }
    let hole = open("hole");
    let large = open("large");
    let size = fill(&*large, 10_000);
    assert!(size > 8 << 20, "{size}");
    assert_eq!(large.size_bytes(), Ok(size));
    // Small files, until neither a slot, nor a record, nor a page of the tree is to be had.
    let mut small = 0;
    let refused = loop {
        let name = format!("a rather long name, so that the tree is filled too, {small}");
        let made = container.create(root, name.as_bytes(), &FILE).and_then(|found| {
            let node = container.open(found)?;
            node.write_at(0, &[Segment::of_slice(&[5; 3901])])
        });
        match made {
            Ok(count) => assert_eq!(count, 3901),
            Err(errno) => break errno,
        }
        small += 1;
    };
    assert_eq!(refused, Errno::NOSPC);
    assert_eq!(hole.append(&[Segment::of_slice(&[1; 5000])]), Err(Errno::NOSPC));
    assert_eq!(kept.allocate(Allocation::Extend, 0, 8 << 20), Err(Errno::NOSPC));
    // Overwrites need no space, and holes are read without any.
    put(&*kept, 0, &[8; 100_000]);
    hole.set_size(1 << 20).unwrap();
    assert_eq!(get(&*hole, 0, 1 << 20), vec![0; 1 << 20]);
    assert_eq!(get(&*kept, 0, 200_000), [8; 100_000]);
    assert_eq!(get(&*large, size - 5000, 10_000), [0xab; 5000]);
    drop(hole);
    disk.is_clean();
    // Removing helps, even on a disk that is full to the brim.
    drop(large);
    container.unlink(root, b"large").unwrap();
    let next = open("next");
    put(&*next, 0, &vec![9; 4 << 20]);
    assert_eq!(get(&*next, (4 << 20) - 10, 20), [9; 10]);
    drop((next, kept, container));
    disk.is_clean();
}

#[test]
fn names_fill_a_disk_and_can_be_removed() {
    let Some(disk) = SmallDisk::new("6m") else { return };
    let container = disk.open();
    let root = container.root();
    let name = |index: usize| format!("{index:0>200}").into_bytes();
    let mut count = 0;
    let refused = loop {
        let kind = if count % 10 == 0 { Kind::Directory } else { Kind::File };
        match container.create(root, &name(count), &NewNode { kind, ..FILE }) {
            Ok(_) => count += 1,
            Err(errno) => break errno,
        }
    };
    assert_eq!(refused, Errno::NOSPC);
    assert!(count > 1000, "{count}");
    let mut seen = 0;
    container
        .entries(root, 0, &mut |_| {
            seen += 1;
            true
        })
        .unwrap();
    assert_eq!(seen, count);
    for index in 0..count {
        match index % 10 {
            0 => container.remove_directory(root, &name(index)).unwrap(),
            _ => container.unlink(root, &name(index)).unwrap(),
        }
    }
    container.create(root, b"after all", &FILE).unwrap();
    drop(container);
    disk.is_clean();
}

#[test]
fn a_read_only_host_shows_what_is_there() {
    let Some(disk) = SmallDisk::new("16m") else { return };
    let container = disk.open();
    let root = container.root();
    let make = |name: &str, bytes: &[u8]| {
        let found = container.create(root, name.as_bytes(), &FILE).unwrap();
        put(&*container.open(found).unwrap(), 0, bytes);
    };
    make("in the tree", b"small");
    make("gone", b"gone");
    container.create(root, b"directory", &NewNode { kind: Kind::Directory, ..FILE }).unwrap();
    // These are among the recent changes still.
    make("recent", &[3; 10_000]);
    container.unlink(root, b"gone").unwrap();
    drop(container);
    mount_remount(disk.0.path(), MountFlags::RDONLY, "").unwrap();
    let container = disk.open();
    assert!(container.is_read_only());
    let mut names = Vec::new();
    let mut list = |entry: crate::store::DirectoryEntry<'_>| {
        names.push(String::from_utf8(entry.name.to_vec()).unwrap());
        true
    };
    container.entries(root, 0, &mut list).unwrap();
    names.sort();
    assert_eq!(names, ["directory", "in the tree", "recent"]);
    let open = |name: &[u8]| container.open(container.lookup(root, name).unwrap()).unwrap();
    assert_eq!(get(&*open(b"in the tree"), 0, 10), b"small");
    let recent = open(b"recent");
    for _ in 0..4 {
        assert_eq!(get(&*recent, 5000, 10_000), [3; 5000]);
    }
    assert_eq!(recent.write_at(0, &[Segment::of_slice(b"x")]), Err(Errno::ROFS));
    assert_eq!(container.create(root, b"new", &FILE), Err(Errno::ROFS));
    assert_eq!(container.lookup(root, b"gone"), Err(Errno::NOENT));
    drop((recent, container));
    disk.is_clean();
}

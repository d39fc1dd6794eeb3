//! What is, and what is not, a store.

use super::super::store::{ROOT, Store};
use super::super::{LocalContainer, OpenError};
use super::{Fixture, fixture};
use crate::ground::Errno;
use crate::ground::mounts::MountOptions;
use crate::store::{Container, Kind, NewNode};
use std::fs;

fn options() -> MountOptions {
    MountOptions::default()
}

#[test]
fn a_store_is_made_with_its_parents_and_only_in_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some/deep/store");
    drop(LocalContainer::open(&path, &options()).unwrap());
    drop(LocalContainer::open(&path, &options()).unwrap());
    let strangers = directory.path().join("strangers");
    fs::create_dir(&strangers).unwrap();
    fs::write(strangers.join("thesis.tex"), "years of work").unwrap();
    let error = LocalContainer::open(&strangers, &options()).err().unwrap();
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert_eq!(error.errno(), Errno::NOTDIR);
    assert_eq!(fs::read_dir(&strangers).unwrap().count(), 1);
    let error = LocalContainer::open(&strangers.join("thesis.tex"), &options()).err().unwrap();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
}

#[test]
fn odd_headers_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    drop(LocalContainer::open(&path, &options()).unwrap());
    let header = fs::read(path.join("store")).unwrap();
    let open_with = |bytes: &[u8]| {
        fs::write(path.join("store"), bytes).unwrap();
        LocalContainer::open(&path, &options()).map(drop)
    };
    let mut newer = header.clone();
    newer[16] = 200;
    assert!(matches!(open_with(&newer), Err(OpenError::NewerFormat { format: 200, known: 2, .. })));
    assert!(matches!(open_with(&header[..100]), Err(OpenError::Damaged { .. })));
    assert!(matches!(open_with(b"#!/bin/sh"), Err(OpenError::NotAStore { .. })));
    open_with(&header).unwrap();
}

#[test]
fn options_out_of_range_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for chunk_bytes in [512, 1025, 65 << 20] {
        let options = MountOptions { chunk_bytes: Some(chunk_bytes), ..options() };
        let error = LocalContainer::open(&path, &options).err().unwrap();
        assert_eq!(error, OpenError::ChunkSize { chunk_bytes });
    }
    let options = MountOptions { targets: Some(65), ..options() };
    assert_eq!(LocalContainer::open(&path, &options).err(), Some(OpenError::Targets { targets: 65 }));
    assert!(!path.exists());
}

#[test]
fn a_read_only_mount_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let read_only = MountOptions { readonly: true, ..options() };
    let error = LocalContainer::open(&path, &read_only).err().unwrap();
    assert!(matches!(error, OpenError::ReadOnlyAndAbsent { .. }), "{error}");
    assert!(!path.exists());
    let fixture = fixture();
    let found = fixture.make_file("file");
    let path = fixture.directory.path().join("store");
    let container = LocalContainer::open(&path, &read_only).unwrap();
    assert!(container.is_read_only());
    assert_eq!(container.lookup(container.root(), b"file"), Ok(found));
    let new = NewNode { kind: Kind::File, mode: 0o600, uid: 0, gid: 0, target: b"" };
    assert_eq!(container.create(container.root(), b"x", &new), Err(Errno::ROFS));
    assert_eq!(container.open(found).unwrap().set_size(1), Err(Errno::ROFS));
    // The other mount of the same store is not.
    assert!(fixture.container.open(found).unwrap().set_size(1).is_ok());
}

#[test]
fn many_open_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    std::thread::scope(|scope| {
        for index in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let container = LocalContainer::open(path, &options()).unwrap();
                let new = NewNode { kind: Kind::File, mode: 0o600, uid: 0, gid: 0, target: b"" };
                container.create(container.root(), format!("file.{index}").as_bytes(), &new).unwrap();
            });
        }
    });
    let container = LocalContainer::open(&path, &options()).unwrap();
    assert_eq!(container.attributes(container.root()).unwrap().size_bytes, 40 + 8 * 20);
}

#[test]
fn a_store_whose_maker_was_killed_at_its_root_is_made_to_the_end() {
    let Fixture { directory, container } = fixture();
    drop(container);
    let path = directory.path().join("store");
    {
        let store = Store::open(&path, &MountOptions::default()).unwrap();
        // As a recovery leaves it that has given back what the dead had taken.
        store.free_node(ROOT);
    }
    let container = LocalContainer::open(&path, &MountOptions::default()).unwrap();
    let fixture = Fixture { directory, container };
    let found = fixture.make_file("f");
    assert_eq!(fixture.container.lookup(fixture.container.root(), b"f"), Ok(found));
}

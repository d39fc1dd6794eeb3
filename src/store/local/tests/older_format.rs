//! Stores whose header is older than the rest: of the format before this one, or as it was before a cut of power.

use super::super::LocalContainer;
use super::super::check::check;
use super::super::layout;
use super::power::{BOOT_AT, copy, lay_out};
use super::{Fixture, fixture_with, get, put};
use crate::ground::mounts::MountOptions;
use crate::store::{Container, Kind};
use std::fs;
use std::path::Path;

/// Makes a store what an earlier release left: its header says format 1 and knows of no log.
fn age(store: &Path) {
    let path = store.join(layout::HEADER);
    let mut header = fs::read(&path).unwrap();
    header[16..20].copy_from_slice(&1u32.to_ne_bytes());
    header[std::mem::offset_of!(super::super::header::Header, log)..].fill(0);
    fs::write(&path, header).unwrap();
    for name in [layout::LOG, layout::CHECKPOINTS[0], layout::CHECKPOINTS[1]] {
        let _ = fs::remove_file(store.join(name));
    }
}

#[test]
fn a_store_of_the_format_without_a_log_is_given_one() {
    let Fixture { directory, container } = fixture_with(&MountOptions::default());
    let fixture = Fixture { directory, container };
    put(&*fixture.open_new("file"), 0, b"bytes");
    fixture.make(fixture.container.root(), "link", Kind::Symlink);
    let Fixture { directory, container } = fixture;
    drop(container);
    let path = directory.path().join("store");
    age(&path);
    // A look changes nothing.
    check(&path, false, &mut |finding| panic!("{finding}")).unwrap();
    assert!(!path.join(layout::LOG).exists());
    let container = LocalContainer::open(&path, &MountOptions::default()).unwrap();
    let fixture = Fixture { directory, container };
    assert_eq!(fs::read(path.join(layout::HEADER)).unwrap()[16..20], 2u32.to_ne_bytes());
    put(&*fixture.open_new("other"), 0, b"more");
    assert_eq!(fixture.names(fixture.container.root()), ["file", "link", "other"]);
    drop(fixture.container);
    check(&path, false, &mut |finding| panic!("{finding}")).unwrap();
    // With its power cut right after: the checkpoint has the names of the old format.
    let mut disk = copy(&path);
    let header = disk.get_mut(layout::HEADER).unwrap();
    header[BOOT_AT..BOOT_AT + 8].copy_from_slice(&1u64.to_ne_bytes());
    disk.remove("names/data.mdb");
    fs::remove_dir_all(&path).unwrap();
    lay_out(&disk, &path);
    let container = LocalContainer::open(&path, &MountOptions::default()).unwrap();
    let mut target = [0; 20];
    let link = container.lookup(container.root(), b"link").unwrap();
    let length = container.read_link(link.node, &mut target).unwrap();
    assert_eq!(&target[..length], b"some/where");
    let node = container.open(container.lookup(container.root(), b"file").unwrap()).unwrap();
    assert_eq!(get(&*node, 0, 10), b"bytes");
}

#[test]
fn a_store_of_the_format_without_a_log_that_is_in_use_is_refused() {
    let Fixture { directory, container } = fixture_with(&MountOptions::default());
    drop(container);
    let path = directory.path().join("store");
    age(&path);
    // Another process lives in it: here, one with a lock of its own.
    let live = crate::ground::kernel::Low::open(
        rustix::fs::CWD,
        path.join("live"),
        rustix::fs::OFlags::RDWR,
        rustix::fs::Mode::empty(),
    );
    let live = live.unwrap();
    let lock = crate::ground::kernel::RangeLock::Read;
    assert!(crate::ground::kernel::lock_range(std::os::fd::AsFd::as_fd(&live), lock, 1, 1).unwrap());
    let error = LocalContainer::open(&path, &MountOptions::default()).err().unwrap();
    assert!(error.to_string().contains("older Sidestep"), "{error}");
}

#[test]
fn a_new_store_that_was_cut_begins_from_nothing_however_often() {
    let Fixture { directory, container } = fixture_with(&MountOptions::default());
    let path = directory.path().join("store");
    drop(container);
    for round in 0..4 {
        // The kernel wrote the log back, and nothing else: the header is as it was made.
        let header_path = path.join(layout::HEADER);
        let mut header = fs::read(&header_path).unwrap();
        let log = std::mem::offset_of!(super::super::header::Header, log);
        let on = log + std::mem::offset_of!(super::super::log::state::LogState, on);
        header[log..log + size_of::<super::super::log::state::LogState>()].fill(0);
        header[on..on + 4].copy_from_slice(&1u32.to_ne_bytes());
        header[BOOT_AT..BOOT_AT + 8].fill(0);
        fs::write(&header_path, header).unwrap();
        for name in layout::CHECKPOINTS {
            let _ = fs::remove_file(path.join(name));
        }
        let container = LocalContainer::open(&path, &MountOptions::default()).unwrap();
        let fixture = Fixture { directory: tempfile::tempdir().unwrap(), container };
        assert_eq!(fixture.names(fixture.container.root()), [""; 0]);
        if round % 2 == 0 {
            put(&*fixture.open_new(&format!("file.{round}")), 0, b"bytes");
        }
        drop(fixture.container);
        check(&path, false, &mut |finding| panic!("{round}: {finding}")).unwrap();
    }
}

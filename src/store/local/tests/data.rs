//! Bytes.

use super::{fixture, fixture_with, get, put};
use crate::ground::Errno;
use crate::ground::buffer::Segment;
use crate::ground::mounts::MountOptions;
use crate::store::{Allocation, ArrayObject, Container, Kind};
use proptest::prelude::*;

#[test]
fn small_files_grow_out_of_their_slot() {
    let fixture = fixture();
    let node = fixture.open_new("file");
    assert_eq!(get(&*node, 0, 10), b"");
    put(&*node, 10, b"after a gap");
    assert_eq!(get(&*node, 0, 100), [&[0; 10][..], b"after a gap"].concat());
    let large: Vec<u8> = (0..300_000u32).map(|i| i as u8 ^ (i >> 8) as u8).collect();
    put(&*node, 4000, &large);
    assert_eq!(node.size_bytes(), Ok(304_000));
    assert_eq!(get(&*node, 4000, 400_000), large);
    assert_eq!(get(&*node, 0, 21), [&[0; 10][..], b"after a gap"].concat());
    assert_eq!(get(&*node, 21, 3979), [0; 3979]);
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let fixture = fixture();
    for size in [4000usize, 100_000] {
        let node = fixture.open_new(&format!("file.{size}"));
        put(&*node, 0, &vec![7; size]);
        node.set_size(10).unwrap();
        assert_eq!(get(&*node, 0, size), [7; 10]);
        put(&*node, 20, b"x");
        assert_eq!(get(&*node, 0, size), [&[7; 10][..], &[0; 10], b"x"].concat());
        node.set_size(5).unwrap();
        node.set_size(size as u64).unwrap();
        assert_eq!(get(&*node, 0, size), [vec![7; 5], vec![0; size - 5]].concat());
        node.set_size(0).unwrap();
        node.allocate(Allocation::Extend, 0, size as u64).unwrap();
        assert_eq!(get(&*node, 0, size), vec![0; size]);
    }
}

#[test]
fn appends_go_to_the_end() {
    let fixture = fixture();
    let node = fixture.open_new("file");
    let parts: [&[u8]; 2] = [b"one ", b"record\n"];
    let segments = parts.map(Segment::of_slice);
    for index in 0..1000 {
        assert_eq!(node.append(&segments), Ok((index * 11, 11)));
    }
    assert_eq!(get(&*node, 0, 20_000), b"one record\n".repeat(1000));
}

#[test]
fn holes_are_found() {
    for targets in [1, 3] {
        let fixture =
            fixture_with(&MountOptions { targets: Some(targets), chunk_bytes: Some(8192), ..Default::default() });
        let node = fixture.open_new("file");
        assert_eq!(node.seek_data(0), Err(Errno::NXIO));
        assert_eq!(node.seek_hole(0), Err(Errno::NXIO));
        node.set_size(1 << 20).unwrap();
        assert_eq!((node.seek_data(0), node.seek_hole(0)), (Err(Errno::NXIO), Ok(0)));
        put(&*node, 64 << 10, &[1; 32 << 10]);
        assert_eq!(node.seek_data(0), Ok(64 << 10));
        assert_eq!(node.seek_data(70_000), Ok(70_000));
        assert_eq!(node.seek_hole(64 << 10), Ok(96 << 10));
        assert_eq!(node.seek_data(96 << 10), Err(Errno::NXIO));
        assert_eq!(node.attributes().unwrap().blocks, 64);
        node.allocate(Allocation::PunchHole, 64 << 10, 16 << 10).unwrap();
        assert_eq!(node.seek_data(0), Ok(80 << 10));
        assert_eq!(get(&*node, 64 << 10, 32 << 10), [vec![0; 16 << 10], vec![1; 16 << 10]].concat());
        assert_eq!(node.size_bytes(), Ok(1 << 20));
    }
}

#[test]
fn the_wrong_kind_and_the_wrong_size_are_refused() {
    let fixture = fixture();
    let root = fixture.container.root();
    let directory = fixture.container.open(fixture.make(root, "directory", Kind::Directory)).unwrap();
    let mut byte = [0];
    let mut read = |node: &dyn ArrayObject| node.read_at(0, &[Segment::of_slice_mut(&mut byte)]);
    assert_eq!(read(&*directory), Err(Errno::ISDIR));
    let link = fixture.container.open(fixture.make(root, "link", Kind::Symlink)).unwrap();
    assert_eq!(read(&*link), Err(Errno::BADF));
    assert_eq!(directory.write_at(0, &[Segment::of_slice(b"x")]), Err(Errno::ISDIR));
    let file = fixture.open_new("file");
    assert_eq!(file.write_at(u64::MAX / 2, &[Segment::of_slice(b"x")]), Err(Errno::FBIG));
    assert_eq!(file.set_size(u64::MAX / 2), Err(Errno::FBIG));
    assert_eq!(file.size_bytes(), Ok(0));
}

#[test]
fn bytes_last_over_a_new_opening() {
    let mut fixture = fixture();
    put(&*fixture.open_new("small"), 0, b"small");
    put(&*fixture.open_new("large"), 9000, b"large");
    let path = fixture.directory.path().join("store");
    let elsewhere = fixture.directory.path().join("elsewhere");
    fixture.container = super::LocalContainer::open(&elsewhere, &MountOptions::default()).unwrap();
    fixture.container = super::LocalContainer::open(&path, &MountOptions::default()).unwrap();
    let open = |name: &[u8]| {
        let found = fixture.container.lookup(fixture.container.root(), name).unwrap();
        fixture.container.open(found).unwrap()
    };
    assert_eq!(get(&*open(b"small"), 0, 10), b"small");
    assert_eq!(get(&*open(b"large"), 8998, 10), b"\0\0large");
}

/// One step of a test against a plain vector.
#[derive(Clone, Debug)]
enum Step {
    Write(u64, usize, u8),
    Append(usize, u8),
    Read(u64, usize),
    Resize(u64),
    Punch(u64, u64),
    Extend(u64, u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || prop_oneof![0..5000u64, 0..40_000u64];
    prop_oneof![
        4 => (place(), 1..9000usize, any::<u8>()).prop_map(|(at, length, byte)| Step::Write(at, length, byte)),
        2 => (1..3000usize, any::<u8>()).prop_map(|(length, byte)| Step::Append(length, byte)),
        3 => (place(), 1..20_000usize).prop_map(|(at, length)| Step::Read(at, length)),
        2 => place().prop_map(Step::Resize),
        1 => (place(), 1..9000u64).prop_map(|(at, length)| Step::Punch(at, length)),
        1 => (place(), 1..9000u64).prop_map(|(at, length)| Step::Extend(at, length)),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_file_is_a_vector(
        steps in proptest::collection::vec(step(), 1..40),
        targets in 1u32..4,
        chunk_bytes in prop_oneof![Just(1024u64), Just(1536), Just(4096), Just(1 << 20)],
    ) {
        let options = MountOptions { targets: Some(targets), chunk_bytes: Some(chunk_bytes), ..Default::default() };
        let fixture = fixture_with(&options);
        let found = fixture.make_file("file");
        let mut node = fixture.container.open(found).unwrap();
        let mut model: Vec<u8> = Vec::new();
        for step in steps {
            match step {
                Step::Write(at, length, byte) => {
                    let bytes: Vec<u8> = (0..length).map(|i| byte.wrapping_add(i as u8)).collect();
                    prop_assert_eq!(put(&*node, at, &bytes), length);
                    let end = at as usize + length;
                    model.resize(model.len().max(end), 0);
                    model[at as usize..end].copy_from_slice(&bytes);
                }
                Step::Append(length, byte) => {
                    let bytes = vec![byte; length];
                    let placed = node.append(&[Segment::of_slice(&bytes)]);
                    prop_assert_eq!(placed, Ok((model.len() as u64, length)));
                    model.extend_from_slice(&bytes);
                }
                Step::Read(at, length) => {
                    let from = (at as usize).min(model.len());
                    let to = (from + length).min(model.len());
                    prop_assert_eq!(get(&*node, at, length), &model[from..to]);
                }
                Step::Resize(size) => {
                    node.set_size(size).unwrap();
                    model.resize(size as usize, 0);
                }
                Step::Punch(at, length) => {
                    node.allocate(Allocation::PunchHole, at, length).unwrap();
                    let from = (at as usize).min(model.len());
                    let to = (from + length as usize).min(model.len());
                    model[from..to].fill(0);
                }
                Step::Extend(at, length) => {
                    node.allocate(Allocation::Extend, at, length).unwrap();
                    model.resize(model.len().max((at + length) as usize), 0);
                }
                Step::Reopen => {
                    drop(node);
                    node = fixture.container.open(found).unwrap();
                }
            }
            prop_assert_eq!(node.size_bytes(), Ok(model.len() as u64));
        }
        prop_assert_eq!(get(&*node, 0, model.len() + 1), model);
    }
}

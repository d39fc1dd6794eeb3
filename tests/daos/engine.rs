//! What the traits promise, on a real container.

use super::place::{Place, list, new};
use rustix::io::Errno;
use sidestep::ground::buffer::Segment;
use sidestep::store::{
    Allocation, ArrayObject, Changes, Container, Extent, Kind, NewNode, OnlyIf, RemoteContainer, RenameMode, Timestamp,
};

/// What stands in a file from `offset` on, `length` bytes at most.
fn read(array: &dyn ArrayObject, offset: u64, length: usize) -> Vec<u8> {
    let mut room = vec![0xaa; length];
    let count = array.read_at(offset, &[Segment::of_slice_mut(&mut room)]).unwrap();
    room.truncate(count);
    room
}

fn write(array: &dyn ArrayObject, offset: u64, bytes: &[u8]) {
    assert_eq!(array.write_at(offset, &[Segment::of_slice(bytes)]), Ok(bytes.len()));
}

#[test]
fn bytes_come_back() {
    let Some(place) = Place::new("bytes") else { return };
    let found = place.file("a");
    let file = place.container.open(found).unwrap();
    assert_eq!(read(file.as_ref(), 0, 10), b"");
    write(file.as_ref(), 0, b"hello world");
    assert_eq!(read(file.as_ref(), 6, 100), b"world");
    assert_eq!(file.size_bytes(), Ok(11));
    // A hole is zeros, whatever was in the buffer.
    write(file.as_ref(), 3 << 20, b"end");
    assert_eq!(read(file.as_ref(), 9, 6), b"ld\0\0\0\0");
    assert!(read(file.as_ref(), 11, (3 << 20) - 11).iter().all(|byte| *byte == 0));
    assert_eq!(read(file.as_ref(), (3 << 20) - 2, 100), b"\0\0end");
    assert_eq!(read(file.as_ref(), 1 << 40, 100), b"");
    file.set_size(5).unwrap();
    assert_eq!(read(file.as_ref(), 0, 100), b"hello");
    file.set_size(8).unwrap();
    assert_eq!(read(file.as_ref(), 0, 100), b"hello\0\0\0");
    assert_eq!(file.append(&[Segment::of_slice(b"x"), Segment::of_slice(b""), Segment::of_slice(b"yz")]), Ok((8, 3)));
    assert_eq!(read(file.as_ref(), 7, 100), b"\0xyz");
}

#[test]
fn a_file_is_cut_at_any_byte() {
    let Some(place) = Place::new("cut") else { return };
    let file = place.container.open_remote(place.file("a")).unwrap();
    let chunk = file.chunk_bytes();
    for size in [chunk + 1, chunk, chunk - 1, 2, 1, 0] {
        let bytes = vec![7u8; (chunk + 100) as usize];
        write(file.as_ref(), 0, &bytes);
        file.set_size(size).unwrap();
        assert_eq!(file.size_bytes(), Ok(size));
        assert_eq!(read(file.as_ref(), 0, bytes.len()), bytes[..size as usize]);
        file.set_size(size).unwrap();
        assert_eq!(read(file.as_ref(), 0, bytes.len()), bytes[..size as usize]);
        file.set_size(size + 1).unwrap();
        assert_eq!(read(file.as_ref(), size.saturating_sub(1), 10).last(), Some(&0));
        assert_eq!(file.size_bytes(), Ok(size + 1));
    }
}

#[test]
fn large_transfers_are_cut() {
    let Some(place) = Place::new("large") else { return };
    let file = place.container.open(place.file("a")).unwrap();
    let bytes: Vec<u8> = (0..150usize << 20).map(|at| (at / 7) as u8).collect();
    write(file.as_ref(), 12345, &bytes);
    assert!(read(file.as_ref(), 12345, bytes.len() + 5) == bytes);
    assert_eq!(read(file.as_ref(), 12340, 5), [0; 5]);
}

#[test]
fn many_ranges_are_one_list() {
    let Some(place) = Place::new("ranges") else { return };
    let found = place.file("a");
    let file = place.container.open_remote(found).unwrap();
    let mut bytes = vec![0u8; 3000 * 10];
    bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 31 / 10) as u8 | 1);
    let extent = |index: usize, piece: &[u8]| Extent { offset: index as u64 * 1000, segment: Segment::of_slice(piece) };
    let extents: Vec<Extent> = bytes.chunks(10).enumerate().map(|(index, piece)| extent(index, piece)).collect();
    file.write_extents(&extents).unwrap();
    let mut back = vec![0u8; bytes.len()];
    let extents: Vec<Extent> = back
        .chunks_mut(10)
        .enumerate()
        .map(|(index, piece)| Extent { offset: index as u64 * 1000, segment: Segment::of_slice_mut(piece) })
        .collect();
    assert_eq!(file.read_extents(&extents), Ok(bytes.len()));
    assert!(back == bytes);
    // The last range ends past the file's end.
    let mut last = [0xaau8; 20];
    let extent = Extent { offset: 2999 * 1000 + 5, segment: Segment::of_slice_mut(&mut last) };
    assert_eq!(file.read_extents(&[extent]), Ok(5));
    assert_eq!(last[5..], [0xaa; 15]);
}

#[test]
fn transfers_overlap() {
    let Some(place) = Place::new("overlap") else { return };
    let file = place.container.open_remote(place.file("a")).unwrap();
    let pieces: Vec<Vec<u8>> = (0..8u8).map(|piece| vec![piece + 1; 300_000]).collect();
    let offset = |piece: usize| piece as u64 * 300_000;
    let begun: Vec<_> = pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| {
            file.begin_write(&[Extent { offset: offset(at), segment: Segment::of_slice(piece) }]).unwrap()
        })
        .collect();
    for transfer in begun {
        assert_eq!(transfer.wait(), Ok(300_000));
    }
    let mut back: Vec<Vec<u8>> = vec![vec![0; 300_000]; 8];
    let mut begun: Vec<_> = back
        .iter_mut()
        .enumerate()
        .map(|(at, piece)| {
            file.begin_read(&[Extent { offset: offset(at), segment: Segment::of_slice_mut(piece) }]).unwrap()
        })
        .collect();
    while !begun.iter_mut().all(|transfer| transfer.has_ended()) {}
    for transfer in begun {
        assert_eq!(transfer.wait(), Ok(300_000));
    }
    assert!(back == pieces);
}

#[test]
fn ranges_are_punched_and_zeroed() {
    let Some(place) = Place::new("punch") else { return };
    let file = place.container.open(place.file("a")).unwrap();
    write(file.as_ref(), 0, &[7; 100]);
    file.allocate(Allocation::PunchHole, 10, 20).unwrap();
    assert_eq!(read(file.as_ref(), 8, 24), [&[7, 7][..], &[0; 20], &[7, 7]].concat());
    file.allocate(Allocation::PunchHole, 90, 1000).unwrap();
    assert_eq!(read(file.as_ref(), 88, 100), [&[7, 7][..], &[0; 10]].concat());
    file.allocate(Allocation::Extend, 0, 120).unwrap();
    assert_eq!(file.size_bytes(), Ok(120));
    file.allocate(Allocation::KeepSize, 0, 500).unwrap();
    assert_eq!(file.size_bytes(), Ok(120));
    file.allocate(Allocation::ZeroExtend, 50, 100).unwrap();
    assert_eq!(file.size_bytes(), Ok(150));
    assert_eq!(read(file.as_ref(), 48, 4), [7, 7, 0, 0]);
    assert_eq!(file.seek_data(3), Ok(3));
    assert_eq!(file.seek_hole(3), Ok(150));
    assert_eq!(file.seek_data(150), Err(Errno::NXIO));
}

#[test]
fn names_follow_the_rules() {
    let Some(place) = Place::new("names") else { return };
    let (container, directory) = (&place.container, place.directory);
    let found = place.file("a");
    assert_eq!(container.lookup(directory, b"a"), Ok(found));
    assert_eq!(container.lookup(directory, b"b"), Err(Errno::NOENT));
    assert_eq!(container.lookup(directory, &[b'n'; 256]), Err(Errno::NAMETOOLONG));
    assert_eq!(container.lookup(found.node, b"b"), Err(Errno::NOTDIR));
    assert_eq!(container.create(directory, b"a", &new(Kind::File, 0o600)), Err(Errno::EXIST));
    assert_eq!(container.create(directory, b"a", &new(Kind::Directory, 0o600)), Err(Errno::EXIST));
    let inner = container.create(directory, b"d", &new(Kind::Directory, 0o700)).unwrap();
    let long = "x".repeat(255);
    container.create(inner.node, long.as_bytes(), &new(Kind::File, 0o600)).unwrap();
    assert_eq!(list(container.as_ref(), inner.node), std::slice::from_ref(&long));
    assert_eq!(container.unlink(directory, b"d"), Err(Errno::ISDIR));
    assert_eq!(container.remove_directory(directory, b"a"), Err(Errno::NOTDIR));
    assert_eq!(container.remove_directory(directory, b"d"), Err(Errno::NOTEMPTY));
    container.unlink(inner.node, long.as_bytes()).unwrap();
    container.remove_directory(directory, b"d").unwrap();
    assert_eq!(container.create(inner.node, b"x", &new(Kind::File, 0o600)).map(drop).unwrap_err(), Errno::STALE);
    let target = "t".repeat(4095);
    let symlink = NewNode { target: target.as_bytes(), ..new(Kind::Symlink, 0o777) };
    let symlink = container.create(directory, b"s", &symlink).unwrap();
    let mut room = [0; 5000];
    assert_eq!(container.read_link(symlink.node, &mut room), Ok(4095));
    assert_eq!(container.lookup(directory, b"s").unwrap().kind, Kind::Symlink);
    assert_eq!(container.attributes(symlink.node).unwrap().size_bytes, 4095);
    assert_eq!(list(container.as_ref(), directory), ["a", "s"]);
    container.unlink(directory, b"a").unwrap();
    assert_eq!(container.unlink(directory, b"a"), Err(Errno::NOENT));
    assert_eq!(container.attributes(found.node), Err(Errno::STALE));
}

#[test]
fn renames_follow_the_rules() {
    let Some(place) = Place::new("rename") else { return };
    let (container, directory) = (&place.container, place.directory);
    let rename =
        |from: &str, to: &str, mode| container.rename((directory, from.as_bytes()), (directory, to.as_bytes()), mode);
    let a = place.file("a");
    let time = Timestamp::from_parts(1_000_000_000, 123_456_789);
    container.change(a.node, &Changes { modified: Some(time), ..Changes::default() }).unwrap();
    rename("a", "b", RenameMode::Replace).unwrap();
    assert_eq!(container.lookup(directory, b"b"), Ok(a));
    assert_eq!(container.lookup(directory, b"a"), Err(Errno::NOENT));
    assert_eq!(container.attributes(a.node).unwrap().modified, time);
    let d = container.create(directory, b"d", &new(Kind::Directory, 0o755)).unwrap();
    let e = container.create(d.node, b"e", &new(Kind::Directory, 0o755)).unwrap();
    assert_eq!(rename("b", "d", RenameMode::Replace), Err(Errno::ISDIR));
    assert_eq!(rename("d", "b", RenameMode::Replace), Err(Errno::NOTDIR));
    assert_eq!(rename("d", "b", RenameMode::NoReplace), Err(Errno::EXIST));
    assert_eq!(rename("x", "y", RenameMode::Replace), Err(Errno::NOENT));
    assert_eq!(rename("b", "y", RenameMode::Exchange), Err(Errno::NOENT));
    assert_eq!(rename("b", "b", RenameMode::Replace), Ok(()));
    let into_itself = container.rename((directory, b"d"), (e.node, b"f"), RenameMode::Replace);
    assert_eq!(into_itself, Err(Errno::INVAL));
    let onto_parent = container.rename((d.node, b"e"), (directory, b"d"), RenameMode::Replace);
    assert_eq!(onto_parent, Err(Errno::NOTEMPTY));
    container.set_extended_attribute(a.node, b"user.x", b"kept", None).unwrap();
    rename("b", "d", RenameMode::Exchange).unwrap();
    assert_eq!(container.extended_attribute(a.node, b"user.x", &mut [0; 9]), Ok(4));
    assert_eq!(container.lookup(directory, b"d"), Ok(a));
    assert_eq!(container.lookup(directory, b"b"), Ok(d));
    assert_eq!(container.lookup(d.node, b"e"), Ok(e));
    assert_eq!(container.attributes(a.node).unwrap().modified, time);
    let mut name = [0; 255];
    assert_eq!(container.whereabouts(e.node, &mut name), Ok((d.node, 1)));
    assert_eq!(container.whereabouts(d.node, &mut name), Ok((directory, 1)));
    assert_eq!(name[0], b'b');
}

#[test]
fn an_open_file_survives_its_name() {
    let Some(place) = Place::new("unlinked") else { return };
    let (container, directory) = (&place.container, place.directory);
    for by_rename in [false, true] {
        let found = place.file("a");
        let file = container.open(found).unwrap();
        write(file.as_ref(), 0, b"kept");
        if by_rename {
            place.file("b");
            container.rename((directory, b"b"), (directory, b"a"), RenameMode::Replace).unwrap();
            container.unlink(directory, b"a").unwrap();
        } else {
            container.unlink(directory, b"a").unwrap();
        }
        assert_eq!(list(container.as_ref(), directory), Vec::<String>::new());
        assert_eq!(read(file.as_ref(), 0, 10), b"kept");
        write(file.as_ref(), 4, b"!");
        let attributes = file.attributes().unwrap();
        assert_eq!((attributes.size_bytes, attributes.link_count), (5, 0));
        assert!(!list(container.as_ref(), container.root()).contains(&".sidestep-unlinked".to_owned()));
        assert_eq!(container.lookup(container.root(), b".sidestep-unlinked"), Err(Errno::NOENT));
        let mut ticket = [0; 1024];
        let length = file.ticket(&mut ticket).unwrap();
        let other = super::place::another(&Default::default()).unwrap();
        let adopted = other.adopt(found, &ticket[..length]).unwrap();
        drop(file);
        assert_eq!(read(adopted.as_ref(), 0, 10), b"kept!");
        assert_eq!(adopted.attributes().unwrap().link_count, 0);
    }
}

#[test]
fn attributes_are_kept() {
    let Some(place) = Place::new("attributes") else { return };
    let container = &place.container;
    let found = place.file("a");
    let attributes = container.attributes(found.node).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(attributes.modified.parts().0.abs_diff(now as i64) < 100, "{attributes:?}");
    assert_eq!((attributes.mode, attributes.kind, attributes.link_count), (0o644, Kind::File, 1));
    assert!(attributes.chunk_bytes >= 1024);
    let time = Timestamp::from_parts(1_234_567_890, 987_654_321);
    let changes =
        Changes { mode: Some(0o4711), uid: Some(1234), gid: Some(2345), accessed: Some(time), modified: Some(time) };
    container.change(found.node, &changes).unwrap();
    let attributes = container.attributes(found.node).unwrap();
    assert_eq!((attributes.mode, attributes.uid, attributes.gid), (0o4711, 1234, 2345));
    assert_eq!(attributes.modified, time);
    let file = container.open(found).unwrap();
    write(file.as_ref(), 0, b"12345");
    let after = container.attributes(found.node).unwrap();
    assert_eq!(after.size_bytes, 5);
    assert!(after.modified > time);
    assert_eq!(container.rights(found.node).unwrap().mode, 0o4711);
    let directory = container.attributes(place.directory).unwrap();
    assert_eq!((directory.kind, directory.mode), (Kind::Directory, 0o755));
    assert_eq!(container.attributes(container.root()).unwrap().kind, Kind::Directory);
    let capacity = container.capacity().unwrap();
    assert!(capacity.total_bytes > capacity.free_bytes && capacity.free_bytes > 0);
}

#[test]
fn extended_attributes_follow_the_rules() {
    let Some(place) = Place::new("xattr") else { return };
    let container = &place.container;
    let node = place.file("a").node;
    let mut room = [0; 100];
    assert_eq!(container.extended_attribute(node, b"user.a", &mut room), Err(Errno::NODATA));
    assert_eq!(container.set_extended_attribute(node, b"user.a", b"v", Some(OnlyIf::Present)), Err(Errno::NODATA));
    container.set_extended_attribute(node, b"user.a", b"value", Some(OnlyIf::Absent)).unwrap();
    assert_eq!(container.set_extended_attribute(node, b"user.a", b"v", Some(OnlyIf::Absent)), Err(Errno::EXIST));
    assert_eq!(container.extended_attribute(node, b"user.a", &mut room), Ok(5));
    assert_eq!(&room[..5], b"value");
    assert_eq!(container.extended_attribute(node, b"user.a", &mut []), Ok(5));
    assert_eq!(container.extended_attribute(node, b"user.a", &mut room[..3]), Err(Errno::RANGE));
    container.set_extended_attribute(node, b"user.b", b"", None).unwrap();
    assert_eq!(container.extended_attribute(node, b"user.b", &mut room), Ok(0));
    assert_eq!(container.extended_attribute_names(node, &mut room), Ok(14));
    assert_eq!(container.extended_attribute_names(node, &mut []), Ok(14));
    assert_eq!(container.extended_attribute_names(node, &mut room[..10]), Err(Errno::RANGE));
    container.rename((place.directory, b"a"), (place.directory, b"b"), RenameMode::Replace).unwrap();
    assert_eq!(container.extended_attribute(node, b"user.a", &mut room), Ok(5));
    container.remove_extended_attribute(node, b"user.a").unwrap();
    assert_eq!(container.remove_extended_attribute(node, b"user.a"), Err(Errno::NODATA));
    let large = vec![1u8; 65536];
    container.set_extended_attribute(node, b"user.l", &large, None).unwrap();
    assert_eq!(container.extended_attribute(node, b"user.l", &mut []), Ok(65536));
    assert_eq!(container.set_extended_attribute(node, b"user.l", &vec![1; 65537], None), Err(Errno::TOOBIG));
}

#[test]
fn a_large_directory_is_told_once() {
    let Some(place) = Place::new("listing") else { return };
    let (container, directory) = (&place.container, place.directory);
    for number in 0..300 {
        place.file(&format!("f{number}"));
    }
    // A second connection knows none of them.
    let other = super::place::another(&Default::default()).unwrap();
    let parent = other.lookup(other.root(), place.name().as_bytes()).unwrap().node;
    assert_eq!(parent, directory);
    let (mut names, mut position, mut certain) = (Vec::new(), 0, 0);
    loop {
        let mut left = 7;
        let before = names.len();
        other
            .entries(parent, position, &mut |entry| {
                if left == 0 {
                    return false;
                }
                left -= 1;
                names.push(entry.name.to_vec());
                certain += usize::from(entry.is_certain);
                position = entry.position;
                assert!(entry.position > 2 && entry.position < 1 << 63);
                true
            })
            .unwrap();
        if names.len() == before {
            break;
        }
        // What comes and goes does not disturb the rest.
        container.unlink(directory, format!("f{}", 299 - before / 7).as_bytes()).unwrap();
        place.file(&format!("g{before}"));
    }
    names.retain(|name| name[0] == b'f');
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    for number in 0..200 {
        assert!(names.contains(&format!("f{number}").into_bytes()), "f{number}");
    }
    assert!(certain >= 60, "{certain}");
}

//! The namespace.

use super::{fixture, get, put};
use crate::ground::Errno;
use crate::store::{Changes, Container, Kind, RenameMode, Timestamp};

#[test]
fn names_come_are_found_and_go() {
    let fixture = fixture();
    let container = &fixture.container;
    let root = container.root();
    let file = fixture.make_file("file");
    assert_eq!(container.lookup(root, b"file"), Ok(file));
    assert_eq!(container.lookup(root, b"other"), Err(Errno::NOENT));
    assert_eq!(container.lookup(file.node, b"x"), Err(Errno::NOTDIR));
    let directory = fixture.make(root, "directory", Kind::Directory);
    let link = fixture.make(directory.node, "link", Kind::Symlink);
    let mut target = [0; 64];
    assert_eq!(container.read_link(link.node, &mut target), Ok(10));
    assert_eq!(&target[..10], b"some/where");
    assert_eq!(container.read_link(link.node, &mut target[..4]), Ok(4));
    assert_eq!(container.read_link(file.node, &mut target), Err(Errno::INVAL));
    assert_eq!(fixture.names(root), ["directory", "file"]);
    assert_eq!(container.unlink(root, b"directory"), Err(Errno::ISDIR));
    assert_eq!(container.remove_directory(root, b"file"), Err(Errno::NOTDIR));
    assert_eq!(container.remove_directory(root, b"directory"), Err(Errno::NOTEMPTY));
    container.unlink(directory.node, b"link").unwrap();
    assert_eq!(container.attributes(link.node), Err(Errno::STALE));
    container.remove_directory(root, b"directory").unwrap();
    assert_eq!(container.unlink(root, b"directory"), Err(Errno::NOENT));
    container.unlink(root, b"file").unwrap();
    assert!(fixture.names(root).is_empty());
}

#[test]
fn attributes_are_tmpfs_s() {
    let fixture = fixture();
    let container = &fixture.container;
    let root = container.root();
    let before = container.attributes(root).unwrap();
    assert_eq!((before.link_count, before.size_bytes, before.blocks), (2, 40, 0));
    let directory = fixture.make(root, "directory", Kind::Directory);
    let file = fixture.make_file("file");
    let after = container.attributes(root).unwrap();
    assert_eq!((after.link_count, after.size_bytes), (3, 80));
    assert!(after.modified >= before.modified);
    let attributes = container.attributes(file.node).unwrap();
    assert_eq!((attributes.mode, attributes.uid, attributes.gid, attributes.link_count), (0o644, 1, 2, 1));
    assert_eq!((attributes.size_bytes, attributes.blocks), (0, 0));
    let changes = Changes {
        mode: Some(0o4755),
        uid: Some(7),
        gid: Some(8),
        accessed: Some(Timestamp::from_parts(-5, 1)),
        modified: Some(Timestamp::from_parts(5, 999_999_999)),
    };
    container.change(file.node, &changes).unwrap();
    let attributes = container.attributes(file.node).unwrap();
    assert_eq!((attributes.mode, attributes.uid, attributes.gid), (0o4755, 7, 8));
    assert_eq!(attributes.accessed.parts(), (-5, 1));
    assert_eq!(attributes.modified.parts(), (5, 999_999_999));
    let mut name = [0; 255];
    assert_eq!(container.whereabouts(directory.node, &mut name), Ok((root, 9)));
    assert_eq!(&name[..9], b"directory");
    assert_eq!(container.whereabouts(root, &mut name), Ok((root, 0)));
    let node = container.open(file).unwrap();
    put(&*node, 0, &[1; 3901]);
    let attributes = container.attributes(file.node).unwrap();
    assert_eq!((attributes.size_bytes, attributes.blocks), (3901, 8));
    put(&*node, 4000, &[1; 100]);
    put(&*node, 4100, &[1; 9000]);
    assert_eq!(node.attributes().unwrap().blocks, 32);
}

#[test]
fn renames_are_posix_s() {
    let fixture = fixture();
    let container = &fixture.container;
    let root = container.root();
    let one = fixture.make(root, "one", Kind::Directory).node;
    let two = fixture.make(one, "two", Kind::Directory);
    let file = fixture.make(two.node, "file", Kind::File);
    let other = fixture.make_file("other");
    let rename = |from, to| container.rename(from, to, RenameMode::Replace);
    assert_eq!(rename((root, b"none"), (root, b"x")), Err(Errno::NOENT));
    assert_eq!(rename((root, b"one"), (two.node, b"x")), Err(Errno::INVAL));
    assert_eq!(rename((root, b"one"), (one, b"x")), Err(Errno::INVAL));
    assert_eq!(rename((two.node, b"file"), (root, b"one")), Err(Errno::NOTEMPTY));
    assert_eq!(rename((root, b"other"), (one, b"two")), Err(Errno::ISDIR));
    assert_eq!(rename((one, b"two"), (root, b"other")), Err(Errno::NOTDIR));
    assert_eq!(container.rename((root, b"other"), (two.node, b"file"), RenameMode::NoReplace), Err(Errno::EXIST));
    container.rename((root, b"other"), (two.node, b"file"), RenameMode::Exchange).unwrap();
    assert_eq!(container.lookup(root, b"other"), Ok(file));
    assert_eq!(container.lookup(two.node, b"file"), Ok(other));
    rename((one, b"two"), (root, b"three")).unwrap();
    assert_eq!(container.attributes(one).unwrap().link_count, 2);
    assert_eq!(container.attributes(root).unwrap().link_count, 4);
    let mut name = [0; 255];
    assert_eq!(container.whereabouts(two.node, &mut name), Ok((root, 5)));
    // Over an open file, which lives on.
    let open = container.open(other).unwrap();
    put(&*open, 0, b"still here");
    rename((root, b"other"), (two.node, b"file")).unwrap();
    assert_eq!(container.lookup(two.node, b"file"), Ok(file));
    assert_eq!(get(&*open, 0, 20), b"still here");
    assert_eq!(open.attributes().unwrap().link_count, 0);
    drop(open);
    assert_eq!(container.attributes(other.node), Err(Errno::STALE));
    // An empty directory is replaced.
    rename((root, b"three"), (root, b"one")).unwrap();
    assert_eq!(fixture.names(root), ["one"]);
    assert_eq!(container.attributes(root).unwrap().link_count, 3);
    assert_eq!(container.attributes(root).unwrap().size_bytes, 60);
    assert_eq!(container.attributes(one), Err(Errno::STALE));
}

#[test]
fn a_listing_goes_on_where_it_was_while_names_come_and_go() {
    let fixture = fixture();
    let container = &fixture.container;
    let root = container.root();
    for index in 0..500 {
        fixture.make_file(&format!("stays.{index}"));
        fixture.make_file(&format!("goes.{index}"));
    }
    let mut seen = Vec::new();
    let mut position = 0;
    let mut round = 0;
    loop {
        let mut count = 0;
        container
            .entries(root, position, &mut |entry| {
                assert!(entry.position > position && entry.position > 2 && entry.position < 1 << 63);
                seen.push(String::from_utf8(entry.name.to_vec()).unwrap());
                position = entry.position;
                count += 1;
                count < 7
            })
            .unwrap();
        if count == 0 {
            break;
        }
        let _ = container.unlink(root, format!("goes.{round}").as_bytes());
        fixture.make_file(&format!("new.{round}"));
        round += 1;
    }
    let mut stays: Vec<_> = seen.iter().filter(|name| name.starts_with("stays")).collect();
    assert_eq!(stays.len(), 500);
    stays.sort();
    stays.dedup();
    assert_eq!(stays.len(), 500);
}

#[test]
fn an_unlinked_file_lives_while_it_is_open_or_held() {
    let fixture = fixture();
    let container = &fixture.container;
    let root = container.root();
    let file = fixture.make_file("file");
    let open = container.open(file).unwrap();
    put(&*open, 0, b"bytes");
    container.unlink(root, b"file").unwrap();
    assert_eq!(container.open(file).err(), Some(Errno::NOENT));
    assert_eq!(get(&*open, 0, 9), b"bytes");
    let held = container.hold(&[file]).unwrap();
    drop(open);
    let adopted = container.adopt(file, &[]).unwrap();
    assert_eq!(get(&*adopted, 0, 9), b"bytes");
    drop(held);
    drop(adopted);
    assert_eq!(container.adopt(file, &[]).err(), Some(Errno::STALE));
    // Its number goes to another node, of another generation.
    let next = fixture.make_file("next");
    assert_eq!(next.node, file.node);
    assert_ne!(next.generation, file.generation);
    assert_eq!(container.open(file).err(), Some(Errno::NOENT));
}

#[test]
fn the_names_of_stand_ins_lead_back_to_what_is_still_there() {
    let fixture = fixture();
    let container = &fixture.container;
    let root = container.root();
    let directory = fixture.make(root, "directory", Kind::Directory).node;
    let name = container.stand_in_name(directory).unwrap();
    assert!(name.len() <= 128 && !name.contains('/'));
    assert_eq!(container.directory_of_stand_in(&name), Some(directory));
    assert_eq!(container.directory_of_stand_in("l.0.1.1"), None);
    assert_eq!(container.stand_in_name(fixture.make_file("file").node), Err(Errno::NOTDIR));
    let other = super::fixture();
    assert_eq!(other.container.directory_of_stand_in(&name), None);
    container.remove_directory(root, b"directory").unwrap();
    assert_eq!(container.directory_of_stand_in(&name), None);
}

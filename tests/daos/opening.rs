//! An open sees what other clients did before it, though it begins with what is remembered.

use super::place::{Place, another, new};
use rustix::io::Errno;
use sidestep::cache::CachedContainer;
use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::MountOptions;
use sidestep::store::{ArrayObject, Container, Found, Kind, NodeId, RenameMode};
use std::time::Duration;

/// Longer than names and attributes are believed.
const OLD: Duration = Duration::from_millis(1100);

fn read(array: &dyn ArrayObject) -> Vec<u8> {
    let mut room = vec![0xaa; 1000];
    let count = array.read_at(0, &[Segment::of_slice_mut(&mut room)]).unwrap();
    room.truncate(count);
    room
}

fn write(array: &dyn ArrayObject, bytes: &[u8]) {
    assert_eq!(array.write_at(0, &[Segment::of_slice(bytes)]), Ok(bytes.len()));
}

/// Another client with a cache, and where the test's directory is for it.
struct Client {
    container: CachedContainer,
    directory: NodeId,
}

impl Client {
    fn new(place: &Place) -> Self {
        let options = MountOptions::default();
        let container = CachedContainer::new(another(&options).unwrap(), &options);
        let directory = container.lookup(container.root(), place.name().as_bytes()).unwrap().node;
        Self { container, directory }
    }

    /// As `open(2)` does it.
    fn open(&self, name: &str) -> Result<(Found, Box<dyn ArrayObject>), Errno> {
        let mut found = self.container.lookup_to_open(self.directory, name.as_bytes())?;
        loop {
            match self.container.open_to_read(found) {
                Err(Errno::NOENT) => found = self.container.lookup(self.directory, name.as_bytes())?,
                opened => return opened.map(|opened| (found, opened)),
            }
        }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        read(self.open(name).unwrap().1.as_ref())
    }
}

#[test]
fn an_open_finds_what_the_name_leads_to_now() {
    let Some(place) = Place::new("opening") else { return };
    let (container, directory) = (&place.container, place.directory);
    let client = Client::new(&place);
    assert_eq!(client.open("a").err(), Some(Errno::NOENT));
    let first = place.file("a");
    let file = container.open(first).unwrap();
    for pause in [Duration::ZERO, OLD] {
        for bytes in [&b"first"[..], b"longer than that", b"short", b""] {
            write(file.as_ref(), bytes);
            file.set_size(bytes.len() as u64).unwrap();
            assert_eq!(client.read("a"), bytes, "after {pause:?}");
            std::thread::sleep(pause);
        }
    }
    drop(file);
    for pause in [Duration::ZERO, OLD] {
        // Another file under the same name, by removal and by rename; then a directory; then nothing.
        container.unlink(directory, b"a").unwrap();
        write(container.open(place.file("a")).unwrap().as_ref(), b"second");
        std::thread::sleep(pause);
        assert_eq!(client.read("a"), b"second");
        write(container.open(place.file("b")).unwrap().as_ref(), b"third");
        container.rename((directory, b"b"), (directory, b"a"), RenameMode::Replace).unwrap();
        std::thread::sleep(pause);
        assert_eq!(client.read("a"), b"third");
        container.unlink(directory, b"a").unwrap();
        container.create(directory, b"a", &new(Kind::Directory, 0o755)).unwrap();
        std::thread::sleep(pause);
        assert_eq!(client.open("a").map(|(found, _)| found.kind), Ok(Kind::Directory));
        container.remove_directory(directory, b"a").unwrap();
        std::thread::sleep(pause);
        assert_eq!(client.open("a").err(), Some(Errno::NOENT));
        place.file("a");
    }
}

#[test]
fn what_was_begun_with_an_open_is_not_for_a_late_read() {
    let Some(place) = Place::new("late") else { return };
    let file = place.container.open(place.file("a")).unwrap();
    write(file.as_ref(), b"before");
    let client = Client::new(&place);
    assert_eq!(client.read("a"), b"before");
    let opened = client.open("a").unwrap().1;
    write(file.as_ref(), b"afterwards");
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(read(opened.as_ref()), b"afterwards");
}

#[test]
fn attributes_of_a_remembered_name_are_of_what_it_leads_to() {
    let Some(place) = Place::new("remembered") else { return };
    let (container, directory) = (&place.container, place.directory);
    let client = Client::new(&place);
    let size = || {
        let found = client.container.lookup_to_tell(client.directory, b"a")?;
        client.container.attributes(found.node).map(|attributes| (attributes.kind, attributes.size_bytes))
    };
    let found = place.file("a");
    assert_eq!(size(), Ok((Kind::File, 0)));
    write(container.open(found).unwrap().as_ref(), b"ten bytes.");
    std::thread::sleep(OLD);
    assert_eq!(size(), Ok((Kind::File, 10)));
    container.rename((directory, b"a"), (directory, b"b"), RenameMode::Replace).unwrap();
    std::thread::sleep(OLD);
    assert_eq!(size(), Err(Errno::NOENT));
    write(container.open(place.file("a")).unwrap().as_ref(), b"three");
    assert_eq!(size(), Ok((Kind::File, 5)));
    container.unlink(directory, b"a").unwrap();
    container.create(directory, b"a", &new(Kind::Directory, 0o755)).unwrap();
    std::thread::sleep(OLD);
    assert_eq!(size().map(|(kind, _)| kind), Ok(Kind::Directory));
    std::thread::sleep(OLD);
    assert_eq!(size().map(|(kind, _)| kind), Ok(Kind::Directory));
}

//! The cache's rules one by one: how many messages a call costs, what memory stays, when bytes reach the store, and who
//! is told of an error.

use crate::cache_support::container::MemoryContainer;
use crate::cache_support::store::StoredFile;
use crate::player::{at, noise, same};
use sidestep::cache::CachedContainer;
use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::{Consistency, MountOptions};
use sidestep::ground::{Errno, Result};
use sidestep::store::{ArrayObject, Changes, Container, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

struct World {
    file: Arc<StoredFile>,
    memory: Arc<MemoryContainer>,
    cached: CachedContainer,
}

fn world(size: u64, chunk: u64) -> World {
    let file = StoredFile::new(3, chunk);
    file.lock().bytes.extend_from_slice(&noise()[..size as usize]);
    let memory = MemoryContainer::new(std::slice::from_ref(&file), 1);
    // What is counted here is the same in a causal container, but for what time adds.
    let options = MountOptions { consistency: Some(Consistency::CloseToOpen), ..MountOptions::default() };
    let cached = CachedContainer::new(memory.clone(), &options);
    World { file, memory, cached }
}

impl World {
    fn open(&self) -> Box<dyn ArrayObject> {
        self.cached.open(self.file.found()).unwrap()
    }

    fn messages(&self) -> u64 {
        self.memory.faults.taken().0
    }

    fn stored(&self, start: u64, length: u64) -> Vec<u8> {
        at(&self.file.lock().bytes, start, length).to_vec()
    }
}

fn read(object: &dyn ArrayObject, start: u64, length: usize) -> Vec<u8> {
    let mut room = vec![0xAA; length];
    let count = object.read_at(start, &[Segment::of_slice_mut(&mut room)]).unwrap();
    room.truncate(count);
    room
}

fn write(object: &dyn ArrayObject, start: u64, bytes: &[u8]) -> Result<usize> {
    object.write_at(start, &[Segment::of_slice(bytes)])
}

#[test]
fn a_small_file_is_read_by_one_message() {
    let world = world(3901, MIB);
    let object = world.open();
    assert_eq!(object.size_at_hand(), None);
    same("the file", 0, &read(&*object, 0, 4096), &noise()[..3901]);
    assert_eq!(object.size_at_hand(), Some(3901));
    assert!(read(&*object, 3901, 4096).is_empty());
    same("again", 0, &read(&*object, 0, 9000), &noise()[..3901]);
    assert_eq!(world.messages(), 1);
    assert!(world.cached.used_bytes() <= 64 << 10, "{}", world.cached.used_bytes());
    drop(object);
    assert_eq!(world.cached.used_bytes(), 0);
}

#[test]
fn a_thousand_small_files_cost_no_blocks() {
    let files: Vec<_> = (1..=1000).map(|number| StoredFile::new(number, MIB)).collect();
    files.iter().for_each(|file| file.lock().bytes.resize(3901, 7));
    let memory = MemoryContainer::new(&files, 1);
    let cached = CachedContainer::new(memory, &MountOptions::default());
    let open: Vec<_> = files.iter().map(|file| cached.open(file.found()).unwrap()).collect();
    assert!(open.iter().all(|object| read(&**object, 0, 4096) == [7; 3901]));
    // Counted is what the first read had room for; real memory is a page each.
    assert!(cached.used_bytes() <= 1000 * (64 << 10), "{}", cached.used_bytes());
}

#[test]
fn a_sequential_reader_is_read_ahead_of_and_leaves_two_chunks() {
    for step in [256, 4096, 100_000, MIB as usize] {
        let world = world(7 * MIB + 5, MIB);
        let object = world.open();
        let mut at = 0;
        while at < 7 * MIB + 5 {
            let got = read(&*object, at, step);
            same("a piece", at, &got, &noise()[at as usize..][..got.len()]);
            assert!(got.len() == step || at + got.len() as u64 == 7 * MIB + 5);
            at += got.len() as u64;
        }
        let (messages, bytes) = world.memory.faults.taken();
        assert!(messages <= 16, "{messages} messages for reads of {step}");
        assert!(bytes <= 8 * MIB, "{bytes} bytes for reads of {step}");
        // With the small file's allowance for memory that came from elsewhere: blocks are counted whole here.
        assert!(world.cached.used_bytes() <= 2 * MIB, "{} stay after reads of {step}", world.cached.used_bytes());
    }
}

#[test]
fn what_was_asked_for_ahead_of_a_write_is_not_read_after_it() {
    for way in 0..3 {
        let world = world(8 * MIB, MIB);
        let (reader, writer) = (world.open(), world.open());
        (0..3).for_each(|number| drop(read(&*reader, number * MIB, MIB as usize)));
        // Blocks behind are on their way now, or are here.
        for block in 3..6 {
            let offset = block * MIB + 100;
            if way == 2 {
                let large = vec![9; MIB as usize];
                write(&*writer, offset, &large).unwrap();
            } else {
                write(&*writer, offset, b"newer").unwrap();
            }
        }
        if way == 1 {
            assert_eq!(writer.flush(), Ok(()));
        }
        for block in 3..6 {
            let got = read(&*reader, block * MIB, MIB as usize);
            let expected = if way == 2 { &[9; 5] } else { b"newer" };
            assert_eq!(&got[100..105], expected, "way {way}, block {block}");
        }
    }
}

#[test]
fn random_reads_fetch_what_they_ask_for_and_are_hits_the_second_time() {
    let world = world(8 * MIB, MIB);
    let object = world.open();
    let offsets: Vec<u64> = (0..500u64).map(|number| number * 7919 % 2048 * 4096).collect();
    for offset in offsets.iter().filter(|offset| **offset != 0) {
        same("a page", *offset, &read(&*object, *offset, 4096), &noise()[*offset as usize..][..4096]);
    }
    let (messages, bytes) = world.memory.faults.taken();
    assert!(messages <= 501 && bytes <= 500 * 4096, "{messages}, {bytes}");
    for offset in offsets.iter().filter(|offset| **offset != 0) {
        same("a page", *offset, &read(&*object, *offset + 1, 4000), &noise()[*offset as usize + 1..][..4000]);
    }
    assert_eq!(world.messages(), 0);
}

#[test]
fn equal_pieces_at_equal_distances_are_read_ahead_of_and_written_behind() {
    const PIECE: usize = 47_008;
    let mine = |number: u64| (number * 2 * PIECE as u64, &noise()[number as usize * PIECE..][..PIECE]);
    let world = world(0, MIB);
    let object = world.open();
    for (offset, bytes) in (0..80).map(mine) {
        assert_eq!(write(&*object, offset, bytes), Ok(PIECE));
    }
    let (before, bytes) = world.memory.faults.taken();
    assert!((6..=8).contains(&before) && bytes < 80 * PIECE as u64, "each block that was left, and no more: {before}");
    object.flush().unwrap();
    let reader = world.open();
    world.memory.faults.taken();
    for (offset, bytes) in (0..80).map(mine) {
        same("a piece", offset, &read(&*reader, offset, PIECE), bytes);
    }
    let (messages, bytes) = world.memory.faults.taken();
    assert!(messages <= 26, "some pieces, and then one for each block: {messages}");
    assert!(bytes <= 100 * PIECE as u64, "not what lies between: {bytes}");
    for piece in 0..80 {
        let offset = mine(piece).0 + PIECE as u64;
        assert!(piece == 79 || read(&*reader, offset, PIECE).iter().all(|byte| *byte == 0));
    }
}

#[test]
fn pieces_that_were_asked_for_ahead_of_a_write_are_not_read_after_it() {
    let world = world(6 * MIB, MIB);
    let (reader, writer) = (world.open(), world.open());
    let mut expected = noise()[..6 * MIB as usize].to_vec();
    for number in 0..60u64 {
        let offset = number * 100_000;
        same("a piece", offset, &read(&*reader, offset, 9000), &expected[offset as usize..][..9000]);
        // Bytes of a piece to come, far enough for it to be under way.
        let at = (offset as usize + 700_000).min(expected.len() - 100);
        assert_eq!(write(&*writer, at as u64, &[number as u8; 100]), Ok(100));
        expected[at..at + 100].fill(number as u8);
        if number % 3 == 0 {
            writer.flush().unwrap();
        }
    }
}

#[test]
fn ranges_that_fail_on_their_way_stay_dirty_and_are_told_once() {
    let world = world(0, MIB);
    let (object, reader) = (world.open(), world.open());
    world.memory.faults.set_rate(1);
    let mut expected = vec![0; 3 * MIB as usize];
    for number in 0..30u64 {
        let piece = &noise()[number as usize..][..50_000];
        assert_eq!(write(&*object, number * 100_000, piece), Ok(50_000));
        expected[number as usize * 100_000..][..50_000].copy_from_slice(piece);
    }
    assert!(world.memory.faults.told.load(Ordering::Relaxed) > 0, "they were sent");
    assert!(object.flush().is_err());
    world.memory.faults.set_rate(0);
    for number in 0..30u64 {
        let start = number as usize * 100_000;
        same("a piece", start as u64, &read(&*reader, start as u64, 50_000), &expected[start..][..50_000]);
    }
    assert_eq!(object.flush(), Ok(()), "told once, and stored now");
    let end = 29 * 100_000 + 50_000;
    same("the store", 0, &world.stored(0, end), &expected[..end as usize]);
}

#[test]
fn small_writes_gather_and_full_blocks_go_at_once() {
    let world = world(0, MIB);
    let object = world.open();
    for (number, bytes) in noise()[..3 * MIB as usize + 1000].chunks(250).enumerate() {
        assert_eq!(write(&*object, number as u64 * 250, bytes), Ok(bytes.len()));
    }
    assert_eq!(world.messages(), 3, "three full blocks");
    assert_eq!(object.flush(), Ok(()));
    assert_eq!(world.messages(), 1, "and the rest");
    for piece in 0..20 {
        write(&*object, piece * 200_000, b"piece").unwrap();
    }
    assert_eq!(object.flush(), Ok(()));
    assert_eq!(world.messages(), 1, "twenty pieces of four blocks in one call");
    assert_eq!(world.stored(200_000, 5), b"piece");
}

#[test]
fn what_is_a_second_old_is_stored() {
    let world = world(0, MIB);
    let object = world.open();
    let start = Instant::now();
    write(&*object, 0, b"soon").unwrap();
    assert!(world.file.lock().bytes.is_empty());
    while world.stored(0, 4) != b"soon" {
        assert!(start.elapsed() < Duration::from_secs(5), "nobody stores it");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() > Duration::from_millis(400));
    drop(object);
}

/// Waits until the engine refused something.
fn await_failure(world: &World) {
    let start = Instant::now();
    while world.memory.faults.told.load(Ordering::Relaxed) == 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "nobody tries to store it");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The one who tried has to note it.
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn a_late_error_is_told_once_to_each_who_wrote_and_made_good() {
    let world = world(0, MIB);
    let (writer, other, reader) = (world.open(), world.open(), world.open());
    write(&*writer, 0, b"mine").unwrap();
    write(&*other, 4, b"yours").unwrap();
    world.memory.faults.set_rate(1);
    await_failure(&world);
    world.memory.faults.set_rate(0);
    // What was written is still there for everybody to read.
    assert_eq!(read(&*reader, 0, 9), b"mineyours");
    assert_eq!(reader.flush(), Ok(()), "it did not write; and now the bytes are stored");
    assert!(write(&*writer, 9, b"!").is_err());
    assert_eq!(write(&*writer, 9, b"!"), Ok(1));
    assert!(other.flush().is_err());
    assert_eq!(other.flush(), Ok(()));
    assert_eq!(writer.sync(), Ok(()));
    assert_eq!(world.stored(0, 100), b"mineyours!");
}

#[test]
fn a_flush_that_fails_is_told_and_tried_again_by_the_next() {
    let world = world(0, MIB);
    let object = world.open();
    write(&*object, 0, b"bytes").unwrap();
    world.memory.faults.set_rate(1);
    assert!(object.flush().is_err());
    assert!(object.flush().is_err());
    std::thread::sleep(Duration::from_millis(1300));
    let tried = world.messages();
    assert!(tried <= 3, "nobody tries for ever: {tried}");
    world.memory.faults.set_rate(0);
    assert_eq!(object.flush(), Ok(()));
    assert_eq!(world.stored(0, 100), b"bytes");
    // Told as failed by the last close, it is not stored later behind everybody's back.
    write(&*object, 0, b"lost!").unwrap();
    world.memory.faults.set_rate(1);
    assert!(object.flush().is_err());
    world.memory.faults.set_rate(0);
    drop(object);
    let stored = world.stored(0, 100);
    assert!(stored == b"bytes" || world.messages() == 1, "{stored:?}");
    assert_eq!(read(&*world.open(), 0, 100), stored);
}

#[test]
fn attributes_tell_what_is_not_stored_and_times_stay_as_they_are_set() {
    let world = world(100, MIB);
    let object = world.open();
    let before = object.attributes().unwrap();
    assert_eq!(before.size_bytes, 100);
    write(&*object, 90, &[1; 50]).unwrap();
    let told = world.cached.attributes(world.file.found().node).unwrap();
    assert!(told.size_bytes == 140 && told.modified > before.modified, "{told:?}");
    let modified = Some(Timestamp(12345));
    object.change(&Changes { modified, ..Changes::default() }).unwrap();
    assert_eq!(object.flush(), Ok(()));
    drop(object);
    assert_eq!(world.file.attributes().modified, Timestamp(12345));
}

#[test]
fn the_processes_bound_holds_over_many_files() {
    let files: Vec<_> = (1..=20).map(|number| StoredFile::new(number, MIB)).collect();
    let memory = MemoryContainer::new(&files, 1);
    let options = MountOptions { cache_bytes: Some(4 << 20), ..MountOptions::default() };
    let cached = CachedContainer::new(memory, &options);
    let open: Vec<_> = files.iter().map(|file| cached.open(file.found()).unwrap()).collect();
    // What the files cost beside their blocks, each some KiB, counts too.
    let bound = (4 << 20) - 20 * (8 << 10);
    for round in 0..40u64 {
        for (object, number) in open.iter().zip(0..) {
            let bytes = &noise()[(number * 1000) as usize..][..70_000];
            assert_eq!(write(&**object, round * 70_000, bytes), Ok(bytes.len()));
            same("read back", 0, &read(&**object, round * 70_000, 70_000), bytes);
            assert!(cached.used_bytes() <= bound, "{}", cached.used_bytes());
        }
    }
    open.iter().for_each(|object| assert_eq!(object.flush(), Ok(())));
    for (file, number) in files.iter().zip(0u64..) {
        let inside = file.lock();
        assert_eq!(inside.bytes.len(), 40 * 70_000);
        let expected = &noise()[(number * 1000) as usize..][..70_000];
        inside.bytes.chunks(70_000).for_each(|bytes| same("a stored file", 0, bytes, expected));
    }
}

#[test]
fn each_call_fails_in_turn() {
    for count in 1.. {
        let world = world(2 * MIB, MIB);
        let object = world.open();
        world.memory.faults.fail_at(count);
        let mut failures = 0;
        let mut note = |result: std::result::Result<usize, Errno>| failures += usize::from(result.is_err());
        let mut room = vec![0; MIB as usize];
        for offset in (0..2 * MIB).step_by(1 << 18) {
            note(object.read_at(offset, &[Segment::of_slice_mut(&mut room[..1 << 18])]));
        }
        note(write(&*object, 5, &noise()[7..5000]));
        note(write(&*object, MIB, &noise()[..MIB as usize]));
        for piece in noise()[..MIB as usize].chunks(4096).zip(0u64..) {
            note(write(&*object, 2 * MIB + piece.1 * 4096, piece.0));
        }
        note(object.flush().map(|()| 0));
        note(object.append(&[Segment::of_slice(b"end")]).map(|(_, count)| count));
        note(object.set_size(4 * MIB).map(|()| 0));
        note(object.sync().map(|()| 0));
        let told = world.memory.faults.told.load(Ordering::Relaxed);
        assert!(failures as u64 <= told, "failure {count}: told {failures} times");
        if told == 0 {
            assert_eq!(world.stored(2 * MIB, MIB), &noise()[..MIB as usize]);
            break;
        }
        // Whatever failed: what is written from here on is stored.
        write(&*object, 0, b"after").unwrap_or(0);
        write(&*object, 0, b"after").unwrap();
        let _ = object.flush();
        assert_eq!(object.flush(), Ok(()));
        assert_eq!(world.stored(0, 5), b"after");
    }
}

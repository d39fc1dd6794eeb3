//! Threads, and a signal handler that reads and writes through the cache in the middle of their calls; a fork.
#![allow(unsafe_code)]

use crate::cache_support::container::MemoryContainer;
use crate::cache_support::random::Random;
use crate::cache_support::store::StoredFile;
use crate::player::{noise, same};
use sidestep::cache::CachedContainer;
use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::MountOptions;
use sidestep::store::{ArrayObject, Container};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the stress lasts.
const TIME: Duration = Duration::from_secs(4);

const THREADS: u64 = 4;

/// Bytes that each thread has for itself; they meet in the middle of pages and blocks.
const REGION: u64 = 300_007;

/// What the handler works with: one description for all threads, and a region of its own behind theirs.
static OBJECT: AtomicPtr<Box<dyn ArrayObject>> = AtomicPtr::new(std::ptr::null_mut());
static IS_HANDLING: AtomicBool = AtomicBool::new(false);
static HANDLED: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

/// Writes a number at a place of its own, next to what it wrote last, and reads it back.
extern "C" fn handle(_: libc::c_int) {
    // SAFETY: null, or an object that is kept until no signal comes any more.
    let object = unsafe { OBJECT.load(Ordering::Acquire).as_ref() };
    let Some(object) = object else { return };
    if IS_HANDLING.swap(true, Ordering::AcqRel) {
        return;
    }
    let count = HANDLED.fetch_add(1, Ordering::Relaxed);
    let offset = THREADS * REGION + count % 5000 * 8;
    let bytes = count.to_le_bytes();
    let mut room = [0; 8];
    let written = object.write_at(offset, &[Segment::of_slice(&bytes)]);
    let read = object.read_at(offset, &[Segment::of_slice_mut(&mut room)]);
    if written != Ok(8) || read != Ok(8) || room != bytes {
        WRONG.fetch_add(1, Ordering::Relaxed);
    }
    IS_HANDLING.store(false, Ordering::Release);
}

#[test]
fn threads_and_their_signal_handlers_share_a_file() {
    for chunk in [64 << 10, 1 << 20] {
        stress(chunk);
    }
}

fn stress(chunk: u64) {
    let file = StoredFile::new(1, chunk);
    let memory = MemoryContainer::new(std::slice::from_ref(&file), 3);
    let options = MountOptions { cache_bytes: Some(1 << 20), ..MountOptions::default() };
    let cached = Arc::new(CachedContainer::new(memory, &options));
    let kept = Box::into_raw(Box::new(cached.open(file.found()).unwrap()));
    // SAFETY: it lives until it is taken back at the end.
    let object = unsafe { &**kept };
    // The whole file is there from the beginning, so that nobody's read meets an end.
    object.set_size(THREADS * REGION + 40_000).unwrap();
    OBJECT.store(kept, Ordering::Release);
    // SAFETY: a handler that is async-signal-safe as far as the cache is, which is what is tried here.
    unsafe { libc::signal(libc::SIGUSR2, handle as *const () as usize) };
    let end = Instant::now() + TIME;
    let (ids, ready) = (std::sync::Mutex::new(Vec::new()), std::sync::Barrier::new(THREADS as usize + 1));
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let (cached, file, ids, ready) = (&cached, &file, &ids, &ready);
            scope.spawn(move || {
                let own = cached.open(file.found()).unwrap();
                let mut model = vec![0; REGION as usize];
                let mut room = vec![0; 200_000];
                // SAFETY: always succeeds.
                ids.lock().unwrap().push(unsafe { libc::pthread_self() } as usize);
                ready.wait();
                let told = work(&*own, &mut Random::new(number + 7), number * REGION, &mut model, &mut room, end);
                ready.wait();
                told.unwrap();
                assert_eq!(own.flush(), Ok(()));
                same(
                    "a region in the store",
                    number * REGION,
                    &file.lock().bytes[(number * REGION) as usize..][..REGION as usize],
                    &model,
                );
            });
        }
        ready.wait();
        let targets: Vec<usize> = ids.lock().unwrap().clone();
        let mut sent = 0;
        while Instant::now() < end {
            // SAFETY: the threads live until the second meeting.
            unsafe { libc::pthread_kill(targets[sent % targets.len()] as libc::pthread_t, libc::SIGUSR2) };
            sent += 1;
            std::thread::sleep(Duration::from_micros(60));
        }
        std::thread::sleep(Duration::from_millis(20));
        ready.wait();
    });
    OBJECT.store(std::ptr::null_mut(), Ordering::Release);
    // On a busy machine the threads hardly run.
    assert!(HANDLED.load(Ordering::Relaxed) > 10, "the handler ran");
    assert_eq!(WRONG.load(Ordering::Relaxed), 0);
    assert_eq!(object.flush(), Ok(()));
    // SAFETY: made by `Box::into_raw` above, and nobody has it any more.
    drop(unsafe { Box::from_raw(kept) });
}

/// Random reads and writes of a region of one's own, without touching the allocator, which a handler could interrupt.
fn work(
    object: &dyn ArrayObject,
    random: &mut Random,
    base: u64,
    model: &mut [u8],
    room: &mut [u8],
    end: Instant,
) -> Result<(), u64> {
    let mut cursor = 0;
    while Instant::now() < end {
        let length = match random.below(20) {
            0 => 1 + random.below(150_000),
            1..5 => 4096,
            _ => 1 + random.below(300),
        };
        let start = if random.one_in(3) { random.below(REGION) } else { cursor };
        let start = if start >= REGION { 0 } else { start };
        let length = length.min(REGION - start);
        let range = start as usize..(start + length) as usize;
        cursor = start + length;
        if random.one_in(2) {
            let bytes = &noise()[random.below(1 << 20) as usize..][..length as usize];
            if object.write_at(base + start, &[Segment::of_slice(bytes)]) != Ok(bytes.len()) {
                return Err(start);
            }
            model[range].copy_from_slice(bytes);
        } else {
            let room = &mut room[..length as usize];
            if object.read_at(base + start, &[Segment::of_slice_mut(room)]) != Ok(room.len()) || *room != model[range] {
                return Err(start);
            }
        }
    }
    Ok(())
}

/// In a child: what the parent left it is usable, and nothing of the parent's is stored twice.
fn in_child(cached: &CachedContainer, object: &dyn ArrayObject, file: &StoredFile) -> bool {
    let is_ours = cached.after_fork_in_child() == Ok(());
    let mut room = [0; 6];
    let read = |offset: u64, room: &mut [u8]| object.read_at(offset, &[Segment::of_slice_mut(room)]).is_ok();
    is_ours
        && read(0, &mut room)
        && room == *b"before"
        && read(1 << 20, &mut room)
        && object.write_at(6, &[Segment::of_slice(b" child")]) == Ok(6)
        && file.lock().bytes.len() == (2 << 20)
        && object.flush() == Ok(())
        && file.lock().bytes[..12] == *b"before child"
        && cached.open(file.found()).is_ok_and(|other| other.size_bytes() == Ok(2 << 20))
}

#[test]
fn a_fork_child_goes_on() {
    for is_prepared in [true, false] {
        let file = StoredFile::new(1, 1 << 20);
        file.lock().bytes.resize(2 << 20, 1);
        let memory = MemoryContainer::new(std::slice::from_ref(&file), 3);
        let cached = CachedContainer::new(memory, &MountOptions::default());
        let object = cached.open(file.found()).unwrap();
        assert_eq!(object.write_at(0, &[Segment::of_slice(b"before")]), Ok(6));
        cached.flush();
        if is_prepared {
            cached.before_fork();
        }
        // SAFETY: the child calls nothing but the cache and ends by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_right = in_child(&cached, &*object, &file);
            // SAFETY: ends the child without running what the parent registered.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        if is_prepared {
            cached.after_fork_in_parent();
        }
        assert_eq!(object.write_at(6, &[Segment::of_slice(b" parent")]), Ok(7));
        assert_eq!(object.flush(), Ok(()));
        assert_eq!(file.lock().bytes[..13], *b"before parent");
        let mut status = 0;
        // SAFETY: waits for the child made above.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "prepared: {is_prepared}");
    }
}

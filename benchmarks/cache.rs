//! What a hit of the cache costs, beside a plain copy of the same bytes in the same run; and what gathering and reading
//! ahead are worth before an engine whose messages take 20 us each.
//!
//! `cargo bench --bench cache`

#[path = "../tests/cache_support/mod.rs"]
mod cache_support;

use cache_support::container::MemoryContainer;
use cache_support::random::Random;
use cache_support::store::StoredFile;
use sidestep::cache::{CachedContainer, statistics};
use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::MountOptions;
use sidestep::store::{ArrayObject, Container, RemoteContainer};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MIB: u64 = 1 << 20;

/// Rounds of each measure; their median is told.
const ROUNDS: usize = 7;

/// The engine's time for a message, and for each MiB in it: PEERS' measurements of a real one.
const LATENCY: u64 = 20_000;
const LATENCY_OF_MIB: u64 = 180_000;

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

/// This thread's time on the processor: other people's work on the machine does not count. Waiting for a message counts,
/// as an engine polls.
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds of one of `count` calls.
fn each<T>(count: u64, mut call: impl FnMut(u64) -> T) -> f64 {
    let start = now();
    for number in 0..count {
        black_box(call(number));
    }
    (now() - start) / count as f64
}

struct World {
    memory: Arc<MemoryContainer>,
    cached: CachedContainer,
    file: Arc<StoredFile>,
}

fn world(size: u64, latency: u64, latency_of_mib: u64) -> World {
    let file = StoredFile::new(1, MIB);
    file.lock().bytes.resize(size as usize, 7);
    let files = vec![file.clone()];
    let faults = MemoryContainer::new(&[], 1).faults.clone();
    faults.checks.store(false, Ordering::Relaxed);
    let memory = Arc::new(MemoryContainer { files, faults, latency, latency_of_mib });
    let cached = CachedContainer::new(memory.clone(), &MountOptions::default());
    World { memory, cached, file }
}

impl World {
    fn open(&self) -> Box<dyn ArrayObject> {
        self.cached.open(self.file.found()).unwrap()
    }

    fn plain(&self) -> Arc<dyn ArrayObject> {
        self.memory.open_remote(self.file.found()).unwrap()
    }
}

fn hits() {
    let world = world(16 * MIB, 0, 0);
    let object = world.open();
    let mut room = vec![0u8; 4096];
    let source = vec![3u8; 16 * MIB as usize];
    for size in [256usize, 4096] {
        let within = 8 * MIB / size as u64;
        let offsets: Vec<u64> = {
            let mut random = Random::new(3);
            (0..4096).map(|_| random.below(within) * size as u64).collect()
        };
        for (name, is_random) in [("in a row", false), ("random", true)] {
            let offset = |number: u64| {
                if is_random { offsets[number as usize % 4096] } else { number % within * size as u64 }
            };
            let segment = Segment::of_slice_mut(&mut room[..size]);
            each(within, |number| object.read_at(number * size as u64, &[segment]));
            let copy = median(|| {
                each(200_000, |number| {
                    let at = offset(number) as usize;
                    black_box(&mut room[..size]).copy_from_slice(black_box(&source[at..at + size]));
                })
            });
            let segment = Segment::of_slice_mut(&mut room[..size]);
            let read = median(|| {
                each(200_000, |number| {
                    assert_eq!(object.read_at(offset(number), black_box(&[segment])), Ok(size));
                })
            });
            println!("read  {size:5} bytes, a hit, {name:9} {read:7.1} ns, a copy {copy:7.1} ns: {:.2}", read / copy);
        }
    }
    let mut at = 0;
    for size in [256usize, 4096] {
        let target = Segment::of_slice(&source[..size]);
        let mut plain = vec![0u8; MIB as usize];
        let copy = median(|| {
            each(200_000, |number| {
                let at = number as usize * size % MIB as usize;
                black_box(&mut plain[at..at + size]).copy_from_slice(black_box(&source[..size]));
            })
        });
        let write = median(|| {
            each(200_000, |_| {
                assert_eq!(object.write_at(at, black_box(&[target])), Ok(size));
                at = (at + size as u64) % (64 * MIB);
            })
        });
        println!("write {size:5} bytes, in a row, sent too {write:7.1} ns, a copy {copy:7.1} ns: {:.2}", write / copy);
        let write = median(|| {
            each(200_000, |_| {
                assert_eq!(object.write_at(4096, black_box(&[target])), Ok(size));
            })
        });
        println!("write {size:5} bytes, again and again    {write:7.1} ns");
    }
}

fn row(name: &str, plain: f64, cached: f64) {
    println!("{name:34} plain {plain:10.0} ns, cached {cached:10.0} ns: {:.2} times", plain / cached);
}

fn in_a_row() {
    let total = 32 * MIB;
    for size in [256u64, 4096, MIB] {
        let mut room = vec![1u8; size as usize];
        let segment = [Segment::of_slice_mut(&mut room)];
        let few = (total / size).min(2000);
        let world = world(total, LATENCY, LATENCY_OF_MIB);
        let plain = world.plain();
        let slow = each(few, |number| plain.read_at(number * size, &segment));
        let object = world.open();
        let quick = each(total / size, |number| object.read_at(number * size, &segment));
        row(&format!("read {size} in a row"), slow, quick);
        let slow = each(few, |number| plain.write_at(number * size, &segment));
        let quick = each(total / size, |number| object.write_at(number * size, &segment));
        row(&format!("write {size} in a row"), slow, quick);
    }
}

fn at_random() {
    let mut room = vec![1u8; 4096];
    let segment = [Segment::of_slice_mut(&mut room)];
    let world = world(512 * MIB, LATENCY, LATENCY_OF_MIB);
    let (plain, object) = (world.plain(), world.open());
    let mut random = Random::new(5);
    let offsets: Vec<u64> = (0..3000).map(|_| 4096 + random.below(512 * 256 - 1) * 4096).collect();
    let slow = each(3000, |number| plain.read_at(offsets[number as usize], &segment));
    let cold = each(3000, |number| object.read_at(offsets[number as usize], &segment));
    row("read 4096 at random, cold", slow, cold);
    let warm = each(3000, |number| object.read_at(offsets[number as usize], &segment));
    row("read 4096 at random, again", slow, warm);
    let quick = each(3000, |number| object.write_at(offsets[number as usize], &segment));
    row("write 4096 at random", slow, quick);
}

fn main() {
    // `cargo bench --bench cache -- random` measures one part: `hits`, `rows` or `random`.
    let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    let wants = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wants("hits") {
        hits();
    }
    if wants("rows") {
        in_a_row();
    }
    if wants("random") {
        at_random();
    }
    println!("{:?}", statistics());
}

//! `cargo bench --bench sync [-- DIRECTORY [ROUNDS]]`: what a sync costs the embedded engine, against the file system that it
//! lies on, in the same run. The directory is to be on a disk; without one it is the one for builds.
//!
//! Each round does the same on both sides, each side first in every other round. The table has the medians, and how often the
//! device was flushed.

#[path = "common/figures.rs"]
mod figures;

use figures::{figure, machine, median};
use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::MountOptions;
use sidestep::store::local::LocalContainer;
use sidestep::store::{ArrayObject, Container, Kind, NewNode};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

const PAGE_BYTES: usize = 4096;
const ROUNDS_COUNT: usize = 40;

/// What is measured, and whether it is a new file of so many bytes.
const MEASURES: [(&str, Option<usize>); 6] = [
    ("new file of 3 KB, fsync", Some(3000)),
    ("new file of 20 KB, fsync", Some(20_000)),
    ("new file of 1 MB, fsync", Some(1_000_000)),
    ("small file written anew in place, fsync", None),
    ("4 KiB overwritten in 1 MiB, fdatasync", None),
    ("4 KiB appended, fdatasync", None),
];

/// One side: files that can be made, written and synced.
trait Side {
    type File;

    fn make(&self, name: &str) -> Self::File;
    fn write(&self, file: &Self::File, offset: usize, bytes: &[u8]);
    fn sync(&self, file: &Self::File);
    fn sync_data(&self, file: &Self::File);
}

struct Host<'a>(&'a Path);

impl Side for Host<'_> {
    type File = File;

    fn make(&self, name: &str) -> File {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join(name)).unwrap()
    }

    fn write(&self, file: &File, offset: usize, bytes: &[u8]) {
        file.write_all_at(bytes, offset as u64).unwrap();
    }

    fn sync(&self, file: &File) {
        file.sync_all().unwrap();
    }

    fn sync_data(&self, file: &File) {
        file.sync_data().unwrap();
    }
}

struct Engine<'a>(&'a LocalContainer);

impl Side for Engine<'_> {
    type File = Box<dyn ArrayObject>;

    fn make(&self, name: &str) -> Self::File {
        let new = NewNode { kind: Kind::File, mode: 0o644, uid: 0, gid: 0, target: b"" };
        self.0.open(self.0.create(self.0.root(), name.as_bytes(), &new).unwrap()).unwrap()
    }

    fn write(&self, file: &Self::File, offset: usize, bytes: &[u8]) {
        assert_eq!(file.write_at(offset as u64, &[Segment::of_slice(bytes)]).unwrap(), bytes.len());
    }

    fn sync(&self, file: &Self::File) {
        file.sync().unwrap();
    }

    fn sync_data(&self, file: &Self::File) {
        file.sync_data().unwrap();
    }
}

/// What a measure took on one side, by round.
#[derive(Default)]
struct Series {
    milliseconds: Vec<f64>,
    flushes: Vec<f64>,
}

/// The files of a side that are used in every round.
struct Kept<F> {
    small: F,
    large: F,
    grown: F,
}

fn prepare<S: Side>(side: &S) -> Kept<S::File> {
    let kept = Kept { small: side.make("small"), large: side.make("large"), grown: side.make("grown") };
    side.write(&kept.small, 0, &[1; 3000]);
    side.write(&kept.large, 0, &vec![1; 256 * PAGE_BYTES]);
    for file in [&kept.small, &kept.large, &kept.grown] {
        side.sync(file);
    }
    kept
}

/// One measure on one side.
fn measure<S: Side>(side: &S, kept: &Kept<S::File>, index: usize, round: usize) {
    let bytes = vec![round as u8; 1_000_000];
    match (index, MEASURES[index].1) {
        (_, Some(size)) => {
            let file = side.make(&format!("new.{index}.{round}"));
            side.write(&file, 0, &bytes[..size]);
            side.sync(&file);
        }
        (3, None) => {
            side.write(&kept.small, 0, &bytes[..3000]);
            side.sync(&kept.small);
        }
        (4, None) => {
            side.write(&kept.large, round * 37 % 256 * PAGE_BYTES, &bytes[..PAGE_BYTES]);
            side.sync_data(&kept.large);
        }
        _ => {
            side.write(&kept.grown, round * PAGE_BYTES, &bytes[..PAGE_BYTES]);
            side.sync_data(&kept.grown);
        }
    }
}

/// Flushes that a device was asked for, where the host counts them.
fn flushes(statistics: Option<&Path>) -> f64 {
    const FLUSHES_AT: usize = 15;
    let text = statistics.and_then(|path| fs::read_to_string(path).ok());
    let count = text.and_then(|text| text.split_whitespace().nth(FLUSHES_AT)?.parse().ok());
    count.unwrap_or(f64::NAN)
}

/// The file with a file system's device's counts: those of the whole disk, for a part of one.
fn statistics(directory: &Path) -> Option<PathBuf> {
    let device = fs::metadata(directory).ok()?.dev();
    let place = format!("/sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let place = fs::canonicalize(place).ok()?;
    let whole = if place.join("partition").exists() { place.parent()?.to_owned() } else { place };
    Some(whole.join("stat"))
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let base = arguments.next().unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").to_owned());
    let rounds = arguments.next().and_then(|number| number.parse().ok()).unwrap_or(ROUNDS_COUNT);
    let directory = tempfile::tempdir_in(&base).unwrap();
    let host_path = directory.path().join("host");
    fs::create_dir(&host_path).unwrap();
    let container = LocalContainer::open(&directory.path().join("store"), &MountOptions::default()).unwrap();
    let (host, engine) = (Host(&host_path), Engine(&container));
    let (host_kept, engine_kept) = (prepare(&host), prepare(&engine));
    let counts = statistics(directory.path());
    let mut series: Vec<[Series; 2]> = MEASURES.iter().map(|_| Default::default()).collect();
    for round in 0..rounds {
        for (index, series) in series.iter_mut().enumerate() {
            for side in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                let (before, start) = (flushes(counts.as_deref()), Instant::now());
                match side {
                    0 => measure(&host, &host_kept, index, round),
                    _ => measure(&engine, &engine_kept, index, round),
                }
                series[side].milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
                series[side].flushes.push(flushes(counts.as_deref()) - before);
            }
        }
    }
    println!("{}, `{base}`, medians of {rounds} rounds\n", machine());
    println!(
        "| | host, ms | Sidestep, ms | of the host's | flushes, host | flushes, Sidestep |\n|---|---|---|---|---|---|"
    );
    for ((what, _), [host, engine]) in MEASURES.iter().zip(&series) {
        let [host_ms, engine_ms] = [host, engine].map(|side| median(&side.milliseconds));
        let [host_flushes, engine_flushes] = [host, engine].map(|side| median(&side.flushes));
        let [host_text, engine_text, ratio] = [host_ms, engine_ms, engine_ms / host_ms].map(figure);
        println!("| {what} | {host_text} | {engine_text} | {ratio} | {host_flushes} | {engine_flushes} |");
    }
}

//! The embedded engine alone, without doors and descriptors: nanoseconds per operation, next to the kernel's tmpfs.
//!
//! `cargo bench --bench store [-- DIRECTORY [PART]]`; the directory is best on tmpfs, which is where `/dev/shm` is. The parts
//! are `small`, `names`, `large` and `open`.

use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::MountOptions;
use sidestep::store::local::LocalContainer;
use sidestep::store::{Container, Found, Kind, NewNode};
use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

const FILES_COUNT: usize = 10_000;
const SMALL_BYTES: usize = 3901;
const LARGE_BYTES: usize = 64 << 20;
const HOT_BYTES: usize = 1 << 20;
const PAGE: usize = 4096;
const MEBIBYTE: usize = 1 << 20;

/// This thread's time on the processor: other people's work on the machine does not count.
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn per_operation(count: usize, work: impl FnOnce()) -> f64 {
    let start = now();
    work();
    (now() - start) / count as f64
}

/// Prints what the kernel and the engine took, and how often the second goes into the first.
fn row(what: &str, kernel: f64, engine: f64) {
    println!("{what:32} kernel {kernel:9.0} ns  engine {engine:9.0} ns  {:6.2} times", kernel / engine);
}

fn small_files(directory: &Path, container: &LocalContainer) {
    let bytes = [7u8; SMALL_BYTES];
    let names: Vec<String> = (0..FILES_COUNT).map(|index| format!("file.mdtest.{index}")).collect();
    let path = |name: &String| directory.join(name);
    let root = container.root();
    let new = NewNode { kind: Kind::File, mode: 0o644, uid: 0, gid: 0, target: b"" };
    let find = |name: &String| container.lookup(root, name.as_bytes()).unwrap();
    let mut buffer = vec![0u8; PAGE];
    for round in 0..2 {
        let kernel = per_operation(FILES_COUNT, || {
            for name in &names {
                let mut file = OpenOptions::new().write(true).create_new(true).open(path(name)).unwrap();
                file.write_all(&bytes).unwrap();
            }
        });
        let engine = per_operation(FILES_COUNT, || {
            for name in &names {
                let found = container.create(root, name.as_bytes(), &new).unwrap();
                let node = container.open(found).unwrap();
                node.write_at(0, &[Segment::of_slice(&bytes)]).unwrap();
            }
        });
        row(&format!("create+write 3901+close, round {round}"), kernel, engine);
        let kernel = per_operation(FILES_COUNT, || {
            for name in &names {
                black_box(fs::metadata(path(name)).unwrap());
            }
        });
        let engine = per_operation(FILES_COUNT, || {
            for name in &names {
                black_box(container.attributes(find(name).node).unwrap());
            }
        });
        row("stat", kernel, engine);
        let kernel = per_operation(FILES_COUNT, || {
            for name in &names {
                File::open(path(name)).unwrap().read_at(&mut buffer, 0).unwrap();
            }
        });
        let engine = per_operation(FILES_COUNT, || {
            for name in &names {
                let node = container.open(find(name)).unwrap();
                node.read_at(0, &[Segment::of_slice_mut(&mut buffer)]).unwrap();
            }
        });
        row("open+read+close", kernel, engine);
        let kernel = per_operation(FILES_COUNT, || {
            for name in &names {
                drop(File::open(path(name)).unwrap());
            }
        });
        let engine = per_operation(FILES_COUNT, || {
            for name in &names {
                drop(container.open(find(name)).unwrap());
            }
        });
        row("open+close", kernel, engine);
        let kernel = per_operation(FILES_COUNT, || {
            for name in &names {
                fs::remove_file(path(name)).unwrap();
            }
        });
        let engine = per_operation(FILES_COUNT, || {
            for name in &names {
                container.unlink(root, name.as_bytes()).unwrap();
            }
        });
        row("unlink", kernel, engine);
    }
}

fn creations_alone(container: &LocalContainer) {
    let root = container.root();
    let new = NewNode { kind: Kind::File, mode: 0o644, uid: 0, gid: 0, target: b"" };
    let names: Vec<String> = (0..FILES_COUNT).map(|index| format!("empty.{index}")).collect();
    let mut found: Vec<Found> = Vec::new();
    let create = per_operation(FILES_COUNT, || {
        for name in &names {
            found.push(container.create(root, name.as_bytes(), &new).unwrap());
        }
    });
    let lookup = per_operation(FILES_COUNT, || {
        for name in &names {
            black_box(container.lookup(root, name.as_bytes()).unwrap());
        }
    });
    let hot = per_operation(FILES_COUNT, || {
        for _ in 0..FILES_COUNT {
            black_box(container.lookup(root, b"empty.77").unwrap());
        }
    });
    let open = per_operation(FILES_COUNT, || {
        for &found in &found {
            drop(container.open(found).unwrap());
        }
    });
    let attributes = per_operation(FILES_COUNT, || {
        for found in &found {
            black_box(container.attributes(found.node).unwrap());
        }
    });
    let unlink = per_operation(FILES_COUNT, || {
        for name in &names {
            container.unlink(root, name.as_bytes()).unwrap();
        }
    });
    println!(
        "alone: create {create:.0}, lookup {lookup:.0}, the same lookup again {hot:.0}, open+close {open:.0}, attributes \
         {attributes:.0}, unlink {unlink:.0} ns"
    );
}

fn large_file(directory: &Path, container: &LocalContainer) {
    let file = File::create_new(directory.join("large")).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    let new = NewNode { kind: Kind::File, mode: 0o644, uid: 0, gid: 0, target: b"" };
    let node = container.open(container.create(container.root(), b"large", &new).unwrap()).unwrap();
    let mut page = vec![5u8; PAGE];
    let mut mebibyte = vec![6u8; MEBIBYTE];
    for what in ["4 KiB write, fresh", "4 KiB write, again"] {
        let count = LARGE_BYTES / PAGE;
        let kernel = per_operation(count, || {
            for index in 0..count {
                file.write_all_at(&page, (index * PAGE) as u64).unwrap();
            }
        });
        let engine = per_operation(count, || {
            for index in 0..count {
                node.write_at((index * PAGE) as u64, &[Segment::of_slice(&page)]).unwrap();
            }
        });
        row(what, kernel, engine);
    }
    let hot = HOT_BYTES / PAGE;
    for what in ["4 KiB read of a hot MiB", "4 KiB read of a hot MiB, again"] {
        let count = hot * 1000;
        let kernel = per_operation(count, || {
            for index in 0..count {
                file.read_exact_at(&mut page, (index % hot * PAGE) as u64).unwrap();
            }
        });
        let engine = per_operation(count, || {
            for index in 0..count {
                node.read_at((index % hot * PAGE) as u64, &[Segment::of_slice_mut(&mut page)]).unwrap();
            }
        });
        row(what, kernel, engine);
    }
    let count = hot * 1000;
    let kernel = per_operation(count, || {
        for index in 0..count {
            file.write_all_at(&page, (index % hot * PAGE) as u64).unwrap();
        }
    });
    let engine = per_operation(count, || {
        for index in 0..count {
            node.write_at((index % hot * PAGE) as u64, &[Segment::of_slice(&page)]).unwrap();
        }
    });
    row("4 KiB write of a hot MiB", kernel, engine);
    let count = LARGE_BYTES / MEBIBYTE;
    for _ in 0..2 {
        let kernel = per_operation(count, || {
            for index in 0..count {
                file.read_exact_at(&mut mebibyte, (index * MEBIBYTE) as u64).unwrap();
            }
        });
        let engine = per_operation(count, || {
            for index in 0..count {
                node.read_at((index * MEBIBYTE) as u64, &[Segment::of_slice_mut(&mut mebibyte)]).unwrap();
            }
        });
        row("1 MiB read", kernel, engine);
        let kernel = per_operation(count, || {
            for index in 0..count {
                file.write_all_at(&mebibyte, (index * MEBIBYTE) as u64).unwrap();
            }
        });
        let engine = per_operation(count, || {
            for index in 0..count {
                node.write_at((index * MEBIBYTE) as u64, &[Segment::of_slice(&mebibyte)]).unwrap();
            }
        });
        row("1 MiB write", kernel, engine);
    }
}

/// What a process pays at its first touch: another one has the store open, or nobody.
fn openings(store: &Path) {
    const TIMES: usize = 200;
    let alone = per_operation(TIMES, || {
        for _ in 0..TIMES {
            let container = LocalContainer::open(store, &MountOptions::default()).unwrap();
            black_box(container.lookup(container.root(), b"none").unwrap_err());
        }
    });
    println!("open a store that nobody has, look one name up, close it: {:.0} us", alone / 1000.0);
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let base = arguments.next().unwrap_or_else(|| "/dev/shm".to_owned());
    let part = arguments.next();
    let is_wanted = |name: &str| part.as_ref().is_none_or(|part| part == name);
    let directory = tempfile::tempdir_in(base).unwrap();
    let host = directory.path().join("host");
    fs::create_dir(&host).unwrap();
    let container = LocalContainer::open(&directory.path().join("store"), &MountOptions::default()).unwrap();
    if is_wanted("small") {
        small_files(&host, &container);
    }
    if is_wanted("names") {
        creations_alone(&container);
    }
    if is_wanted("large") {
        large_file(&host, &container);
    }
    if is_wanted("open") {
        drop(container);
        openings(&directory.path().join("store"));
    }
}

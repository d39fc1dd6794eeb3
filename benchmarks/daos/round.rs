//! One round: every side does the same, each first by turns.
//!
//! 1. Each side gets four processes, which connect; then a real system is left alone until its engine is calm.
//! 2. A writer writes, and a reader, a process that never saw the file, reads it: that is what "cold" means here.
//!    Step by step the sides take turns; whoever is not at work sleeps in a read of its pipe.
//! 3. What was written is compared in full, outside of what is timed, and removed.

use super::sides::{Kind, Side, Sides};
use super::worker::Worker;

const MIB: usize = 1 << 20;
/// The file of the random rows: 16,384 pages of 4 KiB.
const RANDOM_BYTES: usize = 64 * MIB;
const RANDOM_PAGES: usize = RANDOM_BYTES / 4096;
/// Calls of a random row.
const RANDOM_CALLS: usize = 4096;
/// The set that fits a descriptor's share of the cache: 8 MiB.
const SET_PAGES: usize = 8 * MIB / 4096;
/// Files of mdtest's phases.
const SMALL_FILES: usize = 1000;
/// Transfers of each of the two ranks of ior-hard.
const TRANSFERS: usize = 1000;
/// Descriptors of the memory rows, and the bytes of each of their files.
const DESCRIPTORS: usize = 16;
const DESCRIPTOR_BYTES: usize = 4 * MIB;
/// Names in the directory that `ls` shows.
pub const NAMES: usize = 20;

/// The groups of rows.
pub const GROUPS: &[&str] = &["sequential", "random", "hit", "interleaved", "mdtest", "memory", super::listing::GROUP];

/// What takes a figure: the measure's name, the side, the value.
pub type Take<'a> = dyn FnMut(&str, Kind, f64) + 'a;

/// A side's processes.
struct Team<'a> {
    sides: &'a Sides,
    side: &'a Side,
    round: usize,
    writer: Worker,
    reader: Worker,
    /// A second pair for the file that is read by two.
    readers: [Worker; 2],
}

/// Does a group once on every side.
pub fn run(sides: &Sides, group: &str, round: usize, take: &mut Take<'_>) {
    if group == super::listing::GROUP {
        return super::listing::run(sides, round, take);
    }
    let start = |side: &'_ Side| Worker::start(sides, side, &side.directory(round));
    let mut teams: Vec<Team<'_>> = sides
        .all
        .iter()
        .map(|side| Team {
            sides,
            side,
            round,
            writer: start(side),
            reader: start(side),
            readers: [start(side), start(side)],
        })
        .collect();
    let first = round % teams.len();
    teams.rotate_left(first);
    std::thread::sleep(sides.settling);
    match group {
        "sequential" => sequential(&mut teams, take),
        "random" => random(&mut teams, take),
        "hit" => hit(&mut teams, take),
        "interleaved" => interleaved(&mut teams, take),
        "mdtest" => mdtest(&mut teams, take),
        _ => memory(&mut teams, take),
    }
    for mut team in teams {
        team.writer.ask("remove_directory -");
        team.writer.end();
        team.reader.end();
        team.readers.into_iter().for_each(|reader| {
            reader.end();
        });
    }
}

fn sequential(teams: &mut [Team<'_>], take: &mut Take<'_>) {
    for (name, size, total) in [("4k", 4096, 64 * MIB), ("256", 256, 16 * MIB), ("1m", MIB, 128 * MIB)] {
        // A call of 256 bytes is a message of its own on the other sides: a quarter of the calls tells their rate.
        let calls = |side: &Side| if size == 256 && side.kind != Kind::Ours { total / size / 4 } else { total / size };
        for team in &mut *teams {
            let order = format!("write {name} {size} {}", calls(team.side));
            take(&format!("write_{name}"), team.side.kind, team.writer.figure(&order));
        }
        for team in &mut *teams {
            let order = format!("read {name} {size} {}", calls(team.side));
            take(&format!("read_{name}"), team.side.kind, team.reader.figure(&order));
        }
        for team in &mut *teams {
            team.reader.ask(&format!("verify {name} {} 0", calls(team.side) * size));
            team.writer.ask(&format!("remove {name}"));
        }
    }
}

fn random(teams: &mut [Team<'_>], take: &mut Take<'_>) {
    let mut each = |take: &mut Take<'_>, name: &str, order: &str, reads: bool| {
        for team in &mut *teams {
            let worker = if reads { &mut team.reader } else { &mut team.writer };
            let figures = worker.ask(order);
            if !name.is_empty() {
                take(name, team.side.kind, figures[0].1);
            }
        }
    };
    each(take, "", &format!("write random {MIB} {}", RANDOM_BYTES / MIB), false);
    each(take, "random_read", &format!("random_read random {RANDOM_CALLS} {RANDOM_PAGES}"), true);
    each(take, "set_read", &format!("set_read random {RANDOM_CALLS} {SET_PAGES}"), true);
    each(take, "random_write", &format!("random_write random {RANDOM_CALLS} {RANDOM_PAGES}"), false);
    each(take, "", &format!("verify random {RANDOM_BYTES} {RANDOM_CALLS}"), true);
    each(take, "", "remove random", false);
}

/// On Sidestep alone: nobody else has a cache to hit.
fn hit(teams: &mut [Team<'_>], take: &mut Take<'_>) {
    for team in teams.iter_mut().filter(|team| team.side.kind == Kind::Ours) {
        team.writer.ask(&format!("write hit {MIB} 8"));
        let figures = team.reader.ask("hit hit");
        let figure = |name: &str| figures.iter().find(|figure| figure.0 == name).map_or(f64::NAN, |figure| figure.1);
        for name in ["hit", "copy", "door"] {
            take(name, Kind::Ours, figure(name));
        }
        take("hit_ratio", Kind::Ours, figure("hit") / (figure("copy") + figure("door")));
        team.writer.ask("remove hit");
    }
}

fn interleaved(teams: &mut [Team<'_>], take: &mut Take<'_>) {
    /// From the first process's start to the last one's end, for each transfer.
    fn both(ranks: [&mut Worker; 2], what: &str) -> f64 {
        let mut spans = Vec::new();
        let orders = [0, 1].map(|rank| format!("{what} shared {rank} {TRANSFERS}"));
        let [first, second] = ranks;
        first.begin(&orders[0]);
        second.begin(&orders[1]);
        spans.extend(first.finish(&orders[0]));
        spans.extend(second.finish(&orders[1]));
        let of = |name: &'static str| spans.iter().filter(move |figure| figure.0 == name).map(|figure| figure.1);
        let (start, end) = (of("start").fold(f64::MAX, f64::min), of("end").fold(0.0, f64::max));
        (end - start) / (2 * TRANSFERS) as f64
    }
    for team in &mut *teams {
        team.writer.ask("create shared");
        let each = both([&mut team.writer, &mut team.reader], "write_interleaved");
        take("interleaved_write", team.side.kind, each);
    }
    for team in &mut *teams {
        let [first, second] = &mut team.readers;
        take("interleaved_read", team.side.kind, both([first, second], "read_interleaved"));
    }
    for team in &mut *teams {
        team.readers[0].ask(&format!("verify shared {} 0", 2 * TRANSFERS * 47_008));
        team.writer.ask("remove shared");
    }
}

fn mdtest(teams: &mut [Team<'_>], take: &mut Take<'_>) {
    for (number, phase) in ["create_small", "stat_small", "read_small", "unlink_small"].into_iter().enumerate() {
        for team in &mut *teams {
            let worker = if phase == "create_small" { &mut team.writer } else { &mut team.reader };
            // Another order in each phase, the same one on every side.
            let seed = if team.sides.is_shuffled { 1 + number } else { 0 };
            take(phase, team.side.kind, worker.figure(&format!("{phase} md {SMALL_FILES} {seed}")));
        }
    }
}

/// In processes of their own: what a process read before would hide what it needs.
fn memory(teams: &mut [Team<'_>], take: &mut Take<'_>) {
    for team in &mut *teams {
        team.writer.ask("write first 4096 1");
        for file in 0..DESCRIPTORS {
            team.writer.ask(&format!("write held.{file} {MIB} {}", DESCRIPTOR_BYTES / MIB));
        }
        let order = format!("memory held {DESCRIPTORS} {DESCRIPTOR_BYTES}");
        let figures = team.reader.ask(&order);
        for (name, value) in &figures {
            if name != "total" {
                take(name, team.side.kind, *value);
            }
        }
        let bounded = team.side.with_options("?cache=16MiB");
        let mut bounded = Worker::start(team.sides, &bounded, &team.side.directory(team.round));
        for (name, value) in bounded.ask(&order) {
            if name == "total" {
                take("bounded", team.side.kind, value);
            }
        }
        bounded.end();
        for file in 0..DESCRIPTORS {
            team.writer.ask(&format!("remove held.{file}"));
        }
        team.writer.ask("remove first");
    }
}

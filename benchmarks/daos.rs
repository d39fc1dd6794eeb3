//! `cargo bench --bench daos`: Sidestep on DAOS against libdfs called directly and against libpil4dfs, in the same run.
//!
//! 1. `daos_workload.c` is compiled: a program that reaches files through POSIX or through libdfs, and times itself.
//! 2. It is run on every side by turns: with `SIDESTEP_TEST_DAOS=POOL/CONTAINER` on that system, libpil4dfs included;
//!    without it on the emulator of libdfs, whose messages take 20 us (`SIDESTEP_EMULATOR_LATENCY_US`).
//! 3. The medians of the rounds become Markdown tables on standard output, and `TARGET/benchmarks-daos.csv`.
//!
//! `-- --rounds N` sets the number of rounds (5), `-- --only GROUP` runs one group; it may be given again.
//! `-- --without SIDE` leaves out `libdfs`, `libpil4dfs` or `sidestep`. `-- --shuffle` has each of mdtest's phases take the
//! names in an order of its own, in which no name tells the next.

#[path = "common/figures.rs"]
mod figures;
#[path = "daos/listing.rs"]
mod listing;
#[path = "daos/measure.rs"]
mod measure;
#[path = "daos/report.rs"]
mod report;
#[path = "daos/round.rs"]
mod round;
#[path = "daos/sides.rs"]
mod sides;
#[path = "daos/worker.rs"]
mod worker;

#[allow(dead_code)]
#[path = "../tests/common/build.rs"]
mod build;

use report::Series;
use round::GROUPS;
use sides::{Kind, Sides};
use std::process::ExitCode;

/// What the command line says.
struct Settings {
    rounds: usize,
    only: Vec<String>,
    without: Vec<Kind>,
    is_shuffled: bool,
}

const USAGE: &str = "[--rounds N] [--only GROUP] [--without SIDE] [--shuffle]";

fn main() -> ExitCode {
    let settings = match settings(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(complaint) => {
            eprintln!("{complaint}; usage: cargo bench --bench daos -- {USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut sides = match Sides::new() {
        Ok(sides) => sides,
        Err(complaint) => {
            eprintln!("{complaint}");
            return ExitCode::FAILURE;
        }
    };
    sides.all.retain(|side| !settings.without.contains(&side.kind));
    if settings.is_shuffled {
        sides.shuffle();
    }
    let mut series = Series::new();
    let file = build::target_directory().join("benchmarks-daos.csv");
    for group in GROUPS.iter().filter(|group| settings.only.is_empty() || settings.only.iter().any(|o| o == **group)) {
        eprint!("{group} ");
        for round in 0..settings.rounds {
            round::run(&sides, group, round, &mut |name, kind, value| {
                series.entry((report::measure(name).name, kind)).or_default().push(value);
            });
            eprint!(".");
        }
        eprintln!();
        // After each group: a system that fails in a later one does not take along what was measured.
        if let Err(error) = std::fs::write(&file, report::csv(&series)) {
            eprintln!("{}: {error}", file.display());
        }
    }
    print!("{}", report::markdown(&series, &sides, settings.rounds));
    eprintln!("every round: {}", file.display());
    ExitCode::SUCCESS
}

/// Reads the command line; cargo itself adds `--bench`.
fn settings(mut words: impl Iterator<Item = String>) -> Result<Settings, String> {
    let mut settings = Settings { rounds: 5, only: Vec::new(), without: Vec::new(), is_shuffled: false };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => {}
            "--shuffle" => settings.is_shuffled = true,
            "--rounds" => {
                let rounds = words.next().and_then(|number| number.parse().ok()).filter(|&rounds| rounds > 0);
                settings.rounds = rounds.ok_or("--rounds takes a number above 0")?;
            }
            "--only" => {
                let group = words.next().filter(|group| GROUPS.contains(&group.as_str()));
                settings.only.push(group.ok_or(format!("--only takes one of {}", GROUPS.join(", ")))?);
            }
            "--without" => settings.without.push(match words.next().as_deref() {
                Some("libdfs") => Kind::Libdfs,
                Some("libpil4dfs") => Kind::Libpil4dfs,
                Some("sidestep") => Kind::Ours,
                _ => return Err("--without takes libdfs, libpil4dfs or sidestep".to_owned()),
            }),
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok(settings)
}

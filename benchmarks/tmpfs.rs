//! `cargo bench --bench tmpfs`: Sidestep's embedded engine against the kernel's tmpfs, in the same run.
//!
//! 1. `micro.c` is compiled: an ordinary program that times the calls it makes.
//! 2. Each of its groups is run by turns natively in a directory on tmpfs, and under Sidestep with the store on the
//!    same tmpfs; several rounds, so that whatever else the machine does meets both sides.
//! 3. The medians of the rounds become a Markdown table on standard output, and `TARGET/benchmarks.csv`.
//!
//! `-- --rounds N` sets the number of rounds (7), `-- --only GROUP` runs one group.

#[path = "common/figures.rs"]
mod figures;
#[path = "tmpfs/measure.rs"]
mod measure;
#[path = "tmpfs/memory.rs"]
mod memory;
#[path = "tmpfs/report.rs"]
mod report;
#[path = "tmpfs/sides.rs"]
mod sides;
#[path = "tmpfs/tree.rs"]
mod tree;

#[allow(dead_code)]
#[path = "../tests/common/build.rs"]
mod build;

use measure::{GROUPS, MEASURES};
use report::Series;
use sides::Sides;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// What the command line says.
struct Settings {
    rounds: usize,
    only: Option<String>,
}

fn main() -> ExitCode {
    let settings = match settings(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(complaint) => {
            eprintln!("{complaint}; usage: cargo bench --bench tmpfs -- [--rounds N] [--only GROUP]");
            return ExitCode::from(2);
        }
    };
    let sides = Sides::new();
    let mut series: BTreeMap<&'static str, Series> = BTreeMap::new();
    for group in GROUPS.iter().filter(|group| settings.only.as_deref().is_none_or(|only| only == **group)) {
        eprint!("{group} ");
        for round in 0..settings.rounds {
            // Each side goes first in every other round: a warm cache or a falling clock favours neither.
            for side in if round % 2 == 0 { [&sides.native, &sides.ours] } else { [&sides.ours, &sides.native] } {
                let figures = match *group {
                    memory::GROUP => memory::run(side),
                    tree::GROUP => tree::run(side),
                    group => sides.run(side, group),
                };
                for (name, value) in figures {
                    let measure = MEASURES.iter().find(|measure| measure.name == name);
                    let measure = measure.unwrap_or_else(|| panic!("micro.c measures {name}, measure.rs does not"));
                    series.entry(measure.name).or_default().push(side.is_ours(), value);
                }
            }
            eprint!(".");
        }
        eprintln!();
    }
    print!("{}", report::markdown(&series, settings.rounds));
    let file = build::target_directory().join("benchmarks.csv");
    match std::fs::write(&file, report::csv(&series)) {
        Ok(()) => eprintln!("every round: {}", file.display()),
        Err(error) => eprintln!("{}: {error}", file.display()),
    }
    ExitCode::SUCCESS
}

/// Reads the command line; cargo itself adds `--bench`.
fn settings(mut words: impl Iterator<Item = String>) -> Result<Settings, String> {
    let mut settings = Settings { rounds: 7, only: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => {}
            "--rounds" => {
                let rounds = words.next().and_then(|number| number.parse().ok()).filter(|&rounds| rounds > 0);
                settings.rounds = rounds.ok_or("--rounds takes a number above 0")?;
            }
            "--only" => {
                let group = words.next().filter(|group| GROUPS.contains(&group.as_str()));
                settings.only = Some(group.ok_or(format!("--only takes one of {}", GROUPS.join(", ")))?);
            }
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok(settings)
}

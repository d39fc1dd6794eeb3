//! The cache against a plain vector of bytes: random operations, several descriptions, two "processes", faults.
//!
//! `SIDESTEP_CACHE_SEED=N` runs one seed again (a failure names it), `SIDESTEP_CACHE_OPERATIONS=N` sets how many
//! operations there are in all: a million if it is not set.

mod cache_support;
#[path = "cache_model/coherence.rs"]
mod coherence;
#[path = "cache_model/failures.rs"]
mod failures;
#[path = "cache_model/player.rs"]
mod player;
#[path = "cache_model/processes.rs"]
mod processes;
#[path = "cache_model/rules.rs"]
mod rules;
#[path = "cache_model/threads.rs"]
mod threads;

use cache_support::random::Random;

/// Seeds that failed once: each is run first, in every mode.
const REGRESSIONS: &[u64] = &[];

/// Chunk sizes: powers of two from 1 KiB to 1 MiB, and odd multiples of 512.
const CHUNKS: &[u64] =
    &[1024, 1536, 4096, 8704, 32 << 10, 64 << 10, 129 * 512, 256 << 10, 777 * 512, 1 << 20, 2047 * 512];

/// Operations of one seed.
const ROUND: u64 = 2000;

/// Plays rounds of a mode until its share of all operations is done.
fn play(name: &str, percent: u64, round: impl Fn(u64, u64, &mut Random)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("SIDESTEP_CACHE_SEED") {
        return one(name, seed, &round);
    }
    let operations: u64 = number("SIDESTEP_CACHE_OPERATIONS").unwrap_or(1_000_000);
    let first = number("SIDESTEP_CACHE_FIRST").unwrap_or(1);
    let rounds = (operations * percent / 100).div_ceil(ROUND);
    for seed in REGRESSIONS.iter().copied().chain(first..first + rounds) {
        one(name, seed, &round);
    }
}

fn one(name: &str, seed: u64, round: &impl Fn(u64, u64, &mut Random)) {
    let mut random = Random::new(seed);
    let chunk = CHUNKS[random.below(CHUNKS.len() as u64) as usize];
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(seed, chunk, &mut random)));
    if let Err(panic) = told {
        eprintln!("{name}: SIDESTEP_CACHE_SEED={seed} (chunks of {chunk} bytes)");
        std::panic::resume_unwind(panic);
    }
}

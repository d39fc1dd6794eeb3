//! `SIDESTEP_REPORT=1`: what was done under each prefix, told when the process ends. Off, it costs one load a call.

use super::mount;
use crate::ground::clock::{self, Clock};
use crate::ground::diagnostics;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Class {
    /// `read` and its kin.
    Read,
    /// `write` and its kin.
    Write,
    /// `open` and its kin.
    Open,
    /// Everything else on a path.
    Name,
    /// Everything else on a descriptor.
    Descriptor,
}

const CLASSES: [(Class, &str); 5] = [
    (Class::Read, "read"),
    (Class::Write, "write"),
    (Class::Open, "open"),
    (Class::Name, "path"),
    (Class::Descriptor, "descriptor"),
];

/// Mounts that are told apart; any further ones are added to the last.
const MOUNTS_COUNT_MAX: usize = 16;

struct Counter {
    calls: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

static IS_ON: AtomicBool = AtomicBool::new(false);

static COUNTERS: [[Counter; CLASSES.len()]; MOUNTS_COUNT_MAX] = [const {
    [const {
        Counter {
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
        }
    }; CLASSES.len()]
}; MOUNTS_COUNT_MAX];

/// Reads `SIDESTEP_REPORT`.
pub fn start() {
    let is_on = std::env::var_os("SIDESTEP_REPORT").is_some_and(|value| value != "0" && !value.is_empty());
    IS_ON.store(is_on, Ordering::Relaxed);
    if is_on {
        diagnostics::keep_standard_error();
    }
}

/// Whether anybody wants to know.
#[inline(always)]
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Nanoseconds of the monotonic clock.
fn now() -> u64 {
    clock::nanoseconds(Clock::Monotonic).cast_unsigned()
}

/// When a call began; 0 while nobody wants to know.
#[inline(always)]
pub fn begin() -> u64 {
    if is_on() { now() } else { 0 }
}

/// A call is over: `outcome` is its result, `-errno` on failure; of reads and writes it is the bytes.
#[inline(always)]
pub fn end(begun: u64, mount: usize, class: Class, outcome: i64) {
    if begun != 0 {
        count(begun, mount, class, outcome);
    }
}

#[cold]
fn count(begun: u64, mount: usize, class: Class, outcome: i64) {
    let counter = &COUNTERS[mount.min(MOUNTS_COUNT_MAX - 1)][class as usize];
    counter.calls.fetch_add(1, Ordering::Relaxed);
    counter.nanoseconds.fetch_add(now().saturating_sub(begun), Ordering::Relaxed);
    let counts_bytes = matches!(class, Class::Read | Class::Write);
    match u64::try_from(outcome) {
        Err(_) => _ = counter.failures.fetch_add(1, Ordering::Relaxed),
        Ok(bytes) if counts_bytes => _ = counter.bytes.fetch_add(bytes, Ordering::Relaxed),
        Ok(_) => {}
    }
}

/// Starts from zero: in a fork child what the parent counted is the parent's, and what was told before an exec is told.
pub fn start_again() {
    for counter in COUNTERS.iter().flatten() {
        for number in [&counter.calls, &counter.failures, &counter.bytes, &counter.nanoseconds] {
            number.store(0, Ordering::Relaxed);
        }
    }
}

/// Tells what was counted, a line for each prefix and class that was used.
pub fn tell() {
    if !is_on() {
        return;
    }
    for (mount, counters) in mount::all().iter().zip(&COUNTERS) {
        let prefix = String::from_utf8_lossy(&mount.configuration.prefix);
        for ((_, name), counter) in CLASSES.iter().zip(counters) {
            let calls = counter.calls.load(Ordering::Relaxed);
            if calls == 0 {
                continue;
            }
            let bytes = counter.bytes.load(Ordering::Relaxed);
            let failures = counter.failures.load(Ordering::Relaxed);
            let mean = counter.nanoseconds.load(Ordering::Relaxed) / calls;
            let id = std::process::id();
            diagnostics::say(&format!(
                "report pid={id} prefix={prefix} class={name} calls={calls} failed={failures} bytes={bytes} mean_ns={mean}"
            ));
        }
    }
}

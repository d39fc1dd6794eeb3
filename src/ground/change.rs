//! A change of the kernel's descriptor table and of ours, which a fork sees as a whole or not at all.
//!
//! For a fork child the kernel copies the descriptors first, and the memory after them, page by page, while the other
//! threads of the parent run on. A file that one of them opens in between would stand in the child's copy of our table
//! under a number that the kernel has not open there, and the child's next pipe would get that number. So:
//!
//! 1. Whoever makes, replaces or closes a descriptor of ours does that, and what our table says of it, in one
//!    [`Change`].
//! 2. Whoever forks stands the changes of all other threads still for the moment of the system call ([`Standstill`]).
//!
//! A change is short and waits for nobody: the forking thread may have any lock of libc's. Signals are not blocked in
//! it: a handler that forks does not wait for the change that it interrupted, which goes on in parent and child alike. A
//! process with one thread pays nothing.

use super::guard::{self, Quiet};
use super::stopwatch::Stopwatch;
use super::{deep_stack, kernel, signals, threads};
use std::sync::atomic::{AtomicU32, Ordering};

/// The changes that are under way, of all threads.
static UNDER_WAY: AtomicU32 = AtomicU32::new(0);

/// The thread that stands everything still; 0 for none. The others wait on it.
static FORKER: AtomicU32 = AtomicU32::new(0);

/// How the forks of now are made, a [`Snapshot`]: what a child finds in its copy.
static SNAPSHOT: AtomicU32 = AtomicU32::new(Snapshot::Unknown as u32);

/// What a fork child has of its parent's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Snapshot {
    /// Whatever was there while the kernel copied, with other threads at work.
    Unknown = 0,
    /// The same, but for what is changed in a [`Change`]: that is of one moment, and agrees with the kernel's table.
    Still = 1,
    /// All of one moment: there was no other thread.
    Alone = 2,
}

/// How long a fork waits for changes. They take microseconds, unless a thread was stopped in one (by a debugger, or by a
/// signal handler that never returns): then the fork goes on without, and the child looks at each of its descriptors
/// itself.
const FORK_PATIENCE_NANOSECONDS: i64 = 500_000_000;

/// How long a change, or another fork, waits for a forking thread that does nothing: one that waits for a lock in somebody
/// else's fork handler, or that a debugger stopped. The fork of a large process takes seconds, and is waited for.
const PATIENCE_NANOSECONDS: i64 = 2_000_000_000;

/// Looks before a fork gives its processor away, some 50 us: a change is over in less, unless its thread waits for one.
const SPINS_COUNT: u32 = 2_000;

/// Between two looks of a change at whether the fork is over, if nobody woke it.
const LOOK_MILLISECONDS: u32 = 5;

/// The patience with a forking thread, which is there for as long as that thread gets on.
struct ForkerPatience {
    forker: u32,
    processor_time: Option<i64>,
    since: Stopwatch,
}

impl ForkerPatience {
    fn new() -> Self {
        Self { forker: 0, processor_time: None, since: Stopwatch::start() }
    }

    /// Waits for `forker` a little; false where it does not get on. Woken by [`go_on`].
    fn wait(&mut self, forker: u32, milliseconds: u32) -> bool {
        kernel::wait_on(&FORKER, forker, milliseconds);
        let processor_time = kernel::processor_time_of(forker);
        if (self.forker, self.processor_time) != (forker, processor_time) {
            *self = Self { forker, processor_time, since: Stopwatch::start() };
        }
        self.since.nanoseconds() < PATIENCE_NANOSECONDS
    }
}

fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_pid().cast_unsigned()
}

/// A change under way, until dropped. Changes nest.
pub struct Change {
    is_counted: bool,
    // The depth belongs to the thread that began.
    _here: std::marker::PhantomData<*const ()>,
}

impl Change {
    /// Begins, once no other thread forks.
    #[inline]
    pub fn begin() -> Self {
        let is_counted = !threads::is_single();
        if is_counted {
            count();
        }
        Self { is_counted, _here: std::marker::PhantomData }
    }
}

impl Drop for Change {
    #[inline]
    fn drop(&mut self) {
        let (depth, place) = guard::changes();
        // Nothing to count back where this one was taken for one that a handler had jumped out of.
        if self.is_counted && depth != 0 {
            guard::set_changes(depth - 1, place);
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// This thread's changes. Those that a signal handler jumped out of, whose place on the stack is gone, are counted back.
fn own_depth(here: u64) -> u64 {
    let (depth, place) = guard::changes();
    if depth != 0 && place < here && !is_on_another_stack() {
        guard::set_changes(0, 0);
        UNDER_WAY.fetch_sub(depth as u32, Ordering::SeqCst);
        return 0;
    }
    depth
}

/// Whether this thread is on another stack than the one that it began on, so that places on the two say nothing of one
/// another: one of ours, a library's fiber, or the one that the program gave for handlers.
#[cold]
fn is_on_another_stack() -> bool {
    deep_stack::is_on_one() || guard::is_in_library() || signals::is_on_alternate_stack()
}

fn count() {
    let mark = 0u8;
    let here = (&raw const mark) as u64;
    let depth = own_depth(here);
    let place = if depth == 0 { here } else { guard::changes().1 };
    UNDER_WAY.fetch_add(1, Ordering::SeqCst);
    // A nested one does not wait: the fork waits for the outer one.
    if depth == 0 && FORKER.load(Ordering::SeqCst) != 0 {
        await_fork();
    }
    guard::set_changes(depth + 1, place);
}

/// Waits, not counted, until no other thread forks.
#[cold]
fn await_fork() {
    let (own, mut patience) = (thread_id(), ForkerPatience::new());
    loop {
        let forker = FORKER.load(Ordering::SeqCst);
        if forker == 0 || forker == own {
            return;
        }
        UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        let gets_on = patience.wait(forker, LOOK_MILLISECONDS);
        UNDER_WAY.fetch_add(1, Ordering::SeqCst);
        if !gets_on {
            // The change is made beside that fork, and others after it: if it comes after all, its child is told.
            SNAPSHOT.store(Snapshot::Unknown as u32, Ordering::SeqCst);
            let _ = FORKER.compare_exchange(forker, 0, Ordering::SeqCst, Ordering::SeqCst);
            return;
        }
    }
}

/// No other thread changes anything, until dropped: by the parent after the fork, and by the child.
pub struct Standstill(#[allow(dead_code, reason = "held for its Drop")] Quiet);

impl Standstill {
    /// Begins: waits for what is under way.
    pub fn begin() -> Self {
        let quiet = Quiet::enter();
        hold_still();
        Self(quiet)
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        go_on();
    }
}

/// As [`Standstill::begin`], for a fork that is made elsewhere: [`go_on`] ends it. Signals are not blocked.
pub fn hold_still() {
    let mark = 0u8;
    let depth = own_depth((&raw const mark) as u64) as u32;
    let (own, mut others) = (thread_id(), ForkerPatience::new());
    let (is_alone, mut is_still) = (threads::is_single(), true);
    while let Err(other) = FORKER.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst) {
        if other == own || !others.wait(other, 1) {
            // A handler's fork within this thread's own, or one that does not get on.
            is_still = other == own;
            break;
        }
    }
    let (mut looks, since) = (0, Stopwatch::start());
    while is_still && UNDER_WAY.load(Ordering::SeqCst) != depth {
        looks += 1;
        if looks < SPINS_COUNT {
            std::hint::spin_loop();
        } else {
            is_still = since.nanoseconds() < FORK_PATIENCE_NANOSECONDS;
            rustix::thread::sched_yield();
        }
    }
    let snapshot = match is_still {
        true if is_alone => Snapshot::Alone,
        true => Snapshot::Still,
        false => Snapshot::Unknown,
    };
    SNAPSHOT.store(snapshot as u32, Ordering::SeqCst);
}

/// The fork is over, for the thread that made it; nothing for others.
pub fn go_on() {
    if FORKER.load(Ordering::SeqCst) == 0 {
        return;
    }
    let own = thread_id();
    if FORKER.compare_exchange(own, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        SNAPSHOT.store(Snapshot::Unknown as u32, Ordering::SeqCst);
        kernel::wake_all(&FORKER);
    }
}

/// In a fork child: of the changes that were under way this thread's alone are left.
pub fn go_on_in_child() {
    UNDER_WAY.store(guard::changes().0 as u32, Ordering::SeqCst);
    FORKER.store(0, Ordering::SeqCst);
}

/// In a fork child, before anything else is changed: what it has of its parent's memory.
pub fn after_fork_in_child() -> Snapshot {
    go_on_in_child();
    match SNAPSHOT.swap(Snapshot::Unknown as u32, Ordering::SeqCst) {
        1 => Snapshot::Still,
        2 => Snapshot::Alone,
        _ => Snapshot::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// One test at a time stands others still.
    static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn a_standstill_begins_between_changes() {
        let _turn = TURN.lock();
        let (inside, seen) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let _change = Change::begin();
                        inside.fetch_add(1, Ordering::SeqCst);
                        std::hint::spin_loop();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
            for _ in 0..200 {
                let _still = Standstill::begin();
                // The forking thread's own changes go on.
                let _change = Change::begin();
                seen.fetch_add(inside.load(Ordering::SeqCst), Ordering::SeqCst);
            }
        });
        assert_eq!(seen.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_change_waits_for_a_fork_that_takes_long() {
        let _turn = TURN.lock();
        let is_over = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let still = Standstill::begin();
            let changing = scope.spawn(|| {
                let _change = Change::begin();
                is_over.load(Ordering::SeqCst)
            });
            let begin = kernel::monotonic();
            while kernel::monotonic() - begin < PATIENCE_NANOSECONDS + FORK_PATIENCE_NANOSECONDS {}
            is_over.store(1, Ordering::SeqCst);
            drop(still);
            assert_eq!(changing.join().unwrap(), 1);
        });
    }

    #[test]
    fn a_fork_that_does_not_get_on_is_not_waited_for() {
        let _turn = TURN.lock();
        std::thread::scope(|scope| {
            let still = Standstill::begin();
            scope.spawn(|| drop(Change::begin())).join().unwrap();
            // Nor is it by the next one.
            assert_eq!(FORKER.load(Ordering::SeqCst), 0);
            assert_eq!(SNAPSHOT.load(Ordering::SeqCst), Snapshot::Unknown as u32);
            drop(still);
        });
    }

    #[test]
    fn a_fork_in_a_handler_does_not_wait_for_the_change_that_it_interrupted() {
        let _turn = TURN.lock();
        let _outer = Change::begin();
        let begin = kernel::monotonic();
        drop(Standstill::begin());
        assert!(kernel::monotonic() - begin < FORK_PATIENCE_NANOSECONDS);
    }

    #[test]
    fn a_change_that_is_interrupted_by_work_on_another_stack_goes_on() {
        let _turn = TURN.lock();
        // Stacks of ours below and above that of a thread: one is made before, one with it there.
        let deeper = || {
            let _quiet = Quiet::enter();
            deep_stack::run(|| drop(Change::begin()));
        };
        deeper();
        let outer = std::thread::spawn(move || {
            let _outer = Change::begin();
            let before = guard::changes();
            deeper();
            (before, guard::changes())
        });
        let (before, after) = outer.join().unwrap();
        assert_eq!((before.0, before), (1, after));
    }

    #[test]
    fn a_change_that_a_handler_jumped_out_of_is_not_waited_for() {
        let _turn = TURN.lock();
        fn deep(levels: u32) -> u32 {
            let room = [levels; 64];
            if levels == 0 {
                std::mem::forget(Change::begin());
                return std::hint::black_box(room)[0];
            }
            deep(levels - 1) + std::hint::black_box(room)[1]
        }
        deep(8);
        assert_eq!(guard::changes().0, 1);
        let begin = kernel::monotonic();
        drop(Standstill::begin());
        assert!(kernel::monotonic() - begin < FORK_PATIENCE_NANOSECONDS);
        assert_eq!(guard::changes().0, 0);
    }
}

//! Whose turn it is to connect a mount, without a wait that never ends.
//!
//! Connecting loads libraries, and the dynamic linker lets one thread load at a time. A library that touches a prefix
//! while it is being loaded (in a constructor, in `MPI_Init`) may find another thread connecting, which in turn waits for
//! the linker. The linker's lock tells nobody who has it; so the waiting thread looks whether the one that connects
//! sleeps on one and the same lock all the time, and gives up rather than hang the program.

use crate::ground::kernel::{Low, sleep};
use crate::ground::{Errno, Result};
use rustix::fs::{CWD, Mode, OFlags};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI32, Ordering};

/// Between two looks, in microseconds.
const LOOK_MICROSECONDS: u32 = 1_000;

/// Looks without a change until the thread counts as stuck: a second, where connecting takes a tenth of that and never
/// sleeps so long on one lock.
const LOOKS_COUNT_MAX: u32 = 1_000;

/// Takes the turn, marked by this thread's number; whoever has it ends by storing 0.
///
/// # Errors
/// `EAGAIN` where the thread whose turn it is may be waiting for this one.
pub fn wait(turn: &AtomicI32) -> Result<()> {
    let own = rustix::thread::gettid().as_raw_pid();
    let (mut seen, mut looks) = ([0; CALL_BYTES], 0);
    loop {
        let owner = match turn.compare_exchange(0, own, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => return Ok(()),
            Err(owner) => owner,
        };
        sleep(LOOK_MICROSECONDS);
        let now = sleeps_in(owner);
        looks = if now.is_some_and(|now| now == seen) { looks + 1 } else { 0 };
        seen = now.unwrap_or_default();
        if looks >= LOOKS_COUNT_MAX {
            return Err(Errno::AGAIN);
        }
    }
}

/// Bytes of a thread's system call that are compared: its number, and the lock's address.
const CALL_BYTES: usize = 32;

/// The call that a thread sleeps in, if it is one that waits for a lock: as `/proc/self/task/N/syscall` tells it.
fn sleeps_in(thread: i32) -> Option<[u8; CALL_BYTES]> {
    let mut text = [0; CALL_BYTES];
    let path = format!("/proc/self/task/{thread}/syscall");
    let file = Low::open(CWD, path.as_str(), OFlags::RDONLY, Mode::empty()).ok()?;
    rustix::io::read(file.as_fd(), &mut text).ok()?;
    let is_lock = text.starts_with(format!("{} ", libc::SYS_futex).as_bytes());
    is_lock.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_turn_that_nobody_has_is_taken_and_passed_on() {
        let turn = AtomicI32::new(0);
        wait(&turn).unwrap();
        assert_ne!(turn.load(Ordering::Relaxed), 0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait(&turn));
            std::thread::sleep(std::time::Duration::from_millis(20));
            turn.store(0, Ordering::Release);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn nobody_waits_for_ever_for_a_thread_that_waits_too() {
        let (turn, lock) = (AtomicI32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                wait(&turn).unwrap();
                while lock.load(Ordering::Acquire) == 0 {
                    let _ = rustix::thread::futex::wait(&lock, rustix::thread::futex::Flags::PRIVATE, 0, None);
                }
                turn.store(0, Ordering::Release);
            });
            while turn.load(Ordering::Acquire) == 0 {
                std::hint::spin_loop();
            }
            assert_eq!(wait(&turn), Err(Errno::AGAIN));
            lock.store(1, Ordering::Release);
            let _ = rustix::thread::futex::wake(&lock, rustix::thread::futex::Flags::PRIVATE, 1);
        });
    }
}

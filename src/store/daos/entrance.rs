//! Who is inside the libraries: the one way in, and how a fork waits for everybody to be out.
//!
//! 1. A call of ours enters ([`enter`]): signals blocked, this thread's own calls past the doors, one more inside.
//! 2. A fork closes the entrance ([`close`]), waits until nobody is inside, and opens it again in the parent.
//! 3. In the child nobody is inside, and the libraries' network belongs to the parent: the first call that enters
//!    there makes it anew (`daos_reinit`). A child that only becomes another program never enters.
//! 4. A child that was copied while others were inside, or may have been, has the libraries as those left them: locks that
//!    nobody gives back, lists half changed. It never enters: `EIO`.

use super::error;
use super::library;
use super::lock::Lock;
use crate::ground::guard::{self, Quiet};
use crate::ground::stopwatch::Stopwatch;
use crate::ground::{Errno, Result, kernel, own_thread, threads};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// The threads that are inside, and above [`FORK`] the forks that wait or are under way. One word: a child's copy of it is
/// of one moment, and who only looks whether he may go in is never counted.
static ENTRANCE: AtomicU32 = AtomicU32::new(0);

/// One fork, in that word: below are as many threads as Linux has at most.
const FORK: u32 = 1 << 22;

/// How often this process and its ancestors were made by a fork since the libraries were loaded.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The generation that the libraries' network belongs to.
static NETWORK_GENERATION: AtomicU32 = AtomicU32::new(0);

/// The thread that first went in, by [`threads::here`]; 0 for none. Those that we make are not counted.
static FIRST_THREAD: AtomicUsize = AtomicUsize::new(0);

/// Whether another thread has gone in since.
static HAS_SEVERAL_THREADS: AtomicBool = AtomicBool::new(false);

/// Whether this is a fork child in which the libraries can't be used.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Whether a call had to be given up on: the servers do not answer, and threads may be inside for long.
static IS_ANYBODY_STUCK: AtomicBool = AtomicBool::new(false);

/// One thread at a time makes the network anew.
static RENEWAL: Lock<()> = Lock::new(());

/// How long a fork waits for a thread inside: longer than any healthy message takes. A thread that waits for a dead
/// server would make it wait for that thread's whole `timeout=`; the child must not use what such a thread left half
/// done, and does not: the libraries are lost to it.
const FORK_WAIT_MILLISECONDS_MAX: u32 = 3000;

/// A thread inside. Nests: who is inside already goes on without a look at the entrance, or it would wait for a fork
/// that waits for it.
pub struct Entered {
    is_counted: bool,
    _quiet: Quiet,
}

/// Goes in.
///
/// # Errors
/// In a fork child, `ENOTCONN` where the network could not be made anew, `EIO` where the libraries can't be used.
pub fn enter() -> Result<Entered> {
    let entered = enter_as_is();
    if NETWORK_GENERATION.load(Ordering::Acquire) != GENERATION.load(Ordering::Acquire) {
        renew()?;
    }
    Ok(entered)
}

/// Goes in without a look at the network: for what needs none, such as giving memory back.
pub fn enter_as_is() -> Entered {
    let is_counted = !guard::is_in_library();
    let quiet = Quiet::enter_library();
    loop {
        if !is_counted {
            return Entered { is_counted, _quiet: quiet };
        }
        note_thread();
        let inside = |now: u32| (now < FORK).then_some(now + 1);
        match ENTRANCE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, inside) {
            Ok(_) => return Entered { is_counted, _quiet: quiet },
            Err(now) => kernel::wait_on(&ENTRANCE, now, 10),
        }
    }
}

fn note_thread() {
    let here = threads::here();
    let first = FIRST_THREAD.load(Ordering::Relaxed);
    if first == here || HAS_SEVERAL_THREADS.load(Ordering::Relaxed) || own_thread::is_own() {
        return;
    }
    if first != 0 || FIRST_THREAD.compare_exchange(0, here, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        HAS_SEVERAL_THREADS.store(true, Ordering::SeqCst);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.is_counted {
            // In a child that was made by a thread inside, nobody is counted any more.
            let outside = |now: u32| (!now.is_multiple_of(FORK)).then_some(now.wrapping_sub(1));
            let _ = ENTRANCE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, outside);
        }
    }
}

/// Which process this is in a line of forks: what was made under another number belongs to an ancestor.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

/// Whether the libraries' network is this process's own: not yet in a fork child that has not entered.
pub fn is_network_own() -> bool {
    NETWORK_GENERATION.load(Ordering::Acquire) == GENERATION.load(Ordering::Acquire)
}

/// Before a fork: from here on nobody goes in, and, if all goes well, nobody is inside.
pub fn close() {
    ENTRANCE.fetch_add(FORK, Ordering::SeqCst);
    let limit = if IS_ANYBODY_STUCK.load(Ordering::Relaxed) { 100 } else { FORK_WAIT_MILLISECONDS_MAX };
    let since = Stopwatch::start();
    while !ENTRANCE.load(Ordering::SeqCst).is_multiple_of(FORK) {
        let waited = since.nanoseconds();
        if waited > i64::from(limit) * 1_000_000 {
            break;
        }
        kernel::sleep(if waited < 1_000_000 { 20 } else { 500 });
    }
}

/// After a fork in the parent, or one that failed.
pub fn open() {
    ENTRANCE.fetch_sub(FORK, Ordering::SeqCst);
    kernel::wake_all(&ENTRANCE);
}

/// In a fork child, once for each mounted container: the first of them begins the new generation.
///
/// # Errors
/// `EIO` where other threads were inside when the memory was copied, or nobody can tell.
pub fn begin_child(of: u32) -> Result<()> {
    if GENERATION.compare_exchange(of, of + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        // Where nobody closed the entrance, the words below were copied at one time and what they speak of at another.
        let entrance = ENTRANCE.swap(0, Ordering::SeqCst);
        let (was_closed, is_anybody_inside) = (entrance >= FORK, !entrance.is_multiple_of(FORK));
        let may_be_others = HAS_SEVERAL_THREADS.load(Ordering::SeqCst)
            || ![0, threads::here()].contains(&FIRST_THREAD.load(Ordering::SeqCst));
        if is_anybody_inside || !was_closed && may_be_others {
            IS_LOST.store(true, Ordering::SeqCst);
        }
        FIRST_THREAD.store(0, Ordering::SeqCst);
        HAS_SEVERAL_THREADS.store(false, Ordering::SeqCst);
        IS_ANYBODY_STUCK.store(false, Ordering::Relaxed);
        RENEWAL.free_in_child();
    }
    if IS_LOST.load(Ordering::SeqCst) { Err(Errno::IO) } else { Ok(()) }
}

/// A call was given up on: forks do not wait long for others.
pub fn note_given_up() {
    IS_ANYBODY_STUCK.store(true, Ordering::Relaxed);
}

#[cold]
fn renew() -> Result<()> {
    if IS_LOST.load(Ordering::SeqCst) {
        return Err(Errno::IO);
    }
    let _turn = RENEWAL.lock();
    let now = GENERATION.load(Ordering::Acquire);
    if NETWORK_GENERATION.load(Ordering::Acquire) == now {
        return Ok(());
    }
    if let Some(library) = library::loaded() {
        super::copied::after_fork_in_child();
        error::of_daos(super::client::session::reinit(library)).map_err(|_| Errno::NOTCONN)?;
    }
    NETWORK_GENERATION.store(now, Ordering::Release);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_waits_for_who_is_inside_and_keeps_others_out() {
        let inside = enter_as_is();
        let closer = std::thread::spawn(|| {
            let start = kernel::monotonic();
            close();
            kernel::monotonic() - start
        });
        while ENTRANCE.load(Ordering::SeqCst) < FORK {
            std::thread::yield_now();
        }
        let other = std::thread::spawn(|| drop(enter_as_is()));
        std::thread::sleep(std::time::Duration::from_millis(30));
        // Those who wait are not counted: a child that is made now finds nobody inside but the first.
        assert!(!other.is_finished() && ENTRANCE.load(Ordering::SeqCst) == FORK + 1);
        drop(inside);
        assert!(closer.join().unwrap() >= 20_000_000);
        open();
        other.join().unwrap();
    }
}

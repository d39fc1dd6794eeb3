//! The servers' part of a long transfer: moving its bytes while the client does something else.
//!
//! Real servers are other machines, and a network moves bytes whatever the client does meanwhile. Here a thread does so,
//! made when the first transfer is launched that it is worth the while for ([`BYTES_MIN`]): it begins at once, one
//! transfer after another as they were launched. That the event ends is still for the client to find out
//! ([`crate::events`]). A client that waits for an answer which is due and which the thread has not come to does the
//! thread's work itself: it has nothing else to do, and real servers are several. Writes keep their order all the same,
//! because the host's file systems take one after another anyway.
//!
//! The thread goes with its process. A fork child forgets it, and what it was about to do, and makes its own; the
//! parent's transfers are the parent's. A call that waits for its answer needs no thread: its own moves the bytes.

use crate::container::locked;
use sidestep::ground::guard::{self, Quiet};
use sidestep::ground::kernel;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

/// The shortest transfer that the thread is worth the while for: 64 KiB are copied in less than a message's 20 us.
pub const BYTES_MIN: u64 = (64 << 10) + 1;

/// How long the thread looks out for the next transfer before it sleeps: being woken takes 50 us and more.
const LOOKOUT: Duration = Duration::from_micros(40);

/// Two looks that are no farther apart are one wait: a client that does something meanwhile takes longer.
const LOOK_AGAIN: Duration = Duration::from_micros(3);

/// The longest sleep; only a transfer ends it.
const SLEEP_MILLISECONDS: u32 = 3_600_000;

/// Enough for the embedded engine and the library below it.
const STACK_BYTES: usize = 1 << 20;

/// What moves a transfer's bytes.
pub type Work = Box<dyn FnOnce() -> Moved + Send>;

/// What came of it.
pub struct Moved {
    /// For `ev_error`.
    pub outcome: i32,
    /// The last bytes of the transfer's memory just then.
    pub last_bytes: Vec<u8>,
}

/// A transfer that was handed over.
pub struct Job {
    is_write: bool,
    work: Mutex<Option<Work>>,
    moved: Mutex<Option<Moved>>,
    /// When the client last looked whether it has ended.
    looked: Mutex<Option<Instant>>,
}

/// A thread, and what it has to do.
#[derive(Default)]
struct Server {
    waiting: Mutex<VecDeque<Arc<Job>>>,
    /// How many those are, for a look without the lock.
    waiting_count: AtomicU32,
    /// Whoever writes has it.
    write_turn: Mutex<()>,
    /// 1 while the thread sleeps, or is about to.
    is_asleep: AtomicU32,
}

/// This process's, once it was needed. The thread itself never takes this lock, so a fork never finds it held by it.
static SERVER: Mutex<Option<Arc<Server>>> = Mutex::new(None);

/// In a fork child: what the parent's thread had, it has there.
pub fn after_fork_in_child() {
    // Not dropped: its locks may be held, by nobody who is here.
    std::mem::forget(locked(&SERVER).take());
}

/// Hands a transfer over. It comes back where no thread can be made.
///
/// # Errors
/// The work.
pub fn hand_over(work: Work, is_write: bool) -> Result<Arc<Job>, Work> {
    let Some(server) = server() else { return Err(work) };
    let job =
        Arc::new(Job { is_write, work: Mutex::new(Some(work)), moved: Mutex::new(None), looked: Mutex::new(None) });
    {
        let mut waiting = locked(&server.waiting);
        waiting.push_back(job.clone());
        server.waiting_count.store(count_of(&waiting), Ordering::SeqCst);
    }
    if server.is_asleep.swap(0, Ordering::SeqCst) != 0 {
        kernel::wake_one(&server.is_asleep);
    }
    Ok(job)
}

fn count_of(waiting: &VecDeque<Arc<Job>>) -> u32 {
    u32::try_from(waiting.len()).unwrap_or(u32::MAX)
}

fn server() -> Option<Arc<Server>> {
    let mut server = locked(&SERVER);
    if server.is_none() {
        let made = Arc::new(Server::default());
        let its_own = made.clone();
        // The thread is born with every signal blocked.
        let _quiet = Quiet::enter();
        let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
        builder.spawn(move || its_own.run()).ok()?;
        *server = Some(made);
    }
    server.clone()
}

impl Job {
    /// What came of it, if its bytes are moved: told once.
    pub fn take_moved(&self) -> Option<Moved> {
        locked(&self.moved).take()
    }

    /// The client looks whether it has ended, in vain. Who does so again and again waits for it.
    pub fn look(&self) {
        let before = locked(&self.looked).replace(Instant::now());
        if before.is_some_and(|before| before.elapsed() < LOOK_AGAIN) {
            self.wait();
        }
    }

    /// The client waits for it, for a moment: it does the thread's work, if the thread has not come to it.
    pub fn wait(&self) {
        let server = locked(&SERVER).clone();
        if locked(&self.work).is_none() || !server.is_some_and(|server| server.move_one()) {
            // It is being moved by a thread that may need this processor.
            rustix::thread::sched_yield();
        }
        *locked(&self.looked) = Some(Instant::now());
    }

    fn run(&self) {
        let work = locked(&self.work).take();
        if let Some(work) = work {
            let moved = work();
            *locked(&self.moved) = Some(moved);
        }
    }
}

impl Server {
    /// Moves the bytes of the transfer whose turn it is. False: there is none, or somebody is at it.
    fn move_one(&self) -> bool {
        let write_turn = match self.write_turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let job = {
            let mut waiting = locked(&self.waiting);
            let at = waiting.iter().position(|job| !job.is_write || write_turn.is_some());
            let job = at.and_then(|at| waiting.remove(at));
            self.waiting_count.store(count_of(&waiting), Ordering::SeqCst);
            job
        };
        let Some(job) = job else { return false };
        let _write_turn = write_turn.filter(|_| job.is_write);
        job.run();
        true
    }

    fn run(&self) {
        let _quiet = Quiet::enter();
        guard::allow_libc_signals();
        let mut busy = Instant::now();
        loop {
            if self.waiting_count.load(Ordering::SeqCst) != 0 && self.move_one() {
                busy = Instant::now();
            } else if busy.elapsed() < LOOKOUT {
                // Lets a client that helps, or another program, go on.
                rustix::thread::sched_yield();
            } else {
                self.is_asleep.store(1, Ordering::SeqCst);
                if self.waiting_count.load(Ordering::SeqCst) == 0 {
                    kernel::wait_on(&self.is_asleep, 1, SLEEP_MILLISECONDS);
                }
                self.is_asleep.store(0, Ordering::SeqCst);
                busy = Instant::now();
            }
        }
    }
}

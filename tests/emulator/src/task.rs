//! What an operation has to do, who does it, and when it has ended.
#![allow(unsafe_code)]

use crate::server::{self, Job, Moved};
use crate::settings::complain;
use sidestep::ground::buffer::Segment;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What an operation does; its outcome goes to `ev_error`.
pub type Work = Box<dyn FnOnce() -> i32 + Send>;

/// An operation that was launched.
pub struct Task {
    /// When its messages are through; `None`: never.
    pub due: Option<Instant>,
    way: Way,
}

/// Who does its work.
enum Way {
    /// The client, when it ends.
    AtEnd(Work),
    /// The servers, meanwhile; and the last bytes of its memory.
    Meanwhile(Arc<Job>, Last),
}

/// What moves while the client goes on.
pub struct Meanwhile {
    is_write: bool,
    last: Last,
}

impl Meanwhile {
    /// The bytes of a transfer's memory.
    pub fn of(memory: &[Segment], is_write: bool) -> Self {
        Self { is_write, last: Last::of(memory) }
    }
}

/// So many of a transfer's last bytes are remembered at most.
const LAST_BYTES: usize = 64;

/// The last bytes of a transfer's memory, which stays until it has ended.
#[derive(Clone, Copy)]
struct Last(Segment);

// SAFETY: the client's memory, by its word for any thread; it is only read.
unsafe impl Send for Last {}

impl Last {
    fn of(memory: &[Segment]) -> Self {
        let last = memory.last().copied().unwrap_or(Segment::of_slice(&[]));
        Self(last.part(last.len().saturating_sub(LAST_BYTES), LAST_BYTES))
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; self.0.len()];
        // SAFETY: of that length. The memory is the client's, which waits.
        let _ = unsafe { self.0.copy_to(bytes.as_mut_ptr()) };
        bytes
    }
}

impl Task {
    /// Of an operation whose work is done when it ends; or, where it is told which memory is moved, as soon as the servers
    /// come to it.
    pub fn new(due: Option<Instant>, work: Work, meanwhile: Option<&Meanwhile>) -> Self {
        let way = match meanwhile {
            None => Way::AtEnd(work),
            Some(meanwhile) => {
                let last = meanwhile.last;
                let moved = Box::new(move || Moved { outcome: work(), last_bytes: { last }.bytes() });
                match server::hand_over(moved, meanwhile.is_write) {
                    Ok(job) => Way::Meanwhile(job, last),
                    Err(moved) => Way::AtEnd(Box::new(move || moved().outcome)),
                }
            }
        };
        Self { due, way }
    }

    /// Its outcome, if it has ended by `now`; where the client itself is still to do the work, by `soon`. Told once.
    pub fn outcome(&mut self, now: Instant, soon: Instant) -> Option<i32> {
        let due = self.due?;
        match &mut self.way {
            Way::AtEnd(work) if due <= soon => {
                let work = std::mem::replace(work, Box::new(|| 0));
                let began = Instant::now();
                let outcome = work();
                note_work(began.elapsed());
                while Instant::now() < due {
                    std::hint::spin_loop();
                }
                Some(outcome)
            }
            Way::Meanwhile(job, last) if due <= now => {
                let Moved { outcome, last_bytes } = job.take_moved()?;
                if last_bytes != last.bytes() {
                    complain("the memory of a transfer was changed before it ended");
                }
                Some(outcome)
            }
            _ => None,
        }
    }

    /// The servers' work, where nothing else is missing.
    pub fn overdue(&self, now: Instant) -> Option<Arc<Job>> {
        match &self.way {
            Way::Meanwhile(job, _) if self.due.is_some_and(|due| due <= now) => Some(job.clone()),
            _ => None,
        }
    }
}

/// From when on the client is to begin with its own work, for an operation to end at `now`.
pub fn soon(now: Instant) -> Instant {
    now + Duration::from_nanos(WORK_NS.load(Ordering::Relaxed))
}

/// What the client's work for an operation takes, in nanoseconds: of the last ones, each an eighth of the figure.
static WORK_NS: AtomicU64 = AtomicU64::new(0);

fn note_work(took: Duration) {
    let took = u64::try_from(took.min(WORK_MAX).as_nanos()).unwrap_or(0);
    let known = WORK_NS.load(Ordering::Relaxed);
    WORK_NS.store(known - known / 8 + took / 8, Ordering::Relaxed);
}

/// More is another program's turn.
const WORK_MAX: Duration = Duration::from_micros(15);

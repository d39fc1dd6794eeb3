//! The network that is not there: each message takes its time, and while the servers are gone none is answered.

use crate::calls::Call;
use crate::counters;
use crate::descriptors;
use crate::errors::{Answer, Trouble};
use crate::fault::{self, Effect};
use crate::settings::settings;
use crate::turns::{self, OwnEvent};
use sidestep::ground::kernel;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The messages of one call, as it goes on.
#[derive(Debug)]
pub struct Exchange {
    /// `None`: nothing is counted and nothing takes time.
    call: Option<Call>,
    began: Instant,
    /// Messages one after another, each of which takes its time.
    steps: u32,
    /// When the link has carried the bytes.
    carried: Option<Instant>,
    /// A read is to be told fewer bytes than there are, by a fault's order.
    pub is_short: bool,
}

/// A wait longer than this sleeps, so as not to take a processor from the others; a shorter one looks at the clock as
/// DAOS's client does, because a sleep's end is 50 us and more off.
const SLEEP_MIN: Duration = Duration::from_micros(200);

impl Exchange {
    /// Of a call that begins now.
    pub fn of(call: Call) -> Self {
        Self { call: Some(call), began: Instant::now(), steps: 0, carried: None, is_short: false }
    }

    /// Of what is no client's call.
    pub fn unheard() -> Self {
        Self { call: None, began: Instant::now(), steps: 0, carried: None, is_short: false }
    }

    /// One message, after those before it.
    pub fn message(&mut self) {
        self.messages(1);
    }

    /// `count` messages at the same time, after those before them.
    pub fn messages(&mut self, count: u64) {
        if let Some(call) = self.call {
            // At a message: the real library makes its system calls there, and none in a call that sends nothing.
            descriptors::look_after();
            counters::count_messages(call, count);
            self.steps += u32::from(count != 0);
        }
    }

    /// Bytes of data that go with the messages.
    pub fn bytes(&mut self, count: u64) {
        if let Some(bandwidth) = settings().bandwidth {
            self.carried = Some(carry(count, bandwidth));
        }
    }

    /// When the last of them is answered.
    pub fn due(&self) -> Instant {
        let latency = settings().latency * self.steps;
        self.carried.unwrap_or(self.began).max(self.began) + latency
    }

    /// Waits for that.
    pub fn wait(&self) {
        if self.steps != 0 {
            wait_until(self.due());
        }
    }
}

/// Makes a call that answers when it is done: counted, with its faults, its messages and the time that they take.
///
/// # Errors
/// `work`'s, or a fault's.
pub fn serve<T>(call: Call, work: impl FnOnce(&mut Exchange) -> Answer<T>) -> Answer<T> {
    counters::count_call(call);
    let _event = OwnEvent::take()?;
    let mut exchange = Exchange::of(call);
    let effect = fault::strike(call, true);
    match effect {
        None | Some(Effect::IsShort) => {
            exchange.is_short = effect.is_some();
            wait_for_servers();
            let answer = work(&mut exchange);
            exchange.wait();
            answer
        }
        Some(Effect::Fails(trouble)) => fail(exchange, trouble),
        Some(Effect::FailsLate(trouble)) => {
            wait_for_servers();
            let _done = work(&mut exchange);
            exchange.wait();
            Err(trouble)
        }
        Some(Effect::Hangs) => hang(),
    }
}

/// Makes a call that sends no message.
///
/// # Errors
/// `work`'s, or a fault's that was ordered for this very call.
pub fn serve_here<T>(call: Call, work: impl FnOnce() -> Answer<T>) -> Answer<T> {
    counters::count_call(call);
    match fault::strike(call, false) {
        None | Some(Effect::IsShort) => work(),
        Some(Effect::Fails(trouble)) => Err(trouble),
        Some(Effect::FailsLate(trouble)) => work().and(Err(trouble)),
        Some(Effect::Hangs) => hang(),
    }
}

fn fail<T>(mut exchange: Exchange, trouble: Trouble) -> Answer<T> {
    exchange.message();
    exchange.wait();
    Err(trouble)
}

fn hang() -> ! {
    loop {
        turns::wait();
    }
}

/// Whether the servers do not answer at this moment.
pub fn are_servers_gone() -> bool {
    settings().vanish.as_ref().is_some_and(|file| rustix::fs::access(file, rustix::fs::Access::EXISTS).is_ok())
}

/// Waits while the servers are gone.
pub fn wait_for_servers() {
    while are_servers_gone() {
        turns::wait();
    }
}

/// Waits until an instant, as DAOS's client waits for an answer.
pub fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SLEEP_MIN {
            kernel::sleep(u32::try_from((left - SLEEP_MIN / 2).as_micros()).unwrap_or(u32::MAX).min(500_000));
        } else {
            // Alone, this is a look at the clock; among others, it lets them go on meanwhile.
            rustix::thread::sched_yield();
        }
    }
}

/// Puts bytes on this process's link, behind those that are on it already; answers when they have arrived.
fn carry(count: u64, bandwidth: u64) -> Instant {
    static FREE_AT: AtomicU64 = AtomicU64::new(0);
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    let now = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let takes = u64::try_from(u128::from(count) * 1_000_000_000 / u128::from(bandwidth)).unwrap_or(u64::MAX);
    let behind = |free_at: u64| free_at.max(now).saturating_add(takes);
    let before = FREE_AT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free_at| Some(behind(free_at)));
    origin + Duration::from_nanos(behind(before.unwrap_or(now)))
}

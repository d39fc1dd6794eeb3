//! A file as this process has it cached: what all its descriptions share.

use super::block::Block;
use super::causal::Proof;
use super::container::Shared;
use super::frame::Frame;
use super::ghosts::Ghosts;
use super::hints::Hints;
use super::lock::{Guard, Lock};
use super::opening::Opening;
use super::ranges::Ranges;
use crate::ground::clock::{self, Clock};
use crate::ground::guard::Quiet;
use crate::ground::{Errno, Result, kernel};
use crate::store::{Attributes, Changes, Found, RemoteArray, Timestamp, Transfer};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// An end of file that nobody knows.
pub const UNKNOWN: u64 = u64::MAX;

/// How long the end of a file is believed when a read meets it, in milliseconds: `tail -f` sees another process's
/// bytes within a second, and a program that reads up to the end asks no second time.
const END_FRESH_MILLISECONDS: i64 = 1000;

/// A read that was begun ahead of its reader, into memory that is no block's yet.
pub struct Incoming {
    /// Which block.
    pub index: u64,
    /// Its memory.
    pub frame: &'static Frame,
    /// The read.
    pub transfer: Box<dyn Transfer>,
    /// What of the block it asked for, in whole pages but where the file ends.
    pub ranges: Ranges,
    /// Bytes that it asked for were changed meanwhile: what it brings is no good.
    pub is_stale: bool,
    /// Until when it is, by [`crate::ground::kernel::monotonic`].
    pub good_until: i64,
}

/// A message that is under way without the file's lock.
pub struct UnderWay {
    /// Which.
    pub ticket: u64,
    /// The bytes that it reads.
    pub start: u64,
    /// The byte behind them.
    pub end: u64,
    /// They were changed meanwhile: it has to be asked again.
    pub is_stale: bool,
}

/// What the file's lock is for.
#[derive(Default)]
pub struct State {
    /// The cached blocks by number.
    pub blocks: BTreeMap<u64, Block>,
    /// Reads ahead that are under way.
    pub incoming: Vec<Incoming>,
    /// Blocks whose writes are under way, oldest first.
    pub outgoing: VecDeque<u64>,
    /// Messages without the lock.
    pub under_way: Vec<UnderWay>,
    /// Numbers for them.
    pub tickets: u64,
    /// The open file descriptions.
    pub openings: Vec<Arc<Opening>>,
    /// Blocks that a sequential reader or writer is through with, oldest first.
    pub passed: VecDeque<u64>,
    /// The first block behind all that were ever dropped because a reader was through with them.
    pub passed_end: u64,
    /// Somebody reads a second time what was dropped as passed: from now on nothing is.
    pub is_read_again: bool,
    /// How often bytes of the store were changed: what was read before must not become part of the cache after.
    pub age: u64,
    /// Memory of the blocks and of what is coming in, in bytes.
    pub used_bytes: u64,
    /// What was read at random and not cached.
    pub ghosts: Ghosts,
    /// Where the clock's hand stands.
    pub hand: u64,
    /// Pieces that were gathered since the last write-back.
    pub pieces: usize,
    /// Dirty memory, in bytes, at the last look.
    pub dirty_bytes: u64,
    /// The last write-back failed and told it; nothing was written since.
    pub has_failed: bool,
    /// The epoch of the last change that the store had told of before any of the clean bytes was fetched.
    pub change_epoch: Option<u64>,
    /// Since the file was opened last, it was read again after somebody was heard of.
    pub has_begun_anew: bool,
}

/// One file of a container, shared by its descriptions in this process.
pub struct CachedFile {
    /// Tells it from every other file that this process ever cached; not 0.
    pub id: u64,
    /// The node.
    pub found: Found,
    /// The array, as its first description opened it.
    pub remote: Arc<dyn RemoteArray>,
    /// The container's part.
    pub shared: Arc<Shared>,
    /// Bytes in a block.
    pub block_bytes: u32,
    /// The block's size as a power of two, or 64 where it is none.
    pub block_shift: u32,
    /// Where blocks are, for a hit.
    pub hints: Hints,
    /// Descriptions; under the registry's lock.
    pub users: AtomicU32,
    /// The store's end of file, or [`UNKNOWN`].
    pub remote_end: AtomicU64,
    /// When that was learnt, in milliseconds of the coarse clock.
    pub end_learnt: AtomicI64,
    /// The end of the last byte that was written here and may not be in the store; 0 for none.
    pub own_end: AtomicU64,
    /// When the last cached write was made, in nanoseconds since the epoch; 0 once all are stored.
    pub written_at: AtomicI64,
    /// Blocks with dirty bytes that nobody is storing.
    pub dirty_blocks: AtomicU32,
    /// When the oldest of them became dirty, in milliseconds of the coarse clock.
    pub dirty_since: AtomicI64,
    /// As of when the clean bytes are what the store has.
    pub proof: Proof,
    /// Transfers that were begun and not waited for.
    pub transfers: AtomicU32,
    /// The rest.
    pub lock: Lock<State>,
}

/// Milliseconds of a clock that goes on and is cheap to read: by the vDSO, without a system call, 4 ms coarse.
pub fn coarse_milliseconds() -> i64 {
    clock::nanoseconds(Clock::MonotonicCoarse) / 1_000_000
}

impl CachedFile {
    /// A file of which nothing is cached.
    pub fn new(id: u64, remote: Arc<dyn RemoteArray>, shared: Arc<Shared>) -> Self {
        let block_bytes = super::block_size::block_bytes(remote.chunk_bytes());
        Self {
            id,
            found: remote.found(),
            remote,
            shared,
            block_bytes,
            block_shift: if block_bytes.is_power_of_two() { block_bytes.trailing_zeros() } else { 64 },
            hints: Hints::new(),
            users: AtomicU32::new(0),
            remote_end: AtomicU64::new(UNKNOWN),
            end_learnt: AtomicI64::new(0),
            own_end: AtomicU64::new(0),
            written_at: AtomicI64::new(0),
            dirty_blocks: AtomicU32::new(0),
            dirty_since: AtomicI64::new(0),
            proof: Proof::default(),
            transfers: AtomicU32::new(0),
            lock: Lock::new(State::default()),
        }
    }

    /// The state, waited for while another thread has it.
    ///
    /// # Errors
    /// `EIO` where it was not to be had within the mount's time, or where a signal handler asks between the moment in
    /// which its thread made everything ready for a fork and the fork.
    pub fn lock<'a>(&'a self, quiet: &'a Quiet) -> Result<Guard<'a, State>> {
        self.shared.await_fork()?;
        self.lock.lock_within(quiet, self.shared.patience).ok_or(Errno::IO)
    }

    /// Which block a byte is in.
    #[inline(always)]
    pub fn index_of(&self, offset: u64) -> u64 {
        if self.block_shift < 64 { offset >> self.block_shift } else { offset / u64::from(self.block_bytes) }
    }

    /// The first byte of a block.
    #[inline(always)]
    pub fn start_of(&self, index: u64) -> u64 {
        index.saturating_mul(u64::from(self.block_bytes))
    }

    /// The parts of `start..end` by block: its number, and the first and the last byte's end in it.
    pub fn parts(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u32, u32)> + use<> {
        let block = u64::from(self.block_bytes);
        let mut at = start;
        std::iter::from_fn(move || {
            let index = at / block;
            let from = at - index * block;
            let to = (end - index * block).min(block);
            (at < end).then(|| {
                at = index * block + to;
                (index, from as u32, to as u32)
            })
        })
    }

    /// The end of the file as far as it is known here: the store's, or that of own writes.
    #[inline(always)]
    pub fn end(&self) -> Option<u64> {
        match self.remote_end.load(Ordering::Acquire) {
            UNKNOWN => None,
            remote => Some(remote.max(self.own_end.load(Ordering::Acquire))),
        }
    }

    /// Whether what is known of the end is recent.
    pub fn is_end_fresh(&self) -> bool {
        coarse_milliseconds() - self.end_learnt.load(Ordering::Relaxed) < END_FRESH_MILLISECONDS
    }

    /// The store's end of file is `end`, as it just said.
    pub fn learn_end(&self, end: u64) {
        self.end_learnt.store(coarse_milliseconds(), Ordering::Relaxed);
        self.remote_end.store(end, Ordering::Release);
    }

    /// The file reaches to `end` at least, as the store just showed: who meets it there asks where it ends.
    pub fn suppose_end(&self, end: u64) {
        // Before the end itself: whoever reads without the lock must not take it for a fresh one.
        self.end_learnt.store(coarse_milliseconds() - END_FRESH_MILLISECONDS, Ordering::Release);
        self.remote_end.store(end, Ordering::Release);
    }

    /// Bytes up to `end` are in the store now.
    pub fn raise_end(&self, end: u64) {
        let raise = |known: u64| (known != UNKNOWN && known < end).then_some(end);
        let _ = self.remote_end.fetch_update(Ordering::AcqRel, Ordering::Acquire, raise);
    }

    /// Notes a write into the cache that ends at `end`; after its bytes were made dirty, so that whoever works
    /// [`own_end`](Self::own_end) out anew either sees them or is seen here.
    #[inline(always)]
    pub fn note_written(&self, end: u64) {
        let mut known = self.own_end.load(Ordering::Acquire);
        while known < end {
            match crate::ground::threads::replace(&self.own_end, known, end) {
                Ok(_) => break,
                Err(other) => known = other,
            }
        }
        self.written_at.store(kernel::now(), Ordering::Relaxed);
    }

    /// Whether bytes that were written here may not be in the store.
    pub fn has_unstored(&self, state: &State) -> bool {
        self.dirty_blocks.load(Ordering::Acquire) != 0 || !state.outgoing.is_empty()
    }

    /// The same without the lock, and including what is coming in.
    pub fn is_stored(&self) -> bool {
        self.dirty_blocks.load(Ordering::Acquire) == 0 && self.transfers.load(Ordering::Acquire) == 0
    }

    /// Works out anew where own writes end.
    pub fn settle_own_end(&self, state: &State) {
        loop {
            let known = self.own_end.load(Ordering::Acquire);
            let end_of = |(index, block): (&u64, &Block)| {
                let sent = block.outgoing.as_ref().map_or(0, |outgoing| outgoing.ranges.end());
                let end = sent.max(block.dirty().end());
                if end == 0 { 0 } else { self.start_of(*index) + u64::from(end) }
            };
            let end = state.blocks.iter().rev().map(end_of).find(|end| *end != 0).unwrap_or(0);
            if self.own_end.compare_exchange(known, end, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                if end == 0 {
                    self.written_at.store(0, Ordering::Relaxed);
                }
                return;
            }
        }
    }

    /// Adds to what the store says of the file what only this process knows yet.
    pub fn lay_over(&self, attributes: &mut Attributes) {
        let end = self.own_end.load(Ordering::Acquire);
        if end == 0 {
            return;
        }
        attributes.size_bytes = attributes.size_bytes.max(end);
        let written = Timestamp(self.written_at.load(Ordering::Relaxed));
        attributes.modified = attributes.modified.max(written);
        attributes.changed = attributes.changed.max(written);
    }

    /// Before the store is told times: bytes that were written before must not go there afterwards and move them.
    pub fn before_change(&self, changes: &Changes) {
        if changes.modified.is_none() {
            return;
        }
        let quiet = Quiet::enter();
        if let Ok(mut state) = self.lock(&quiet)
            && self.has_unstored(&state)
        {
            // An error is told to those who wrote.
            let _ = self.write_back(&mut state, None);
        }
    }

    /// Gives everything back, at the end of the last description. Tells how many dirty bytes are lost with it.
    pub fn discard(&self, state: &mut State) -> u64 {
        self.receive_all(state);
        while let Some(index) = state.outgoing.front().copied() {
            self.finish(state, index);
        }
        let mut lost = 0;
        for (index, mut block) in std::mem::take(&mut state.blocks) {
            lost += block.take_dirty().bytes();
            self.hints.remove(index, block.frame);
            if block.frame.dirty.seen().has_writers() {
                self.abandon(state, block.frame);
            } else {
                self.release(state, block.frame);
            }
        }
        self.note_all_clean();
        lost
    }

    /// A write-back failed: everybody who wrote is to be told, but for `told`, who knows.
    pub fn tell_writers(&self, state: &mut State, errno: Errno, told: Option<&Opening>) {
        for opening in &state.openings {
            if !told.is_some_and(|told| std::ptr::eq(told, &raw const **opening)) {
                opening.note_failure(errno);
            }
        }
    }
}

impl State {
    /// Notes a message that goes on without the lock.
    pub fn begin_message(&mut self, start: u64, end: u64) -> u64 {
        self.tickets += 1;
        self.under_way.push(UnderWay { ticket: self.tickets, start, end, is_stale: false });
        self.tickets
    }

    /// Its end; whether what it read was changed meanwhile.
    pub fn end_message(&mut self, ticket: u64) -> bool {
        let at = self.under_way.iter().position(|message| message.ticket == ticket);
        at.is_some_and(|at| self.under_way.swap_remove(at).is_stale)
    }

    /// The store's bytes `start..end` are changed now or in a moment: what was asked for and is not here yet is no good.
    pub fn spoil(&mut self, start: u64, end: u64, block_bytes: u32) {
        self.age += 1;
        for message in &mut self.under_way {
            message.is_stale |= message.start < end && start < message.end;
        }
        for incoming in &mut self.incoming {
            let at = incoming.index * u64::from(block_bytes);
            let low = start.saturating_sub(at).min(u64::from(block_bytes)) as u32;
            let high = end.saturating_sub(at).min(u64::from(block_bytes)) as u32;
            incoming.is_stale |= incoming.ranges.within(low, high).next().is_some();
        }
    }
}

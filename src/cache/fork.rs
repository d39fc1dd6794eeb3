//! Fork and exec: the cache comes to rest before, and is put right after.
//!
//! Before, the forking thread takes the lock of every file, with nothing under way in any of them, and keeps all of
//! them until it is told that the fork is over. Where that takes too long (a store that does not answer) it goes on
//! without; the child then finds a lock that belongs to nobody, and begins with an empty cache for that file. Where it
//! finds the list of the files so, it can't use the container.
#![allow(unsafe_code)]

use super::container::Shared;
use super::file::{CachedFile, State};
use super::flusher;
use super::frame;
use crate::ground::guard::Quiet;
use crate::ground::stopwatch::Stopwatch;
use crate::ground::{Errno, Result, kernel, threads};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a fork waits in all for calls of other threads, beyond what the engine's own timeouts take.
const REST_TIME: Duration = Duration::from_secs(5);

/// Between two looks at a lock or a call that has to end first, in microseconds: about a message's time.
const NAP_MICROSECONDS: u32 = 30;

impl Shared {
    /// Whether a thread has prepared for a fork that is not over.
    pub fn is_forking(&self) -> bool {
        self.forker.load(Ordering::Acquire) != 0
    }

    /// Waits while another thread forks.
    ///
    /// # Errors
    /// `EIO` if it takes too long, or for a signal handler between its own thread's preparation and the fork.
    #[inline]
    pub fn await_fork(&self) -> Result<()> {
        if self.is_forking() { self.await_fork_slowly() } else { Ok(()) }
    }

    #[cold]
    fn await_fork_slowly(&self) -> Result<()> {
        let since = Stopwatch::start();
        while self.is_forking() {
            if self.forker.load(Ordering::Acquire) == threads::here() || since.elapsed() > self.patience {
                return Err(Errno::IO);
            }
            kernel::sleep(NAP_MICROSECONDS);
        }
        Ok(())
    }

    /// Brings everything to rest, and has what is written to causal files `stored`: who is about to tell anybody of it does not
    /// wait for the fork. A second call before the fork is over does nothing.
    pub(super) fn before_fork(&self, stored: bool) {
        let since = Stopwatch::start();
        while let Err(other) = self.forker.compare_exchange(0, threads::here(), Ordering::AcqRel, Ordering::Acquire) {
            if other == threads::here() || since.elapsed() > REST_TIME {
                return;
            }
            kernel::sleep(NAP_MICROSECONDS);
        }
        let quiet = Quiet::enter();
        let Some(registry) = self.registry.lock_within(&quiet, REST_TIME) else {
            self.forker.store(0, Ordering::Release);
            return;
        };
        let mut held = self.held.lock(&quiet);
        held.clear();
        for file in registry.files.values() {
            if file.bring_to_rest(&quiet, since, stored) {
                held.push(file.clone());
            }
        }
        drop(held);
        // Given back by `let_go`.
        std::mem::forget(registry);
    }

    fn let_go(&self) {
        let quiet = Quiet::enter();
        for file in self.held.lock(&quiet).drain(..) {
            // SAFETY: forgotten by `bring_to_rest` in this thread, or in the one that it is the fork child of.
            unsafe { file.lock.release_forgotten() };
        }
    }

    pub(super) fn after_fork_in_parent(&self) {
        if self.forker.load(Ordering::Acquire) != threads::here() {
            return;
        }
        self.let_go();
        self.release_registry();
        self.forker.store(0, Ordering::Release);
    }

    fn release_registry(&self) {
        if self.registry.is_held() {
            // SAFETY: forgotten by `before_fork`; while there is a forker nobody else gets it but for moments, and
            // those are over: this thread had it.
            unsafe { self.registry.release_forgotten() };
        }
    }

    /// # Errors
    /// `EIO` where the list of the files was being changed when this process was made: nobody knows in which state those
    /// are that can't be found by it.
    pub(super) fn after_fork_in_child(&self) -> Result<()> {
        frame::after_fork_in_child();
        flusher::after_fork_in_child();
        self.is_watched.store(false, Ordering::Release);
        let was_prepared = self.forker.load(Ordering::Acquire) == threads::here();
        if was_prepared {
            self.let_go();
            self.release_registry();
        }
        self.forker.store(0, Ordering::Release);
        if self.held.is_held() || self.registry.is_held() {
            return Err(Errno::IO);
        }
        for file in self.all_files().ok_or(Errno::IO)? {
            file.start_in_child();
        }
        Ok(())
    }
}

impl CachedFile {
    /// Takes the lock with nothing under way, and keeps it. False: in the time that there is it was not to be had.
    fn bring_to_rest(self: &Arc<Self>, quiet: &Quiet, since: Stopwatch, stored: bool) -> bool {
        loop {
            let left = REST_TIME.saturating_sub(since.elapsed()).max(Duration::from_millis(1));
            let Some(mut state) = self.lock.lock_within(quiet, left) else { return false };
            if state.under_way.is_empty() {
                self.receive_all(&mut state);
                while let Some(index) = state.outgoing.front().copied() {
                    self.finish(&mut state, index);
                }
                if stored && self.shared.is_causal() && self.has_unstored(&state) && !state.has_failed {
                    // An error is told to those who wrote.
                    let _ = self.write_back(&mut state, None);
                }
                std::mem::forget(state);
                return true;
            }
            drop(state);
            if since.elapsed() > REST_TIME {
                return false;
            }
            kernel::sleep(NAP_MICROSECONDS);
        }
    }

    /// In a fork child: clean bytes stay; what was dirty or under way is the parent's.
    fn start_in_child(&self) {
        if self.lock.is_held() {
            // Its holder was another thread, which was left in the parent in the middle of its work.
            // SAFETY: one thread is left, and it does not have the lock.
            unsafe { self.lock.start_again(State::default()) };
            self.hints.forget();
        }
        let quiet = Quiet::enter();
        let mut state = self.lock.lock(&quiet);
        state.under_way.clear();
        // The transfers belong to the parent's network: not even dropping them is right here.
        for incoming in std::mem::take(&mut state.incoming) {
            std::mem::forget(incoming.transfer);
            self.release(&mut state, incoming.frame);
        }
        state.outgoing.clear();
        let indices: Vec<u64> = state.blocks.keys().copied().collect();
        for index in indices {
            let Some(block) = state.blocks.get_mut(&index) else { continue };
            let was_outgoing = block.outgoing.take().map(std::mem::forget).is_some();
            let had_dirty = !block.take_dirty().is_empty();
            block.is_dirty = false;
            block.frame.dirty.thaw();
            if was_outgoing || had_dirty {
                self.drop_block(&mut state, index);
            }
        }
        state.has_failed = false;
        for opening in &state.openings {
            opening.note_stored();
            let _ = opening.take_failure();
        }
        self.dirty_blocks.store(0, Ordering::Release);
        self.transfers.store(0, Ordering::Release);
        self.own_end.store(0, Ordering::Release);
        self.written_at.store(0, Ordering::Relaxed);
    }
}

//! `consistency=causal`: what of a file's bytes may be read from memory, and what has to be stored before a word gets out.
//!
//! A file's clean bytes are *proved* as of a value of [`causality::heard`] and a time: at that moment the store had nothing
//! newer. An acquire changes that value, and all of them are unproved at once. The first read of one asks the store for the
//! epoch of the file's last change, one message: if it is the one that was told before the bytes were fetched, all of them
//! are proved again; else they are dropped. Where no epoch was told before, because nobody was heard of since the file was
//! opened, they are dropped without a question: a program that copies a file hears once, when it looks at where the copy
//! goes. The second time the epoch is asked for, and known from then on.

use super::container::Shared;
use super::file::{CachedFile, State, UNKNOWN, coarse_milliseconds};
use super::flusher;
use super::pages::PAGE_BYTES;
use super::span::Span;
use crate::ground::guard::Quiet;
use crate::ground::stopwatch::Stopwatch;
use crate::ground::{Result, causality, deep_stack};
use crate::store::Attributes;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// How long a proof is good, in milliseconds: what tells of a write without any call that the doors see (a flag in memory
/// that two programs share, RDMA) is believed after that time at the latest.
const PROOF_MILLISECONDS: i64 = 1000;

/// How long a release waits for a lock before it looks whether it still has to.
const STEP_TIME: Duration = Duration::from_millis(5);

/// How long it waits while another thread forks and does not come to store what is left.
const FORK_TIME: Duration = Duration::from_secs(1);

/// No value of [`causality::heard`].
const UNPROVED: u64 = 0;

/// As of when a file's clean bytes are what the store has.
#[derive(Debug, Default)]
pub struct Proof {
    /// What this process had heard.
    heard: AtomicU64,
    /// Until when it is good, in milliseconds of the coarse clock.
    until: AtomicI64,
    /// When the file was modified as attributes told it last, in nanoseconds; 0 for never.
    modified: AtomicI64,
}

impl Proof {
    #[inline(always)]
    fn is_good(&self) -> bool {
        causality::is_all(self.heard.load(Ordering::Acquire))
            && coarse_milliseconds() < self.until.load(Ordering::Relaxed)
    }

    /// What was asked when the process had heard that, at that time, has shown nothing newer.
    fn renew(&self, heard: u64, asked: i64) {
        self.until.store(asked + PROOF_MILLISECONDS, Ordering::Relaxed);
        self.heard.store(heard, Ordering::Release);
    }

    fn end(&self) {
        self.heard.store(UNPROVED, Ordering::Release);
    }
}

impl CachedFile {
    /// Whether the clean bytes are no older than anything that this process may have heard of. Always, where the mount's
    /// mode is another.
    #[inline(always)]
    pub fn is_proved(&self) -> bool {
        !self.shared.is_causal() || self.proof.is_good()
    }

    /// The clean bytes have to be asked about before they are read.
    pub fn unprove(&self) {
        self.proof.end();
    }

    /// Before a read of `span`: whether cached bytes may be used for it. They are proved if it touches any; where it does
    /// not, the read's own message brings what is newest.
    ///
    /// # Errors
    /// The engine's.
    pub fn prove_for(&self, state: &mut State, span: Span<'_>) -> Result<bool> {
        if self.is_proved() {
            return Ok(true);
        }
        if self.has_nothing(state) {
            self.begin_anew(state, causality::heard());
            return Ok(true);
        }
        let is_touched = self.parts(span.start(), span.end()).any(|(index, from, to)| {
            let pages = u64::from((to - 1) / PAGE_BYTES - from / PAGE_BYTES + 1);
            let block = state.blocks.get(&index);
            state.incoming.iter().any(|incoming| incoming.index == index)
                || block.is_some_and(|block| block.outgoing.is_some() || block.frame.valid().lacking(from, to) < pages)
        });
        if is_touched && (state.change_epoch.is_some() || state.has_begun_anew) {
            self.prove(state)?;
        } else if is_touched {
            state.has_begun_anew = true;
            self.begin_anew(state, causality::heard());
        }
        Ok(is_touched)
    }

    fn has_nothing(&self, state: &State) -> bool {
        state.blocks.is_empty() && state.incoming.is_empty() && self.remote_end.load(Ordering::Acquire) == UNKNOWN
    }

    /// Forgets what is cached, but for what is not stored: as of what was `heard` that is proof enough. Own bytes on their way
    /// would count as newest when they arrive, so they must have arrived before.
    pub fn begin_anew(&self, state: &mut State, heard: u64) {
        let asked = coarse_milliseconds();
        if self.shared.is_causal() {
            self.finish_all(state);
        }
        self.drop_clean(state);
        self.forget_end(state);
        state.change_epoch = None;
        self.proof.renew(heard, asked);
    }

    /// The same proof is good for one word more: what was heard was by the call that asked about this very file.
    pub fn note_proved(&self, heard: u64) {
        self.proof.renew(heard, coarse_milliseconds());
    }

    /// Asks the store whether the file has changed. What is cached is proved then, or dropped; the end is known.
    ///
    /// # Errors
    /// The engine's.
    pub fn prove(&self, state: &mut State) -> Result<()> {
        self.finish_all(state);
        let (mut heard, asked) = (causality::heard(), coarse_milliseconds());
        let (size_bytes, epoch) = self.remote.last_change()?;
        let known_end = self.remote_end.load(Ordering::Acquire);
        let is_same =
            epoch.is_some() && epoch == state.change_epoch && (known_end == UNKNOWN || known_end == size_bytes);
        if !is_same {
            self.drop_clean(state);
            self.forget_end(state);
            // What another process wrote here may be the word that it has written elsewhere.
            if state.change_epoch.is_some() {
                heard = causality::hear_name(heard).unwrap_or(UNPROVED);
            }
        }
        state.change_epoch = epoch;
        self.learn_end(size_bytes);
        self.proof.renew(heard, asked);
        Ok(())
    }

    /// Somebody was told attributes: what is cached from before a change that they show is asked about before it is read.
    pub fn compare(&self, attributes: &Attributes) {
        if !self.shared.is_causal() {
            return;
        }
        let modified = attributes.modified.0;
        let before = self.proof.modified.swap(modified, Ordering::AcqRel);
        let end = self.remote_end.load(Ordering::Acquire);
        if before != modified && before != 0 || end != UNKNOWN && end != attributes.size_bytes {
            self.unprove();
            causality::hear();
        }
    }
}

/// Stores what this process has written to causal containers, and waits for it: before it tells anybody anything. What
/// can't be stored is told to those who wrote it.
pub fn release() {
    deep_stack::run_quiet(|| {
        let quiet = Quiet::enter();
        for shared in flusher::watched(&quiet) {
            if shared.is_causal() {
                shared.release(&quiet);
            }
        }
    });
}

impl Shared {
    /// Waits for no fork: whoever forks stores by itself what is not stored, and then may need a lock of libc's that this
    /// thread has.
    fn release(&self, quiet: &Quiet) {
        let since = Stopwatch::start();
        let is_over = || {
            let limit = if self.is_forking() { FORK_TIME } else { self.patience };
            !causality::has_unstored() || since.elapsed() > limit
        };
        let files = loop {
            if let Some(registry) = self.registry.lock_within(quiet, STEP_TIME) {
                break registry.files.values().filter(|file| !file.is_stored()).cloned().collect::<Vec<_>>();
            }
            if is_over() {
                return;
            }
        };
        for file in files {
            while !file.is_stored() && !is_over() {
                let Some(mut state) = file.lock.lock_within(quiet, STEP_TIME) else { continue };
                // What could not be stored, and was told, is tried again by the calls that can tell it.
                if file.has_unstored(&state) && !state.has_failed {
                    let _ = file.write_back(&mut state, None);
                }
                break;
            }
        }
    }
}

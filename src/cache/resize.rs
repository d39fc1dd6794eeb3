//! Calls that change where a file ends, or make holes in it, or ask for them.

use super::file::{CachedFile, State};
use super::opening::Opening;
use crate::ground::Result;
use crate::ground::guard::Quiet;
use crate::store::Allocation;

impl CachedFile {
    /// Waits for the writes under way: whatever is done next must not be overtaken by them.
    pub fn finish_all(&self, state: &mut State) {
        while let Some(index) = state.outgoing.front().copied() {
            self.finish(state, index);
        }
    }

    /// After a call that failed nobody knows whether it was carried out.
    fn forget_clean(&self, state: &mut State) {
        self.drop_clean(state);
        self.forget_end(state);
    }

    /// Cuts the file off, or lets it grow. Dirty bytes in front of the new end stay dirty; those behind it are gone.
    ///
    /// # Errors
    /// The engine's; dirty bytes stay as they are then.
    pub fn set_size(&self, size_bytes: u64) -> Result<()> {
        let quiet = Quiet::enter();
        let mut state = self.lock(&quiet)?;
        self.finish_all(&mut state);
        self.remote.set_size(size_bytes).inspect_err(|_| self.forget_clean(&mut state))?;
        self.forget_dirty(&mut state, size_bytes, u64::MAX);
        self.settle_own_end(&state);
        self.meet_end(&mut state, size_bytes);
        // Where the end was not known, blocks may reach behind it all the same.
        state.spoil(size_bytes, u64::MAX, self.block_bytes);
        self.invalidate(&mut state, size_bytes, u64::MAX);
        Ok(())
    }

    /// Allocates, zeroes or punches a range.
    ///
    /// # Errors
    /// The engine's, or that of storing what was dirty.
    pub fn allocate(&self, opening: &Opening, how: Allocation, offset: u64, length: u64) -> Result<()> {
        let quiet = Quiet::enter();
        let mut state = self.lock(&quiet)?;
        self.write_back(&mut state, Some(opening))?;
        self.remote.allocate(how, offset, length).inspect_err(|_| self.forget_clean(&mut state))?;
        let end = offset.saturating_add(length);
        let empties = match how {
            Allocation::Extend | Allocation::KeepSize => false,
            Allocation::PunchHole | Allocation::ZeroExtend | Allocation::ZeroKeepSize => true,
        };
        if empties {
            state.spoil(offset, end, self.block_bytes);
            self.forget_dirty(&mut state, offset, end);
            self.invalidate(&mut state, offset, end);
            self.settle_own_end(&state);
        }
        // The engine knows whether the file has grown.
        self.forget_end(&mut state);
        Ok(())
    }

    /// Asks the store for data or a hole, once it has all that was written here.
    ///
    /// # Errors
    /// The engine's, or that of storing what was dirty.
    pub fn seek(&self, opening: &Opening, ask: impl FnOnce() -> Result<u64>) -> Result<u64> {
        let quiet = Quiet::enter();
        let mut state = self.lock(&quiet)?;
        self.write_back(&mut state, Some(opening))?;
        ask()
    }
}

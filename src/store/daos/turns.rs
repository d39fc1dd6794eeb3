//! Turns at names: of the threads and processes of a user on this node, one at a time changes what a name leads to.
//!
//! libdfs moves a file in steps, the new name first, and whatever it finds under the new name it removes with its bytes:
//! two that move one file to one place at the same time punch the file's own object. Two `rm` of a file that somebody has
//! open do just that, each moving it out of sight ([`super::hidden`]); so do two `mv -f a b`. Clients on other nodes can't
//! be kept from it.
//!
//! Who has a turn writes a number into the board's word for the name ([`super::board`]). Each process has a number of its
//! own, which it keeps locked ([`super::runtime`]): so the turn of one that was killed is taken from it at once, and the
//! turn of one that waits for a slow server is not.

use super::board::Board;
use super::object::ObjectId;
use super::store::Store;
use crate::ground::{Result, waiting};

/// The turns at some names, until dropped.
pub struct Turns {
    board: Board,
    number: u32,
    places: [Option<usize>; 2],
}

impl Store {
    /// Waits for the turns at one name or two, each in the directory of an object. On a node without a runtime directory
    /// nobody waits for anybody.
    ///
    /// # Errors
    /// `ETIMEDOUT`, `EINTR` where patience ends first.
    pub fn take_turns(&self, names: &[(ObjectId, &[u8])]) -> Result<Turns> {
        let is_new = |number| self.board.give_all_back(number);
        let number = self.runtime.number(&|| self.nodes.lock().open_objects(), &is_new).unwrap_or(0);
        let mut turns = Turns { board: self.board, number, places: [None; 2] };
        if number == 0 {
            return Ok(turns);
        }
        let mut places = [None; 2];
        for (place, (directory, name)) in places.iter_mut().zip(names) {
            *place = Some(Board::place(*directory, name));
        }
        // In one order, so that no two wait for one another; two names of one place are one turn.
        places.sort_unstable();
        if places[0] == places[1] {
            places[0] = None;
        }
        for (taken, place) in turns.places.iter_mut().zip(places) {
            if let Some(place) = place {
                self.take_turn(place, number)?;
                *taken = Some(place);
            }
        }
        Ok(turns)
    }

    fn take_turn(&self, place: usize, number: u32) -> Result<()> {
        let mut attempt = 0;
        while let Err(other) = self.board.take_turn(place, 0, number) {
            let is_dead = other != number && !self.runtime.is_alive(other);
            if is_dead && self.board.take_turn(place, other, number).is_ok() {
                break;
            }
            self.mounted.patience().nap(attempt)?;
            attempt += 1;
        }
        if attempt != 0 {
            // Others got their answers meanwhile.
            waiting::answered();
        }
        Ok(())
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        for place in self.places.into_iter().flatten() {
            self.board.give_turn_back(place, self.number);
        }
    }
}

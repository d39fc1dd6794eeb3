//! Descriptors: the kernel's table is the truth, ours is a cache of it.
//!
//! Each descriptor of ours is a real one of the kernel's, a placeholder ([`placeholder`]). The entries (in the ground
//! layer, where the doors and [`parked`](crate::ground::parked) meet them) tell for each number whose it is, [`slots`]
//! holds the open file descriptions at addresses that never go away, and [`table`] ties the two together so that a call
//! and a concurrent `close` of the same number never meet a freed description.
//! [`handover`] is what a process leaves for the next one, in an [`arena`], and [`inherited`] what it finds.
//!
//! There is no lock here: an entry is one atomic word, a slot's life is one atomic count.

pub mod arena;
pub mod handover;
pub mod hold;
pub mod inherited;
pub mod page;
pub mod placeholder;
pub mod slots;
pub mod table;

pub use crate::ground::entries;

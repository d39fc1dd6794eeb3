//! The engine over DAOS: a POSIX container of a pool, through libdfs.
//!
//! What happens to one `open` and `read`:
//!
//! 1. [`container::DaosContainer`] enters the libraries ([`entrance`]): signals blocked, forks kept waiting.
//! 2. [`store::Store`] looks the name up: in what it knows ([`nodes`]), or by a message ([`client`]).
//! 3. [`array::DaosArray`] has libdfs's handle; [`data`] makes one call of a list of ranges, an application's bytes by way
//!    of our own memory ([`copied`]), or, of a long write, from theirs ([`straight`]), and waits for it for as long as the
//!    mount's `timeout=` says ([`patience`]).
//!
//! | file | what |
//! |---|---|
//! | [`library`], [`destructors`] | loads libdfs and libdaos at the first touch, and keeps them to the end |
//! | [`client`] | their calls as safe functions |
//! | [`error`], [`open_error`] | what their errors are to a program, and to a user |
//! | [`nodes`], [`object`], [`stat`] | nodes, numbers, attributes; what is believed and for how long |
//! | [`change`], [`listing`], [`opens`], [`confirm`] | names, directories, open nodes |
//! | [`entries`], [`ahead`], [`sequence`] | entries read past libdfs, before they are asked for |
//! | [`layout`] | whether anything may be read past libdfs |
//! | [`hidden`], [`moved`] | what others remove and rename while it is open |
//! | [`runtime`], [`board`], [`turns`], [`stand_in`] | what this node's processes tell one another |
//!
//! Calls about names have no event in libdfs: how they are bounded by `timeout=` all the same is [`client::bounded`]'s
//! story.

mod ahead;
pub mod array;
pub mod bindings;
mod board;
mod change;
mod client;
mod confirm;
pub mod container;
mod copied;
mod data;
mod destructors;
mod entrance;
mod entries;
mod error;
mod hearing;
mod hidden;
mod known;
mod layout;
pub mod library;
mod listing;
mod lock;
mod moved;
mod nodes;
mod object;
mod open_error;
mod opens;
mod patience;
mod runtime;
mod sequence;
mod stand_in;
mod stat;
mod store;
mod straight;
mod turns;

pub use client::mounted::ConnectTimes;
pub use container::DaosContainer;
pub use library::LoadError;
pub use open_error::{OpenError, Step};
pub use runtime::is_hold_link;

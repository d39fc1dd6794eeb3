//! Sidestep: file I/O of unmodified programs, served from chunked array objects in user space.
//!
//! The layers, each of which imports only those below it:
//!
//! 1. `preload/` (another crate): the doors, C pointers and `errno`.
//! 2. [`posix`]: descriptors, open file descriptions, paths: what a call means.
//! 3. [`cache`]: what of a file's bytes is kept in this process, before an engine on another machine.
//! 4. [`store`]: containers and their array objects, in the engines' own terms.
//! 5. [`ground`]: what everybody stands on and what imports nobody.
//!
//! [`command`] is the `sidestep` program, which looks at all of them from the side.

pub mod cache;
pub mod command;
pub mod ground;
pub mod posix;
pub mod store;

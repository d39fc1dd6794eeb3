//! Paths: which world a path leads to, and to what there.
//!
//! 1. [`route`](route::route) asks where a path starts: under a prefix, in a working directory or a directory
//!    descriptor of ours, or on the host.
//! 2. [`walk`] goes component by component through a container: symlinks are followed, `..` above the prefix leaves it.
//! 3. [`host`] finds the symlinks and relative paths of the host that lead into a prefix. It is asked only where the
//!    kernel found nothing: a prefix need not exist on the host, and then no host call can succeed by mistake.

pub mod buffer;
pub mod host;
pub mod route;
pub mod special;
pub mod walk;

pub use buffer::PathBuffer;
pub use route::{Base, Route, route};
pub use walk::{Last, LastName, Place, Rules, Scope, Symlinks};

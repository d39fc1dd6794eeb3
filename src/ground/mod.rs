//! What every layer stands on: configuration, our own kernel calls, guards, clocks, diagnostics.

pub mod beneath;
pub mod buffer;
pub mod causality;
pub mod change;
pub mod clock;
pub mod deep_stack;
pub mod descriptor_links;
pub mod diagnostics;
pub mod entries;
pub mod fault_handler;
pub mod file_size_limit;
pub mod guard;
pub mod guarded_copy;
pub mod internal;
pub mod kernel;
pub mod mounts;
pub mod own_directory;
pub mod own_thread;
pub mod parked;
pub mod room;
pub mod signals;
pub mod standby;
pub mod stopwatch;
pub mod threads;
pub mod waiting;

/// The errors of every layer: what the application will find in `errno`.
pub use rustix::io::Errno;

/// A result whose error is an `errno`.
pub type Result<T> = std::result::Result<T, Errno>;

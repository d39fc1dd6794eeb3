//! The embedded engine.

pub mod check;
mod open_error;

pub use open_error::{CHUNK_BYTES_RANGE, CHUNK_BYTES_STEP, OpenError, TARGETS_RANGE};

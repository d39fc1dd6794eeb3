//! Symbols
pub mod fork;
/// Starts.
pub fn start() {}

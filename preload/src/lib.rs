//! libsidestep.so.

pub mod dispatch;

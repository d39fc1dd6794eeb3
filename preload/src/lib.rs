//! libsidestep.so: two doors, the system-call [`gate`] and the symbols in [`doors`], and the [`dispatch`]er behind.

pub mod allocator;
mod call_frame;
pub mod cancellation;
mod causal;
pub mod diagnostics;
pub mod dispatch;
pub mod doctor;
pub mod doors;
pub mod gate;
pub mod runtime;
pub mod serve;
pub mod start;

//! The C interface of libdaos and libdfs, as far as it is used: made of `include/sidestep_daos.h`, and committed, so that
//! a build needs neither libclang nor DAOS. `tests/daos_abi.rs` says when they have drifted apart.

mod calls;
mod types;

pub use calls::sidestep_daos_calls as Calls;
pub use types::*;

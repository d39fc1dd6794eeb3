//! kill -9 at random moments, over DAOS: the stand-in for it, or the system that `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names.

#[path = "kill.rs"]
mod kill;

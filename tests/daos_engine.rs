//! The DAOS engine against a real system: `SIDESTEP_TEST_DAOS=POOL/CONTAINER cargo test --test daos_engine`. Without
//! that there is nothing to test against, and every test says so.

#[path = "daos/engine.rs"]
mod engine;
#[path = "daos/fork.rs"]
mod fork;
#[path = "daos/opening.rs"]
mod opening;
#[path = "daos/place.rs"]
mod place;

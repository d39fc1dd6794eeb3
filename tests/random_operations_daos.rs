//! Random operations over DAOS: the stand-in for it, or the system that `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names.

#[path = "random_operations.rs"]
mod random_operations;

//! The suites that others wrote, over DAOS: the stand-in for it, or the system that `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names.

#[path = "third_party.rs"]
mod third_party;

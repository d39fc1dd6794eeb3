//! A store in memory that behaves like an engine on another machine, for the tests and the benchmark of the cache.

#![allow(dead_code)]

pub mod container;
pub mod faults;
pub mod random;
pub mod store;
pub mod transfer;

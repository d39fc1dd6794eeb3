//! Descriptors: the kernel's table is the truth, ours is a cache of it.

pub mod entries;

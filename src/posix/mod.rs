//! What a call means: descriptors, open file descriptions, paths.

pub mod descriptor;

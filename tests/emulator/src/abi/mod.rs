//! The exported functions. Each takes its arguments apart, lets the library do it, and puts the answer together.

mod attributes;
mod data;
mod events;
mod handles;
mod memory;
mod names;
mod nodes;
mod objects;
mod table;

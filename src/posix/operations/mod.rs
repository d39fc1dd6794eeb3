//! One function for each operation, whatever the number of calls that lead to it.

pub mod attributes;
pub mod close;
pub mod data;
pub mod duplicate;
pub mod extended;
pub mod listing;
pub mod names;
pub mod open;
pub mod space;
pub mod transfer;

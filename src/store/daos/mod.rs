//! The engine over DAOS: a POSIX container of a pool, through libdfs.

pub mod bindings;

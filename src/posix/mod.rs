//! What a call means: descriptors, open file descriptions, paths.
//!
//! Each operation is one function here, whatever the number of calls and symbols that lead to it. Operations know
//! bytes, descriptors and paths; C pointers and `errno` stay at the doors.
//!
//! Order of the locks, of which there are two and both are held under [`Quiet`](crate::ground::guard::Quiet): the
//! hand-over's, then a mount's connection.

pub mod credentials;
pub mod description;
pub mod descriptor;
pub mod limits;
pub mod mount;
pub mod operations;
pub mod path;
pub mod permission;
pub mod process;
pub mod report;
pub mod stand_in;
mod turn;
pub mod working_directory;

use std::sync::atomic::{AtomicPtr, Ordering};

/// What an atomic pointer to something that is never freed points to.
#[inline(always)]
#[allow(unsafe_code)]
fn leaked<T>(pointer: &AtomicPtr<T>) -> Option<&'static T> {
    // SAFETY: each such pointer is null or comes from `Box::leak` or `Box::into_raw`, and is never freed.
    unsafe { pointer.load(Ordering::Acquire).as_ref() }
}

//! The calls of libdfs and libdaos as safe functions: each converts in, makes one call, converts out. Whoever calls
//! them is inside ([`super::entrance`]). A vfork child's calls are made for it by a thread of its parent
//! ([`crate::ground::standby`]).
//!
//! | file | what |
//! |---|---|
//! | [`session`] | the library's start, and its new start in a fork child |
//! | [`mounted`] | a pool connected, a container opened and mounted |
//! | [`handle`] | an open node |
//! | [`names`] | look-up, open, make, remove, move, list |
//! | [`attributes`] | stat, set, extended attributes |
//! | [`operation`] | operations under way, each on an event |
//! | [`transfer`] | reads and writes |
//! | [`entries`] | directories as objects: entries read, many at a time |
//! | [`present`] | which bytes of what was read there are |
//! | [`bounded`], [`fiber`] | calls about names that end when patience does |

pub mod attributes;
pub mod bounded;
pub mod entries;
mod fiber;
pub mod handle;
pub mod mounted;
pub mod names;
pub mod operation;
mod present;
pub mod session;
pub mod transfer;

/// Makes a call of the table; one that the library does not have answers as a system call would that is missing.
macro_rules! call {
    ($library:expr, $name:ident, $missing:expr, ($($argument:expr),* $(,)?)) => {
        match $library.calls.$name {
            // SAFETY: the arguments are as the call's declaration in `include/` has them; pointers live across it.
            #[allow(unsafe_code)]
            Some(call) => $crate::ground::standby::perform(|| {
                $crate::ground::deep_stack::run(|| unsafe { call($($argument),*) })
            }),
            None => $missing,
        }
    };
}

/// A call of libdfs: 0 or an errno.
macro_rules! dfs_call {
    ($library:expr, $name:ident($($argument:expr),* $(,)?)) => {
        $crate::store::daos::client::call!($library, $name, libc::ENOSYS, ($($argument),*))
    };
}

/// A call of libdaos: 0 or a negative number; `-1010` says that there is no such call.
macro_rules! daos_call {
    ($library:expr, $name:ident($($argument:expr),* $(,)?)) => {
        $crate::store::daos::client::call!($library, $name, -1010, ($($argument),*))
    };
}

pub(in crate::store::daos) use {call, daos_call, dfs_call};

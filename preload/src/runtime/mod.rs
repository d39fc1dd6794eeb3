//! The C runtime that the library brings along, so that it asks nothing of whoever loaded it.
//!
//! A preload library's references are bound to whatever the program or another library exports under that name: bash
//! has a `getenv` of its own, a tool its own `malloc`, a sanitizer its own `__tls_get_addr`. And each reference asks for
//! a version that an older libc, or musl, does not have; then no program starts at all. So the linker is given no C
//! library (`preload/build.rs`): every name that Rust's standard library, LMDB and the unwinder refer to is defined here,
//! hidden, or the link fails.
//!
//! 1. [`block`] finds what the kernel laid on the stack for the new program: arguments, environment, auxiliary vector.
//! 2. [`link_map`] has the list of loaded objects from there, and [`object`] looks a name up in one of them.
//! 3. [`import`] holds what only libc itself can do (threads, `dlopen`), found in libc and nowhere else.
//! 4. The rest needs no libc: [`bytes`], [`calls`], [`memory`], [`environment`], [`thread_local`], [`unwind`].
//!
//! Two weak references are left, which musl's dynamic linker and every glibc accept: `__libc_stack_end`, by which a glibc
//! is known, and `dlsym`, which a libc that is not glibc is asked for the functions behind the doors.

pub mod block;
pub mod bytes;
pub mod calls;
pub mod environment;
pub mod errno;
pub mod import;
pub mod link_map;
pub mod loader;
pub mod memory;
pub mod object;
pub mod program;
pub mod provide;
pub mod signals;
pub mod thread_local;
pub mod unwind;

use provide::provide;

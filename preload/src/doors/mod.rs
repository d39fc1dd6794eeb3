//! The symbol doors: exported functions with the names of libc's, which the dynamic linker finds before libc's own.
//!
//! The data path is always a door. Everything else is one only where the gate was refused: then a call that libc makes
//! of itself (stdio, `scandir`, `posix_spawn` file actions) is not seen, which `sidestep doctor` says.

pub mod door;
pub mod fork;
pub mod mpi;
pub mod shape;

mod data;
mod descriptors;
mod mpi_names;
mod paths;
mod processes;
mod statx;

/// Makes the symbols the whole door.
pub fn widen() {
    door::WHOLE.store(1, std::sync::atomic::Ordering::Release);
}

/// Gets the doors ready to step aside: every next function is known from now on.
pub fn start() {
    door::resolve_all();
}

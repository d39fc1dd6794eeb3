//! What happens when the library is loaded.
#![allow(unsafe_code)]

use crate::runtime::{self, block::Block};
use crate::{cancellation, diagnostics, dispatch, doctor, doors, gate};
use house::ground::{causality, fault_handler, room};
use std::sync::atomic::{AtomicBool, Ordering};

// The first of all constructors (`-z initfirst`), but where another library claims that too, as libpthread does before
// glibc 2.34: then the first door that is entered starts the library. Neither libc nor any other library may have been
// initialised, and none is needed: see [`runtime`].
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

/// Whether somebody has begun: the constructor, or whoever came through a door before it ran.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// Starts the library, if nobody has.
pub extern "C" fn start() {
    if BEGUN.swap(true, Ordering::AcqRel) {
        return;
    }
    // Where the libc is not glibc, all that the doors do is to lead to the next function.
    let Some(block) = Block::find() else { return };
    if block.auxiliary(libc::AT_SECURE) != Some(0) {
        return;
    }
    runtime::link_map::remembering(|| start_on(&block));
}

fn start_on(block: &Block) {
    runtime::bytes::start();
    if !room::is_plenty() {
        diagnostics::line(format_args!(
            "not started: no memory is left for it (raise ulimit -v or ulimit -d, or set SIDESTEP=off)"
        ));
        return;
    }
    runtime::environment::start(block);
    // A panic must not cross into the dynamic linker; what was not done yet is left undone.
    let _ = std::panic::catch_unwind(|| {
        cancellation::start();
        doors::start();
        if dispatch::start() {
            diagnostics::tell_panics();
            doors::fork::start();
            let status = gate::install(gate_is_wanted());
            if status.is_whole() {
                fault_handler::start();
            } else {
                causality::note_deaf();
                doors::widen();
                tell_if_asked(status);
            }
        }
        doctor::answer();
    });
}

/// `SIDESTEP_INTERCEPT`: `gate` (the default), or `symbols`, which leaves libc's text alone.
fn gate_is_wanted() -> bool {
    match std::env::var_os("SIDESTEP_INTERCEPT") {
        None => true,
        Some(value) if value.is_empty() || value == "gate" => true,
        Some(value) if value == "symbols" => false,
        Some(value) => {
            diagnostics::line(format_args!(
                "SIDESTEP_INTERCEPT={}: unknown value, taken as \"gate\" (known: gate, symbols)",
                value.display()
            ));
            true
        }
    }
}

/// `SIDESTEP_LOG`, set to anything: one line that says what the symbols do not see.
fn tell_if_asked(status: &gate::status::Status) {
    if std::env::var_os("SIDESTEP_LOG").is_none_or(|value| value.is_empty()) {
        return;
    }
    match &status.refused {
        Some(gate::status::Refused(reason)) => diagnostics::line(format_args!(
            "libc is not rewritten ({reason}): what it does by itself (stdio, opendir, posix_spawn's file actions) does \
             not see the prefix"
        )),
        None => {
            let (patched, sites) = (status.sum(|part| part.patched), status.sum(|part| part.sites));
            if let Some(shortfall) = status.shortfall() {
                diagnostics::line(format_args!("{patched} of {sites} system calls of libc are rewritten: {shortfall}"));
            }
        }
    }
}

//! What happens when the library is loaded.
#![allow(unsafe_code)]

use crate::{cancellation, diagnostics, dispatch, doctor, doors, gate};

// Preload libraries are initialised last, so libc and every library that the program links are ready by now.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    // SAFETY: getauxval has no precondition.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return;
    }
    // A panic must not cross into the dynamic linker; what was not done yet is left undone.
    let _ = std::panic::catch_unwind(|| {
        cancellation::start();
        doors::start();
        if dispatch::start() {
            diagnostics::tell_panics();
            doors::fork::start();
            let status = gate::install(gate_is_wanted());
            if !status.is_whole() {
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

//! What `sidestep doctor` asks a process that has the library: `SIDESTEP_DOCTOR=1` prints facts and ends it.
#![allow(unsafe_code)]

use crate::gate::{self, cache::Outcome};
use std::fmt::Write;

/// Prints `key=value` lines to standard output and ends the process, if it was started to be asked.
pub fn answer() {
    if std::env::var_os("SIDESTEP_DOCTOR").is_none_or(|value| value != "1") {
        return;
    }
    let text = facts();
    let mut rest = text.as_bytes();
    while let Ok(written @ 1..) = rustix::io::write(rustix::stdio::stdout(), rest) {
        rest = &rest[written..];
    }
    // SAFETY: ends the process, as the asker wants; nothing of the program has run yet.
    unsafe { libc::_exit(0) }
}

/// glibc's version.
pub fn libc_version() -> &'static str {
    // SAFETY: libc's own constant string.
    unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) }.to_str().unwrap_or_default()
}

fn facts() -> String {
    let status = gate::status().cloned().unwrap_or_default();
    let build_id = status.libc_build_id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let (door, refused) = match (gate::status(), &status.refused) {
        (None, _) => ("none", "nothing is to be intercepted"),
        (Some(status), None) if status.is_split => ("gate+symbols", "libpthread has calls of its own"),
        (Some(status), None) if !status.is_whole() => ("gate+symbols", "threads were already running"),
        (Some(_), None) => ("gate", ""),
        (Some(_), Some(refused)) => ("symbols", refused.0),
    };
    let cache = match status.cache {
        Outcome::Unused => "unused".to_owned(),
        Outcome::Hit => "hit".to_owned(),
        Outcome::Miss => "miss".to_owned(),
        Outcome::Rejected(reason) => format!("rejected:{reason}"),
        Outcome::Unavailable(reason) => format!("unavailable:{reason}"),
    };
    format!(
        "door={door}\nrefused={refused}\nlibc={}\nbuild_id={build_id}\nglibc={}\nsites={}\npatched={}\nleft_alone={}\n\
         left_to_threads={}\ncache={cache}\nstart_us={}\n",
        String::from_utf8_lossy(&status.libc_path),
        libc_version(),
        status.sites,
        status.patched,
        status.left_alone,
        status.left_to_threads,
        status.start_us,
    )
}

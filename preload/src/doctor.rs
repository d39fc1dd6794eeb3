//! What `sidestep doctor` asks a process that has the library: `SIDESTEP_DOCTOR=1` prints facts and ends it.
#![allow(unsafe_code)]

use crate::gate;
use crate::gate::cache::Outcome;
use crate::gate::objects;
use crate::gate::status::{Part, Status};
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
    let libc = status.libc().cloned().unwrap_or_default();
    let build_id = libc.build_id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let (door, refused) = match (gate::status(), &status.refused) {
        (None, _) => ("none", "nothing is to be intercepted".to_owned()),
        (Some(_), Some(refused)) => ("symbols", refused.0.to_owned()),
        (Some(status), None) => match status.shortfall() {
            Some(shortfall) => ("gate+symbols", shortfall.to_string()),
            None => ("gate", String::new()),
        },
    };
    let cache = match status.cache() {
        Outcome::Unused => "unused".to_owned(),
        Outcome::Hit => "hit".to_owned(),
        Outcome::Miss => "miss".to_owned(),
        Outcome::Rejected(reason) => format!("rejected:{reason}"),
        Outcome::Unavailable(reason) => format!("unavailable:{reason}"),
    };
    let objects: Vec<_> = status.parts.iter().map(|part| part.name).collect();
    let sum = |count: fn(&Part) -> u32| status.sum(count);
    format!(
        "door={door}\nrefused={refused}\nlibc={}\nbuild_id={build_id}\nglibc={}\nobjects={}\nsites={}\npatched={}\n\
         left_alone={}\nleft_to_threads={}\nchanged={}\nchanged_names={}\ncache={cache}\nstart_us={}\n",
        String::from_utf8_lossy(&libc.path),
        libc_version(),
        objects.join(" "),
        sum(|part| part.sites),
        sum(|part| part.patched),
        sum(|part| part.left_alone),
        sum(|part| part.left_to_threads),
        sum(|part| part.changed.len() as u32),
        changed_names(&status).join(" "),
        status.start_us,
    )
}

/// The functions in which somebody has changed memory. Those that libc does not export have their address only.
fn changed_names(status: &Status) -> Vec<String> {
    let objects = objects::find().unwrap_or_default();
    let name = |object: &str, address: usize| {
        let tables = objects.iter().find(|found| found.name == object).and_then(|found| found.tables);
        let name = tables.as_ref().and_then(|tables| tables.name_around(address));
        name.map_or_else(|| format!("{address:#x}"), |name| name.to_string_lossy().into_owned())
    };
    status.parts.iter().flat_map(|part| part.changed.iter().map(|address| name(part.name, *address))).collect()
}

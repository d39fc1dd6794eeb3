//! What surrounds a process of the user: `LD_PRELOAD`, our other variables, resource limits.

use super::super::library;
use super::Finding;
use crate::ground::mounts::is_turned_off;
use rustix::process::{Resource, getrlimit};
use std::env;
use std::path::Path;

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![preloads()];
    findings.extend(switches());
    findings.push(descriptors());
    findings.extend(memory());
    findings
}

/// Other libraries in `LD_PRELOAD`: those that are not there, and those that want the same calls.
fn preloads() -> Finding {
    const TOPIC: &str = "LD_PRELOAD";
    let list = env::var_os(TOPIC).unwrap_or_default();
    let entries: Vec<&Path> = library::preloaded(&list).map(Path::new).collect();
    for entry in &entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = entry.display();
        if ["libpil4dfs", "libioil", "libgkfs"].iter().any(|rival| name.starts_with(rival)) {
            return Finding::trouble(
                TOPIC,
                format_args!("{path} intercepts the same calls"),
                "take it out of LD_PRELOAD; Sidestep does its work",
            );
        }
        if entry.is_absolute() && !entry.exists() {
            return Finding::trouble(TOPIC, format_args!("{path} is not there"), "take it out, or mend the path");
        }
    }
    match entries.len() {
        0 => Finding::well(TOPIC, "empty; `sidestep run` sets it"),
        _ => Finding::well(TOPIC, list.display()),
    }
}

/// Switches that change what is intercepted.
fn switches() -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_turned_off() {
        findings.push(Finding::trouble("SIDESTEP", "turned off", "unset SIDESTEP to have it on"));
    }
    if let Some(value) = env::var_os("SIDESTEP_INTERCEPT").filter(|value| value != "gate") {
        findings.push(match value.to_str() {
            Some("symbols") => Finding::note(
                "intercept",
                "SIDESTEP_INTERCEPT=symbols: no gate, so calls inside libc are missed",
                "unset it unless you are testing",
            ),
            _ => Finding::trouble(
                "intercept",
                format_args!("SIDESTEP_INTERCEPT={} is unknown", value.display()),
                "set it to gate or symbols, or unset it",
            ),
        });
    }
    findings
}

/// The limit of open files, of which each open file under a prefix takes one.
fn descriptors() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    let number = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let what = format!("{} at most, {} if raised", number(limit.current), number(limit.maximum));
    match limit.current {
        Some(current) if current < 256 => Finding::trouble("open files", what, "raise it: ulimit -n 1024"),
        _ => Finding::well("open files", what),
    }
}

/// The embedded engine maps its tables and windows; a limit on addresses hits those first.
fn memory() -> Option<Finding> {
    const ENOUGH_BYTES: u64 = 8 << 30;
    let current = getrlimit(Resource::As).current.filter(|&bytes| bytes < ENOUGH_BYTES)?;
    let what = format!("limited to {} MiB; the embedded store maps its tables and files", current >> 20);
    Some(Finding::trouble("addresses", what, "raise it: ulimit -v unlimited"))
}

//! Mounts written down as `SIDESTEP_MOUNTS` would have them.

use super::{Consistency, FileSystemType, Mount, StoreUrl, size};
use std::os::unix::ffi::OsStrExt;

/// The text that [`super::parse`] reads back as the same mounts: what a child gets whose environment was emptied, so
/// that the default store stays the default store without a `HOME`.
pub fn to_text(mounts: &[Mount]) -> Vec<u8> {
    let mut text = Vec::new();
    for mount in mounts {
        if !text.is_empty() {
            text.push(b',');
        }
        escape(&mount.prefix, &mut text);
        match &mount.url {
            StoreUrl::Local { directory } => {
                text.extend_from_slice(b"=local:");
                escape(directory.as_os_str().as_bytes(), &mut text);
            }
            StoreUrl::Daos { pool, container } => {
                text.extend_from_slice(b"=daos:");
                escape(pool.as_bytes(), &mut text);
                text.push(b'/');
                escape(container.as_bytes(), &mut text);
            }
        }
        options(mount, &mut text);
    }
    text
}

/// The options of a mount, each behind its `?` or `&`.
fn options(mount: &Mount, text: &mut Vec<u8>) {
    let options = &mount.options;
    let mut separator = b'?';
    let mut put = |name: &str, value: Option<&[u8]>| {
        text.push(std::mem::replace(&mut separator, b'&'));
        text.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            text.push(b'=');
            escape(value, text);
        }
    };
    if let Some(bytes) = options.chunk_bytes {
        put("chunk", Some(size::format(bytes).as_bytes()));
    }
    if let Some(targets) = options.targets {
        put("targets", Some(targets.to_string().as_bytes()));
    }
    match options.consistency {
        Some(Consistency::Strict) => put("consistency", Some(b"strict")),
        Some(Consistency::Causal) => put("consistency", Some(b"causal")),
        Some(Consistency::CloseToOpen) => put("consistency", Some(b"close-to-open")),
        None => {}
    }
    if let Some(bytes) = options.cache_bytes {
        put("cache", Some(size::format(bytes).as_bytes()));
    }
    if let Some(system) = &options.system {
        put("sys", Some(system.as_bytes()));
    }
    match options.file_system_type {
        Some(FileSystemType::Sidestep) => put("f_type", Some(b"sidestep")),
        Some(FileSystemType::Daos) => put("f_type", Some(b"daos")),
        None => {}
    }
    if let Some(seconds) = options.timeout_seconds {
        put("timeout", Some(seconds.to_string().as_bytes()));
    }
    if options.readonly {
        put("readonly", None);
    }
    if let Some(snapshot) = &options.snapshot {
        put("snapshot", Some(snapshot.as_bytes()));
    }
    for pattern in &options.exclude {
        put("exclude", Some(pattern.as_bytes()));
    }
}

/// Writes the bytes that have a meaning in the list as `%XX`.
pub fn escape(bytes: &[u8], text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if matches!(byte, b',' | b'?' | b'&' | b'=' | b'%') {
            text.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        } else {
            text.push(byte);
        }
    }
}

//! The mounts, and the stores behind them.

use super::Finding;
use crate::ground::mounts::{Mount, MountOptions, StoreUrl};
use crate::store::Container;
use crate::store::daos::DaosContainer;
use crate::store::local::LocalContainer;
use rustix::fs::{Access, access, statfs};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Less than this is soon full.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// A store whose directory others may write to is shared with them, see the engine's `store_directory`.
const SHARED_MODE: u32 = 0o022;

/// File systems of the network: memory mapped from them is not coherent between nodes, and locks may not be either.
const NETWORK_FILE_SYSTEMS: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x00c3_6400, "Ceph"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
];

/// Everything about one mount.
pub(super) fn findings(mount: &Mount) -> Vec<Finding> {
    let topic = String::from_utf8_lossy(&mount.prefix).into_owned();
    let mut findings = vec![match &mount.url {
        StoreUrl::Daos { pool, container } => daos(&topic, mount, pool, container),
        StoreUrl::Local { directory } => local(&topic, mount, directory),
    }];
    let host = Path::new(OsStr::from_bytes(&mount.prefix));
    if fs::read_dir(host).is_ok_and(|mut entries| entries.next().is_some()) {
        let what = "the host has files there too; programs under Sidestep do not see them";
        findings.push(Finding::note(&topic, what, "take another prefix if you need both"));
    }
    findings
}

/// A DAOS container: connected as a program would at its first touch, with the time that this took told apart.
fn daos(topic: &str, mount: &Mount, pool: &str, container: &str) -> Finding {
    let url = format!("daos:{pool}/{container}");
    match DaosContainer::open(pool, container, &mount.options) {
        Ok(container) => {
            let times = container.connect_times();
            let milliseconds = |time: i64| time / 1_000_000;
            let rights = if container.is_read_only() { ", to be read only" } else { "" };
            let what = format!(
                "{url} is there{rights}; the first touch took {} ms to load libdfs, {} to start, {} for the pool, {} for the \
                 container, {} for its namespace",
                milliseconds(times.load),
                milliseconds(times.start),
                milliseconds(times.pool),
                milliseconds(times.container),
                milliseconds(times.mount),
            );
            Finding::well(topic, what)
        }
        Err(error) => {
            let trouble = error.to_string();
            let (what, remedy) = trouble.split_once("; ").unwrap_or((&trouble, "see the README's part on DAOS"));
            Finding::trouble(topic, format_args!("{url}: {what}"), remedy)
        }
    }
}

/// An embedded store.
fn local(topic: &str, mount: &Mount, directory: &Path) -> Finding {
    let path = directory.display();
    let data = match fs::metadata(directory) {
        Ok(data) => data,
        Err(error) if error.kind() == ErrorKind::NotFound => return absent(topic, mount, directory),
        Err(error) => {
            return Finding::trouble(topic, format_args!("local:{path}: {error}"), "make its path readable to you");
        }
    };
    if !data.is_dir() {
        return Finding::trouble(topic, format_args!("local:{path} is not a directory"), "name another place");
    }
    let user = rustix::process::geteuid();
    if data.uid() != user.as_raw() && data.mode() & SHARED_MODE == 0 {
        let what = format!("local:{path} belongs to user {}, who does not share it", data.uid());
        return Finding::trouble(topic, what, "use a store of your own, or have its owner share it (chmod g+w)");
    }
    if !mount.options.readonly && access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let remedy = "make it writable to you, or mount it with ?readonly";
        return Finding::trouble(topic, format_args!("local:{path} is not writable"), remedy);
    }
    if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none()) {
        return host(topic, directory, directory, " (empty; a store is made at first use)");
    }
    match health(directory) {
        Ok(()) => host(topic, directory, directory, ""),
        Err(trouble) => {
            let (what, remedy) = trouble.split_once("; ").unwrap_or((&trouble, "see `sidestep fsck`"));
            Finding::trouble(topic, what, remedy)
        }
    }
}

/// Opens the store as a program would, but changes nothing. A complaint tells its own remedy.
fn health(directory: &Path) -> Result<(), String> {
    let options = MountOptions { readonly: true, ..MountOptions::default() };
    LocalContainer::open(directory, &options).map(drop).map_err(|error| error.to_string())
}

/// A store that the first use will make, if it can.
fn absent(topic: &str, mount: &Mount, directory: &Path) -> Finding {
    let path = directory.display();
    if mount.options.readonly {
        let what = format!("local:{path} is not there, and ?readonly will not make it");
        return Finding::trouble(topic, what, "mend the path, or mount it once without ?readonly");
    }
    let Some(parent) = directory.ancestors().skip(1).find(|parent| parent.exists()) else {
        return Finding::trouble(topic, format_args!("local:{path} has no parent"), "mend the path");
    };
    if access(parent, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let what = format!("local:{path} is not there, and {} is not writable", parent.display());
        return Finding::trouble(topic, what, "name a place that you may write to");
    }
    host(topic, directory, parent, " (made at first use)")
}

/// The host's file system below a store, or below the place where it is going to be.
fn host(topic: &str, store: &Path, place: &Path, remark: &str) -> Finding {
    let path = store.display();
    let what = format!("local:{path}{remark}");
    let Ok(system) = statfs(place) else { return Finding::well(topic, what) };
    // The type is signed on some C libraries; only its low 32 bits have a meaning.
    let magic = system.f_type as u64 & 0xffff_ffff;
    if let Some((_, name)) = NETWORK_FILE_SYSTEMS.iter().find(|(known, _)| *known == magic) {
        let what = format!("{what} lies on {name}, where a store cannot be shared between machines");
        return Finding::note(topic, what, "take a local disk or /dev/shm; on a network use one machine at a time");
    }
    let free = system.f_bavail.saturating_mul(system.f_bsize as u64);
    if free < FREE_BYTES_MIN {
        return Finding::trouble(topic, format_args!("{what}: {} MiB free", free >> 20), "make room on that disk");
    }
    Finding::well(topic, format_args!("{what}, {} GiB free", free >> 30))
}

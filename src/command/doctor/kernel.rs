//! The kernel, and the few things of it that everything stands on. What can be tried is tried: distributions
//! back-port, sandboxes take away, and the version tells neither.

use super::Finding;
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};

pub(super) fn findings() -> Vec<Finding> {
    vec![machine(), placeholder()]
}

/// The kernel's name and version, and whether the library can run on this machine at all.
fn machine() -> Finding {
    let names = rustix::system::uname();
    let what = format!(
        "{} {}, {}",
        names.sysname().to_string_lossy(),
        names.release().to_string_lossy(),
        names.machine().to_string_lossy()
    );
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        Finding::well("kernel", what)
    } else {
        Finding::trouble("kernel", what, "Sidestep runs on 64-bit x86 Linux only")
    }
}

/// The placeholder of an open file: an `O_PATH` descriptor on a memfd, opened again through `/proc` by whoever
/// inherits it.
fn placeholder() -> Finding {
    match try_placeholder() {
        Ok(()) => Finding::well("descriptors", "memfd, O_PATH and /proc/self/fd work"),
        Err((step, error)) => Finding::trouble(
            "descriptors",
            format_args!("{step} fails: {error}"),
            "mount /proc, and allow memfd_create in the container's or the batch system's sandbox",
        ),
    }
}

fn try_placeholder() -> Result<(), (&'static str, Errno)> {
    let memory = memfd_create("sidestep-doctor", MemfdFlags::CLOEXEC).map_err(|error| ("memfd_create", error))?;
    let path = |fd: &dyn AsFd| format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let placeholder = open(path(&memory), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| ("opening /proc/self/fd/N with O_PATH", error))?;
    let again = open(path(&placeholder), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| ("opening an O_PATH descriptor again through /proc/self/fd", error))?;
    rustix::io::write(&again, b"x").map_err(|error| ("writing to a memfd opened again", error))?;
    Ok(())
}

//! `sidestep run [--mount PREFIX=URL]... -- CMD ARG...`

use super::arguments::RunArguments;
use super::program::{self, Hindrance};
use super::{Failure, library};
use crate::ground::mounts::{MOUNTS_VARIABLE, is_turned_off, to_text};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Becomes the program; returns only if that fails.
///
/// # Errors
/// 127 where the program is not found, 126 where it can't be executed, 2 for a fault in the options, as `env` has it.
pub(super) fn run(task: RunArguments) -> Result<ExitCode, Failure> {
    let library = library::find()?;
    let mounts = super::mounts::mounts(&task.mounts)?;
    let Some((name, arguments)) = task.command.split_first() else {
        return Err(Failure::new(2, "no program to run; write it behind `--`"));
    };
    if is_turned_off() {
        eprintln!("sidestep: warning: SIDESTEP=off is set, so nothing is intercepted; unset SIDESTEP to have it on");
    }
    if let Some(path) = program::find(name)
        && let Some(hindrance) = program::hindrance(&path)
    {
        warn(&path, hindrance);
    }
    // This command is not intercepted itself, so what lies under a prefix has to be found by one that is.
    let is_inside = mounts.iter().any(|mount| Path::new(name).starts_with(OsStr::from_bytes(&mount.prefix)));
    let mut command = Command::new(if is_inside { OsStr::new("env") } else { name });
    command
        .args(is_inside.then_some(name))
        .args(arguments)
        .env("LD_PRELOAD", library::with_library(env::var_os("LD_PRELOAD"), &library))
        .env(MOUNTS_VARIABLE, OsString::from_vec(to_text(&mounts)));
    if task.report {
        command.env("SIDESTEP_REPORT", "1");
    }
    let error = command.exec();
    let name = Path::new(name).display();
    Err(match error.kind() {
        ErrorKind::NotFound => {
            Failure::new(127, format_args!("{name}: not found; give its path, or a name that is in PATH"))
        }
        ErrorKind::PermissionDenied => {
            Failure::new(126, format_args!("{name}: not executable; check its mode, or run it with its interpreter"))
        }
        _ => Failure::new(126, format_args!("{name}: cannot be executed: {error}")),
    })
}

/// Says that the library will not be there, before the program shows it by missing files.
fn warn(path: &Path, hindrance: Hindrance) {
    let path = path.display();
    eprintln!("sidestep: warning: {path} {hindrance}");
}

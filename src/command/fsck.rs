//! `sidestep fsck STORE [--repair]`

use super::{Failure, arguments::FsckArguments, library};
use crate::ground::mounts::is_turned_off;
use crate::store::local::check::{self, CheckError, Summary};
use std::env;
use std::fmt;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The exit codes of fsck(8), so that scripts need not learn others.
const CLEAN: u8 = 0;
const MENDED: u8 = 1;
const LEFT: u8 = 4;
const NOT_CHECKED: u8 = 8;

/// Checks the store, tells each finding as it comes up, and sums up.
///
/// # Errors
/// 8 where the store can't be checked or mended.
pub(super) fn fsck(task: &FsckArguments) -> Result<ExitCode, Failure> {
    leave_the_library()?;
    let mut output = std::io::stdout().lock();
    let mut written = Ok(());
    let summary = check::check(&task.store, task.repair, &mut |finding| {
        written = std::mem::replace(&mut written, Ok(())).and_then(|()| writeln!(output, "{finding}"));
    });
    let summary = summary.map_err(|error| failure(&task.store, &error))?;
    let told = Told { store: &task.store, summary: &summary, repair: task.repair };
    written
        .and_then(|()| write!(output, "{told}"))
        .map_err(|error| Failure::new(NOT_CHECKED, format_args!("cannot write the report: {error}")))?;
    Ok(ExitCode::from(match summary.leaks + summary.damages {
        0 => CLEAN,
        found if found == summary.repaired => MENDED,
        _ => LEFT,
    }))
}

/// In a shell under Sidestep this command is intercepted itself. The library in it may have the very store open, and
/// then the checker would meet its own process: so it starts again without.
fn leave_the_library() -> Result<(), Failure> {
    let preloads = env::var_os("LD_PRELOAD").unwrap_or_default();
    let is_preloaded = library::preloaded(&preloads).any(|entry| Path::new(entry).ends_with(library::NAME));
    if !is_preloaded || is_turned_off() {
        return Ok(());
    }
    let error = Command::new("/proc/self/exe").args(env::args_os().skip(1)).env("SIDESTEP", "off").exec();
    Err(Failure::new(
        NOT_CHECKED,
        format_args!("cannot start again outside Sidestep: {error}; run it in another shell"),
    ))
}

fn failure(store: &Path, error: &CheckError) -> Failure {
    match error {
        CheckError::Open(_) | CheckError::Beyond(_) | CheckError::InUse { .. } => Failure::new(NOT_CHECKED, error),
        CheckError::Host { .. } => Failure::new(NOT_CHECKED, format_args!("{}: {error}", store.display())),
    }
}

/// The closing lines.
struct Told<'a> {
    store: &'a Path,
    summary: &'a Summary,
    repair: bool,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, summary, repair } = self;
        let store = store.display();
        write!(f, "{store}: {} files, {} directories, ", summary.files, summary.directories)?;
        write!(f, "{} symlinks, {} bytes", summary.symlinks, summary.bytes)?;
        if summary.orphans > 0 {
            write!(f, "; {} removed files are still open", summary.orphans)?;
        }
        writeln!(f)?;
        let left = (summary.leaks + summary.damages).saturating_sub(summary.repaired);
        match (summary.leaks + summary.damages, left) {
            (0, _) => writeln!(f, "{store}: clean")?,
            (found, 0) => writeln!(f, "{store}: {found} faults, all mended")?,
            (found, left) if *repair => writeln!(f, "{store}: {found} faults, {left} of them could not be mended")?,
            (found, _) => {
                let (leaks, damages) = (summary.leaks, summary.damages);
                writeln!(f, "{store}: {found} faults ({damages} damages, {leaks} leaks); --repair mends them")?;
            }
        }
        if summary.others_live && left > 0 {
            writeln!(
                f,
                "{store}: in use meanwhile, so some of it may be work in progress; check again when it is idle"
            )?;
        }
        Ok(())
    }
}

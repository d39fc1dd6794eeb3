//! `sidestep doctor`: what works on this machine, and what to do about what does not.

mod doors;
mod kernel;
mod stores;
mod surroundings;

use super::arguments::DoctorArguments;
use super::{Failure, library};
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Well,
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something will not work.
    Trouble,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    topic: String,
    verdict: Verdict,
    what: String,
    remedy: Option<String>,
}

impl Finding {
    /// All is well with `topic`.
    fn well(topic: &str, what: impl fmt::Display) -> Self {
        Self { topic: topic.to_owned(), verdict: Verdict::Well, what: what.to_string(), remedy: None }
    }

    /// Something about `topic` to be known.
    fn note(topic: &str, what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        let remedy = Some(remedy.to_string()).filter(|remedy| !remedy.is_empty());
        Self { topic: topic.to_owned(), verdict: Verdict::Note, what: what.to_string(), remedy }
    }

    /// Trouble with `topic`, and its remedy.
    fn trouble(topic: &str, what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { verdict: Verdict::Trouble, ..Self::note(topic, what, remedy) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Well => "ok",
            Verdict::Note => "note",
            Verdict::Trouble => "TROUBLE",
        };
        writeln!(f, "{verdict:<8} {:<12} {}", self.topic, self.what)?;
        if let Some(remedy) = &self.remedy {
            writeln!(f, "{:<8} {:<12} -> {remedy}", "", "")?;
        }
        Ok(())
    }
}

/// Looks at everything and prints what it found; exit code 1 where there is trouble.
///
/// # Errors
/// Where standard output is closed.
pub(super) fn doctor(task: &DoctorArguments) -> Result<ExitCode, Failure> {
    let mut findings = kernel::findings();
    match library::find() {
        Ok(library) => {
            findings.push(Finding::well("library", library.display()));
            findings.extend(doors::findings(&library));
        }
        Err(failure) => findings.push(Finding::trouble("library", "not found", failure.message)),
    }
    findings.extend(surroundings::findings());
    match super::mounts::mounts(&task.mounts) {
        Ok(mounts) => findings.extend(mounts.iter().flat_map(stores::findings)),
        Err(failure) => findings.push(Finding::trouble("mounts", "cannot be read", failure.message)),
    }
    let troubles = findings.iter().filter(|finding| finding.verdict == Verdict::Trouble).count();
    let mut report: String = findings.iter().map(Finding::to_string).collect();
    report.push_str(&match troubles {
        0 => "\nAll is well.\n".to_owned(),
        1 => "\nThere is 1 trouble.\n".to_owned(),
        more => format!("\nThere are {more} troubles.\n"),
    });
    let written = std::io::stdout().write_all(report.as_bytes());
    written.map_err(|error| Failure::new(1, format_args!("cannot write the report: {error}")))?;
    Ok(ExitCode::from(u8::from(troubles > 0)))
}

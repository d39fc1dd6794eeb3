//! `sidestep completions SHELL`.

use super::{Failure, arguments::Arguments};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::process::ExitCode;

/// Prints the completion script.
pub(super) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "sidestep", &mut script);
    let written = std::io::stdout().write_all(&script);
    written.map_err(|error| Failure::new(1, format_args!("cannot write the completion script: {error}")))?;
    Ok(ExitCode::SUCCESS)
}

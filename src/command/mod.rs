//! The `sidestep` command: `run`, `doctor`, `fsck`, `completions`.
//!
//! It looks at all layers from the side and is never intercepted itself. What it has to say about a failure names the
//! thing and the remedy, on one line of standard error.

mod arguments;
mod completions;
mod doctor;
mod fsck;
mod library;
mod mounts;
mod program;
mod run;

use arguments::{Arguments, Task};
use clap::Parser;
use std::fmt;
use std::process::ExitCode;

/// Why a task could not be done: what to print, and the exit code to end with.
#[derive(Debug)]
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// A failure that ends the command with `code`.
    fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code }
    }
}

/// Runs the command with the process's own arguments.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Run(task) => run::run(task),
        Task::Doctor(task) => doctor::doctor(&task),
        Task::Fsck(task) => fsck::fsck(&task),
        Task::Completions { shell } => completions::completions(shell),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("sidestep: {}", failure.message);
        ExitCode::from(failure.code)
    })
}

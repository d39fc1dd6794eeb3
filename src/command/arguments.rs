//! The command's arguments, and their help.

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// Serves the files of unmodified programs from an object store, under path prefixes of your choice.
#[derive(Parser)]
#[command(
    name = "sidestep",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  sidestep run -- cp -a /usr/include /daos/inc
  sidestep run --mount /scratch=local:/var/tmp/store -- bash
  sidestep doctor
  LD_PRELOAD=/path/to/libsidestep.so ls -l /daos     the same without this command, for job scripts

Environment:
  SIDESTEP_MOUNTS   PREFIX=URL[?OPTIONS][,...]; unset: /daos on a store in ~/.local/share/sidestep
  SIDESTEP=off      leave everything to the kernel
  SIDESTEP_REPORT=1 a summary on standard error when a program ends
  SIDESTEP_LIBRARY  where libsidestep.so is, if not beside this command or in ../lib"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) task: Task,
}

/// What there is to do.
#[derive(Subcommand)]
pub(super) enum Task {
    Run(RunArguments),
    Doctor(DoctorArguments),
    Fsck(FsckArguments),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  sidestep completions bash > ~/.local/share/bash-completion/completions/sidestep
  sidestep completions zsh > ~/.zfunc/_sidestep")]
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
}

/// The help of `--mount`, which two subcommands have.
const MOUNT_HELP: &str = "Serve PREFIX from the store at URL; may be repeated, the longest prefix wins";
const MOUNT_LONG_HELP: &str = "\
Serve PREFIX from the store at URL; may be repeated, the longest prefix wins.

URL is local:DIRECTORY (the embedded engine; made at first use), or daos:POOL/CONTAINER. Options follow a `?` and are \
joined by `&`: chunk=SIZE (of new files, 1KiB to 64MiB), targets=N (of a new store, 1 to 64), consistency=causal, \
strict or close-to-open, cache=SIZE, readonly, snapshot=NAME, exclude=PATTERN (stays with the host; may be repeated).

Without this option SIDESTEP_MOUNTS counts, and without that /daos=local:, a store in ~/.local/share/sidestep.";

/// Run a program with its files under the prefixes served by Sidestep
#[derive(Args)]
#[command(after_help = "\
The exit code is the program's own; 127 if it is not found, 126 if it can't be
executed, 2 for a mistake in the options.

Examples:
  sidestep run -- cp -a /usr/include /daos/inc
  sidestep run --mount '/scratch=local:/var/tmp/store?chunk=4MiB' -- python3 train.py
  sidestep run --mount '/a=local:/tmp/a?targets=2' --mount /b=local:/tmp/b -- bash
  sidestep run --report -- tar xf data.tar -C /daos")]
pub(super) struct RunArguments {
    #[arg(long = "mount", value_name = "PREFIX=URL", help = MOUNT_HELP, long_help = MOUNT_LONG_HELP)]
    pub(super) mounts: Vec<OsString>,
    /// Print a summary of calls, bytes and times for each process when it ends
    #[arg(long)]
    pub(super) report: bool,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub(super) command: Vec<OsString>,
}

/// Say what works on this machine, and what to do about what does not
#[derive(Args)]
#[command(after_help = "\
Exit code: 0 if all is well, 1 if there is trouble.

Examples:
  sidestep doctor
  sidestep doctor --mount /scratch=local:/var/tmp/store")]
pub(super) struct DoctorArguments {
    #[arg(long = "mount", value_name = "PREFIX=URL", help = MOUNT_HELP, long_help = MOUNT_LONG_HELP)]
    pub(super) mounts: Vec<OsString>,
}

/// Check an embedded store, and mend it
#[derive(Args)]
#[command(after_help = "\
Exit code: 0 if the store is sound, 1 if all that was wrong has been mended, 4 if
something is left, 8 if it could not be checked. A check may run beside programs that
use the store; a repair needs it alone.

Examples:
  sidestep fsck ~/.local/share/sidestep
  sidestep fsck --repair /var/tmp/store")]
pub(super) struct FsckArguments {
    /// The store's directory: what stands behind local: in a mount
    #[arg(value_name = "STORE", value_hint = ValueHint::DirPath)]
    pub(super) store: PathBuf,
    /// Mend what is wrong
    #[arg(long)]
    pub(super) repair: bool,
}

//! The cases of `tests/cases` and `tests/programs`, each a test of its own, natively and under Sidestep: over the
//! embedded engine. How they are written is told in `tests/common/cases.rs`.

mod common;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), common::cases::trials(Trial::test)).exit_code()
}

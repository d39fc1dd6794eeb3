//! The cases once more, over DAOS: the stand-in for it, or the system that `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names (a
//! container that is emptied for each case).
//!
//! `tests/daos/cases.txt` lists those that cannot pass, and why. The list only shrinks: it is a failure when a case fails
//! that is not there, and when one passes that is. A reason that begins with `stand-in:` is the stand-in's alone.

mod common;

use common::engine::{self, Engine};
use common::{build, cases};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let engine = engine::chosen();
    if matches!(engine, Engine::Daos(_)) {
        arguments.test_threads = Some(1);
    }
    let listed = Arc::new(listed(engine));
    let trials = cases::trials(|name, run| {
        let reason = listed.get(&name).cloned();
        Trial::test(name, move || judge(run(), reason))
    });
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The cases that cannot pass, with the reason.
fn listed(engine: &Engine) -> BTreeMap<String, String> {
    let text = fs::read_to_string(build::source_root().join("tests/daos/cases.txt")).expect("the list is there");
    let entries = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '));
    let entries = entries.map(|(name, reason)| (name.to_owned(), reason.trim().to_owned()));
    entries.filter(|(_, reason)| engine.counts(reason)).collect()
}

fn judge(outcome: Result<(), Failed>, reason: Option<String>) -> Result<(), Failed> {
    match (outcome, reason) {
        (Ok(()), Some(reason)) => Err(Failed::from(format!("passes, and is listed: {reason}"))),
        (Err(_), Some(_)) => Ok(()),
        (outcome, None) => outcome,
    }
}

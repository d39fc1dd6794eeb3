//! The cases of `tests/cases` and `tests/programs` as trials.
//!
//! A section `### name` of `tests/cases/TOPIC.sh` is run by bash, of `TOPIC.py` by Python; a line `CASE(name)` of
//! `tests/programs/TOPIC.c` is run as `TOPIC name`. `$P` is the directory under test, `$H` a host directory, `$T` where
//! the C programs are. Attributes behind the name: `nobody` runs the case as that user, `options=...` sets the mount's
//! options, `ours` runs it under Sidestep alone, where it must exit with 0 (what differs from the kernel on purpose), and
//! `embedded` runs it over the embedded engine alone (what DAOS does not promise).

use super::engine::{self, Engine};
use super::{build, run_in, run_on_both, sections, sections::Section, world::Pair};
use libtest_mimic::{Failed, Trial};
use std::fs;
use std::path::Path;

/// A case, as a test runs it.
type Run = Box<dyn FnOnce() -> Result<(), Failed> + Send>;

/// All of them, each wrapped by `wrap`: its name, and how to run it.
pub fn trials(wrap: impl Fn(String, Run) -> Trial) -> Vec<Trial> {
    let mut trials = Vec::new();
    for directory in ["tests/cases", "tests/programs"] {
        let mut files: Vec<_> =
            fs::read_dir(build::source_root().join(directory)).expect("it is there").flatten().collect();
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            trials.extend(cases_of(&file.path()).into_iter().map(|(name, run)| wrap(name, run)));
        }
    }
    trials
}

fn cases_of(path: &Path) -> Vec<(String, Run)> {
    let topic = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    let kind = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).expect("a readable text");
    let cases = match kind.as_str() {
        "sh" | "py" => sections::split(&text),
        "c" => sections::of_program(&text),
        _ => Vec::new(),
    };
    cases
        .into_iter()
        .map(|case| {
            let (topic, kind) = (topic.clone(), kind.clone());
            let name = format!("{topic}::{}", case.name);
            (name, Box::new(move || run(&topic, &kind, &case)) as Run)
        })
        .collect()
}

fn run(topic: &str, kind: &str, case: &Section) -> Result<(), Failed> {
    let has = |attribute: &str| case.attributes.iter().any(|given| given == attribute);
    if has("embedded") && *engine::chosen() != Engine::Embedded {
        return Ok(());
    }
    let options = case.attributes.iter().find_map(|given| given.strip_prefix("options="));
    let pair = if has("nobody") { Pair::as_nobody() } else { Pair::with_options(options.unwrap_or("")) };
    let (program, arguments) = if kind == "c" {
        (pair.add_program(topic), vec![case.name.clone()])
    } else {
        for word in case.text.split("$T/").skip(1) {
            let end = word.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(word.len());
            pair.add_program(&word[..end]);
        }
        let script = pair.base().join(format!("case.{kind}"));
        fs::write(&script, &case.text)?;
        let interpreter = if kind == "sh" { Path::new("/bin/bash") } else { build::python() };
        (interpreter.to_owned(), vec![script.display().to_string()])
    };
    let program = program.display().to_string();
    if !has("ours") {
        return run_on_both(&pair, &program, &arguments).map_err(Failed::from);
    }
    if super::is_self_check() {
        return Ok(());
    }
    let outcome = run_in(&pair.ours, &program, &arguments);
    if outcome.status == "exit 0" {
        return Ok(());
    }
    Err(Failed::from(format!("{}\n{}{}", outcome.status, outcome.stdout, outcome.stderr)))
}

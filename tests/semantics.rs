//! The examples of docs/SEMANTICS.md, run as they stand there: on a kernel file system and under Sidestep, those that
//! are marked `sidestep` under Sidestep alone.

mod common;

use common::{build, compare, run_in, world::Pair, world::World};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fs;
use std::process::ExitCode;

/// A fenced block of the document.
struct Example {
    /// The heading above it, and its number under that.
    name: String,
    /// Whether it shows what differs from the kernel.
    ours_alone: bool,
    /// The commands, in order, each with the output that stands below it.
    steps: Vec<(String, String)>,
}

fn main() -> ExitCode {
    let text = fs::read_to_string(build::source_root().join("docs/SEMANTICS.md")).expect("the document");
    let examples = examples(&text);
    assert!(examples.len() > 10, "the document has its examples");
    let trials = examples.into_iter().map(|example| Trial::test(example.name.clone(), move || run(&example)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// The `console` blocks of the document.
fn examples(text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let (mut heading, mut count, mut inside) = (String::new(), 0, false);
    for line in text.lines() {
        if inside {
            let steps = &mut examples.last_mut().expect("a block has begun").steps;
            if line == "```" {
                inside = false;
            } else if let Some(command) = line.strip_prefix("$ ") {
                steps.push((command.to_owned(), String::new()));
            } else {
                let (_, output) = steps.last_mut().expect("a block begins with a command");
                output.push_str(line);
                output.push('\n');
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            (heading, count) = (title.to_lowercase().replace([' ', ','], "_"), 0);
        } else if let Some(kind) = line.strip_prefix("```console") {
            count += 1;
            let name = format!("{heading}::{count}");
            examples.push(Example { name, ours_alone: kind.contains("sidestep"), steps: Vec::new() });
            inside = true;
        }
    }
    examples
}

/// Runs an example and compares what comes out with what the document says.
fn run(example: &Example) -> Result<(), Failed> {
    let pair = Pair::new();
    let is_self_check = std::env::var_os("SIDESTEP_TEST_SELF").is_some();
    let mut worlds: Vec<(&str, &World)> = Vec::new();
    if !example.ours_alone {
        worlds.push(("the kernel", &pair.native));
    }
    if !is_self_check {
        worlds.push(("Sidestep", &pair.ours));
    }
    let expected: String = example.steps.iter().map(|(command, output)| format!("$ {command}\n{output}")).collect();
    for (name, world) in worlds {
        let outcome = run_in(world, "bash", &["-c".to_owned(), script(example)]);
        if outcome.stdout != expected {
            let difference = compare::line_diff(&expected, &outcome.stdout);
            let errors = outcome.stderr;
            return Err(Failed::from(format!("the document (-), {name} (+)\n{difference}{errors}")));
        }
    }
    Ok(())
}

/// A script that runs the commands in one shell and shows each above its output. Errors of the shell itself tell a
/// line number; each command is evaluated on its own, so that it is 1.
fn script(example: &Example) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let step = |(command, _): &(String, String)| {
        let shown = quoted(&format!("$ {command}"));
        format!("printf '%s\\n' {shown}\neval {} 2>&1\n", quoted(command))
    };
    example.steps.iter().map(step).collect()
}

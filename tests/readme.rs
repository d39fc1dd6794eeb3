//! The README's two commands: the first is run as it stands, the second is what CI runs.

mod common;

use common::build;
use std::fs;
use std::process::Command;

/// The text of a file of the repository.
fn text(path: &str) -> String {
    fs::read_to_string(build::source_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first `sh` block below a heading of the README.
fn block(heading: &str) -> String {
    let readme = text("README.md");
    let (_, section) = readme.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let (_, block) = section.split_once("```sh\n").expect("a block below it");
    block.split_once("```").expect("its end").0.trim_end().to_owned()
}

#[test]
fn the_main_job_runs_as_the_readme_has_it() {
    let told = block("Run it");
    let build_step = "cargo build --release --workspace && ";
    let run_step = told.strip_prefix(build_step).expect("the command builds first");
    assert!(run_step.starts_with("target/release/sidestep run -- "), "the command runs what was built");
    // The tests' own target directory, where the same build has been made.
    let script = run_step.replacen("target/release/sidestep", &build::command().display().to_string(), 1);
    build::library();
    let on_the_host = std::path::Path::new("/daos");
    let was_there = on_the_host.exists();
    let home = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("HOME", home.path())
        .env_remove("XDG_DATA_HOME")
        .env_remove("SIDESTEP_MOUNTS")
        .env_remove("LD_PRELOAD")
        .output()
        .expect("sh starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    assert_eq!(err, "");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines.contains(&"the copy is equal"), "{out}");
    assert!(lines.contains(&"/daos/include"), "{out}");
    let sums: Vec<&&str> = lines.iter().filter(|line| line.ends_with("  -") && line.len() == 67).collect();
    assert_eq!(sums.len(), 2, "{out}");
    assert_eq!(sums[0], sums[1], "the bytes read back are others");
    assert!(home.path().join(".local/share/sidestep").is_dir(), "the store is where the README says");
    assert_eq!(on_the_host.exists(), was_there, "nothing of it is on the host");
}

#[test]
fn ci_runs_what_the_readme_tells_users() {
    let told = block("Test it");
    let script = text(".ci/run");
    let run: Vec<&str> = script.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(run, ["set -e", "cd \"$(dirname \"$0\")/..\"", &told]);
}

#[test]
fn links_lead_somewhere() {
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/ARCHITECTURE.md", "docs/SEMANTICS.md"] {
        let directory = build::source_root().join(document).parent().expect("a file has a directory").to_owned();
        for link in text(document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { build::source_root().join(document) } else { directory.join(path) };
            let there = fs::read_to_string(&target).unwrap_or_else(|_| panic!("{document}: {link} leads nowhere"));
            let has = |line: &str| line.starts_with('#') && slug(line.trim_start_matches('#').trim()) == anchor;
            assert!(anchor.is_empty() || there.lines().any(has), "{document}: {link} has no such heading");
        }
    }
}

/// The anchor that a heading has on the usual hosts.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

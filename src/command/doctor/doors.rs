//! What the library says of itself: which libc it met, how many sites it patched, which door is in use.
//!
//! 1. `true` is started with the library preloaded and `SIDESTEP_DOCTOR=1` set.
//! 2. The library's constructor prints `key=value` lines and ends the process.
//! 3. The lines become findings.

use super::Finding;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The constructor needs some milliseconds; past this it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// The library's own words.
type Facts = BTreeMap<String, String>;

pub(super) fn findings(library: &Path) -> Vec<Finding> {
    match ask(library) {
        Ok(facts) => tell(&facts),
        Err(finding) => vec![finding],
    }
}

/// Starts a program with the library in it, and reads what the library says.
fn ask(library: &Path) -> Result<Facts, Finding> {
    let trouble = |what: &dyn std::fmt::Display, remedy: &str| Finding::trouble("doors", what, remedy);
    let mut child = Command::new("true")
        .env("LD_PRELOAD", library)
        .env("SIDESTEP_DOCTOR", "1")
        .env("SIDESTEP_MOUNTS", "/sidestep-doctor=local:/nonexistent")
        .env_remove("SIDESTEP")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| trouble(&format_args!("cannot start `true`: {error}"), "install coreutils, or mend PATH"))?;
    let Some(code) = wait(&mut child) else {
        let _ = child.kill();
        let _ = child.wait();
        let remedy = "set SIDESTEP=off to go on without it, and report this with the output of `ldd --version`";
        return Err(trouble(&"a program with the library in it does not start (no answer in 10 s)", remedy));
    };
    let (mut said, mut complained) = (String::new(), String::new());
    let _ = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut said));
    let _ = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut complained));
    let facts = parse(&said);
    if facts.contains_key("door") {
        return Ok(facts);
    }
    let complaint = complained.lines().next().unwrap_or("it said nothing");
    let what = format!("the library does not answer ({code}): {complaint}");
    Err(trouble(&what, "check that it is libsidestep.so of this version, and built for this libc"))
}

/// Waits for the child's end; none if it takes too long.
fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

/// `key=value` lines.
fn parse(text: &str) -> Facts {
    text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

/// Findings from the facts.
fn tell(facts: &Facts) -> Vec<Finding> {
    let fact = |key: &str| facts.get(key).map_or("unknown", String::as_str);
    let number = |key: &str| fact(key).parse::<u64>().ok();
    let libc = format!("glibc {}, {}, build-id {}", fact("glibc"), fact("libc"), fact("build_id"));
    let mut findings = vec![Finding::well("libc", libc)];
    match fact("door") {
        "gate" => {
            let what = format!(
                "gate and symbols: {} of {} system-call sites patched, {} left alone, in {} us",
                fact("patched"),
                fact("sites"),
                fact("left_alone"),
                fact("start_us")
            );
            findings.push(if number("patched").is_some_and(|patched| patched > 0) {
                Finding::well("doors", what)
            } else {
                Finding::trouble("doors", what, "report this with the output of `ldd --version`")
            });
            findings.push(cache(fact("cache")));
        }
        "gate+symbols" => {
            let what = format!(
                "gate and symbols: {} of {} system-call sites patched ({}), so some calls inside libc are missed",
                fact("patched"),
                fact("sites"),
                fact("refused")
            );
            findings.push(Finding::trouble("doors", what, "look at what else is loaded into the program"));
            if number("changed").is_some_and(|changed| changed > 0) {
                let what = format!("libc's memory is not what its file is, in {}", fact("changed_names"));
                let remedy = "a debugger, a probe of the kernel's (perf, bpftrace) or another preload library did that; \
                              those calls are seen only where the program itself makes them";
                findings.push(Finding::note("patched libc", what, remedy));
            }
            findings.push(cache(fact("cache")));
        }
        "none" => findings.push(Finding::trouble(
            "doors",
            format_args!("both are closed: {}", fact("refused")),
            "look at the line that the library printed when the program started",
        )),
        _ => findings.push(Finding::trouble(
            "doors",
            format_args!("symbols only: the gate is off ({}), so calls inside libc are missed", fact("refused")),
            "unset SIDESTEP_INTERCEPT if it is set; else allow mprotect of libc's code (SELinux: execmod), or use \
             the glibc of a current distribution; /proc has to be mounted",
        )),
    }
    findings
}

/// The cache of the sites' offsets.
fn cache(state: &str) -> Finding {
    match state.split_once(':') {
        Some(("rejected", reason)) => Finding::trouble(
            "site cache",
            format_args!("not trusted: {reason}"),
            "make ~/.cache/sidestep (or $XDG_CACHE_HOME/sidestep) yours alone: chown it to you, chmod 700, and \
             remove the files in it",
        ),
        Some(("unavailable", reason)) => Finding::note(
            "site cache",
            format_args!("cannot be used ({reason}), so each program starts 8 ms later"),
            "set HOME, or XDG_CACHE_HOME, to a place that you may write to",
        ),
        _ if state == "miss" => Finding::note("site cache", "was empty; it is written now", ""),
        _ => Finding::well("site cache", state),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_gate_that_patched_is_well() {
        let facts = parse("door=gate\nsites=572\npatched=566\nleft_alone=6\nstart_us=260\ncache=hit\nglibc=2.36\n");
        let findings = tell(&facts);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Well), "{findings:?}");
        assert!(findings[1].what.contains("566 of 572"));
    }

    #[test]
    fn what_somebody_else_patched_is_told_by_name() {
        let facts = parse("door=gate+symbols\nsites=245\npatched=242\nchanged=1\nchanged_names=rename\ncache=hit\n");
        let findings = tell(&facts);
        assert!(
            findings.iter().any(|finding| finding.what.contains("rename") && finding.remedy.is_some()),
            "{findings:?}"
        );
    }

    #[test]
    fn trouble_is_seen() {
        for text in [
            "door=symbols\nrefused=mprotect",
            "door=gate\npatched=0",
            "door=gate\npatched=1\ncache=rejected:mode",
            "door=gate+symbols\npatched=1\nrefused=threads were already running",
        ] {
            let findings = tell(&parse(text));
            assert!(findings.iter().any(|finding| finding.verdict == Verdict::Trouble && finding.remedy.is_some()));
        }
    }
}

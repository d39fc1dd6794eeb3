//! The `sidestep` command as a user runs it: real processes, their output and their exit codes.

mod common;

use common::build;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The command with an environment that no user's settings reach, and with a store in `home`.
fn sidestep(home: &TempDir) -> Command {
    let mut command = Command::new(build::command());
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home.path())
        .env("XDG_CACHE_HOME", build::work_directory().join("cache"))
        .current_dir(home.path());
    command
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("the command speaks UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn run_keeps_the_exit_code() {
    let home = home();
    for code in [0, 1, 7, 255] {
        let script = format!("exit {code}");
        let done = output(sidestep(&home).args(["run", "--", "sh", "-c", &script]));
        assert_eq!(done, (Some(code), String::new(), String::new()));
    }
    let status = sidestep(&home).args(["run", "--", "sh", "-c", "kill -TERM $$"]).status().unwrap();
    assert_eq!(status.signal(), Some(15));
}

#[test]
fn run_passes_arguments_and_streams_through() {
    let home = home();
    let done = output(sidestep(&home).args(["run", "sh", "-c", "echo \"$#:$2\"; echo no >&2", "x", "a", "-b c"]));
    assert_eq!(done, (Some(0), "2:-b c\n".into(), "no\n".into()));
}

#[test]
fn run_tells_what_cannot_be_started() {
    let home = home();
    let (code, _, complaint) = output(sidestep(&home).args(["run", "--", "no-such-program"]));
    assert_eq!(code, Some(127));
    assert_eq!(complaint, "sidestep: no-such-program: not found; give its path, or a name that is in PATH\n");
    let plain = home.path().join("plain");
    fs::write(&plain, "text").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, complaint) = output(sidestep(&home).arg("run").arg("--").arg(&plain));
    assert_eq!(code, Some(126));
    assert!(complaint.contains("/plain: not executable; "), "{complaint}");
    let (code, _, complaint) = output(sidestep(&home).arg("run"));
    assert_eq!(code, Some(2));
    assert!(complaint.contains("<CMD>"), "{complaint}");
}

#[test]
fn run_finds_programs_by_links_under_a_prefix() {
    let home = home();
    let script = "ln -s /bin/echo /daos/link && cp /bin/true /daos/program";
    assert_eq!(output(sidestep(&home).args(["run", "--", "sh", "-c", script])).0, Some(0));
    let done = output(sidestep(&home).args(["run", "--", "/daos/link", "hello"]));
    assert_eq!(done, (Some(0), "hello\n".into(), String::new()));
    let (code, _, complaint) = output(sidestep(&home).args(["run", "--", "/daos/program"]));
    assert_eq!(code, Some(126));
    assert!(complaint.contains("/daos/program") && complaint.contains("Permission denied"), "{complaint}");
    let (code, _, complaint) = output(sidestep(&home).args(["run", "--", "/daos/none"]));
    assert_eq!(code, Some(127), "{complaint}");
}

/// What the program finds in `name` when it is run with these options and variables.
fn seen(name: &str, options: &[&str], variables: &[(&str, &str)]) -> String {
    let home = home();
    let script = format!("printf %s \"${name}\"");
    let mut command = sidestep(&home);
    command.arg("run").args(options).envs(variables.iter().copied()).args(["--", "sh", "-c", &script]);
    let (code, text, complaint) = output(&mut command);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    text.replace(&home.path().display().to_string(), "HOME")
}

#[test]
fn a_report_is_told_at_the_end() {
    let home = home();
    // cat closes its standard error before it ends; bash execs the last program, and reports before.
    let script = "echo hello > /daos/f; cat /daos/f /daos/f; exec cat < /daos/f";
    let (code, text, report) = output(sidestep(&home).args(["run", "--report", "--", "bash", "-c", script]));
    assert_eq!((code, text.as_str()), (Some(0), "hello\nhello\nhello\n"));
    let told = |class: &str, bytes: u64| {
        let class = format!(" prefix=/daos class={class} ");
        let bytes = format!(" failed=0 bytes={bytes} ");
        report
            .lines()
            .any(|line| line.starts_with("sidestep: report pid=") && line.contains(&class) && line.contains(&bytes))
    };
    assert!(told("write", 6) && told("read", 12) && told("read", 6) && told("open", 0), "{report}");
    let (code, _, silence) = output(sidestep(&home).args(["run", "--", "cat", "/daos/f"]));
    assert_eq!((code, silence.as_str()), (Some(0), ""));
}

#[test]
fn run_sets_the_mounts() {
    let mounts = |options: &[&str], variables: &[(&str, &str)]| seen("SIDESTEP_MOUNTS", options, variables);
    assert_eq!(mounts(&[], &[]), "/daos=local:HOME/.local/share/sidestep");
    assert_eq!(mounts(&[], &[("XDG_DATA_HOME", "/d")]), "/daos=local:/d/sidestep");
    assert_eq!(
        mounts(&[], &[("SIDESTEP_MOUNTS", "/a//b=local:/proc/none/first?chunk=1024K")]),
        "/a/b=local:/proc/none/first?chunk=1MiB"
    );
    assert_eq!(
        mounts(
            &["--mount", "/a=local:here?targets=2", "--mount", "/b=local:/proc/none/second"],
            &[("SIDESTEP_MOUNTS", "/x=local:/proc/none/third")]
        ),
        "/a=local:HOME/here?targets=2,/b=local:/proc/none/second"
    );
}

#[test]
fn run_puts_the_library_behind_what_is_preloaded_already() {
    let library = build::library();
    let ours = library.canonicalize().unwrap().display().to_string();
    assert_eq!(seen("LD_PRELOAD", &[], &[]), ours);
    assert_eq!(seen("LD_PRELOAD", &[], &[("LD_PRELOAD", "libm.so.6")]), format!("libm.so.6:{ours}"));
    assert_eq!(seen("LD_PRELOAD", &[], &[("LD_PRELOAD", &ours)]), ours);
    assert_eq!(seen("SIDESTEP_REPORT", &[], &[]), "");
}

#[test]
fn run_refuses_what_it_cannot_read() {
    let home = home();
    for (option, complaint) in [
        (
            "/a=local:/s?chunk=7",
            "sidestep: --mount: mount 1 (\"/a=local:/s?chunk=7\"), byte 18: \"7\" is not a chunk size; take 1KiB to \
             64MiB, a multiple of 512 bytes\n",
        ),
        (
            "/a=nfs:/s",
            "sidestep: --mount: mount 1 (\"/a=nfs:/s\"), byte 3: \"nfs\" is no kind of store; write local:DIRECTORY \
             or daos:POOL/CONTAINER\n",
        ),
    ] {
        let done = output(sidestep(&home).args(["run", "--mount", option, "--", "true"]));
        assert_eq!(done, (Some(2), String::new(), complaint.to_owned()));
    }
    let (code, _, complaint) = output(sidestep(&home).env("SIDESTEP_MOUNTS", "daos").args(["run", "--", "true"]));
    assert_eq!(code, Some(2));
    assert!(complaint.starts_with("sidestep: SIDESTEP_MOUNTS: mount 1 (\"daos\"), byte 0: "), "{complaint}");
    let (code, _, complaint) =
        output(sidestep(&home).env("SIDESTEP_LIBRARY", "/no/lib.so").args(["run", "--", "true"]));
    assert_eq!(code, Some(2));
    assert!(complaint.starts_with("sidestep: SIDESTEP_LIBRARY=/no/lib.so: No such file"), "{complaint}");
}

#[test]
fn run_warns_of_programs_that_no_library_enters() {
    let home = home();
    let (source, program) = (home.path().join("static.s"), home.path().join("static"));
    fs::write(&source, ".globl _start\n_start: mov $60, %eax\nmov $3, %edi\nsyscall\n").unwrap();
    let made = Command::new("cc").args(["-static", "-nostdlib", "-o"]).args([&program, &source]).status().unwrap();
    assert!(made.success(), "cc makes a static program");
    let (code, _, complaint) = output(sidestep(&home).arg("run").arg("--").arg(&program));
    assert_eq!(code, Some(3));
    assert!(complaint.contains("/static is statically linked, so LD_PRELOAD has no effect"), "{complaint}");
    let (code, _, complaint) = output(sidestep(&home).env("SIDESTEP", "off").args(["run", "--", "true"]));
    assert_eq!(code, Some(0));
    assert!(complaint.contains("SIDESTEP=off is set"), "{complaint}");
}

#[test]
fn doctor_is_content_with_a_sound_machine() {
    let home = home();
    let (code, report, complaint) = output(sidestep(&home).arg("doctor"));
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{report}");
    for line in ["ok       kernel ", "ok       library ", "ok       libc ", "ok       doors ", "ok       /daos "] {
        assert!(report.lines().any(|told| told.starts_with(line)), "{line} is missing:\n{report}");
    }
    assert!(report.ends_with("\nAll is well.\n"), "{report}");
}

#[test]
fn doctor_names_each_trouble_and_its_remedy() {
    let home = home();
    let file = home.path().join("file");
    fs::write(&file, "not a store").unwrap();
    let stuff = home.path().join("stuff");
    fs::create_dir(&stuff).unwrap();
    fs::write(stuff.join("letter"), "not a store").unwrap();
    let on_stuff = format!("/a=local:{}", stuff.display());
    let on_a_file = format!("/a=local:{}", file.display());
    let readonly = format!("/a=local:{}/none?readonly", home.path().display());
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: [Case<'_>; 8] = [
        (&[], &[("SIDESTEP_LIBRARY", "/no/lib.so")], "library", "set it to the path of libsidestep.so"),
        (&[], &[("SIDESTEP", "off")], "SIDESTEP", "unset SIDESTEP"),
        (&[], &[("LD_PRELOAD", "/proc/none/firstuch.so")], "LD_PRELOAD", "take it out"),
        (&["--mount", "/a=daos:p/c"], &[("SIDESTEP_LIBDFS", "/nonexistent/libdfs.so")], "/a", "SIDESTEP_LIBDFS"),
        (&["--mount", &on_a_file], &[], "/a", "name another place"),
        (&["--mount", &on_stuff], &[], "/a", "give an empty or a new directory"),
        (&["--mount", &readonly], &[], "/a", "without ?readonly"),
        (&["--mount", "/a=local:/s?x"], &[], "mounts", "the options are chunk="),
    ];
    for (options, variables, topic, remedy) in cases {
        let (code, report, _) = output(sidestep(&home).arg("doctor").args(options).envs(variables.iter().copied()));
        assert_eq!(code, Some(1), "{topic}:\n{report}");
        let trouble = format!("TROUBLE  {topic:<12} ");
        let mut lines = report.lines().skip_while(|line| !line.starts_with(&trouble));
        assert!(lines.next().is_some(), "{topic} is missing:\n{report}");
        assert!(lines.next().is_some_and(|line| line.contains(remedy)), "{remedy} is missing:\n{report}");
        assert!(report.ends_with("\nThere is 1 trouble.\n"), "{report}");
    }
}

/// Every file below a directory.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a readable directory").flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[test]
fn fsck_finds_a_sound_store_sound() {
    let home = home();
    let script = "mkdir /daos/d && head -c 100000 /dev/zero > /daos/d/f && ln -s d/f /daos/l && echo x > /daos/small";
    assert_eq!(
        output(sidestep(&home).args(["run", "--", "sh", "-c", script])),
        (Some(0), String::new(), String::new())
    );
    let store = home.path().join(".local/share/sidestep");
    for options in [&[][..], &["--repair"]] {
        let (code, report, complaint) = output(sidestep(&home).arg("fsck").args(options).arg(&store));
        assert_eq!((code, complaint.as_str()), (Some(0), ""), "{report}");
        let told = report.replace(&store.display().to_string(), "STORE");
        assert_eq!(told, "STORE: 2 files, 2 directories, 1 symlinks, 100002 bytes\nSTORE: clean\n");
    }
    let (code, report, _) = output(sidestep(&home).arg("doctor"));
    assert_eq!(code, Some(0), "{report}");
    // From a shell that is itself in the store: to check is allowed, to mend is not.
    let inside = |options: &str| {
        let command = build::command().display().to_string();
        let script = format!("cd /daos/d && {command} fsck {options} {}; exit $?", store.display());
        output(sidestep(&home).args(["run", "--", "sh", "-c", &script]))
    };
    let (code, report, complaint) = inside("");
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{report}");
    let (code, _, complaint) = inside("--repair");
    assert_eq!(code, Some(8));
    assert!(complaint.contains("other processes use the store"), "{complaint}");
}

#[test]
fn fsck_finds_damage_and_mends_it() {
    let home = home();
    let script = "for i in 1 2 3; do head -c 100000 /dev/urandom > /daos/f$i; done; echo kept > /daos/small";
    assert_eq!(output(sidestep(&home).args(["run", "--", "sh", "-c", script])).0, Some(0));
    let store = home.path().join(".local/share/sidestep");
    let objects = files_below(&store.join("targets"));
    assert_eq!(objects.len(), 3, "{objects:?}");
    fs::remove_file(&objects[0]).unwrap();
    let (code, report, _) = output(sidestep(&home).arg("fsck").arg(&store));
    assert_eq!(code, Some(4), "{report}");
    assert!(report.contains("damage: ") && report.contains("--repair mends them"), "{report}");
    let (code, report, _) = output(sidestep(&home).args(["fsck", "--repair"]).arg(&store));
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("all mended"), "{report}");
    let (code, report, _) = output(sidestep(&home).arg("fsck").arg(&store));
    assert_eq!(code, Some(0), "{report}");
    let done = output(sidestep(&home).args(["run", "--", "cat", "/daos/small"]));
    assert_eq!(done, (Some(0), "kept\n".into(), String::new()));
}

#[test]
fn fsck_refuses_what_it_cannot_check() {
    let home = home();
    fs::write(home.path().join("letter"), "not a store").unwrap();
    for place in [home.path().to_owned(), home.path().join("letter"), home.path().join("nowhere")] {
        let (code, _, complaint) = output(sidestep(&home).arg("fsck").arg(&place));
        assert_eq!(code, Some(8), "{complaint}");
        assert!(complaint.contains(&place.display().to_string()), "{complaint}");
    }
    let store = home.path().join(".local/share/sidestep");
    let mut user = sidestep(&home);
    user.args(["run", "--", "sh", "-c", "exec 3> /daos/f; echo ready; read end"]);
    let mut user = user.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    user.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    let (code, _, complaint) = output(sidestep(&home).args(["fsck", "--repair"]).arg(&store));
    assert_eq!(code, Some(8), "{complaint}");
    assert!(complaint.contains("other processes use the store"), "{complaint}");
    drop(user.stdin.take());
    user.wait().unwrap();
    let (code, report, _) = output(sidestep(&home).args(["fsck", "--repair"]).arg(&store));
    assert_eq!(code, Some(0), "{report}");
}

#[test]
fn completions_are_scripts_that_know_the_subcommands() {
    let home = home();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, complaint) = output(sidestep(&home).args(["completions", shell]));
        assert_eq!((code, complaint.as_str()), (Some(0), ""));
        for word in ["doctor", "run", "fsck", "repair", "mount"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
        if shell == "bash" {
            let file = home.path().join("script");
            fs::write(&file, script).unwrap();
            assert!(Command::new("bash").arg("-n").arg(&file).status().unwrap().success());
        }
    }
}

#[test]
fn every_help_has_examples() {
    let home = home();
    for task in
        [&["--help"][..], &["run", "--help"], &["doctor", "--help"], &["fsck", "--help"], &["completions", "--help"]]
    {
        let (code, help, _) = output(sidestep(&home).args(task));
        assert_eq!(code, Some(0));
        assert!(help.contains("\nExamples:\n  sidestep "), "{task:?}:\n{help}");
        assert!(help.lines().all(|line| line.len() <= 100), "{task:?} has long lines:\n{help}");
    }
}

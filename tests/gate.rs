//! The doors over programs that never touch the prefix: everything is as if Sidestep were not there.

mod common;
mod gate_support;

use common::build;
use gate_support::{Door, Place, compile, initialised_before_us, same_everywhere};
use std::path::Path;
use std::process::Command;

fn shell(place: &Place, door: Door, script: &str) -> Command {
    let mut command = place.command(door, "/bin/bash");
    command.args(["-c", script]);
    command
}

fn shell_is_the_same(script: &str) {
    same_everywhere(|place, door| shell(place, door, script));
}

fn python_is_the_same(script: &str) {
    same_everywhere(|place, door| {
        let mut command = place.command(door, build::python());
        command.args(["-c", script]);
        command
    });
}

fn program_is_the_same(compiler: &str, source: &str) {
    same_everywhere(|place, door| place.command(door, compile(place, compiler, source, &[])));
}

#[test]
fn the_gate_is_installed() {
    let place = Place::new();
    let facts = place.facts(Door::Gate);
    assert_eq!(facts.get("door"), "gate", "{facts:?}");
    assert_eq!(facts.number("patched") + facts.number("left_alone"), facts.number("sites"), "{facts:?}");
    assert!(facts.number("patched") >= 150, "{facts:?}");
    assert!(facts.number("left_alone") <= 4, "{facts:?}");
    assert!(facts.get("libc").contains("libc"), "{facts:?}");
    assert_eq!(facts.get("build_id").len() % 8, 0, "{facts:?}");
}

#[test]
fn symbols_can_be_asked_for() {
    let facts = Place::new().facts(Door::Symbols);
    assert_eq!((facts.get("door"), facts.number("patched")), ("symbols", 0));
}

#[test]
fn an_unknown_door_is_told_once_and_the_default_used() {
    let place = Place::new();
    let mut command = place.command(Door::Gate, "/bin/true");
    command.env("SIDESTEP_INTERCEPT", "windows").env("SIDESTEP_DOCTOR", "1");
    let (stdout, stderr, status) = place.run(command);
    assert!(stdout.contains("door=gate"), "{stdout}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("SIDESTEP_INTERCEPT=windows") && stderr.contains("symbols"), "{stderr}");
    assert_eq!(status, "exit 0");
}

#[test]
fn shell_pipelines() {
    shell_is_the_same(
        "seq 1 2000 | sort -r | head -50 | tail -3; cat <<< here; cat < <(echo there); (echo a; echo b >&2) 2>&1 | sort;\n\
         for i in 1 2 3; do echo $i | cat & wait; done; exec 7<>file; echo seven >&7; cat file; echo x >> file; wc -c file;\n\
         trap 'echo caught' USR1; kill -USR1 $$; cd /; pwd; ls -d /usr /dev | xargs -n1 echo; test -e /nowhere || exit 3",
    );
}

#[test]
fn git() {
    shell_is_the_same(
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_DATE='2020-01-01T00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00Z'\n\
         export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n\
         git init -q -b main r && cd r && seq 1 500 > f && git add f && git commit -qm one && echo x >> f && git commit -qam two\n\
         git log --format=%H%s; git diff HEAD~1; git gc -q; git fsck; git clone -q . ../s && git -C ../s status -sb",
    );
}

#[test]
fn compiler() {
    shell_is_the_same(
        "printf '#include <stdio.h>\\nint main(){FILE*f=fopen(\"o\",\"w\");fputs(\"hi\\\\n\",f);fclose(f);puts(\"ran\");}' > a.c\n\
         gcc -O1 -g a.c -o a && ./a && cat o && echo '#include <nowhere.h>' > b.c; gcc -c b.c 2>&1; ls",
    );
}

#[test]
fn perl() {
    shell_is_the_same(
        "perl -e 'open F,\">\",\"f\"; print F \"$_\\n\" for 1..100; close F; open F,\"-|\",\"tail\",\"-1\",\"f\"; print <F>; \
         print `wc -l f`; rename \"f\",\"g\"; print join(\",\",glob(\"*\")),\"\\n\"; $SIG{ALRM}=sub{print \"alarm\\n\"}; alarm 1; sleep 3; \
         if(!fork){exit 5} wait; print $?>>8,\"\\n\"'",
    );
}

#[test]
fn tar_and_find() {
    shell_is_the_same(
        "mkdir -p d/e; for i in $(seq 1 40); do echo $i > d/e/$i; ln -s e/$i d/l$i; done; truncate -s 1M d/sparse\n\
         tar cSf - d | tar xf - --one-top-level=t && diff -r d t/d && find t -type f | sort | xargs sha256sum; cp -a d u; \
         mv u v; rm -r d; du -s --apparent-size v; ls -la v | wc -l; stat -c '%n %s %F' v/sparse; dd if=v/sparse bs=1000 count=3 status=none | wc -c",
    );
}

#[test]
fn python_threads_and_processes() {
    python_is_the_same(
        "import os, subprocess, threading, asyncio, tempfile, multiprocessing, signal\n\
         print(subprocess.run(['sort'], input=b'b\\na\\n', capture_output=True).stdout)\n\
         results = []\n\
         def work(n):\n\
         \x20   for _ in range(200):\n\
         \x20       with tempfile.TemporaryFile() as f:\n\
         \x20           f.write(b'x' * n); f.seek(0); results.append(len(f.read()))\n\
         threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]\n\
         [t.start() for t in threads]; [t.join() for t in threads]; print(sum(results))\n\
         async def main():\n\
         \x20   p = await asyncio.create_subprocess_exec('cat', '/etc/hostname', stdout=-1)\n\
         \x20   out, _ = await p.communicate(); print(len(out) > 0, p.returncode)\n\
         \x20   print(sorted([await asyncio.to_thread(os.path.exists, x) for x in ('/', '/nowhere')]))\n\
         asyncio.run(main())\n\
         pid = os.fork()\n\
         if pid == 0: os._exit(9)\n\
         print(os.waitpid(pid, 0)[1])\n\
         try: open('/nowhere')\n\
         except OSError as e: print(e.errno, e.strerror)\n\
         with multiprocessing.get_context('spawn').Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n",
    );
}

#[test]
fn cancellation_strikes_blocked_threads() {
    program_is_the_same("cc", "gate_cancel.c");
}

#[test]
fn cancellation_unwinds_destructors() {
    program_is_the_same("c++", "gate_unwind.cpp");
}

#[test]
fn signals_interrupt_and_restart() {
    program_is_the_same("cc", "gate_signals.c");
}

#[test]
fn processes_of_every_kind() {
    program_is_the_same("cc", "gate_processes.c");
}

#[test]
fn words_to_other_processes_are_the_kernels() {
    program_is_the_same("cc", "gate_words.c");
}

#[test]
fn registers_are_kept() {
    program_is_the_same("cc", "gate_registers.c");
}

#[test]
fn a_library_that_starts_before_us_can_use_files() {
    same_everywhere(|place, door| {
        let early = compile(place, "cc", "gate_early.c", &["-shared", "-fPIC"]);
        let mut command = place.command(door, "/bin/echo");
        let ours = if door == Door::None { String::new() } else { format!(" {}", build::library().display()) };
        // The first of the list is initialised last.
        command.arg("done").env("LD_PRELOAD", format!("{}{ours}", early.display()));
        command
    });
    same_everywhere(|place, door| {
        let early = compile(place, "cc", "gate_early.c", &["-shared", "-fPIC"]);
        let mut command = place.command(door, "/bin/echo");
        let ours = if door == Door::None { String::new() } else { format!("{} ", build::library().display()) };
        command.arg("done").env("LD_PRELOAD", format!("{ours}{}", early.display()));
        command
    });
}

#[test]
fn threads_of_other_libraries_are_not_harmed() {
    let with_thread = |place: &Place, door: Door, kind: &str, program: &str| {
        let early = compile(place, "cc", "gate_early.c", &["-shared", "-fPIC"]);
        let mut command = place.command(door, program);
        command.env("LD_PRELOAD", initialised_before_us(place, door, &early)).env("GATE_EARLY_THREAD", kind);
        command
    };
    for (kind, left_min, left_max) in [("asleep", 0, 20), ("running", 1, 90)] {
        let place = Place::new();
        let mut command = with_thread(&place, Door::Gate, kind, "/bin/true");
        command.env("SIDESTEP_DOCTOR", "1");
        let facts = place.facts_of(command);
        let left = facts.number("left_to_threads");
        assert!((left_min..=left_max).contains(&left), "{kind}: {facts:?}");
        assert_eq!(facts.get("door"), if left == 0 { "gate" } else { "gate+symbols" }, "{kind}: {facts:?}");
        assert_eq!(facts.number("patched") + facts.number("left_alone") + left, facts.number("sites"), "{facts:?}");
        same_everywhere(|place, door| {
            // Not a shell: bash closes numbers that it does not own, which strikes the thread natively too.
            let mut command = with_thread(place, door, kind, "/usr/bin/sort");
            command.args(["-r", "/etc/passwd", "/etc/group"]);
            command
        });
    }
}

#[test]
fn a_policy_against_new_code_leaves_the_symbols() {
    let place = Place::new();
    let policy = compile(&place, "cc", "gate_no_new_code.c", &[]);
    let (_, _, status) = {
        let mut command = place.command(Door::None, &policy);
        command.arg("/bin/true");
        place.run(command)
    };
    if status == "exit 77" {
        println!("this kernel has no PR_SET_MDWE");
        return;
    }
    let mut command = place.command(Door::None, &policy);
    // The library comes in with the program, not with what sets the policy.
    command.args([
        "/usr/bin/env",
        &format!("LD_PRELOAD={}", build::library().display()),
        "SIDESTEP_DOCTOR=1",
        "/bin/true",
    ]);
    let facts = place.facts_of(command);
    assert_eq!(facts.get("door"), "symbols", "{facts:?}");
    assert!(facts.get("refused").contains("does not allow"), "{facts:?}");
    let mut command = place.command(Door::None, &policy);
    command.args([
        "/usr/bin/env",
        &format!("LD_PRELOAD={}", build::library().display()),
        "/bin/sh",
        "-c",
        "echo fine | cat",
    ]);
    assert_eq!(place.run(command), ("fine\n".to_owned(), String::new(), "exit 0".to_owned()));
}

#[test]
fn what_another_library_exports_is_not_taken_for_libcs() {
    let place = Place::new();
    let impostor = compile(&place, "cc", "gate_impostor.c", &["-shared", "-fPIC"]);
    let own = place.facts(Door::Gate);
    for order in ["before", "behind"] {
        let mut command = place.command(Door::Gate, "/bin/true");
        let (ours, theirs) = (build::library().display().to_string(), impostor.display());
        let list = if order == "before" { format!("{theirs} {ours}") } else { format!("{ours} {theirs}") };
        command.env("LD_PRELOAD", list).env("SIDESTEP_DOCTOR", "1");
        let facts = place.facts_of(command);
        for fact in ["door", "libc", "build_id", "objects", "sites", "patched"] {
            assert_eq!(facts.get(fact), own.get(fact), "{fact}, {order} us: {facts:?}");
        }
    }
}

#[test]
fn a_namespace_of_its_own_has_a_gate_too() {
    same_everywhere(|place, door| {
        let program = compile(place, "cc", "gate_namespace.c", &[]);
        let mut command = place.command(door, program);
        // Without the gate a libc that nobody else knows is nobody's door.
        let is_served = door == Door::Gate;
        command.arg(if is_served { Path::new("/daos") } else { place.path() });
        command
    });
}

#[test]
fn ld_so_as_a_program_is_found() {
    let place = Place::new();
    let own = place.facts(Door::Gate);
    let mut command = place.command(Door::Gate, "/lib64/ld-linux-x86-64.so.2");
    command.arg("/bin/true").env("SIDESTEP_DOCTOR", "1");
    let facts = place.facts_of(command);
    assert_eq!((facts.get("door"), facts.get("patched")), ("gate", own.get("patched")), "{facts:?}");
}

#[test]
fn without_proc_the_gate_is_on_and_files_say_why_they_cannot_be_opened() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can hide /proc");
        return;
    }
    let place = Place::new();
    let own = place.facts(Door::Gate);
    let hidden = |command: &str| {
        let mut unshared = place.command(Door::None, "unshare");
        let script = "mount -t tmpfs none /proc && exec env LD_PRELOAD=$LIBRARY sh -c \"$COMMAND\"";
        unshared.args(["--mount", "sh", "-c", script]).env("LIBRARY", build::library()).env("COMMAND", command);
        unshared
    };
    let facts = place.facts_of(hidden("SIDESTEP_DOCTOR=1 exec /bin/true"));
    assert_eq!((facts.get("door"), facts.get("patched")), ("gate", own.get("patched")), "{facts:?}");
    let (stdout, stderr, status) = place.run(hidden("cat /etc/hostname > /daos/f; sort /etc/passwd | wc -l; exit 3"));
    assert_ne!(stdout.trim(), "0");
    assert_eq!(status, "exit 3");
    let reasons: Vec<_> = stderr.lines().filter(|line| line.starts_with("sidestep: ")).collect();
    assert!(matches!(reasons[..], [line] if line.contains("/proc is not mounted")), "{stderr}");
}

#[test]
fn a_filter_of_system_calls_is_named_as_the_reason() {
    let calls = [libc::SYS_memfd_create, libc::SYS_openat2, libc::SYS_statx, libc::SYS_getrandom, libc::SYS_fallocate];
    for call in calls.into_iter().chain([libc::SYS_mkdir, libc::SYS_mkdirat, libc::SYS_fcntl, libc::SYS_flock]) {
        let place = Place::new();
        let program = compile(&place, "cc", "gate_filter.c", &[]);
        let mut command = place.command(Door::Gate, program);
        command.args([&call.to_string(), "/daos"]);
        let (stdout, stderr, status) = place.run(command);
        if status == "exit 77" {
            println!("this kernel has no filters");
            return;
        }
        assert_eq!(status, "exit 0", "call {call}: {stdout}{stderr}");
        let told = stderr.lines().filter(|line| line.starts_with("sidestep: ")).count();
        assert!(!stderr.contains("ask its owner"), "call {call}: {stderr}");
        assert!(told == usize::from(stdout != "through\n"), "call {call}: {stdout}{stderr}");
    }
}

#[test]
fn a_refusal_is_told_where_it_is_asked_for() {
    let place = Place::new();
    let mut command = place.command(Door::Symbols, "/bin/true");
    command.env("SIDESTEP_LOG", "info");
    let (stdout, stderr, status) = place.run(command);
    assert_eq!((stdout.as_str(), status.as_str()), ("", "exit 0"));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("symbol doors were asked for") && stderr.contains("stdio"), "{stderr}");
    let (_, stderr, _) = place.run(place.command(Door::Symbols, "/bin/true"));
    assert_eq!(stderr, "");
}

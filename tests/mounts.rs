//! `SIDESTEP_MOUNTS`: several mounts at once, their options, and what becomes of a malformed list.

mod common;

use common::world::Pair;
use common::{run_in, said, shell_with};

/// `pair`'s places, for lists of mounts.
fn places(pair: &Pair) -> (String, String) {
    (pair.ours.prefix().display().to_string(), pair.base().display().to_string())
}

#[test]
fn the_longest_prefix_wins() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let (p, base) = places(&pair);
    let both = format!("{p}=local:{base}/one,{p}/inner=local:{base}/two,{base}/b/q=local:{base}/three");
    let script = r#"
        echo outer > $P/f; echo inner > $P/inner/f; echo third > $P/../q/f
        mkdir -p $P/inner/d; cp $P/inner/f $P/copy; cat $P/f $P/inner/f $P/inner/../f $P/../q/f $P/copy
        mv $P/inner/f $P/moved; cat $P/moved; ls $P/inner
        cd $P/inner/d && /bin/pwd && cd ../.. && /bin/pwd"#;
    let outcome = shell_with(&mut pair, &both, script);
    assert_eq!(said(&outcome), "outer\ninner\nouter\nthird\ninner\ninner\nd\n@/p/inner/d\n@/p\n");
    let one = shell_with(&mut pair, &format!("{p}=local:{base}/one"), "ls $P; cat $P/f; ls $P/../q 2> /dev/null");
    assert!(one.stdout.starts_with("copy\nf\n") && one.stdout.ends_with("outer\n"), "{}", one.stdout);
    let two = shell_with(&mut pair, &format!("{p}=local:{base}/two"), "ls $P");
    assert_eq!(said(&two), "d\n");
}

#[test]
fn renames_between_mounts_answer_exdev() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let (p, base) = places(&pair);
    let mounts = format!("{p}=local:{base}/one,{base}/b/q=local:{base}/two");
    let script = "echo x > $P/f; perl -e 'rename(\"$ENV{P}/f\", \"$ENV{P}/../q/f\") and print \"renamed\"; print $!+0'";
    let outcome = shell_with(&mut pair, &mounts, script);
    assert_eq!(said(&outcome), libc::EXDEV.to_string());
}

#[test]
fn excluded_paths_stay_with_the_host() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let (p, base) = places(&pair);
    std::fs::create_dir_all(format!("{p}/host")).expect("tmpfs");
    let mounts = format!("{p}=local:{base}/store?exclude=*.tmp&exclude=host");
    let outcome = shell_with(
        &mut pair,
        &mounts,
        "echo a > $P/a.tmp; echo b > $P/b; echo c > $P/host/c; cat $P/a.tmp $P/b $P/host/c",
    );
    assert_eq!(said(&outcome), "a\nb\nc\n");
    let on_host = |name: &str| std::fs::read_to_string(format!("{p}/{name}")).ok();
    assert_eq!((on_host("a.tmp"), on_host("b"), on_host("host/c")), (Some("a\n".into()), None, Some("c\n".into())));
}

#[test]
fn a_readonly_mount_answers_erofs() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let (p, base) = places(&pair);
    let outcome =
        shell_with(&mut pair, &format!("{p}=local:{base}/store"), "echo kept > $P/f; mkdir $P/d; ln -s f $P/l");
    said(&outcome);
    let script = r#"
        cat $P/f $P/l; ls $P
        for try in 'echo x > $P/f' 'echo x >> $P/f' ': > $P/new' 'rm $P/f' 'mkdir $P/e' 'rmdir $P/d' 'mv $P/f $P/g' \
                   'ln -s x $P/m' 'chmod 600 $P/f' 'touch $P/f' 'truncate -s 1 $P/f'; do
            (eval "$try") 2>&1 | grep -q 'Read-only file system' || echo "not refused: $try"
        done
        [ -w $P/f ] || echo not writable; cat $P/f"#;
    let outcome = shell_with(&mut pair, &format!("{p}=local:{base}/store?readonly"), script);
    assert_eq!(said(&outcome), "kept\nkept\nd\nf\nl\nnot writable\nkept\n");
}

/// The same tree comes back whole whatever the chunks are.
fn tree_survives(options: &str) {
    if common::is_self_check() {
        return;
    }
    let pair = Pair::with_options(options);
    let script = "cp -a /usr/include/linux $P/inc && diff -r /usr/include/linux $P/inc && seq 300000 > $P/big && \
                  dd if=$P/big of=$P/odd bs=1537 status=none && cmp $P/big $P/odd && truncate -s 700000 $P/odd && \
                  printf X | dd of=$P/odd bs=1 seek=3000000 conv=notrunc status=none && sha256sum < $P/odd && stat -c %o $P/odd";
    let outcome = run_in(&pair.ours, "/bin/bash", &["-c".to_owned(), script.to_owned()]);
    let native = run_in(&pair.native, "/bin/bash", &["-c".to_owned(), script.to_owned()]);
    let hash = |text: &str| text.lines().next().map(str::to_owned);
    assert_eq!(hash(said(&outcome)), hash(said(&native)));
}

#[test]
fn chunks_of_1_kib() {
    tree_survives("chunk=1KiB");
}

#[test]
fn chunks_of_1536_bytes() {
    tree_survives("chunk=1536");
}

#[test]
fn chunks_of_64_mib() {
    tree_survives("chunk=64MiB");
}

#[test]
fn chunks_are_placed_on_two_targets() {
    tree_survives("targets=2&chunk=4KiB");
    if common::is_self_check() {
        return;
    }
    let pair = Pair::with_options("targets=2&chunk=4KiB");
    let script = "head -c 10000000 /dev/urandom > $P/f; sha256sum < $P/f; cat $P/f | sha256sum".to_owned();
    let outcome = run_in(&pair.ours, "/bin/bash", &["-c".to_owned(), script]);
    let hashes: Vec<&str> = said(&outcome).lines().collect();
    assert_eq!(hashes[0], hashes[1]);
    for target in ["targets/0", "targets/1"] {
        let bytes = bytes_below(&pair.store().join(target));
        assert!(bytes > 3_000_000, "{target} holds {bytes} bytes");
    }
}

/// The bytes in use by the files below a directory.
fn bytes_below(directory: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(directory).expect("a target's directory").flatten();
    entries
        .map(|entry| match entry.metadata().expect("our own store") {
            metadata if metadata.is_dir() => bytes_below(&entry.path()),
            metadata => metadata.blocks() * 512,
        })
        .sum()
}

#[test]
fn turned_off_there_is_no_prefix() {
    if common::is_self_check() {
        return;
    }
    let pair = Pair::new();
    for off in ["off", "0"] {
        let script =
            format!("echo x > $P/f; SIDESTEP={off} ls $P 2>&1; cat $P/f; SIDESTEP={off} bash -c 'env -i ls '$P 2>&1");
        let outcome = run_in(&pair.ours, "/bin/bash", &["-c".to_owned(), script]);
        let absent = "ls: cannot access '@/p': No such file or directory\n";
        assert_eq!(outcome.stdout, format!("{absent}x\n{absent}"), "{}", outcome.stderr);
    }
}

#[test]
fn a_malformed_list_is_named_and_the_program_runs() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let (p, base) = places(&pair);
    let lists = [
        ("nonsense", "nonsense"),
        ("relative=local:/x", "relative"),
        ("/=local:/x", "\"/\""),
        (&format!("{p}=local:{base}/store,/q"), "mount 2"),
        (&format!("{p}=local:{base}/store?chunk=511"), "511"),
        (&format!("{p}=local:{base}/store?chunk=512"), "512"),
        (&format!("{p}=local:{base}/store?chunk=1025"), "1025"),
        (&format!("{p}=local:{base}/store?chunk=128MiB"), "128MiB"),
        (&format!("{p}=local:{base}/store?targets=0"), "\"0\""),
        (&format!("{p}=local:{base}/store?colour=red"), "colour"),
        (&format!("{p}=local:{base}/a,{p}=local:{base}/b"), "mount 2"),
        (&format!("{p}=ftp:host"), "ftp"),
    ];
    for (mounts, named) in lists {
        let outcome = shell_with(
            &mut pair,
            mounts,
            "exec 2> $H/quiet; echo ran; ls $P > /dev/null 2>&1 || echo no prefix; exit 7",
        );
        assert_eq!((outcome.status.as_str(), outcome.stdout.as_str()), ("exit 7", "ran\nno prefix\n"), "{mounts}");
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].contains(named) && lines[0].contains("SIDESTEP_MOUNTS"),
            "{mounts}: {lines:?}"
        );
    }
}

#[test]
fn a_daos_mount_without_the_libraries_says_what_to_install() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let (p, base) = places(&pair);
    pair.ours.environment.push(("SIDESTEP_LIBDFS".to_owned(), "/nonexistent/libdfs.so".to_owned()));
    let mounts = format!("{p}=daos:tank/container,{base}/b/q=local:{base}/store");
    let outcome = shell_with(
        &mut pair,
        &mounts,
        "cat $P/f; echo $?; cd ${P%p} && echo other > q/f && cat ${P%p}q/f; ls / > /dev/null && echo host",
    );
    assert_eq!(outcome.stdout, "1\nother\nhost\n", "{}", outcome.stderr);
    assert!(outcome.stderr.contains("/nonexistent/libdfs.so"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("SIDESTEP_LIBDFS"), "{}", outcome.stderr);
}

#[test]
fn the_default_mount_needs_no_setting() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let data = pair.base().join("data").display().to_string();
    pair.ours.environment.retain(|(name, _)| name != "SIDESTEP_MOUNTS");
    pair.ours.environment.push(("XDG_DATA_HOME".to_owned(), data.clone()));
    let script = "mkdir -p /daos/sub && echo default > /daos/sub/f && cat /daos/sub/f && cd /daos && ls && pwd";
    let outcome = run_in(&pair.ours, "/bin/bash", &["-c".to_owned(), script.to_owned()]);
    assert_eq!(said(&outcome), "default\nsub\n/daos\n");
    assert!(std::path::Path::new(&data).join("sidestep").is_dir());
}

#[test]
fn a_prefix_at_the_root_of_the_host() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let base = pair.base().display().to_string();
    let script = "cd /sidestep-prefix/ && echo x > f && cat /sidestep-prefix/f ../sidestep-prefix/f && ls .. | grep -c etc && \
                  cd .. && pwd && ls -d etc && mkdir -p sidestep-prefix/a/b && find /sidestep-prefix | sort && test -d /sidestep-prefix";
    let outcome = shell_with(&mut pair, &format!("/sidestep-prefix=local:{base}/store"), script);
    let tree = "/sidestep-prefix\n/sidestep-prefix/a\n/sidestep-prefix/a/b\n/sidestep-prefix/f\n";
    assert_eq!(said(&outcome), format!("x\nx\n1\n/\netc\n{tree}"));
}

#[test]
fn a_prefix_over_a_host_directory_hides_it() {
    if common::is_self_check() {
        return;
    }
    let mut pair = Pair::new();
    let (p, base) = places(&pair);
    std::fs::create_dir(&p).expect("tmpfs");
    std::fs::write(format!("{p}/hidden"), "host").expect("tmpfs");
    let outcome = shell_with(
        &mut pair,
        &format!("{p}=local:{base}/store"),
        "ls -A $P; echo ours > $P/f; cat $P/f; cat $P/hidden 2> /dev/null || echo hidden; cd $P/.. && cat p/f",
    );
    assert_eq!(said(&outcome), "ours\nhidden\nours\n");
    assert!(!std::path::Path::new(&format!("{p}/f")).exists());
}

#[test]
fn a_home_under_the_prefix_makes_nothing_on_the_host() {
    let host = std::path::Path::new("/daos");
    if common::is_self_check() || host.exists() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("/daos", &link).expect("tmpfs");
    let homes = ["/daos".to_owned(), "/daos/user".to_owned(), link.display().to_string()];
    for variable in ["HOME", "XDG_DATA_HOME"] {
        for home in &homes {
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", "echo lost > /daos/f; ls /daos"])
                .env_clear()
                .envs([("LD_PRELOAD", common::build::library().as_os_str())])
                .env("HOME", directory.path())
                .env("XDG_CACHE_HOME", format!("{home}/cache"))
                .env(variable, home)
                .output()
                .expect("sh starts");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(told.contains("lies under its own prefix"), "{variable}={home}: {told}");
            assert!(!host.exists() && output.stdout.is_empty(), "{variable}={home}");
        }
    }
}

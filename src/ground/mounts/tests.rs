//! Lists of mounts, good and bad.

use super::*;

fn one(text: &str) -> Mount {
    let mut mounts = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(mounts.len(), 1);
    mounts.remove(0)
}

fn fault(text: &str) -> MountsError {
    parse(text.as_bytes()).expect_err(text)
}

#[test]
fn a_list_with_every_option() {
    let text = "/daos=daos:tank/posix1,/scratch=local:/var/tmp/store?chunk=4MiB&targets=2&readonly&consistency=strict\
                &cache=1G&exclude=*.tmp&exclude=cache/**&snapshot=monday\
                &sys=big&f_type=daos&timeout=90s";
    let mounts = parse(text.as_bytes()).unwrap();
    assert_eq!(mounts[0].prefix, b"/daos");
    assert_eq!(mounts[0].url, StoreUrl::Daos { pool: "tank".into(), container: "posix1".into() });
    assert_eq!(mounts[0].options, MountOptions::default());
    assert_eq!(mounts[1].url, StoreUrl::Local { directory: "/var/tmp/store".into() });
    let options = MountOptions {
        chunk_bytes: Some(4 << 20),
        targets: Some(2),
        consistency: Some(Consistency::Strict),
        cache_bytes: Some(1 << 30),
        readonly: true,
        snapshot: Some("monday".into()),
        system: Some("big".into()),
        file_system_type: Some(FileSystemType::Daos),
        timeout_seconds: Some(90),
        exclude: vec!["*.tmp".into(), "cache/**".into()],
    };
    assert_eq!(mounts[1].options, options);
    assert_eq!(parse(&to_text(&mounts)).unwrap(), mounts);
}

#[test]
fn prefixes_are_normalised() {
    for (text, prefix) in
        [("//daos///x/", "/daos/x"), ("/a/./b/.", "/a/b"), ("/daos", "/daos"), ("/dev/shm/t", "/dev/shm/t")]
    {
        assert_eq!(one(&format!("{text}=local:/s")).prefix, prefix.as_bytes());
    }
}

#[test]
fn escapes_reach_every_byte() {
    let mount = one("/a%2Cb=local:/s%3fx%25?exclude=%26%2C");
    assert_eq!(mount.prefix, b"/a,b");
    assert_eq!(mount.url, StoreUrl::Local { directory: "/s?x%".into() });
    assert_eq!(mount.options.exclude, ["&,"]);
    assert_eq!(parse(&to_text(std::slice::from_ref(&mount))).unwrap(), [mount]);
}

#[test]
fn a_name_that_is_not_utf8_is_a_path_all_the_same() {
    let mounts = parse(b"/a\xff=local:/s\xfe").unwrap();
    assert_eq!(mounts[0].prefix, b"/a\xff");
    assert_eq!(parse(b"/a=daos:\xff/c").unwrap_err().trouble, Trouble::NotText);
}

#[test]
fn faults_tell_their_place() {
    let cases = [
        ("", Trouble::EmptyMount, 0, ""),
        ("/a=local:/s,", Trouble::EmptyMount, 12, ""),
        ("/daos", Trouble::NoStore, 0, "/daos"),
        ("daos=local:/s", Trouble::RelativePrefix, 0, "daos"),
        ("/a/../b=local:/s", Trouble::PrefixGoesUp, 0, "/a/../b"),
        ("//=local:/s", Trouble::ReservedPrefix, 0, "//"),
        ("/proc=local:/s", Trouble::ReservedPrefix, 0, "/proc"),
        ("/sys/x=local:/s", Trouble::ReservedPrefix, 0, "/sys/x"),
        ("/dev/shm=local:/s", Trouble::ReservedPrefix, 0, "/dev/shm"),
        ("/a=local:/s,/a/=local:/t", Trouble::SamePrefix, 12, "/a/"),
        ("/a=locl:/s", Trouble::UnknownStore, 3, "locl"),
        ("/a=local", Trouble::UnknownStore, 3, "local"),
        ("/a=local:s", Trouble::RelativeDirectory, 9, "s"),
        ("/a=local:/b/s,/b=local:/t", Trouble::StoreUnderPrefix, 3, "local:/b/s"),
        ("/a=daos:tank", Trouble::BadContainer, 8, "tank"),
        ("/a=daos:tank/b/c", Trouble::BadContainer, 8, "tank/b/c"),
        ("/a=daos:/c", Trouble::BadContainer, 8, "/c"),
        ("/a=local:/s?chnk=4M", Trouble::UnknownOption, 12, "chnk"),
        ("/a=local:/s?", Trouble::UnknownOption, 12, ""),
        ("/a=local:/s?chunk=4M&chunk=4M", Trouble::RepeatedOption, 21, "chunk"),
        ("/a=local:/s?readonly&readonly", Trouble::RepeatedOption, 21, "readonly"),
        ("/a=local:/s?chunk", Trouble::NoValue, 12, "chunk"),
        ("/a=local:/s?readonly=1", Trouble::UnwantedValue, 12, "readonly=1"),
        ("/a=local:/s?cache=4KB", Trouble::BadSize, 18, "4KB"),
        ("/a=local:/s?cache=99999999999G", Trouble::BadSize, 18, "99999999999G"),
        ("/a=local:/s?chunk=1000", Trouble::BadChunk, 18, "1000"),
        ("/a=local:/s?chunk=1025", Trouble::BadChunk, 18, "1025"),
        ("/a=local:/s?chunk=65M", Trouble::BadChunk, 18, "65M"),
        ("/a=local:/s?targets=0", Trouble::BadTargets, 20, "0"),
        ("/a=local:/s?targets=65", Trouble::BadTargets, 20, "65"),
        ("/a=local:/s?consistency=none", Trouble::BadConsistency, 24, "none"),
        ("/a=local:/s?f_type=nfs", Trouble::BadFileSystemType, 19, "nfs"),
        ("/a=local:/s?exclude=[a", Trouble::BadPattern, 20, "[a"),
        ("/a%2=local:/s", Trouble::BadEscape, 0, "/a%2"),
        ("/a%00=local:/s", Trouble::BadEscape, 0, "/a%00"),
    ];
    for (text, trouble, offset_bytes, found) in cases {
        let error = fault(text);
        assert_eq!((error.trouble, error.offset_bytes, error.found.as_str()), (trouble, offset_bytes, found), "{text}");
    }
    let long = format!("/{}=local:/s", "x".repeat(1024));
    assert_eq!(fault(&long).trouble, Trouble::LongPrefix);
}

#[test]
fn an_error_reads_as_a_sentence_with_its_remedy() {
    assert_eq!(
        fault("/a=local:/s,/b=local:/t?chunk=7").to_string(),
        "SIDESTEP_MOUNTS: mount 2 (\"/b=local:/t?chunk=7\"), byte 30: \"7\" is not a chunk size; take 1KiB to 64MiB, a \
         multiple of 512 bytes"
    );
}

#[test]
fn sizes() {
    for (text, bytes) in [("0", 0), ("1536", 1536), ("7b", 7), ("4k", 4096), ("2MiB", 2 << 20), ("3G", 3 << 30)] {
        assert_eq!(size::parse(text), Some(bytes), "{text}");
        assert_eq!(size::parse(&size::format(bytes)), Some(bytes));
    }
    for text in ["", "k", "-1", "1.5M", "4 k", "1KB", "18446744073709551616"] {
        assert_eq!(size::parse(text), None, "{text}");
    }
}

/// The mounts of a process with these variables.
fn with(variables: &[(&str, &str)]) -> Result<Vec<Mount>, MountsError> {
    environment::from_variables(&|name| {
        variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into())
    })
}

#[test]
fn a_process_that_was_told_nothing_has_the_default_store() {
    let store = |variables: &[(&str, &str)]| to_text(&with(variables).unwrap());
    assert_eq!(store(&[("HOME", "/h")]), b"/daos=local:/h/.local/share/sidestep");
    assert_eq!(store(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]), b"/daos=local:/d/sidestep");
    assert_eq!(
        store(&[("HOME", "/h"), ("XDG_DATA_HOME", "d"), ("SIDESTEP_MOUNTS", "")]),
        b"/daos=local:/h/.local/share/sidestep"
    );
    assert_eq!(with(&[("HOME", "h")]).unwrap_err().trouble, Trouble::NoHome);
    assert_eq!(with(&[]).unwrap_err().trouble, Trouble::NoHome);
    for home in ["/daos", "/daos/", "/daos/u", "/x/../daos/u"] {
        assert_eq!(with(&[("HOME", home)]).unwrap_err().trouble, Trouble::HomeUnderPrefix);
        assert_eq!(with(&[("HOME", "/h"), ("XDG_DATA_HOME", home)]).unwrap_err().trouble, Trouble::HomeUnderPrefix);
    }
    assert!(with(&[("HOME", "/daos-home")]).is_ok());
}

#[test]
fn the_variables_of_libpil4dfs_are_honoured_behind_ours() {
    let all = [("D_IL_MOUNT_POINT", "/d/"), ("D_IL_POOL", "tank"), ("D_IL_CONTAINER", "c1")];
    assert_eq!(to_text(&with(&all).unwrap()), b"/d=daos:tank/c1");
    assert_eq!(
        with(&all[..2]).unwrap_err().to_string(),
        "D_IL_MOUNT_POINT: \"D_IL_CONTAINER\" is not set; set D_IL_POOL \
         and D_IL_CONTAINER beside D_IL_MOUNT_POINT, or use SIDESTEP_MOUNTS"
    );
    let ours = [all[0], ("SIDESTEP_MOUNTS", "/m=local:/s")];
    assert_eq!(to_text(&with(&ours).unwrap()), b"/m=local:/s");
}

#[test]
fn patterns() {
    let cases = [
        ("*.tmp", "a.tmp", true),
        ("*.tmp", "deep/down/a.tmp", true),
        ("*.tmp", "a.tmp/inside", true),
        ("*.tmp", "a.tmpx", false),
        ("cache", "x/cache/y", true),
        ("cache/", "cache/y", true),
        ("/cache", "cache/y", true),
        ("/cache", "x/cache", false),
        ("a/*", "a/b", true),
        ("a/*", "a/b/c", true),
        ("a/*", "b/a/c", false),
        ("a/*/c", "a/b/b/c", false),
        ("a/**/c", "a/c", true),
        ("a/**/c", "a/b/b/c", true),
        ("a/**/c", "a/bc", false),
        ("**/c", "c", true),
        ("**/x*z/c", "p/q/xyz/c", true),
        ("**/x*z/c", "p/xyz/q/c", false),
        ("a/**", "a/b/c", true),
        ("a/**", "a", false),
        ("a**d/e", "a/b/cd/e", true),
        ("?x", "/x", false),
        ("[a-c]1", "b1", true),
        ("[!a-c]1", "b1", false),
        ("[]]", "]", true),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("*a*b*c", "xaxbxc", true),
        ("*a*b*c", "xaxbxcx", false),
        ("*", "", false),
    ];
    for (pattern, path, covered) in cases {
        assert_eq!(glob::covers(pattern.as_bytes(), path.as_bytes()), covered, "{pattern} {path}");
    }
}

#[test]
fn a_hostile_pattern_ends_soon() {
    let pattern = "**/*a".repeat(60) + "b";
    assert!(!glob::covers(pattern.as_bytes(), "a/".repeat(1500).as_bytes()));
    assert!(!glob::covers(("*a".repeat(100) + "b").as_bytes(), "a".repeat(4000).as_bytes()));
}

/// What the patterns mean, written down the plain way: as a recursion that tries everything.
fn naive(pattern: &[u8], text: &[u8], at_start: bool) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', b'/', rest @ ..] if at_start => {
            let after_slash = |at: usize| at == 0 || text[at - 1] == b'/';
            (0..=text.len()).any(|at| after_slash(at) && naive(rest, &text[at..], true))
        }
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| naive(rest, &text[at..], false)),
        [b'*', rest @ ..] => {
            let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
            (0..=end).any(|at| naive(rest, &text[at..], false))
        }
        [b'?', rest @ ..] => text.first().is_some_and(|&byte| byte != b'/') && naive(rest, &text[1..], false),
        [byte, rest @ ..] => text.first() == Some(byte) && naive(rest, &text[1..], *byte == b'/'),
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[/ab=:,?&%0-9A-Za-z.*-]{0,60}", bytes: Vec<u8>) {
        let _ = parse(&bytes);
        let _ = parse(text.as_bytes()).map_err(|error| error.to_string());
    }

    #[test]
    fn what_is_read_is_written_the_same(
        prefixes in proptest::collection::hash_set("(/[a-c,&=%? ]{1,3}){1,3}", 1..4),
        chunk in proptest::option::of(2u64..2000),
        readonly: bool,
    ) {
        let options = MountOptions { chunk_bytes: chunk.map(|count| count * 512), readonly, ..MountOptions::default() };
        let mount = |prefix: String| Mount {
            prefix: prefix.into_bytes(),
            url: StoreUrl::Local { directory: "/outside/of all".into() },
            options: options.clone(),
        };
        let mounts: Vec<Mount> = prefixes.into_iter().map(mount).collect();
        proptest::prop_assert_eq!(parse(&to_text(&mounts)).unwrap(), mounts);
    }

    #[test]
    fn patterns_mean_what_they_say(pattern in "(a|b|/|\\*|\\*\\*|\\*\\*/|\\?){1,8}", text in "[ab/]{1,10}") {
        let text = text.trim_matches('/');
        // Three stars in a row, and a `**/` that something precedes in its component, read either way.
        proptest::prop_assume!(!text.is_empty() && !text.contains("//") && !pattern.contains("***"));
        proptest::prop_assert_eq!(glob::matches(pattern.as_bytes(), text.as_bytes()), naive(pattern.as_bytes(), text.as_bytes(), true));
    }
}

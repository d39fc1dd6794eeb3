//! Which messages a program's calls become, counted by the stand-in for libdfs: that what is asked for ahead, at once or not
//! at all is so, and what a library gets that lays its entries out otherwise.

mod common;

use common::build;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A container, and a prefix under which it is mounted.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir_in("/dev/shm").expect("tmpfs is writable"));
        std::fs::create_dir(place.at("store")).expect("our own directory");
        place
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Runs Python in a process of its own, in a directory of the container: what it prints, and how often each call of the
    /// library was made.
    #[track_caller]
    fn run(&self, script: &str, settings: &[(&str, &str)]) -> (String, HashMap<String, u64>) {
        let counters = self.at("counters");
        let _ = std::fs::remove_file(&counters);
        let begin =
            "import os, stat\nos.makedirs(os.environ['P'] + '/d', exist_ok=True)\nos.chdir(os.environ['P'] + '/d')\n";
        let mut command = Command::new(build::python());
        command.arg("-c").arg(format!("{begin}{script}"));
        command.env("LD_PRELOAD", build::library()).env("P", self.at("p"));
        command.env("SIDESTEP_MOUNTS", format!("{}=daos:tank/c1", self.at("p")));
        command.env("SIDESTEP_LIBDFS", build::emulator()).env("SIDESTEP_EMULATOR_STORE", self.at("store"));
        command.env("SIDESTEP_EMULATOR_CREATE", "1").env("SIDESTEP_EMULATOR_COUNTERS", &counters);
        command.envs(settings.iter().copied());
        let output = command.output().expect("Python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8_lossy(&output.stdout).into_owned(), calls(Path::new(&counters)))
    }
}

/// A record is 48 bytes of name, then calls and messages.
fn calls(counters: &Path) -> HashMap<String, u64> {
    let bytes = std::fs::read(counters).expect("the stand-in has counted");
    let name = |record: &[u8]| String::from_utf8_lossy(&record[..48]).trim_end_matches('\0').to_owned();
    let number = |record: &[u8]| u64::from_ne_bytes(record[48..56].try_into().expect("eight bytes"));
    bytes.chunks_exact(64).map(|record| (name(record), number(record))).collect()
}

const MAKE: &str = "for i in range(100): open(f'f{i}', 'wb').write(bytes(100 + i))";
const STAT: &str = "print([os.stat(f'f{i}').st_size for i in range(100)] == [100 + i for i in range(100)])";

#[test]
fn numbered_names_are_asked_about_ahead() {
    let place = Place::new();
    place.run(MAKE, &[]);
    let (told, calls) = place.run(STAT, &[]);
    assert_eq!(told, "True\n");
    // The first ones show the order; from then on a name's entry is on its way when it is asked for, and its array alone is
    // waited for. Past the last one some names are asked about that are not there.
    assert!(calls["dfs_lookup_rel"] < 10, "{calls:?}");
    assert!((90..=100).contains(&calls["daos_array_stat"]), "{calls:?}");
    assert!((90..=116).contains(&calls["daos_obj_fetch"]), "{calls:?}");
}

#[test]
fn names_of_a_listing_are_asked_about_ahead() {
    let place = Place::new();
    place.run("import random\nfor i in range(300): open(f'{random.random()}', 'wb').write(b'x')", &[]);
    let (told, calls) = place.run("print(sum(os.stat(name).st_size for name in os.listdir('.')))", &[]);
    assert_eq!(told, "300\n");
    assert!(calls["dfs_lookup_rel"] < 20, "{calls:?}");
    assert!((280..=320).contains(&calls["daos_obj_fetch"]), "{calls:?}");
}

#[test]
fn strict_asks_nothing_ahead() {
    let place = Place::new();
    place.run(MAKE, &[]);
    let mounts = format!("{}=daos:tank/c1?consistency=strict", place.at("p"));
    let (told, calls) = place.run(STAT, &[("SIDESTEP_MOUNTS", &mounts)]);
    assert_eq!(told, "True\n");
    assert!(calls["dfs_lookup_rel"] >= 100 && calls["daos_obj_fetch"] < 5, "{calls:?}");
}

#[test]
fn names_are_removed_by_libdfs() {
    let place = Place::new();
    place.run(MAKE, &[]);
    let remove = "for i in range(100): os.unlink(f'f{i}')\nos.mkdir('e')\nos.rmdir('e')\nprint(os.listdir('.'))";
    let (told, calls) = place.run(remove, &[]);
    assert_eq!(told, "[]\n");
    assert_eq!(calls["dfs_remove"], 101, "{calls:?}");
}

#[test]
fn a_removal_whose_answer_was_lost_has_been_made() {
    let place = Place::new();
    place.run(&format!("{MAKE}\nos.mkdir('e')"), &[]);
    let remove = "for i in range(100): os.unlink(f'f{i}')\nos.rmdir('e')\nprint(os.listdir('.'))";
    let (told, calls) = place.run(remove, &[("SIDESTEP_EMULATOR_FAULT", "dfs_remove:/2:late-EAGAIN")]);
    assert_eq!(told, "[]\n");
    assert!(calls["dfs_remove"] > 101, "{calls:?}");
}

#[test]
fn opens_are_told_attributes_by_programs_that_ask_for_them() {
    let place = Place::new();
    place.run(MAKE, &[]);
    let opens = |uses: &str| {
        let script = "for i in range(100): os.stat(f'f{i}')
for i in range(100):
    d = os.open(f'f{i}', os.O_RDONLY)
    ";
        let (_, calls) = place.run(&format!("{script}{uses}; os.close(d)"), &[]);
        (calls["dfs_ostatx"], calls["dfs_read"])
    };
    assert!(opens("os.fstat(d)").0 >= 90);
    // The name and the bytes, each once.
    let (told, reads) = opens("os.read(d, 100 + i)");
    assert!(told < 20 && reads < 130, "{told} {reads}");
    // Who reads to the end asks for the size.
    let (told, _) = opens("os.read(d, 1000); os.read(d, 1000)");
    assert!(told >= 70, "{told}");
}

/// Whether libdfs made all calls: for names and attributes, and for what was read.
fn are_all_by_libdfs(calls: &HashMap<String, u64>) -> bool {
    calls["dfs_lookup_rel"] >= 100 && calls["daos_obj_fetch"] <= 1 && calls["daos_array_stat"] == 0
}

#[test]
fn entries_that_lie_otherwise_are_left_to_libdfs() {
    for layout in ["other", "longer"] {
        let place = Place::new();
        let settings = [("SIDESTEP_EMULATOR_LAYOUT", layout)];
        place.run(MAKE, &settings);
        let (told, calls) = place.run(STAT, &settings);
        assert_eq!(told, "True\n");
        assert!(are_all_by_libdfs(&calls), "{layout}: {calls:?}");
    }
}

#[test]
fn a_container_of_a_later_layout_is_left_to_libdfs() {
    let place = Place::new();
    place.run(&format!("{MAKE}\n{PAGES}"), &[("SIDESTEP_EMULATOR_LAYOUT_VERSION", "4")]);
    let (told, calls) = place.run(&format!("{STAT}\n{PAGES_AT_RANDOM}"), &[]);
    assert_eq!(told, "True\nTrue\n");
    assert!(are_all_by_libdfs(&calls) && calls["daos_obj_fetch"] == 0 && calls["dfs_read"] >= 300, "{calls:?}");
}

#[test]
fn a_library_that_makes_hard_links_is_left_all_calls() {
    let place = Place::new();
    place.run(&format!("{MAKE}\n{PAGES}"), &[]);
    // The stand-in under another name, which has the call.
    let (source, library) = (place.at("later.c"), place.at("libdfs.so"));
    std::fs::write(&source, "int dfs_link(void) { return 95; }").expect("our own directory");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o", &library, &source, "-Wl,--no-as-needed"]).arg(build::emulator());
    assert!(compiler.status().is_ok_and(|status| status.success()));
    let (told, calls) = place.run(&format!("{STAT}\n{PAGES_AT_RANDOM}"), &[("SIDESTEP_LIBDFS", &library)]);
    assert_eq!(told, "True\nTrue\n");
    assert!(are_all_by_libdfs(&calls) && calls["daos_obj_fetch"] == 0 && calls["dfs_read"] >= 300, "{calls:?}");
}

#[test]
fn an_entry_that_is_marked_is_left_to_libdfs_with_all_that_come_after_it() {
    let place = Place::new();
    let is_linked = [("SIDESTEP_EMULATOR_LINK", "f30=also")];
    place.run(&format!("{MAKE}\n{PAGES}"), &is_linked);
    let (told, calls) = place.run(&format!("{STAT}\n{PAGES_AT_RANDOM}"), &[]);
    assert_eq!(told, "True\nTrue\n");
    // Entries are read until the marked one comes, and what was under way then.
    assert!((20..=60).contains(&calls["daos_obj_fetch"]) && calls["dfs_read"] >= 300, "{calls:?}");
    assert!(calls["dfs_lookup_rel"] >= 70, "{calls:?}");
    // And where it is the first that is seen.
    let (told, calls) = place.run(&format!("os.stat('also')\n{STAT}"), &[]);
    assert_eq!(told, "True\n");
    assert!(are_all_by_libdfs(&calls), "{calls:?}");
    // In a listing.
    let (told, calls) = place.run("print(sum(os.stat(name).st_size > 0 for name in os.listdir('.')))", &[]);
    assert_eq!(told, "102\n");
    assert!(calls["daos_obj_fetch"] < 102, "{calls:?}");
}

#[test]
fn the_other_name_of_a_removed_file_keeps_its_bytes() {
    let place = Place::new();
    let is_linked = [("SIDESTEP_EMULATOR_LINK", "one=other")];
    place.run(&format!("{MAKE}\nopen('one', 'w').write('kept')"), &is_linked);
    let (told, _) = place.run(&format!("{STAT}\nos.unlink('one')\nprint(open('other').read())"), &[]);
    assert_eq!(told, "True\nkept\n");
    let (told, _) = place.run("os.rename('f7', 'other')\nprint(os.stat('other').st_size, os.path.exists('one'))", &[]);
    assert_eq!(told, "107 False\n");
}

const PAGES: &str = "with open('pages', 'wb') as f:
    for i in range(1024): f.write(i.to_bytes(4, 'little') * 1024)
";

// No two of them are neighbours, which would be read as a row; in the same order every time.
const PAGES_AT_RANDOM: &str = "import random
random.seed(1)
d = os.open('pages', os.O_RDONLY)
pages = random.sample(range(0, 1024, 3), 300)
print(all(os.pread(d, 4096, 4096 * i) == i.to_bytes(4, 'little') * 1024 for i in pages))
";

#[test]
fn a_proved_read_costs_no_message_and_an_unproved_one_exactly_one() {
    let place = Place::new();
    place.run("open('f', 'wb').write(bytes(100000))", &[]);
    let reads = |before: &str, count: u64| {
        let script =
            format!("d = os.open('f', os.O_RDONLY)\nfor i in range({count}):\n    {before}os.pread(d, 4096, 8192)");
        let (_, calls) = place.run(&script, &[]);
        (calls["daos_array_stat"], calls["dfs_read"] + calls["daos_obj_fetch"])
    };
    let (asked, read) = reads("", 20);
    assert_eq!((asked, reads("", 100)), (0, (0, read)));
    // The first times there is nothing to compare with: what is cached is fetched anew.
    let (asked, read) = reads("os.stat('/'); ", 20);
    assert_eq!((asked, reads("os.stat('/'); ", 100)), (18, (98, read)));
}

#[test]
fn what_is_written_goes_before_a_word_and_not_without_one() {
    let place = Place::new();
    let writes = |behind: &str| {
        let script = format!(
            "d = os.open('g', os.O_WRONLY | os.O_CREAT)\np = os.pipe()\nfor i in range(50):\n    os.write(d, b'x'){behind}"
        );
        let (_, calls) = place.run(&script, &[]);
        calls["dfs_write"] + calls["dfs_writex"]
    };
    let gathered = writes("");
    assert!(gathered < 10, "{gathered}");
    assert!((50..60).contains(&writes("; os.write(p[1], b'x')")), "each goes before its word");
    assert!(writes("; os.getpid()") < 10);
}

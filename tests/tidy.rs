//! Style as a test (STYLE rule 10): what a reader of this code may rely on without looking.

#[path = "tidy/code.rs"]
mod code;
mod common;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/surface.rs"]
mod surface;

use code::{Line, lines, words};
use files::{File, all, of_kind, rust};
use std::collections::BTreeSet;

/// Past this a file is about more than one thing.
const LINES_MAX: usize = 500;

/// rustfmt does not wrap comments; one may hang a little over its width of 120.
const COLUMNS_MAX: usize = 130;

/// The files of the root crate, tests included, that may hold `unsafe`. All of `preload/` may: it is C pointers.
const UNSAFE_ALLOWED: &[&str] = &[
    "tests/cache_model/threads.rs",
    "tests/cache_support/store.rs",
    "tests/cache_support/transfer.rs",
    "src/cache/flusher.rs",
    "src/cache/fork.rs",
    "src/cache/frame.rs",
    "src/cache/hints.rs",
    "src/cache/lock.rs",
    "src/ground/buffer.rs",
    "src/ground/clock.rs",
    "src/ground/deep_stack.rs",
    "src/ground/fault_handler.rs",
    "src/ground/entries.rs",
    "src/ground/file_size_limit.rs",
    "src/ground/guard.rs",
    "src/ground/guarded_copy.rs",
    "src/ground/guarded_copy/instructions.rs",
    "src/ground/guarded_copy/tests.rs",
    "src/ground/internal.rs",
    "src/ground/kernel.rs",
    "src/ground/room.rs",
    "src/ground/signals.rs",
    "src/ground/standby.rs",
    "src/ground/threads.rs",
    "src/posix/credentials.rs",
    "src/posix/description.rs",
    "src/posix/descriptor/arena.rs",
    "src/posix/descriptor/handover.rs",
    "src/posix/descriptor/inherited.rs",
    "src/posix/descriptor/page.rs",
    "src/posix/descriptor/slots.rs",
    "src/posix/limits.rs",
    "src/posix/mod.rs",
    "src/posix/operations/listing.rs",
    "src/posix/process.rs",
    "src/posix/working_directory.rs",
    "src/store/daos/bindings/calls.rs",
    "src/store/daos/board.rs",
    "src/store/daos/client/attributes.rs",
    "src/store/daos/client/bounded.rs",
    "src/store/daos/client/fiber.rs",
    "src/store/daos/client/handle.rs",
    "src/store/daos/client/mod.rs",
    "src/store/daos/client/mounted.rs",
    "src/store/daos/client/names.rs",
    "src/store/daos/client/operation.rs",
    "src/store/daos/client/present.rs",
    "src/store/daos/client/session.rs",
    "src/store/daos/client/transfer.rs",
    "src/store/daos/copied.rs",
    "src/store/daos/data.rs",
    "src/store/daos/destructors.rs",
    "src/store/daos/library.rs",
    "src/store/daos/lock.rs",
    "src/store/daos/straight.rs",
    "src/store/local/intents.rs",
    "src/store/local/layout.rs",
    "src/store/local/log/append.rs",
    "src/store/local/numbers.rs",
    "src/store/local/object.rs",
    "src/store/local/open_node.rs",
    "src/store/local/process.rs",
    "src/store/local/read.rs",
    "src/store/local/registry.rs",
    "src/store/local/resize.rs",
    "src/store/local/shared_file.rs",
    "src/store/local/store.rs",
    "src/store/local/tests/processes.rs",
    "src/store/local/tree.rs",
    "src/store/local/tree_pages.rs",
    "src/store/local/window.rs",
    "src/store/local/write.rs",
    "tests/daos/fork.rs",
    "tests/power.rs",
    "tests/emulator/src/descriptors.rs",
    "tests/emulator/src/process.rs",
    "tests/emulator/src/abi/attributes.rs",
    "tests/emulator/src/abi/data.rs",
    "tests/emulator/src/abi/events.rs",
    "tests/emulator/src/abi/handles.rs",
    "tests/emulator/src/abi/memory.rs",
    "tests/emulator/src/abi/names.rs",
    "tests/emulator/src/abi/nodes.rs",
    "tests/emulator/src/abi/objects.rs",
    "tests/emulator/src/counters.rs",
    "tests/emulator/src/descriptors.rs",
    "tests/emulator/src/events.rs",
    "tests/emulator/src/memory.rs",
    "tests/emulator/src/process.rs",
    "tests/emulator/src/shared_page.rs",
    "tests/emulator/src/task.rs",
    "tests/emulator/src/turns.rs",
];

/// Layers, lowest first. Each imports only those before it; `command` stands aside and may import all.
const LAYERS: &[&str] = &["ground", "store", "cache", "posix", "command"];

/// Fails with all complaints at once.
#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The complaints of `judge` about each line of code of Rust files.
fn about_rust(judge: impl Fn(&File, &Line) -> Option<String>) -> Vec<String> {
    let complaint =
        |file: &File, line: &Line| judge(file, line).map(|what| format!("{}:{}: {what}", file.path, line.number));
    rust()
        .iter()
        .flat_map(|file| lines(&file.text).filter_map(|line| complaint(file, &line)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn files_are_short() {
    let code = of_kind(&["rs", "c", "h", "sh", "py"]);
    let too_long = code.iter().filter(|file| file.text.lines().count() > LINES_MAX);
    none(too_long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count())).collect());
}

#[test]
fn lines_are_clean() {
    let mut complaints = Vec::new();
    for file in all().iter().filter(|file| !file.path.ends_with(".lock")) {
        for (index, line) in file.text.lines().enumerate() {
            let mut complain = |what: &str| complaints.push(format!("{}:{}: {what}", file.path, index + 1));
            if line.ends_with([' ', '\t']) {
                complain("space at the end");
            }
            if line.trim_start().starts_with("//") && line.chars().count() > COLUMNS_MAX {
                complain("a comment over 130 columns");
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            complaints.push(format!("{}: no newline at the end", file.path));
        }
    }
    none(complaints);
}

#[test]
fn nothing_is_left_undone() {
    let marks: Vec<String> =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]].iter().map(|m| m.concat()).collect();
    let mut complaints = Vec::new();
    for file in all() {
        for (index, line) in file.text.lines().enumerate() {
            let found = words(line).find(|word| marks.iter().any(|mark| mark == word));
            complaints.extend(found.map(|word| format!("{}:{}: {word}", file.path, index + 1)));
        }
    }
    complaints.extend(about_rust(|_, line| {
        let calls = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!"));
        let ignored = ["#[ig", "nore"].concat();
        let undone = calls.iter().chain([&ignored]).find(|mark| line.code.contains(mark.as_str()));
        undone.map(|mark| format!("{mark} in code"))
    }));
    none(complaints);
}

#[test]
fn no_path_of_one_machine_is_named() {
    let places =
        [["/wo", "rk/"], ["/ro", "ot/"], ["/target-", "command"], ["/tmp/", "target"]].map(|place| place.concat());
    // A pattern of a test's own directory of that name goes on with another character.
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '.');
    let mut complaints = Vec::new();
    for file in all() {
        for (index, line) in file.text.lines().enumerate() {
            let names = |place: &&String| line.split(place.as_str()).skip(1).any(goes_on);
            let found = places.iter().find(names);
            complaints.extend(found.map(|place| format!("{}:{}: {place}", file.path, index + 1)));
        }
    }
    none(complaints);
}

#[test]
fn every_rust_file_says_what_it_is() {
    let silent = rust().into_iter().filter(|file| !file.text.trim_start_matches("#!").starts_with("//! "));
    none(silent.map(|file| format!("{}: no `//!` at its top", file.path)).collect());
}

#[test]
fn layers_import_downwards() {
    none(about_rust(|file, line| {
        let inside = file.path.strip_prefix("src/")?;
        let layer = inside.split(['/', '.']).next()?;
        let height = LAYERS.iter().position(|name| *name == layer)?;
        let above = &LAYERS[height + 1..];
        let above_depth = |name: &&&str| line.code.contains(&format!("{}{name}", "super::".repeat(file.depth())));
        let group = line.code.split_once("crate::{").map_or("", |(_, group)| group);
        let from_root =
            |name: &&&str| line.code.contains(&format!("crate::{name}")) || words(group).any(|word| word == **name);
        let found = above.iter().find(|name| from_root(name) || above_depth(name))?;
        Some(format!("{layer} imports {found}, which lies above it"))
    }));
}

#[test]
fn the_doors_import_no_command_and_the_house_no_door() {
    none(about_rust(|file, line| {
        let at_the_door = file.path.starts_with("preload/");
        let bad = if at_the_door { "house::command" } else { "sidestep_preload" };
        line.code.contains(bad).then(|| format!("imports {bad}"))
    }));
}

#[test]
fn nobody_but_libc_reads_the_vdso() {
    // rustix looks for it where valgrind has taken it away: `ground::clock` reads the clocks.
    let reading = ["time::clock_gettime", "rustix::param", "sched_getcpu"];
    none(about_rust(|file, line| {
        let is_loaded = file.path.starts_with("src/") || file.path.starts_with("preload/src/");
        let found = reading.iter().find(|name| is_loaded && line.code.contains(**name))?;
        Some(format!("{found} reads the vDSO by itself"))
    }));
}

#[test]
fn unsafe_is_where_it_is_allowed() {
    let holds = |file: &&File| {
        !file.path.starts_with("preload/")
            && lines(&file.text).any(|line| words(&line.code).any(|word| word == "unsafe"))
    };
    let found: BTreeSet<String> = rust().iter().filter(holds).map(|file| file.path.clone()).collect();
    let allowed: BTreeSet<String> = UNSAFE_ALLOWED.iter().map(|path| (*path).to_owned()).collect();
    let surplus = found.difference(&allowed).map(|path| format!("{path}: `unsafe`, but not in UNSAFE_ALLOWED"));
    let stale = allowed.difference(&found).map(|path| format!("{path}: in UNSAFE_ALLOWED, but without `unsafe`"));
    none(surplus.chain(stale).collect());
}

#[test]
fn a_stores_files_are_opened_in_one_place() {
    const CALLS: &[&str] = &[
        "Low::open(",
        "openat(",
        "statat(",
        "unlinkat(",
        "mkdirat(",
        "renameat(",
        "accessat(",
        "chmodat(",
        "fs::File::",
    ];
    none(about_rust(|file, line| {
        let is_bound = file.path.starts_with("src/store/local/")
            && !file.path.starts_with("src/store/local/tests")
            && file.path != "src/store/local/store_directory.rs";
        // The store's own path is the user's, symlinks and all; /proc is the kernel's.
        let by_path = line.code.contains("rustix::fs::CWD");
        let call = CALLS.iter().find(|call| is_bound && !by_path && line.code.contains(**call))?;
        Some(format!("{call}...): what is in a store is opened by `StoreDirectory`"))
    }));
}

#[test]
fn each_unsafe_block_says_why_it_holds() {
    let mut complaints = Vec::new();
    for file in rust() {
        let mut reasons: Vec<usize> = Vec::new();
        for line in lines(&file.text) {
            if line.comment.contains("SAFETY:") || line.comment.contains("# Safety") {
                reasons.push(line.number);
            }
            let opens = ["unsafe {", "unsafe impl"].iter().any(|opening| line.code.contains(opening));
            // Eight lines: a statement that is broken by rustfmt, below a reason of several lines.
            if opens && reasons.last().is_none_or(|reason| line.number - reason > 8) {
                complaints.push(format!("{}:{}: `unsafe` without SAFETY", file.path, line.number));
            }
        }
    }
    none(complaints);
}

/// The first thread may have ended before the others: then `/proc/self` has neither descriptors nor a working directory.
#[test]
fn links_of_descriptors_are_this_threads() {
    let link = ["/proc/self", "/fd"].concat();
    let others = [["/proc/self", "/cwd"].concat(), ["/proc/self", "/root"].concat(), ["/proc/self", "/ns"].concat()];
    let is_inside = |file: &&File| file.path.starts_with("src/") || file.path.starts_with("preload/src/");
    let is_free = |file: &File| {
        ["src/ground/descriptor_links.rs", "src/posix/path/special.rs"].contains(&file.path.as_str())
            || file.path.starts_with("src/command/")
    };
    let mut complaints = Vec::new();
    for file in rust().iter().filter(is_inside).filter(|file| !is_free(file)) {
        for (index, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let names = |text: &&String| line.contains(text.as_str());
            let found = std::iter::once(&link).chain(&others).find(names);
            complaints.extend(found.map(|text| format!("{}:{}: {text} of the first thread", file.path, index + 1)));
        }
    }
    none(complaints);
}

/// What the program passes is read and written by `arguments.rs` alone, whose copies find out what is not there.
#[test]
fn no_pointer_of_the_program_is_followed_past_the_guarded_copies() {
    const FOLLOWING: &[&str] = &[
        "read_unaligned",
        "write_unaligned",
        "read_volatile",
        "write_volatile",
        "copy_nonoverlapping",
        "from_raw_parts",
        "CStr::from_ptr",
        "ptr::read",
        "ptr::write",
        "strlen",
    ];
    none(about_rust(|file, line| {
        let is_meant = file.path.starts_with("preload/src/dispatch/") || file.path == "src/ground/buffer.rs";
        let is_ours = line.code.contains("found.dli_fname") || line.code.contains("(target, length))");
        let found = FOLLOWING.iter().find(|name| line.code.contains(**name))?;
        (is_meant && !is_ours).then(|| format!("{found}: a copy that can't end early"))
    }));
}

#[test]
fn no_rust_file_is_dead() {
    let reached = files::reached_from_roots();
    let dead = rust().into_iter().filter(|file| !reached.contains(&file.path));
    none(dead.map(|file| format!("{}: no `mod` leads to it", file.path)).collect());
}

#[test]
fn every_exported_symbol_and_every_gate_entry_is_documented() {
    let told = surface::names_in_semantics();
    let missing = surface::surface().into_iter().filter(|name| !told.contains(name));
    none(missing.map(|name| format!("docs/SEMANTICS.md has no row with `{name}`")).collect());
}

#[test]
fn every_exported_symbol_and_every_gate_entry_is_in_a_test() {
    let tried = surface::names_in_tests();
    let missing = surface::surface().into_iter().filter(|name| !tried.contains(name));
    none(missing.map(|name| format!("no test calls `{name}`")).collect());
}

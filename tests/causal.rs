//! What one process sees of another's write, for each `consistency=`, each way of telling and one or two nodes: the table in
//! `docs/SEMANTICS.md`, each cell of which is tried here. Over the stand-in for libdfs, or over the system that
//! `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names.
//!
//! Two nodes are two processes in mount and IPC namespaces of their own, each with a `/dev/shm` of its own, so that neither
//! the cache nor what Sidestep keeps of a node is shared, joined by a socket.

mod common;

use common::build;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const MODES: [&str; 3] = ["strict", "causal", "close-to-open"];

/// A row of the table: the word for the test's program, what A sees in each mode, and whether two nodes can tell so.
struct Row {
    way: String,
    cells: [String; 3],
    is_for_two: bool,
}

/// The table's rows. Each begins with the way of telling, whose word stands in brackets and backticks.
fn rows() -> Vec<Row> {
    let text = fs::read_to_string(build::source_root().join("docs/SEMANTICS.md")).expect("the document is there");
    let row = |line: &str| {
        let fields: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let way = fields.first()?.strip_suffix("`)")?.rsplit_once("(`")?.1.to_owned();
        let cells = [fields.get(1)?, fields.get(2)?, fields.get(3)?].map(|cell| (*cell).to_owned());
        Some(Row { way, cells, is_for_two: fields.get(4)?.contains("two") })
    };
    let rows: Vec<Row> = text.lines().filter_map(row).collect();
    assert!(rows.len() >= 15, "the table is in the document");
    rows
}

/// A container, and a directory of the host.
struct Place {
    base: TempDir,
    url: String,
}

impl Place {
    fn new() -> Self {
        // Not in /dev/shm, of which each node has one of its own.
        let base = tempfile::tempdir().expect("the directory for temporary files is writable");
        fs::create_dir(base.path().join("store")).expect("our own directory");
        let url = std::env::var("SIDESTEP_TEST_DAOS").unwrap_or_else(|_| "tank/c1".to_owned());
        Self { base, url }
    }

    /// The program `word`, under Sidestep or as it is.
    fn word(&self, program: &Path, arguments: &[&str], mode: &str) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("LD_PRELOAD", build::library());
        command.env("SIDESTEP_MOUNTS", format!("/causal=daos:{}?consistency={mode}", self.url));
        if std::env::var_os("SIDESTEP_TEST_DAOS").is_none() {
            command.env("SIDESTEP_LIBDFS", build::emulator()).env("SIDESTEP_EMULATOR_CREATE", "1");
            command.env("SIDESTEP_EMULATOR_STORE", self.base.path().join("store"));
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn make(&self, word: &Path, file: &str, mode: &str) {
        let output = self.word(word, &["make", file], mode).output().expect("the program starts");
        assert!(output.status.success(), "make: {}", said(&output));
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).trim().to_owned()
}

/// What A sees on one node.
fn on_one_node(way: &str, mode: &str) -> String {
    let (place, word) = (Place::new(), build::program("word"));
    let directory = format!("/causal/one-{}-{}", std::process::id(), mode);
    let file = in_directory(&place, &word, &directory, mode);
    let aux = place.base.path().join("aux");
    said(&place.word(&word, &[way, &file, &aux.display().to_string()], mode).output().expect("the program starts"))
}

/// A file in a directory of the container that nothing else is in.
fn in_directory(place: &Place, word: &Path, directory: &str, mode: &str) -> String {
    let shell = Path::new("/bin/sh");
    let script = format!("rm -rf {directory}; mkdir {directory}");
    let output = place.word(shell, &["-c", &script], mode).output().expect("a shell starts");
    assert!(output.status.success(), "{}", said(&output));
    let file = format!("{directory}/file");
    place.make(word, &file, mode);
    file
}

/// A command in namespaces of its own. Users other than root have them where the kernel lets them.
fn unshared(inner: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--ipc", "--map-root-user", "sh", "-c"]);
    command.arg("mount -t tmpfs none /dev/shm && export LD_PRELOAD=$WORD_PRELOAD && exec \"$@\"").arg("sh");
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        let name = if name == "LD_PRELOAD" { "WORD_PRELOAD".as_ref() } else { name };
        command.env(name, value.unwrap_or_default());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn spawn(mut command: Command) -> Child {
    command.spawn().expect("unshare starts (util-linux)")
}

/// What A sees on two nodes.
fn on_two_nodes(way: &str, mode: &str) -> String {
    let (place, word) = (Place::new(), build::program("word"));
    let directory = format!("/causal/two-{}-{}", std::process::id(), mode);
    let file = in_directory(&place, &word, &directory, mode);
    let aux = place.base.path().join("aux").display().to_string();
    let [reader, writer] =
        ["reader", "writer"].map(|role| spawn(unshared(&place.word(&word, &[way, &file, &aux, role], mode))));
    let read = said(&reader.wait_with_output().expect("our own child"));
    let wrote = said(&writer.wait_with_output().expect("our own child"));
    format!("{read}{wrote}")
}

/// Tries the cells of all rows; tells all that are other ones than the document says.
fn try_all(rows: &[Row], see: fn(&str, &str) -> String) {
    let mut complaints = String::new();
    for row in rows {
        for (mode, wanted) in MODES.iter().zip(&row.cells) {
            let seen = see(&row.way, mode);
            if seen != *wanted {
                let _ = writeln!(complaints, "{} with {mode}: A sees {seen:?}, and the table says {wanted}", row.way);
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn what_is_seen_on_one_node() {
    try_all(&rows(), on_one_node);
}

#[test]
fn what_is_seen_on_two_nodes() {
    let trial = unshared(&Command::new("true")).output();
    if !trial.as_ref().is_ok_and(|output| output.status.success()) {
        println!("not tried: this user may not have namespaces: {:?}", trial.map(|output| said(&output)));
        return;
    }
    let mut rows = rows();
    rows.retain(|row| row.is_for_two);
    assert!(rows.len() >= 5);
    try_all(&rows, on_two_nodes);
}

/// A program that writes, and dies by a fault after a while in which it calls nothing.
#[test]
fn a_fault_takes_what_is_younger_than_a_pause() {
    let script = "import ctypes, os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(file, b'x' * 100)
begun = time.monotonic()
while time.monotonic() - begun < 0.3: pass
ctypes.string_at(0)";
    for (mode, wanted) in [("strict", "100"), ("causal", "100"), ("close-to-open", "0")] {
        let (place, file) = (Place::new(), format!("/causal/fault-{}-{mode}", std::process::id()));
        let mut command = place.word(build::python(), &["-c", script, &file], mode);
        let output = command.output().expect("Python starts");
        assert!(output.status.code().is_none(), "{mode}: it dies by a signal: {}", said(&output));
        let count = format!("wc -c < {file}");
        let output = place.word(Path::new("/bin/sh"), &["-c", &count], mode).output().expect("a shell starts");
        assert_eq!(said(&output), wanted, "{mode}");
    }
}

#[test]
fn where_the_gate_was_refused_causal_is_strict() {
    for way in ["pipe", "prefix", "memory"] {
        let (place, word) = (Place::new(), build::program("word"));
        let file = in_directory(&place, &word, &format!("/causal/symbols-{}", std::process::id()), "causal");
        let mut command =
            place.word(&word, &[way, &file, &place.base.path().join("aux").display().to_string()], "causal");
        let output = command.env("SIDESTEP_INTERCEPT", "symbols").output().expect("the program starts");
        assert_eq!(said(&output), "new", "{way}");
    }
}

#[test]
fn ranks_that_meet_in_memory_see_one_anothers_writes() {
    let (place, program) = (Place::new(), build::program("mpi_ranks"));
    let library = place.base.path().join("libmpi_ranks.so").display().to_string();
    let source = build::source_root().join("tests/programs/mpi_ranks.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-DLIBRARY", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", &library]).arg(source);
    let built = compiler.output().expect("cc starts");
    assert!(built.status.success(), "{}", said(&built));
    let output = place.word(&program, &[&library, "/causal/ranks"], "causal").output().expect("the program starts");
    let said = said(&output);
    let lacking = said.matches("MPI_Ssend: no MPI library is loaded that has it").count();
    assert!(said.starts_with("right\n") && lacking == 2, "{said}");
}

#[test]
fn an_unknown_mode_is_refused() {
    let place = Place::new();
    let output =
        place.word(Path::new("/bin/sh"), &["-c", "test -e /causal"], "casual").output().expect("a shell starts");
    let said = said(&output);
    assert!(said.contains("\"casual\"") && said.contains("write causal, strict or close-to-open"), "{said}");
    assert!(!output.status.success(), "nothing is intercepted");
}

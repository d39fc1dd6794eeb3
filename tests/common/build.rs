//! Builds what the tests run: the library, the command, and the C programs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's root.
pub fn source_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// cargo's target directory, as this test binary was put there: `TARGET/PROFILE/deps/NAME-HASH`.
pub fn target_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let deps = test.ancestors().find(|path| path.ends_with("deps")).expect("a test lives in deps");
    deps.parent().and_then(Path::parent).expect("deps is in a profile's directory").to_owned()
}

/// The library as users have it: a release build. `SIDESTEP_TEST_LIBRARY` names another one to be tested.
pub fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("SIDESTEP_TEST_LIBRARY") {
        return path.into();
    }
    build_release();
    target_directory().join("release/libsidestep.so")
}

/// The `sidestep` command, in the same build.
pub fn command() -> PathBuf {
    build_release();
    target_directory().join("release/sidestep")
}

/// The library with the fault hooks compiled in, in a target directory of its own.
pub fn library_with_faults() -> PathBuf {
    let target = target_directory().join("fault-injection");
    let arguments = ["-p", "sidestep-preload", "--features", "sidestep-preload/fault-injection"];
    once_per_run("faults", || cargo_build(&target, &arguments));
    target.join("release/libsidestep.so")
}

/// The stand-in for libdfs. `SIDESTEP_TEST_EMULATOR` names another build of it.
pub fn emulator() -> PathBuf {
    if let Some(path) = std::env::var_os("SIDESTEP_TEST_EMULATOR") {
        return path.into();
    }
    once_per_run("emulator", || cargo_build(&target_directory(), &["-p", "sidestep-dfs-emulator"]));
    target_directory().join("release/libsidestep_dfs_emulator.so")
}

fn build_release() {
    once_per_run("release", || cargo_build(&target_directory(), &["-p", "sidestep-preload", "-p", "sidestep"]));
}

fn cargo_build(target: &Path, arguments: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(source_root())
        .args(["build", "--release", "--quiet", "--target-dir"])
        .arg(target)
        .args(arguments)
        .status()
        .expect("cargo starts");
    assert!(status.success(), "cargo build {arguments:?} failed");
}

/// A C program of `tests/programs`, compiled if its source is newer.
pub fn program(name: &str) -> PathBuf {
    let source = source_root().join(format!("tests/programs/{name}.c"));
    let headers = ["case.h", "dfs.h"].map(|header| modified(&source_root().join("tests/programs").join(header)));
    let directory = work_directory().join("programs");
    let binary = directory.join(name);
    let _lock = lock(&format!("program-{name}"));
    fs::create_dir_all(&directory).expect("the target directory is writable");
    let newest = headers.into_iter().max().flatten().max(modified(&source));
    if modified(&binary).is_some_and(|built| Some(built) > newest) {
        return binary;
    }
    let output = Command::new("cc")
        .args(["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-pthread", "-o"])
        .args([&binary, &source])
        // The cases hand in null pointers on purpose, use old calls, and compare what an unchecked call left.
        .args(["-Wno-nonnull", "-Wno-deprecated-declarations", "-Wno-unused-result", "-Wno-stringop-overflow"])
        .args(["-Wno-stringop-overread", "-Wno-format-truncation", "-fno-diagnostics-show-caret"])
        .output()
        .expect("cc starts: a C compiler is needed (tests/setup installs it)");
    assert!(output.status.success(), "cc {name}.c:\n{}", String::from_utf8_lossy(&output.stderr));
    binary
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The real Python interpreter: `python3` on the path may be a script that chooses one.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let ask = "import os, sys; print(os.path.realpath(sys.executable))";
        let output = Command::new("python3").args(["-c", ask]).output().expect("python3 starts (tests/setup)");
        PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
    })
}

/// Where the tests keep what they build and remember.
pub fn work_directory() -> PathBuf {
    let directory = target_directory().join("sidestep-tests");
    fs::create_dir_all(&directory).expect("the target directory is writable");
    directory
}

/// Held until dropped: other test processes wait.
pub fn lock(name: &str) -> File {
    let file = File::create(work_directory().join(format!("{name}.lock"))).expect("a lock file");
    file.lock().expect("locks work in the target directory");
    file
}

/// Does `work` once for the whole run, though each test may be a process of its own: their common parent (cargo's
/// or nextest's runner, by process id and start time) names the run.
fn once_per_run(name: &str, work: impl Fn()) {
    static DONE: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    let mut done = DONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if done.iter().any(|made| made == name) {
        return;
    }
    let _lock = lock(name);
    let parent = std::os::unix::process::parent_id();
    let status = fs::read_to_string(format!("/proc/{parent}/stat")).unwrap_or_default();
    let start_time = status.rsplit(' ').nth(30).unwrap_or_default().to_owned();
    let run = format!("{parent} {start_time}");
    let stamp = work_directory().join(format!("{name}.run"));
    if fs::read_to_string(&stamp).is_ok_and(|last| last == run) {
        done.push(name.to_owned());
        return;
    }
    work();
    fs::write(&stamp, run).expect("the target directory is writable");
    done.push(name.to_owned());
}

//! Runs a program with a limit on its time, and keeps all that it said.

use super::world::World;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What came of a program.
pub struct Outcome {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// `exit 0` or `signal 11`.
    pub status: String,
    /// It was still running at the limit and was killed, with its process group.
    pub timed_out: bool,
}

impl Outcome {
    /// Replaces what differs from world to world by what does not: `@/p`, `@/h`, `%/bin`.
    pub fn normalise(&mut self, world: &World) {
        for text in [&mut self.stdout, &mut self.stderr] {
            *text = normalise(text, world);
        }
    }
}

/// `text` with the paths of `world` replaced by words common to both.
pub fn normalise(text: &str, world: &World) -> String {
    text.replace(&world.side.display().to_string(), "@").replace(&world.scratch().display().to_string(), "%")
}

/// Runs `command` to its end; outputs go through files in `scratch`, so that a background process that keeps them
/// open cannot hold us up.
pub fn run(mut command: Command, scratch: &Path, time_max: Duration) -> Outcome {
    let (out_path, err_path) = (scratch.join("stdout"), scratch.join("stderr"));
    let create = |path| fs::File::options().create(true).write(true).truncate(true).append(false).open(path);
    command
        .stdin(Stdio::null())
        .stdout(create(&out_path).expect("scratch is writable"))
        .stderr(create(&err_path).expect("scratch is writable"));
    let mut child = spawn(&mut command);
    let (status, timed_out) = wait(&mut child, time_max);
    let read = |path| String::from_utf8_lossy(&fs::read(path).expect("it was written")).into_owned();
    let mut stderr = read(&err_path);
    if let Some(state) = &timed_out {
        stderr.push_str(state);
    }
    Outcome { stdout: read(&out_path), stderr, status, timed_out: timed_out.is_some() }
}

/// Starts a program. One that was just copied may be busy for a moment: another test's fork holds its descriptor.
pub fn spawn(command: &mut Command) -> Child {
    let start = Instant::now();
    loop {
        match command.spawn() {
            Ok(child) => return child,
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy && start.elapsed() < Duration::from_secs(10) =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("cannot start {command:?}: {error}"),
        }
    }
}

/// Waits for `child`; at the limit kills its process group and tells what it was at.
pub fn wait(child: &mut Child, time_max: Duration) -> (String, Option<String>) {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            kill_group(child.id());
            return (describe(status), None);
        }
        if start.elapsed() > time_max {
            let state = describe_group(child.id());
            kill_group(child.id());
            let _ = child.wait();
            return ("hung".to_owned(), Some(format!("\nHUNG after {time_max:?}:\n{state}")));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

fn describe(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "neither exit nor signal".to_owned(),
    }
}

/// Kills what is left of a child's process group.
pub fn kill_group(leader: u32) {
    let leader = rustix::process::Pid::from_raw(leader.cast_signed()).expect("a process id is positive");
    let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
}

/// One line for each process of the group: what it is, and which system call it is in.
fn describe_group(leader: u32) -> String {
    let mut lines = String::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.get(2) != Some(&leader.to_string().as_str()) {
            continue;
        }
        let command = fs::read_to_string(path.join("cmdline")).unwrap_or_default().replace('\0', " ");
        for task in fs::read_dir(path.join("task")).into_iter().flatten().flatten() {
            let state = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            let name = task.file_name();
            lines.push_str(&format!("  {} state {} in syscall {state}", name.display(), fields[0]));
            lines.push_str(&format!("    {}\n", command.chars().take(300).collect::<String>()));
        }
    }
    lines
}

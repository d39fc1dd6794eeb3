//! The memory that the library costs a process that never touches a prefix.

use super::sides::Side;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The group's name.
pub const GROUP: &str = "memory";

/// Private dirty bytes of a `cat` that waits for input.
pub fn run(side: &Side) -> Vec<(String, f64)> {
    let mut cat = side.command(Path::new("cat"));
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat starts");
    let bytes = wait_until_it_reads(cat.id()).and_then(|()| private_dirty_bytes(cat.id()));
    drop(cat.stdin.take());
    let status = cat.wait().expect("our own child");
    assert!(status.success(), "cat: {status}");
    vec![("private_dirty".to_owned(), bytes.expect("/proc tells about a child"))]
}

/// Waits until the process sleeps in `read` (system call 0 on x86-64).
fn wait_until_it_reads(process: u32) -> Option<()> {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        let call = fs::read_to_string(format!("/proc/{process}/syscall")).ok()?;
        if call.starts_with("0 0x0 ") {
            return Some(());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

fn private_dirty_bytes(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

//! DAOS's own mount of a container.

use super::common::{build, process};
use super::container::Container;
use super::system::System;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Mounting takes a quarter of a second; a busy machine is given a hundred times that.
const MOUNT_TIME_MAX: Duration = Duration::from_secs(25);

/// A mount of dfuse that ends with this.
pub struct Dfuse {
    child: Child,
    place: PathBuf,
}

impl Dfuse {
    /// Mounts `container` at the empty directory `place`.
    ///
    /// # Errors
    /// Why there is no mount.
    pub fn mount(system: &System, container: &Container, place: &Path, options: &[&str]) -> Result<Self, String> {
        let log = build::work_directory().join("dfuse.log");
        let log = fs::File::options().create(true).append(true).open(log).map_err(|error| error.to_string())?;
        let mut command = Command::new("dfuse");
        system.lead(&mut command);
        command.arg("--foreground").args(options).arg(place).args([&container.pool, &container.label]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
        let host = device(place);
        let child = command.spawn().map_err(|error| format!("dfuse does not start: {error}"))?;
        let mut dfuse = Self { child, place: place.to_owned() };
        let start = Instant::now();
        while device(place) == host {
            if start.elapsed() > MOUNT_TIME_MAX || dfuse.child.try_wait().is_ok_and(|status| status.is_some()) {
                return Err(format!("dfuse does not mount {}", place.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(dfuse)
    }
}

impl Drop for Dfuse {
    fn drop(&mut self) {
        let unmount = |program: &str, flags: &[&str]| {
            let mut command = Command::new(program);
            let quiet = command.args(flags).arg(&self.place).stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().is_ok_and(|status| status.success())
        };
        if !unmount("fusermount3", &["-u"]) {
            unmount("umount", &["-l"]);
        }
        let start = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && start.elapsed() < MOUNT_TIME_MAX {
            std::thread::sleep(Duration::from_millis(20));
        }
        process::kill_group(self.child.id());
        let _ = self.child.wait();
    }
}

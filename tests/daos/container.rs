//! A test's own container.

use super::system::System;
use std::sync::atomic::{AtomicU32, Ordering};

/// A POSIX container that goes away with this.
pub struct Container<'a> {
    /// Its pool.
    pub pool: String,
    /// Its label.
    pub label: String,
    system: &'a System,
}

impl<'a> Container<'a> {
    /// A fresh container for the test `name`. `properties` are words of `daos container create`, with commas between:
    /// `--chunk-size=1024,--oclass=S1`.
    ///
    /// # Errors
    /// What `daos` said.
    pub fn create(system: &'a System, name: &str, properties: Option<&str>) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let label = format!("{}-{name}-{}-{count}", system.prefix, std::process::id());
        let mut words = vec!["container", "create", "--type", "POSIX"];
        words.extend(properties.iter().flat_map(|words| words.split(',')));
        words.extend([system.pool.as_str(), &label]);
        system.daos(&words)?;
        Ok(Self { pool: system.pool.clone(), label, system })
    }

    /// Asks DAOS's own checker whether the namespace and the objects agree.
    ///
    /// # Errors
    /// What it found.
    pub fn check(&self) -> Result<(), String> {
        let said = self.system.daos(&["fs", "check", &self.pool, &self.label, "--flags=print,evict"])?;
        let is_clean = said.lines().any(|line| line.ends_with("Number of leaked OIDs in namespace = 0"));
        if is_clean { Ok(()) } else { Err(format!("daos fs check finds something:\n{said}")) }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if std::env::var_os("SIDESTEP_TEST_KEEP").is_some() {
            eprintln!("kept: container {}/{}", self.pool, self.label);
        } else {
            let _ = self.system.daos(&["container", "destroy", "--force", &self.pool, &self.label]);
        }
    }
}

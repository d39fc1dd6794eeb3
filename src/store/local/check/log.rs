//! Would the log bring back, after a cut of power, the names that there are?

use super::super::recover::Source;
use super::census::{Census, Entry};
use super::names::shown;
use super::{Checker, Severity};
use crate::ground::Result;
use std::collections::HashMap;

impl Checker<'_> {
    /// The checkpoint and the log together say the same as the tree.
    pub fn check_log(&mut self, census: &Census) -> Result<()> {
        let store = self.store;
        if !store.header().log.is_on() || store.is_frozen() {
            return Ok(());
        }
        let mend = |store: &super::Store| store.checkpoint();
        let Some(source) = Source::read(store)? else {
            let what = "neither checkpoint of the names can be read".to_owned();
            return self.find(Severity::Damage, what, mend);
        };
        let place = |entry: &Entry| (entry.directory, entry.position);
        let logged = source.names.into_iter().map(Entry::from);
        let mut logged: HashMap<_, _> = logged.map(|entry| (place(&entry), entry)).collect();
        let unknown = census.entries.iter().find(|&entry| logged.remove(&place(entry)).as_ref() != Some(entry));
        let what = match (unknown, logged.values().next()) {
            (Some(entry), _) => format!("{} is not in the log of changes", shown(entry)),
            (None, Some(entry)) => format!("{} is in the log of changes, and not in the tree", shown(entry)),
            (None, None) => return Ok(()),
        };
        self.find(Severity::Damage, what, mend)
    }
}

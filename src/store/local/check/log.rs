//! Would the log bring back, after a cut of power, the names that there are?

use super::super::recover::Source;
use super::census::{Census, Entry};
use super::{Checker, Severity};
use crate::ground::Result;

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
        let logged = source.names.into_iter().map(|name| Entry {
            directory: name.directory,
            position: name.position,
            name: name.name.into(),
            found: Some(name.found),
        });
        let mut there: Vec<&Entry> = census.entries.iter().collect();
        there.sort_by_key(|entry| (entry.directory, entry.position));
        if logged.eq(there.into_iter().cloned()) {
            return Ok(());
        }
        let what =
            "the log of changes does not say what the tree of names has; a cut of power would lose names".to_owned();
        self.find(Severity::Damage, what, mend)
    }
}

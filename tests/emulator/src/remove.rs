//! Removing.

use crate::array::Array;
use crate::errors::Answer;
use crate::mount::{Mount, Object, check_name};
use crate::oid::Oid;
use crate::record::Record;
use crate::wire::Exchange;
use rustix::io::Errno;

/// Names that are fetched at once while a tree is removed.
const BATCH_COUNT: usize = 10;

impl Mount {
    /// `dfs_remove`: fetched, its object punched (a directory's contents before), its name punched. Answers the object
    /// that it was.
    ///
    /// # Errors
    /// `ENOENT`; `ENOTEMPTY` for a directory without `force`.
    pub fn remove(&self, wire: &mut Exchange, parent: Option<&Object>, name: &[u8], force: bool) -> Answer<Oid> {
        self.check_writable()?;
        let parent = self.directory(parent)?;
        check_name(name)?;
        let record = self.container.fetch(wire, parent.oid, name, false)?.ok_or(Errno::NOENT)?;
        if record.kind() == libc::S_IFDIR && !self.is_empty(wire, record.oid)? {
            if !force {
                return Err(Errno::NOTEMPTY.into());
            }
            self.remove_contents(wire, record.oid)?;
        }
        self.remove_entry(wire, parent.oid, name, &record)?;
        Ok(record.oid)
    }

    /// Whether a directory has no name in it; one message.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn is_empty(&self, wire: &mut Exchange, directory: Oid) -> Answer<bool> {
        Ok(self.container.names(wire, directory, 0, 1)?.0.is_empty())
    }

    /// Takes an entry and its object away: two messages, one for a symlink, whose object holds nothing, and for a hard
    /// link, whose object has other names.
    ///
    /// # Errors
    /// `ENOENT` where somebody was faster.
    pub fn remove_entry(&self, wire: &mut Exchange, directory: Oid, name: &[u8], record: &Record) -> Answer<()> {
        match record.kind() {
            _ if record.is_hard_link() => {}
            libc::S_IFDIR => self.container.punch_directory(wire, record.oid)?,
            libc::S_IFLNK => {}
            _ => Array::open(self.container.clone(), record.oid, self.chunk_bytes(record)).remove(wire)?,
        }
        self.container.punch_name(wire, directory, name)
    }

    fn remove_contents(&self, wire: &mut Exchange, directory: Oid) -> Answer<()> {
        let mut position = 0;
        loop {
            let (names, is_last) = self.container.names(wire, directory, position, BATCH_COUNT)?;
            for (at, name) in &names {
                position = *at;
                let Some(record) = self.container.fetch(wire, directory, name, false)? else { continue };
                if record.kind() == libc::S_IFDIR {
                    self.remove_contents(wire, record.oid)?;
                }
                self.remove_entry(wire, directory, name, &record)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

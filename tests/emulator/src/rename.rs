//! Renaming and exchanging, in several steps as libdfs does both: another client can see the middle of it.

use crate::errors::{Answer, Der, Trouble};
use crate::mount::{Mount, Object, check_name};
use crate::oid::Oid;
use crate::record::{Record, Time};
use crate::wire::Exchange;
use rustix::io::Errno;

impl Mount {
    /// `dfs_move`. Answers the object that the new name led to, if it did.
    ///
    /// # Errors
    /// `ENOENT`; `EINVAL` for anything but a directory over a directory; `ENOTEMPTY`; `EEXIST` where somebody made the
    /// new name meanwhile.
    pub fn rename(
        &self,
        wire: &mut Exchange,
        (from, name): (Option<&Object>, &[u8]),
        (to, new_name): (Option<&Object>, &[u8]),
    ) -> Answer<Option<Oid>> {
        self.check_writable()?;
        let (from, to) = (self.directory(from)?.oid, self.directory(to)?.oid);
        check_name(name)?;
        check_name(new_name)?;
        let container = &self.container;
        let mut record = container.fetch(wire, from, name, true)?.ok_or(Errno::NOENT)?;
        let replaced = container.fetch(wire, to, new_name, true)?;
        if let Some(replaced) = &replaced {
            if replaced.kind() == libc::S_IFDIR {
                if record.kind() != libc::S_IFDIR {
                    return Err(Errno::INVAL.into());
                }
                if !self.is_empty(wire, replaced.oid)? {
                    return Err(Errno::NOTEMPTY.into());
                }
            }
            self.remove_entry(wire, to, new_name, replaced)?;
        }
        let replaced = replaced.map(|replaced| replaced.oid);
        if record.kind() == libc::S_IFLNK {
            // Taken away and made again, times and all; its extended attributes are lost on the way.
            self.remove_entry(wire, from, name, &record)?;
            container.insert(wire, to, new_name, &bare(record))?;
            return Ok(replaced);
        }
        let now = Time::now();
        (record.modified, record.changed) = (now, now);
        let extended = std::mem::take(&mut record.extended);
        container.insert(wire, to, new_name, &record)?;
        wire.message();
        for (attribute, value) in extended {
            wire.message();
            container.update(wire, to, new_name, |moved| {
                moved.extended.insert(attribute, value);
                Ok(())
            })?;
        }
        container.punch_name(wire, from, name)?;
        Ok(replaced)
    }

    /// `dfs_exchange`: both names are taken away and made again, without their extended attributes.
    ///
    /// # Errors
    /// `EINVAL` where one of them is not there.
    pub fn exchange(
        &self,
        wire: &mut Exchange,
        (one, one_name): (Option<&Object>, &[u8]),
        (other, other_name): (Option<&Object>, &[u8]),
    ) -> Answer<()> {
        self.check_writable()?;
        let (one, other) = (self.directory(one)?.oid, self.directory(other)?.oid);
        check_name(one_name)?;
        check_name(other_name)?;
        let container = &self.container;
        let first = container.fetch(wire, one, one_name, true)?.ok_or(Errno::INVAL)?;
        let second = container.fetch(wire, other, other_name, true)?.ok_or(Errno::INVAL)?;
        for (directory, name) in [(one, one_name), (other, other_name)] {
            match container.punch_name(wire, directory, name) {
                // Unconditional, there: what is gone already is no error.
                Err(Trouble::Der(Der::NONEXIST)) => {}
                done => done?,
            }
        }
        for (directory, name, record) in [(other, other_name, first), (one, one_name, second)] {
            let now = Time::now();
            container.insert(wire, directory, name, &Record { modified: now, changed: now, ..bare(record) })?;
        }
        Ok(())
    }
}

/// An entry without its extended attributes.
fn bare(record: Record) -> Record {
    Record { extended: std::collections::BTreeMap::new(), ..record }
}

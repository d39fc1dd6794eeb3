//! Extended attributes: under the name that the object was opened by, in the directory that it was opened in.

use crate::errors::{Answer, Der, Trouble};
use crate::mount::{Mount, Object};
use crate::record::Time;
use crate::wire::Exchange;
use rustix::io::Errno;

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 255;

/// Bytes of a value.
const VALUE_BYTES_MAX: usize = 65536;

fn check(name: &[u8]) -> Answer<()> {
    if name.len() > NAME_BYTES_MAX { Err(Errno::INVAL.into()) } else { Ok(()) }
}

impl Mount {
    /// `dfs_setxattr`: one message, two with `XATTR_CREATE`. Whether the attribute is there already makes no difference:
    /// DAOS 2.8 takes the conditions and does not keep them.
    ///
    /// # Errors
    /// `ENOENT` without the entry; `EINVAL` for what is too long.
    pub fn set_extended(
        &self,
        wire: &mut Exchange,
        object: &Object,
        name: &[u8],
        value: &[u8],
        flags: i32,
    ) -> Answer<()> {
        self.check_writable()?;
        check(name)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Errno::INVAL.into());
        }
        if flags == libc::XATTR_CREATE {
            wire.message();
        }
        self.container.update(wire, object.parent, &object.name, |record| {
            record.extended.insert(name.to_vec(), value.to_vec());
            record.changed = Time::now();
            Ok(())
        })
    }

    /// `dfs_getxattr`: the value; one message. `room` is what the caller has for it, `None` if it wants the length.
    ///
    /// # Errors
    /// `ENODATA`; `E2BIG` for too little room.
    pub fn extended(&self, wire: &mut Exchange, object: &Object, name: &[u8], room: Option<usize>) -> Answer<Vec<u8>> {
        check(name)?;
        let record = self.container.fetch(wire, object.parent, &object.name, false)?.ok_or(Errno::NODATA)?;
        let value = record.extended.get(name).cloned().ok_or(Errno::NODATA)?;
        match room {
            Some(room) if room < value.len() => Err(Der::REC2BIG.into()),
            _ => Ok(value),
        }
    }

    /// `dfs_removexattr`: two messages.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn remove_extended(&self, wire: &mut Exchange, object: &Object, name: &[u8]) -> Answer<()> {
        self.check_writable()?;
        check(name)?;
        wire.message();
        self.container.update(wire, object.parent, &object.name, |record| {
            record.extended.remove(name).ok_or(Trouble::Der(Der::NONEXIST))?;
            record.changed = Time::now();
            Ok(())
        })
    }

    /// `dfs_listxattr`: the names; one message.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn extended_names(&self, wire: &mut Exchange, object: &Object) -> Answer<Vec<Vec<u8>>> {
        let record = self.container.fetch(wire, object.parent, &object.name, false)?;
        Ok(record.map(|record| record.extended.into_keys().collect()).unwrap_or_default())
    }
}

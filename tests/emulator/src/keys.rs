//! A directory's object: a record under each name, and the object's epoch.
//!
//! As in DAOS an object is there for whoever knows its id, even after the last name that led to it has gone: a record
//! that is put into an object which was removed makes it again, and nobody finds it.

use crate::container::{Container, make_directory};
use crate::errors::{Answer, Der};
use crate::oid::Oid;
use crate::record::Record;
use crate::wire::Exchange;
use rustix::io::Errno;
use sidestep::ground::buffer::Segment;
use sidestep::store::{Container as _, Found, Kind, NewNode, NodeId, RenameMode};
use std::sync::atomic::{AtomicU64, Ordering};

/// A name of a listing, and where the listing goes on behind it.
pub type Name = (u64, Vec<u8>);

/// The root's record lies under this name, with libdfs; a name on the host has no slash.
const ROOT_NAME: &[u8] = b"/";
const ROOT_NAME_ON_HOST: &[u8] = b"root";

fn on_host(name: &[u8]) -> &[u8] {
    if name == ROOT_NAME { ROOT_NAME_ON_HOST } else { name }
}

impl Container {
    /// The record under a name; one message, and one more for a symlink's target if that is wanted.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn fetch(&self, wire: &mut Exchange, object: Oid, name: &[u8], target: bool) -> Answer<Option<Record>> {
        // Here libdfs itself refuses, before it sends anything.
        if name == b"." {
            return Err(Errno::NOTSUP.into());
        }
        wire.message();
        if name.is_empty() {
            return Err(Der::INVAL.into());
        }
        if name == b".." {
            return Ok(None);
        }
        let record = self.record(object, name)?;
        if target && record.as_ref().is_some_and(|record| record.kind() == libc::S_IFLNK) {
            wire.message();
        }
        Ok(record)
    }

    fn record(&self, object: Oid, name: &[u8]) -> Answer<Option<Record>> {
        let Some(directory) = self.object_directory(object)? else { return Ok(None) };
        loop {
            let Some(found) = self.find(directory, on_host(name))? else { return Ok(None) };
            match self.read(found) {
                // It was replaced between the look-up and the opening.
                Err(crate::errors::Trouble::Errno(Errno::NOENT | Errno::STALE)) => {}
                bytes => return Ok(Some(Record::decode(&bytes?).ok_or(Errno::IO)?)),
            }
        }
    }

    fn read(&self, found: Found) -> Answer<Vec<u8>> {
        let file = self.store.open(found)?;
        let mut bytes = vec![0; usize::try_from(file.size_bytes()?).map_err(|_| Errno::IO)?];
        let length = file.read_at(0, &[Segment::of_slice_mut(&mut bytes)])?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Puts a record under a new name; one message.
    ///
    /// # Errors
    /// `DER_EXIST`; `DER_NO_PERM` where the container is open for reading.
    pub fn insert(&self, wire: &mut Exchange, object: Oid, name: &[u8], record: &Record) -> Answer<()> {
        wire.message();
        self.check_writable()?;
        if name.is_empty() || name == b".." {
            return Err(Der::INVAL.into());
        }
        let _alone = self.lock()?;
        self.put(object, name, record, RenameMode::NoReplace)
    }

    /// Changes the record under a name; one message.
    ///
    /// # Errors
    /// `DER_NONEXIST`, `change`'s.
    pub fn update(
        &self,
        wire: &mut Exchange,
        object: Oid,
        name: &[u8],
        change: impl FnOnce(&mut Record) -> Answer<()>,
    ) -> Answer<()> {
        wire.message();
        self.check_writable()?;
        let _alone = self.lock()?;
        let mut record = self.record(object, name)?.ok_or(Der::NONEXIST)?;
        change(&mut record)?;
        self.put(object, name, &record, RenameMode::Replace)
    }

    /// Takes a name away, with all that is under it; one message.
    ///
    /// # Errors
    /// `DER_NONEXIST`.
    pub fn punch_name(&self, wire: &mut Exchange, object: Oid, name: &[u8]) -> Answer<()> {
        wire.message();
        self.check_writable()?;
        let _alone = self.lock()?;
        let directory = self.object_directory(object)?.ok_or(Der::NONEXIST)?;
        match self.store.unlink(directory, on_host(name)) {
            Err(Errno::NOENT) => Err(Der::NONEXIST.into()),
            done => Ok(done?),
        }
    }

    /// Takes a directory's whole object away; one message.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn punch_directory(&self, wire: &mut Exchange, object: Oid) -> Answer<()> {
        wire.message();
        self.check_writable()?;
        let _alone = self.lock()?;
        let Some(directory) = self.object_directory(object)? else { return Ok(()) };
        let mut names = Vec::new();
        self.store.entries(directory, 0, &mut |entry| {
            names.push(entry.name.to_vec());
            true
        })?;
        for name in names {
            self.store.unlink(directory, &name)?;
        }
        Ok(self.store.remove_directory(self.keys, object.to_name().as_bytes())?)
    }

    /// When an object was last changed, in nanoseconds since the epoch; 0 for never.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn epoch(&self, wire: &mut Exchange, object: Oid) -> Answer<i64> {
        wire.message();
        let Some(directory) = self.object_directory(object)? else { return Ok(0) };
        match self.store.attributes(directory) {
            Ok(attributes) => Ok(attributes.modified.0),
            Err(Errno::STALE | Errno::NOENT) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Up to `count` names after `position`, each with its own; whether these are the last. One message.
    ///
    /// # Errors
    /// What the embedded engine answers.
    pub fn names(&self, wire: &mut Exchange, object: Oid, position: u64, count: usize) -> Answer<(Vec<Name>, bool)> {
        wire.message();
        let mut names = Vec::new();
        let mut is_last = true;
        if let Some(directory) = self.object_directory(object)? {
            self.store.entries(directory, position, &mut |entry| {
                is_last = names.len() < count;
                if is_last {
                    names.push((entry.position, entry.name.to_vec()));
                }
                is_last
            })?;
        }
        Ok((names, is_last))
    }

    fn object_directory(&self, object: Oid) -> Answer<Option<NodeId>> {
        let found = self.find(self.keys, object.to_name().as_bytes())?;
        Ok(found.map(|found| found.node))
    }

    fn check_writable(&self) -> Answer<()> {
        if self.is_writable { Ok(()) } else { Err(Der::NO_PERM.into()) }
    }

    /// Writes a record apart and then gives it its name in one step: whoever reads sees all of it or none.
    fn put(&self, object: Oid, name: &[u8], record: &Record, mode: RenameMode) -> Answer<()> {
        static STAGED: AtomicU64 = AtomicU64::new(0);
        let directory = match self.object_directory(object)? {
            Some(directory) => directory,
            None => make_directory(&self.store, self.keys, &object.to_name())?.node,
        };
        if mode == RenameMode::NoReplace && self.find(directory, on_host(name))?.is_some() {
            return Err(Der::EXIST.into());
        }
        let new = NewNode { kind: Kind::File, mode: 0o600, uid: 0, gid: 0, target: b"" };
        let process = rustix::process::getpid().as_raw_nonzero();
        let (staged, found) = loop {
            let staged = format!("{process}.{}", STAGED.fetch_add(1, Ordering::Relaxed));
            match self.store.create(self.staging, staged.as_bytes(), &new) {
                // Left by a process of this number that was killed.
                Err(Errno::EXIST) => {}
                made => break (staged, made?),
            }
        };
        let bytes = record.encode();
        let written = self.store.open(found)?.write_at(0, &[Segment::of_slice(&bytes)])?;
        if written != bytes.len() {
            return Err(Der::NOSPACE.into());
        }
        match self.store.rename((self.staging, staged.as_bytes()), (directory, on_host(name)), mode) {
            Err(Errno::EXIST) => Err(Der::EXIST.into()),
            done => Ok(done?),
        }
    }
}

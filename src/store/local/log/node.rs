//! A node on stable storage: its bytes, its record, its name; and before its bytes are given up, that they were.

use super::super::image::Image;
use super::super::layout::TARGETS;
use super::super::object;
use super::super::open_node::OpenNode;
use super::super::record::{HAS_OBJECT, OBJECTS_KNOWN};
use super::super::store::{SLOT_BYTES, Store};
use super::super::store_directory::Refusal;
use super::entry::Logged;
use super::host;
use crate::ground::kernel;
use crate::ground::{Errno, Result};
use crate::store::Kind;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

impl Store {
    /// Waits until a node's bytes, its record and the names are on stable storage.
    ///
    /// # Errors
    /// As fdatasync(2); `ENOSPC`.
    pub fn sync_node(&self, node: &OpenNode) -> Result<()> {
        if self.is_frozen() {
            return Ok(());
        }
        loop {
            let has_object = node.record().has(HAS_OBJECT);
            if node.found.kind == Kind::File {
                self.sync_bytes(node, has_object)?;
            }
            // A file that outgrew its slot meanwhile has its bytes elsewhere.
            if self.log_image(node, has_object)? {
                break;
            }
        }
        self.sync_log()?;
        self.drain()
    }

    fn sync_bytes(&self, node: &OpenNode, has_object: bool) -> Result<()> {
        if has_object {
            return self.sync_objects(node);
        }
        let slot = node.slot()?;
        if slot.is_null() { Ok(()) } else { self.slots().sync_range(slot, SLOT_BYTES as usize) }
    }

    /// Waits until a file's object files, and their names on the host, are on stable storage.
    ///
    /// # Errors
    /// As fdatasync(2).
    pub fn sync_objects(&self, node: &OpenNode) -> Result<()> {
        let record = node.record();
        // First: who makes another file meanwhile takes the mark away.
        let before = record.flags.fetch_or(OBJECTS_KNOWN, Ordering::SeqCst);
        let synced = self.sync_object_files(node, before & OBJECTS_KNOWN != 0);
        if synced.is_err() {
            record.flags.fetch_and(!OBJECTS_KNOWN, Ordering::SeqCst);
        }
        synced
    }

    fn sync_object_files(&self, node: &OpenNode, are_known: bool) -> Result<()> {
        let files = node.objects().existing(self)?;
        if let [_, _, ..] = files.as_slice() {
            // All are on their way before one is waited for.
            files.iter().for_each(|(_, file)| kernel::begin_write_back(file.as_fd(), 0, 0));
        }
        if are_known || !self.header().log.is_on() {
            return files.iter().try_for_each(|(_, file)| rustix::fs::fdatasync(file.as_fd()));
        }
        files.iter().try_for_each(|(_, file)| rustix::fs::fsync(file.as_fd()))?;
        if host::syncs_names_with_files(self.directory().as_fd()) {
            return Ok(());
        }
        for (target, _) in &files {
            let path = object::directory(*target, node.found.node.0);
            for directory in [path.as_str(), &format!("{TARGETS}/{target}")] {
                self.directory().sync_directory(directory).map_err(Refusal::errno)?;
            }
        }
        Ok(())
    }

    /// Logs the image of a node's record. Returns false, with nothing done, where the node's bytes are not where
    /// `has_object` says.
    ///
    /// # Errors
    /// As [`Store::make_log_room`].
    fn log_image(&self, node: &OpenNode, has_object: bool) -> Result<bool> {
        let record = node.record();
        if !self.header().log.is_on() {
            return Ok(record.has(HAS_OBJECT) == has_object);
        }
        let _names = self.lock_names()?;
        self.make_log_room(true)?;
        self.write_log_ahead();
        record.synced.fetch_add(1, Ordering::AcqRel);
        let image = Image::of(record);
        if (image.flags() & HAS_OBJECT != 0) != has_object {
            return Ok(false);
        }
        self.write_entry(&[], Logged { image: Some((node.found.node.0, image)), target: b"" })?;
        self.publish_entry();
        Ok(true)
    }

    /// Before bytes of a file are given up that somebody was promised: the record that does without them is stable. Nothing
    /// to do for other files. The file's own lock is not held.
    ///
    /// # Errors
    /// As [`Store::sync_node`].
    pub fn sync_before_giving_up(&self, node: &OpenNode) -> Result<()> {
        if !self.is_promised(node.record()) {
            return Ok(());
        }
        let has_object = node.record().has(HAS_OBJECT);
        if !self.log_image(node, has_object)? {
            return Err(Errno::AGAIN);
        }
        self.sync_log()
    }

    /// Waits until everything is on stable storage.
    ///
    /// # Errors
    /// As syncfs(2).
    pub fn sync_all(&self) -> Result<()> {
        if self.is_frozen() {
            return Ok(());
        }
        self.process().ready(self)?;
        let state = &self.header().log;
        let end = state.end.load(Ordering::Acquire);
        self.sync_log()?;
        self.nodes().sync()?;
        self.slots().sync()?;
        // The object files: all of the host's file system, which is what there is a call for.
        rustix::fs::syncfs(kernel::borrow(self.process().live()))?;
        state.stable_bytes.fetch_max(end, Ordering::AcqRel);
        self.sync_header()?;
        self.drain()
    }
}

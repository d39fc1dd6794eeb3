//! A node on stable storage: its bytes, its record, its name; and before its bytes are given up, that they were.

use super::super::image::Image;
use super::super::layout::TARGETS;
use super::super::object;
use super::super::open_node::OpenNode;
use super::super::record::{HAS_OBJECT, OBJECTS_KNOWN};
use super::super::store::Store;
use super::super::store_directory::Refusal;
use super::entry::Logged;
use super::extents::LogMark;
use super::host;
use crate::ground::kernel;
use crate::ground::{Errno, Result};
use crate::store::Kind;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

/// What of a node is to be stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All, as by fsync(2).
    All,
    /// What it takes to read its bytes, as by fdatasync(2).
    Bytes,
}

impl Store {
    /// Waits until a node's bytes, its record and the names are on stable storage.
    ///
    /// # Errors
    /// As fdatasync(2); `ENOSPC`.
    pub fn sync_node(&self, node: &OpenNode, wanted: Wanted) -> Result<()> {
        if self.is_frozen() {
            return Ok(());
        }
        let (has_object, mark) = loop {
            let has_object = node.record().has(HAS_OBJECT);
            if has_object {
                // On their way while the image is logged.
                let files = node.objects().existing(self)?;
                files.iter().for_each(|(_, file)| kernel::begin_write_back(file.as_fd(), 0, 0));
            }
            // A file that outgrew its slot meanwhile has its bytes elsewhere.
            if let Some(mark) = self.log_image(node, has_object, wanted)? {
                break (has_object, mark);
            }
        };
        // The bytes after the image: all that it tells of is there. What neither this sync nor one before has acknowledged may be
        // there without the bytes.
        if has_object {
            let is_on_its_way = self.write_log_back(&mark, &node.objects().existing(self)?)?;
            self.sync_objects(node)?;
            if is_on_its_way {
                self.note_stable(&mark);
            }
        }
        self.sync_log_to(mark.end)?;
        self.drain()
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

    /// Logs the image of a node's record, and what it has in its slot, where the log does not say it yet. Returns where the log
    /// stands then; `None`, with nothing done, where the node's bytes are not where `has_object` says.
    ///
    /// # Errors
    /// As [`Store::make_log_room`]; as msync(2).
    fn log_image(&self, node: &OpenNode, has_object: bool, wanted: Wanted) -> Result<Option<LogMark>> {
        let record = node.record();
        if !self.header().log.is_on() {
            return Ok((record.has(HAS_OBJECT) == has_object).then(LogMark::default));
        }
        let is_in_slot = node.found.kind == Kind::File && !has_object;
        // Nobody moves the bytes to objects who has not seen that they are promised.
        let record_guard = if is_in_slot { Some(self.lock_record(record)?) } else { None };
        let names_guard = self.lock_names()?;
        // The bytes are not to take the last of a full disk, which is for what frees space: then the slot is synced.
        match self.make_log_room(!is_in_slot) {
            Err(Errno::NOSPC | Errno::DQUOT) if is_in_slot => {
                drop((names_guard, record_guard));
                return Ok(self.trust_slot(node)?.then(|| self.mark_log()));
            }
            room => room?,
        }
        self.write_log_ahead();
        let image = Image::of(record);
        if (image.flags() & HAS_OBJECT != 0) != has_object {
            return Ok(None);
        }
        if !is_in_slot && node.last_image().covers(&image, wanted) {
            return Ok(Some(self.mark_log()));
        }
        record.synced.fetch_add(1, Ordering::AcqRel);
        let image = Image::of(record);
        if is_in_slot {
            self.log_with_slot(node, &image, 0)?;
        } else {
            self.write_entry(&[], Logged { image: Some((node.found.node.0, image)), ..Logged::default() })?;
            self.publish_entry();
            node.last_image().put(&image);
        }
        Ok(Some(self.mark_log()))
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
        let mark = self.log_image(node, has_object, Wanted::All)?.ok_or(Errno::AGAIN)?;
        self.sync_log_to(mark.end)
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
        self.nodes().sync()?;
        self.trust_all_slots()?;
        self.sync_log()?;
        // The object files: all of the host's file system, which is what there is a call for.
        rustix::fs::syncfs(kernel::borrow(self.process().live()))?;
        state.stable_bytes.fetch_max(end, Ordering::AcqRel);
        self.sync_header()?;
        self.drain()
    }
}

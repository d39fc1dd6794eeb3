//! What has to be there before a store can be opened: its files, their lengths, a header that makes sense, and a tree of names
//! that LMDB may be given.
//!
//! Looked at, and mended, without opening the store: a store that can't be opened can still be checked. Nobody else lives
//! in it meanwhile.

use super::super::header::Header;
use super::super::layout::{
    CHECKPOINTS, HEADER, INTENTS, LIVE, LOG, NAMES, NODES, OPENING_BYTE, RECENT, SLOTS, STAND_INS, TARGETS, TREE,
    TREE_LOCK, lock_patiently, refused,
};
use super::super::open_error::OpenError;
use super::super::process::LIVING_BYTE;
use super::super::recent::RECENT_BYTES;
use super::super::record::RECORD_BYTES;
use super::super::store::{ROOT, SLOT_BYTES};
use super::super::store_directory::{Refusal, StoreDirectory};
use super::super::tree::PAGE_BYTES;
use super::super::tree_pages::{TreePages, data_end};
use super::header_file::HeaderFile;
use super::new_tree;
use super::{CheckError, Finding, Severity, Summary};
use crate::ground::kernel::{self, Low, RangeLock};
use crate::ground::{Errno, buffer::Segment, file_size_limit};
use rustix::fs::{Mode, OFlags};
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

/// What stood in the place of a file of the store is kept under this name and a number.
const ASIDE: &str = "set-aside";

/// Things that are kept so at most.
const ASIDE_COUNT_MAX: u32 = 1000;

/// One look at the foundations.
pub struct Foundations<'a> {
    directory: &'a Path,
    within: StoreDirectory,
    repair: bool,
    report: &'a mut dyn FnMut(Finding),
    /// What was found.
    pub summary: Summary,
}

type Checked<T> = std::result::Result<T, CheckError>;

/// Looks at the foundations of the store in `directory`, and mends them if `repair` is set. What was found goes to `summary`.
/// Somebody who uses the store has looked already.
///
/// # Errors
/// [`CheckError::Open`] for what is no store, or not ours to use.
pub fn check(directory: &Path, repair: bool, report: &mut dyn FnMut(Finding), summary: &mut Summary) -> Checked<()> {
    let host = |errno| CheckError::Host { doing: format!("opening {}", directory.display()), errno };
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let root = match Low::open(rustix::fs::CWD, directory, flags, Mode::empty()) {
        Ok(root) => root.park().map_err(host)?,
        // What is no directory, or not there, is told by whoever opens it.
        Err(_) => return Ok(()),
    };
    let within = StoreDirectory::of(&root).map_err(host)?;
    if within.stranger().is_some() || !is_a_store(within) {
        return Ok(());
    }
    let mut foundations = Foundations { directory, within, repair, report, summary: *summary };
    let checked = foundations.run();
    *summary = foundations.summary;
    checked
}

/// Whether there are other files of a store than the header, which may be gone.
fn is_a_store(within: StoreDirectory) -> bool {
    let is_there = |name: &str| !matches!(within.stat(name), Err(Refusal::Host(Errno::NOENT)));
    is_there(HEADER) || [NODES, SLOTS, RECENT].into_iter().all(is_there) && is_there(TREE)
}

impl Foundations<'_> {
    fn run(&mut self) -> Checked<()> {
        self.check_file(LIVE)?;
        let live =
            match self.within.open(LIVE, OFlags::RDWR | if self.repair { OFlags::CREATE } else { OFlags::empty() }) {
                Ok(live) => live,
                // A read-only host, where nothing is to be mended; or the file is to be made by the repair.
                Err(_) => return self.look(),
            };
        let lock = |byte| lock_patiently(live.as_fd(), RangeLock::Write, byte);
        let failed = |errno| CheckError::Host { doing: format!("locking {}", self.directory.display()), errno };
        if !lock(OPENING_BYTE).map_err(failed)? {
            return Err(CheckError::Open(OpenError::Busy { directory: self.directory.to_owned() }));
        }
        let is_alone = kernel::lock_range(live.as_fd(), RangeLock::Write, LIVING_BYTE, 1).map_err(failed)?;
        // The locks go with the descriptor.
        if is_alone { self.look() } else { Ok(()) }
    }

    fn look(&mut self) -> Checked<()> {
        for name in [HEADER, NODES, SLOTS, RECENT, INTENTS, LOG, CHECKPOINTS[0], CHECKPOINTS[1]] {
            self.check_file(name)?;
        }
        let targets = self.check_directories()?;
        for name in [TREE, TREE_LOCK] {
            self.check_file(name)?;
        }
        let Some(mut header) = self.check_header(targets)? else { return Ok(()) };
        if header.is_in_doubt(self.within) && self.check_checkpoints(&mut header)? {
            // Whoever opens it recovers it, from what proves itself. The inode table and the slots may be shorter than the
            // header says, which was written back at another moment; all have to be there, and the recent names whole.
            for (name, needed) in [(NODES, 0), (SLOTS, 0), (RECENT, RECENT_BYTES as u64)] {
                self.check_length(name, needed);
            }
        } else {
            self.check_log(&mut header);
            let is_new_key = header.has_new_key();
            self.check_lengths(&header)?;
            self.check_root(&header)?;
            self.check_tree(&mut header, is_new_key)?;
        }
        if header.is_changed() && self.repair {
            header.write(self.within).map_err(|refusal| self.failed(HEADER, refusal))?;
        }
        Ok(())
    }

    /// Tells a finding; `mend` is tried if this is a repair.
    fn find(&mut self, what: String, mend: impl FnOnce(&Self) -> Result<(), Refusal>) {
        self.summary.damages += 1;
        let mended = self.repair.then(|| mend(self));
        let repaired = matches!(mended, Some(Ok(())));
        self.summary.repaired += u64::from(repaired);
        let what = match mended {
            Some(Err(why)) => format!("{what}; mending it failed: {why}"),
            _ => what,
        };
        (self.report)(Finding { severity: Severity::Damage, what, repaired });
    }

    fn failed(&self, name: &str, refusal: Refusal) -> CheckError {
        CheckError::Open(refused(self.directory, name, "mending", refusal))
    }

    /// What is there under a file's name is a file of the store, or nothing.
    fn check_file(&mut self, name: &str) -> Checked<()> {
        match self.within.stat(name) {
            Ok(_) | Err(Refusal::Host(Errno::NOENT)) => {}
            Err(Refusal::Host(errno)) => return Err(self.failed(name, Refusal::Host(errno))),
            Err(foreign) => self.set_aside(name, foreign),
        }
        Ok(())
    }

    fn set_aside(&mut self, name: &str, foreign: Refusal) {
        let what = format!("its `{name}` {foreign}; what stands there goes to a name of its own, `{ASIDE}.N`");
        self.find(what, |this| {
            for number in 0..ASIDE_COUNT_MAX {
                match this.within.move_up(name, &format!("{ASIDE}.{number}")) {
                    Err(Refusal::Host(Errno::EXIST)) => {}
                    moved => return moved,
                }
            }
            Err(Refusal::Host(Errno::EXIST))
        });
    }

    /// The directories are there, and hold files; the number of targets.
    fn check_directories(&mut self) -> Checked<u32> {
        for name in [NAMES, TARGETS, STAND_INS] {
            self.check_directory(name)?;
        }
        let mut targets = 0;
        let listed = self.list(TARGETS);
        for number in listed.iter().filter_map(|name| name.parse::<u32>().ok()) {
            targets = targets.max(number.saturating_add(1));
        }
        for target in listed {
            let target = format!("{TARGETS}/{target}");
            self.check_directory(&target)?;
            for part in self.list(&target) {
                let part = format!("{target}/{part}");
                self.check_directory(&part)?;
                for file in self.list(&part) {
                    self.check_file(&format!("{part}/{file}"))?;
                }
            }
        }
        Ok(targets)
    }

    fn check_directory(&mut self, name: &str) -> Checked<()> {
        match self.within.open_directory(name) {
            Ok(_) => {}
            Err(Refusal::Host(Errno::NOENT)) => {
                self.find(format!("its directory `{name}` is gone"), |this| this.within.make_directory(name));
            }
            Err(Refusal::Host(errno)) => return Err(self.failed(name, Refusal::Host(errno))),
            Err(foreign) => {
                self.set_aside(name, foreign);
                if self.repair {
                    self.within.make_directory(name).map_err(|refusal| self.failed(name, refusal))?;
                }
            }
        }
        Ok(())
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.within.list(name).unwrap_or_default()
    }

    /// The header as it is, or as it has to be; `None` where it can't be known without a repair.
    fn check_header(&mut self, targets: u32) -> Checked<Option<HeaderFile>> {
        let mut header = HeaderFile::read(self.within).map_err(|refusal| self.failed(HEADER, refusal))?;
        if header.is_newer() {
            // Told when the store is opened.
            return Ok(None);
        }
        let mut wrong = Vec::new();
        let (nodes, slots) = (self.data_length(NODES) / RECORD_BYTES as u64, self.data_length(SLOTS) / SLOT_BYTES);
        header.correct(targets, nodes, slots, &mut wrong);
        for what in &wrong {
            self.find(format!("its file `{HEADER}`: {what}"), |_| Ok(()));
        }
        for target in 0..header.targets() {
            self.check_directory(&format!("{TARGETS}/{target}"))?;
        }
        Ok(Some(header))
    }

    /// The log is where the header says.
    fn check_log(&mut self, header: &mut HeaderFile) {
        if let Some(wrong) = header.wrong_of_log(self.length(LOG)) {
            self.find(format!("its file `{LOG}` {wrong}; a new one is made of the names"), |_| Ok(()));
            header.remove_log();
        }
    }

    /// There is something to recover the names from; where there is not, a repair takes them from the tree as it stands.
    fn check_checkpoints(&mut self, header: &mut HeaderFile) -> Checked<bool> {
        let is_lost =
            header.has_lost_checkpoints(self.within).map_err(|refusal| self.failed(CHECKPOINTS[0], refusal))?;
        if is_lost {
            let what = format!(
                "writes were lost, and neither `{}` nor `{}` can be read to recover the names from; what the tree has is taken \
                 as it stands: what was synced last may be missing, and what was removed may be back",
                CHECKPOINTS[0], CHECKPOINTS[1]
            );
            self.find(what, |_| Ok(()));
            header.remove_log();
            header.reset_journals();
        }
        Ok(!is_lost)
    }

    /// What was ever written to a file: another one that stands in its place may look longer than any disk.
    fn data_length(&self, name: &str) -> u64 {
        let end = |file: Low| data_end(file.as_fd(), self.length(name) as usize) as u64;
        self.within.open(name, OFlags::RDONLY).map_or(0, end)
    }

    fn length(&self, name: &str) -> u64 {
        self.within.stat(name).map_or(0, |stat| stat.st_size.cast_unsigned())
    }

    /// Files are as long as the header says.
    fn check_lengths(&mut self, header: &HeaderFile) -> Checked<()> {
        let nodes = header.word(offset_of!(Header, names_lock.nodes.allocated)) * RECORD_BYTES as u64;
        let slots = header.word(offset_of!(Header, allocation_lock.slots.allocated)) * SLOT_BYTES;
        for (name, needed) in [(NODES, nodes), (SLOTS, slots), (RECENT, RECENT_BYTES as u64)] {
            let length = self.length(name);
            if self.check_length(name, needed) && name == SLOTS {
                self.tell_lost_slots(length / SLOT_BYTES);
            }
        }
        Ok(())
    }

    /// A file is as long as it should be. True if it was too short.
    fn check_length(&mut self, name: &str, needed: u64) -> bool {
        let is_there = self.within.stat(name).is_ok();
        let length = self.length(name);
        if is_there && length >= needed {
            return false;
        }
        let what = if is_there { "is cut off" } else { "is gone" };
        let what = format!("its file `{name}` {what}: it has {length} bytes and should have {needed}");
        self.find(what, |this| this.lengthen(name, needed));
        true
    }

    /// Which files had their bytes in slots from `first` on.
    fn tell_lost_slots(&mut self, first: u64) {
        let Ok(file) = self.within.open(NODES, OFlags::RDONLY) else { return };
        for node in ROOT..self.data_length(NODES) / RECORD_BYTES as u64 {
            let mut image = [0u8; RECORD_BYTES];
            let read = kernel::read_at(
                file.as_fd().as_raw_fd(),
                &Segment::of_slice_mut(&mut image),
                node * RECORD_BYTES as u64,
            );
            if read == Ok(image.len()) && super::super::record::slot_in_use(&image).is_some_and(|slot| slot >= first) {
                self.find(format!("file {node} has lost its bytes, which read as zeros"), |_| Ok(()));
            }
        }
    }

    fn lengthen(&self, name: &str, length: u64) -> Result<(), Refusal> {
        let file = self.within.open(name, OFlags::RDWR | OFlags::CREATE)?;
        if length == 0 {
            return Ok(());
        }
        file_size_limit::without(|| kernel::allocate(file.as_fd(), 0, length)).map_err(Refusal::Host)
    }

    /// The root's record is a directory's.
    fn check_root(&mut self, header: &HeaderFile) -> Checked<()> {
        if header.word(offset_of!(Header, names_lock.nodes.next)) <= ROOT {
            // Whoever opens it makes the root.
            return Ok(());
        }
        const DIRECTORY: u32 = 2;
        let Ok(file) = self.within.open(NODES, OFlags::RDONLY) else { return Ok(()) };
        let mut record = [0u8; RECORD_BYTES];
        let offset = ROOT * RECORD_BYTES as u64;
        let read = kernel::read_at(file.as_fd().as_raw_fd(), &Segment::of_slice_mut(&mut record), offset);
        let kind = u32::from_ne_bytes(*record.first_chunk().unwrap_or(&[0; 4])) >> 16;
        if read == Ok(record.len()) && kind != DIRECTORY {
            self.find("the root has lost its record".to_owned(), |this| {
                let image = super::super::record::root_image();
                let file = this.within.open(NODES, OFlags::RDWR)?;
                let written = kernel::write_at(file.as_fd().as_raw_fd(), &Segment::of_slice(&image), offset);
                written.map(drop).map_err(Refusal::Host)
            });
        }
        Ok(())
    }

    /// The tree can be given to LMDB, and its names are where the header's key puts them.
    fn check_tree(&mut self, header: &mut HeaderFile, is_new_key: bool) -> Checked<()> {
        let key = header.word(offset_of!(Header, hash_key));
        let allocated = header.word(offset_of!(Header, names_bytes));
        let wrong = match self.within.open(TREE, OFlags::RDONLY) {
            Err(Refusal::Host(Errno::NOENT)) if allocated == 0 => return Ok(()),
            Err(Refusal::Host(Errno::NOENT)) => Some("is gone".to_owned()),
            Err(refusal) if self.repair => return Err(self.failed(TREE, refusal)),
            // Told already.
            Err(_) => return Ok(()),
            Ok(file) => {
                let pages = TreePages::map(file.as_fd()).map_err(|errno| self.failed(TREE, Refusal::Host(errno)))?;
                if pages.is_empty() {
                    (allocated != 0).then(|| "is empty".to_owned())
                } else if let Err(wrong) = pages.check(usize::MAX) {
                    Some(format!("cannot be read: {wrong}"))
                } else if !pages.has_key(key) {
                    Some("has names in other places than the header's key says".to_owned())
                } else if self.length(TREE) < allocated {
                    Some(format!("is cut off: it should have {allocated} bytes"))
                } else {
                    None
                }
            }
        };
        let Some(wrong) = wrong else { return Ok(()) };
        let what = format!("its file `{TREE}` {wrong}; what can be read of it goes to a new one");
        let mut bytes = None;
        self.find(what, |this| {
            bytes = Some(new_tree::make(this.directory, this.within, key, is_new_key)?);
            Ok(())
        });
        if let Some(bytes) = bytes {
            header.set_word(offset_of!(Header, names_bytes), bytes / PAGE_BYTES * PAGE_BYTES);
            header.reset_journals();
        }
        Ok(())
    }
}

//! Writes the jumps into libc's text, in the way that harms nobody who is running it.
//!
//! * This thread is the only one, as nearly always when a preload library starts: the text is made writable *and*
//!   executable for some 0.1 ms, and written in place. Writable alone would be a trap: a signal handler that runs
//!   libc's code meanwhile would crash, and where a policy forbids the way back to executable, so would everything.
//!   This way one step may be refused, before anything has changed.
//! * Another library's constructor started threads (OpenBLAS does). Each page is copied, rewritten and moved over the
//!   old one, which the kernel does at once for all threads. One that sleeps in a `syscall` that stays in place comes
//!   back right after it. One that was stopped between two displaced instructions would come back into the middle of
//!   a jump: so windows of several instructions are rewritten only if all threads are asleep in the kernel, and a
//!   displaced `syscall`, in which one may be asleep, not at all.
#![allow(unsafe_code)]

use super::objects::Object;
use super::sites::{JUMP_BYTES, Site};
use super::trampoline;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::mm::{MapFlags, MprotectFlags, MremapFlags, ProtFlags, mmap_anonymous, mprotect, mremap_fixed};
use std::time::{Duration, Instant};

/// Who else runs in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Nobody.
    Alone,
    /// Threads, all of them asleep in the kernel.
    Asleep,
    /// Threads that run.
    Running,
}

const PAGE_BYTES: usize = 4096;

/// A pool's threads spin for work before they go to sleep: OpenBLAS's for some 25 ms.
const SLEEP_AWAITED: Duration = Duration::from_millis(50);

impl Company {
    /// Looks around. Where threads run, waits a little for them to go to sleep.
    pub fn now() -> Self {
        if house::ground::threads::is_single() {
            return Self::Alone;
        }
        let begin = Instant::now();
        loop {
            match Self::look() {
                Self::Running if begin.elapsed() < SLEEP_AWAITED => std::thread::sleep(Duration::from_millis(1)),
                company => return company,
            }
        }
    }

    fn look() -> Self {
        let own = rustix::thread::gettid().as_raw_pid().to_string();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let threads = openat(CWD, "/proc/self/task", flags, Mode::empty());
        let Ok(threads) = threads.and_then(Dir::new) else { return Self::Running };
        let mut company = Self::Alone;
        for thread in threads.flatten() {
            let name = thread.file_name().to_bytes();
            if name == own.as_bytes() || name.starts_with(b".") {
                continue;
            }
            match state(name) {
                Some(b'S' | b'D') if company != Self::Running => company = Self::Asleep,
                // Gone meanwhile.
                None => {}
                _ => company = Self::Running,
            }
        }
        company
    }

    /// Whether a site may be rewritten in this company.
    pub fn allows(self, site: &Site) -> bool {
        match self {
            Self::Alone => true,
            Self::Asleep => site.stays_in_place(),
            Self::Running => site.stays_in_place() && site.is_one_instruction,
        }
    }
}

/// The letter that `/proc` has for a thread's state.
fn state(thread: &[u8]) -> Option<u8> {
    let path = [b"/proc/self/task/", thread, b"/stat"].concat();
    let file = openat(CWD, path.as_slice(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut status = [0; 128];
    let read = rustix::io::read(&file, &mut status).ok()?;
    // `pid (name) S ...`; the name may hold anything.
    let name_end = status[..read].iter().rposition(|&byte| byte == b')')?;
    status[..read].get(name_end + 2).copied()
}

/// Writes jumps to their trampolines over the starts of one object's `sites`.
///
/// # Errors
/// The kernel does not let this text be changed. Nothing was changed, or, with others around, not all.
pub fn write(object: &Object, company: Company, sites: &[(Site, usize)]) -> Result<(), &'static str> {
    let jumps = sites.iter().map(|(site, trampoline)| {
        let address = object.text.start + site.start as usize;
        (address, trampoline::jump_bytes(address, *trampoline))
    });
    match company {
        Company::Alone => write_in_place(object, jumps),
        Company::Asleep | Company::Running => {
            let jumps: Vec<_> = jumps.collect();
            // Jumps whose pages touch go together, for one may lie across the border.
            let pages = |address: usize| (address / PAGE_BYTES, (address + JUMP_BYTES - 1) / PAGE_BYTES);
            let groups = jumps.chunk_by(|before, after| pages(before.0).1 >= pages(after.0).0);
            groups.into_iter().try_for_each(|group| {
                let (first, last) = (pages(group[0].0).0, pages(group[group.len() - 1].0).1);
                replace_pages(first * PAGE_BYTES, (last + 1 - first) * PAGE_BYTES, group)
            })
        }
    }
}

type Jump = (usize, [u8; JUMP_BYTES]);

fn write_in_place(object: &Object, jumps: impl Iterator<Item = Jump>) -> Result<(), &'static str> {
    let start = object.text.start & !(PAGE_BYTES - 1);
    let bytes = object.text.end.next_multiple_of(PAGE_BYTES) - start;
    // SAFETY: the range is the object's executable segment, which stays executable throughout; no other thread runs,
    // and each jump goes over the start of a sequence that was verified to be displaceable.
    unsafe {
        let all = MprotectFlags::READ | MprotectFlags::WRITE | MprotectFlags::EXEC;
        mprotect(start as *mut _, bytes, all).map_err(|_| "the kernel does not allow rewriting libc's text")?;
        for (address, [opcode, distance @ ..]) in jumps {
            // By hand: a call of memcpy would run the text that is being rewritten.
            (address as *mut u8).write_volatile(opcode);
            ((address + 1) as *mut u32).write_unaligned(u32::from_le_bytes(distance));
        }
        // Taking a right away can't be refused.
        let _ = mprotect(start as *mut _, bytes, MprotectFlags::READ | MprotectFlags::EXEC);
    }
    Ok(())
}

fn replace_pages(start: usize, bytes: usize, jumps: &[Jump]) -> Result<(), &'static str> {
    let refused = |_| "the kernel does not allow replacing libc's text";
    // SAFETY: a new mapping gets the text's content and the jumps, and then takes the place of the text, whole pages of
    // which are mapped as it is.
    unsafe {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let copy = mmap_anonymous(std::ptr::null_mut(), bytes, protection, MapFlags::PRIVATE).map_err(refused)?;
        std::ptr::copy_nonoverlapping(start as *const u8, copy.cast::<u8>(), bytes);
        for (address, jump) in jumps {
            copy.cast::<u8>().add(address - start).cast::<[u8; JUMP_BYTES]>().write(*jump);
        }
        let moved = mprotect(copy, bytes, MprotectFlags::READ | MprotectFlags::EXEC)
            .and_then(|()| mremap_fixed(copy, bytes, bytes, MremapFlags::MAYMOVE, start as *mut _));
        if moved.is_err() {
            let _ = rustix::mm::munmap(copy, bytes);
        }
        moved.map(drop).map_err(refused)
    }
}

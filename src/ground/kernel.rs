//! Our own kernel calls: raw, so that they never pass our doors.
//!
//! Most of them are rustix's; here are those that rustix has not (byte-range locks of an open file description), and
//! those whose memory is the application's and so must not become a Rust slice.
#![allow(unsafe_code)]

use super::buffer::Segment;
use super::{Errno, Result, clock, descriptor_links};
use rustix::fs::FallocateFlags;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::AtomicU32;

pub use super::internal::{Low, Parked, close_number, close_raw as close, keep, park_copy};

/// A number as a borrowed descriptor.
pub fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    // SAFETY: -1 is the one value that a borrowed descriptor may not have; of any other that is not open the kernel says
    // EBADF, and no memory is at stake.
    unsafe { BorrowedFd::borrow_raw(if number == -1 { RawFd::MAX } else { number }) }
}

/// A system call as it is.
///
/// # Safety
/// As the call's own contract has it.
#[inline]
pub(super) unsafe fn call(number: i64, arguments: [usize; 4]) -> Result<usize> {
    let result: isize;
    // SAFETY: the caller's word; rcx and r11 are what `syscall` clobbers.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if result < 0 { Err(Errno::from_raw_os_error(-result as i32)) } else { Ok(result as usize) }
}

/// `F_DUPFD`, which rustix leaves out on purpose: a descriptor that an exec keeps is what the application asked for.
///
/// # Errors
/// As fcntl(2).
pub fn duplicate_kept(descriptor: BorrowedFd<'_>, minimum: RawFd) -> Result<RawFd> {
    let arguments = [descriptor.as_raw_fd() as usize, libc::F_DUPFD as usize, minimum as usize, 0];
    // SAFETY: fcntl with integers only.
    unsafe { call(libc::SYS_fcntl, arguments) }.map(|number| number as RawFd)
}

/// dup3(2): `number` is a duplicate of `descriptor` from now on, whatever it was.
///
/// # Errors
/// As dup3(2).
pub fn duplicate_over(descriptor: BorrowedFd<'_>, number: RawFd, flags: rustix::io::DupFlags) -> Result<()> {
    let arguments = [descriptor.as_raw_fd() as usize, number as usize, flags.bits() as usize, 0];
    // SAFETY: dup3 with integers only.
    unsafe { call(libc::SYS_dup3, arguments) }.map(drop)
}

/// getcwd(2); the length without the NUL.
///
/// # Errors
/// As getcwd(2).
pub fn working_directory(room: &mut [u8]) -> Result<usize> {
    // SAFETY: getcwd writes at most `room.len()` bytes.
    let length = unsafe { call(libc::SYS_getcwd, [room.as_mut_ptr() as usize, room.len(), 0, 0]) }?;
    Ok(length.saturating_sub(1))
}

/// Which lock on a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeLock {
    /// Shared.
    Read,
    /// Exclusive.
    Write,
    /// None any more.
    None,
}

fn range(lock: RangeLock, start: u64, length: u64) -> libc::flock {
    let kind = match lock {
        RangeLock::Read => libc::F_RDLCK,
        RangeLock::Write => libc::F_WRLCK,
        RangeLock::None => libc::F_UNLCK,
    };
    libc::flock {
        l_type: kind as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: start.cast_signed(),
        l_len: length.cast_signed(),
        l_pid: 0,
    }
}

/// Sets the lock that this open file description has on a range (`F_OFD_SETLK`). False if another's is in the way.
///
/// # Errors
/// As fcntl(2).
pub fn lock_range(descriptor: BorrowedFd<'_>, lock: RangeLock, start: u64, length: u64) -> Result<bool> {
    let mut range = range(lock, start, length);
    let arguments = [descriptor.as_raw_fd() as usize, libc::F_OFD_SETLK as usize, (&raw mut range) as usize, 0];
    // SAFETY: fcntl with a live `struct flock`.
    match unsafe { call(libc::SYS_fcntl, arguments) } {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Sets the process's shared lock on a range (`F_SETLK`), as LMDB does on its lock file.
///
/// # Errors
/// As fcntl(2).
pub fn lock_process_range(descriptor: BorrowedFd<'_>, start: u64, length: u64) -> Result<()> {
    let mut range = range(RangeLock::Read, start, length);
    let arguments = [descriptor.as_raw_fd() as usize, libc::F_SETLK as usize, (&raw mut range) as usize, 0];
    // SAFETY: fcntl with a live `struct flock`.
    unsafe { call(libc::SYS_fcntl, arguments) }.map(drop)
}

/// Whether another open file description has any lock on a range (`F_OFD_GETLK`).
///
/// # Errors
/// As fcntl(2).
pub fn is_range_locked(descriptor: BorrowedFd<'_>, start: u64, length: u64) -> Result<bool> {
    let mut range = range(RangeLock::Write, start, length);
    let arguments = [descriptor.as_raw_fd() as usize, libc::F_OFD_GETLK as usize, (&raw mut range) as usize, 0];
    // SAFETY: fcntl with a live `struct flock`.
    unsafe { call(libc::SYS_fcntl, arguments) }?;
    Ok(range.l_type != libc::F_UNLCK as i16)
}

/// pread(2) into the application's memory.
///
/// # Errors
/// As pread(2).
pub fn read_at(descriptor: RawFd, segment: &Segment, offset: u64) -> Result<usize> {
    let arguments = [descriptor as usize, segment.as_ptr() as usize, segment.len(), offset as usize];
    // SAFETY: the kernel checks the segment and answers EFAULT.
    unsafe { call(libc::SYS_pread64, arguments) }
}

/// pwrite(2) from the application's memory.
///
/// # Errors
/// As pwrite(2).
pub fn write_at(descriptor: RawFd, segment: &Segment, offset: u64) -> Result<usize> {
    let arguments = [descriptor as usize, segment.as_ptr() as usize, segment.len(), offset as usize];
    // SAFETY: the kernel checks the segment and answers EFAULT.
    unsafe { call(libc::SYS_pwrite64, arguments) }
}

/// Gives a range its space on the disk, the file growing to its end.
///
/// # Errors
/// `ENOSPC` and its like.
pub fn allocate(file: BorrowedFd<'_>, offset: u64, length: u64) -> Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, length) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        done => return done,
    }
    // A file system without fallocate: what lies beyond the end gets its space by being written.
    static ZEROS: [u8; 4096] = [0; 4096];
    let end = offset + length;
    let mut at = rustix::fs::fstat(file)?.st_size.cast_unsigned().max(offset);
    while at < end {
        let count = (end - at).min(ZEROS.len() as u64) as usize;
        at += write_at(file.as_raw_fd(), &Segment::of_slice(&ZEROS[..count]), at)? as u64;
    }
    Ok(())
}

/// Begins to write a range back, all from `offset` on for a length of 0, and does not wait. An error shows when somebody waits.
pub fn begin_write_back(file: BorrowedFd<'_>, offset: u64, length: u64) {
    // SAFETY: no memory is handed in.
    let begin = |arguments| unsafe { call(libc::SYS_sync_file_range, arguments) };
    let _ = begin([file.as_raw_fd() as usize, offset as usize, length as usize, libc::SYNC_FILE_RANGE_WRITE as usize]);
}

/// Writes a range back and waits until the device has it. That is not yet stable storage: the device may have it in memory.
///
/// # Errors
/// As sync_file_range(2).
pub fn write_back(file: BorrowedFd<'_>, offset: u64, length: u64) -> Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let arguments = [file.as_raw_fd() as usize, offset as usize, length as usize, flags as usize];
    // SAFETY: no memory is handed in.
    unsafe { call(libc::SYS_sync_file_range, arguments) }.map(drop)
}

/// Where a piece of a file lies on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its offset in the file.
    pub offset: u64,
    /// Its place on the device, in bytes.
    pub place: u64,
    /// Its bytes.
    pub length: u64,
    /// `FIEMAP_EXTENT_*`.
    pub flags: u32,
}

/// The extents of a range, in order; those that there is room for.
///
/// # Errors
/// As the FIEMAP ioctl: `EOPNOTSUPP`.
pub fn extents(file: BorrowedFd<'_>, offset: u64, length: u64) -> Result<Vec<Extent>> {
    const FIEMAP: usize = 0xc020_660b;
    const EXTENTS_COUNT: usize = 16;
    const HEAD_WORDS: usize = 4;
    const EXTENT_WORDS: usize = 7;
    // `struct fiemap`: start, length, flags and the count of those found, the count of those that there is room for.
    let mut words = [0u64; HEAD_WORDS + EXTENTS_COUNT * EXTENT_WORDS];
    words[..2].copy_from_slice(&[offset, length]);
    words[3] = EXTENTS_COUNT as u64;
    // SAFETY: the kernel writes as many extents as there is room for.
    unsafe { call(libc::SYS_ioctl, [file.as_raw_fd() as usize, FIEMAP, words.as_mut_ptr() as usize, 0]) }?;
    let found = (words[2] >> 32) as usize;
    let extents = words[HEAD_WORDS..].chunks_exact(EXTENT_WORDS).take(found);
    Ok(extents.map(|of| Extent { offset: of[0], place: of[1], length: of[2], flags: of[5] as u32 }).collect())
}

/// Whether a file lies on a device of its own beside its file system's, as those of XFS can.
pub fn is_realtime(file: BorrowedFd<'_>) -> bool {
    const GET_ATTRIBUTES: usize = 0x801c_581f;
    const REALTIME: u32 = 1;
    // `struct fsxattr`: the flags come first.
    let mut words = [0u32; 7];
    // SAFETY: the kernel writes 28 bytes.
    let told =
        unsafe { call(libc::SYS_ioctl, [file.as_raw_fd() as usize, GET_ATTRIBUTES, words.as_mut_ptr() as usize, 0]) };
    told.is_err() || words[0] & REALTIME != 0
}

/// read(2) into memory.
///
/// # Errors
/// As read(2).
pub fn read(descriptor: RawFd, segment: &Segment) -> Result<usize> {
    // SAFETY: the kernel checks the segment and answers EFAULT.
    unsafe { call(libc::SYS_read, [descriptor as usize, segment.as_ptr() as usize, segment.len(), 0]) }
}

/// write(2) from memory.
///
/// # Errors
/// As write(2).
pub fn write(descriptor: RawFd, segment: &Segment) -> Result<usize> {
    // SAFETY: the kernel checks the segment and answers EFAULT.
    unsafe { call(libc::SYS_write, [descriptor as usize, segment.as_ptr() as usize, segment.len(), 0]) }
}

/// madvise(2) on memory that is mapped from a file of ours and that no Rust reference covers.
///
/// # Errors
/// As madvise(2).
///
/// # Safety
/// `start` and `length` lie in such a mapping, and the advice does not throw bytes away that somebody counts on.
pub unsafe fn advise(start: *mut u8, length: usize, advice: i32) -> Result<()> {
    // SAFETY: the caller's word.
    unsafe { call(libc::SYS_madvise, [start as usize, length, advice as usize, 0]) }.map(drop)
}

/// Waits until a word in shared memory is no longer `value`, or somebody wakes us, or the time is over.
pub fn wait_on(word: &AtomicU32, value: u32, milliseconds: u32) {
    // The kernel refuses a second's worth of nanoseconds, and whoever waited would spin.
    let (seconds, rest) = (i64::from(milliseconds / 1000), i64::from(milliseconds % 1000));
    let timeout = rustix::time::Timespec { tv_sec: seconds, tv_nsec: rest * 1_000_000 };
    let _ = rustix::thread::futex::wait(word, rustix::thread::futex::Flags::empty(), value, Some(&timeout));
}

/// Wakes one waiter of [`wait_on`].
pub fn wake_one(word: &AtomicU32) {
    let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::empty(), 1);
}

/// Wakes everybody in [`wait_on`].
pub fn wake_all(word: &AtomicU32) {
    let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::empty(), i32::MAX.cast_unsigned());
}

/// The descriptors that this process has open now.
pub fn each_open_descriptor(mut visit: impl FnMut(RawFd)) {
    use rustix::fs::{CWD, Mode, OFlags, RawDir};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let Ok(directory) = Low::open(CWD, descriptor_links::directory(), flags, Mode::empty()) else { return };
    let own = directory.number();
    let mut room = [std::mem::MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(directory.as_fd(), &mut room);
    while let Some(Ok(entry)) = entries.next() {
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|number| *number != own) {
            visit(number);
        }
    }
}

/// Sleeps, for less than a second.
pub fn sleep(microseconds: u32) {
    let time = rustix::time::Timespec { tv_sec: 0, tv_nsec: i64::from(microseconds) * 1000 };
    let _ = rustix::thread::nanosleep(&time);
}

/// The wall clock in nanoseconds since the epoch, by the vDSO: some 20 ns. The coarse clock would be 5 ns, but two
/// changes within a tick (4 ms) would bear the same time, and what caches by it (Python's imports, make) go wrong;
/// the kernel's own file systems tell such changes apart since 6.13.
#[inline]
pub fn now() -> i64 {
    clock::nanoseconds(clock::Clock::Realtime)
}

/// Nanoseconds of a clock that nobody sets, the same for all processes of the node.
pub fn monotonic() -> i64 {
    clock::nanoseconds(clock::Clock::Monotonic)
}

/// The processor time that a thread of this process has had, in nanoseconds; `None` if it is gone.
pub fn processor_time_of(thread: u32) -> Option<i64> {
    /// The kernel's number for the clock of one thread, as it schedules it.
    const CLOCK_OF_THREAD: i32 = 4 | 2;
    let clock = !thread.cast_signed() << 3 | CLOCK_OF_THREAD;
    let mut time = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time only.
    unsafe { call(libc::SYS_clock_gettime, [clock as usize, (&raw mut time) as usize, 0, 0]) }.ok()?;
    Some(time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

/// Whether this process has one thread.
pub fn is_single_threaded() -> bool {
    rustix::fs::stat("/proc/self/task").is_ok_and(|stat| stat.st_nlink == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_has_processor_time() {
        let own = rustix::thread::gettid().as_raw_pid().cast_unsigned();
        let before = processor_time_of(own).unwrap();
        while processor_time_of(own).unwrap() < before + 5_000_000 {}
        let other = std::thread::spawn(|| rustix::thread::gettid().as_raw_pid().cast_unsigned()).join().unwrap();
        let begin = monotonic();
        while processor_time_of(other).is_some() {
            assert!(monotonic() - begin < 10_000_000_000);
        }
    }

    #[test]
    fn a_wait_of_more_than_a_second_waits() {
        let before = monotonic();
        wait_on(&AtomicU32::new(0), 0, 1_100);
        assert!(monotonic() - before >= 1_100_000_000);
    }

    #[test]
    fn range_locks_belong_to_the_open_file_description() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || rustix::fs::open(file.path(), rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
        let (one, other) = (open(), open());
        assert!(lock_range(one.as_fd(), RangeLock::Write, 7, 1).unwrap());
        assert!(lock_range(one.as_fd(), RangeLock::Read, 1 << 40, 1).unwrap());
        assert!(!is_range_locked(one.as_fd(), 7, 1).unwrap());
        assert!(is_range_locked(other.as_fd(), 7, 1).unwrap());
        assert!(is_range_locked(other.as_fd(), 1 << 40, 1).unwrap());
        assert!(!is_range_locked(other.as_fd(), 8, 1).unwrap());
        assert!(!lock_range(other.as_fd(), RangeLock::Read, 7, 1).unwrap());
        drop(one);
        assert!(lock_range(other.as_fd(), RangeLock::Read, 7, 1).unwrap());
    }

    #[test]
    fn a_wait_of_more_than_a_second_is_no_short_one() {
        let word = AtomicU32::new(0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let start = std::time::Instant::now();
                wait_on(&word, 0, 3_600_000);
                start.elapsed()
            });
            std::thread::sleep(std::time::Duration::from_millis(30));
            while !waiting.is_finished() {
                wake_one(&word);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert!(waiting.join().unwrap() >= std::time::Duration::from_millis(20));
        });
    }
}

//! `poll`, `select` and `epoll_ctl`: a file is always ready, and epoll refuses files.

use super::arguments::{descriptor, put, take_of};
use super::{Call, Verdict};
use crate::serve::kernel;
use house::ground::entries::{NOT_OURS, PARKED, entry};
use house::ground::{Errno, Result};
use std::sync::atomic::Ordering;

/// Descriptors that one call may wait for; Linux's own limit is `RLIMIT_NOFILE`.
const DESCRIPTORS_COUNT_MAX: usize = house::ground::entries::DESCRIPTORS_COUNT_MAX;

fn is_ours(number: i32) -> bool {
    let word = entry(number).map_or(NOT_OURS, |entry| entry.load(Ordering::Acquire));
    word != NOT_OURS && word != PARKED
}

/// `poll(fds, count, timeout)`, `ppoll(fds, count, timespec, mask, size)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn poll(call: &Call) -> Verdict {
    let [array, count, ..] = call.arguments;
    let count = count as usize;
    if count > DESCRIPTORS_COUNT_MAX {
        return Verdict::Pass;
    }
    // SAFETY: a `pollfd` is any bytes.
    let each = |index: usize| unsafe { take_of::<libc::pollfd>(array, index) };
    // What can't be read is the kernel's to refuse.
    let concerns_us = (0..count).map(each).try_fold(false, |any, one| one.map(|one| any || is_ours(one.fd)));
    if concerns_us != Ok(true) {
        return Verdict::Pass;
    }
    const READY: i16 = libc::POLLIN | libc::POLLRDNORM | libc::POLLOUT | libc::POLLWRNORM;
    let Ok(mut polled) = (0..count).map(each).collect::<Result<Vec<libc::pollfd>>>() else { return Verdict::Pass };
    let given = polled.clone();
    let mut ready_count = 0;
    for entry in &mut polled {
        if is_ours(entry.fd) {
            entry.revents = entry.events & READY;
            ready_count += i64::from(entry.revents != 0);
            // The kernel passes over negative numbers.
            entry.fd = -1 - entry.fd;
        }
    }
    let answers: Vec<i16> = polled.iter().map(|entry| entry.revents).collect();
    let mut moved = *call;
    moved.arguments[0] = polled.as_mut_ptr() as u64;
    // No time where a file of ours is ready; the kernel may write the time left to a `timespec`.
    let mut no_time = [0i64; 2];
    if ready_count > 0 {
        let is_poll = call.number as i64 == libc::SYS_poll;
        moved.arguments[2] = if is_poll { 0 } else { no_time.as_mut_ptr() as u64 };
    }
    // SAFETY: the array is ours, the other arguments the application's.
    let result = unsafe { kernel(&moved) };
    if result < 0 {
        return Verdict::Done(result);
    }
    for (index, entry) in polled.iter().enumerate() {
        let revents = if entry.fd < 0 && given[index].fd >= 0 { answers[index] } else { entry.revents };
        let place = index * size_of::<libc::pollfd>() + std::mem::offset_of!(libc::pollfd, revents);
        // SAFETY: the application's word for the array.
        if let Err(error) = unsafe { put(array + place as u64, revents) } {
            return Verdict::of::<i64>(Err(error));
        }
    }
    Verdict::Done(result + ready_count)
}

/// One set of a `select`: the application's bits, and those of ours taken out.
struct Set {
    place: u64,
    words: Vec<u64>,
    ours: Vec<u64>,
}

impl Set {
    /// # Safety
    /// `place` is null or the application's word for a set of `count` bits.
    unsafe fn take(place: u64, count: usize) -> Result<Self> {
        let mut set = Self { place, words: Vec::new(), ours: Vec::new() };
        if place == 0 {
            return Ok(set);
        }
        for index in 0..count.div_ceil(64) {
            // SAFETY: any bytes are a word of a set.
            let word = unsafe { take_of::<u64>(place, index) }?;
            let ours = (0..64)
                .filter(|bit| word >> bit & 1 != 0 && index * 64 + bit < count && is_ours((index * 64 + bit) as i32))
                .fold(0, |ours, bit| ours | 1 << bit);
            set.words.push(word & !ours);
            set.ours.push(ours);
        }
        Ok(set)
    }

    fn ready_count(&self) -> i64 {
        self.ours.iter().map(|word| i64::from(word.count_ones())).sum()
    }

    /// # Safety
    /// As `take`.
    unsafe fn give_back(&self, is_ready: bool) -> Result<()> {
        for (index, (word, ours)) in self.words.iter().zip(&self.ours).enumerate() {
            let answer = if is_ready { word | ours } else { *word };
            // SAFETY: by the caller's word.
            unsafe { put(self.place + index as u64 * 8, answer) }?;
        }
        Ok(())
    }

    fn argument(&mut self) -> u64 {
        if self.place == 0 { 0 } else { self.words.as_mut_ptr() as u64 }
    }
}

/// `select(count, read, write, except, timeval)`, `pselect6(count, read, write, except, timespec, mask)`
pub unsafe fn select(call: &Call) -> Verdict {
    let [count, read, write, except, ..] = call.arguments;
    let Ok(count) = usize::try_from(count as i32) else { return Verdict::Pass };
    if count > DESCRIPTORS_COUNT_MAX {
        return Verdict::Pass;
    }
    // SAFETY: the application's word for the sets.
    let sets = unsafe { (Set::take(read, count), Set::take(write, count), Set::take(except, count)) };
    let (Ok(mut read), Ok(mut write), Ok(mut except)) = sets else { return Verdict::Pass };
    let ready_count = read.ready_count() + write.ready_count();
    if ready_count + except.ready_count() == 0 {
        return Verdict::Pass;
    }
    let mut moved = *call;
    moved.arguments[1] = read.argument();
    moved.arguments[2] = write.argument();
    moved.arguments[3] = except.argument();
    // No time where a file of ours is ready; `timeval` and `timespec` have one shape, and the kernel may write to it.
    let mut no_time = [0i64; 2];
    if ready_count > 0 {
        moved.arguments[4] = no_time.as_mut_ptr() as u64;
    }
    // SAFETY: the sets are ours, the rest the application's.
    unsafe { answer(kernel(&moved), ready_count, &read, &write, &except) }
}

unsafe fn answer(result: i64, ready_count: i64, read: &Set, write: &Set, except: &Set) -> Verdict {
    if result < 0 {
        return Verdict::Done(result);
    }
    Verdict::of((|| {
        // SAFETY: by the caller's word.
        unsafe {
            read.give_back(true)?;
            write.give_back(true)?;
            except.give_back(false)?;
        }
        Ok(result + ready_count)
    })())
}

/// `epoll_ctl(epoll, operation, fd, event)`: `EPERM` for a file, as the kernel has it.
pub unsafe fn epoll_control(call: &Call) -> Verdict {
    let [_, operation, fd, ..] = call.arguments;
    if !is_ours(descriptor(fd)) {
        return Verdict::Pass;
    }
    let is_known = [libc::EPOLL_CTL_ADD, libc::EPOLL_CTL_MOD, libc::EPOLL_CTL_DEL].contains(&(operation as i32));
    Verdict::of::<i64>(Err(if is_known { Errno::PERM } else { Errno::INVAL }))
}

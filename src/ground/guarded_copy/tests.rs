//! Memory that is there up to a page's end, and copies of every kind that run into what follows.

use super::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Handlers belong to the process, so tests of them go one after another. Each begins without those of Rust's own
/// runtime.
pub fn turn() -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        fault_handler::change(signal, Some(&Default::default()), false).unwrap();
    }
    turn
}

/// Two pages, of which the second is not there.
struct Cliff(*mut u8);

impl Cliff {
    fn new() -> Self {
        // SAFETY: a fresh mapping.
        unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let start = libc::mmap(std::ptr::null_mut(), 2 * PAGE_BYTES, access, kind, -1, 0);
            assert_ne!(start, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(start.byte_add(PAGE_BYTES), PAGE_BYTES, libc::PROT_NONE), 0);
            Self(start.cast())
        }
    }

    /// `bytes` before the cliff.
    fn before(&self, bytes: usize) -> *mut u8 {
        self.0.wrapping_add(PAGE_BYTES - bytes)
    }
}

impl Drop for Cliff {
    fn drop(&mut self) {
        // SAFETY: `new`'s mapping.
        unsafe { libc::munmap(self.0.cast(), 2 * PAGE_BYTES) };
    }
}

/// Around every size that the copy treats in another way.
const LENGTHS: [usize; 26] =
    [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 127, 128, 129, 255, 256, 257, 513, 2111, 2112, 3000];

#[test]
fn bytes_are_copied_by_every_way() {
    let abilities = |abilities| ABILITIES.store(abilities, Ordering::Relaxed);
    let _turn = turn();
    for ways in 0..=(HAS_WIDE | HAS_FAST_STRINGS | HAS_WIDEST) {
        start();
        abilities(ABILITIES.load(Ordering::Relaxed) & ways);
        for length in LENGTHS.into_iter().chain([4096, 8191, 8192, 8193]) {
            let source: Vec<u8> = (0..length).map(|at| (at * 7 + 1) as u8).collect();
            let mut target = vec![0xee; length + 2];
            // SAFETY: both are as long.
            unsafe { copy(target.as_mut_ptr().add(1), source.as_ptr(), length) }.unwrap();
            assert_eq!(target[1..=length], source, "{length}");
            assert_eq!((target[0], target[length + 1]), (0xee, 0xee), "{length}");
        }
    }
    start();
}

#[test]
fn a_copy_ends_where_memory_ends_on_either_side() {
    let _turn = turn();
    fault_handler::start();
    let cliff = Cliff::new();
    for length in LENGTHS {
        for there in [0, 1, length / 2, length.saturating_sub(1)] {
            if there >= length {
                continue;
            }
            let mut own = vec![1u8; length];
            let bad = cliff.before(there);
            let fault = Err(Fault { copied: there, address: cliff.before(0) as usize });
            // SAFETY: what is there of both may be used.
            unsafe {
                assert_eq!(copy(bad, own.as_ptr(), length), fault, "{length} {there}");
                assert_eq!(std::slice::from_raw_parts(bad, there), &own[..there]);
                assert_eq!(copy(own.as_mut_ptr(), bad, length), fault, "{length} {there}");
                assert_eq!(zero(bad, length), fault);
                assert_eq!(copy_surely(own.as_mut_ptr(), bad, length), Err(Errno::FAULT));
            }
            assert_eq!((readable(bad, length), writable(bad, length)), (there, there));
        }
        assert_eq!(readable(cliff.before(PAGE_BYTES), length), length);
    }
}

#[test]
fn a_string_is_as_long_as_it_is_wherever_it_lies() {
    let _turn = turn();
    fault_handler::start();
    let cliff = Cliff::new();
    for length in [0, 1, 14, 15, 16, 17, 100, 300] {
        for behind in [0, 1, 15, 16, 17] {
            let start = cliff.before(length + 1 + behind);
            // SAFETY: before the cliff.
            unsafe {
                libc::memset(cliff.0.cast(), 7, PAGE_BYTES);
                start.add(length).write(0);
            }
            for ask in [string_length, string_length_by_kernel] {
                assert_eq!(ask(start, 4096), Ok(length));
                assert_eq!(ask(start, length), Ok(length));
                assert_eq!(ask(start, length / 2), Ok(length / 2));
            }
        }
        // SAFETY: before the cliff.
        unsafe { libc::memset(cliff.0.cast(), 7, PAGE_BYTES) };
        for ask in [string_length, string_length_by_kernel] {
            assert_eq!(ask(cliff.before(length), 4096), Err(Errno::FAULT));
            if length > 0 {
                assert_eq!(ask(cliff.before(length), length), Ok(length));
            }
        }
    }
}

#[test]
fn a_file_that_was_cut_is_memory_that_is_not_there() {
    let _turn = turn();
    fault_handler::start();
    let file = tempfile::tempfile().unwrap();
    file.set_len(2 * PAGE_BYTES as u64).unwrap();
    // SAFETY: a fresh mapping of a file of ours, which is unmapped below.
    unsafe {
        let (access, descriptor) = (libc::PROT_READ | libc::PROT_WRITE, std::os::fd::AsRawFd::as_raw_fd(&file));
        let window = libc::mmap(std::ptr::null_mut(), 2 * PAGE_BYTES, access, libc::MAP_SHARED, descriptor, 0);
        assert_ne!(window, libc::MAP_FAILED);
        file.set_len(PAGE_BYTES as u64).unwrap();
        let mut own = [0u8; 100];
        let at = window.cast::<u8>().add(PAGE_BYTES - 60);
        let fault = Fault { copied: 60, address: at.add(60) as usize };
        assert_eq!(copy(own.as_mut_ptr(), at, 100), Err(fault));
        assert_eq!(copy(at, own.as_ptr(), 100), Err(fault));
        assert!(fault.is_in(at, 100) && !fault.is_in(own.as_ptr(), 100));
        libc::munmap(window, 2 * PAGE_BYTES);
    }
}

#[test]
fn memory_that_goes_away_meanwhile_ends_the_copy() {
    let _turn = turn();
    fault_handler::start();
    let cliff = Cliff::new();
    let (page, is_over) = (cliff.0 as usize, std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..2_000 {
                let access = if round % 2 == 0 { libc::PROT_NONE } else { libc::PROT_READ | libc::PROT_WRITE };
                // SAFETY: the cliff's first page, which only guarded copies touch meanwhile.
                unsafe { libc::mprotect(page as *mut libc::c_void, PAGE_BYTES, access) };
            }
            is_over.store(true, Ordering::Release);
        });
        let mut own = [0u8; PAGE_BYTES];
        while !is_over.load(Ordering::Acquire) {
            // SAFETY: what is there of both may be used.
            let _ = unsafe { copy(own.as_mut_ptr(), page as *const u8, PAGE_BYTES) };
            let _ = string_length(page as *const u8, PAGE_BYTES);
            let _ = readable(page as *const u8, PAGE_BYTES);
        }
    });
}

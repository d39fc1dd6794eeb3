//! The auxiliary vector: what the kernel told the dynamic linker when the program started.
#![allow(unsafe_code)]

use rustix::fs::{CWD, Mode, OFlags, openat};

/// The words of it that lead to the dynamic linker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Auxiliary {
    /// Where the kernel mapped ld.so; 0 where ld.so was started as a program.
    pub linker_base: usize,
    /// The executable's program headers, or ld.so's own where it was started as a program.
    pub headers: usize,
    /// How many there are.
    pub headers_count: usize,
}

const AT_PHDR: usize = 3;
const AT_PHNUM: usize = 5;
const AT_BASE: usize = 7;

/// `PR_GET_AUXV` (Linux 6.4): the vector without `/proc`.
const PR_GET_AUXV: i64 = 0x4155_5856;

/// Some 20 pairs of words today.
const VECTOR_BYTES_MAX: usize = 1024;

/// Reads the vector. `/proc` comes first, because valgrind shows a program of its own making there, and knows nothing
/// of the call.
pub fn read() -> Option<Auxiliary> {
    let mut vector = [0; VECTOR_BYTES_MAX];
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(CWD, "/proc/self/auxv", flags, Mode::empty());
    let from_file = file.and_then(|file| rustix::io::read(&file, &mut vector[..]));
    let length = from_file.ok().or_else(|| by_call(&mut vector))?;
    Some(parse(&vector[..length]))
}

fn by_call(vector: &mut [u8; VECTOR_BYTES_MAX]) -> Option<usize> {
    let arguments = [PR_GET_AUXV as u64, vector.as_mut_ptr() as u64, vector.len() as u64, 0, 0, 0];
    let call = crate::dispatch::Call { number: libc::SYS_prctl as u64, arguments };
    // SAFETY: the kernel writes at most that many bytes to the vector.
    let length = unsafe { crate::serve::kernel(&call) };
    usize::try_from(length).ok().filter(|length| *length <= vector.len())
}

fn parse(vector: &[u8]) -> Auxiliary {
    let mut words = vector.chunks_exact(8).map(|word| usize::from_le_bytes(word.try_into().unwrap_or_default()));
    let mut auxiliary = Auxiliary::default();
    while let (Some(kind @ 1..), Some(value)) = (words.next(), words.next()) {
        match kind {
            AT_PHDR => auxiliary.headers = value,
            AT_PHNUM => auxiliary.headers_count = value,
            AT_BASE => auxiliary.linker_base = value,
            _ => {}
        }
    }
    auxiliary
}

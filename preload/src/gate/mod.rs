//! The system-call gate: the door that misses nothing in libc.
//!
//! 1. [`objects`] finds libc and ld.so in memory.
//! 2. [`cache`] has the list of their sites by build id, or [`sites`] decodes them (8 ms, once per libc).
//! 3. [`trampoline`] writes a piece of code for each site into a [`room`] within reach.
//! 4. Each site's first five bytes become a jump to its trampoline ([`text`]).
//! 5. At run time a trampoline tests the descriptor, and only what may be ours goes through [`entry`] into Rust.

pub mod cache;
pub mod calls;
pub mod entry;
pub mod objects;
pub mod room;
pub mod sites;
pub mod text;
pub mod trampoline;

use objects::Object;
use room::Room;
use std::sync::OnceLock;
use std::time::Instant;
use text::Company;

/// Why the gate was not installed; then the symbol doors are the whole door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

/// What became of the gate in this process.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Why there is none.
    pub refused: Option<Refused>,
    /// libc's path, as the dynamic linker names it.
    pub libc_path: Vec<u8>,
    /// libc's GNU build id.
    pub libc_build_id: Vec<u8>,
    /// Call sites of the table.
    pub sites: u32,
    /// Of these, rewritten.
    pub patched: u32,
    /// Of these, not rewritten, as nothing around them can be moved.
    pub left_alone: u32,
    /// Of these, not rewritten, as threads were there that might have been in the middle.
    pub left_to_threads: u32,
    /// Whether libpthread has calls of its own, which are not rewritten: glibc before 2.34.
    pub is_split: bool,
    /// Where the list came from.
    pub cache: cache::Outcome,
    /// Microseconds that it took.
    pub start_us: u32,
}

impl Status {
    /// Whether the gate misses nothing, so that the symbols need not be doors.
    pub fn is_whole(&self) -> bool {
        self.refused.is_none() && self.left_to_threads == 0 && !self.is_split
    }
}

static STATUS: OnceLock<Status> = OnceLock::new();

/// What became of the gate; `None` before [`install`].
pub fn status() -> Option<&'static Status> {
    STATUS.get()
}

/// Rewrites libc and ld.so, if `wanted`. Leaves everything as it was where that is refused.
pub fn install(wanted: bool) -> &'static Status {
    let begin = Instant::now();
    let mut status = Status::default();
    let outcome = if wanted { rewrite(&mut status) } else { Err("symbol doors were asked for") };
    status.refused = outcome.err().map(Refused);
    status.start_us = begin.elapsed().as_micros() as u32;
    STATUS.get_or_init(|| status)
}

fn rewrite(status: &mut Status) -> Result<(), &'static str> {
    let objects = objects::find()?;
    status.libc_path.clone_from(&objects[0].path);
    status.libc_build_id.clone_from(&objects[0].build_id);
    status.is_split = is_split(crate::doctor::libc_version());
    let (list, outcome) = cache::load_or(&objects, decode);
    status.cache = outcome;
    status.sites = list.sites.len() as u32 + list.left_alone;
    status.left_alone = list.left_alone;
    if list.wide_registers {
        return Err("this libc keeps values in wide vector registers across system calls");
    }
    if !list.sites.iter().any(|site| site.object == 0) {
        return Err("no system calls were found in libc");
    }
    let texts = [objects[0].text.clone(), objects[1].text.clone()];
    let room = Room::near(&texts, trampoline::bytes_max(list.sites.len()))?;
    let (code, addresses) = trampoline::build(room.start(), &list.sites, &objects);
    room.seal(&code)?;
    let company = Company::now();
    for (number, object) in objects.iter().enumerate() {
        let pairs = list.sites.iter().zip(addresses.iter().copied());
        let mine = pairs.filter(|(site, _)| usize::from(site.object) == number);
        let (allowed, left): (Vec<_>, Vec<_>) = mine.partition(|(site, _)| company.allows(site));
        text::write(object, company, &allowed)?;
        status.patched += allowed.len() as u32;
        status.left_to_threads += left.len() as u32;
    }
    Ok(())
}

/// Whether this version, as in `2.28`, has its threads in a library apart.
fn is_split(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (2, 34)
}

/// Decodes both objects: what the cache saves.
fn decode(objects: &[Object; 2]) -> sites::Found {
    let mut all = sites::Found::default();
    for (number, object) in objects.iter().enumerate() {
        let mut found = sites::find(number as u8, object);
        // Windows of neighbours must not overlap; the text's order is the list's.
        let mut last_end = 0;
        found.sites.retain(|site| {
            let apart = site.start >= last_end;
            last_end = last_end.max(site.end).max(site.syscall + 2);
            apart
        });
        all.sites.append(&mut found.sites);
        all.left_alone += found.left_alone;
        all.wide_registers |= found.wide_registers;
    }
    all
}

/// A checksum against accidents (a torn or truncated file), not against malice: FNV-1a over 8-byte words.
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for word in bytes.chunks(8) {
        let mut padded = [0; 8];
        padded[..word.len()].copy_from_slice(word);
        sum = (sum ^ u64::from_le_bytes(padded)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    sum ^ bytes.len() as u64
}

//! The system-call gate: the door that misses nothing in libc.
//!
//! 1. [`objects`] finds libc, ld.so and, in an old glibc, libpthread and the like in memory, by the dynamic linker's own
//!    list ([`crate::runtime::link_map`]).
//! 2. [`cache`] has the list of an object's sites by build id, or [`sites`] decodes them from its file (8 ms, once per
//!    libc). What memory has in another way than the file is left alone.
//! 3. [`trampoline`] writes a piece of code for each site into a [`room`] within reach.
//! 4. Each site's first five bytes become a jump to its trampoline ([`text`]).
//! 5. At run time a trampoline tests the descriptor, and only what may be ours goes through [`entry`] into Rust.
//! 6. The same is done to what the dynamic linker loads later ([`late`]).
#![allow(unsafe_code)]

pub mod cache;
pub mod calls;
pub mod elf;
pub mod entry;
pub mod late;
pub mod object_file;
pub mod objects;
pub mod records;
pub mod room;
pub mod sites;
pub mod status;
pub mod text;
pub mod trampoline;

use cache::Cache;
use house::ground::clock;
use objects::{LIBC, LINKER, Object};
use room::Room;
use status::{Part, Refused, Status};
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Instant;
use text::Company;

static STATUS: OnceLock<Status> = OnceLock::new();

/// What became of the gate; `None` before [`install`].
pub fn status() -> Option<&'static Status> {
    STATUS.get()
}

/// Rewrites the objects of the C library, if `wanted`. Leaves everything as it was where that is refused.
pub fn install(wanted: bool) -> &'static Status {
    let begin = Instant::now();
    let mut status = Status::default();
    let outcome = objects::find().and_then(|objects| {
        read_clocks_as(&objects);
        if wanted { rewrite_all(&objects, &mut status) } else { Err("symbol doors were asked for") }
    });
    status.refused = outcome.err().map(Refused);
    status.start_us = begin.elapsed().as_micros() as u32;
    STATUS.get_or_init(|| status)
}

/// Has the clocks read by libc's own function.
fn read_clocks_as(objects: &[Object]) {
    let libc = objects.iter().find(|object| object.name == LIBC);
    let function = libc.and_then(|libc| libc.tables?.find(c"clock_gettime"));
    // SAFETY: libc's own function of that name, or null.
    unsafe { clock::start(function.unwrap_or(std::ptr::null()).cast_mut()) };
}

fn rewrite_all(objects: &[Object], status: &mut Status) -> Result<(), &'static str> {
    let mut cache = Cache::open();
    let company = Company::now();
    for object in objects {
        let mut part = Part::of(object);
        match rewrite(object, &mut cache, company, &mut part) {
            Ok(room) if object.name == LINKER => late::start(room),
            Ok(_) => {}
            Err(reason) if object.name == LIBC => {
                status.parts.push(part);
                return Err(reason);
            }
            Err(reason) => part.refused = Some(Refused(reason)),
        }
        status.parts.push(part);
    }
    Ok(())
}

/// Rewrites one object. Gives the range of its trampolines.
///
/// # Errors
/// Why it is left as it is.
fn rewrite(
    object: &Object,
    cache: &mut Cache,
    company: Company,
    part: &mut Part,
) -> Result<Range<usize>, &'static str> {
    let list = cache.list(object)?;
    part.cache = list.outcome;
    part.sites = (list.found.sites.len() + list.changed.len()) as u32 + list.found.left_alone;
    part.left_alone = list.found.left_alone;
    part.changed = list.changed.iter().map(|site| object.text.start + site.syscall as usize).collect();
    if list.found.wide_registers {
        return Err("this libc keeps values in wide vector registers across system calls");
    }
    if list.found.sites.is_empty() {
        return if object.name == LIBC { Err("no system calls were found in libc") } else { Ok(0..0) };
    }
    let room = Room::near(&object.text, trampoline::bytes_max(list.found.sites.len()))?;
    let range = room.range();
    let (code, addresses) = trampoline::build(range.start, &list.found.sites, object);
    room.seal(&code)?;
    let pairs = list.found.sites.into_iter().zip(addresses);
    let (allowed, left): (Vec<_>, Vec<_>) = pairs.partition(|(site, _)| company.allows(site));
    text::write(object, company, &allowed)?;
    part.patched = allowed.len() as u32;
    part.left_to_threads = left.len() as u32;
    Ok(range)
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

//! The list of an object's sites as bytes: what a file of the [`cache`](super::cache) holds.
//!
//! The magic, four numbers, the key, a record for each site with the text that the object's file has there, a checksum.

use super::calls::Class;
use super::checksum;
use super::objects::Object;
use super::sites::{Found, JUMP_BYTES, Recheck, Site, WINDOW_BYTES_MAX};

/// Written first in each file; the last digits are the format's version. Up to version 3 a list could have been found
/// in the memory of a process that had been patched.
pub const MAGIC: &[u8; 8] = b"SDSTEP04";

/// A record: eight bytes of small fields and four offsets, then the bytes from the window's start to its end.
const RECORD_BYTES: usize = TEXT_AT + TEXT_BYTES;

/// Where a record's text starts.
const TEXT_AT: usize = 24;

/// A window and a `syscall` behind it, padded.
const TEXT_BYTES: usize = WINDOW_BYTES_MAX + 4;

/// libc has some 600 sites; a file larger than 4,096 records is none of ours.
const RECORDS_COUNT_MAX: usize = 4096;

/// No file is longer.
pub const FILE_BYTES_MAX: usize = 8192 + RECORDS_COUNT_MAX * RECORD_BYTES;

/// The list of `object`, which was found in its file; `text` is that file's.
pub fn encode(found: &Found, key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let numbers = [key.len(), found.sites.len(), found.left_alone as usize, usize::from(found.wide_registers)];
    for number in numbers {
        file.extend_from_slice(&(number as u32).to_le_bytes());
    }
    file.extend_from_slice(key);
    for site in &found.sites {
        let (displacement, next) = site.relative.unwrap_or((u8::MAX, u8::MAX));
        let class = site.class.map_or(u8::MAX, |class| class as u8);
        let (mask, target) = site.recheck.map_or((0, 0), |recheck| (recheck.mask, recheck.target));
        let range = site.text();
        let text = text.get(range.start as usize..range.end as usize).unwrap_or_default();
        let is_one = u8::from(site.is_one_instruction);
        file.extend_from_slice(&[class, displacement, next, text.len() as u8, is_one, mask, 0, 0]);
        for offset in [site.start, site.syscall, site.end, target] {
            file.extend_from_slice(&offset.to_le_bytes());
        }
        let mut padded = [0; TEXT_BYTES];
        padded[..text.len()].copy_from_slice(text);
        file.extend_from_slice(&padded);
    }
    let sum = checksum(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

/// The list in `file`, and the sites whose text in memory is another than was recorded.
///
/// # Errors
/// Why the file is not to be believed.
pub fn parse(file: &[u8], key: &[u8], object: &Object) -> Result<(Found, Vec<Differing>), &'static str> {
    let (content, sum) = file.split_last_chunk::<8>().ok_or("the file is too short")?;
    if checksum(content) != u64::from_le_bytes(*sum) {
        return Err("the checksum is wrong");
    }
    let rest = content.strip_prefix(MAGIC).ok_or("the file is of another format")?;
    let (head, rest) = rest.split_first_chunk::<16>().ok_or("the file is too short")?;
    let number = |index: usize| u32::from_le_bytes([head[index], head[index + 1], head[index + 2], head[index + 3]]);
    let (key_bytes, count) = (number(0) as usize, number(4) as usize);
    if rest.get(..key_bytes) != Some(key) {
        return Err("the file is for another libc");
    }
    let records = &rest[key_bytes..];
    if count > RECORDS_COUNT_MAX || records.len() != count * RECORD_BYTES {
        return Err("the file has another length than it says");
    }
    let mut found = Found { sites: Vec::with_capacity(count), left_alone: number(8), wide_registers: number(12) != 0 };
    let mut differing = Vec::new();
    let mut last_end = 0;
    for record in records.chunks_exact(RECORD_BYTES) {
        let (site, recorded) = site(record, object.text.len()).ok_or("a site is not what was recorded")?;
        if site.start < last_end {
            return Err("the sites are out of order");
        }
        last_end = site.text().end;
        let range = site.text();
        let memory = object.text_bytes().get(range.start as usize..range.end as usize);
        if memory == Some(recorded) {
            found.sites.push(site);
        } else {
            differing.push(Differing { site, recorded: recorded.to_vec() });
        }
    }
    Ok((found, differing))
}

/// A site that memory does not have as it was recorded.
pub struct Differing {
    /// The site.
    pub site: Site,
    /// Its text, as it was recorded.
    pub recorded: Vec<u8>,
}

/// The site of a record and its recorded text, if they make sense.
fn site(record: &[u8], text_bytes: usize) -> Option<(Site, &[u8])> {
    let offset =
        |at: usize| record.get(at..at + 4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap_or_default()));
    let site = Site {
        class: match record[0] {
            u8::MAX => None,
            byte => Some(Class::of_byte(byte).filter(|class| *class != Class::Alone)?),
        },
        start: offset(8)?,
        syscall: offset(12)?,
        end: offset(16)?,
        is_one_instruction: record[4] == 1,
        recheck: if record[5] == 0 { None } else { Some(Recheck { mask: record[5], target: offset(20)? }) },
        relative: if record[1] == u8::MAX { None } else { Some((record[1], record[2])) },
    };
    let window = site.end.checked_sub(site.start)? as usize;
    let before = site.syscall.checked_sub(site.start)? as usize;
    let in_place = site.stays_in_place();
    let is_sane = (JUMP_BYTES..=WINDOW_BYTES_MAX).contains(&window)
        && site.recheck.is_none_or(|recheck| in_place && (recheck.target as usize) < text_bytes)
        && (in_place || site.end >= site.syscall.checked_add(2)?)
        && site.text().end as usize <= text_bytes
        && site
            .relative
            .is_none_or(|(at, next)| usize::from(at) + 4 <= usize::from(next) && usize::from(next) <= window);
    let recorded = record.get(TEXT_AT..)?.get(..usize::from(record[3]))?;
    let is_whole = recorded.len() == site.text().len() && recorded.get(before..before + 2) == Some(&[0x0f, 0x05]);
    (is_sane && is_whole).then_some((site, recorded))
}

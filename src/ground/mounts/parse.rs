//! From the text of `SIDESTEP_MOUNTS` to mounts.
//!
//! `PREFIX=URL[?OPTION[&OPTION]...][,...]`. A byte with a meaning of its own is written `%XX`, as in any URL.

use super::environment::default_store;
use super::own_files::{is_below, leads_under};
use super::{
    CHUNK_BYTES, CHUNK_STEP_BYTES, Consistency, FileSystemType, MOUNTS_VARIABLE, TARGETS, TIMEOUT_SECONDS, glob, size,
};
use super::{Mount, MountOptions, MountsError, StoreUrl, Trouble};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// A prefix has to leave room for the names under it in `PATH_MAX`.
const PREFIX_BYTES_MAX: usize = 1024;

/// A part of the list, and where it stands in it.
#[derive(Clone, Copy)]
struct Span<'a> {
    text: &'a [u8],
    offset: usize,
}

impl<'a> Span<'a> {
    /// What comes before and after the first `separator`.
    fn cut(self, separator: u8) -> (Self, Option<Self>) {
        match self.text.iter().position(|&byte| byte == separator) {
            Some(at) => (
                Self { text: &self.text[..at], ..self },
                Some(Self { text: &self.text[at + 1..], offset: self.offset + at + 1 }),
            ),
            None => (self, None),
        }
    }

    /// The parts between the separators.
    fn parts(self, separator: u8) -> impl Iterator<Item = Self> {
        let mut left = Some(self);
        std::iter::from_fn(move || {
            let (part, rest) = left?.cut(separator);
            left = rest;
            Some(part)
        })
    }

    /// The bytes that are meant, `%XX` resolved.
    fn bytes(self) -> Result<Vec<u8>, Fault<'a>> {
        let mut bytes = Vec::with_capacity(self.text.len());
        let mut left = self.text.iter();
        while let Some(&byte) = left.next() {
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let mut digit = || left.next().and_then(|&digit| char::from(digit).to_digit(16));
            match (digit(), digit()) {
                (Some(high), Some(low)) if (high, low) != (0, 0) => bytes.push((high * 16 + low) as u8),
                _ => return Err(self.fault(Trouble::BadEscape)),
            }
        }
        Ok(bytes)
    }

    /// The same as text.
    fn string(self) -> Result<String, Fault<'a>> {
        String::from_utf8(self.bytes()?).map_err(|_| self.fault(Trouble::NotText))
    }

    /// This part is what is wrong.
    fn fault(self, trouble: Trouble) -> Fault<'a> {
        Fault { at: self, trouble }
    }
}

/// A fault before it is known which mount it is in.
struct Fault<'a> {
    at: Span<'a>,
    trouble: Trouble,
}

/// Reads a list of mounts as `SIDESTEP_MOUNTS` holds it. At least one mount.
///
/// # Errors
/// The first fault, with its place.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>, MountsError> {
    parse_from(MOUNTS_VARIABLE, text)
}

/// Reads a list of mounts that came from `source`.
///
/// # Errors
/// The first fault, with its place.
pub fn parse_from(source: &'static str, text: &[u8]) -> Result<Vec<Mount>, MountsError> {
    let mut mounts: Vec<Mount> = Vec::new();
    let list = Span { text, offset: 0 };
    let told = |index: usize, span: Span<'_>, fault: Fault<'_>| MountsError {
        source,
        mount: index + 1,
        mount_text: String::from_utf8_lossy(span.text).into_owned(),
        offset_bytes: fault.at.offset,
        found: String::from_utf8_lossy(fault.at.text).into_owned(),
        trouble: fault.trouble,
    };
    for (index, span) in list.parts(b',').enumerate() {
        let mount = parse_mount(span).map_err(|fault| told(index, span, fault))?;
        if mounts.iter().any(|other| other.prefix == mount.prefix) {
            return Err(told(index, span, span.cut(b'=').0.fault(Trouble::SamePrefix)));
        }
        mounts.push(mount);
    }
    // A second walk, because a store may lie under the prefix of a later mount.
    for (index, span) in list.parts(b',').enumerate() {
        if let Some(StoreUrl::Local { directory }) = mounts.get(index).map(|mount| &mount.url)
            && leads_under(directory.as_os_str().as_bytes(), mounts.iter().map(|mount| mount.prefix.as_slice()))
        {
            let at = span.cut(b'=').1.unwrap_or(span).cut(b'?').0;
            return Err(told(index, span, at.fault(Trouble::StoreUnderPrefix)));
        }
    }
    Ok(mounts)
}

/// One mount.
fn parse_mount(span: Span<'_>) -> Result<Mount, Fault<'_>> {
    if span.text.is_empty() {
        return Err(span.fault(Trouble::EmptyMount));
    }
    let (prefix, rest) = span.cut(b'=');
    let rest = rest.ok_or(span.fault(Trouble::NoStore))?;
    let prefix = parse_prefix(&prefix.bytes()?).map_err(|trouble| prefix.fault(trouble))?;
    let (url, options) = rest.cut(b'?');
    let url = parse_url(url)?;
    let options = options.map(parse_options).transpose()?.unwrap_or_default();
    Ok(Mount { prefix, url, options })
}

/// The path of a prefix, normalised.
pub(super) fn parse_prefix(text: &[u8]) -> Result<Vec<u8>, Trouble> {
    if text.first() != Some(&b'/') {
        return Err(Trouble::RelativePrefix);
    }
    let prefix = normalise(text)?;
    if prefix.len() > PREFIX_BYTES_MAX {
        return Err(Trouble::LongPrefix);
    }
    // /dev/shm is a file system like any other; the rest of these three belongs to the kernel.
    let in_shared_memory = is_below(&prefix, b"/dev/shm") && prefix != b"/dev/shm";
    let reserved = [b"/proc".as_slice(), b"/sys", b"/dev"].iter().any(|&root| is_below(&prefix, root));
    if prefix.is_empty() || (reserved && !in_shared_memory) {
        return Err(Trouble::ReservedPrefix);
    }
    Ok(prefix)
}

/// The path without `.`, doubled slashes and a trailing one; the root is empty.
fn normalise(text: &[u8]) -> Result<Vec<u8>, Trouble> {
    let mut path = Vec::with_capacity(text.len());
    for component in text.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(Trouble::PrefixGoesUp),
            name => {
                path.push(b'/');
                path.extend_from_slice(name);
            }
        }
    }
    Ok(path)
}

/// `local:DIRECTORY` or `daos:POOL/CONTAINER`.
fn parse_url(span: Span<'_>) -> Result<StoreUrl, Fault<'_>> {
    let (scheme, place) = span.cut(b':');
    match (scheme.text, place) {
        (b"local", Some(place)) => {
            let bytes = place.bytes()?;
            let directory = match bytes.first() {
                None => default_store().ok_or(span.fault(Trouble::NoHome))?,
                Some(b'/') => PathBuf::from(OsString::from_vec(bytes)),
                Some(_) => return Err(place.fault(Trouble::RelativeDirectory)),
            };
            Ok(StoreUrl::Local { directory })
        }
        (b"daos", Some(place)) => {
            let (pool, container) = place.cut(b'/');
            let pool = pool.string()?;
            let container = container.ok_or(place.fault(Trouble::BadContainer))?.string()?;
            if pool.is_empty() || container.is_empty() || container.contains('/') {
                return Err(place.fault(Trouble::BadContainer));
            }
            Ok(StoreUrl::Daos { pool, container })
        }
        _ => Err(scheme.fault(Trouble::UnknownStore)),
    }
}

/// What stands behind the `?`.
fn parse_options(span: Span<'_>) -> Result<MountOptions, Fault<'_>> {
    let mut options = MountOptions::default();
    for option in span.parts(b'&') {
        let (name, value) = option.cut(b'=');
        let needed = || value.filter(|value| !value.text.is_empty()).ok_or(option.fault(Trouble::NoValue));
        let repeated = match name.text {
            b"chunk" => options.chunk_bytes.replace(parse_chunk(needed()?)?).is_some(),
            b"targets" => options.targets.replace(parse_targets(needed()?)?).is_some(),
            b"consistency" => options.consistency.replace(parse_consistency(needed()?)?).is_some(),
            b"cache" => options.cache_bytes.replace(parse_size(needed()?)?).is_some(),
            b"sys" => options.system.replace(needed()?.string()?).is_some(),
            b"f_type" => options.file_system_type.replace(parse_file_system_type(needed()?)?).is_some(),
            b"timeout" => options.timeout_seconds.replace(parse_timeout(needed()?)?).is_some(),
            b"snapshot" => options.snapshot.replace(needed()?.string()?).is_some(),
            b"readonly" if value.is_some() => return Err(option.fault(Trouble::UnwantedValue)),
            b"readonly" => std::mem::replace(&mut options.readonly, true),
            b"exclude" => {
                options.exclude.push(parse_pattern(needed()?)?);
                false
            }
            _ => return Err(name.fault(Trouble::UnknownOption)),
        };
        if repeated {
            return Err(name.fault(Trouble::RepeatedOption));
        }
    }
    Ok(options)
}

fn parse_size(span: Span<'_>) -> Result<u64, Fault<'_>> {
    size::parse(&span.string()?).ok_or(span.fault(Trouble::BadSize))
}

fn parse_chunk(span: Span<'_>) -> Result<u64, Fault<'_>> {
    let bytes = parse_size(span)?;
    let fits = CHUNK_BYTES.contains(&bytes) && bytes.is_multiple_of(CHUNK_STEP_BYTES);
    if fits { Ok(bytes) } else { Err(span.fault(Trouble::BadChunk)) }
}

fn parse_targets(span: Span<'_>) -> Result<u32, Fault<'_>> {
    let targets = span.string()?.parse().ok().filter(|targets| TARGETS.contains(targets));
    targets.ok_or(span.fault(Trouble::BadTargets))
}

fn parse_timeout(span: Span<'_>) -> Result<u32, Fault<'_>> {
    let text = span.string()?;
    let seconds = text.strip_suffix('s').unwrap_or(&text).parse().ok();
    seconds.filter(|seconds| TIMEOUT_SECONDS.contains(seconds)).ok_or(span.fault(Trouble::BadTimeout))
}

fn parse_consistency(span: Span<'_>) -> Result<Consistency, Fault<'_>> {
    match span.text {
        b"strict" => Ok(Consistency::Strict),
        b"causal" => Ok(Consistency::Causal),
        b"close-to-open" => Ok(Consistency::CloseToOpen),
        _ => Err(span.fault(Trouble::BadConsistency)),
    }
}

fn parse_file_system_type(span: Span<'_>) -> Result<FileSystemType, Fault<'_>> {
    match span.text {
        b"sidestep" => Ok(FileSystemType::Sidestep),
        b"daos" => Ok(FileSystemType::Daos),
        _ => Err(span.fault(Trouble::BadFileSystemType)),
    }
}

fn parse_pattern(span: Span<'_>) -> Result<String, Fault<'_>> {
    let pattern = span.string()?;
    if glob::is_well_formed(pattern.as_bytes()) { Ok(pattern) } else { Err(span.fault(Trouble::BadPattern)) }
}

//! Programs into which `LD_PRELOAD` brings no library.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Why the library will not be in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// No dynamic linker that would load it.
    Static,
    /// Runs as somebody else, where the dynamic linker ignores the variable.
    Privileged,
    /// Machine code of another kind than the library's.
    OtherMachine,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => {
                "is statically linked, so LD_PRELOAD has no effect in it and it sees nothing under the prefixes; use a \
                 dynamically linked build"
            }
            Self::Privileged => {
                "runs with another user's rights (setuid, setgid or capabilities), so LD_PRELOAD has no effect in it; \
                 run it as that user"
            }
            Self::OtherMachine => {
                "is built for another machine than libsidestep.so, so LD_PRELOAD has no effect in it; use a 64-bit \
                 x86 build"
            }
        })
    }
}

/// The file that `execvp` would run for `name`.
pub(super) fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| is_executable_file(file))
}

fn is_executable_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0)
}

/// What keeps the library out of the program at `path`, as far as its file tells. A script is judged by its
/// interpreter; what can't be read is not judged.
pub(super) fn hindrance(path: &Path) -> Option<Hindrance> {
    let mut path = path.to_owned();
    // The kernel follows four interpreters of interpreters.
    for _ in 0..5 {
        let file = File::open(&path).ok()?;
        let mut head = Vec::new();
        (&file).take(4096).read_to_end(&mut head).ok()?;
        if let Some(line) = head.strip_prefix(b"#!") {
            path = interpreter(line)?;
            continue;
        }
        return if is_privileged(&path) { Some(Hindrance::Privileged) } else { elf_hindrance(&file, &head) };
    }
    None
}

/// The program of a `#!` line.
fn interpreter(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|&byte| byte == b'\n').next()?.trim_ascii_start();
    let word = line.split(|byte| matches!(byte, b' ' | b'\t')).next().filter(|word| !word.is_empty())?;
    Some(PathBuf::from(OsString::from_vec(word.to_vec())))
}

/// Whether the kernel would start it in secure mode (`AT_SECURE`).
fn is_privileged(path: &Path) -> bool {
    let Ok(data) = fs::metadata(path) else { return false };
    let changes_user = data.mode() & 0o4000 != 0 && data.uid() != rustix::process::getuid().as_raw();
    // Without group execution the bit meant mandatory locking, and changes nothing at exec.
    let changes_group = data.mode() & 0o2010 == 0o2010 && data.gid() != rustix::process::getgid().as_raw();
    let mut nothing: [u8; 0] = [];
    let has_capabilities = rustix::fs::getxattr(path, "security.capability", &mut nothing).is_ok_and(|size| size > 0);
    changes_user || changes_group || (has_capabilities && !rustix::process::getuid().is_root())
}

/// Reads the ELF header (gABI, chapters 4 and 5): class and machine, and whether a `PT_INTERP` names a linker.
fn elf_hindrance(file: &File, head: &[u8]) -> Option<Hindrance> {
    const CLASS_64_LITTLE_ENDIAN: &[u8] = &[2, 1];
    const MACHINE_X86_64: u16 = 62;
    const PT_INTERP: u32 = 3;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let short = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    if head.get(4..6)? != CLASS_64_LITTLE_ENDIAN || short(18)? != MACHINE_X86_64 {
        return Some(Hindrance::OtherMachine);
    }
    let table = u64::from_le_bytes(head.get(32..40)?.try_into().ok()?);
    let (entry_bytes, count) = (u64::from(short(54)?), u64::from(short(56)?));
    for index in 0..count {
        let mut kind = [0; 4];
        file.read_exact_at(&mut kind, table.checked_add(index * entry_bytes)?).ok()?;
        if u32::from_le_bytes(kind) == PT_INTERP {
            return None;
        }
    }
    Some(Hindrance::Static)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A 64-bit ELF file with program headers of these kinds.
    fn elf(machine: u16, kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = kinds.len() as u8;
        for kind in kinds {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&[0; 52]);
        }
        bytes
    }

    fn hindrance_of(bytes: &[u8]) -> Option<Hindrance> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        hindrance(file.path())
    }

    #[test]
    fn elf_files_are_judged_by_their_headers() {
        assert_eq!(hindrance_of(&elf(62, &[6, 3, 1])), None);
        assert_eq!(hindrance_of(&elf(62, &[6, 1])), Some(Hindrance::Static));
        assert_eq!(hindrance_of(&elf(183, &[3])), Some(Hindrance::OtherMachine));
        assert_eq!(hindrance_of(&elf(62, &[6])[..50]), None);
        assert_eq!(hindrance_of(b"echo hello"), None);
    }

    #[test]
    fn a_script_is_judged_by_its_interpreter() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), elf(62, &[1])).unwrap();
        let script = format!("#! {} -x\nbody", file.path().display());
        assert_eq!(hindrance_of(script.as_bytes()), Some(Hindrance::Static));
        assert_eq!(hindrance_of(b"#!/nowhere/at/all\n"), None);
    }

    #[test]
    fn setuid_matters_where_it_changes_the_user() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), elf(62, &[3])).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o4755)).unwrap();
        assert_eq!(hindrance(file.path()), None);
        if rustix::process::getuid().is_root() {
            std::os::unix::fs::chown(file.path(), Some(65534), Some(65534)).unwrap();
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o4755)).unwrap();
            assert_eq!(hindrance(file.path()), Some(Hindrance::Privileged));
        }
    }

    #[test]
    fn names_are_looked_up_as_exec_does() {
        assert_eq!(find(OsStr::new("./x")), Some(PathBuf::from("./x")));
        assert!(find(OsStr::new("sh")).is_some_and(|path| path.is_absolute()));
        assert_eq!(find(OsStr::new("no-such-program-anywhere")), None);
    }
}

//! The code that a rewritten site jumps to.
//!
//! A trampoline runs the displaced instructions, then tests whether the call can be ours. `rcx` and `r11` are free,
//! for `syscall` destroys them. It ends in one of three ways: back to the `syscall` (pass), to [`entry`] with the
//! site's [`Record`] in rcx, or, where the call's number is not known before, to the look-up next to it.
//!
//! [`entry`]: super::entry

use super::calls::Class;
use super::entry;
use super::objects::{LINKER, Object};
use super::sites::{JUMP_BYTES, Site};
use house::ground::{causality, guard};
use house::posix::descriptor::entries;

/// Where a site goes on; read by the entry's assembly.
#[repr(C)]
pub struct Record {
    /// The `syscall`, for a call that the kernel does.
    pub pass: u64,
    /// What follows it, for a call that was done here.
    pub done: u64,
    /// The address after the `syscall` in the object's own text, for whoever unwinds the stack.
    pub unwind: u64,
    /// Whether the `syscall` is followed by the function's return, and may not be made anywhere else ([`Site::recheck`]).
    pub is_function: u64,
}

/// The bytes of a [`Record`].
const RECORD_BYTES: usize = std::mem::size_of::<Record>();

/// A trampoline takes at most this: the window, the test, two long jumps.
const CODE_BYTES_MAX: usize = 144;

/// Addresses shared by all trampolines, which precede the records: of the entry, of the look-up, and of what is done with a
/// call that is not ours and may be a word to or from another process.
const SHARED_BYTES: usize = 32;

/// Where the last of them lies.
const CAUSAL_OFFSET: usize = 16;

/// The bytes that `count` trampolines may need.
pub fn bytes_max(count: usize) -> usize {
    SHARED_BYTES + count * (RECORD_BYTES + CODE_BYTES_MAX)
}

/// Writes the trampolines of an object's `sites`, which will run at address `start`.
/// Gives their bytes, and the address of each one.
pub fn build(start: usize, sites: &[Site], object: &Object) -> (Vec<u8>, Vec<usize>) {
    let mut code = Code { start, bytes: Vec::with_capacity(bytes_max(sites.len())) };
    code.bytes.extend_from_slice(&(entry::entry_address() as u64).to_le_bytes());
    code.bytes.extend_from_slice(&(entry::lookup_address() as u64).to_le_bytes());
    code.bytes.extend_from_slice(&(entry::causal_address() as u64).to_le_bytes());
    code.bytes.resize(SHARED_BYTES + sites.len() * RECORD_BYTES, 0);
    let addresses = sites
        .iter()
        .enumerate()
        .map(|(index, site)| {
            let address = code.here();
            code.trampoline(index, site, object);
            address
        })
        .collect();
    (code.bytes, addresses)
}

struct Code {
    start: usize,
    bytes: Vec<u8>,
}

impl Code {
    fn here(&self) -> usize {
        self.start + self.bytes.len()
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A displacement to `target`, counted from the end of its own four bytes.
    fn displacement(&mut self, target: usize) {
        let from = self.here() + 4;
        self.put(&(target.wrapping_sub(from) as i32).to_le_bytes());
    }

    fn jump(&mut self, target: usize) {
        self.put(&[0xe9]);
        self.displacement(target);
    }

    /// Displaced instructions `range` of the site's object, with the one operand that counts from rip set right.
    fn displaced(&mut self, object: &Object, site: &Site, range: std::ops::Range<u32>) {
        let at = self.bytes.len();
        let text = object.text_bytes();
        self.put(&text[range.start as usize..range.end as usize]);
        let Some((displacement, next)) = site.relative else { return };
        let displacement_offset = site.start + u32::from(displacement);
        if !range.contains(&displacement_offset) {
            return;
        }
        let moved = at + (displacement_offset - range.start) as usize;
        let field: [u8; 4] = self.bytes[moved..moved + 4].try_into().unwrap_or_default();
        let old_next = object.text.start + site.start as usize + usize::from(next);
        let new_next = self.start + at + (site.start + u32::from(next) - range.start) as usize;
        let target = old_next.wrapping_add_signed(i32::from_le_bytes(field) as isize);
        self.bytes[moved..moved + 4].copy_from_slice(&(target.wrapping_sub(new_next) as i32).to_le_bytes());
    }

    fn trampoline(&mut self, index: usize, site: &Site, object: &Object) {
        let begin = self.bytes.len();
        let record = SHARED_BYTES + index * RECORD_BYTES;
        let address = |offset: u32| object.text.start + offset as usize;
        self.displaced(object, site, site.start..site.syscall);
        let class = match site.class {
            // What the dynamic linker maps may be an object whose calls are to be seen.
            Some(Class::Mapping) if object.name == LINKER => Some(Class::Always),
            class => class,
        };
        if class == Some(Class::Mask) {
            self.forget_mask();
        } else {
            self.hand_over(class, record);
        }
        let (pass, done) = if site.stays_in_place() {
            let pass = if site.recheck.is_some() { self.here() } else { address(site.syscall) };
            if let Some(recheck) = site.recheck {
                self.put(&[0x4c, 0x8b, 0x5c, 0x24, 0x08]); // mov r11, [rsp + 8]
                self.put(&[0x41, 0xf6, 0x03, recheck.mask]); // test byte ptr [r11], mask
                self.put(&[0x0f, 0x85]); // jne target
                self.displacement(address(recheck.target));
            }
            self.jump(address(site.syscall));
            (pass, address(site.syscall + 2))
        } else {
            let pass = self.here();
            self.displaced(object, site, site.syscall..site.end);
            self.jump(address(site.end));
            (pass, pass + 2)
        };
        debug_assert!(self.bytes.len() - begin <= CODE_BYTES_MAX, "a trampoline is larger than its bound");
        let fields = [pass, done, address(site.syscall + 2), usize::from(site.recheck.is_some())];
        for (at, field) in (record..).step_by(8).zip(fields) {
            self.bytes[at..at + 8].copy_from_slice(&(field as u64).to_le_bytes());
        }
    }

    /// Goes to the entry or to the look-up; with what is not ours to [`entry::causal_address`] where a causal container is
    /// connected, and else nowhere.
    fn hand_over(&mut self, class: Option<Class>, record: usize) {
        let not_ours = self.test(class);
        if class != Some(Class::Word) {
            self.go(record, if class.is_some() { 0 } else { 8 });
        }
        for field in &not_ours {
            self.bytes[*field] = (self.bytes.len() - field - 1) as u8;
        }
        if !not_ours.is_empty() || class == Some(Class::Word) {
            self.put(&[0x49, 0xbb]); // mov r11, the word
            self.put(&((&raw const causality::IS_ON) as u64).to_le_bytes());
            self.put(&[0x41, 0x83, 0x3b, 0x00]); // cmp dword ptr [r11], 0
            self.put(&[0x74, 0]); // je pass
            let field = self.bytes.len() - 1;
            self.go(record, CAUSAL_OFFSET);
            self.bytes[field] = (self.bytes.len() - field - 1) as u8;
        }
    }

    /// Goes on at one of the shared addresses.
    fn go(&mut self, record: usize, shared: usize) {
        self.put(&[0x48, 0x8d, 0x0d]); // lea rcx, [rip + record]
        self.displacement(self.start + record);
        self.put(&[0xff, 0x25]); // jmp [rip + shared]
        self.displacement(self.start + shared);
    }

    /// The thread does not know its signal mask any more: one store to a word of its own.
    fn forget_mask(&mut self) {
        const { assert!(guard::MASK_IS_NOT_KNOWN == 0) };
        self.put(&[0x64, 0x48, 0xc7, 0x04, 0x25]); // mov qword ptr fs:[distance], 0
        self.put(&(guard::mask_word_distance() as i32).to_le_bytes());
        self.put(&[0; 4]);
    }

    /// The test for a descriptor that is not ours. Gives where the distances of its jumps belong.
    fn test(&mut self, class: Option<Class>) -> Vec<usize> {
        match class {
            Some(Class::Descriptor) => self.put(&[0x89, 0xf9]),    // mov ecx, edi
            Some(Class::Mapping) => self.put(&[0x44, 0x89, 0xc1]), // mov ecx, r8d
            Some(Class::Always | Class::Making | Class::Mask | Class::Word | Class::Alone) | None => return Vec::new(),
        }
        self.put(&[0x81, 0xf9]); // cmp ecx, the number of entries
        self.put(&(entries::table().len() as u32).to_le_bytes());
        self.put(&[0x73, 0]); // jae not ours
        let out_of_range = self.bytes.len() - 1;
        self.put(&[0x49, 0xbb]); // mov r11, the entries
        self.put(&(entries::table().as_ptr() as u64).to_le_bytes());
        self.put(&[0x41, 0x83, 0x3c, 0x8b, 0x00]); // cmp dword ptr [r11 + rcx * 4], 0
        self.put(&[0x74, 0]); // je not ours
        vec![out_of_range, self.bytes.len() - 1]
    }
}

/// The bytes that take a site to its trampoline.
pub fn jump_bytes(from: usize, to: usize) -> [u8; JUMP_BYTES] {
    let distance = to.wrapping_sub(from + JUMP_BYTES) as i32;
    let mut bytes = [0xe9, 0, 0, 0, 0];
    bytes[1..].copy_from_slice(&distance.to_le_bytes());
    bytes
}

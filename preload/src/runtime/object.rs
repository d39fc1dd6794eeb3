//! A loaded object, and the names that it exports (System V ABI, chapter 5; the hash is GNU's).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

/// An entry of the dynamic linker's list: the part that debuggers know (`link.h`).
#[repr(C)]
pub struct LinkMap {
    base: usize,
    name: *const c_char,
    dynamic: *const [usize; 2],
    next: *const LinkMap,
    previous: *const LinkMap,
}

impl LinkMap {
    /// The entry behind this one.
    pub fn next(&self) -> *const Self {
        self.next
    }

    /// The object's path, as the dynamic linker names it; empty for the program.
    pub fn name(&self) -> &CStr {
        // SAFETY: the dynamic linker's string, or null.
        if self.name.is_null() { c"" } else { unsafe { CStr::from_ptr(self.name) } }
    }

    /// The object's load address.
    pub fn base(&self) -> usize {
        self.base
    }

    /// Where the object's dynamic section is, which no other object has there.
    pub fn dynamic(&self) -> usize {
        self.dynamic as usize
    }
}

const DT_HASH: usize = 4;
const DT_STRTAB: usize = 5;
const DT_SYMTAB: usize = 6;
const DT_SONAME: usize = 14;
const DT_GNU_HASH: usize = 0x6fff_fef5;
const DT_VERSYM: usize = 0x6fff_fff0;

/// In a symbol's version: not the default one of its name.
const VERSION_HIDDEN: u16 = 0x8000;

/// `STT_TLS`: an offset, and no address.
const KIND_THREAD_LOCAL: u8 = 6;

/// `STT_GNU_IFUNC`: a function that tells the function.
const KIND_INDIRECT: u8 = 10;

#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: usize,
    size: usize,
}

/// An object's tables.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    base: usize,
    soname: Option<usize>,
    strings: *const c_char,
    symbols: *const Symbol,
    versions: *const u16,
    gnu_hash: *const u32,
    hash: *const u32,
}

impl Object {
    /// Reads an object's dynamic section.
    pub fn of(map: &LinkMap) -> Self {
        let base = map.base;
        // glibc turns the section's offsets into addresses, other linkers and the kernel's vdso leave them.
        let address = |value: usize| if value < base { base + value } else { value };
        let null = std::ptr::null();
        let mut object = Self {
            base,
            soname: None,
            strings: null,
            symbols: std::ptr::null(),
            versions: std::ptr::null(),
            gnu_hash: std::ptr::null(),
            hash: std::ptr::null(),
        };
        let mut entry = map.dynamic;
        // SAFETY: the section of a loaded object, which ends with a null.
        while !entry.is_null() && unsafe { (*entry)[0] } != 0 {
            // SAFETY: as above.
            let [tag, value] = unsafe { *entry };
            match tag {
                DT_HASH => object.hash = address(value) as *const u32,
                DT_STRTAB => object.strings = address(value) as *const c_char,
                DT_SYMTAB => object.symbols = address(value) as *const Symbol,
                DT_SONAME => object.soname = Some(value),
                DT_GNU_HASH => object.gnu_hash = address(value) as *const u32,
                DT_VERSYM => object.versions = address(value) as *const u16,
                _ => {}
            }
            // SAFETY: as above.
            entry = unsafe { entry.add(1) };
        }
        object
    }

    /// The object's own name.
    pub fn soname(&self) -> Option<&CStr> {
        let offset = self.soname.filter(|_| !self.strings.is_null())?;
        // SAFETY: the offset of a string in the object's table.
        Some(unsafe { CStr::from_ptr(self.strings.add(offset)) })
    }

    /// Whether the object's own name is this.
    pub fn is_called(&self, soname: &CStr) -> bool {
        self.soname() == Some(soname)
    }

    /// The name of the exported function around an address, the shortest if it has several.
    pub fn name_around(&self, address: usize) -> Option<&CStr> {
        const KIND_FUNCTION: u8 = 2;
        if self.symbols.is_null() || self.strings.is_null() || self.gnu_hash.is_null() {
            return None;
        }
        let mut best: Option<&CStr> = None;
        let mut consider = |index: u32| {
            // SAFETY: a symbol of the object's, and its name.
            let (symbol, name) = unsafe {
                let symbol = &*self.symbols.add(index as usize);
                (symbol, CStr::from_ptr(self.strings.add(symbol.name as usize)))
            };
            let start = self.base + symbol.value;
            let is_around = (start..start + symbol.size).contains(&address) && symbol.section != 0;
            if is_around && symbol.info & 0xf == KIND_FUNCTION {
                best =
                    Some(best.map_or(name, |best| if name.count_bytes() < best.count_bytes() { name } else { best }));
            }
        };
        // SAFETY: the table's layout, as in `find_by_gnu_hash`.
        unsafe {
            let [buckets_count, first, filter_words, _] = self.gnu_hash.cast::<[u32; 4]>().read();
            let buckets = self.gnu_hash.add(4 + 2 * filter_words as usize);
            let chains = buckets.add(buckets_count as usize);
            for bucket in 0..buckets_count as usize {
                let mut index = buckets.add(bucket).read();
                while index >= first {
                    consider(index);
                    if chains.add((index - first) as usize).read() & 1 != 0 {
                        break;
                    }
                    index += 1;
                }
            }
        }
        best
    }

    /// The address of what the object exports under a name, in its default version.
    pub fn find(&self, name: &CStr) -> Option<*const ()> {
        if self.symbols.is_null() || self.strings.is_null() {
            return None;
        }
        // SAFETY: the tables of a loaded object.
        unsafe {
            if !self.gnu_hash.is_null() {
                self.find_by_gnu_hash(name)
            } else if !self.hash.is_null() {
                self.find_by_hash(name)
            } else {
                None
            }
        }
    }

    /// # Safety
    /// The tables are a loaded object's.
    unsafe fn find_by_gnu_hash(&self, name: &CStr) -> Option<*const ()> {
        let hash =
            name.to_bytes().iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)));
        // SAFETY: the table's layout: four words, the filter's 8-byte words, the buckets, the chains.
        unsafe {
            let [buckets_count, first, filter_words, shift] = self.gnu_hash.cast::<[u32; 4]>().read();
            let filter = self.gnu_hash.add(4).cast::<u64>();
            let word = filter.add((hash / 64 % filter_words) as usize).read_unaligned();
            if word >> (hash % 64) & word >> (hash >> shift & 63) & 1 == 0 {
                return None;
            }
            let buckets = filter.add(filter_words as usize).cast::<u32>();
            let chains = buckets.add(buckets_count as usize);
            let mut index = buckets.add((hash % buckets_count) as usize).read();
            if index < first {
                return None;
            }
            loop {
                let entry = chains.add((index - first) as usize).read();
                if entry | 1 == hash | 1
                    && let Some(address) = self.address_if_called(index as usize, name)
                {
                    return Some(address);
                }
                if entry & 1 != 0 {
                    return None;
                }
                index += 1;
            }
        }
    }

    /// # Safety
    /// As above.
    unsafe fn find_by_hash(&self, name: &CStr) -> Option<*const ()> {
        // SAFETY: the table's second word counts the symbols.
        unsafe {
            let count = self.hash.add(1).read();
            (1..count as usize).find_map(|index| self.address_if_called(index, name))
        }
    }

    /// # Safety
    /// As above, and the symbol is one of the object's.
    unsafe fn address_if_called(&self, index: usize, name: &CStr) -> Option<*const ()> {
        // SAFETY: by the caller's word.
        let symbol = unsafe { &*self.symbols.add(index) };
        let kind = symbol.info & 0xf;
        if symbol.section == 0 || symbol.value == 0 || kind == KIND_THREAD_LOCAL {
            return None;
        }
        // SAFETY: a version for each symbol, and each name is in the table of strings.
        let is_default = unsafe {
            (self.versions.is_null() || *self.versions.add(index) & VERSION_HIDDEN == 0)
                && CStr::from_ptr(self.strings.add(symbol.name as usize)) == name
        };
        if !is_default {
            return None;
        }
        let address = (self.base + symbol.value) as *const ();
        if kind != KIND_INDIRECT {
            return Some(address);
        }
        // SAFETY: the symbol's kind says that this is such a function, and its object has been relocated.
        let choose = unsafe { std::mem::transmute::<*const (), extern "C" fn() -> *const ()>(address) };
        Some(choose())
    }
}

//! A loaded object's own symbols, looked up in its own table: what other objects export under the same name can't
//! come in between.
#![allow(unsafe_code)]

use super::elf::{DT_GNU_HASH, DT_STRTAB, DT_SYMTAB, Section};
use libc::Elf64_Sym;
use std::ffi::{CStr, c_char};

/// The symbols that an object exports.
pub struct Symbols {
    base: usize,
    table: *const Elf64_Sym,
    strings: *const c_char,
    /// `DT_GNU_HASH`: four words, a filter, a bucket for each hash, a chain of hashes.
    hash: *const u32,
}

const FUNCTION: u8 = 2;
const VARIABLE: u8 = 1;

impl Symbols {
    /// The symbols of the object with this dynamic section.
    pub fn of(section: &Section) -> Option<Self> {
        Some(Self {
            base: section.base(),
            table: section.address(DT_SYMTAB)? as *const Elf64_Sym,
            strings: section.address(DT_STRTAB)? as *const c_char,
            hash: section.address(DT_GNU_HASH)? as *const u32,
        })
    }

    /// The address of a function or variable.
    pub fn address(&self, name: &CStr) -> Option<usize> {
        let wanted =
            name.to_bytes().iter().fold(5381u32, |sum, byte| sum.wrapping_mul(33).wrapping_add((*byte).into()));
        let bucket = self.buckets()[wanted as usize % self.buckets().len().max(1)];
        self.chain(bucket).find_map(|(index, hash)| {
            let symbol = self.symbol(index);
            (hash | 1 == wanted | 1 && symbol.st_shndx != 0 && self.name(&symbol) == name && is_plain(&symbol))
                .then(|| self.base + symbol.st_value as usize)
        })
    }

    /// The name of the function around an address.
    pub fn name_around(&self, address: usize) -> Option<&CStr> {
        let offset = address.checked_sub(self.base)? as u64;
        let symbols = self.buckets().iter().flat_map(|bucket| self.chain(*bucket)).map(|(index, _)| self.symbol(index));
        let around = symbols.filter(|symbol| {
            let range = symbol.st_value..symbol.st_value + symbol.st_size;
            symbol.st_info & 15 == FUNCTION && symbol.st_shndx != 0 && range.contains(&offset)
        });
        // Several names mean one function: the shortest is the one that people know.
        around.map(|symbol| self.name(&symbol)).min_by_key(|name| (name.count_bytes(), name.to_bytes()))
    }

    fn buckets(&self) -> &[u32] {
        // SAFETY: a loaded object's table is as the dynamic linker itself reads it: four words, the filter's words of
        // eight bytes, the buckets.
        unsafe {
            let filter_words = self.hash.add(2).read() as usize;
            std::slice::from_raw_parts(self.hash.add(4 + 2 * filter_words), self.hash.read() as usize)
        }
    }

    /// The symbols of a bucket, with their hashes. The last one's hash is odd.
    fn chain(&self, bucket: u32) -> impl Iterator<Item = (usize, u32)> + '_ {
        // SAFETY: as in `buckets`.
        let first = unsafe { self.hash.add(1).read() };
        let hashes = self.buckets().as_ptr_range().end;
        let mut next = if bucket < first { None } else { Some(bucket) };
        std::iter::from_fn(move || {
            let index = next?;
            // SAFETY: as in `buckets`; behind them is a word for each symbol from `first` on.
            let hash = unsafe { hashes.add((index - first) as usize).read() };
            next = if hash & 1 == 1 { None } else { Some(index + 1) };
            Some((index as usize, hash))
        })
    }

    fn symbol(&self, index: usize) -> Elf64_Sym {
        // SAFETY: the index is from the object's own hash table.
        unsafe { self.table.add(index).read() }
    }

    fn name(&self, symbol: &Elf64_Sym) -> &CStr {
        // SAFETY: a symbol's name is in the object's own table of strings.
        unsafe { CStr::from_ptr(self.strings.add(symbol.st_name as usize)) }
    }
}

/// Whether a symbol's value is its address, and not the address of a function that would tell it.
fn is_plain(symbol: &Elf64_Sym) -> bool {
    matches!(symbol.st_info & 15, FUNCTION | VARIABLE)
}

//! The pages of the tree's file, looked at before LMDB is given them: it trusts every offset and every page number in them.
//!
//! What is known of the format: the pages of LMDB 0.9, data version 1. A page begins with its number, flags, and the ends of
//! its free space; then come offsets of its nodes, which lie at its end. Pages 0 and 1 are the meta pages, of which the one with
//! the later transaction counts.
#![allow(unsafe_code)]

use super::key::{self, KeyOf};
use super::tree::PAGE_BYTES;
use crate::ground::Result;
use rustix::fs::SeekFrom;
use rustix::mm::{MapFlags, ProtFlags};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

const PAGE: usize = PAGE_BYTES as usize;
const HEAD_BYTES: usize = 16;
const NODE_BYTES: usize = 8;
const KEY_BYTES_MAX: usize = 511;
/// Levels that LMDB's cursors have room for.
const DEPTH_MAX: u16 = 32;

const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
const META: u16 = 8;
/// Of no meaning in a page that was committed.
const DIRTY: u16 = 0x10;
const BIG_DATA: u16 = 1;
const MAGIC: u32 = 0xbeef_c0de;
const VERSION: u32 = 1;
const NO_PAGE: u64 = u64::MAX;
/// The flag of the free list's keys.
const INTEGER_KEY: u16 = 8;
const TRANSACTIONS_MAX: u64 = 1 << 60;

/// The file, mapped to be read.
pub struct TreePages {
    start: *const u8,
    length: usize,
    /// Where the last byte lies that was ever written: LMDB makes the file look longer, and a hole that is read through a
    /// mapping would be filled.
    data_end: usize,
}

/// One of the two trees in the file.
#[derive(Clone, Copy, Debug)]
struct Root {
    flags: u16,
    depth: u16,
    page: u64,
}

#[derive(Clone, Copy, Debug)]
struct Meta {
    free: Root,
    main: Root,
    last_page: u64,
    transaction: u64,
}

/// A node of a page.
struct Node<'a> {
    key: &'a [u8],
    flags: u16,
    /// A branch's child, or where a large value lies.
    page: u64,
    /// A leaf's value, unless it is large.
    value: &'a [u8],
    value_bytes: usize,
}

/// A page that is still to be looked at.
struct Task<'a> {
    page: u64,
    level: u16,
    low: Option<&'a [u8]>,
    high: Option<&'a [u8]>,
}

/// What is wrong, for a reader.
type Wrong = String;

impl TreePages {
    /// Of a file, as long as it is now.
    ///
    /// # Errors
    /// As fstat(2) and mmap(2).
    pub fn map(file: BorrowedFd<'_>) -> Result<Self> {
        let length = rustix::fs::fstat(file)?.st_size as usize / PAGE * PAGE;
        if length == 0 {
            return Ok(Self { start: std::ptr::NonNull::dangling().as_ptr(), length, data_end: 0 });
        }
        // SAFETY: a new mapping of a file that is as long. Who looks at it is alone in the store.
        let start =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0) }?;
        Ok(Self { start: start.cast_const().cast(), length, data_end: data_end(file, length) })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped by `map` for as long as `self`; nobody changes it meanwhile.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }

    fn page(&self, number: u64) -> Option<&[u8]> {
        let at = usize::try_from(number).ok()?.checked_mul(PAGE)?;
        self.bytes().get(at..at.checked_add(PAGE)?)
    }

    /// Whether there is nothing in it yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Looks at the tree, at `pages_max` pages at most: the upper ones first.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, pages_max: usize) -> std::result::Result<(), Wrong> {
        let meta = self.meta()?;
        let mut seen = Seen::new(meta.last_page);
        let mut left = pages_max;
        let main = self.walk(&meta, meta.main, &mut seen, &mut left, &mut |_, _| {});
        main.map_or(Ok(()), Err)?;
        if left == 0 {
            return Ok(());
        }
        let mut lists = Vec::new();
        let free = self.walk(&meta, meta.free, &mut seen, &mut left, &mut |key, value| {
            lists.push((key.len(), value.to_vec()));
        });
        free.map_or(Ok(()), Err)?;
        for (key_bytes, list) in lists {
            if key_bytes != 8 || !seen.take_list(&list) {
                return Err("its list of free pages cannot be".to_owned());
            }
        }
        Ok(())
    }

    /// Whether one of the first names lies where this key puts it. The tree has been looked at.
    pub fn has_key(&self, hash_key: u64) -> bool {
        let Ok(meta) = self.meta() else { return true };
        let mut at = meta.main.page;
        for level in 1..=meta.main.depth {
            let kind = if level == meta.main.depth { LEAF } else { BRANCH };
            let Some(page) = self.page(at) else { return true };
            if kind == BRANCH {
                let Ok(first) = node(page, 0, kind) else { return true };
                at = first.page;
                continue;
            }
            let count = shape(page, at, kind).unwrap_or(0);
            let mut fits = (0..count).filter_map(|index| match KeyOf::parse(node(page, index, kind).ok()?.key) {
                KeyOf::Entry { position, name, .. } => Some(key::is_position_of(hash_key, name, position)),
                _ => None,
            });
            let first = fits.next().unwrap_or(true);
            return first || fits.any(|fits| fits);
        }
        true
    }

    /// The meta page that counts.
    fn meta(&self) -> std::result::Result<Meta, Wrong> {
        let [first, second] = [self.meta_at(0)?, self.meta_at(1)?];
        let meta = if second.transaction > first.transaction { second } else { first };
        if self.page(meta.last_page).is_none() {
            return Err(format!("it is cut off: its last page is {}", meta.last_page));
        }
        let is_right = meta.free.flags & !INTEGER_KEY == 0
            && meta.main.flags == 0
            && meta.last_page >= 1
            && meta.transaction < TRANSACTIONS_MAX;
        if is_right { Ok(meta) } else { Err("its meta page cannot be".to_owned()) }
    }

    fn meta_at(&self, number: u64) -> std::result::Result<Meta, Wrong> {
        let page = self.page(number).ok_or("it is cut off")?;
        let root =
            |at: usize| Root { flags: u16_at(page, at + 4), depth: u16_at(page, at + 6), page: u64_at(page, at + 40) };
        let is_meta = u16_at(page, 10) & META != 0
            && u32_at(page, 16) == MAGIC
            && u32_at(page, 20) == VERSION
            && u32_at(page, 40) as usize == PAGE;
        if !is_meta {
            return Err(format!("its meta page {number} is none"));
        }
        Ok(Meta { free: root(40), main: root(88), last_page: u64_at(page, 136), transaction: u64_at(page, 144) })
    }

    /// Walks one of the trees, level by level; `visit` gets each entry of a good leaf. Goes on past what is wrong, and
    /// answers the first of that.
    fn walk<'a>(
        &'a self,
        meta: &Meta,
        root: Root,
        seen: &mut Seen,
        left: &mut usize,
        visit: &mut dyn FnMut(&'a [u8], &'a [u8]),
    ) -> Option<Wrong> {
        let mut wrong = None;
        if root.page == NO_PAGE {
            return (root.depth != 0).then(|| "it has levels and no root".to_owned());
        }
        if root.depth == 0 || root.depth > DEPTH_MAX {
            return Some(format!("it has {} levels", root.depth));
        }
        let is_free_list = root.page == meta.free.page;
        let mut tasks = VecDeque::from([Task { page: root.page, level: 1, low: None, high: None }]);
        while let Some(task) = tasks.pop_front() {
            if *left == 0 {
                break;
            }
            *left -= 1;
            let looked = self.look_at(meta, &task, root.depth, is_free_list, seen, &mut tasks, visit);
            if let Err(what) = looked {
                wrong.get_or_insert(format!("its page {} {what}", task.page));
            }
        }
        wrong
    }

    #[allow(clippy::too_many_arguments)]
    fn look_at<'a>(
        &'a self,
        meta: &Meta,
        task: &Task<'a>,
        depth: u16,
        is_free_list: bool,
        seen: &mut Seen,
        tasks: &mut VecDeque<Task<'a>>,
        visit: &mut dyn FnMut(&'a [u8], &'a [u8]),
    ) -> std::result::Result<(), &'static str> {
        if task.page > meta.last_page || !seen.take(task.page) {
            return Err("is referred to twice, or is none");
        }
        let page = self.page(task.page).ok_or("is cut off")?;
        let kind = if task.level == depth { LEAF } else { BRANCH };
        let count = shape(page, task.page, kind)?;
        if kind == BRANCH && count < if is_free_list { 1 } else { 2 } {
            return Err("has too few children");
        }
        let mut before = task.low;
        let nodes: Vec<Node<'a>> =
            (0..count).map(|index| node(page, index, kind)).collect::<std::result::Result<_, _>>()?;
        for (index, node) in nodes.iter().enumerate() {
            // The first key of a branch counts for nothing.
            let is_key = kind == LEAF || index != 0;
            if is_key && !is_free_list {
                let is_ordered = before
                    .is_none_or(|before| if index == 0 { before <= node.key } else { before < node.key })
                    && task.high.is_none_or(|high| node.key < high);
                if !is_ordered || node.key.is_empty() {
                    return Err("has keys out of order");
                }
                before = Some(node.key);
            }
            if kind == BRANCH {
                let low = if index == 0 { task.low } else { Some(node.key) };
                let high = nodes.get(index + 1).map(|next| next.key).or(task.high);
                tasks.push_back(Task { page: node.page, level: task.level + 1, low, high });
                continue;
            }
            match node.flags {
                0 => visit(node.key, node.value),
                BIG_DATA => visit(node.key, self.large(meta, node, seen)?),
                _ => return Err("has a node of no known kind"),
            }
        }
        Ok(())
    }

    /// A value that has pages of its own.
    fn large<'a>(
        &'a self,
        meta: &Meta,
        node: &Node<'_>,
        seen: &mut Seen,
    ) -> std::result::Result<&'a [u8], &'static str> {
        const WRONG: &str = "has a value whose pages cannot be";
        let head = self.page(node.page).ok_or(WRONG)?;
        let pages = u64::from(u32_at(head, 12));
        let needed = (HEAD_BYTES + node.value_bytes).div_ceil(PAGE) as u64;
        let is_right = u64_at(head, 0) == node.page
            && u16_at(head, 10) & !DIRTY == OVERFLOW
            && pages >= needed
            && node.page.checked_add(pages).is_some_and(|end| end <= meta.last_page + 1)
            && (node.page..node.page + pages).all(|page| seen.take(page));
        let start = node.page as usize * PAGE + HEAD_BYTES;
        let value = self.bytes().get(start..start + node.value_bytes);
        value.filter(|_| is_right).ok_or(WRONG)
    }

    /// All entries that can be read: of the tree as far as it is whole, then what `misses` wants of leaves that lie about in the
    /// file, which may be old.
    pub fn salvage(&self, mut found: impl FnMut(&[u8], &[u8], bool)) {
        if let Some(meta) = self.last_usable_meta() {
            let (mut seen, mut left) = (Seen::new(meta.last_page), usize::MAX);
            self.walk(&meta, meta.main, &mut seen, &mut left, &mut |key, value| found(key, value, true));
        }
        for number in 2..self.data_end.div_ceil(PAGE) as u64 {
            let Some(page) = self.page(number) else { break };
            let Ok(count) = shape(page, number, LEAF) else { continue };
            for node in (0..count).filter_map(|index| node(page, index, LEAF).ok()).filter(|node| node.flags == 0) {
                found(node.key, node.value, false);
            }
        }
    }

    fn last_usable_meta(&self) -> Option<Meta> {
        let pages = (self.length / PAGE) as u64;
        let mut metas: Vec<Meta> = [0, 1].into_iter().filter_map(|number| self.meta_at(number).ok()).collect();
        metas.sort_by_key(|meta| std::cmp::Reverse(meta.transaction));
        let mut meta = *metas.first()?;
        // What is beyond the file's end is met page by page.
        meta.last_page = meta.last_page.min(pages.checked_sub(1)?);
        Some(meta)
    }
}

impl Drop for TreePages {
    fn drop(&mut self) {
        if self.length != 0 {
            // SAFETY: mapped by `map`.
            let _ = unsafe { rustix::mm::munmap(self.start.cast_mut().cast(), self.length) };
        }
    }
}

/// The end of what was ever written to a file.
pub fn data_end(file: BorrowedFd<'_>, length: usize) -> usize {
    let mut end = 0;
    while let Ok(data) = rustix::fs::seek(file, SeekFrom::Data(end)) {
        match rustix::fs::seek(file, SeekFrom::Hole(data)) {
            Ok(hole) if hole > end => end = hole,
            _ => break,
        }
    }
    (end as usize).min(length)
}

/// Pages that were met.
struct Seen {
    bits: Vec<u64>,
    last_page: u64,
}

impl Seen {
    fn new(last_page: u64) -> Self {
        let mut seen = Self { bits: vec![0; last_page as usize / 64 + 1], last_page };
        // The meta pages are nobody's.
        seen.bits[0] |= 3;
        seen
    }

    /// Meets a page; false if it was met before, or there is none.
    fn take(&mut self, page: u64) -> bool {
        if page > self.last_page {
            return false;
        }
        let (word, bit) = (&mut self.bits[page as usize / 64], 1 << (page % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Meets the pages of a list: their count, then their numbers.
    fn take_list(&mut self, list: &[u8]) -> bool {
        let mut words = list.chunks_exact(8).map(|word| u64_at(word, 0));
        let Some(count) = words.next() else { return false };
        count <= words.len() as u64 && words.take(count as usize).all(|page| self.take(page))
    }
}

/// Whether a page is of its kind, with its nodes' offsets inside; the nodes' count.
fn shape(page: &[u8], number: u64, kind: u16) -> std::result::Result<usize, &'static str> {
    let (lower, upper) = (u16_at(page, 12) as usize, u16_at(page, 14) as usize);
    if u64_at(page, 0) != number || u16_at(page, 10) & !DIRTY != kind {
        return Err("is another one, or of another kind");
    }
    if lower < HEAD_BYTES || !lower.is_multiple_of(2) || lower > upper || upper > PAGE {
        return Err("has no sense in its head");
    }
    Ok((lower - HEAD_BYTES) / 2)
}

/// A node of a page whose head is sound.
fn node(page: &[u8], index: usize, kind: u16) -> std::result::Result<Node<'_>, &'static str> {
    const OUTSIDE: &str = "has a node that reaches out of it";
    let upper = u16_at(page, 14) as usize;
    let at = u16_at(page, HEAD_BYTES + 2 * index) as usize;
    if at < upper || !at.is_multiple_of(2) || at + NODE_BYTES > PAGE {
        return Err(OUTSIDE);
    }
    let (flags, key_bytes) = (u16_at(page, at + 4), u16_at(page, at + 6) as usize);
    let key_at = at + NODE_BYTES;
    if key_bytes > KEY_BYTES_MAX {
        return Err(OUTSIDE);
    }
    let key = page.get(key_at..key_at + key_bytes).ok_or(OUTSIDE)?;
    let low = u64::from(u32_at(page, at));
    if kind == BRANCH {
        return Ok(Node { key, flags: 0, page: low | u64::from(flags) << 32, value: &[], value_bytes: 0 });
    }
    let (value_at, value_bytes) = (key_at + key_bytes, low as usize);
    let has = if flags == BIG_DATA { 8 } else { value_bytes };
    let value = value_at.checked_add(has).and_then(|end| page.get(value_at..end)).ok_or(OUTSIDE)?;
    let large = if flags == BIG_DATA { u64_at(value, 0) } else { NO_PAGE };
    Ok(Node { key, flags, page: large, value, value_bytes })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// Whether LMDB may be given the file, as far as `pages_max` pages tell, and its names are where the header's key puts them.
///
/// # Errors
/// What is wrong.
pub fn check_file(file: BorrowedFd<'_>, pages_max: usize, hash_key: u64) -> std::result::Result<(), Wrong> {
    let pages = TreePages::map(file).map_err(|errno| errno.to_string())?;
    if pages.is_empty() {
        return Ok(());
    }
    pages.check(pages_max)?;
    if pages.has_key(hash_key) { Ok(()) } else { Err("its names are in other places than the header says".to_owned()) }
}

//! The dynamic linker's list of loaded objects, found by what only the kernel and the linker write: the program headers
//! that the auxiliary vector names lead to the program's dynamic section, and `DT_DEBUG` there to the list.
#![allow(unsafe_code)]

use super::block::Block;
use super::object::{LinkMap, Object};
use house::ground::threads;
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Objects that are remembered while the library starts, which asks each of them for some hundred names.
const REMEMBERED_COUNT: usize = 64;

/// The thread that starts the library, by [`threads::here`]; 0 for none. It alone uses what is remembered, and no longer: an
/// object may be unloaded later, and another be loaded in its place.
static STARTER: AtomicUsize = AtomicUsize::new(0);

static REMEMBERED: Remembered = Remembered(UnsafeCell::new([None; REMEMBERED_COUNT]));

/// Dynamic sections, and the objects that they are of.
struct Remembered(UnsafeCell<[Option<(usize, Object)>; REMEMBERED_COUNT]>);

// SAFETY: used by the one thread that starts the library.
unsafe impl Sync for Remembered {}

/// Does the work of a start, for which the objects are read once.
pub fn remembering<R>(work: impl FnOnce() -> R) -> R {
    STARTER.store(threads::here(), Ordering::Relaxed);
    let answer = work();
    STARTER.store(0, Ordering::Relaxed);
    answer
}

/// The object of an entry.
fn read(map: &'static LinkMap) -> Object {
    if STARTER.load(Ordering::Relaxed) != threads::here() {
        return Object::of(map);
    }
    // SAFETY: this is the one thread, and no reference outlives the statement that takes it.
    let place = unsafe { (*REMEMBERED.0.get()).as_mut_ptr().add(map.dynamic() / 8 % REMEMBERED_COUNT) };
    // SAFETY: as above; the place is inside the array.
    match unsafe { *place } {
        Some((dynamic, object)) if dynamic == map.dynamic() => object,
        _ => {
            let object = Object::of(map);
            // SAFETY: as above.
            unsafe { *place = Some((map.dynamic(), object)) };
            object
        }
    }
}

/// The linker's record for debuggers (`link.h`).
#[repr(C)]
struct Debug {
    version: i32,
    first: *const LinkMap,
}

/// glibc's shared libraries that define what is looked for: two of them are apart before glibc 2.34.
const LIBC: &CStr = c"libc.so.6";
const LIBPTHREAD: &CStr = c"libpthread.so.0";
const LIBDL: &CStr = c"libdl.so.2";
const LINKER: &CStr = c"ld-linux-x86-64.so.2";

/// The objects in their order, which is that of look-ups as long as no library was loaded later.
pub fn all() -> impl Iterator<Item = &'static LinkMap> {
    let mut next = Block::find().map_or(std::ptr::null(), |block| first(&block));
    std::iter::from_fn(move || {
        // SAFETY: null, or an entry of the list; the objects that are looked at are never unloaded.
        let map = unsafe { next.as_ref() }?;
        next = map.next();
        Some(map)
    })
}

fn first(block: &Block) -> *const LinkMap {
    let (Some(headers), Some(count)) = (block.auxiliary(libc::AT_PHDR), block.auxiliary(libc::AT_PHNUM)) else {
        return std::ptr::null();
    };
    // SAFETY: the kernel's, or the dynamic linker's, word for the program's own headers.
    let headers = unsafe { std::slice::from_raw_parts(headers as *const libc::Elf64_Phdr, count) };
    let of = |kind: u32| headers.iter().find(|header| header.p_type == kind);
    let base = of(libc::PT_PHDR).map_or(0, |own| (headers.as_ptr() as usize).wrapping_sub(own.p_vaddr as usize));
    let debug = of(libc::PT_DYNAMIC).and_then(|dynamic| {
        const DT_DEBUG: usize = 21;
        let mut entry = base.wrapping_add(dynamic.p_vaddr as usize) as *const [usize; 2];
        // SAFETY: the program's dynamic section, which ends with a null.
        unsafe {
            while (*entry)[0] != 0 {
                if (*entry)[0] == DT_DEBUG && (*entry)[1] != 0 {
                    return Some((*entry)[1]);
                }
                entry = entry.add(1);
            }
        }
        None
    });
    // SAFETY: the linker's record lives as long as the linker.
    debug.map_or(std::ptr::null(), |debug| unsafe { (*(debug as *const Debug)).first })
}

/// This library's own entry.
pub fn own() -> Option<&'static LinkMap> {
    let dynamic = own_dynamic();
    all().find(|map| map.dynamic() == dynamic)
}

fn own_dynamic() -> usize {
    let address: usize;
    // SAFETY: the linker's own name for this object's dynamic section; only its address is taken.
    unsafe {
        std::arch::asm!("lea {address}, [rip + _DYNAMIC]", address = out(reg) address, options(nomem, nostack, preserves_flags));
    }
    address
}

/// What the next object behind this library exports under a name.
pub fn find_next(name: &CStr) -> Option<*const ()> {
    let dynamic = own_dynamic();
    all().skip_while(|map| map.dynamic() != dynamic).skip(1).find_map(|map| read(map).find(name))
}

/// What references to a name are bound to, those of libc's own too: a program may have a copy of libc's variable.
pub fn find_first(name: &CStr) -> Option<*const ()> {
    all().find_map(|map| read(map).find(name))
}

/// What glibc itself defines under a name, whoever else exports one.
pub fn find_in_libc(name: &CStr) -> Option<*const ()> {
    [LIBPTHREAD, LIBC, LIBDL].into_iter().find_map(|library| object(library)?.find(name))
}

/// What the first object that is not libc's defines under a name, if it defines the other one too.
pub fn find_beside(name: &CStr, other: &CStr) -> Option<*const ()> {
    let is_libc = |object: &Object| [LIBC, LIBPTHREAD].iter().any(|library| object.is_called(library));
    let both = |object: Object| object.find(other).and_then(|_| object.find(name));
    all().map(Object::of).filter(|object| !is_libc(object)).find_map(both)
}

/// What the dynamic linker defines under a name.
pub fn find_in_linker(name: &CStr) -> Option<*const ()> {
    object(LINKER)?.find(name)
}

/// Whether threads are in a library apart (glibc before 2.34), and that library is not loaded.
pub fn lacks_threads() -> bool {
    object(LIBPTHREAD).is_none() && object(LIBC).is_some_and(|libc| libc.find(c"pthread_create").is_none())
}

fn object(soname: &CStr) -> Option<Object> {
    all().map(read).find(|object| object.is_called(soname))
}

//! What only libc itself can do, found in libc's own symbol table and nowhere else.
//!
//! Each name is a jump through a record, which holds the resolver until the function has been looked up. A program's own
//! `dlopen` is not met. One exception is `pthread_create` and its kin where one object brings them together with `malloc`,
//! as sanitizers and some allocators do: they have to know each thread that allocates, and a library under us allocates
//! in ours.
#![allow(unsafe_code)]

use super::link_map;
use crate::call_frame::{restore_call, save_call};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function of libc's.
#[repr(C)]
pub struct Import {
    /// Jumped to by the assembly, at offset 0: the resolver, until the function has been looked up.
    target: AtomicPtr<()>,
    /// Returned where this libc has no such function, at offset 8.
    answer: u64,
    name: *const c_char,
    /// Whether it works only once libpthread is loaded (glibc before 2.34).
    is_of_threads: bool,
}

// SAFETY: `name` points to a constant, `target` is atomic.
unsafe impl Sync for Import {}

impl Import {
    const fn new(name: &'static str, answer: u64, is_of_threads: bool) -> Self {
        let target = AtomicPtr::new(sidestep_import_resolve as *const () as *mut ());
        Self { target, answer, name: name.as_ptr().cast(), is_of_threads }
    }

    /// The function's address.
    fn find(&self) -> Option<*const ()> {
        // SAFETY: a constant with its NUL.
        let name = unsafe { CStr::from_ptr(self.name) };
        if self.is_of_threads && link_map::lacks_threads() {
            load(c"libpthread.so.0");
        }
        if [c"pthread_create", c"pthread_detach", c"pthread_join"].contains(&name)
            && let Some(found) = link_map::find_beside(name, c"malloc")
        {
            return Some(found);
        }
        link_map::find_in_libc(name).or_else(|| {
            // Before 2.34 these are in a library that few programs are linked with.
            name.to_bytes().starts_with(b"dl").then(|| load(c"libdl.so.2"))?;
            link_map::find_in_libc(name)
        })
    }
}

/// Loads a part of an older glibc, by the call that its own parts use for that.
fn load(library: &CStr) {
    /// glibc's mark that the call comes from inside.
    const FROM_INSIDE: c_int = c_int::MIN;
    if let Some(open) = link_map::find_in_libc(c"__libc_dlopen_mode") {
        // SAFETY: the function of that name has this type in every glibc that has it (2.2 to 2.33).
        let open = unsafe {
            std::mem::transmute::<*const (), unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void>(open)
        };
        // SAFETY: a terminated name.
        unsafe { open(library.as_ptr(), libc::RTLD_NOW | FROM_INSIDE) };
    }
}

/// Finds the function, and remembers it. What is not there is looked for again: libpthread may come later.
unsafe extern "C" fn resolve(import: &Import) -> *const () {
    match import.find() {
        Some(target) => {
            import.target.store(target.cast_mut(), Ordering::Relaxed);
            target
        }
        None => sidestep_import_missing as *const (),
    }
}

std::arch::global_asm!(
    ".pushsection .text.sidestep_import, \"ax\", @progbits",
    // r11: the import. All of a C function's argument registers are kept.
    ".balign 16",
    ".globl sidestep_import_resolve",
    ".hidden sidestep_import_resolve",
    ".type sidestep_import_resolve, @function",
    "sidestep_import_resolve:",
    ".cfi_startproc",
    save_call!("64"),
    "mov rdi, r11",
    "call {resolve}",
    "mov r10, rax",
    restore_call!(),
    "jmp r10",
    ".cfi_endproc",
    ".size sidestep_import_resolve, . - sidestep_import_resolve",
    ".globl sidestep_import_missing",
    ".hidden sidestep_import_missing",
    ".type sidestep_import_missing, @function",
    "sidestep_import_missing:",
    "mov rax, [r11 + 8]",
    "ret",
    ".size sidestep_import_missing, . - sidestep_import_missing",
    ".popsection",
    resolve = sym resolve,
);

unsafe extern "C" {
    fn sidestep_import_resolve();
    fn sidestep_import_missing();
}

/// Defines imports: the symbol that the library is linked with, libc's name for it, what is answered where there is none,
/// and whether it is one of libpthread's.
macro_rules! imports {
    ($($symbol:ident = $name:literal, $answer:expr, $is_of_threads:expr;)*) => {
        #[allow(non_upper_case_globals)]
        mod records {
            use super::Import;
            $(pub static $symbol: Import = Import::new(concat!($name, "\0"), $answer as u64, $is_of_threads);)*
        }
        $(std::arch::global_asm!(
            concat!(".pushsection .text.sidestep_runtime.", stringify!($symbol), ", \"ax\", @progbits"),
            concat!(".globl ", stringify!($symbol)),
            concat!(".hidden ", stringify!($symbol)),
            concat!(".type ", stringify!($symbol), ", @function"),
            concat!(stringify!($symbol), ":"),
            "lea r11, [rip + {record}]",
            "jmp qword ptr [r11]",
            concat!(".size ", stringify!($symbol), ", . - ", stringify!($symbol)),
            ".popsection",
            record = sym records::$symbol,
        );)*
    };
}

imports! {
    pthread_create = "pthread_create", libc::ENOSYS, true;
    pthread_detach = "pthread_detach", libc::ENOSYS, true;
    pthread_join = "pthread_join", libc::ENOSYS, true;
    pthread_kill = "pthread_kill", libc::ENOSYS, true;
    pthread_attr_init = "pthread_attr_init", libc::ENOSYS, true;
    pthread_attr_destroy = "pthread_attr_destroy", libc::ENOSYS, true;
    pthread_attr_setstacksize = "pthread_attr_setstacksize", libc::ENOSYS, true;
    pthread_attr_getstack = "pthread_attr_getstack", libc::ENOSYS, true;
    pthread_attr_getguardsize = "pthread_attr_getguardsize", libc::ENOSYS, true;
    pthread_attr_setstack = "pthread_attr_setstack", libc::ENOSYS, true;
    pthread_attr_setdetachstate = "pthread_attr_setdetachstate", libc::ENOSYS, true;
    pthread_attr_setguardsize = "pthread_attr_setguardsize", libc::ENOSYS, true;
    pthread_getattr_np = "pthread_getattr_np", libc::ENOSYS, true;
    pthread_setname_np = "pthread_setname_np", libc::ENOSYS, true;
    pthread_key_create = "pthread_key_create", libc::ENOSYS, true;
    pthread_key_delete = "pthread_key_delete", libc::ENOSYS, true;
    pthread_getspecific = "pthread_getspecific", 0, true;
    pthread_setspecific = "pthread_setspecific", libc::ENOSYS, true;
    pthread_mutex_init = "pthread_mutex_init", libc::ENOSYS, true;
    pthread_mutex_destroy = "pthread_mutex_destroy", libc::ENOSYS, true;
    pthread_mutex_lock = "pthread_mutex_lock", libc::ENOSYS, true;
    pthread_mutex_unlock = "pthread_mutex_unlock", libc::ENOSYS, true;
    pthread_mutex_consistent = "pthread_mutex_consistent", libc::ENOSYS, true;
    pthread_mutexattr_init = "pthread_mutexattr_init", libc::ENOSYS, true;
    pthread_mutexattr_destroy = "pthread_mutexattr_destroy", libc::ENOSYS, true;
    pthread_mutexattr_setpshared = "pthread_mutexattr_setpshared", libc::ENOSYS, true;
    pthread_mutexattr_setrobust = "pthread_mutexattr_setrobust", libc::ENOSYS, true;
    pthread_self = "pthread_self", 0, false;
    pthread_setcancelstate = "pthread_setcancelstate", 0, false;
    pthread_setcanceltype = "pthread_setcanceltype", 0, false;
    pthread_testcancel = "pthread_testcancel", 0, false;
    abort = "abort", 0, false;
    dladdr = "dladdr", 0, false;
    dlerror = "dlerror", 0, false;
    dlopen = "dlopen", 0, false;
    dl_iterate_phdr = "dl_iterate_phdr", 0, false;
    gnu_get_libc_version = "gnu_get_libc_version", 0, false;
    __cxa_thread_atexit_impl = "__cxa_thread_atexit_impl", 0, false;
    __xpg_strerror_r = "__xpg_strerror_r", libc::ENOSYS, false;
    sidestep_libc_dlsym = "dlsym", 0, false;
    sidestep_libc_errno = "__errno_location", 0, false;
    sidestep_libc_realpath = "realpath", 0, false;
    sidestep_libc_register_atfork = "__register_atfork", libc::ENOSYS, false;
}

unsafe extern "C" {
    /// libc's own `dlsym`.
    pub fn sidestep_libc_dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    /// libc's own `__errno_location`.
    pub fn sidestep_libc_errno() -> *mut c_int;
    fn sidestep_libc_realpath(path: *const c_char, resolved: *mut c_char) -> *mut c_char;
    fn sidestep_libc_register_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
        object: *const c_void,
    ) -> c_int;
}

/// `realpath(path, resolved)`. libc would allocate from the program's `malloc`, which our `free` is not for.
unsafe extern "C" fn realpath(path: *const c_char, resolved: *mut c_char) -> *mut c_char {
    // SAFETY: as the C function's; libc writes at most `PATH_MAX` bytes.
    unsafe {
        if !resolved.is_null() {
            return sidestep_libc_realpath(path, resolved);
        }
        let room = super::memory::malloc(libc::PATH_MAX as usize).cast::<c_char>();
        if room.is_null() {
            return room;
        }
        let found = sidestep_libc_realpath(path, room);
        if found.is_null() {
            *super::errno::__errno_location() = *sidestep_libc_errno();
            super::memory::free(room.cast());
        }
        found
    }
}

/// `pthread_atfork(prepare, parent, child)`: a part of libc's that is linked statically, as it knows whose handlers they are.
unsafe extern "C" fn pthread_atfork(
    prepare: Option<unsafe extern "C" fn()>,
    parent: Option<unsafe extern "C" fn()>,
    child: Option<unsafe extern "C" fn()>,
) -> c_int {
    // SAFETY: the library is never unloaded, so no object needs to be named.
    unsafe { sidestep_libc_register_atfork(prepare, parent, child, std::ptr::null()) }
}

super::provide! {
    "realpath" = crate::runtime::import::realpath;
    "pthread_atfork" = crate::runtime::import::pthread_atfork;
}

//! A pool connected, a container opened, its POSIX namespace mounted.
#![allow(unsafe_code)]

use super::bounded::bounded;
use super::{daos_call, dfs_call, entries, session};
use crate::ground::mounts::MountOptions;
use crate::ground::{Errno, Result, waiting};
use crate::store::daos::bindings::{
    d_iov_t, daos_cont_info_t, daos_event_t, daos_handle_t, daos_pool_info_t, dfs_attr_t, dfs_t,
};
use crate::store::daos::entrance;
use crate::store::daos::error::{DaosError, of_daos, of_dfs};
use crate::store::daos::layout::Layout;
use crate::store::daos::library::{self, Library};
use crate::store::daos::lock::Lock;
use crate::store::daos::open_error::{OpenError, Step};
use crate::store::daos::patience::{self, Patience};
use crate::store::daos::straight::LeftWrites;
use std::ffi::CString;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// A call that is to be made with an event: so that it ends when patience does.
type WithEvent<'a> = &'a mut dyn FnMut(*mut daos_event_t) -> i32;

/// `DAOS_PC_RO`, `DAOS_COO_RO`.
const READ_ONLY: u32 = 1;

/// `DAOS_PC_RW`, `DAOS_COO_RW`.
const READ_WRITE: u32 = 2;

/// `DFS_BALANCED`: what a container that was made so can only be mounted with.
const BALANCED: i32 = 4;

/// `DPI_SPACE`.
const ASK_FOR_SPACE: u64 = 1;

/// Room for what a library writes down of a mount; known ones need 128.
const MOUNT_BYTES_MAX: usize = 1024;

/// Room that a library of another release may write behind what we know of a structure.
#[repr(C)]
struct WithRoom<T> {
    value: T,
    room: [u8; 512],
}

/// What the calls of a connection write to.
struct Told {
    pool: daos_handle_t,
    container: daos_handle_t,
    info: WithRoom<daos_cont_info_t>,
}

/// How long each step of a connection took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectTimes {
    /// Loading the libraries.
    pub load: i64,
    /// `daos_init`.
    pub start: i64,
    /// The pool.
    pub pool: i64,
    /// The container.
    pub container: i64,
    /// The namespace.
    pub mount: i64,
}

/// A mounted container. It is never unmounted: descriptors and the program's end are the application's business, and
/// the servers drop what a process leaves.
pub struct Mounted {
    /// The libraries.
    pub library: &'static Library,
    pool: daos_handle_t,
    pub(super) container: daos_handle_t,
    dfs: AtomicPtr<dfs_t>,
    /// The process that mounted it, in a line of forks.
    generation: AtomicU32,
    remounting: Lock<()>,
    /// The container's UUID.
    pub uuid: [u8; 16],
    /// Whether it can't be written, by option, right or snapshot.
    pub is_read_only: bool,
    /// Whether it may be read past libdfs.
    pub layout: Layout,
    /// How long a call may wait, in seconds.
    pub timeout_seconds: u32,
    /// Chunk size of new files that the mount asks for, in bytes; 0 leaves it to directory and container.
    pub chunk_bytes: u64,
    /// The container's own chunk size, in bytes.
    pub container_chunk_bytes: u64,
    /// What the connection cost.
    pub times: ConnectTimes,
    /// Calls of the library so far that are messages, for whoever counts.
    pub messages: AtomicU64,
    /// Writes of the application's memory that nobody waits for any more.
    pub left_writes: LeftWrites,
}

impl Mounted {
    /// Connects. Whoever calls is inside.
    ///
    /// # Errors
    /// As [`OpenError`] has them.
    pub fn connect(
        pool_name: &str,
        container_name: &str,
        options: &MountOptions,
    ) -> std::result::Result<Self, OpenError> {
        let mut times = ConnectTimes::default();
        let mut last = patience::now();
        let mut lap = || {
            let now = patience::now();
            now - std::mem::replace(&mut last, now)
        };
        let timeout_seconds = options.timeout_seconds.unwrap_or(60);
        let patience = Patience::of_seconds(timeout_seconds);
        let library = library::load().map_err(OpenError::Library)?;
        times.load = lap();
        let failed = |step, number| OpenError::of(step, number, pool_name, container_name);
        match session::start(library) {
            0 => {}
            number => return Err(failed(Step::Start, number)),
        }
        times.start = lap();
        let text = |text: &str| CString::new(text).map_err(|_| failed(Step::Pool, -1003));
        let (pool_text, container_text) = (text(pool_name)?, text(container_name)?);
        let system = options.system.as_deref().map(text).transpose()?;
        let system = system.as_ref().map_or(std::ptr::null(), |system| system.as_ptr());
        let wants_change = !options.readonly && options.snapshot.is_none();

        // A call that is given up on may still write there.
        // SAFETY: plain numbers.
        let told: &'static mut Told = Box::leak(Box::new(unsafe { std::mem::zeroed() }));
        let is_refused = |number: i32| wants_change && DaosError::from_number(number) == DaosError::NoPermission;
        let mut connect = |flags: u32| {
            let (name, pool) = (pool_text.as_ptr(), &raw mut told.pool);
            wait(library, &patience, &mut |event| {
                daos_call!(library, daos_pool_connect2(name, system, flags, pool, std::ptr::null_mut(), event))
            })
        };
        let mut number = connect(if wants_change { READ_WRITE } else { READ_ONLY });
        if is_refused(number) {
            number = connect(READ_ONLY);
        }
        if let (INVALID, Some(system)) = (number, &options.system) {
            return Err(OpenError::NoSystem { system: system.clone() });
        }
        if number != 0 {
            return Err(failed(Step::Pool, number));
        }
        let pool = told.pool;
        times.pool = lap();

        let mut open = |flags: u32| {
            let (name, container, info) = (container_text.as_ptr(), &raw mut told.container, &raw mut told.info.value);
            wait(library, &patience, &mut |event| {
                daos_call!(library, daos_cont_open2(pool, name, flags, container, info, event))
            })
        };
        let mut may_change = wants_change;
        let mut number = open(if wants_change { READ_WRITE } else { READ_ONLY });
        if is_refused(number) {
            may_change = false;
            number = open(READ_ONLY);
        }
        if number != 0 {
            return Err(failed(Step::Container, number));
        }
        let (container, uuid) = (told.container, told.info.value.ci_uuid);
        times.container = lap();

        let access = if may_change { libc::O_RDWR } else { libc::O_RDONLY };
        let snapshot = options.snapshot.as_deref().map(text).transpose()?;
        let mounted = bounded(patience, move || match snapshot {
            Some(name) => {
                let mut dfs = std::ptr::null_mut();
                let name = name.as_ptr();
                let number = dfs_call!(library, dfs_mount_snap(pool, container, access, 0, name, &raw mut dfs));
                Mount { number, dfs, is_plain: false }
            }
            None => mount(library, (pool, container), access),
        });
        let Mount { number, dfs, is_plain } = mounted.unwrap_or(Mount::failed(TIMED_OUT));
        if number != 0 || dfs.is_null() {
            return Err(match &options.snapshot {
                Some(name) if number == libc::ENOENT => {
                    OpenError::NoSnapshot { container: format!("{pool_name}/{container_name}"), snapshot: name.clone() }
                }
                _ => failed(Step::Mount, number),
            });
        }
        times.mount = lap();

        let told = bounded(patience, move || {
            // SAFETY: plain numbers, and pointers that may be null.
            let mut attributes: Box<WithRoom<dfs_attr_t>> = Box::new(unsafe { std::mem::zeroed() });
            of_dfs(dfs_call!(library, dfs_query(dfs, &raw mut attributes.value)))
                .map(|()| attributes.value.da_chunk_size)
        });
        let may_be_known = is_plain && entries::has_calls(library) && !library.makes_hard_links;
        let write_down = may_be_known.then(|| bounded(patience, move || written_down(library, dfs)));
        let written_down = write_down.and_then(Result::ok).flatten();
        let container_chunk_bytes = match told {
            Ok(Ok(bytes)) if bytes != 0 => bytes,
            // libdfs's own.
            _ => 1 << 20,
        };
        Ok(Self {
            library,
            pool,
            container,
            dfs: AtomicPtr::new(dfs),
            generation: AtomicU32::new(entrance::generation()),
            remounting: Lock::new(()),
            uuid,
            is_read_only: !may_change,
            layout: Layout::of(written_down.as_deref()),
            timeout_seconds,
            chunk_bytes: options.chunk_bytes.unwrap_or(0),
            container_chunk_bytes,
            times,
            messages: AtomicU64::new(0),
            left_writes: LeftWrites::new(),
        })
    }

    pub(super) fn dfs(&self) -> *mut dfs_t {
        self.dfs.load(Ordering::Acquire)
    }

    /// The mount, to make nodes through. libdfs takes the numbers of new objects from a range that it keeps with the
    /// mount: a fork child that went on with its parent's would give its files the objects of its parent's next ones.
    /// So it mounts again, when it first makes something.
    ///
    /// # Errors
    /// The library's.
    pub(super) fn dfs_to_create(&self) -> Result<*mut dfs_t> {
        let generation = entrance::generation();
        if self.generation.load(Ordering::Acquire) != generation {
            let _turn = self.remounting.lock();
            if self.generation.load(Ordering::Acquire) != generation {
                self.count(3);
                let (library, handles, access) = (self.library, (self.pool, self.container), self.access());
                let Mount { number, dfs, .. } = self.bounded(move || mount(library, handles, access))?;
                of_dfs(number)?;
                self.dfs.store(dfs, Ordering::Release);
                self.generation.store(generation, Ordering::Release);
            }
        }
        Ok(self.dfs())
    }

    /// After a call that was to make a node and was left: it may hold the mount's lock on object numbers for as long as
    /// the servers do not answer. Others mount again, rather than wait for it.
    pub(super) fn forget_mount_to_create(&self) {
        self.generation.store(u32::MAX, Ordering::Release);
    }

    /// Makes a call for as long as this mount's `timeout=` says.
    ///
    /// # Errors
    /// As [`bounded`] has them.
    pub(super) fn bounded<T: 'static>(&self, call: impl FnOnce() -> T + 'static) -> Result<T> {
        bounded(self.patience(), call)
    }

    /// In a fork child, before anything else.
    pub fn after_fork_in_child(&self) {
        self.remounting.free_in_child();
        self.left_writes.after_fork_in_child();
    }

    /// How handles are opened: as the mount is.
    pub(super) fn access(&self) -> i32 {
        if self.is_read_only { libc::O_RDONLY } else { libc::O_RDWR }
    }

    /// The time that a call has, with what waited before it for the same call of the application's.
    pub fn patience(&self) -> Patience {
        Patience::of_call(self.timeout_seconds)
    }

    /// Notes a call that is `count` messages at least.
    pub fn count(&self, count: u64) {
        self.messages.fetch_add(count, Ordering::Relaxed);
    }

    /// The pool's bytes in all and free.
    ///
    /// # Errors
    /// The library's.
    pub fn space(&self) -> Result<(u64, u64)> {
        // SAFETY: plain numbers.
        let mut info: Box<WithRoom<daos_pool_info_t>> = Box::new(unsafe { std::mem::zeroed() });
        info.value.pi_bits = ASK_FOR_SPACE;
        let told = &raw mut info.value;
        let number = wait(self.library, &self.patience(), &mut |event| {
            let none = std::ptr::null_mut();
            daos_call!(self.library, daos_pool_query(self.pool, std::ptr::null_mut(), told, none, event))
        });
        self.count(1);
        if number == TIMED_OUT || number == INTERRUPTED {
            // It may still be written to.
            std::mem::forget(info);
            return Err(if number == TIMED_OUT { Errno::TIMEDOUT } else { Errno::INTR });
        }
        of_daos(number)?;
        let space = info.value.pi_space.ps_space;
        Ok((space.s_total.iter().sum(), space.s_free.iter().sum()))
    }

    /// Tells the library that everything is to be kept.
    ///
    /// # Errors
    /// The library's.
    pub fn sync(&self) -> Result<()> {
        if self.is_read_only {
            return Ok(());
        }
        let (library, dfs) = (self.library, self.dfs());
        self.bounded(move || of_dfs(dfs_call!(library, dfs_sync(dfs))))?
    }
}

/// What mounting a container's namespace answered.
struct Mount {
    /// 0 or an errno.
    number: i32,
    dfs: *mut dfs_t,
    /// Neither balanced nor a snapshot.
    is_plain: bool,
}

impl Mount {
    fn failed(number: i32) -> Self {
        Self { number, dfs: std::ptr::null_mut(), is_plain: false }
    }
}

fn mount(library: &'static Library, (pool, container): (daos_handle_t, daos_handle_t), access: i32) -> Mount {
    let mut dfs = std::ptr::null_mut();
    match dfs_call!(library, dfs_mount(pool, container, access, &raw mut dfs)) {
        // A balanced container says so by refusing.
        libc::EPERM | libc::EINVAL | libc::ENOTSUP => {
            let number = dfs_call!(library, dfs_mount(pool, container, access | BALANCED, &raw mut dfs));
            Mount { number, dfs, is_plain: false }
        }
        number => Mount { number, dfs, is_plain: true },
    }
}

/// What libdfs writes down of a mount. No message.
fn written_down(library: &'static Library, dfs: *mut dfs_t) -> Option<Vec<u8>> {
    let mut room = [0u8; MOUNT_BYTES_MAX];
    let mut bytes = d_iov_t { iov_buf: room.as_mut_ptr().cast(), iov_buf_len: room.len(), iov_len: 0 };
    of_dfs(dfs_call!(library, dfs_local2global(dfs, &raw mut bytes))).ok()?;
    room.get(..bytes.iov_len).map(<[u8]>::to_vec)
}

/// What a pool of a system that the agent does not know answers: `-DER_INVAL`. Nothing else of that call is in doubt.
const INVALID: i32 = -1003;

/// What [`wait`] answers when patience ended: `-DER_TIMEDOUT`.
const TIMED_OUT: i32 = -1011;

/// And when a signal wants to end the program: no number of the library's.
pub const INTERRUPTED: i32 = -999_999;

/// Makes a call of libdaos with an event of its own, and waits for its end.
fn wait(library: &'static Library, patience: &Patience, call: WithEvent<'_>) -> i32 {
    let mut event = Box::new(daos_event_t { ev_error: 0, ev_private: [0; 20], ev_debug: 0 });
    let none = daos_handle_t { cookie: 0 };
    match daos_call!(library, daos_event_init(&raw mut *event, none, std::ptr::null_mut())) {
        0 => {}
        number => return number,
    }
    let number = call(&raw mut *event);
    if number != 0 {
        let _ = daos_call!(library, daos_event_fini(&raw mut *event));
        return number;
    }
    loop {
        let microseconds = match patience.next() {
            Ok(microseconds) => microseconds,
            Err(error) => {
                std::mem::forget(event);
                return if error == Errno::INTR { INTERRUPTED } else { TIMED_OUT };
            }
        };
        let mut has_ended = false;
        match daos_call!(library, daos_event_test(&raw mut *event, microseconds, &raw mut has_ended)) {
            0 if has_ended => {
                waiting::answered();
                let number = event.ev_error;
                let _ = daos_call!(library, daos_event_fini(&raw mut *event));
                return number;
            }
            0 => {}
            number => {
                std::mem::forget(event);
                return number;
            }
        }
    }
}

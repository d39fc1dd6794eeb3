//! The mounts of this process: prefixes, and the containers behind them, connected on first touch.

use super::descriptor::{placeholder, table};
use super::{process, turn, working_directory};
use crate::cache::{self, CachedContainer};
use crate::ground::guard::Quiet;
use crate::ground::mounts::{Consistency, Mount as Configuration, StoreUrl};
use crate::ground::{
    Errno, Result, causality, deep_stack, diagnostics, guarded_copy, internal, kernel, own_thread, room, standby,
};
use crate::store::daos::{self, DaosContainer};
use crate::store::local::LocalContainer;
use crate::store::{Container, NodeId};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, Ordering};

/// How long a network is not asked again that could not be reached.
const RETRY_NANOSECONDS: i64 = 10_000_000_000;

/// A mount: a prefix and its container.
pub struct Mount {
    /// Its place in the list; what a hand-over calls it by.
    pub index: usize,
    /// As configured.
    pub configuration: Configuration,
    /// Whether something stands at the prefix on the host too: then a host path may succeed where it should not.
    pub is_on_host: bool,
    container: AtomicPtr<Connected>,
    /// The errno of a connection that failed, so that a dead store costs its message once.
    failure: AtomicI32,
    /// When it failed, by [`kernel::now`].
    failed: AtomicI64,
    /// The thread that connects; 0 for none.
    connecting: AtomicI32,
    /// A child on this memory wanted the container, and the parent should open it for the next one.
    is_wanted: AtomicBool,
    guest: AtomicPtr<Connected>,
    guest_id: AtomicU32,
    /// Whether this is a fork child in which the container can't be used: for good.
    is_lost: AtomicBool,
}

/// A container, and what is asked of it so often that it is kept.
pub struct Connected {
    /// The container itself.
    pub container: Box<dyn Container>,
    /// What tells it from other containers.
    pub id: u64,
    /// `st_dev` of everything in it.
    pub device: u64,
}

impl Connected {
    /// A guard for the whole of a call that asks an engine far away several times, each under a guard of its own: only the
    /// outermost costs system calls. Nothing where the engine is here.
    pub fn quiet(&self) -> Option<Quiet> {
        self.container.is_remote().then(Quiet::enter)
    }
}

/// All mounts, longest prefix first. Set once by `start`.
static MOUNTS: AtomicPtr<Vec<Mount>> = AtomicPtr::new(std::ptr::null_mut());

/// Whether any prefix is there on the host too.
static IS_ANY_ON_HOST: AtomicBool = AtomicBool::new(false);

/// Whether any prefix is there on the host too: then a host call may succeed where it should not.
#[inline(always)]
pub fn is_any_on_host() -> bool {
    IS_ANY_ON_HOST.load(Ordering::Relaxed)
}

/// Whether any mount is causal.
static HAS_CAUSAL: AtomicBool = AtomicBool::new(false);

/// Whether a mount's container will be causal: that of an engine on another machine, if nothing else is said.
fn is_causal(configuration: &Configuration) -> bool {
    let is_remote = matches!(configuration.url, StoreUrl::Daos { .. });
    is_remote && configuration.options.consistency.unwrap_or(Consistency::Causal) == Consistency::Causal
}

/// Sets the mounts. Called once, before any door is open.
pub fn start(configurations: Vec<Configuration>) {
    let mut configurations = configurations;
    configurations.sort_by_key(|configuration| std::cmp::Reverse(configuration.prefix.len()));
    let mounts: Vec<Mount> = configurations
        .into_iter()
        .enumerate()
        .map(|(index, configuration)| Mount {
            index,
            is_on_host: rustix::fs::lstat(configuration.prefix.as_slice()).is_ok(),
            configuration,
            container: AtomicPtr::default(),
            failure: AtomicI32::new(0),
            failed: AtomicI64::new(0),
            connecting: AtomicI32::new(0),
            is_wanted: AtomicBool::new(false),
            guest: AtomicPtr::default(),
            guest_id: AtomicU32::new(0),
            is_lost: AtomicBool::new(false),
        })
        .collect();
    HAS_CAUSAL.store(mounts.iter().any(|mount| is_causal(&mount.configuration)), Ordering::Relaxed);
    IS_ANY_ON_HOST.store(mounts.iter().any(|mount| mount.is_on_host), Ordering::Relaxed);
    MOUNTS.store(Box::into_raw(Box::new(mounts)), Ordering::Release);
}

/// The mounts, longest prefix first.
#[inline]
pub fn all() -> &'static [Mount] {
    super::leaked(&MOUNTS).map_or(&[], Vec::as_slice)
}

impl Mount {
    /// What is left of `path` below the prefix, if it is at or below it; by the bytes, without any normalising.
    #[inline]
    pub fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let prefix = self.configuration.prefix.as_slice();
        let end = prefix.len() - 1;
        // The last byte alone tells nearly every other path from ours, without a call to compare them.
        if path.len() <= end || path[end] != prefix[end] {
            return None;
        }
        let rest = path.strip_prefix(prefix)?;
        match rest.first() {
            None => Some(rest),
            Some(b'/') => Some(rest),
            Some(_) => None,
        }
    }

    /// Whether the path `rest` below the prefix stays with the host.
    pub fn is_excluded(&self, rest: &[u8]) -> bool {
        self.configuration.options.excludes(rest.strip_prefix(b"/").unwrap_or(rest))
    }

    /// The container, connected on first touch.
    ///
    /// # Errors
    /// Why it can't be reached, the same each time; the message went to standard error once.
    #[inline]
    pub fn connect(&'static self) -> Result<&'static Connected> {
        // A child that was made past libc's handlers, or past every door, sets its tables right before it uses them.
        process::standing();
        if room::is_low() {
            return Err(Errno::NOMEM);
        }
        match super::leaked(&self.container) {
            Some(connected) => Ok(connected),
            None => self.connect_first(),
        }
    }

    /// Whether there is an embedded store to connect to: one that is not there yet is not made for this.
    pub fn has_store(&self) -> bool {
        match &self.configuration.url {
            StoreUrl::Local { directory } => LocalContainer::is_there(directory),
            StoreUrl::Daos { .. } => false,
        }
    }

    /// The container, if it was connected already.
    pub fn connected(&'static self) -> Option<&'static Connected> {
        super::leaked(&self.container)
    }

    #[cold]
    fn connect_first(&'static self) -> Result<&'static Connected> {
        if self.is_lost.load(Ordering::Acquire) {
            return Err(Errno::IO);
        }
        if process::is_guest() {
            return self.connect_as_guest();
        }
        let _quiet = Quiet::enter();
        guarded_copy::start();
        if let Ok(any) = placeholder::prepare() {
            internal::fill_reserve(any);
        }
        turn::wait(&self.connecting).map_err(|error| {
            self.refuse(error, "a thread that loads a library waits for the one that connects; try again")
        })?;
        let outcome = match (super::leaked(&self.container), self.failure_that_holds()) {
            (Some(connected), _) => Ok(connected),
            (None, 0) => deep_stack::run(|| self.open()).inspect_err(|error| {
                self.failed.store(kernel::now(), Ordering::Relaxed);
                self.failure.store(error.raw_os_error(), Ordering::Release);
            }),
            (None, errno) => Err(Errno::from_raw_os_error(errno)),
        };
        if let Ok(connected) = outcome {
            self.container.store(std::ptr::from_ref(connected).cast_mut(), Ordering::Release);
        }
        self.connecting.store(0, Ordering::Release);
        outcome
    }

    /// The errno of a failure that is not tried again (yet): of a directory never, of a network after a while, since a
    /// long job may outlive an agent's restart.
    fn failure_that_holds(&self) -> i32 {
        let is_old = kernel::now() - self.failed.load(Ordering::Relaxed) > RETRY_NANOSECONDS;
        let is_remote = matches!(self.configuration.url, StoreUrl::Daos { .. });
        if is_remote && is_old { 0 } else { self.failure.load(Ordering::Acquire) }
    }

    /// A vfork child may not leave descriptors of its own in its parent's memory: it opens the container for itself,
    /// and asks the parent to open it before the next child needs it.
    fn connect_as_guest(&'static self) -> Result<&'static Connected> {
        let _quiet = Quiet::enter();
        let id = rustix::process::getpid().as_raw_pid().cast_unsigned();
        if self.guest_id.load(Ordering::Acquire) == id
            && let Some(connected) = super::leaked(&self.guest)
        {
            return Ok(connected);
        }
        if matches!(self.configuration.url, StoreUrl::Daos { .. }) {
            // Its sockets would be this child's and its memory the parent's: the parent connects it, now or for the next.
            if standby::is_there() {
                return standby::perform(|| self.connect_first());
            }
            self.is_wanted.store(true, Ordering::Release);
            return Err(
                self.refuse(Errno::AGAIN, "not connected yet when a child was made that opens a file; try again")
            );
        }
        let connected = deep_stack::run(|| self.open())?;
        self.guest.store(std::ptr::from_ref(connected).cast_mut(), Ordering::Release);
        self.guest_id.store(id, Ordering::Release);
        self.is_wanted.store(true, Ordering::Release);
        Ok(connected)
    }

    fn open(&self) -> Result<&'static Connected> {
        if !room::is_plenty() {
            return Err(self.refuse(Errno::NOMEM, "no memory is left to open it; raise ulimit -v or ulimit -d"));
        }
        let container: Box<dyn Container> = match &self.configuration.url {
            StoreUrl::Local { directory } => match LocalContainer::open(directory, &self.configuration.options) {
                Ok(container) => Box::new(container),
                Err(error) => return Err(self.refuse(error.errno(), &error.to_string())),
            },
            StoreUrl::Daos { pool, container } => {
                match DaosContainer::open(pool, container, &self.configuration.options) {
                    Ok(container) => Box::new(CachedContainer::new(container, &self.configuration.options)),
                    Err(error) => return Err(self.refuse(error.errno(), &error.to_string())),
                }
            }
        };
        let id = container.capacity().map_or(0, |capacity| capacity.id);
        Ok(Box::leak(Box::new(Connected { container, id, device: id & 0xffff_ffff })))
    }

    /// Nobody here uses the container again.
    fn lose(&self) {
        self.is_lost.store(true, Ordering::Release);
        self.container.store(std::ptr::null_mut(), Ordering::Release);
        table::lose(self);
        self.refuse(
            Errno::IO,
            "this process was made while other threads were inside the DAOS client, by a clone() that is not libc's fork, or \
             past the time that a fork waits for servers: what they left can't be used, and all files there are EIO in \
             this process; use fork() or posix_spawn()",
        );
    }

    fn refuse(&self, errno: Errno, why: &str) -> Errno {
        let prefix = String::from_utf8_lossy(&self.configuration.prefix);
        diagnostics::say(&format!("mount {prefix}: {why}"));
        errno
    }
}

/// Before a vfork: somebody stands by who does for the child what only this process can.
pub fn stand_by() {
    if all().iter().any(|mount| matches!(mount.configuration.url, StoreUrl::Daos { .. })) {
        standby::prepare();
    }
}

/// Connects what a vfork child of this process had to connect for itself.
pub fn connect_wanted() {
    for mount in all() {
        if mount.is_wanted.swap(false, Ordering::AcqRel) {
            // A failure was told by the child, and is told by the first real use.
            let _ = mount.connect();
        }
    }
}

/// The mount whose prefix is `name` in a directory of `outer`, where one mount lies within another. The text of the
/// names is compared first, so that a walk pays nothing where no prefix is called so.
pub fn nested_at(outer: &'static Mount, directory: NodeId, name: &[u8]) -> Option<&'static Mount> {
    all().iter().find(|inner| {
        let Some(rest) = outer.below(&inner.configuration.prefix) else { return false };
        let Some(parent) = rest.strip_suffix(name).and_then(|rest| rest.strip_suffix(b"/")) else { return false };
        working_directory::path_of(outer, directory).is_ok_and(|path| outer.below(path.as_bytes()) == Some(parent))
    })
}

/// Whether a mount is causal, connected or not.
pub fn has_causal() -> bool {
    HAS_CAUSAL.load(Ordering::Relaxed)
}

fn connected() -> impl Iterator<Item = &'static Connected> {
    all().iter().filter_map(Mount::connected)
}

/// The prefixes of all mounts.
pub fn prefixes() -> impl Iterator<Item = &'static [u8]> + Clone {
    all().iter().map(|mount| mount.configuration.prefix.as_slice())
}

/// Every byte that this process has written is in its store: before another process is made, and before this one ends
/// or becomes another program. What goes wrong stays with the files that it befell.
pub fn flush() {
    connected().for_each(|connected| connected.container.flush());
}

/// What this process has written to containers that are causal is in their stores: before it tells anybody anything.
pub fn release() {
    // In a child that was made past libc's handlers, what was not stored is its parent's.
    if process::standing() != process::Standing::Guest && causality::has_unstored() {
        cache::release();
    }
}

/// This process ends: what it shared with others of this node is removed if it was the last.
pub fn leave() {
    connected().for_each(|connected| connected.container.leave());
}

/// Before a fork: no other thread is inside an engine from here to one of the next two.
pub fn before_fork() {
    connected().for_each(|connected| connected.container.rest_before_fork());
    connected().for_each(|connected| connected.container.before_fork());
}

/// A thread of the program is about to end.
pub fn thread_ends() {
    if own_thread::may_be_last() {
        standby::thread_ends();
        cache::thread_ends();
    }
}

/// After a fork, in the parent.
pub fn after_fork_in_parent() {
    connected().for_each(|connected| connected.container.after_fork_in_parent());
}

/// Tells every connected container that this is a fork child.
pub fn after_fork_in_child() {
    deep_stack::after_fork_in_child();
    own_thread::after_fork_in_child();
    standby::after_fork_in_child();
    for mount in all() {
        mount.connecting.store(0, Ordering::Release);
        if let Some(connected) = mount.connected()
            && connected.container.after_fork_in_child().is_err()
        {
            mount.lose();
        }
    }
}

/// Whether a descriptor's link leads to the file on which an embedded store's holds are kept.
pub fn is_hold_link(link: &[u8]) -> bool {
    all().iter().any(|mount| match &mount.configuration.url {
        StoreUrl::Local { directory } => {
            let is_live = link.strip_suffix(b"/live");
            is_live.is_some_and(|store| directory.file_name().is_some_and(|name| store.ends_with(name.as_bytes())))
        }
        StoreUrl::Daos { .. } => daos::is_hold_link(link),
    })
}

/// The mount that an absolute path is below, by its bytes, and the rest of the path.
#[inline]
pub fn find(path: &[u8]) -> Option<(&'static Mount, &[u8])> {
    all().iter().find_map(|mount| mount.below(path).map(|rest| (mount, rest)))
}

//! Calls on paths: to the operation where the path is ours, to the kernel where it is not, and for the second look
//! where the kernel finds nothing.

use super::arguments::{self, Room, Start};
use super::{Call, Verdict, fault};
use crate::serve::kernel;
use house::ground::{Errno, Result};
use house::posix::path::route::second_look;
use house::posix::path::{Last, LastName, PathBuffer, Place, Route, Rules, Symlinks, route};
use house::posix::report::{self, Class};

/// Which of a call's arguments are directory and path.
#[derive(Clone, Copy)]
pub struct Where {
    /// The `dirfd` argument, or `None` for the working directory.
    pub directory: Option<usize>,
    /// The path argument.
    pub path: usize,
    /// How the path is followed.
    pub rules: Rules,
}

impl Where {
    /// `path` from the working directory.
    pub fn plain(path: usize, symlinks: Symlinks) -> Self {
        Self { directory: None, path, rules: symlinks.into() }
    }

    /// `path` from `directory`.
    pub fn at(directory: usize, path: usize, symlinks: Symlinks) -> Self {
        Self { directory: Some(directory), path, rules: symlinks.into() }
    }

    /// The same, with another question about the last name.
    pub fn asking(self, last: LastName) -> Self {
        Self { rules: self.rules.asking(last), ..self }
    }

    /// Sends the call to an absolute path instead. The path has to outlive the call.
    pub fn redirect(&self, call: &mut Call, path: &PathBuffer) {
        if let Some(index) = self.directory {
            call.arguments[index] = libc::AT_FDCWD as u64;
        }
        call.arguments[self.path] = path.as_c_str().as_ptr() as u64;
    }

    /// Where the call's path starts.
    pub fn start(&self, call: &Call) -> Start {
        self.directory.map_or_else(Start::working_directory, |index| Start::at(call.arguments[index]))
    }
}

/// What a path turned out to be.
enum Turn {
    /// Ours: the operation's result.
    Ours(Result<i64>),
    /// The host's, as it is.
    Host,
    /// The host's, elsewhere: the kernel's result there.
    Elsewhere(i64),
}

/// Makes a call on one path.
///
/// # Safety
/// The call's pointers are worth what a system call's are.
pub unsafe fn on_path(call: &mut Call, place: Where, operation: impl FnMut(Place<'_>) -> Result<i64>) -> Verdict {
    // SAFETY: by the caller's word.
    unsafe { on_path_counted(call, place, Class::Name, operation) }
}

/// As [`on_path`], counted as something else.
///
/// # Safety
/// As `on_path`.
pub unsafe fn on_path_counted(
    call: &mut Call,
    place: Where,
    class: Class,
    mut operation: impl FnMut(Place<'_>) -> Result<i64>,
) -> Verdict {
    // A path that can't be read is the kernel's to refuse.
    let mut room = Room::new();
    let Ok(path) = arguments::path(call.arguments[place.path], &mut room) else { return Verdict::Pass };
    let start = place.start(call);
    let begun = report::begin();
    let mut mount = usize::MAX;
    let mut counted = |place: Place<'_>| {
        mount = place.mount.index;
        fault::strike();
        operation(place)
    };
    let routed = route(start.base(), path, place.rules);
    // SAFETY: by the caller's word.
    let turn = unsafe { follow(call, place, routed, &mut counted) };
    let verdict = match turn {
        Turn::Ours(outcome) => Verdict::of(outcome),
        Turn::Elsewhere(result) => Verdict::Done(result),
        // SAFETY: by the caller's word.
        Turn::Host if matches!(class, Class::Open) && unsafe { blocks_in_place(call, place) } => Verdict::Pass,
        Turn::Host => {
            // SAFETY: by the caller's word.
            let result = unsafe { kernel(call) };
            if result != -i64::from(libc::ENOENT) {
                return Verdict::Done(result);
            }
            match second_look(start.base(), path, place.rules) {
                Ok(None) => Verdict::Done(result),
                Err(error) => Verdict::of::<i64>(Err(error)),
                // SAFETY: by the caller's word.
                Ok(Some(found)) => match unsafe { follow(call, place, Ok(found), &mut counted) } {
                    Turn::Ours(outcome) => Verdict::of(outcome),
                    Turn::Elsewhere(elsewhere) => Verdict::Done(elsewhere),
                    Turn::Host => Verdict::Done(result),
                },
            }
        }
    };
    if let (Verdict::Done(result), true) = (verdict, mount != usize::MAX) {
        report::end(begun, mount, class, result);
    }
    verdict
}

/// Whether an open is left to the kernel for good, because it may block (a FIFO, a terminal), and a thread that blocks
/// in here can't be cancelled. Only what is not there gets a second look, so one look before is enough; it costs some
/// 280 ns, where there are threads.
///
/// # Safety
/// As `on_path`.
unsafe fn blocks_in_place(call: &Call, place: Where) -> bool {
    if house::ground::threads::is_single() {
        return false;
    }
    let directory = place.directory.map_or(libc::AT_FDCWD as u64, |index| call.arguments[index]);
    let arguments = [directory, call.arguments[place.path], libc::F_OK as u64, 0, 0, 0];
    let look = Call { number: libc::SYS_faccessat as u64, arguments };
    // SAFETY: by the caller's word.
    unsafe { kernel(&look) != -i64::from(libc::ENOENT) }
}

unsafe fn follow(
    call: &Call,
    place: Where,
    routed: Result<Route<'_>>,
    operation: &mut dyn FnMut(Place<'_>) -> Result<i64>,
) -> Turn {
    match routed {
        Err(error) => Turn::Ours(Err(error)),
        Ok(Route::Host) => Turn::Host,
        Ok(Route::Ours(place)) => Turn::Ours(operation(place)),
        Ok(Route::HostAt(path)) => {
            let mut moved = *call;
            place.redirect(&mut moved, &path);
            // SAFETY: the caller's word, and the path lives until the call is over.
            Turn::Elsewhere(unsafe { kernel(&moved) })
        }
        // Its link in /proc is a symlink of the host's: as itself it is the kernel's.
        Ok(Route::Descriptor(_)) if !place.rules.follows_last() => Turn::Host,
        Ok(Route::Descriptor(descriptor)) => match opened_place(descriptor) {
            Ok(place) => Turn::Ours(operation(place)),
            Err(error) => Turn::Ours(Err(error)),
        },
    }
}

/// What a descriptor of ours is open on, as a place without a name.
///
/// # Errors
/// `EBADF`.
pub fn opened_place(descriptor: i32) -> Result<Place<'static>> {
    let held = house::posix::descriptor::table::get(descriptor)?.ok_or(Errno::BADF)?;
    let connected = held.mount.connect()?;
    Ok(Place::of_node(held.mount, connected, held.found(), Last::Root))
}

/// Where a path of a two-path call leads.
pub enum Side<'a> {
    /// Under a prefix.
    Ours(Place<'a>),
    /// On the host, at the path that is put into the call instead.
    Host(Option<PathBuffer>),
}

/// One path of a two-path call, which is copied to `room`.
///
/// # Errors
/// Those of the resolution under a prefix, `EFAULT`, `ENAMETOOLONG`.
pub fn side<'a>(call: &Call, place: Where, looks_twice: bool, room: &'a mut Room) -> Result<Side<'a>> {
    let path = arguments::path(call.arguments[place.path], room)?;
    let start = place.start(call);
    let routed = match route(start.base(), path, place.rules)? {
        Route::Host if looks_twice => second_look(start.base(), path, place.rules)?.unwrap_or(Route::Host),
        routed => routed,
    };
    match routed {
        Route::Host => Ok(Side::Host(None)),
        Route::HostAt(path) => Ok(Side::Host(Some(path))),
        Route::Ours(place) => Ok(Side::Ours(place)),
        Route::Descriptor(_) if !place.rules.follows_last() => Ok(Side::Host(None)),
        Route::Descriptor(descriptor) => opened_place(descriptor).map(Side::Ours),
    }
}

/// What a call on two paths finds out before it knows whether both are on one file system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TwoPaths {
    /// `rename`: whether the two directories are there.
    Rename,
    /// `link`: what the first path leads to, and whether the second name is free.
    Link,
}

/// Makes a call on two paths. Between a prefix and the host it is `EXDEV`.
///
/// # Safety
/// As `on_path`.
pub unsafe fn on_two_paths(
    call: &mut Call,
    which: TwoPaths,
    from: Where,
    to: Where,
    operation: impl Fn(&Place<'_>, &Place<'_>) -> Result<()>,
) -> Verdict {
    // SAFETY: by the caller's word.
    let first = unsafe { attempt(call, which, from, to, false, &operation) };
    if first != Verdict::Done(-i64::from(libc::ENOENT)) {
        return first;
    }
    // SAFETY: by the caller's word.
    unsafe { attempt(call, which, from, to, true, &operation) }
}

unsafe fn attempt(
    call: &Call,
    which: TwoPaths,
    from: Where,
    to: Where,
    looks_twice: bool,
    operation: &impl Fn(&Place<'_>, &Place<'_>) -> Result<()>,
) -> Verdict {
    let (mut room, mut other) = (Room::new(), Room::new());
    let first = match side(call, from, looks_twice, &mut room) {
        // A store that does not answer is not asked again.
        Err(error) => return Verdict::of::<i64>(Err(error)),
        Ok(first) => first,
    };
    let second = side(call, to, looks_twice, &mut other);
    match (first, second) {
        (Side::Host(first), Ok(Side::Host(second))) => {
            let mut moved = *call;
            for (place, path) in [(from, &first), (to, &second)] {
                if let Some(path) = path {
                    place.redirect(&mut moved, path);
                }
            }
            // SAFETY: by the caller's word.
            Verdict::Done(unsafe { kernel(&moved) })
        }
        (first, second) => Verdict::of_nothing(between(call, which, (from, first), (to, second), operation)),
    }
}

/// A call on two paths of which one at least is ours, or wrong: the kernel's order of what may be wrong with them.
fn between(
    call: &Call,
    which: TwoPaths,
    (from, first): (Where, Side<'_>),
    (to, second): (Where, Result<Side<'_>>),
    operation: &impl Fn(&Place<'_>, &Place<'_>) -> Result<()>,
) -> Result<()> {
    match (&first, which) {
        (Side::Host(path), TwoPaths::Rename) => check_host_directory(call, from, path.as_ref())?,
        (Side::Host(path), TwoPaths::Link) => {
            look_at_host(call, from, path.as_ref(), from.rules.follows_last())?;
        }
        (Side::Ours(place), TwoPaths::Link) => drop(place.existing()?),
        (Side::Ours(_), TwoPaths::Rename) => {}
    }
    match (first, second) {
        // The first name is looked up before the second is even looked at.
        (Side::Ours(Place { found: None, .. }), Err(Errno::NAMETOOLONG)) => Err(Errno::NOENT),
        (_, Err(error)) => Err(error),
        (Side::Ours(from), Ok(Side::Ours(to))) => operation(&from, &to),
        (Side::Ours(place), Ok(Side::Host(path))) => {
            check_host_directory(call, to, path.as_ref())?;
            if which == TwoPaths::Link && look_at_host(call, to, path.as_ref(), false).is_ok() {
                return Err(Errno::EXIST);
            }
            // The prefix itself stands where a mount point would.
            let is_prefix = which == TwoPaths::Rename && place.last == Last::Root;
            Err(if is_prefix { Errno::BUSY } else { Errno::XDEV })
        }
        (Side::Host(_), Ok(Side::Ours(place))) => {
            let is_taken = place.found.is_some() || !place.is_named();
            Err(if which == TwoPaths::Link && is_taken { Errno::EXIST } else { Errno::XDEV })
        }
        (Side::Host(_), Ok(Side::Host(_))) => Err(Errno::XDEV),
    }
}

/// A host path of a call, as the kernel would take it: a directory and a text.
fn host_path(call: &Call, place: Where, path: Option<&PathBuffer>) -> Result<(u64, PathBuffer)> {
    let directory = match (path, place.directory) {
        (None, Some(index)) => call.arguments[index],
        (Some(_), _) | (None, None) => libc::AT_FDCWD as u64,
    };
    let text = match path {
        Some(path) => path.clone(),
        None => PathBuffer::of(arguments::path(call.arguments[place.path], &mut Room::new())?)?,
    };
    Ok((directory, text))
}

fn stat_on_host(directory: u64, path: &PathBuffer, flags: i32) -> Result<()> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    let text = path.as_c_str().as_ptr() as u64;
    let probe = Call {
        number: libc::SYS_newfstatat as u64,
        arguments: [directory, text, stat.as_mut_ptr() as u64, flags as u64, 0, 0],
    };
    // SAFETY: the path and the structure are ours.
    unsafe { arguments::kernel_result(&probe) }.map(drop)
}

/// Whether the host has something at a path of a call.
///
/// # Errors
/// The kernel's, where it has not.
fn look_at_host(call: &Call, place: Where, path: Option<&PathBuffer>, follows: bool) -> Result<()> {
    let (directory, text) = host_path(call, place, path)?;
    stat_on_host(directory, &text, if follows { 0 } else { libc::AT_SYMLINK_NOFOLLOW })
}

/// Whether the host has the directory that a path of a call puts its last name in.
///
/// # Errors
/// What the kernel says of that directory: `EBADF`, `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`.
fn check_host_directory(call: &Call, place: Where, path: Option<&PathBuffer>) -> Result<()> {
    let (directory, mut text) = host_path(call, place, path)?;
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(Errno::NOENT);
    }
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let name = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    text.truncate(name);
    text.push(b".")?;
    stat_on_host(directory, &text, 0)
}

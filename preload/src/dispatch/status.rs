//! `stat`, `statx` and `statfs`, in the kernel's structures.

use super::arguments::put;
use super::by_path::{Where, on_path};
use super::files::on_subject;
use super::io::on_descriptor;
use super::{Call, Verdict};
use house::ground::Result;
use house::posix::mount::Mount;
use house::posix::operations::attributes::{Status, Subject, status};
use house::posix::operations::space;
use house::posix::path::{LastName, Symlinks};
use house::posix::report::Class;
use house::store::{Kind, Timestamp};

/// The unit in which `statfs` counts.
const BLOCK_BYTES: u64 = 4096;

/// File type and permission bits, as `st_mode` has them.
fn mode(status: &Status) -> u32 {
    let kind = match status.attributes.kind {
        Kind::File => libc::S_IFREG,
        Kind::Directory => libc::S_IFDIR,
        Kind::Symlink => libc::S_IFLNK,
    };
    kind | status.attributes.mode
}

fn stat_structure(status: &Status) -> libc::stat {
    let attributes = &status.attributes;
    // SAFETY: all zeros are a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    stat.st_dev = status.device;
    stat.st_ino = attributes.node.0;
    stat.st_nlink = u64::from(attributes.link_count);
    stat.st_mode = mode(status);
    stat.st_uid = attributes.uid;
    stat.st_gid = attributes.gid;
    stat.st_size = attributes.size_bytes.cast_signed();
    stat.st_blksize = status.transfer_bytes.cast_signed();
    stat.st_blocks = attributes.blocks.cast_signed();
    (stat.st_atime, stat.st_atime_nsec) = attributes.accessed.parts();
    (stat.st_mtime, stat.st_mtime_nsec) = attributes.modified.parts();
    (stat.st_ctime, stat.st_ctime_nsec) = attributes.changed.parts();
    stat
}

/// `stat(path, stat)`, `lstat(path, stat)`, `newfstatat(dirfd, path, stat, flags)`, `fstat(fd, stat)`
///
/// # Safety
/// The call's pointers are worth what a system call's are; so in all of this module.
pub unsafe fn stat(call: &mut Call) -> Verdict {
    let [fd, second, third, fourth, ..] = call.arguments;
    let (place, target, flags) = match call.number as i64 {
        libc::SYS_fstat => {
            return on_descriptor(fd, Class::Descriptor, |held| {
                // SAFETY: by the caller's word.
                unsafe { put(second, stat_structure(&status(Subject::Open(held))?)) }.map(|()| 0)
            });
        }
        libc::SYS_stat => (Where::plain(0, Symlinks::Follow).asking(LastName::Told), second, 0),
        libc::SYS_lstat => (Where::plain(0, Symlinks::Keep).asking(LastName::Told), second, 0),
        _ => (Where::at(0, 1, followed(fourth as i32)).asking(LastName::Told), third, fourth as i32),
    };
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT) != 0 {
        return Verdict::Pass;
    }
    let tell = |subject: Subject<'_>| {
        // SAFETY: by the caller's word.
        unsafe { put(target, stat_structure(&status(subject)?)) }.map(|()| 0)
    };
    // SAFETY: by the caller's word.
    unsafe { on_subject(call, place, flags, tell) }
}

/// What `AT_SYMLINK_NOFOLLOW` asks for.
pub fn followed(flags: i32) -> Symlinks {
    if flags & libc::AT_SYMLINK_NOFOLLOW != 0 { Symlinks::Keep } else { Symlinks::Follow }
}

fn statx_time(time: Timestamp) -> libc::statx_timestamp {
    let (seconds, nanoseconds) = time.parts();
    // SAFETY: all zeros are a valid time stamp.
    let mut stamp: libc::statx_timestamp = unsafe { std::mem::zeroed() };
    stamp.tv_sec = seconds;
    stamp.tv_nsec = nanoseconds as u32;
    stamp
}

fn statx_structure(status: &Status) -> libc::statx {
    let attributes = &status.attributes;
    // SAFETY: all zeros are a valid `statx`.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    statx.stx_mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
    statx.stx_blksize = status.transfer_bytes as u32;
    statx.stx_nlink = attributes.link_count;
    statx.stx_uid = attributes.uid;
    statx.stx_gid = attributes.gid;
    statx.stx_mode = mode(status) as u16;
    statx.stx_ino = attributes.node.0;
    statx.stx_size = attributes.size_bytes;
    statx.stx_blocks = attributes.blocks;
    statx.stx_atime = statx_time(attributes.accessed);
    statx.stx_mtime = statx_time(attributes.modified);
    statx.stx_ctime = statx_time(attributes.changed);
    statx.stx_btime = statx_time(attributes.born);
    statx.stx_dev_major = libc::major(status.device);
    statx.stx_dev_minor = libc::minor(status.device);
    statx
}

/// `statx(dirfd, path, flags, mask, statx)`
pub unsafe fn statx(call: &mut Call) -> Verdict {
    let [_, _, flags, mask, target, _] = call.arguments;
    let flags = flags as i32;
    const RESERVED: u64 = 0x8000_0000;
    const KNOWN: i32 =
        libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT | libc::AT_STATX_SYNC_TYPE;
    if mask & RESERVED != 0 || flags & !KNOWN != 0 || flags & libc::AT_STATX_SYNC_TYPE == libc::AT_STATX_SYNC_TYPE {
        return Verdict::Pass;
    }
    let tell = |subject: Subject<'_>| {
        // SAFETY: by the caller's word.
        unsafe { put(target, statx_structure(&status(subject)?)) }.map(|()| 0)
    };
    let place = Where::at(0, 1, followed(flags)).asking(LastName::Told);
    // SAFETY: by the caller's word.
    unsafe { on_subject(call, place, flags, tell) }
}

/// The kernel's `struct statfs` on x86-64 and AArch64; the libc crate keeps the flags to itself.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Statfs {
    kind: i64,
    block_bytes: i64,
    blocks: u64,
    blocks_free: u64,
    blocks_available: u64,
    files: u64,
    files_free: u64,
    id: u64,
    name_bytes_max: i64,
    fragment_bytes: i64,
    flags: i64,
    spare: [i64; 4],
}

const _: () = assert!(size_of::<Statfs>() == size_of::<libc::statfs>());

fn statfs_structure(mount: &'static Mount) -> Result<Statfs> {
    /// `ST_VALID`, which glibc wants to see before it believes the flags.
    const FLAGS_ARE_VALID: i64 = 0x20;
    let capacity = space::capacity(mount)?;
    let container = mount.connect()?.container.as_ref();
    let read_only = container.is_read_only();
    Ok(Statfs {
        kind: container.file_system_magic().cast_signed(),
        block_bytes: BLOCK_BYTES.cast_signed(),
        fragment_bytes: BLOCK_BYTES.cast_signed(),
        blocks: capacity.total_bytes / BLOCK_BYTES,
        blocks_free: capacity.free_bytes / BLOCK_BYTES,
        blocks_available: capacity.free_bytes / BLOCK_BYTES,
        files: capacity.total_nodes,
        files_free: capacity.free_nodes,
        id: capacity.id,
        name_bytes_max: 255,
        flags: FLAGS_ARE_VALID | if read_only { libc::ST_RDONLY as i64 } else { 0 },
        spare: [0; 4],
    })
}

/// `statfs(path, statfs)`, `fstatfs(fd, statfs)`
pub unsafe fn statfs(call: &mut Call) -> Verdict {
    let [fd, target, ..] = call.arguments;
    // SAFETY: by the caller's word.
    let tell = |mount: &'static Mount| unsafe { put(target, statfs_structure(mount)?) }.map(|()| 0);
    if call.number as i64 == libc::SYS_fstatfs {
        return on_descriptor(fd, Class::Descriptor, |held| tell(held.mount));
    }
    // SAFETY: by the caller's word.
    unsafe {
        on_path(call, Where::plain(0, Symlinks::Follow), |place| {
            place.existing()?;
            tell(place.mount)
        })
    }
}

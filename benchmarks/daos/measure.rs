//! What is measured, and what is promised of it.

/// Whom Sidestep is held against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// libdfs, called directly.
    Libdfs,
    /// libpil4dfs; where only the emulator is at hand libdfs called directly, which is what each of its calls becomes.
    Libpil4dfs,
}

/// What a figure is held against.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At least this many times as fast.
    TimesAsFast(f64, Peer),
    /// At most this, in the measure's own unit.
    AtMost(f64),
    /// At most this much more than libdfs called directly, in the measure's own unit.
    AddedAtMost(f64),
    /// Told for the picture's sake.
    None,
}

/// One line of the table.
pub struct Measure {
    /// What rounds call it.
    pub name: &'static str,
    /// As people read it.
    pub title: &'static str,
    /// What one of the unit is in what is measured (nanoseconds, bytes or a plain number), and its sign.
    pub unit: (f64, &'static str),
    /// The promise.
    pub goal: Goal,
}

const NS: (f64, &str) = (1.0, "ns");
const US: (f64, &str) = (1e3, "us");
const MS: (f64, &str) = (1e6, "ms");
const MIB: (f64, &str) = (1_048_576.0, "MiB");
const TIMES: (f64, &str) = (1.0, "x");

const fn measure(name: &'static str, title: &'static str, unit: (f64, &'static str), goal: Goal) -> Measure {
    Measure { name, title, unit, goal }
}

const fn pil4dfs(times: f64) -> Goal {
    Goal::TimesAsFast(times, Peer::Libpil4dfs)
}

const fn libdfs(times: f64) -> Goal {
    Goal::TimesAsFast(times, Peer::Libdfs)
}

/// The table's lines, in its order.
pub const MEASURES: &[Measure] = &[
    measure("write_4k", "4 KiB sequential write", US, pil4dfs(10.0)),
    measure("read_4k", "4 KiB sequential read", US, pil4dfs(15.0)),
    measure("write_256", "256 B sequential write", US, pil4dfs(40.0)),
    measure("read_256", "256 B sequential read", US, pil4dfs(60.0)),
    measure("write_1m", "1 MiB sequential write", US, libdfs(1.0)),
    measure("read_1m", "1 MiB sequential read", US, libdfs(1.2)),
    measure("random_read", "4 KiB random read, cold", US, pil4dfs(0.95)),
    measure("set_read", "4 KiB random read within 8 MiB that were read before", US, pil4dfs(20.0)),
    measure("random_write", "4 KiB random write", US, pil4dfs(1.0)),
    measure("hit", "4 KiB `pread` of what is in the cache", NS, Goal::None),
    measure("copy", "copying 4 KiB in the program's own memory", NS, Goal::None),
    measure("door", "`lseek`: the way through the door and back", NS, Goal::None),
    measure("hit_ratio", "that `pread` over copy plus door", TIMES, Goal::AtMost(3.0)),
    measure("interleaved_write", "2 processes, 47,008 bytes by turns in one file: write", US, pil4dfs(2.0)),
    measure("interleaved_read", "the same: read", US, pil4dfs(2.0)),
    measure("create_small", "create, write 3,901 bytes, close", US, pil4dfs(1.2)),
    measure("stat_small", "stat", US, pil4dfs(1.2)),
    measure("read_small", "open, read, close", US, pil4dfs(1.2)),
    measure("unlink_small", "unlink", US, pil4dfs(1.2)),
    measure("touched", "memory for each descriptor of which 4 KiB were read", MIB, Goal::AtMost(2.0)),
    measure("read", "memory for each descriptor of which 4 MiB were read", MIB, Goal::AtMost(2.0)),
    measure("bounded", "memory for 16 of those with `cache=16MiB`", MIB, Goal::AddedAtMost(16.0)),
    measure("ls", "`ls` of 20 names, the whole process", MS, pil4dfs(1.0)),
];

/// Where the time of `ls` goes.
pub const PARTS: &[Measure] = &[
    measure("ls_bare", "`ls` of 20 names on the host, nothing loaded", MS, Goal::None),
    measure("ls_loaded", "the same, library loaded but not used", MS, Goal::None),
    measure("first_touch", "first touch: from the first call on the prefix to its answer", MS, Goal::None),
    measure("load", "of which loading libdfs", MS, Goal::None),
    measure("daos_init", "of which daos_init", MS, Goal::None),
    measure("pool_connect", "of which connecting to the pool", MS, Goal::None),
    measure("container_open", "of which opening the container", MS, Goal::None),
    measure("mount", "of which dfs_mount", MS, Goal::None),
    measure("list", "listing", MS, Goal::None),
    measure("end", "end: from the last call to the process's exit", MS, Goal::None),
];

//! What is measured, and what is promised of it.

use super::{memory, tree};

/// The groups of `micro.c`, and those that are measured from outside.
pub const GROUPS: &[&str] = &["foreign", "spawn", "hot", "small", "large", "mdtest", memory::GROUP, tree::GROUP];

/// What a figure is held against.
pub enum Goal {
    /// At least this many times as fast as tmpfs.
    TimesAsFast(f64),
    /// At most this much more than without the library, in the measure's own unit.
    AddedAtMost(f64),
    /// Told for the picture's sake.
    None,
}

/// One line of the table.
pub struct Measure {
    /// As `micro.c` prints it.
    pub name: &'static str,
    /// As people read it.
    pub title: &'static str,
    /// What one of the unit is in what is measured (nanoseconds or bytes), and its sign.
    pub unit: (f64, &'static str),
    /// The promise.
    pub goal: Goal,
}

const NS: (f64, &str) = (1.0, "ns");
const US: (f64, &str) = (1e3, "us");
const MS: (f64, &str) = (1e6, "ms");
const KB: (f64, &str) = (1e3, "kB");

const fn measure(name: &'static str, title: &'static str, unit: (f64, &'static str), goal: Goal) -> Measure {
    Measure { name, title, unit, goal }
}

/// The table's lines, in its order.
pub const MEASURES: &[Measure] = &[
    measure("foreign_read", "`read` of 1 byte, not ours", NS, Goal::AddedAtMost(10.0)),
    measure("foreign_write", "`write` of 1 byte, not ours", NS, Goal::AddedAtMost(10.0)),
    measure("foreign_open", "open and close, not ours", NS, Goal::None),
    measure("foreign_stat", "`stat`, not ours", NS, Goal::None),
    measure("spawn", "`posix_spawn` and wait of `true`", MS, Goal::AddedAtMost(0.5)),
    measure("private_dirty", "private memory of an idle `cat`", KB, Goal::AddedAtMost(500.0)),
    measure("pread_4k_hot", "4 KiB `pread`, hot", NS, Goal::TimesAsFast(5.0)),
    measure("write_4k_fresh", "4 KiB sequential `write`, fresh file", NS, Goal::TimesAsFast(3.0)),
    measure("write_4k_again", "4 KiB sequential `write`, a second time", NS, Goal::TimesAsFast(3.0)),
    measure("write_4k_over", "4 KiB sequential `write`, again and again", NS, Goal::TimesAsFast(3.0)),
    measure("read_4k", "4 KiB sequential `read`", NS, Goal::None),
    measure("write_1m_fresh", "1 MiB `write`, fresh file", US, Goal::TimesAsFast(0.95)),
    measure("write_1m_again", "1 MiB `write`, a second time", US, Goal::TimesAsFast(0.95)),
    measure("read_1m", "1 MiB `read`", US, Goal::TimesAsFast(0.95)),
    measure("open_close", "open and close", NS, Goal::TimesAsFast(1.5)),
    measure("create_write_close", "create, write 3,901 bytes, close (10,000 files)", US, Goal::TimesAsFast(2.0)),
    measure("stat", "stat (10,000 files)", NS, Goal::TimesAsFast(3.0)),
    measure("open_read_close", "open, read, close (10,000 files)", US, Goal::TimesAsFast(2.0)),
    measure("unlink", "unlink (10,000 files)", US, Goal::TimesAsFast(3.0)),
    measure("tree_copy", "`cp -a /usr/include`", MS, Goal::None),
    measure("tree_compare", "`diff -r` of the copy", MS, Goal::None),
    measure("tree_list", "`ls -lR` of the copy", MS, Goal::None),
    measure("tree_archive", "`tar c` of the copy", MS, Goal::None),
    measure("tree_remove", "`rm -r` of the copy", MS, Goal::None),
];

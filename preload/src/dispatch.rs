//! From a system call to the operation that it means: one entry for each call.

/// A system call as the application made it. A handler that passes it on may change it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Call {
    /// `SYS_*`.
    pub number: u64,
    /// rdi, rsi, rdx, r10, r8, r9.
    pub arguments: [u64; 6],
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel does it, with the call's arguments as they stand now.
    Pass,
    /// Done here: the value for rax, `-errno` on failure.
    Done(i64),
}

/// Reads the configuration. False: nothing is to be intercepted (no mounts, turned off, AT_SECURE).
pub fn start() -> bool {
    true
}

/// Does a call, or passes it on.
///
/// # Safety
/// `call` is what the application asked of the kernel, and its pointers are worth what a system call's are.
pub unsafe fn dispatch(call: &mut Call) -> Verdict {
    let _ = call;
    Verdict::Pass
}

/// Takes the locks that must be free in a fork's child.
pub fn before_fork() {}

/// Gives them back in the parent.
pub fn after_fork_in_parent() {}

/// Gives them back in the child.
pub fn after_fork_in_child() {}

//! What the kernel lays on the stack for a new program: the count of arguments, the arguments, the environment, and the
//! auxiliary vector, each list with a null at its end.
//!
//! It is the one thing that neither a constructor's `setenv` nor a program's own `getenv` moves. It is found by
//! `__libc_stack_end`, a variable of glibc's dynamic linker; a program that refers to it has a copy with the same value.
//! Not by `prctl(PR_GET_AUXV)`, which under valgrind tells valgrind's.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::sync::atomic::{AtomicUsize, Ordering};

std::arch::global_asm!(
    ".pushsection .text.sidestep_stack_end, \"ax\", @progbits",
    ".weak __libc_stack_end",
    ".globl sidestep_stack_end",
    ".hidden sidestep_stack_end",
    ".type sidestep_stack_end, @function",
    "sidestep_stack_end:",
    "mov rax, qword ptr [rip + __libc_stack_end@GOTPCREL]",
    "test rax, rax",
    "jz 2f",
    "mov rax, qword ptr [rax]",
    "2:",
    "ret",
    ".size sidestep_stack_end, . - sidestep_stack_end",
    ".popsection",
);

unsafe extern "C" {
    fn sidestep_stack_end() -> *const usize;
}

/// The block of this process.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    environment: *const *const c_char,
    auxiliary: *const [usize; 2],
}

/// Where the two lists are, once they were found: programs write nulls into the block (busybox among the arguments,
/// `unsetenv` among the variables), so it is walked once, and as early as can be.
static ENVIRONMENT: AtomicUsize = AtomicUsize::new(0);
static AUXILIARY: AtomicUsize = AtomicUsize::new(0);

impl Block {
    /// Finds it. None where the libc is not glibc.
    pub fn find() -> Option<Self> {
        let known = AUXILIARY.load(Ordering::Acquire);
        if known != 0 {
            let environment = ENVIRONMENT.load(Ordering::Relaxed) as *const _;
            return Some(Self { environment, auxiliary: known as *const _ });
        }
        // SAFETY: reads a word of the dynamic linker's, if there is one of that name.
        let start = unsafe { sidestep_stack_end() };
        if start.is_null() {
            return None;
        }
        // SAFETY: the kernel's block, which has this layout (System V ABI, AMD64, 3.4.1), and stays.
        let block = unsafe { Self::walk(start) };
        block.auxiliary(libc::AT_PHDR)?;
        ENVIRONMENT.store(block.environment as usize, Ordering::Relaxed);
        AUXILIARY.store(block.auxiliary as usize, Ordering::Release);
        Some(block)
    }

    /// # Safety
    /// `start` is the address of the count of arguments.
    unsafe fn walk(start: *const usize) -> Self {
        // Below it there is no address of a variable, and above no kind of an auxiliary value.
        const LEAST_ADDRESS: usize = 4096;
        // SAFETY: by the caller's word. The count of arguments tells where they end; the variables are addresses, behind
        // which a constructor's `unsetenv` may have left several nulls.
        unsafe {
            let environment = start.add(*start + 2);
            let mut next = environment;
            while *next == 0 || *next >= LEAST_ADDRESS {
                next = next.add(1);
            }
            Self { environment: environment.cast(), auxiliary: next.cast() }
        }
    }

    /// The environment that the program was started with.
    pub fn environment(&self) -> *const *const c_char {
        self.environment
    }

    /// A value of the auxiliary vector.
    pub fn auxiliary(&self, kind: u64) -> Option<usize> {
        let mut next = self.auxiliary;
        // SAFETY: the vector ends with `AT_NULL`.
        unsafe {
            while (*next)[0] as u64 != libc::AT_NULL {
                if (*next)[0] as u64 == kind {
                    return Some((*next)[1]);
                }
                next = next.add(1);
            }
        }
        None
    }
}

/// `getauxval(type)`
unsafe extern "C" fn getauxval(kind: u64) -> u64 {
    Block::find().and_then(|block| block.auxiliary(kind)).unwrap_or(0) as u64
}

super::provide! { "getauxval" = crate::runtime::block::getauxval; }

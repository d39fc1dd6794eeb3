//! Where the `syscall` instructions are that get rewritten, and how much around each has to move.
//!
//! 1. The whole text is decoded once, in a line. Every target of a branch is noted, and so is every address that code
//!    takes of code, and every start of a function.
//! 2. Behind each `syscall` we look back for what was put into eax: that is the call's number, if nothing can jump in
//!    between. Sites of calls that are not in the table are left alone.
//! 3. A jump takes five bytes, a `syscall` two. So a *window* of whole instructions is displaced: best one that ends
//!    right before the `syscall`, which stays in place (so the instruction pointer of a blocked thread lies where the
//!    unwind tables and the kernel's restart expect it), else one that includes it.

use super::calls::{self, Class};
use super::object_file::ObjectFile;
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind, Register,
};
use std::collections::VecDeque;

/// A displaced window is never longer.
pub const WINDOW_BYTES_MAX: usize = 32;

/// The bytes of `jmp rel32`.
pub const JUMP_BYTES: usize = 5;

/// A `syscall` instruction to rewrite. Offsets are into the object's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The class of its call; `None` where the number is only known at run time.
    pub class: Option<Class>,
    /// The first displaced instruction.
    pub start: u32,
    /// The `syscall`.
    pub syscall: u32,
    /// The end of what is displaced: `syscall` itself, or past it.
    pub end: u32,
    /// Whether the window is one instruction, so that nobody can be in the middle of it.
    pub is_one_instruction: bool,
    /// The one displaced instruction with an operand relative to rip: where its displacement is, and where the
    /// instruction ends, both counted from `start`.
    pub relative: Option<(u8, u8)>,
    /// What has to be asked once more before the `syscall`, if anything.
    pub recheck: Option<Recheck>,
}

/// glibc from 2.41 on has one site for all cancellable calls. A cancellation is seen by a test a few instructions
/// before it, or by the signal's handler while the instruction pointer is in between. While we are elsewhere it is seen
/// by neither, and the call would block for good. So the test is done again behind the detour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recheck {
    /// The bit that says that the thread is cancelled, in the word whose address is at 8(%rsp) by then.
    pub mask: u8,
    /// Where to go if it is set.
    pub target: u32,
}

impl Site {
    /// Where the window and the `syscall` are: what must be in memory as it is in the file.
    pub fn text(&self) -> std::ops::Range<u32> {
        self.start..self.end.max(self.syscall.saturating_add(2))
    }

    /// Whether the `syscall` stays where it is.
    pub fn stays_in_place(&self) -> bool {
        self.end == self.syscall
    }
}

/// What decoding an object gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// To be rewritten.
    pub sites: Vec<Site>,
    /// Call sites of the table, or of unknown number, which no window fits.
    pub left_alone: u32,
    /// Whether a function that makes one of these calls keeps values in ymm, zmm, mask, MMX or x87 registers, which
    /// the entry does not save: a libc built for AVX.
    pub wide_registers: bool,
}

/// How far back a call's number is looked for, in instructions.
const LOOK_BACK: usize = 24;

/// One bit for each byte of text at which control may arrive from elsewhere.
struct Targets(Vec<u64>);

impl Targets {
    fn add(&mut self, offset: u64) {
        if let Some(word) = self.0.get_mut((offset / 64) as usize) {
            *word |= 1 << (offset % 64);
        }
    }

    fn contains(&self, offset: u64) -> bool {
        self.0.get((offset / 64) as usize).is_some_and(|word| word & 1 << (offset % 64) != 0)
    }
}

/// Decodes an object's text. The instruction pointers are offsets into it.
pub fn find(file: &ObjectFile) -> Found {
    let (text, starts) = (file.text(), file.function_starts());
    let mut targets = Targets(vec![0; text.len() / 64 + 1]);
    starts.iter().for_each(|&start| targets.add(u64::from(start)));

    let mut calls: Vec<Vec<Instruction>> = Vec::new();
    let mut indirect: Vec<u32> = Vec::new();
    let mut wide: Vec<u32> = Vec::new();
    let mut recent: VecDeque<Instruction> = VecDeque::with_capacity(LOOK_BACK + 1);
    each_instruction(file, |instruction, is_first| {
        if is_first {
            recent.clear();
        }
        if let Some(target) = target(instruction) {
            targets.add(target);
        }
        if instruction.flow_control() == FlowControl::IndirectBranch {
            indirect.push(instruction.ip() as u32);
        }
        if uses_wide_registers(instruction) {
            wide.push(instruction.ip() as u32);
        }
        if recent.len() == LOOK_BACK {
            recent.pop_front();
        }
        recent.push_back(*instruction);
        if instruction.code() == Code::Syscall {
            calls.push(recent.iter().copied().collect());
        }
    });

    let mut found = Found::default();
    for before in calls {
        let Some(&call) = before.last() else { continue };
        let class = match call_number(&before, &targets) {
            Some(number) if calls::class(number) == Class::Alone => continue,
            Some(number) => Some(calls::class(number)),
            None => None,
        };
        let function = function_around(call.ip() as u32, starts, text.len() as u32);
        let inside = |offsets: &[u32]| {
            let first = offsets.partition_point(|&offset| offset < function.start);
            offsets.get(first).is_some_and(|offset| function.contains(offset))
        };
        found.wide_registers |= inside(&wide);
        match window(text, &before, &targets, inside(&indirect)) {
            Some(Window { start, end, is_one_instruction, relative }) => {
                let syscall = call.ip() as u32;
                let recheck = if class.is_none() && end == syscall { recheck(&before) } else { None };
                let site = Site { class, start, syscall, end, is_one_instruction, relative, recheck };
                found.sites.push(site);
            }
            None => found.left_alone += 1,
        }
    }
    // Windows of neighbours must not overlap; the text's order is the list's.
    let mut last_end = 0;
    found.sites.retain(|site| {
        let is_apart = site.start >= last_end;
        last_end = last_end.max(site.text().end);
        is_apart
    });
    found
}

/// Visits the instructions of an object's code in order, and says of each whether it is a section's first.
fn each_instruction(file: &ObjectFile, mut visit: impl FnMut(&Instruction, bool)) {
    let mut instruction = Instruction::default();
    for code in file.code() {
        let mut decoder = Decoder::with_ip(64, &file.text()[..code.end as usize], 0, DecoderOptions::NONE);
        if decoder.set_position(code.start as usize).is_err() {
            continue;
        }
        decoder.set_ip(u64::from(code.start));
        let mut is_first = true;
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            visit(&instruction, is_first);
            is_first = false;
        }
    }
}

/// Where control or an address may go from here: a branch's target, or code whose address is taken.
fn target(instruction: &Instruction) -> Option<u64> {
    match instruction.op0_kind() {
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => Some(instruction.near_branch_target()),
        _ if instruction.code() == Code::Lea_r64_m && instruction.is_ip_rel_memory_operand() => {
            Some(instruction.ip_rel_memory_address())
        }
        _ => None,
    }
}

fn uses_wide_registers(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| {
        instruction.op_kind(operand) == OpKind::Register && {
            let register = instruction.op_register(operand);
            register.is_ymm() || register.is_zmm() || register.is_k() || register.is_mm() || register.is_st()
        }
    })
}

fn function_around(offset: u32, starts: &[u32], text_bytes: u32) -> std::ops::Range<u32> {
    let next = starts.partition_point(|&start| start <= offset);
    let start = next.checked_sub(1).map_or(0, |index| starts[index]);
    start..starts.get(next).copied().unwrap_or(text_bytes)
}

/// The number that is in eax at the last of `before`, a `syscall`, if it is the same however one gets there.
fn call_number(before: &[Instruction], targets: &Targets) -> Option<u64> {
    let mut information = InstructionInfoFactory::new();
    for pair in before.windows(2).rev() {
        let [instruction, next] = pair else { return None };
        let falls_through = matches!(instruction.flow_control(), FlowControl::Next | FlowControl::ConditionalBranch);
        if targets.contains(next.ip()) || !falls_through || instruction.next_ip() != next.ip() {
            return None;
        }
        match instruction.code() {
            Code::Mov_r32_imm32 | Code::Mov_rm32_imm32 | Code::Mov_rm64_imm32
                if instruction.op0_register().full_register() == Register::RAX =>
            {
                return Some(u64::from(instruction.immediate32()));
            }
            Code::Xor_rm32_r32 | Code::Xor_r32_rm32
                if instruction.op0_register() == Register::EAX && instruction.op1_register() == Register::EAX =>
            {
                return Some(0);
            }
            _ => {}
        }
        let touched = information.info(instruction).used_registers().iter().any(|used| {
            used.register().full_register() == Register::RAX
                && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
        });
        if touched {
            return None;
        }
    }
    None
}

/// The test for a cancellation in the instructions up to a `syscall`: `testb $mask, (%rdi)`, `jne target`, and at last
/// `mov %r11, 8(%rsp)`, which keeps the word's address.
fn recheck(before: &[Instruction]) -> Option<Recheck> {
    let [.., kept, _] = before else { return None };
    let is_kept = kept.code() == Code::Mov_rm64_r64
        && kept.memory_base() == Register::RSP
        && kept.memory_displacement64() == 8
        && kept.op1_register() == Register::R11;
    let test = before.windows(2).rev().find(|pair| {
        pair[0].code() == Code::Test_rm8_imm8
            && pair[0].memory_base() == Register::RDI
            && pair[0].memory_displacement64() == 0
            && matches!(pair[1].code(), Code::Jne_rel32_64 | Code::Jne_rel8_64)
    })?;
    is_kept.then(|| Recheck { mask: test[0].immediate8(), target: test[1].near_branch_target() as u32 })
}

/// The displaced part of a [`Site`].
struct Window {
    start: u32,
    end: u32,
    is_one_instruction: bool,
    relative: Option<(u8, u8)>,
}

/// What to displace for the `syscall` that ends `before`.
fn window(text: &[u8], before: &[Instruction], targets: &Targets, indirect: bool) -> Option<Window> {
    let call = before.last()?;
    // In place: instructions right before it, as few as hold a jump.
    let mut first = before.len() - 1;
    let in_place = !targets.contains(call.ip());
    while in_place && first > 0 && displaceable(&before[first - 1], &before[first]) {
        first -= 1;
        if let Some(window) = fit(&before[first..before.len() - 1], targets, indirect, text) {
            return Some(window);
        }
        if targets.contains(before[first].ip()) {
            break;
        }
    }
    // Displaced: the call and what follows, with as little as possible of what precedes.
    let mut after = vec![*call];
    let mut decoder = Decoder::with_ip(64, text, 0, DecoderOptions::NONE);
    decoder.set_position(call.next_ip() as usize).ok()?;
    decoder.set_ip(call.next_ip());
    for _ in 0..2 {
        let instruction = decoder.decode();
        let last = after[after.len() - 1];
        if displaceable(&instruction, &instruction) && last.next_ip() == instruction.ip() {
            after.push(instruction);
        } else {
            break;
        }
        // `syscall; cmp rax, -4095`: the one form in which nobody but the compiler's own error path comes next.
        if let Some(window) = fit(&after, targets, indirect && after.len() > 2, text) {
            return Some(window);
        }
    }
    let previous = before.get(before.len().checked_sub(2)?)?;
    if displaceable(previous, call) {
        for length in 1..=after.len() {
            let mut both = vec![*previous];
            both.extend_from_slice(&after[..length]);
            if let Some(window) = fit(&both, targets, indirect, text) {
                return Some(window);
            }
        }
    }
    None
}

/// Whether an instruction does the same elsewhere, and runs on into `next`.
fn displaceable(instruction: &Instruction, next: &Instruction) -> bool {
    let straight = instruction.flow_control() == FlowControl::Next && instruction.code() != Code::INVALID;
    straight && (instruction.ip() == next.ip() || instruction.next_ip() == next.ip())
}

/// The window over `instructions`, if it holds a jump and nothing arrives in the middle of it.
fn fit(instructions: &[Instruction], targets: &Targets, indirect: bool, text: &[u8]) -> Option<Window> {
    let (start, end) = (instructions.first()?.ip(), instructions.last()?.next_ip());
    let bytes = (end - start) as usize;
    if !(JUMP_BYTES..=WINDOW_BYTES_MAX).contains(&bytes) {
        return None;
    }
    let mut relative = None;
    for instruction in instructions {
        if instruction.ip() != start {
            // A jump table's targets are not visible: where there is one, no instruction may start under the jump.
            let under_the_jump = instruction.ip() - start < JUMP_BYTES as u64;
            if targets.contains(instruction.ip()) || (indirect && under_the_jump) {
                return None;
            }
        }
        if instruction.is_ip_rel_memory_operand() {
            let mut decoder =
                Decoder::with_ip(64, text.get(instruction.ip() as usize..end as usize)?, instruction.ip(), 0);
            let again = decoder.decode();
            let offsets = decoder.get_constant_offsets(&again);
            let at = (instruction.ip() - start) as usize + offsets.displacement_offset();
            if offsets.displacement_size() != 4 || relative.is_some() {
                return None;
            }
            relative = Some((at as u8, (instruction.next_ip() - start) as u8));
        }
    }
    Some(Window { start: start as u32, end: end as u32, is_one_instruction: instructions.len() == 1, relative })
}

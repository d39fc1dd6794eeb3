//! Faults on order: which call fails, when, and how.
//!
//! `SIDESTEP_EMULATOR_FAULT=CALL:WHEN:WHAT[,CALL:WHEN:WHAT]...`
//!
//! | word | is |
//! |---|---|
//! | CALL | a call's name, or `*` for every call that sends messages |
//! | WHEN | `3`: the third such call of this process; `3+`: from the third on; `/3`: every third; `*`: all |
//! | WHAT | an errno or DER name: it fails, and nothing was done; `late-NAME`: it fails, and all was done |
//! | | `hang`: no answer ever; `short`: a read is told half of its bytes |

use crate::calls::{Call, NAMES};
use crate::errors::{Der, Trouble};
use crate::settings::{complain, settings};
use rustix::io::Errno;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a fault does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails, and nothing was done.
    Fails(Trouble),
    /// It fails, and all was done.
    FailsLate(Trouble),
    /// It never ends.
    Hangs,
    /// A read is told fewer bytes than there are.
    IsShort,
}

/// On which of its calls a fault strikes; they are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Once(u64),
    From(u64),
    Each(u64),
}

/// One fault.
#[derive(Debug)]
pub struct Fault {
    /// Whose; `None` for all that send messages.
    call: Option<usize>,
    when: When,
    effect: Effect,
    seen: AtomicU64,
}

/// Counts a call and tells what happens to it.
pub fn strike(call: Call, sends_messages: bool) -> Option<Effect> {
    let mut effect = None;
    for fault in &settings().faults {
        let is_meant = fault.call.map_or(sends_messages, |of| of == call as usize);
        if is_meant {
            let count = fault.seen.fetch_add(1, Ordering::Relaxed) + 1;
            let strikes = match fault.when {
                When::Once(at) => count == at,
                When::From(at) => count >= at,
                When::Each(step) => count % step == 0,
            };
            effect = effect.or_else(|| strikes.then_some(fault.effect));
        }
    }
    effect
}

/// Reads the variable; what is not understood is told and left out.
pub fn parse(text: &str) -> Vec<Fault> {
    let parse_or_complain = |word: &str| {
        let fault = parse_one(word);
        if fault.is_none() {
            complain(&format!("SIDESTEP_EMULATOR_FAULT: {word} is not CALL:WHEN:WHAT; it is ignored"));
        }
        fault
    };
    text.split(',').filter(|word| !word.is_empty()).filter_map(parse_or_complain).collect()
}

fn parse_one(word: &str) -> Option<Fault> {
    let mut parts = word.split(':');
    let (call, when, what) = (parts.next()?, parts.next()?, parts.next()?);
    let call = if call == "*" { None } else { Some(NAMES.iter().position(|name| *name == call)?) };
    let when = if when == "*" {
        When::From(1)
    } else if let Some(step) = when.strip_prefix('/') {
        When::Each(step.parse().ok().filter(|step| *step != 0)?)
    } else if let Some(first) = when.strip_suffix('+') {
        When::From(first.parse().ok()?)
    } else {
        When::Once(when.parse().ok()?)
    };
    let effect = match what {
        "hang" => Effect::Hangs,
        "short" => Effect::IsShort,
        _ => match what.strip_prefix("late-") {
            Some(name) => Effect::FailsLate(trouble(name)?),
            None => Effect::Fails(trouble(what)?),
        },
    };
    Some(Fault { call, when, effect, seen: AtomicU64::new(0) })
}

fn trouble(name: &str) -> Option<Trouble> {
    let errno = |errno| Some(Trouble::Errno(errno));
    match name {
        "EPERM" => errno(Errno::PERM),
        "ENOENT" => errno(Errno::NOENT),
        "EIO" => errno(Errno::IO),
        "ENOMEM" => errno(Errno::NOMEM),
        "EACCES" => errno(Errno::ACCESS),
        "EBUSY" => errno(Errno::BUSY),
        "EEXIST" => errno(Errno::EXIST),
        "ENOTDIR" => errno(Errno::NOTDIR),
        "EINVAL" => errno(Errno::INVAL),
        "ENOSPC" => errno(Errno::NOSPC),
        "EAGAIN" => errno(Errno::AGAIN),
        "ESTALE" => errno(Errno::STALE),
        "EDQUOT" => errno(Errno::DQUOT),
        "ETIMEDOUT" => errno(Errno::TIMEDOUT),
        "EHOSTUNREACH" => errno(Errno::HOSTUNREACH),
        "ECANCELED" => errno(Errno::CANCELED),
        "ENOTSUP" => errno(Errno::NOTSUP),
        "E2BIG" => errno(Errno::TOOBIG),
        "ENOTEMPTY" => errno(Errno::NOTEMPTY),
        _ => Der::by_name(name).map(Trouble::Der),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_what_makes_no_sense_is_left_out() {
        let faults = parse("dfs_read:3:EIO,*:/7:DER_TIMEDOUT,dfs_open:2+:late-ENOSPC,dfs_stat:*:hang");
        let (whens, effects): (Vec<_>, Vec<_>) = faults.iter().map(|fault| (fault.when, fault.effect)).unzip();
        assert_eq!(whens, [When::Once(3), When::Each(7), When::From(2), When::From(1)]);
        assert_eq!(effects[0], Effect::Fails(Trouble::Errno(Errno::IO)));
        assert_eq!(effects[1], Effect::Fails(Trouble::Der(Der(1011))));
        assert_eq!(effects[2], Effect::FailsLate(Trouble::Errno(Errno::NOSPC)));
        assert_eq!(effects[3], Effect::Hangs);
        assert!(parse_one("dfs_nothing:1:EIO").is_none());
        assert!(parse_one("dfs_read:/0:EIO").is_none());
        assert!(parse_one("dfs_read:1:EWHAT").is_none());
        assert!(parse_one("dfs_read").is_none());
    }
}

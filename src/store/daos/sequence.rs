//! Names that are asked for in an order: those of a listing, as `ls -l` and `rsync` do it, or numbered ones, as programs
//! name their steps and ranks.

use crate::store::NodeId;
use std::ops::Range;

/// Names in a row that do not follow one another by chance.
const ROW_MIN: u32 = 2;

/// A step between two numbers that is still an order.
const STEP_MAX: i64 = 4096;

/// Digits of a number that is counted on.
const DIGITS_MAX: usize = 18;

/// The last listing's names that are looked through for the one that is asked for: who reads a listing may leave some out,
/// and the first ones are known to him from the listing itself.
const SKIPPED_MAX: usize = 128;

/// Names of a listing that are kept.
const LISTED_MAX: usize = 16384;

/// What was asked for last, and in which order.
#[derive(Default)]
pub struct Sequence {
    last: Option<(NodeId, Box<[u8]>)>,
    /// The numbers in the names that came last.
    numbers: Option<Numbers>,
    listing: Option<Listing>,
    /// Names so far that came in order.
    row: u32,
}

/// How names are numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers {
    /// From one to the next.
    step: i64,
    /// Where the number is in the last name.
    digits: Range<usize>,
}

/// A directory's names, as many as a listing has fetched so far.
struct Listing {
    directory: NodeId,
    names: Vec<Box<[u8]>>,
    /// Of the name that was last asked for, the index behind it.
    next: usize,
}

impl Sequence {
    /// A listing has fetched names of a directory, behind those that it had.
    pub fn note_listed(&mut self, directory: NodeId, is_first: bool, names: &[Box<[u8]>]) {
        match &mut self.listing {
            Some(listing) if listing.directory == directory && !is_first => {
                // What is behind the reader is of no use any more.
                listing.names.drain(..listing.next);
                listing.next = 0;
                let room = LISTED_MAX - listing.names.len().min(LISTED_MAX);
                listing.names.extend_from_slice(&names[..names.len().min(room)]);
            }
            _ => self.listing = Some(Listing { directory, names: names.to_vec(), next: 0 }),
        }
    }

    /// A name is asked for.
    pub fn note_asked(&mut self, directory: NodeId, name: &[u8]) {
        let numbers = match &self.last {
            Some((before, last)) if *before == directory => numbers(last, name),
            _ => None,
        };
        let is_next_listed = self.listing.as_mut().is_some_and(|listing| listing.go_to(directory, name));
        let is_next_number = match (&self.numbers, &numbers) {
            (Some(before), Some(now)) => before.step == now.step,
            (before, now) => before.is_none() && now.is_some(),
        };
        let is_in_order = is_next_listed || is_next_number;
        self.row = if is_in_order { self.row.saturating_add(1) } else { u32::from(numbers.is_some()) };
        self.numbers = numbers.filter(|_| !is_next_listed);
        self.last = Some((directory, name.into()));
    }

    /// The names that will be asked for next, up to `count_max` of them, and few where the order is young: none while there
    /// is no order.
    pub fn next(&self, count_max: usize) -> Vec<Box<[u8]>> {
        let Some((directory, last)) = self.last.as_ref().filter(|_| self.row >= ROW_MIN) else { return Vec::new() };
        let count_max = count_max.min(1 << self.row.min(16));
        if let Some(numbers) = &self.numbers {
            let indices = 1..=i64::try_from(count_max).unwrap_or(0);
            return indices.map_while(|index| numbers.moved(last, index)).collect();
        }
        let listing = self.listing.as_ref().filter(|listing| listing.directory == *directory);
        let names = listing.map_or(&[][..], |listing| &listing.names[listing.next..]);
        names[..names.len().min(count_max)].to_vec()
    }

    /// A name that was to come next is not there: the order is at its end.
    pub fn end(&mut self) {
        self.row = 0;
    }
}

impl Listing {
    /// Whether a name is the next one, or one of the next.
    fn go_to(&mut self, directory: NodeId, name: &[u8]) -> bool {
        if self.directory != directory {
            return false;
        }
        let ahead = self.names[self.next..].iter().take(SKIPPED_MAX);
        let Some(skipped) = ahead.into_iter().position(|next| **next == *name) else { return false };
        self.next += skipped + 1;
        true
    }
}

/// The digits of `name` around or before `at`.
fn digits_around(name: &[u8], at: usize) -> Range<usize> {
    let before = name[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let behind = name[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    at - before..at + behind
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// How two names are numbered, if a number is all in which they differ.
fn numbers(one: &[u8], other: &[u8]) -> Option<Numbers> {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (first, second) = (digits_around(one, same), digits_around(other, same));
    if first.start != second.start || one[first.end..] != other[second.end..] {
        return None;
    }
    let is_padded = |name: &[u8], digits: &Range<usize>| digits.len() > 1 && name[digits.start] == b'0';
    if (is_padded(one, &first) || is_padded(other, &second)) && first.len() != second.len() {
        return None;
    }
    let step = number(&other[second.clone()])? - number(&one[first])?;
    (step != 0 && step.abs() <= STEP_MAX).then_some(Numbers { step, digits: second })
}

impl Numbers {
    /// The name that comes `steps` after another.
    fn moved(&self, name: &[u8], steps: i64) -> Option<Box<[u8]>> {
        let digits = &name[self.digits.clone()];
        let next = number(digits)?.checked_add(self.step.checked_mul(steps)?).filter(|next| *next >= 0)?;
        let width = if digits[0] == b'0' { digits.len() } else { 0 };
        let mut made = name[..self.digits.start].to_vec();
        made.extend_from_slice(format!("{next:0width$}").as_bytes());
        made.extend_from_slice(&name[self.digits.end..]);
        Some(made.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: NodeId = NodeId(7);

    fn after(names: &[&str]) -> Vec<String> {
        let mut sequence = Sequence::default();
        for name in names {
            sequence.note_asked(HERE, name.as_bytes());
        }
        sequence.next(3).iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn numbers_are_counted_on() {
        assert_eq!(after(&["f.8", "f.9", "f.10"]), ["f.11", "f.12", "f.13"]);
        assert_eq!(after(&["s0098.h5", "s0099.h5", "s0100.h5"]), ["s0101.h5", "s0102.h5", "s0103.h5"]);
        assert_eq!(after(&["r1.s7", "r3.s7", "r5.s7"]), ["r7.s7", "r9.s7", "r11.s7"]);
        assert_eq!(after(&["x4", "x3", "x2"]), ["x1", "x0"]);
        assert_eq!(after(&["998", "999", "1000"]), ["1001", "1002", "1003"]);
    }

    #[test]
    fn what_is_no_order_is_none() {
        for names in
            [&["a1", "a2"][..], &["a1", "a2", "a4"], &["a1", "b2", "c3"], &["a", "b", "c"], &["a09", "a10", "a011"]]
        {
            assert_eq!(after(names), [""; 0], "{names:?}");
        }
    }

    #[test]
    fn a_listing_is_an_order() {
        let names = |text: &str| text.split(' ').map(|name| name.as_bytes().into()).collect::<Vec<Box<[u8]>>>();
        let mut sequence = Sequence::default();
        sequence.note_listed(HERE, true, &names("p q c x a"));
        for name in ["q", "x"] {
            sequence.note_asked(HERE, name.as_bytes());
        }
        assert_eq!(sequence.next(3), names("a"));
        sequence.note_listed(HERE, false, &names("b d"));
        assert_eq!(sequence.next(9), names("a b d"));
        sequence.note_asked(NodeId(8), b"a");
        assert!(sequence.next(9).is_empty());
    }

    #[test]
    fn an_order_ends_with_its_names() {
        let mut sequence = Sequence::default();
        for name in ["f1", "f2", "f3"] {
            sequence.note_asked(HERE, name.as_bytes());
        }
        sequence.end();
        assert!(sequence.next(3).is_empty());
    }
}

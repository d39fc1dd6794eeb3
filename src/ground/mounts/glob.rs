//! The patterns of `exclude=`.
//!
//! `*` and `?` stay within a component, `**` crosses slashes, `[a-z]` and `[!a-z]` are sets, `\` takes the next
//! character as it is. A pattern without a slash is about names at any depth, one with a slash about the path from the
//! prefix on. What matches a directory covers everything below it.

/// Whether `pattern` covers `path`, which is relative and normalised. Without recursion and without allocation: it
/// runs on each path of an application, in its signal handlers too.
pub fn covers(pattern: &[u8], path: &[u8]) -> bool {
    if path.is_empty() {
        return false;
    }
    let (pattern, by_name) = match pattern.strip_prefix(b"/") {
        Some(anchored) => (anchored, false),
        None => (pattern, !pattern.strip_suffix(b"/").unwrap_or(pattern).contains(&b'/')),
    };
    let pattern = pattern.strip_suffix(b"/").unwrap_or(pattern);
    let mut start = 0;
    for end in (0..=path.len()).filter(|&end| path.get(end).is_none_or(|&byte| byte == b'/')) {
        let tried = if by_name { &path[start..end] } else { &path[..end] };
        if matches(pattern, tried) {
            return true;
        }
        start = end + 1;
    }
    false
}

/// The set at the start of a pattern (its `[` already read): whether `byte` is in it, and its length with the `]`.
/// `None` where it is not closed.
fn set_matches(set: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(set.first(), Some(b'!' | b'^'));
    let first = usize::from(negated);
    let mut at = first;
    let mut found = false;
    loop {
        let low = *set.get(at)?;
        if low == b']' && at > first {
            return Some((found != negated, at + 1));
        }
        match (set.get(at + 1), set.get(at + 2)) {
            (Some(b'-'), Some(&high)) if high != b']' => {
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low == byte;
                at += 1;
            }
        }
    }
}

/// Whether one pattern element at the start of `pattern` takes `byte`; the length of that element if it does.
fn element_takes(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => (byte != b'/').then_some(1),
        b'[' => match set_matches(&pattern[1..], byte) {
            Some((true, length)) if byte != b'/' => Some(1 + length),
            Some(_) => None,
            None => (byte == b'[').then_some(1),
        },
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        literal => (literal == byte).then_some(1),
    }
}

/// Where to go on after a mismatch: the pattern behind a star, and the text that it has not taken yet.
#[derive(Clone, Copy)]
struct Retry {
    pattern: usize,
    text: usize,
}

/// Whether the whole of `text` matches. Only the last `*` and the last `**` can need another try: what stands before
/// a star is best matched as early as possible, because the star takes whatever follows.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<Retry> = None;
    let mut deep: Option<Retry> = None;
    // `**/` takes whole components, or none.
    let mut deep_takes_components = false;
    loop {
        let rest = &pattern[p..];
        if rest.starts_with(b"**") {
            deep_takes_components = rest.get(2) == Some(&b'/') && (p == 0 || pattern[p - 1] == b'/');
            p += if deep_takes_components { 3 } else { 2 };
            deep = Some(Retry { pattern: p, text: t });
            star = None;
            continue;
        }
        if rest.first() == Some(&b'*') {
            p += 1;
            star = Some(Retry { pattern: p, text: t });
            continue;
        }
        if t == text.len() && rest.is_empty() {
            return true;
        }
        if t < text.len()
            && let Some(length) = element_takes(rest, text[t])
        {
            p += length;
            t += 1;
            continue;
        }
        if let Some(retry) = &mut star
            && text.get(retry.text).is_some_and(|&byte| byte != b'/')
        {
            retry.text += 1;
            (p, t) = (retry.pattern, retry.text);
            continue;
        }
        star = None;
        let Some(retry) = &mut deep else { return false };
        let Some(left) = text.get(retry.text..) else { return false };
        let step = if deep_takes_components {
            left.iter().position(|&byte| byte == b'/').map(|slash| slash + 1)
        } else {
            (!left.is_empty()).then_some(1)
        };
        let Some(step) = step else { return false };
        retry.text += step;
        (p, t) = (retry.pattern, retry.text);
    }
}

/// Whether every `[` of `pattern` is closed.
pub(super) fn is_well_formed(pattern: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = pattern.get(at) {
        at += match byte {
            b'\\' => 2,
            b'[' => match set_matches(&pattern[at + 1..], 0) {
                Some((_, length)) => 1 + length,
                None => return false,
            },
            _ => 1,
        };
    }
    true
}

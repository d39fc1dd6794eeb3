//! Rust text taken apart as far as these tests need it: what is code, and what is comment.

/// One line of a file.
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// The code, with the contents of strings taken out.
    pub code: String,
    /// What stands behind `//`.
    pub comment: String,
}

/// The lines of a Rust file. Strings over several lines and raw strings are followed; block comments are not used here.
pub fn lines(text: &str) -> impl Iterator<Item = Line> {
    // The end of the string that a line begins in.
    let mut inside: Option<String> = None;
    text.lines().enumerate().map(move |(index, line)| {
        let (code, comment) = take_apart(line, &mut inside);
        Line { number: index + 1, code, comment }
    })
}

fn take_apart(line: &str, inside: &mut Option<String>) -> (String, String) {
    let mut code = String::new();
    let mut rest = line;
    loop {
        if let Some(end) = inside {
            let Some(at) = end_of_string(rest, end) else { return (code, String::new()) };
            rest = &rest[at..];
            *inside = None;
        }
        let Some(at) = rest.find(['"', '/', '\'']) else { break };
        let (before, from) = rest.split_at(at);
        code.push_str(before);
        if let Some(comment) = from.strip_prefix("//") {
            return (code, comment.to_owned());
        }
        if let Some(string) = from.strip_prefix('"') {
            let hashes = before.len() - before.trim_end_matches('#').len();
            let is_raw = before[..before.len() - hashes].ends_with('r');
            *inside = Some(if is_raw { format!("\"{}", "#".repeat(hashes)) } else { "\"".to_owned() });
            rest = string;
        } else if let Some(end) = from.strip_prefix('\'').and_then(end_of_character) {
            rest = &from[1 + end..];
        } else {
            code.push_str(&from[..1]);
            rest = &from[1..];
        }
    }
    code.push_str(rest);
    (code, String::new())
}

/// Where a string that began before `text` ends in it.
fn end_of_string(text: &str, end: &str) -> Option<usize> {
    if end.len() > 1 {
        return text.find(end).map(|at| at + end.len());
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of a character literal behind its first quote; none for a lifetime.
fn end_of_character(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if first == '\\' {
        return text[2..].find('\'').map(|at| at + 3);
    }
    text[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 1)
}

/// The words of a text: letters, digits and underscores.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[test]
fn strings_and_comments_are_told_from_code() {
    let text = "let a = \"unsafe // \\\" x\"; // why\nlet b = '\"'; let c = r#\"one\ntwo \" unsafe\"#; end::<'a>();";
    let found: Vec<(String, String)> = lines(text).map(|line| (line.code, line.comment)).collect();
    let expected = [("let a = ; ", " why"), ("let b = ; let c = r#", ""), ("; end::<'a>();", "")];
    assert_eq!(found, expected.map(|(code, comment)| (code.to_owned(), comment.to_owned())));
}

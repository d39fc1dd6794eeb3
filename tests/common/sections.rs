//! Cases as text: a file of sections, each headed by a line `### name`.

/// One case.
pub struct Section {
    /// Its name, unique in its file.
    pub name: String,
    /// Words after the name: `nobody`, `options=chunk=1KiB`.
    pub attributes: Vec<String>,
    /// What stands before the first section, and then the section itself.
    pub text: String,
}

/// Splits a file of cases.
pub fn split(file: &str) -> Vec<Section> {
    let mut pieces = format!("\n{file}");
    pieces.push('\n');
    let mut parts = pieces.split("\n### ");
    let prelude = parts.next().unwrap_or_default().to_owned();
    parts
        .map(|part| {
            let (head, body) = part.split_once('\n').unwrap_or((part, ""));
            let mut words = head.split_whitespace().map(str::to_owned);
            let name = words.next().expect("a section has a name");
            Section { name, attributes: words.collect(), text: format!("{prelude}\n{body}") }
        })
        .collect()
}

/// The cases of a C program: its lines `CASE(name)`, with attributes in a comment behind.
pub fn of_program(source: &str) -> Vec<Section> {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("CASE("))
        .map(|rest| {
            let (name, rest) = rest.split_once(')').expect("CASE(name)");
            let comment = rest.split_once("// ").map_or("", |(_, comment)| comment);
            let attributes = comment.split_whitespace().map(str::to_owned).collect();
            Section { name: name.to_owned(), attributes, text: String::new() }
        })
        .collect()
}

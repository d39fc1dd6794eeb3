//! The repository's own files.

use super::code::lines;
use super::common::build::source_root;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A text file.
#[derive(Clone)]
pub struct File {
    /// From the repository's root on.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// How many `super::` lead from this file's module to the crate's root.
    pub fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("preload/").trim_start_matches("src/");
        inside.trim_end_matches("/mod.rs").trim_end_matches("/lib.rs").split('/').count()
    }
}

/// All text files, without what git and cargo keep.
pub fn all() -> Vec<File> {
    let mut files = Vec::new();
    walk(&source_root(), &mut files);
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the walk finds the sources");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn walk(directory: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(directory).expect("a readable directory").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().expect("a directory entry has a type");
        if kind.is_dir() && name != "target" && (name == ".ci" || !name.starts_with('.')) {
            walk(&path, files);
        } else if kind.is_file()
            && name != ".git"
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(source_root()).expect("below the root").display().to_string();
            files.push(File { path, text });
        }
    }
}

/// The files with these endings.
pub fn of_kind(endings: &[&str]) -> Vec<File> {
    let has = |file: &File| file.path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending));
    all().into_iter().filter(has).collect()
}

/// The Rust files.
pub fn rust() -> Vec<File> {
    of_kind(&["rs"])
}

/// The paths of all Rust files that cargo compiles: from the crates' and tests' roots along `mod` and `include!`.
pub fn reached_from_roots() -> BTreeSet<String> {
    let files = rust();
    let is_root = |path: &str| {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        matches!(name, "lib.rs" | "main.rs" | "build.rs")
            || matches!(directory, "tests" | "benchmarks" | "preload/tests")
    };
    let mut pending: Vec<&File> = files.iter().filter(|file| is_root(&file.path)).collect();
    let mut reached = BTreeSet::new();
    while let Some(file) = pending.pop() {
        if reached.insert(file.path.clone()) {
            let children: BTreeSet<String> = children(file, is_root(&file.path)).into_iter().collect();
            pending.extend(files.iter().filter(|file| children.contains(&file.path)));
        }
    }
    reached
}

/// The paths that the `mod` declarations of a file may lead to.
fn children(file: &File, is_root: bool) -> Vec<String> {
    let path = Path::new(&file.path);
    let directory = path.parent().unwrap_or(Path::new(""));
    let owns_its_directory = is_root || path.ends_with("mod.rs");
    let home = if owns_its_directory { directory.to_owned() } else { path.with_extension("") };
    let raw: Vec<&str> = file.text.lines().collect();
    let mut named = None;
    let mut found = Vec::new();
    for line in lines(&file.text) {
        let code = line.code.trim();
        let quoted = || raw[line.number - 1].split('"').nth(1).map(str::to_owned);
        if code.starts_with("#[path") {
            named = quoted();
        } else if code.starts_with("include!") {
            found.extend(quoted().map(|name| clean(&directory.join(name))));
        } else if let Some(name) = module(code) {
            match named.take() {
                Some(place) => found.push(clean(&directory.join(place))),
                None => {
                    found.push(clean(&home.join(format!("{name}.rs"))));
                    found.push(clean(&home.join(name).join("mod.rs")));
                }
            }
        }
    }
    found
}

/// The name in `mod name;`, whatever its visibility.
fn module(code: &str) -> Option<&str> {
    let (before, name) = code.strip_suffix(';')?.rsplit_once("mod ")?;
    let before = before.trim();
    (before.is_empty() || before.starts_with("pub") || before.ends_with(']')).then_some(name)
}

/// The path with `..` resolved.
fn clean(path: &Path) -> String {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            cleaned.pop();
        } else {
            cleaned.push(component);
        }
    }
    cleaned.display().to_string()
}

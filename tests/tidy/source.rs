//! Reading Rust source as far as the rules need it: without comments, texts and tests.

use std::fs;
use std::path::Path;

/// One file of the house.
pub(crate) struct Source {
    /// Its path below `src`.
    pub(crate) path: String,
    /// What is written in it.
    pub(crate) text: String,
    /// The same, without comments, literals and tests.
    pub(crate) code: String,
}

impl Source {
    /// A file that says `text`.
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let code = without_tests(&without_comments_and_literals(&text));
        Self { path, text, code }
    }

    /// All Rust files below `root`, in order, but for those that are tests.
    pub(crate) fn all_below(root: &Path) -> Vec<Self> {
        let mut found = Vec::new();
        collect(root, root, &mut found);
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    /// The room it is in.
    pub(crate) fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules deep it is: 1 for `machine/mod.rs`, 2 for `machine/group.rs`.
    pub(crate) fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("mod.rs") { parts - 1 } else { parts }
    }
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("list {}: {e}", dir.display()));
    for path in entries.map(|entry| entry.expect("a folder can be listed to its end").path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "tests" {
            collect(root, &path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") && !name.ends_with("_test.rs") {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
            let below = path.strip_prefix(root).expect("it was found below the root");
            found.push(Source::new(below.display().to_string(), text));
        }
    }
}

/// Replaces comments, texts and characters by nothing; lines stay.
fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().filter(|c| **c == '\n'));
            code.push(' ');
            at = end;
        }
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn skipped_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => find(chars, at, |c| c == '\n'),
        '/' if next == Some('*') => block_comment_end(chars, at),
        '"' => text_end(chars, at),
        'r' if !continues_a_word(chars, at) => raw_text_end(chars, at),
        '\'' => char_end(chars, at),
        _ => at,
    }
}

fn find(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|c| stop(*c)).map_or(chars.len(), |offset| from + offset)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn text_end(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_text_end(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    let quote = start + 1 + hashes;
    if chars.get(quote) != Some(&'"') {
        return start;
    }
    let closes = |at: usize| chars[at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (quote + 1..chars.len()).find(|at| closes(*at)).map_or(chars.len(), |at| at + 1 + hashes)
}

/// A quote begins a character, or else a lifetime.
fn char_end(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => find(chars, start + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

/// Whether the letter at `at` is not the first of its word. `b` and `c` before a raw text are part of the literal.
fn continues_a_word(chars: &[char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|at| chars[at]).filter(|c| is_word(*c));
    match before(1) {
        None => false,
        Some('b' | 'c') => before(2).is_some(),
        Some(_) => true,
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Takes away the items that are only compiled for tests.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = ["#[cfg(test)]", "#[cfg(all(test,"].iter().filter_map(|mark| rest.find(mark)).min() {
        kept.push_str(&rest[..start]);
        let end = start + item_end(&rest[start..]);
        kept.extend(rest[start..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

/// Where the item ends that begins (with its attributes) at the start: at its semicolon, or its closing brace.
fn item_end(code: &str) -> usize {
    let (mut braces, mut others) = (0usize, 0usize);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others = others.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces <= 1 => return at + 1 + usize::from(code[at + 1..].starts_with(';')),
            '}' => braces -= 1,
            ';' if braces == 0 && others == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("base/x.rs", text).code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_texts_are_not_code() {
        assert_eq!(code("a // tokio\nb /* rand /* nested */ */ c"), "a b c");
        assert_eq!(code(r##"f("tokio \" rand") + r#"async " "# + br"x" "##), "f( ) + + b");
        assert_eq!(code("fn f<'a>(x: &'a str) -> char { '\\'' }"), "fn f<'a>(x: &'a str) -> char { }");
        assert_eq!(code("['\"', 'x', '\\u{1F600}'] tail"), "[ , , ] tail");
    }

    #[test]
    fn tests_are_not_code() {
        assert_eq!(code("a\n#[cfg(test)]\nmod tests { fn f() { tokio } }\nb"), "a b");
        assert_eq!(code("#[cfg(test)]\n#[path = \"x\"]\nmod tests;\nb"), "b");
        assert_eq!(code("#[cfg(test)]\nuse tokio::{a, b};\nb"), "b");
        assert_eq!(code("#[cfg(all(test, unix))] fn f(x: [u8; 2]) { 1; } b"), "b");
        assert_eq!(code("#[cfg(not(test))] fn f() {}"), "#[cfg(not(test))] fn f() {}");
    }
}

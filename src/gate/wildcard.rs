//! `include /etc/redis/conf.d/*.conf`: the files that a pattern names, in order.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Whether a path is a pattern.
pub(super) fn has_one(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// The existing files that match, sorted, as the shell would list them.
pub(super) fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        found = match part {
            Component::Normal(name) if has_one(Path::new(name)) => {
                found.iter().flat_map(|dir| matching(dir, name.as_encoded_bytes())).collect()
            }
            part => found.into_iter().map(|path| path.join(part)).filter(|path| path.exists()).collect(),
        };
    }
    found
}

fn matching(dir: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let looked_in = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    // A folder that cannot be read has no files for Redis either.
    let entries = fs::read_dir(looked_in).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let hidden = |name: &[u8]| name.starts_with(b".") && !pattern.starts_with(b".");
    let matching = entries.filter(|name| !hidden(name.as_encoded_bytes()) && matches(pattern, name.as_encoded_bytes()));
    let mut names: Vec<_> = matching.collect();
    names.sort();
    names.into_iter().map(|name| dir.join(name)).collect()
}

/// The rules of glob(3): `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before a character that stands for itself.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        ([b'?', rest @ ..], [_, name @ ..]) => matches(rest, name),
        ([b'[', rest @ ..], [first, tail @ ..]) => match class(rest, *first) {
            Some((hit, rest)) => hit && matches(rest, tail),
            None => *first == b'[' && matches(rest, tail),
        },
        ([b'\\', literal, rest @ ..], [first, name @ ..]) | ([literal, rest @ ..], [first, name @ ..]) => {
            literal == first && matches(rest, name)
        }
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

/// Whether a byte is in the class that `pattern` begins with, and what follows the class; none if it never closes.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mut hit, mut first) = (false, true);
    loop {
        rest = match rest {
            [b']', rest @ ..] if !first => return Some((hit != negated, rest)),
            [low, b'-', high, rest @ ..] if *high != b']' => {
                hit |= (*low..=*high).contains(&byte);
                rest
            }
            [one, rest @ ..] => {
                hit |= *one == byte;
                rest
            }
            [] => return None,
        };
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "redis.conf", true),
            ("*.conf", "redis.conf.bak", false),
            ("*", "", true),
            ("r?dis*", "redis.conf", true),
            ("0[0-3]-*", "02-a", true),
            ("0[!0-3]-*", "02-a", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a*b*c", "a-b-b-c", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_in_order_and_hidden_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".c.conf", "d.txt"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = expand(&dir.path().join("*.conf"));
        assert_eq!(found, [dir.path().join("a.conf"), dir.path().join("b.conf")]);
        assert_eq!(expand(&dir.path().join("none/*.conf")), Vec::<PathBuf>::new());
    }
}

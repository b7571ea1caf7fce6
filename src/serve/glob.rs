//! Patterns as in PSUBSCRIBE and SENTINEL RESET: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\x` for x itself.

/// Whether the whole text fits the pattern. Takes at most pattern length times text length steps.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the rest does not fit: after the last star, one byte further in the text. Earlier stars need no second
    // look, since the last one can take whatever they gave up.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
                continue;
            }
            Some(_) => one(&pattern[p..], text[t]),
            None => None,
        };
        match (step, retry) {
            (Some(taken), _) => {
                p += taken;
                t += 1;
            }
            (None, Some((after_star, from))) => {
                p = after_star;
                t = from + 1;
                retry = Some((after_star, t));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern stand for this one byte; none if they do not fit it.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => in_class(class, byte).map(|taken| taken + 1),
        [b'\\', plain, ..] => (*plain == byte).then_some(2),
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

/// A class after its `[`. One that is never closed ends with the pattern, as in Redis.
fn in_class(class: &[u8], byte: u8) -> Option<usize> {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &class[at.min(class.len())..] {
            [b'\\', plain, ..] => {
                found |= *plain == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [] => break,
            [from, b'-', to, ..] => {
                found |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [plain, ..] => {
                found |= *plain == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes())
    }

    #[test]
    fn patterns_mean_what_they_mean_in_redis() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "+sdown"),
            ("[-+]sdown", "-sdown"),
            ("[-+]sdown", "+sdown"),
            ("+s?own", "+sdown"),
            ("a*b*c", "a-b-b-c"),
            ("[^a]b", "bb"),
            ("[a-c]", "b"),
            ("[c-a]", "b"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("[ab", "a"),
        ] {
            assert!(fits(pattern, text), "{pattern} should fit {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("switch-master", "+switch-master"),
            ("a*b", "a-c"),
            ("[^a]b", "ab"),
            ("[a-c]", "d"),
            ("\\*", "x"),
            ("?", ""),
            ("A", "a"),
        ] {
            assert!(!fits(pattern, text), "{pattern} should not fit {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let started = Instant::now();
        assert!(!matches(&b"a*".repeat(100), &[&b"a".repeat(5000)[..], b"b"].concat()[1..].iter().map(|_| b'x').collect::<Vec<_>>()));
        assert!(!fits(&format!("{}b", "a*".repeat(200)), &"a".repeat(5000)));
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

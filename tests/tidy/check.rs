//! Holding one file against the rules.

use crate::rules::{LIBRARIES, LINES, LONG_FILES, NOT_IN_PURE_ROOMS, ROOMS, Room};
use crate::source::{Source, is_word};

/// Everything that is wrong with a file.
pub(crate) fn complaints(source: &Source) -> Vec<String> {
    let mut found = shape(source);
    match ROOMS.iter().find(|room| room.name == source.room()) {
        None => found.push(format!("{} is no room of the house: give it a row in tests/tidy/rules.rs", source.room())),
        Some(room) => {
            found.extend(neighbours(source, room));
            found.extend(purity(source, room));
            found.extend(libraries(source, room));
        }
    }
    found.into_iter().map(|complaint| format!("src/{}: {complaint}", source.path)).collect()
}

fn shape(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    if !source.text.starts_with("//!") {
        found.push("begins without //!: say what lives here".to_owned());
    }
    let lines = source.text.lines().count();
    if lines > LINES && !LONG_FILES.iter().any(|(file, _)| *file == source.path) {
        found.push(format!("has {lines} lines, {LINES} are allowed: look for a seam"));
    }
    found
}

fn neighbours(source: &Source, room: &Room) -> Vec<String> {
    let excepted = |name: &str| room.except.iter().any(|(file, used)| *file == source.path && *used == name);
    let allowed = |used: &Used| {
        let whole = room.may_use.contains(&used.room.as_str()) || excepted(&used.room) || used.room == room.name;
        whole || used.name.as_ref().is_some_and(|name| room.may_use.contains(&format!("{}::{name}", used.room).as_str()))
    };
    let uses = used_rooms(source).into_iter().filter(|used| ROOMS.iter().any(|room| room.name == used.room));
    uses.filter(|used| !allowed(used)).map(|used| format!("line {}: {} may not use {used}", used.line, room.name)).collect()
}

fn purity(source: &Source, room: &Room) -> Vec<String> {
    let words = NOT_IN_PURE_ROOMS.iter().filter(|_| room.pure);
    let found = words.filter_map(|(word, why)| Some((line_of(&source.code, word)?, word, why)));
    found.map(|(line, word, why)| format!("line {line}: {word} in a pure room ({why})")).collect()
}

fn libraries(source: &Source, room: &Room) -> Vec<String> {
    let others = LIBRARIES.iter().filter(|(_, may)| !may.contains(&room.name));
    let found = others.filter_map(|(word, may)| Some((line_of(&source.code, word)?, word, may)));
    found.map(|(line, word, may)| format!("line {line}: {word} is only for {}", may.join(", "))).collect()
}

/// The line of the first occurrence of `word` that is not part of a longer word.
fn line_of(code: &str, word: &str) -> Option<usize> {
    let alone = |at: usize| {
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    };
    code.match_indices(word).find(|(at, _)| alone(*at)).map(|(at, _)| line_at(code, at))
}

fn line_at(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// A room that a file uses, and what of it.
#[derive(Debug, PartialEq, Eq)]
struct Used {
    room: String,
    name: Option<String>,
    line: usize,
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.room)?;
        self.name.iter().try_for_each(|name| write!(f, "::{name}"))
    }
}

/// What follows the crate's root in paths: `crate::`, the crate's own name, or enough `super::`.
fn used_rooms(source: &Source) -> Vec<Used> {
    let code = &source.code;
    let to_the_root = "super::".repeat(source.depth());
    let mut used = Vec::new();
    for start in ["crate::", "raft_sentinel::", to_the_root.as_str()] {
        for (at, _) in code.match_indices(start) {
            if code[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':') {
                continue;
            }
            let line = line_at(code, at);
            let paths = heads(&code[at + start.len()..], 2);
            used.extend(paths.into_iter().map(|path| {
                let mut parts = path.into_iter();
                Used { room: parts.next().unwrap_or_default(), name: parts.next(), line }
            }));
        }
    }
    used
}

/// The paths at the start of `code`, cut after `depth` names: `a::{b::c, d}` gives `a::b` and `a::d`.
fn heads(code: &str, depth: usize) -> Vec<Vec<String>> {
    let code = code.trim_start();
    if depth == 0 {
        return vec![Vec::new()];
    }
    if let Some(list) = code.strip_prefix('{') {
        return items(list).into_iter().filter(|item| !item.trim().is_empty()).flat_map(|item| heads(item, depth)).collect();
    }
    let name: String = code.chars().take_while(|c| is_word(*c) || *c == '*').collect();
    let rest = code[name.len()..].trim_start().strip_prefix("::");
    let tails = rest.map_or_else(|| vec![Vec::new()], |rest| heads(rest, depth - 1));
    tails.into_iter().map(|tail| std::iter::once(name.clone()).chain(tail).collect()).collect()
}

/// The items of a list up to its closing brace, cut at the commas that are not inside inner braces.
fn items(list: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, body: &str) -> String {
        complaints(&Source::new(path, format!("//! Here.\n{body}"))).join("; ")
    }

    #[test]
    fn a_file_that_keeps_the_rules_passes() {
        assert_eq!(
            wrong("machine/group.rs", "use crate::base::{Addr, Epoch};\nuse super::ballot::Ballot;\nuse crate::machine::State;"),
            ""
        );
        assert_eq!(wrong("board.rs", "use crate::judge::GroupView;\nuse crate::base::limits;"), "");
        assert_eq!(wrong("main.rs", "use raft_sentinel::{app, conf::Cli};"), "");
        assert_eq!(wrong("conf/cli.rs", "use crate::ctl::Command;"), "");
        assert_eq!(wrong("raft/node.rs", "use tokio::time::Instant; use openraft::Config; let a = Instant::now();"), "");
    }

    #[test]
    fn a_room_may_not_use_its_callers() {
        for (path, body, word) in [
            ("machine/x.rs", "use crate::raft::Raft;", "machine may not use raft::Raft"),
            ("machine/x.rs", "use super::super::raft::Raft;", "machine may not use raft::Raft"),
            ("machine/mod.rs", "use super::judge;", "machine may not use judge"),
            ("serve/resp/x.rs", "use crate::{base::Addr, agent::Agent};", "serve may not use agent::Agent"),
            ("serve/resp/x.rs", "use crate::judge::Judge;", "serve may not use judge::Judge"),
            ("serve/resp/x.rs", "use crate::judge::{GroupView, candidate};", "serve may not use judge::candidate"),
            ("store/x.rs", "fn f(raft: &crate::raft::Raft) {}", "store may not use raft::Raft"),
            ("agent/x.rs", "let x = crate::serve::resp::start();", "agent may not use serve::resp"),
            ("conf/file.rs", "use crate::ctl::Command;", "conf may not use ctl::Command"),
            ("main.rs", "use raft_sentinel::store;", "main may not use store"),
        ] {
            assert!(wrong(path, body).contains(word), "{path}: {body}: {:?}", wrong(path, body));
        }
    }

    #[test]
    fn the_line_is_told() {
        assert_eq!(wrong("judge/x.rs", "\n\nuse crate::redis;"), "src/judge/x.rs: line 4: judge may not use redis");
    }

    #[test]
    fn pure_rooms_stay_pure() {
        for word in ["tokio::spawn(x)", "async fn f() {}", "Instant::now()", "use std::net::IpAddr;", "rand::random()", "HashMap::new()"] {
            assert!(wrong("machine/x.rs", word).contains("in a pure room"), "{word}");
            assert!(!wrong("agent/x.rs", word).contains("in a pure room"), "{word}");
        }
        assert_eq!(wrong("judge/x.rs", "// tokio, rand\nlet randomly = \"async\"; let my_tokio = 1;"), "");
        assert_eq!(wrong("judge/x.rs", "#[cfg(test)]\nmod tests { use std::collections::HashMap; }"), "");
    }

    #[test]
    fn libraries_stay_in_their_rooms() {
        assert!(wrong("serve/grpc/x.rs", "use openraft::Raft;").contains("openraft is only for raft, store"));
        assert!(wrong("probe/x.rs", "use ::redis::Client;").contains("::redis is only for redis"));
        assert_eq!(wrong("probe/x.rs", "use crate::redis::Link;"), "");
        assert!(wrong("agent/x.rs", "let t = std::time::SystemTime::now();").contains("SystemTime is only for clock"));
    }

    #[test]
    fn files_have_a_head_and_an_end() {
        assert!(complaints(&Source::new("base/x.rs", "use std::fmt;"))[0].contains("begins without //!"));
        assert!(wrong("base/x.rs", &"\n".repeat(LINES)).contains("has 401 lines"));
        assert_eq!(wrong("base/x.rs", &"\n".repeat(LINES - 1)), "");
        assert!(wrong("attic/x.rs", "").contains("attic is no room"));
    }
}

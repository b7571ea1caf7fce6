//! A reply as text in which nothing depends on the moment: types, names, and the values that mean something.

use crate::labels::Labels;
use crate::raw::Raw;

/// Ages, counters and what each process chooses for itself.
const VOLATILE: [&str; 17] = [
    "last-ping-sent",
    "last-ok-ping-reply",
    "last-ping-reply",
    "s-down-time",
    "o-down-time",
    "info-refresh",
    "role-reported-time",
    "last-hello-message",
    "link-pending-commands",
    "master-link-down-time",
    "slave-repl-offset",
    "config-epoch",
    "voted-leader",
    "voted-leader-epoch",
    "id",
    "version",
    "link-refcount",
];

/// The fields of instances that are ours, behind all of stock's. The first cell of their row in `src/docs/differences.md`
/// is [`OURS_ROW`].
pub(crate) const OURS: [&str; 17] = [
    "promotion-policy",
    "effective-promotion-policy",
    "fence-armed",
    "fence-status",
    "fence-min-replicas",
    "fence-known-replicas",
    "fence-max-lag",
    "fence-covered",
    "wait-replicas",
    "replica-forget-after",
    "replicas-fixed",
    "max-replicas",
    "failover-ready",
    "failover-next",
    "failover-obstacle",
    "min-replicas-to-write",
    "min-replicas-max-lag",
];
pub(crate) const OURS_ROW: &str = "fields of `SENTINEL MASTER`, `MASTERS`, `REPLICAS`";

/// How closely a reply is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Types and values.
    All,
    /// Types only: texts for people, and numbers that each process has for itself.
    Types,
    /// The names of `name:value` or `name=value`.
    Names,
}

/// What is compared of the reply to a question.
pub(crate) fn care_for(question: &str) -> Care {
    let upper = question.to_ascii_uppercase();
    let is = |starts: &[&str]| starts.iter().any(|start| upper.starts_with(start));
    if is(&["SENTINEL HELP", "CLIENT HELP", "COMMAND HELP", "SENTINEL INFO-CACHE", "COMMAND DOCS", "CLIENT ID", "SENTINEL MYID"]) {
        Care::Types
    } else if is(&["INFO", "CLIENT LIST", "CLIENT INFO"]) && upper != "INFO SENTINEL" {
        Care::Names
    } else {
        Care::All
    }
}

/// The reply as lines.
pub(crate) fn told(reply: &Raw, care: Care, labels: &Labels) -> String {
    let mut text = String::new();
    tell(reply, care, labels, 0, &mut text);
    text
}

fn tell(reply: &Raw, care: Care, labels: &Labels, depth: usize, text: &mut String) {
    let said = |value: &str| match care {
        Care::All => labels.apply(value),
        Care::Types => String::new(),
        Care::Names => names(value),
    };
    let line = match reply {
        Raw::Simple(value) => format!("+{}", said(value)),
        // What clients and scripts go by.
        Raw::Error(value) => format!("-{}", labels.apply(value)),
        Raw::Int(value) => format!(":{}", said(&value.to_string())),
        Raw::Bulk(value) => format!("${}", said(value)),
        Raw::Verbatim(value) => format!("={}", said(value)),
        Raw::Nil(kind) => format!("nil {kind}"),
        Raw::Many(kind, items) => return tell_many(*kind, items, care, labels, depth, text),
    };
    text.push_str(&format!("{}{line}\n", "  ".repeat(depth)));
}

fn tell_many(kind: char, items: &[Raw], care: Care, labels: &Labels, depth: usize, text: &mut String) {
    text.push_str(&format!("{}{kind}\n", "  ".repeat(depth)));
    let mut lines = Vec::new();
    let names_ours = |item: &Raw| matches!(item, Raw::Bulk(name) if OURS.contains(&name.as_str()));
    // What is ours ends an entry.
    let (first, end) = (items.iter().position(names_ours), items.len());
    let stocks = first.filter(|at| items[*at..].iter().step_by(2).all(names_ours)).unwrap_or(end);
    for (at, item) in items.iter().enumerate().take(stocks) {
        let volatile = at % 2 == 1 && matches!(&items[at - 1], Raw::Bulk(name) if VOLATILE.contains(&name.as_str()));
        let mut line = String::new();
        tell(item, if volatile { Care::Types } else { care }, labels, depth + 1, &mut line);
        lines.push(line);
    }
    // Of texts for people it matters that there are some; the order of instances is that of a hash table in stock.
    if care == Care::Types && items.iter().all(|item| matches!(item, Raw::Simple(_))) {
        lines.dedup();
    }
    if items.iter().all(|item| matches!(item, Raw::Many(..))) {
        lines.sort();
    }
    lines.iter().for_each(|line| text.push_str(line));
}

/// The names in a text of `name:value` lines or `name=value` words.
fn names(text: &str) -> String {
    let of_line = |line: &str| match line.split_once(':') {
        Some((name, _)) if !line.contains(' ') => name.to_owned(),
        _ => line.split(' ').map(|word| word.split('=').next().unwrap_or_default()).collect::<Vec<_>>().join(" "),
    };
    let mut lines: Vec<String> = text.lines().map(of_line).collect();
    // One line for each client that happens to be connected.
    lines.dedup();
    lines.join("\n    ")
}

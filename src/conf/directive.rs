//! The table of directives: which there are, how many arguments each takes, when it is applied, and what we do with it.
//!
//! The rows are in [`general`] and [`tls`] (what any Redis server's file may say), [`sentinel`] (`sentinel ...`) and [`ours`].

mod general;
mod ours;
mod sentinel;
mod tls;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::draft::Draft;
use super::value::{Problem, shown};

/// How many arguments a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Args {
    min: usize,
    max: usize,
}

/// When a directive is applied. Files may say things in any order: a group's settings may precede the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// What is about the process: in the order of the lines.
    Process,
    /// `sentinel` lines about all groups.
    AllGroups,
    /// `sentinel monitor`.
    Monitor,
    /// `sentinel` lines about one group.
    OneGroup,
}

/// What we do with a directive.
#[derive(Clone, Copy)]
pub(super) enum Treatment {
    /// It says something to us.
    Use(fn(&mut Draft, &[String]) -> Result<(), Problem>),
    /// An option of a group, read as SENTINEL SET reads it.
    GroupOption,
    /// It has no meaning here; why. An operator is told once.
    Ignore(&'static str),
    /// To ignore it would weaken security or change what happens: refused but for these harmless values (which are defaults).
    Refuse {
        /// Values that ask for nothing.
        harmless: &'static [&'static str],
        /// Why, and what to do instead.
        advice: &'static str,
    },
}

/// One row of the table.
#[derive(Clone, Copy)]
pub(super) struct Directive {
    /// Its name: one word, or two such as `sentinel monitor`.
    pub(super) name: &'static str,
    pub(super) args: Args,
    pub(super) stage: Stage,
    pub(super) treatment: Treatment,
}

impl Args {
    const fn exactly(count: usize) -> Self {
        Self { min: count, max: count }
    }

    const fn from_to(min: usize, max: usize) -> Self {
        Self { min, max }
    }

    const fn at_least(min: usize) -> Self {
        Self { min, max: usize::MAX }
    }

    fn expected(self) -> String {
        match self {
            Self { min, max } if min == max => format!("{min}"),
            Self { min, max: usize::MAX } => format!("at least {min}"),
            Self { min, max } => format!("{min} to {max}"),
        }
    }
}

/// A directive and its arguments.
pub(super) type Found<'a> = (Directive, &'a [String]);

/// Finds the row that a line's words name, and checks the number of arguments.
pub(super) fn find(words: &[String]) -> Result<Option<Found<'_>>, Problem> {
    let (family, rest) = match words {
        [] => return Ok(None),
        // Stock ignores a bare `sentinel` line.
        [family] if family == "sentinel" => return Ok(None),
        [family, rest @ ..] => (family.as_str(), rest),
    };
    let (name, args) = match (family, rest) {
        ("sentinel" | "raft" | "grpc" | "http", [word, args @ ..]) => (format!("{family} {}", word.to_ascii_lowercase()), args),
        _ => (family.to_owned(), rest),
    };
    let row = *BY_NAME.get(name.as_str()).ok_or_else(|| unknown(family, &name))?;
    if (row.args.min..=row.args.max).contains(&args.len()) { Ok(Some((row, args))) } else { Err(wrong_count(family, row, args)) }
}

/// The rows by name.
static BY_NAME: LazyLock<BTreeMap<&'static str, Directive>> = LazyLock::new(|| rows().map(|row| (row.name, row)).collect());

fn rows() -> impl Iterator<Item = Directive> {
    [ours::ROWS, sentinel::ROWS, tls::ROWS, general::ROWS].into_iter().flatten().copied().chain(general::ignored())
}

/// How stock Sentinel begins its complaint about a line that it does not know.
fn stock_complaint(family: &str) -> &'static str {
    if family == "sentinel" { "Unrecognized sentinel configuration statement." } else { "Bad directive or wrong number of arguments." }
}

fn unknown(family: &str, name: &str) -> Problem {
    let hint = nearest(name).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    format!("{} There is no directive {}{hint}", stock_complaint(family), shown(name))
}

fn wrong_count(family: &str, row: Directive, args: &[String]) -> Problem {
    let comment = args.iter().any(|arg| arg.starts_with('#'));
    let hint = if comment { "; a comment needs a line of its own" } else { "; quote an argument that contains blanks" };
    let count = args.len();
    format!("{} '{}' takes {} argument(s), not {count}{hint}", stock_complaint(family), row.name, row.args.expected())
}

/// How many letters a slip of the pen gets wrong at most.
const SLIP: usize = 2;

/// The directive that was probably meant: at most [`SLIP`] letters away.
fn nearest(name: &str) -> Option<&'static str> {
    let close = BY_NAME.keys().filter_map(|known| Some((letters_apart(known.as_bytes(), name.as_bytes())?, known)));
    close.filter(|(apart, known)| apart * 2 <= known.len()).min().map(|(_, known)| *known)
}

/// Levenshtein's distance; none if it is more than [`SLIP`].
///
/// Only what can still be that close is looked at: a band along the diagonal, and no further than the first row that is beyond. So a
/// word that is like none of the hundreds of directives costs a few steps for each, however long it is.
fn letters_apart(a: &[u8], b: &[u8]) -> Option<usize> {
    if a.len().abs_diff(b.len()) > SLIP {
        return None;
    }
    const FAR: usize = SLIP + 1;
    // Cell `d` of a row is column `i + d - SLIP`.
    let mut row: [usize; 2 * SLIP + 1] = std::array::from_fn(|d| d.checked_sub(SLIP).unwrap_or(FAR));
    for (i, x) in a.iter().enumerate() {
        let mut next = [FAR; 2 * SLIP + 1];
        for d in 0..next.len() {
            let Some(column) = (i + 1 + d).checked_sub(SLIP).filter(|column| *column <= b.len()) else { continue };
            let removed = row.get(d + 1).map_or(FAR, |cell| cell + 1);
            let added = d.checked_sub(1).map_or(FAR, |left| next[left] + 1);
            let changed = column.checked_sub(1).map_or(FAR, |letter| row[d] + usize::from(b[letter] != *x));
            next[d] = removed.min(added).min(changed).min(FAR);
        }
        if next.iter().all(|cell| *cell == FAR) {
            return None;
        }
        row = next;
    }
    let last = row[b.len() + SLIP - a.len()];
    (last <= SLIP).then_some(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn problem(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        find(&words).err().unwrap_or_default()
    }

    #[test]
    fn no_directive_has_two_rows() {
        let mut seen = BTreeSet::new();
        for Directive { name, .. } in rows() {
            assert!(seen.insert(name), "{name} has two rows");
            assert_eq!(name.to_ascii_lowercase(), name);
        }
    }

    #[test]
    fn every_directive_of_a_stock_server_is_known() {
        let stock = include_str!("directive/testdata/redis-7.0-directives.txt");
        let missing: Vec<&str> = stock.split_whitespace().filter(|name| !BY_NAME.contains_key(name)).collect();
        assert!(missing.is_empty(), "not in the table: {missing:?}");
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert!(problem("prot 26379").ends_with("There is no directive 'prot'; did you mean 'port'?"));
        assert!(problem("sentinel monitr m 1 2 3").ends_with("did you mean 'sentinel monitor'?"));
        assert!(problem("raft nodeid 1").ends_with("did you mean 'raft node-id'?"));
        assert!(problem("something-else-entirely 1").ends_with("There is no directive 'something-else-entirely'"));
    }

    /// By the book: every cell.
    fn letters_apart_slowly(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([x, a @ ..], [y, b @ ..]) if x == y => letters_apart_slowly(a, b),
            ([_, a_rest @ ..], [_, b_rest @ ..]) => {
                let changed = letters_apart_slowly(a_rest, b_rest);
                1 + changed.min(letters_apart_slowly(a, b_rest)).min(letters_apart_slowly(a_rest, b))
            }
        }
    }

    #[test]
    fn the_short_way_counts_letters_as_the_long_one_does() {
        let words: Vec<Vec<u8>> = (0..3_u32.pow(5)).map(|n| (0..n % 6).map(|at| b'a' + (n / 3_u32.pow(at) % 3) as u8).collect()).collect();
        for a in &words {
            for b in words.iter().step_by(3) {
                let expected = Some(letters_apart_slowly(a, b)).filter(|apart| *apart <= SLIP);
                assert_eq!(letters_apart(a, b), expected, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_wrong_number_of_arguments_is_counted_and_not_quoted() {
        assert_eq!(
            problem("port"),
            "Bad directive or wrong number of arguments. 'port' takes 1 argument(s), not 0; quote an argument that contains blanks"
        );
        assert!(problem("port 26379 # a comment").ends_with("not 4; a comment needs a line of its own"));
        let said = problem("sentinel auth-pass mymaster two words");
        assert!(
            said.starts_with("Unrecognized sentinel configuration statement.") && !said.contains("words;") && !said.contains("two"),
            "{said}"
        );
    }
}

//! The story of one group as bars over time: who took writes, whom each sentinel named, where each client could write.

use serde::{Deserialize, Serialize};

use crate::clock::{SECOND, Us, ms};
use crate::record::{Answer, ClientLog, GroupRecord, Habit, Look, Record, Said, Seen};
use crate::stage::conf::node_letter;

/// A pause in a client's writes up to which they are one bar.
const TOGETHER: Us = 100_000;
/// What is kept of the time before the fault.
const BEFORE: Us = 5 * SECOND;

/// What a bar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// This data node: it takes writes, is named, or is written to.
    Node(usize),
    /// A replica.
    Replica,
    /// A master that refuses writes, or a sentinel that says that it cannot tell.
    Refuses,
    Silent,
}

/// One state for a while. Milliseconds since the fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) state: State,
}

/// One line of the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Strip {
    /// The group that is shown, where there are several.
    pub(crate) group: usize,
    /// When the fault was taken back, in milliseconds since it began.
    pub(crate) healed: f64,
    pub(crate) end: f64,
    pub(crate) rows: Vec<Row>,
    /// What was done, and when.
    pub(crate) notes: Vec<(f64, String)>,
}

pub(super) fn of_group(record: &Record, number: usize) -> Strip {
    let scale = Scale { fault: record.marks.fault, end: record.marks.end };
    let rows = record.groups.get(number).map(|group| rows(group, &scale)).unwrap_or_default();
    Strip {
        group: number,
        healed: scale.ms(record.marks.healed),
        end: scale.ms(record.marks.end),
        rows,
        notes: record.notes.iter().map(|(at, text)| (scale.ms(*at), text.clone())).collect(),
    }
}

struct Scale {
    fault: Us,
    end: Us,
}

impl Scale {
    /// Milliseconds since the fault, to a tenth.
    fn ms(&self, at: Us) -> f64 {
        ((ms(at) - ms(self.fault)) * 10.0).round() / 10.0
    }

    /// The part of a bar that is shown.
    fn bar(&self, from: Us, to: Us, state: State) -> Option<Bar> {
        let (from, to) = (from.max(self.fault.saturating_sub(BEFORE)), to.min(self.end));
        (from < to).then(|| Bar { from: self.ms(from), to: self.ms(to), state })
    }
}

fn rows(group: &GroupRecord, scale: &Scale) -> Vec<Row> {
    let nodes = group.nodes.iter().enumerate().map(|(number, looks)| Row {
        name: format!("data node {}", node_letter(number)),
        bars: bars(looks.iter().map(|look| (look.at, node_state(number, look))), scale),
    });
    let sentinels = group.sentinels.iter().enumerate().map(|(number, answers)| Row {
        name: format!("sentinel {}", number + 1),
        bars: bars(answers.iter().map(|answer| (answer.at, said_state(answer))), scale),
    });
    let clients = group.clients.iter().filter(|client| !client.waits);
    let clients = clients.map(|client| Row { name: client_name(client.habit).to_owned(), bars: writes(client, scale) });
    nodes.chain(sentinels).chain(clients).collect()
}

const fn client_name(habit: Habit) -> &'static str {
    match habit {
        Habit::Follows => "application",
        Habit::Stays => "client beside A",
    }
}

const fn node_state(number: usize, look: &Look) -> State {
    match look.seen {
        Seen::Accepts => State::Node(number),
        Seen::Refuses => State::Refuses,
        Seen::Replica => State::Replica,
        Seen::Silent => State::Silent,
    }
}

const fn said_state(answer: &Answer) -> State {
    match answer.said {
        Said::Names(node) => State::Node(node),
        Said::Refuses => State::Refuses,
        Said::Silent => State::Silent,
    }
}

/// A state lasts until another is seen.
fn bars(seen: impl Iterator<Item = (Us, State)>, scale: &Scale) -> Vec<Bar> {
    let mut changes: Vec<(Us, State)> = Vec::new();
    for (at, state) in seen {
        if changes.last().is_none_or(|(_, last)| *last != state) {
            changes.push((at, state));
        }
    }
    let ends = changes.iter().skip(1).map(|(at, _)| *at).chain([scale.end]);
    changes.iter().zip(ends).filter_map(|((from, state), to)| scale.bar(*from, to, *state)).collect()
}

/// Writes to one node without a long pause are one bar.
fn writes(client: &ClientLog, scale: &Scale) -> Vec<Bar> {
    let mut runs: Vec<(Us, Us, usize)> = Vec::new();
    for ack in &client.acks {
        match runs.last_mut() {
            Some((_, to, node)) if *node == ack.node && ack.at.saturating_sub(*to) <= TOGETHER => *to = ack.at,
            _ => runs.push((ack.at, ack.at, ack.node)),
        }
    }
    runs.into_iter().filter_map(|(from, to, node)| scale.bar(from, to, State::Node(node))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Ack, Marks};

    #[test]
    fn equal_states_in_a_row_are_one_bar() {
        let look = |at: Us, seen| Look { at, seen };
        let nodes = vec![vec![
            look(1_500_000, Seen::Accepts),
            look(1_900_000, Seen::Accepts),
            look(2_000_000, Seen::Silent),
            look(2_500_000, Seen::Replica),
        ]];
        let marks = Marks { fault: 2_000_000, healed: 2_200_000, end: 3_000_000 };
        let record = Record { marks, groups: vec![GroupRecord { nodes, ..GroupRecord::default() }], ..Record::default() };
        let strip = of_group(&record, 0);
        let bar = |from, to, state| Bar { from, to, state };
        let expected = [bar(-500.0, 0.0, State::Node(0)), bar(0.0, 500.0, State::Silent), bar(500.0, 1000.0, State::Replica)];
        assert_eq!((strip.rows[0].name.as_str(), strip.rows[0].bars.as_slice()), ("data node A", expected.as_slice()));
        assert_eq!((strip.healed, strip.end), (200.0, 1000.0));
    }

    #[test]
    fn a_clients_bar_ends_with_its_last_write() {
        let ack = |at: Us, node| Ack { at, number: at, node, confirmed: false };
        let acks = vec![ack(0, 0), ack(5_000, 0), ack(10_000, 0), ack(900_000, 1), ack(910_000, 1)];
        let client = ClientLog { habit: Habit::Follows, waits: false, acks, left: Vec::new(), lost: std::collections::BTreeSet::new() };
        let bars = writes(&client, &Scale { fault: 0, end: SECOND });
        assert_eq!(bars.iter().map(|bar| (bar.from, bar.to)).collect::<Vec<_>>(), [(0.0, 10.0), (900.0, 910.0)]);
    }
}

//! From what was seen to figures. Pure: no clock, no sockets; everything here is computed from a [`Record`].

mod answers;
mod outage;
mod reign;
mod spans;
mod strip;

use serde::{Deserialize, Serialize};

pub(crate) use spans::Span;
#[cfg(test)]
pub(crate) use strip::Row;
pub(crate) use strip::{Bar, State, Strip};

use crate::clock::{Us, ms};
use crate::record::{ClientLog, GroupRecord, Habit, Marks, Record};

/// What one group showed in one run. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Time without an acknowledged write for the client that follows the sentinels, from the fault on.
    pub(crate) unavailable_ms: f64,
    /// Time in which two or more data nodes took writes.
    pub(crate) two_masters_ms: f64,
    /// Acknowledged writes of the clients that follow the sentinels, not confirmed by WAIT, that the last master does not hold.
    pub(crate) lost: usize,
    /// The same of the clients that stay beside the first master.
    pub(crate) lost_beside: usize,
    /// The same for writes that WAIT confirmed, of all clients.
    pub(crate) lost_confirmed: usize,
    /// All acknowledged writes.
    pub(crate) acknowledged: usize,
    /// Answers that named an old master after some sentinel had named a newer one.
    pub(crate) stale_answers: usize,
    /// For how long the worst sentinel gave them.
    pub(crate) stale_ms: f64,
    /// Answers that said that there is none, from the fault on.
    pub(crate) refused_answers: usize,
    /// All questions to sentinels, from the fault on.
    pub(crate) questions: usize,
    /// How often a replica became a master.
    pub(crate) promotions: usize,
    /// From the moment a new master took writes (without a promotion: the client lost its connection) to the client's first write there.
    pub(crate) reconnect_ms: Option<f64>,
}

/// What each group of the record showed.
pub(crate) fn figures(record: &Record) -> Vec<Figures> {
    record.groups.iter().map(|group| of_group(group, record.marks)).collect()
}

/// Who took writes and who was named when, for the group that was worst off.
pub(crate) fn strip(record: &Record) -> Strip {
    let worst =
        figures(record).iter().enumerate().max_by(|one, other| one.1.unavailable_ms.total_cmp(&other.1.unavailable_ms)).map(|(n, _)| n);
    strip::of_group(record, worst.unwrap_or(0))
}

fn of_group(group: &GroupRecord, marks: Marks) -> Figures {
    let Marks { fault, end, .. } = marks;
    let reigns: Vec<Vec<Span>> = group.nodes.iter().map(|looks| reign::accepting(looks)).collect();
    let stale = answers::stale(&group.sentinels);
    let plain = |habit: Habit| group.clients.iter().filter(|client| client.habit == habit).map(|client| lost_of(client, false)).sum();
    let follower = group.clients.iter().find(|client| client.habit == Habit::Follows && !client.waits);
    let acks: Vec<Us> = follower.iter().flat_map(|client| &client.acks).map(|ack| ack.at).collect();
    let since = group.sentinels.iter().flatten().filter(|answer| answer.asked >= fault);
    Figures {
        unavailable_ms: ms(outage::unavailable(&acks, fault, end)),
        two_masters_ms: ms(spans::shared(&reigns, Span { from: fault, to: end })),
        lost: plain(Habit::Follows),
        lost_beside: plain(Habit::Stays),
        lost_confirmed: group.clients.iter().map(|client| lost_of(client, true)).sum(),
        acknowledged: group.clients.iter().map(|client| client.acks.len()).sum(),
        stale_answers: stale.count,
        stale_ms: ms(stale.longest),
        refused_answers: since.clone().filter(|answer| answer.said == crate::record::Said::Refuses).count(),
        questions: since.count(),
        promotions: group.nodes.iter().map(|looks| reign::promotions(looks)).sum(),
        reconnect_ms: follower.and_then(|client| outage::reconnect(client, &reigns, fault)).map(ms),
    }
}

fn lost_of(client: &ClientLog, confirmed: bool) -> usize {
    client.acks.iter().filter(|ack| ack.confirmed == confirmed && client.lost.contains(&ack.number)).count()
}

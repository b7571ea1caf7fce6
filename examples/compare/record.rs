//! What was seen in one run, before anything is made of it.

use std::collections::BTreeSet;

use crate::clock::Us;

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) at: Us,
    pub(crate) number: u64,
    /// Who acknowledged it.
    pub(crate) node: usize,
    /// Whether WAIT then said that a replica has it, too.
    pub(crate) confirmed: bool,
}

/// Where a client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Where the sentinels say the master is.
    Follows,
    /// To the first master's address, from its host, whatever happens.
    Stays,
}

/// What one client remembers.
#[derive(Clone, Debug)]
pub(crate) struct ClientLog {
    pub(crate) habit: Habit,
    /// Whether it asks for WAIT after each write.
    pub(crate) waits: bool,
    pub(crate) acks: Vec<Ack>,
    /// When it gave up a connection to a master.
    pub(crate) left: Vec<Us>,
    /// The acknowledged writes that the last master does not hold.
    pub(crate) lost: BTreeSet<u64>,
}

/// What a data node said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A master that takes a write.
    Accepts,
    /// A master that refuses writes.
    Refuses,
    Replica,
    /// No answer, or one that says nothing of its role.
    Silent,
}

/// A look at a data node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) at: Us,
    pub(crate) seen: Seen,
}

/// What a sentinel said when it was asked for the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It named this data node.
    Names(usize),
    /// It answered that it cannot say.
    Refuses,
    Silent,
}

/// A question to a sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) asked: Us,
    pub(crate) at: Us,
    pub(crate) said: Said,
}

/// One monitored group.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupRecord {
    pub(crate) clients: Vec<ClientLog>,
    /// For each data node, in the order of time. The first one was the master.
    pub(crate) nodes: Vec<Vec<Look>>,
    /// For each sentinel, in the order of time.
    pub(crate) sentinels: Vec<Vec<Answer>>,
}

/// When the run's phases began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) fault: Us,
    pub(crate) healed: Us,
    pub(crate) end: Us,
}

/// One run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) marks: Marks,
    /// What was done to it.
    pub(crate) notes: Vec<(Us, String)>,
    pub(crate) groups: Vec<GroupRecord>,
    /// What had not come right when it was no longer waited for; none if all had.
    pub(crate) unsettled: Option<String>,
}

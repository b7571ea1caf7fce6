//! What is told of many replicas is cut to the room of an entry: a decision that is too large for the log is never taken.
//!
//! Estimated from above by what the text form of an entry takes. What counts for a decision is never left out: the chosen replica, and those that
//! were detached.

use super::choice::{Candidate, Choice, Ineligible};
use super::command::Command;
use super::shadow::ShadowEntry;
use crate::base::{Addr, limits};

/// Bytes that a table may take, with room for the rest of its entry.
const TABLE_BYTES: usize = limits::COMMAND_BYTES - 4096;
/// Names, numbers and punctuation of a row.
const ROW_BYTES: usize = 180;
/// The same of a reason.
const REASON_BYTES: usize = 64;
/// Characters that are kept of a server's words where there is no room for all.
const WORDS_KEPT: usize = 24;

/// Bytes of a text with all that must be escaped.
fn text(text: &str) -> usize {
    let one = |c: char| match c {
        '"' | '\\' => 2,
        _ if c.is_control() => 6,
        _ => c.len_utf8(),
    };
    text.chars().map(one).sum()
}

fn addr(addr: &Addr) -> usize {
    text(addr.host()) + 24
}

fn reason(reason: &Ineligible) -> usize {
    REASON_BYTES
        + match reason {
            Ineligible::Unarmable { why } | Ineligible::TakesNoOrders { why } => text(why),
            Ineligible::Behind { ahead, .. } => addr(ahead),
            _ => 0,
        }
}

fn row(candidate: &Candidate) -> usize {
    ROW_BYTES + addr(&candidate.addr) + candidate.ineligible.as_ref().map_or(0, reason)
}

fn cut(reason: &mut Ineligible) {
    if let Ineligible::Unarmable { why } | Ineligible::TakesNoOrders { why } = reason {
        *why = why.chars().take(WORDS_KEPT).collect();
    }
}

/// As many reasons as an entry has room for, those of the first replicas first.
#[must_use]
pub fn fit_reasons(mut reasons: Vec<(Addr, Ineligible)>) -> Vec<(Addr, Ineligible)> {
    let size = |(at, why): &(Addr, Ineligible)| addr(at) + reason(why);
    if reasons.iter().map(size).sum::<usize>() > TABLE_BYTES {
        reasons.iter_mut().for_each(|(_, why)| cut(why));
    }
    let mut room = TABLE_BYTES;
    let fits = |(at, why): &(Addr, Ineligible)| {
        let left = room.checked_sub(addr(at) + reason(why));
        room = left.unwrap_or(0);
        left.is_some()
    };
    let kept = reasons.iter().map(fits).take_while(|fits| *fits).count();
    reasons.truncate(kept);
    reasons
}

impl Choice {
    fn fitted(mut self) -> Self {
        let mut total: usize = self.candidates.iter().map(row).sum();
        if total > TABLE_BYTES {
            self.candidates.iter_mut().filter_map(|candidate| candidate.ineligible.as_mut()).for_each(cut);
            total = self.candidates.iter().map(row).sum();
        }
        while total > TABLE_BYTES {
            let counts = |candidate: &Candidate| candidate.detached || candidate.addr == self.chosen;
            let Some(last) = self.candidates.iter().rposition(|candidate| !counts(candidate)) else { break };
            total -= row(&self.candidates.remove(last));
        }
        self
    }
}

impl Command {
    /// The same, with no more of its tables than an entry has room for.
    #[must_use]
    pub fn fitted(self) -> Self {
        match self {
            Self::Promote { group, id, choice, by, at } => Self::Promote { group, id, choice: choice.fitted(), by, at },
            Self::FailoverBlocked { group, id, reasons, at } => Self::FailoverBlocked { group, id, reasons: fit_reasons(reasons), at },
            Self::Shadow { group, entry: ShadowEntry::Decided { id, choice, by }, at, asked } => {
                Self::Shadow { group, entry: ShadowEntry::Decided { id, choice: choice.fitted(), by }, at, asked }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, GroupName, LogIndex, NodeId, RunId, WallTime};
    use crate::machine::{ChosenFor, FailoverId, FencingProof};

    fn far(number: usize) -> Addr {
        Addr::new(format!("{number:02}-{}", "a".repeat(60)) + &format!(".{}", "b".repeat(60)).repeat(3), 6379).expect("a long name")
    }

    fn refusing() -> Ineligible {
        Ineligible::Unarmable { why: "\u{1d11e}".repeat(250) }
    }

    fn bytes(command: &Command) -> usize {
        serde_json::to_vec(command).expect("it can be written").len()
    }

    #[test]
    fn what_is_told_of_many_replicas_fits_an_entry_and_nothing_that_counts_is_left_out() {
        let id = FailoverId { epoch: Epoch(1), started: LogIndex(1) };
        let (group, at) = (GroupName::new("m").expect("a name"), WallTime(1));
        let all = limits::REPLICAS_PER_GROUP;
        let reasons: Vec<_> = (0..all).map(|number| (far(number), refusing())).collect();
        let blocked = Command::FailoverBlocked { group: group.clone(), id, reasons: reasons.clone(), at };
        assert!(bytes(&blocked.fitted()) <= limits::COMMAND_BYTES);
        let candidate = |number: usize| Candidate {
            addr: far(number),
            run_id: Some(RunId::new("f".repeat(40)).expect("an id")),
            priority: Some(100),
            offset: Some(u64::MAX),
            detached: number >= all - 3,
            ineligible: (number < all - 1).then(refusing),
        };
        let choice = Choice {
            chosen: far(all - 1),
            candidates: (0..all).map(candidate).collect(),
            reason: ChosenFor::Offset,
            master_offset: Some(1),
            estimated_loss_bytes: Some(1),
            basis: FencingProof::Gone,
            arms: None,
            by_hand: false,
        };
        let promote = Command::Promote { group, id, choice, by: NodeId(1), at };
        assert!(bytes(&promote) > limits::COMMAND_BYTES, "without a cut it could not be committed");
        let fitted = promote.fitted();
        assert!(bytes(&fitted) <= limits::COMMAND_BYTES, "{}", bytes(&fitted));
        let Command::Promote { choice, .. } = fitted else { panic!("it stays what it is") };
        assert_eq!(choice.candidates.iter().filter(|candidate| candidate.detached).count(), 3);
        assert!(choice.candidates.iter().any(|candidate| candidate.addr == choice.chosen));
        // With short names nothing is cut.
        let short: Vec<_> = (0..all).map(|n| (Addr::new(format!("10.0.0.{n}"), 6379).expect("an address"), Ineligible::Down)).collect();
        assert_eq!(fit_reasons(short.clone()), short);
    }
}

//! Leadership follows sight: a leader that cannot reach servers which another member reaches cannot act on them, and the other could.
//!
//! The leader asks only when servers are out of its own reach, and believes only that a server answered the other *after* the question, so that a
//! server which is dead for all moves nothing. It gives leadership away for a real gain: the other reaches servers that it does not, and fewer are out of
//! that one's reach in all. What it gave away once it gives away again only after a rest, which grows while that goes on, so that two
//! that see each something else do not throw it to and fro.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{GroupView, Link, NodeView};
use crate::base::server::{Reach, Server};
use crate::base::{GroupName, Mono, NodeId, limits};

/// A server that owes an answer for so long, or has been unlinked for so long, is out of reach.
const LATE_MS: u64 = 400;
/// From one question about the same servers to the next: doubled each time, up to the second.
const ASK_AGAIN_MS: (u64, u64) = (500, 8_000);
/// From one handover by this sentinel to its next: doubled each time, up to the second.
const REST_MS: (u64, u64) = (10_000, 320_000);
/// A handover so long ago says nothing about the next.
const FORGET_MS: u64 = 900_000;

/// The data nodes of a group that this sentinel cannot reach, or may not ask.
pub fn out_of_reach<'a>(group: &'a GroupName, view: &'a GroupView, now: Mono) -> impl Iterator<Item = Server> + 'a {
    let lost = view.nodes.iter().filter(move |(_, node)| is_out_of_reach(node, now));
    lost.map(|(addr, _)| Server { group: group.clone(), addr: addr.clone() })
}

fn is_out_of_reach(node: &NodeView, now: Mono) -> bool {
    let asked_in_vain = match node.link {
        Link::Up { .. } => node.waiting_since.is_some(),
        Link::Down { .. } | Link::Untried => true,
    };
    node.cannot_judge.is_some() || (asked_in_vain && now.ms_since(node.counts_from) >= LATE_MS)
}

/// The memory of a sentinel about giving leadership away.
#[derive(Debug, Default)]
pub struct Handover {
    /// The servers that were last asked about, when, and how long to wait before that is done again.
    asked: Option<(BTreeSet<Server>, Mono, u64)>,
    /// The last handover, and the rest after it.
    last: Option<(Mono, u64)>,
}

impl Handover {
    /// The servers to ask the others about now, if any. To be called again and again while this sentinel leads.
    pub fn question(&mut self, lost: &BTreeSet<Server>, now: Mono) -> Option<Vec<Server>> {
        if lost.is_empty() {
            self.asked = None;
            return None;
        }
        if self.last.is_some_and(|(at, rest_ms)| now.ms_since(at) < rest_ms) {
            return None;
        }
        let pause_ms = match &self.asked {
            Some((_, at, _)) if now.ms_since(*at) < ASK_AGAIN_MS.0 => return None,
            Some((known, at, pause_ms)) if lost.is_subset(known) => {
                if now.ms_since(*at) < *pause_ms {
                    return None;
                }
                (pause_ms * 2).min(ASK_AGAIN_MS.1)
            }
            Some(_) | None => ASK_AGAIN_MS.0,
        };
        self.asked = Some((lost.clone(), now, pause_ms));
        Some(lost.iter().take(limits::SERVERS_ASKED_ABOUT).cloned().collect())
    }

    /// Who should lead instead, by what the others answered to `asked`; `lost` is what is out of this sentinel's reach by now.
    pub fn choose(&self, asked: &[Server], lost: &BTreeSet<Server>, answers: &BTreeMap<NodeId, Reach>) -> Option<NodeId> {
        let own = u32::try_from(lost.len()).unwrap_or(u32::MAX);
        let gain = |reach: &Reach| asked.iter().zip(&reach.reached).filter(|(server, reached)| **reached && lost.contains(*server)).count();
        let better =
            answers.iter().map(|(id, reach)| (gain(reach), reach.out_of_reach, *id)).filter(|(gain, out, _)| *gain > 0 && *out < own);
        better.max_by_key(|(gain, out, id)| (std::cmp::Reverse(*out), *gain, std::cmp::Reverse(*id))).map(|(_, _, id)| id)
    }

    /// Leadership was given away, or that was tried.
    pub fn note(&mut self, now: Mono) {
        let rest_ms = match self.last {
            Some((at, rest_ms)) if now.ms_since(at) < FORGET_MS => (rest_ms * 2).min(REST_MS.1),
            Some(_) | None => REST_MS.0,
        };
        self.last = Some((now, rest_ms));
        self.asked = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that fails may panic")]
mod tests {
    use super::*;
    use crate::base::Addr;
    use crate::base::observation::LinkLoss;

    fn server(port: u16) -> Server {
        Server { group: GroupName::new("g").unwrap(), addr: Addr::new("10.0.0.1", port).unwrap() }
    }

    fn servers(ports: &[u16]) -> BTreeSet<Server> {
        ports.iter().copied().map(server).collect()
    }

    fn answer(reached: &[bool], out_of_reach: u32) -> Reach {
        Reach { reached: reached.to_vec(), out_of_reach }
    }

    #[test]
    fn a_server_is_out_of_reach_when_it_owes_an_answer_or_has_no_link_or_lets_nobody_in() {
        let at = Mono::from_ms;
        let node = NodeView::new(at(1000));
        assert!(!is_out_of_reach(&node, at(1399)), "it was not asked long enough");
        assert!(is_out_of_reach(&node, at(1400)));
        let up = NodeView { link: Link::Up { since: at(1000) }, ..node.clone() };
        assert!(!is_out_of_reach(&up, at(9000)), "it owes nothing");
        assert!(is_out_of_reach(&NodeView { waiting_since: Some(at(1000)), ..up.clone() }, at(1400)));
        let down = NodeView { link: Link::Down { since: at(1390), loss: LinkLoss::TimedOut }, ..node };
        assert!(is_out_of_reach(&down, at(1400)), "the silence began before the link was given up");
        assert!(is_out_of_reach(&NodeView { cannot_judge: Some("WRONGPASS".to_owned()), ..up }, at(1001)));
    }

    #[test]
    fn leadership_goes_to_the_one_that_reaches_more() {
        let (handover, lost) = (Handover::default(), servers(&[1, 2, 3]));
        let asked: Vec<Server> = lost.iter().cloned().collect();
        let choose =
            |answers: &[(u64, Reach)]| handover.choose(&asked, &lost, &answers.iter().cloned().map(|(id, a)| (NodeId(id), a)).collect());
        assert_eq!(choose(&[(2, answer(&[false, true, true], 1)), (3, answer(&[true, true, true], 0))]), Some(NodeId(3)));
        assert_eq!(choose(&[(2, answer(&[false; 3], 3)), (3, answer(&[false; 3], 0))]), None, "they are dead for all");
        assert_eq!(choose(&[(2, answer(&[true, false, false], 3))]), None, "it lacks as many others");
        assert_eq!(choose(&[(2, answer(&[], 0))]), None, "it says nothing");
        assert_eq!(handover.choose(&asked, &servers(&[3]), &[(NodeId(2), answer(&[true, true, false], 0))].into()), None, "they are back");
    }

    #[test]
    fn the_same_question_is_asked_less_and_less_often_and_a_new_one_soon() {
        let (mut handover, at) = (Handover::default(), Mono::from_ms);
        let mut asks = |ports: &[u16], now_ms| handover.question(&servers(ports), at(now_ms)).is_some();
        let times = [0, 499, 500, 1499, 1500, 3500, 7500, 15_499, 15_500];
        assert_eq!(times.map(|now| asks(&[1, 2], now)), [true, false, true, false, true, true, true, false, true]);
        assert!(!asks(&[3], 15_900) && asks(&[3], 16_000));
        assert!(!asks(&[], 16_001) && asks(&[3], 16_002), "it was well in between");
    }

    #[test]
    fn each_handover_is_followed_by_a_longer_rest() {
        let (mut handover, at) = (Handover::default(), Mono::from_ms);
        handover.note(at(0));
        assert!(handover.question(&servers(&[1]), at(9_999)).is_none() && handover.question(&servers(&[1]), at(10_000)).is_some());
        handover.note(at(10_000));
        assert!(handover.question(&servers(&[1]), at(29_999)).is_none() && handover.question(&servers(&[1]), at(30_000)).is_some());
        (0..9).for_each(|_| handover.note(at(30_000)));
        assert!(handover.question(&servers(&[1]), at(350_000)).is_some(), "the rest is bounded");
        handover.note(at(950_001));
        assert!(handover.question(&servers(&[1]), at(960_001)).is_some(), "the past is forgotten");
    }
}

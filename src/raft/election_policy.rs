//! When to campaign, whom to let campaign, and when a leader should fall silent. Pure: time and dice come from outside.
//!
//! openraft 0.9 draws its election timeout once in a process's life (two nodes that drew alike tie for ever), has no
//! pre-vote (a node that was cut off deposes a healthy leader when it returns), and its leader never resigns (a leader that reaches one voter
//! only keeps that voter from electing another). These rules cure the three. They only choose *moments*: who may lead is
//! decided by Raft's votes alone, so a mistake here can cost time, never safety.

use super::config::{DISK_WITHIN, Spans, ms};
use super::types::LogId;
use crate::base::Mono;

/// What the guard sees of this node when it is asked what to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// Now.
    pub now: Mono,
    /// What this node is.
    pub part: Part,
    /// How long a sync of its disk takes.
    pub sync_ms: u64,
}

/// What this node is in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Not a voter: it neither leads nor campaigns.
    Bystander,
    /// A voter that does not lead.
    Voter {
        /// There is no other voter.
        alone: bool,
        /// Its leader has fallen silent so that it may lead.
        invited: bool,
        /// When it last heard a leader, or gave its vote away.
        heard: Option<Mono>,
    },
    /// It leads.
    Leader {
        /// The last acknowledgement by a quorum.
        ack: Option<Mono>,
        /// Whether a quorum answers pings.
        quorum_reachable: bool,
    },
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, until then.
    Wait(Mono),
    /// Ask the other voters whether they would vote for us, then call [`Campaigner::note_pre_votes`].
    AskPreVotes,
    /// Campaign at once.
    Elect,
    /// Call the followers, and look again then.
    Beat(Mono),
    /// Lead in silence, so that voters are free to elect another, and look again then.
    SuspendHeartbeats(Mono),
}

/// The candidate keeps its vote before it asks for others, and a voter before it answers; on either disk another sync may have just begun.
const SYNCS_OF_A_CAMPAIGN: u64 = 4;

/// From one question for pre-votes to the next of a voter that is invited to lead: others may have heard the leader a little later.
const ASK_AGAIN_MS: u64 = 10;

/// The memory of the guard.
#[derive(Debug)]
pub(super) struct Campaigner {
    spans: Spans,
    /// How long without a leader is too long; drawn anew for every campaign.
    patience_ms: u64,
    /// Not before, whatever else is the case.
    not_before: Mono,
    /// Not before, even if it is invited to.
    asked_again_at: Mono,
    /// The last campaign may still be won until then.
    campaigning_until: Option<Mono>,
    leading_since: Option<Mono>,
}

impl Campaigner {
    /// Begins to watch. `draw` is any random number.
    pub(super) fn new(spans: Spans, now: Mono, draw: u64) -> Self {
        let patience_ms = patience(&spans, draw);
        Self { spans, patience_ms, not_before: now.plus_ms(patience_ms), asked_again_at: now, campaigning_until: None, leading_since: None }
    }

    /// What to do now.
    pub(super) fn step(&mut self, sight: Sight, draw: u64) -> Step {
        let now = sight.now;
        match sight.part {
            Part::Leader { ack, quorum_reachable } => self.lead(now, ack, quorum_reachable),
            Part::Bystander => {
                self.leading_since = None;
                Step::Wait(now.plus_ms(self.spans.lease_ms))
            }
            Part::Voter { alone, invited, heard } => {
                self.leading_since = None;
                if let (true, Some(heard)) = (invited, heard) {
                    // Nobody else campaigns this early, so there is no draw to wait for.
                    self.not_before = self.not_before.min(heard.plus_ms(self.spans.lease_ms + 1)).max(self.asked_again_at);
                    self.patience_ms = self.spans.lease_ms + 1;
                }
                let due = heard.map_or(self.not_before, |heard| self.not_before.max(heard.plus_ms(self.patience_ms)));
                if alone {
                    match self.campaigning_until.filter(|until| now < *until) {
                        Some(until) => Step::Wait(until),
                        None => {
                            self.rest(now, draw, sight.sync_ms);
                            Step::Elect
                        }
                    }
                } else if now < due {
                    Step::Wait(due)
                } else {
                    Step::AskPreVotes
                }
            }
        }
    }

    /// The answers to [`Step::AskPreVotes`] are in; `sync_ms` is what a sync takes on the slowest disk of those concerned. Returns whether to campaign.
    pub(super) fn note_pre_votes(&mut self, won: bool, now: Mono, draw: u64, sync_ms: u64) -> bool {
        if won {
            self.rest(now, draw, sync_ms);
        } else {
            self.patience_ms = patience(&self.spans, draw);
            self.not_before = now.plus_ms(self.spans.heartbeat_ms + draw % self.spans.spread_ms());
            self.asked_again_at = now.plus_ms(ASK_AGAIN_MS);
        }
        won
    }

    /// Leaves a campaign time to end before the next: a candidate that campaigns again throws away the votes that are on their way.
    fn rest(&mut self, now: Mono, draw: u64, sync_ms: u64) {
        self.patience_ms = patience(&self.spans, draw);
        let syncs_ms = sync_ms.saturating_mul(SYNCS_OF_A_CAMPAIGN).min(ms(DISK_WITHIN));
        self.not_before = now.plus_ms(self.spans.trust_ms + syncs_ms + draw % self.spans.spread_ms());
        (self.asked_again_at, self.campaigning_until) = (self.not_before, Some(self.not_before));
    }

    fn lead(&mut self, now: Mono, ack: Option<Mono>, quorum_reachable: bool) -> Step {
        let since = *self.leading_since.get_or_insert(now);
        let last = ack.map_or(since, |ack| ack.max(since));
        let next = now.plus_ms(self.spans.heartbeat_ms);
        let unheard_of = now.ms_since(last) > self.spans.lease_ms + self.spans.lease_ms / 2;
        if unheard_of && !quorum_reachable { Step::SuspendHeartbeats(next) } else { Step::Beat(next) }
    }
}

fn patience(spans: &Spans, draw: u64) -> u64 {
    spans.lease_ms + draw % spans.spread_ms()
}

/// Why a voter would not vote for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoVote {
    /// It hears a leader.
    #[error("a leader is heard")]
    HearsLeader,
    /// It leads itself, and a quorum agrees.
    #[error("this sentinel leads")]
    Leads,
    /// The other lacks entries.
    #[error("the candidate's log lacks entries")]
    LongerLog,
}

/// What a voter knows when it is asked for a vote, or whether it would give one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voter {
    /// Now.
    pub now: Mono,
    /// When it last heard a leader.
    pub heard: Option<Mono>,
    /// When a quorum last acknowledged its own leadership, if it leads.
    pub ack: Option<Mono>,
    /// The end of its log.
    pub last_log: Option<LogId>,
}

impl Voter {
    /// Whether it would vote for one whose log ends there.
    pub(super) fn judge(&self, spans: &Spans, candidate: Option<LogId>) -> Result<(), NoVote> {
        let within_lease = |moment: Option<Mono>| moment.is_some_and(|moment| self.now.ms_since(moment) <= spans.lease_ms);
        if within_lease(self.ack) {
            Err(NoVote::Leads)
        } else if within_lease(self.heard) {
            Err(NoVote::HearsLeader)
        } else if candidate < self.last_log {
            Err(NoVote::LongerLog)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;
    use crate::base::NodeId;

    const SPANS: Spans = Spans { heartbeat_ms: 50, trust_ms: 150, lease_ms: 300 };

    fn voter(now_ms: u64, heard_ms: Option<u64>) -> Sight {
        Sight {
            now: Mono::from_ms(now_ms),
            part: Part::Voter { alone: false, invited: false, heard: heard_ms.map(Mono::from_ms) },
            sync_ms: 0,
        }
    }

    fn leader(now_ms: u64, ack_ms: Option<u64>, quorum_reachable: bool) -> Sight {
        Sight { now: Mono::from_ms(now_ms), part: Part::Leader { ack: ack_ms.map(Mono::from_ms), quorum_reachable }, sync_ms: 0 }
    }

    #[test]
    fn a_voter_waits_for_the_lease_and_its_draw_after_the_last_word_of_a_leader() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 20);
        assert_eq!(guard.step(voter(10, None), 0), Step::Wait(Mono::from_ms(320)));
        assert_eq!(guard.step(voter(320, Some(300)), 0), Step::Wait(Mono::from_ms(620)));
        assert_eq!(guard.step(voter(620, Some(300)), 0), Step::AskPreVotes);
    }

    #[test]
    fn after_a_refusal_it_asks_again_soon_but_never_within_a_leaders_lease() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 0);
        assert!(!guard.note_pre_votes(false, Mono::from_ms(300), 7, 0));
        assert_eq!(guard.step(voter(300, None), 0), Step::Wait(Mono::from_ms(357)));
        assert_eq!(guard.step(voter(400, Some(390)), 0), Step::Wait(Mono::from_ms(697)));
    }

    #[test]
    fn every_campaign_draws_anew() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 0);
        assert!(guard.note_pre_votes(true, Mono::from_ms(1000), 149, 0));
        assert_eq!(guard.step(voter(1000, None), 0), Step::Wait(Mono::from_ms(1299)));
        assert!(guard.note_pre_votes(true, Mono::from_ms(2000), 150, 0));
        assert_eq!(guard.step(voter(2000, None), 0), Step::Wait(Mono::from_ms(2150)));
    }

    #[test]
    fn a_lone_voter_elects_itself_at_once() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 0);
        let alone = Sight { now: Mono::from_ms(1), part: Part::Voter { alone: true, invited: false, heard: None }, sync_ms: 0 };
        assert_eq!(guard.step(alone, 0), Step::Elect);
    }

    #[test]
    fn who_is_invited_waits_for_the_lease_and_nothing_else() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 149);
        let invited = |now_ms| Sight {
            now: Mono::from_ms(now_ms),
            part: Part::Voter { alone: false, invited: true, heard: Some(Mono::from_ms(1000)) },
            sync_ms: 0,
        };
        assert_eq!(guard.step(invited(1010), 149), Step::Wait(Mono::from_ms(1301)));
        assert_eq!(guard.step(invited(1301), 149), Step::AskPreVotes);
        assert!(!guard.note_pre_votes(false, Mono::from_ms(1302), 149, 0));
        assert_eq!(guard.step(invited(1303), 149), Step::Wait(Mono::from_ms(1312)), "another heard the leader later");
        assert_eq!(guard.step(invited(1312), 149), Step::AskPreVotes);
        assert!(guard.note_pre_votes(true, Mono::from_ms(1313), 149, 0));
        assert_eq!(guard.step(invited(1314), 149), Step::Wait(Mono::from_ms(1612)), "the votes are on their way");
    }

    #[test]
    fn a_campaign_is_left_the_time_that_the_disks_need() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 0);
        assert!(guard.note_pre_votes(true, Mono::from_ms(1000), 0, 300));
        assert_eq!(guard.step(voter(1150, None), 0), Step::Wait(Mono::from_ms(2350)));
        assert!(guard.note_pre_votes(true, Mono::from_ms(3000), 0, u64::MAX), "a figure that cannot be is bounded");
        assert_eq!(guard.step(voter(3000, None), 0), Step::Wait(Mono::from_ms(5150)));
        let alone =
            |now_ms| Sight { now: Mono::from_ms(now_ms), part: Part::Voter { alone: true, invited: false, heard: None }, sync_ms: 100 };
        let mut lone = Campaigner::new(SPANS, Mono::from_ms(0), 0);
        assert_eq!(lone.step(alone(1), 0), Step::Elect);
        assert_eq!(lone.step(alone(51), 0), Step::Wait(Mono::from_ms(551)), "its vote is not on the disk yet");
    }

    #[test]
    fn a_leader_that_reaches_no_quorum_falls_silent_and_speaks_again_when_it_does() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 0);
        assert_eq!(guard.step(leader(1000, None, false), 0), Step::Beat(Mono::from_ms(1050)), "it has only begun");
        assert_eq!(guard.step(leader(1451, None, false), 0), Step::SuspendHeartbeats(Mono::from_ms(1501)));
        assert_eq!(guard.step(leader(1501, None, true), 0), Step::Beat(Mono::from_ms(1551)));
        assert_eq!(guard.step(leader(1600, Some(1590), false), 0), Step::Beat(Mono::from_ms(1650)));
    }

    #[test]
    fn a_bystander_never_campaigns() {
        let mut guard = Campaigner::new(SPANS, Mono::from_ms(0), 0);
        let sight = Sight { now: Mono::from_ms(60_000), part: Part::Bystander, sync_ms: 0 };
        assert_eq!(guard.step(sight, 0), Step::Wait(Mono::from_ms(60_300)));
    }

    #[test]
    fn a_vote_is_refused_while_a_leader_is_heard_or_led_or_entries_lack() {
        let at = |index| Some(LogId::new(CommittedLeaderId::new(1, NodeId(1)), index));
        let free = Voter { now: Mono::from_ms(1000), heard: Some(Mono::from_ms(600)), ack: None, last_log: at(5) };
        assert_eq!(free.judge(&SPANS, at(5)), Ok(()));
        assert_eq!(free.judge(&SPANS, at(4)), Err(NoVote::LongerLog));
        assert_eq!(free.judge(&SPANS, None), Err(NoVote::LongerLog));
        let hears = Voter { heard: Some(Mono::from_ms(700)), ..free };
        assert_eq!(hears.judge(&SPANS, at(9)), Err(NoVote::HearsLeader));
        let leads = Voter { ack: Some(Mono::from_ms(900)), ..free };
        assert_eq!(leads.judge(&SPANS, at(9)), Err(NoVote::Leads));
    }
}

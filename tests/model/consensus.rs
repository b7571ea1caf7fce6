//! The log, assumed to be right: one order for all. What may go wrong is who leads, who hears of an entry when, and whether a proposal
//! that was reported as failed takes effect all the same.

use std::sync::Arc;

use crate::base::{LogIndex, Mono, NodeId, WallTime};
use crate::breach::Breach;
use crate::check::Promise;
use crate::judge::{Input, ProposalKey};
use crate::machine::{Command, Event as Fact, Group, Outcome, Phase, invariants};
use crate::net::Event;
use crate::run::Run;

/// A command on its way to the leader.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub(crate) sentinel: usize,
    pub(crate) team: usize,
    pub(crate) life: u32,
    pub(crate) key: ProposalKey,
    pub(crate) command: Command,
    /// Whether its proposer has given it up.
    pub(crate) orphan: bool,
}

impl Run {
    /// How many sentinels `sentinel` exchanges messages with, itself included.
    fn peers_of(&self, sentinel: usize) -> usize {
        let here = self.place_of_sentinel(sentinel);
        let talks = |other: &usize| *other == sentinel || self.net.joined(here, self.place_of_sentinel(*other));
        (0..self.sentinels.len()).filter(|other| self.awake(*other) && talks(other)).count()
    }

    pub(crate) fn awake(&self, sentinel: usize) -> bool {
        self.sentinels[sentinel].up && self.net.now >= self.sentinels[sentinel].stalled_until
    }

    fn has_quorum(&self, sentinel: usize) -> bool {
        self.awake(sentinel) && self.peers_of(sentinel) > self.sentinels.len() / 2
    }

    /// Whether this sentinel leads at this moment, beyond doubt.
    pub(crate) fn certainly_leads(&self, sentinel: usize) -> bool {
        self.leader == Some(sentinel) && self.has_quorum(sentinel)
    }

    /// Whether this sentinel gets orders into the log at this moment.
    pub(crate) fn is_heard(&self, sentinel: usize) -> bool {
        self.sentinels[sentinel].up && self.reaches_leader(sentinel)
    }

    fn reaches_leader(&self, sentinel: usize) -> bool {
        self.leader.is_some_and(|leader| {
            self.certainly_leads(leader)
                && (leader == sentinel || self.net.joined(self.place_of_sentinel(leader), self.place_of_sentinel(sentinel)))
        })
    }

    pub(crate) fn propose(&mut self, mut proposal: Proposal) {
        let (sentinel, team) = (proposal.sentinel, proposal.team);
        if let Some(breach) = self.setup.breach {
            self.tamper(breach, team, &mut proposal.command);
        }
        if !proposal.orphan && (self.sentinels[sentinel].life != proposal.life || !self.sentinels[sentinel].up) {
            return;
        }
        let failed = |key: ProposalKey| Event::Proposed { sentinel, team, life: proposal.life, key, well: false };
        if self.reaches_leader(sentinel) {
            let well = self.commit(team, &proposal.command);
            if !proposal.orphan {
                let back = self.dice.between(300, 4_000);
                if self.leader == Some(sentinel) {
                    self.catch_up(sentinel);
                }
                let well = well && !self.dice.rarely(30);
                self.net.after(back, Event::Proposed { sentinel, team, life: proposal.life, key: proposal.key, well });
            }
            return;
        }
        if !proposal.orphan {
            let back = self.dice.between(50_000, 1_000_000);
            self.net.after(back, failed(proposal.key.clone()));
        }
        if !proposal.orphan && self.dice.chance(30) {
            proposal.orphan = true;
            let later = self.dice.between(100_000, 3_000_000);
            self.net.after(later, Event::Propose(Box::new(proposal)));
        }
    }

    fn tamper(&mut self, breach: Breach, team: usize, command: &mut Command) {
        if let (Breach::MixedGroups, Command::VoteDown { group, .. }) = (breach, &mut *command) {
            *group = self.teams[(team + 1) % self.teams.len()].name.clone();
        }
        let Command::Promote { choice, .. } = command else { return };
        match breach {
            Breach::DetachQuorum => choice.candidates.iter_mut().for_each(|candidate| candidate.detached = true),
            Breach::LeastData => {
                let worst = choice.candidates.iter().filter(|row| row.ineligible.is_none()).min_by_key(|row| row.offset);
                if let Some(row) = worst {
                    choice.chosen = row.addr.clone();
                }
            }
            _ => {}
        }
    }

    /// Puts an entry into the log; whether it took effect.
    pub(crate) fn commit(&mut self, team: usize, command: &Command) -> bool {
        let before = self.state.clone();
        let index = LogIndex(self.state.applied.0 + 1);
        let (outcome, facts) = self.state.apply(index, command);
        let refused = matches!(outcome, Outcome::Refused(_));
        let name = self.teams[team].name.clone();
        self.tell(|| format!("    log {} {name}: {}", index.0, brief(command, &outcome)));
        if let Err(violation) = invariants::check_step(&before, &self.state) {
            self.violate(Promise::P1, format!("{violation}"));
        }
        if refused {
            return false;
        }
        let removed = !self.is_gone(team) && !self.state.groups.contains_key(&name);
        // Of a group that is gone the last that was known of it is kept.
        let kept = |team: &usize| Arc::clone(self.state.groups.get(&self.teams[*team].name).unwrap_or_else(|| self.group(*team)));
        let groups: Vec<Arc<Group>> = (0..self.teams.len()).map(|team| kept(&team)).collect();
        let same = |at: usize| before.groups.get(&self.teams[at].name).is_none_or(|before| Arc::ptr_eq(&groups[at], before));
        let other = |at: &usize| *at != team && !same(*at);
        if let Some(other) = (0..groups.len()).find(other) {
            let (own, other) = (&self.teams[team].name, &self.teams[other].name);
            self.violate(Promise::Apart, format!("an entry of group {own} changed group {other}: {command:?}"));
        }
        if removed {
            self.note_removed(team);
        }
        if removed || !Arc::ptr_eq(&groups[team], self.group(team)) {
            self.told.push(groups.iter().map(|group| self.told_group(Arc::clone(group))).collect());
            self.snaps.push(groups);
            for sentinel in 0..self.sentinels.len() {
                let after = if self.dice.chance(95) { self.dice.between(300, 5_000) } else { self.dice.between(5_000, 300_000) };
                self.net.after(after, Event::Replicate { sentinel });
            }
        }
        self.teams[team].ledger.void |= !self.group(team).is_strict() && self.booted;
        for fact in facts {
            self.note_fact(team, &fact.event);
        }
        self.note_hook(command.name());
        true
    }

    fn note_fact(&mut self, team: usize, fact: &Fact) {
        self.stats.note(fact);
        match fact {
            Fact::Decided { choice, .. } => self.note_decision(team, choice),
            Fact::Promoted { .. } => self.check_confirmed(team),
            Fact::ReplicaForgotten { replica, .. } => self.note_forgotten(team, replica),
            _ => {}
        }
    }

    /// A sentinel hears of entries.
    pub(crate) fn catch_up(&mut self, sentinel: usize) {
        if !self.sentinels[sentinel].up || self.sentinels[sentinel].applied + 1 == self.snaps.len() {
            return;
        }
        if !self.reaches_leader(sentinel) {
            let again = self.dice.between(50_000, 200_000);
            self.net.after(again, Event::Replicate { sentinel });
            return;
        }
        let (before, newest) = (self.sentinels[sentinel].applied, self.snaps.len() - 1);
        self.sentinels[sentinel].applied = newest;
        self.keep_eyes(sentinel);
        for team in 0..self.teams.len() {
            if !Arc::ptr_eq(&self.snaps[before][team], &self.snaps[newest][team]) {
                self.step(sentinel, team, Input::Wake);
            }
        }
    }

    /// Once in a while: a leader without a quorum is none any more, and another is found where there is a quorum.
    pub(crate) fn elect(&mut self) {
        let again = self.dice.between(60_000, 200_000);
        self.net.after(again, Event::Elect);
        for sentinel in 0..self.sentinels.len() {
            if self.sentinels[sentinel].believes != self.certainly_leads(sentinel) {
                let (term, after) = (self.term, self.dice.between(0, 400_000));
                self.net.after(after, Event::Lead { sentinel, term });
            }
        }
        if let Some(leader) = self.leader {
            if self.has_quorum(leader) {
                self.without_leader = 0;
                return;
            }
            self.without_leader += 1;
            if self.without_leader < 4 {
                return;
            }
            self.depose();
        }
        let able: Vec<usize> = (0..self.sentinels.len()).filter(|sentinel| self.has_quorum(*sentinel)).collect();
        if !able.is_empty() {
            let next = able[self.dice.index(able.len())];
            self.crown(next);
        }
    }

    /// The leader is none any more, and learns of it later.
    pub(crate) fn depose(&mut self) {
        if let Some(leader) = self.leader.take() {
            self.term += 1;
            let term = self.term;
            let after = self.dice.between(0, 900_000);
            self.net.after(after, Event::Lead { sentinel: leader, term });
        }
    }

    pub(crate) fn crown(&mut self, sentinel: usize) {
        self.tell(|| format!("    sentinel {} leads", sentinel + 1));
        self.without_leader = 0;
        self.leader = Some(sentinel);
        self.term += 1;
        let term = self.term;
        let after = self.dice.between(200, 30_000);
        self.net.after(after, Event::Lead { sentinel, term });
        for sentinel in 0..self.sentinels.len() {
            self.net.after(after, Event::Replicate { sentinel });
        }
    }

    pub(crate) fn learn_leadership(&mut self, sentinel: usize, term: u64) {
        if self.term < term {
            return;
        }
        let leads = self.certainly_leads(sentinel);
        if leads {
            // Whoever leads has everything that was committed before.
            self.catch_up(sentinel);
        }
        // Without its permit, a leader that is cut off acts for as long as it hears of no other.
        let deaf = self.setup.breach == Some(Breach::ActWithoutPermit) && !self.reaches_leader(sentinel);
        if self.sentinels[sentinel].up && self.sentinels[sentinel].believes != leads && (leads || !deaf) {
            self.sentinels[sentinel].believes = leads;
            self.step_all(sentinel);
        }
    }

    pub(crate) fn world_of(&self, sentinel: usize, team: usize) -> crate::judge::World {
        let known = &self.sentinels[sentinel];
        crate::judge::World {
            now: Mono(self.net.now),
            wall: WallTime(self.net.now),
            group: Arc::clone(&self.told[known.applied][team]),
            voting: true,
            leading: known.believes,
            majority: self.sentinels.len() / 2 + 1,
            usable: 0,
            held_back: None,
            elsewhere: Arc::default(),
        }
    }

    /// What the judge is told of the group: with a broken rule, something else than was agreed.
    fn told_group(&self, mut group: Arc<Group>) -> Arc<Group> {
        // At other times it would only be found wanting, and put right, for ever.
        if group.failover.is_none() {
            return group;
        }
        match self.setup.breach {
            Some(Breach::DetachQuorum) => {
                let known = group.known_replicas();
                if let Some(fence) = &mut Arc::make_mut(&mut group).fence {
                    (fence.min_replicas, fence.covered) = (known, known);
                }
            }
            Some(Breach::LagWindow) => {
                if let Some(fence) = &mut Arc::make_mut(&mut group).fence {
                    fence.max_lag_s = 0;
                }
            }
            _ => {}
        }
        group
    }

    /// An operator's command, said at any sentinel.
    pub(crate) fn order(&mut self, team: usize, command: &Command) {
        if self.leader.is_some_and(|leader| self.certainly_leads(leader)) {
            self.commit(team, command);
        }
    }

    pub(crate) fn undecided(&self, team: usize) -> bool {
        self.group(team).failover.as_ref().is_some_and(|failover| failover.phase.is_undecided())
    }

    pub(crate) fn is_promoting(&self, team: usize) -> bool {
        self.group(team).failover.as_ref().is_some_and(|failover| failover.phase == Phase::Promoting)
    }

    pub(crate) fn number(sentinel: usize) -> NodeId {
        NodeId(sentinel as u64 + 1)
    }
}

fn brief(command: &Command, outcome: &Outcome) -> String {
    let what = match command {
        Command::VoteDown { voter, epoch, testimony, .. } => format!("{voter} votes down {epoch}: {:?}", testimony.evidence),
        Command::VoteUp { voter, epoch, .. } => format!("{voter} votes up {epoch}"),
        Command::Promote { id, choice, by, .. } => {
            let rows: Vec<String> = choice
                .candidates
                .iter()
                .map(|row| format!("{} {:?}{} {:?}", row.addr.host(), row.offset, if row.detached { " off" } else { "" }, row.ineligible))
                .collect();
            format!("promote {} to {} by {by}, {:?}: [{}]", choice.chosen.host(), id.epoch, choice.basis, rows.join("; "))
        }
        Command::FenceArmed { fence, replicas, .. } => format!("armed {fence:?} for {replicas}"),
        Command::FenceLoosened { held, .. } => format!("loosened {held:?}"),
        Command::FenceCovered { covered, .. } => format!("covered {covered}"),
        Command::ReplicaSeen { replica, identity, .. } => format!("replica {} is {:?}", replica.host(), identity),
        Command::MasterSeen { epoch, identity, .. } => format!("master of {epoch} is {identity:?}"),
        Command::FailoverBlocked { reasons, .. } => {
            let rows: Vec<String> = reasons.iter().map(|(addr, reason)| format!("{} {reason:?}", addr.host())).collect();
            format!("blocked: [{}]", rows.join("; "))
        }
        Command::FailoverAborted { reason, .. } => format!("aborted: {reason:?}"),
        Command::FailoverRequested { manner, target, .. } => {
            format!("requested {manner:?} {:?}", target.as_ref().map(|target| target.host().to_owned()))
        }
        Command::ReplicaFollows { replica, .. } => format!("{} follows", replica.host()),
        Command::ReplicaForgotten { replica, .. } => format!("forget {}", replica.host()),
        Command::SetOptions { changes, .. } => format!("set {changes:?}"),
        other => other.name().to_owned(),
    };
    match outcome {
        Outcome::Refused(refusal) => format!("{what} - refused: {refusal}"),
        Outcome::Done | Outcome::Unchanged => what,
    }
}

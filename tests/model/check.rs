//! What must hold after every event, and when the storm is over.

use std::fmt;
use std::sync::Arc;

use crate::base::Addr;
use crate::data::{Power, addr};
use crate::machine::{Choice, Event as Fact, FencingProof, Ineligible};
use crate::run::Run;

/// A promise of the product (the numbers are those of its documentation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// One leader per epoch; epochs grow by one.
    P1,
    /// Fenced promotion: when the new master takes writes the old one takes none.
    P4,
    /// No confirmed write is lost.
    P5,
    /// What an operator has removed leaves nothing behind.
    P6,
    /// A failover always ends, or says why it cannot.
    P7,
    /// What is done in one group leaves the others as they are.
    Apart,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// What happened.
    pub what: String,
    /// When, in microseconds of the schedule.
    pub at: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {} ms: {}", self.promise, self.at / 1000, self.what)
    }
}

/// What a schedule went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Steps of judges.
    pub steps: u64,
    /// Writes that were taken.
    pub writes: u64,
    /// Writes that were confirmed with enough replicas.
    pub confirmed: u64,
    /// Decisions.
    pub decisions: u64,
    /// Of these: by the lag window.
    pub by_window: u64,
    /// Of these: planned ones.
    pub drained: u64,
    /// Failovers given up before a decision.
    pub aborted: u64,
    /// Schedules that ended blocked.
    pub blocked: u64,
    /// Groups that were removed.
    pub removed: u64,
    /// Schedules in which P4 and P5 were given away by an operator or the policy.
    pub void: u64,
}

impl Stats {
    pub(crate) fn note(&mut self, fact: &Fact) {
        match fact {
            Fact::Decided { choice, .. } => {
                self.decisions += 1;
                self.by_window += u64::from(choice.basis == FencingProof::LagWindow);
                self.drained += u64::from(matches!(choice.basis, FencingProof::Drained | FencingProof::HandedOver { .. }));
            }
            Fact::FailoverAborted { .. } => self.aborted += 1,
            _ => {}
        }
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.writes += other.writes;
        self.confirmed += other.confirmed;
        self.decisions += other.decisions;
        self.by_window += other.by_window;
        self.drained += other.drained;
        self.aborted += other.aborted;
        self.blocked += other.blocked;
        self.removed += other.removed;
        self.void += other.void;
    }
}

/// What is remembered of promises.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// The recorded masters, one for each epoch.
    pub(crate) masters: Vec<usize>,
    /// The newest of them that has taken a write.
    pub(crate) writer: usize,
    pub(crate) confirmed: Vec<u32>,
    /// Of these: by a master that was made by hand, before the log knew of it.
    pub(crate) by_hand: Vec<u32>,
    /// Writes of which nothing is promised.
    pub(crate) lost: Vec<u32>,
    /// P4 and P5 were given away.
    pub(crate) void: bool,
    /// The master that was replaced last, if it was decided that nothing of what it had taken is lost: whatever the policy, it takes no more.
    pub(crate) handed_over: Option<usize>,
}

impl Run {
    pub(crate) fn violate(&mut self, promise: Promise, what: String) {
        self.tell(|| format!("*** {promise:?}: {what}"));
        if self.violation.is_none() {
            self.violation = Some(Violation { promise, what, at: self.net.now });
        }
    }

    /// A node took a write.
    pub(crate) fn note_write(&mut self, at: usize, id: u32) {
        self.stats.writes += 1;
        let strangers = self.counts_strangers(at);
        let ledger = &mut self.teams[self.nodes[at].team].ledger;
        let turn = ledger.masters.iter().rposition(|master| *master == at);
        match turn {
            Some(turn) if turn >= ledger.writer => ledger.writer = turn,
            // A stopped server carries out what waits for it before it looks at its replicas: P4 is not promised then, P5 is.
            _ if ledger.void || strangers || self.nodes[at].by_hand || self.nodes[at].amnesiac || self.setup.adversary.stops => {}
            _ => {
                let writer = addr(ledger.masters[ledger.writer]).host().to_owned();
                let host = addr(at).host().to_owned();
                self.violate(Promise::P4, format!("{host} took write {id} after {writer}, which is the master by now, had taken one"));
            }
        }
        let excused = strangers || self.nodes[at].amnesiac || self.setup.adversary.stops || self.nodes[at].by_hand;
        if self.teams[self.nodes[at].team].ledger.handed_over == Some(at) && !excused {
            self.violate(Promise::P5, format!("{} took write {id} after it had handed over without loss", addr(at).host()));
        }
        self.note_hook("write");
    }

    /// A write was confirmed by so many replicas.
    pub(crate) fn confirm_write(&mut self, at: usize, id: u32, replicas: u32) {
        let team = self.nodes[at].team;
        let promised = self.group(team).wait_replicas();
        let more = u32::from(self.setup.breach == Some(crate::Breach::WaitForFewer));
        self.tell(|| format!("{} confirms write {id}: {replicas} of {promised}", addr(at).host()));
        if promised == 0 || replicas + more < promised || self.ledger_of(at).lost.contains(&id) {
            return;
        }
        self.stats.confirmed += 1;
        let by_hand = self.nodes[at].by_hand;
        let ledger = self.ledger_of(at);
        ledger.confirmed.push(id);
        ledger.by_hand.extend(by_hand.then_some(id));
        // What an operator made the master is that before the log knows it.
        let master = self.master_of(team).filter(|_| !self.nodes[at].by_hand);
        if let Some(master) = master.filter(|master| *master != at && !self.undecided(team) && !self.is_promoting(team)) {
            self.check_node(master);
        }
    }

    /// Nothing is promised of what the master lost when it was back before anybody else was chosen: its replicas attach to it by
    /// themselves and copy what is left.
    pub(crate) fn note_lost(&mut self, at: usize, lost: &[u32]) {
        let (adversary, team) = (self.setup.adversary, self.nodes[at].team);
        let as_master = self.ledger_of(at).masters.last() == Some(&at) && !adversary.master_losses;
        let in_failover = (self.undecided(team) || self.is_promoting(team)) && !adversary.losses_in_failover;
        if as_master || in_failover || self.nodes[at].by_hand {
            self.ledger_of(at).lost.extend_from_slice(lost);
        }
        // The same goes for what it never had: whoever attaches to it copies what it has.
        if as_master {
            let ledger = self.ledger_of(at);
            ledger.lost.extend(std::mem::take(&mut ledger.by_hand));
        }
    }

    pub(crate) fn note_decision(&mut self, team: usize, choice: &Choice) {
        let (chosen, epoch) = (self.node_at(&choice.chosen), self.group(team).epoch.0);
        let Some(chosen) = chosen.filter(|chosen| self.teams[team].nodes.contains(chosen)) else {
            self.violate(Promise::Apart, format!("{} is not of the group that it is to lead", choice.chosen));
            return;
        };
        self.nodes[chosen].by_hand = false;
        let ledger = &mut self.teams[team].ledger;
        ledger.void |= matches!(choice.basis, FencingProof::Unfenced | FencingProof::Forced);
        let without_loss =
            choice.estimated_loss_bytes == Some(0) && matches!(choice.basis, FencingProof::Drained | FencingProof::HandedOver { .. });
        ledger.handed_over = ledger.masters.last().copied().filter(|_| without_loss);
        ledger.masters.push(chosen);
        ledger.by_hand.clear();
        let masters = ledger.masters.len();
        if masters as u64 != epoch + 1 {
            self.violate(Promise::P1, format!("epoch {epoch} after {masters} masters"));
        }
        if let Some(old) = self.teams[team].ledger.handed_over {
            let missing: Vec<u32> = self.nodes[old].log.iter().filter(|id| **id >= 2 && !self.nodes[chosen].has(**id)).copied().collect();
            if !missing.is_empty() && self.nodes[old].power == Power::Up {
                let (old, new) = (addr(old).host().to_owned(), addr(chosen).host().to_owned());
                self.violate(Promise::P5, format!("{new} is to lead, without loss, and lacks {missing:?} of {old}"));
            }
        }
    }

    pub(crate) fn note_forgotten(&mut self, team: usize, replica: &Addr) {
        let there = self.node_at(replica).is_some_and(|node| !self.nodes[node].gone_for_good);
        if there && !self.resetting {
            self.teams[team].ledger.void = true;
        }
    }

    /// The recorded master was confirmed: it has all that was confirmed.
    pub(crate) fn check_confirmed(&mut self, team: usize) {
        let group = Arc::clone(self.group(team));
        let Some(node) = self.node_at(&group.master.addr) else { return };
        let seen = group.master.identity.as_ref().map(|identity| identity.run_id.as_str().to_owned());
        let still = seen.as_deref() == Some(self.report(node).run_id.as_str());
        if still {
            self.check_node(node);
        }
    }

    fn check_node(&mut self, node: usize) {
        let ledger = &self.teams[self.nodes[node].team].ledger;
        if ledger.void {
            return;
        }
        let missing: Vec<u32> =
            ledger.confirmed.iter().filter(|id| !self.nodes[node].has(**id) && !ledger.lost.contains(id)).copied().collect();
        if !missing.is_empty() {
            let host = addr(node).host().to_owned();
            self.violate(Promise::P5, format!("{host} is the master and lacks the confirmed writes {missing:?}"));
        }
    }

    /// Whether the group is at rest: a master that takes writes, followed by everybody.
    pub(crate) fn is_settled(&self, team: usize) -> bool {
        if self.is_gone(team) {
            return true;
        }
        let group = self.group(team);
        let Some(master) = self.master_of(team) else { return false };
        let follows = |node: usize| {
            let known = &self.nodes[node];
            known.gone_for_good || (known.linked() && known.follows == Some(crate::data::Target::Node(master)))
        };
        group.failover.is_none()
            && self.nodes[master].takes_writes()
            && group.replicas.keys().filter_map(|addr| self.node_at(addr)).all(follows)
    }

    /// What each sentinel believes, for the story of a group that does not come to rest.
    fn tell_views(&mut self, team: usize) {
        for sentinel in 0..self.sentinels.len() {
            let known = &self.sentinels[sentinel];
            let told = known.minds[team].judge.view().fence_problem.as_deref().unwrap_or("none");
            let mut lines = vec![format!("sentinel {} (up {}, leads {}), problem: {told}", sentinel + 1, known.up, known.believes)];
            for (addr, node) in &known.minds[team].judge.view().nodes {
                let report = node
                    .report
                    .as_ref()
                    .map(|(at, report)| (at.0 / 1000, report.replid.as_str(), report.offset, report.second_offset, &report.role));
                lines.push(format!("  {} {:?} {report:?}", addr.host(), node.link));
            }
            lines.into_iter().for_each(|line| self.tell(|| line));
        }
    }

    /// The storm has been over for as long as the group may take: it is at rest, or says why not.
    pub(crate) fn check_end(&mut self) {
        (0..self.teams.len()).for_each(|team| self.check_end_of(team));
    }

    fn check_end_of(&mut self, team: usize) {
        if self.is_gone(team) {
            return self.check_left_behind(team);
        }
        let group = Arc::clone(self.group(team));
        if self.is_settled(team) {
            if let Some(master) = self.master_of(team) {
                self.check_node(master);
            }
            return;
        }
        let harmed = self.nodes.iter().filter(|node| node.team == team).any(|node| node.gone_for_good || node.run_id > 0);
        let blocked = group.failover.as_ref().is_some_and(|failover| failover.blocked.as_ref().is_some_and(|why| !why.is_empty()));
        let alive = group.data_nodes().filter_map(|addr| self.node_at(addr)).filter(|node| !self.nodes[*node].gone_for_good).count() as u32;
        let short = group.fence.is_some_and(|fence| alive <= fence.wait_replicas);
        // Whoever was there all the time is to be relied on, but for a former master that went on alone.
        let reasons = group.failover.as_ref().and_then(|failover| failover.blocked.as_deref()).unwrap_or_default();
        let strayed = |addr: &Addr| {
            reasons.iter().any(|(of, why)| of == addr && matches!(why, Ineligible::ForeignHistory { .. } | Ineligible::OutOfSync { .. }))
        };
        let reliable = |addr: &&Addr| {
            let node = self.node_at(addr).map(|node| &self.nodes[node]);
            let there = node.is_some_and(|node| node.run_id == 0 && node.power == Power::Up && node.placed);
            // One that had just joined was never seen to have anything.
            there && group.may_hold(addr) && !strayed(addr)
        };
        let open = !reasons.iter().any(|(_, why)| matches!(why, Ineligible::NotFenced | Ineligible::PriorityZero));
        let forgotten = self.teams[team].ledger.void;
        let enough =
            group.is_strict() && open && !forgotten && group.replicas.keys().filter(reliable).count() as u32 >= group.needed().detached;
        // Two servers of which each may hold what the other lacks are left to an operator, who is told.
        let told = |sentinel: &crate::sentinel::Sentinel| {
            sentinel.minds[team].judge.view().fence_problem.as_ref().is_some_and(|why| why.contains("by hand"))
        };
        let torn = self.setup.adversary.by_hand && self.leader.is_some_and(|leader| told(&self.sentinels[leader]));
        if torn || (harmed && (blocked || short) && !(blocked && enough)) {
            self.stats.blocked += 1;
            return;
        }
        let roles: Vec<String> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.team == team)
            .map(|(at, node)| format!("{} {:?} {:?} {:?} good {}", addr(at).host(), node.power, node.follows, node.upstream, node.good))
            .collect();
        self.tell_views(team);
        let failover = group.failover.as_ref().map(|failover| (&failover.phase, &failover.blocked));
        self.violate(Promise::P7, format!("not at rest: master {}, {failover:?}, {}", group.master.addr.host(), roles.join("; ")));
    }
}

//! What must hold after every event, and when the storm is over.

use std::fmt;

use crate::base::Addr;
use crate::data::addr;
use crate::machine::{Basis, Choice, Event as Fact};
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
    /// A failover always ends, or says why it cannot.
    P7,
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
    /// Schedules in which P4 and P5 were given away by an operator or the policy.
    pub void: u64,
}

impl Stats {
    pub(crate) fn note(&mut self, fact: &Fact) {
        match fact {
            Fact::Decided { choice, .. } => {
                self.decisions += 1;
                self.by_window += u64::from(choice.basis == Basis::LagWindow);
                self.drained += u64::from(choice.basis == Basis::Drained);
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
    /// Writes of which nothing is promised.
    pub(crate) lost: Vec<u32>,
    /// P4 and P5 were given away.
    pub(crate) void: bool,
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
        let turn = self.ledger.masters.iter().rposition(|master| *master == at);
        match turn {
            Some(turn) if turn >= self.ledger.writer => self.ledger.writer = turn,
            // A stopped server carries out what waits for it before it looks at its replicas: P4 is not promised then, P5 is.
            _ if self.ledger.void || self.nodes[at].amnesiac || self.setup.adversary.stops => {}
            _ => {
                let writer = addr(self.ledger.masters[self.ledger.writer]).host;
                let host = addr(at).host;
                self.violate(Promise::P4, format!("{host} took write {id} after {writer}, which is the master by now, had taken one"));
            }
        }
        self.note_hook("write");
    }

    /// A write was confirmed by so many replicas.
    pub(crate) fn confirm_write(&mut self, at: usize, id: u32, replicas: u32) {
        let promised = self.group().wait_replicas();
        let more = u32::from(self.setup.breach == Some(crate::Breach::WaitForFewer));
        self.tell(|| format!("{} confirms write {id}: {replicas} of {promised}", addr(at).host));
        if promised == 0 || replicas + more < promised || self.ledger.lost.contains(&id) {
            return;
        }
        self.stats.confirmed += 1;
        self.ledger.confirmed.push(id);
        let master = self.node_at(&self.group().master.addr.clone());
        if let Some(master) = master.filter(|master| *master != at && !self.undecided() && !self.is_promoting()) {
            self.check_node(master);
        }
    }

    /// Nothing is promised of what the master lost when it was back before anybody else was chosen: its replicas attach to it by
    /// themselves and copy what is left.
    pub(crate) fn note_lost(&mut self, at: usize, lost: &[u32]) {
        let adversary = self.setup.adversary;
        let as_master = self.ledger.masters.last() == Some(&at) && !adversary.master_losses;
        let in_failover = (self.undecided() || self.is_promoting()) && !adversary.losses_in_failover;
        if as_master || in_failover {
            self.ledger.lost.extend_from_slice(lost);
        }
    }

    pub(crate) fn note_decision(&mut self, choice: &Choice) {
        if matches!(choice.basis, Basis::Unfenced | Basis::Forced) {
            self.ledger.void = true;
        }
        let chosen = self.node_at(&choice.chosen).unwrap_or(0);
        self.ledger.masters.push(chosen);
        let epoch = self.group().epoch.0;
        if self.ledger.masters.len() as u64 != epoch + 1 {
            self.violate(Promise::P1, format!("epoch {epoch} after {} masters", self.ledger.masters.len()));
        }
    }

    pub(crate) fn note_forgotten(&mut self, replica: &Addr) {
        if self.node_at(replica).is_some_and(|node| !self.nodes[node].gone_for_good) {
            self.ledger.void = true;
        }
    }

    /// The recorded master was confirmed: it has all that was confirmed.
    pub(crate) fn check_confirmed(&mut self) {
        let group = self.group().clone();
        let Some(node) = self.node_at(&group.master.addr) else { return };
        let seen = group.master.identity.as_ref().map(|identity| identity.run_id.as_str().to_owned());
        let still = seen.as_deref() == Some(&self.report(node).run_id.as_str().to_owned());
        if still {
            self.check_node(node);
        }
    }

    fn check_node(&mut self, node: usize) {
        if self.ledger.void {
            return;
        }
        let missing: Vec<u32> =
            self.ledger.confirmed.iter().filter(|id| !self.nodes[node].has(**id) && !self.ledger.lost.contains(id)).copied().collect();
        if !missing.is_empty() {
            let host = addr(node).host;
            self.violate(Promise::P5, format!("{host} is the master and lacks the confirmed writes {missing:?}"));
        }
    }

    /// Whether the group is at rest: a master that takes writes, followed by everybody.
    pub(crate) fn is_settled(&self) -> bool {
        let group = self.group();
        let Some(master) = self.node_at(&group.master.addr) else { return false };
        let follows = |node: usize| {
            let known = &self.nodes[node];
            known.gone_for_good || (known.linked() && known.follows == Some(crate::data::Target::Node(master)))
        };
        group.failover.is_none()
            && self.nodes[master].takes_writes()
            && group.replicas.keys().filter_map(|addr| self.node_at(addr)).all(follows)
    }

    /// What each sentinel believes, for the story of a group that does not come to rest.
    fn tell_views(&mut self) {
        for sentinel in 0..self.sentinels.len() {
            let known = &self.sentinels[sentinel];
            let mut lines = vec![format!("sentinel {} (up {}, leads {})", sentinel + 1, known.up, known.believes)];
            for (addr, node) in &known.judge.view().nodes {
                let report = node.report.as_ref().map(|(at, report)| (at.0 / 1000, &report.role));
                lines.push(format!("  {} {:?} {report:?}", addr.host, node.link));
            }
            lines.into_iter().for_each(|line| self.tell(|| line));
        }
    }

    /// The storm has been over for as long as the group may take: it is at rest, or says why not.
    pub(crate) fn check_end(&mut self) {
        let group = self.group().clone();
        if self.is_settled() {
            let master = self.ledger.masters.last().copied().unwrap_or(0);
            self.check_node(master);
            return;
        }
        let harmed = self.nodes.iter().any(|node| node.gone_for_good || node.run_id > 0);
        let blocked = group.failover.as_ref().is_some_and(|failover| failover.blocked.as_ref().is_some_and(|why| !why.is_empty()));
        let alive = group.data_nodes().filter_map(|addr| self.node_at(addr)).filter(|node| !self.nodes[*node].gone_for_good).count() as u32;
        let short = group.fence.is_some_and(|fence| alive <= fence.wait_replicas);
        if harmed && (blocked || short) {
            self.stats.blocked += 1;
            return;
        }
        let roles: Vec<String> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| format!("{} {:?} {:?} {:?} good {}", addr(at).host, node.power, node.follows, node.upstream, node.good))
            .collect();
        self.tell_views();
        let failover = group.failover.as_ref().map(|failover| (&failover.phase, &failover.blocked));
        self.violate(Promise::P7, format!("not at rest: master {}, {failover:?}, {}", group.master.addr.host, roles.join("; ")));
    }
}

//! The one loop that makes the data nodes what the log says they are, and the log say what the data nodes are.
//!
//! Runs on the leader whenever no failover is under way. A master that comes back after it was replaced, a
//! replica of the wrong master, a loop of replicas: each is a node that reports something else than is recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::candidate::{Lineage, continues, lineage};
use super::group_judge::{FRESH_MS, Judge};
use super::intent::{Ask, Intent, ProposalKey};
use super::view::GroupView;
use crate::base::observation::{NodeReport, Role, RoleReport};
use crate::base::{Addr, Mono};
use crate::machine::{Command, Evidence, Group, Identity};

/// While it is not known whether another server leads in the place of the recorded master, that is looked at this often.
const RIVAL_LOOK_MS: u64 = 100;

impl Judge {
    pub(super) fn repair(&mut self) {
        let group = Arc::clone(&self.world.group);
        let master = &group.master.addr;
        let reports = self.live_reports();
        let current = |at: Mono| self.is_fresh(at) && self.view.is_of_this_link(master, at);
        let Some((master_at, of_master)) = reports.get(master).filter(|(at, _)| current(*at)) else {
            self.seek_moved_master(&group);
            self.attach_detached(&group, &reports);
            self.demote_former(&group, &reports);
            return;
        };
        match &of_master.role {
            RoleReport::Master { replicas, .. } => {
                // Not what is to be recorded, but what is to be replaced: votes are under way.
                if self.lost_history(&group).is_some() {
                    return;
                }
                if self.may_have_lost_history(&group) {
                    return self.look_at_replicas_every(RIVAL_LOOK_MS);
                }
                // One that was with a server that leads by hand, and was made a master again, is known by what it was before.
                if !self.is_led_elsewhere(&group) {
                    self.record_master(&group, of_master);
                }
                self.record_unknown(&group, replicas);
            }
            RoleReport::Replica(_) => {
                if !self.adopt_by_hand(&group) {
                    self.reinstate(&group, of_master);
                }
                return;
            }
        }
        if self.view.is_down(master) {
            return;
        }
        self.tend_fence(&group, of_master);
        self.tend_replicas(&group, (*master_at, of_master), &reports);
        let copying = reports.values().filter(|(_, report)| is_copying(report)).count();
        let mut room = (group.settings.parallel_syncs as usize).saturating_sub(copying);
        for (addr, (at, report)) in reports.iter().filter(|(addr, _)| *addr != master) {
            if self.is_the_master(report) {
                continue;
            }
            match deviation(&self.view, &group, report) {
                None => self.record_replica(&group, addr, (*at, report), (*master_at, of_master)),
                Some(_) if !self.is_fresh(*at) => {}
                // Whoever changed this node may have changed the master with it: first see what that is now.
                Some(_) if at > master_at => self.want(Intent::Look(master.clone())),
                // What was seen of it before the master restarted may have been the master itself, under its second name.
                Some(Ask::Demote { .. }) if self.view.nodes.get(master).is_some_and(|node| *at < node.process_since) => {
                    self.want(Intent::Look(addr.clone()));
                }
                // A second master is not left one for want of room.
                // Nor is one left alone that a failover had taken from its master: it goes on from where it was.
                Some(ask) if !matches!(ask, Ask::Repoint { .. }) || is_detached(report) => {
                    self.correct(&group, addr, (*at, report), ask);
                }
                Some(ask) if room > 0 => {
                    room -= 1;
                    self.correct(&group, addr, (*at, report), ask);
                }
                Some(_) => {}
            }
        }
        self.adopt_by_hand(&group);
    }

    /// While a failover is being finished: who joins the new master, who is in sync, and its fence do not wait for the slowest.
    pub(super) fn keep_records(&mut self, group: &Group) {
        let master = &group.master.addr;
        let reports = self.live_reports();
        let current = |at: Mono| self.is_fresh(at) && self.view.is_of_this_link(master, at);
        let Some((master_at, of_master)) = reports.get(master).filter(|(at, _)| current(*at)) else { return };
        let RoleReport::Master { replicas, .. } = &of_master.role else { return };
        if self.lost_history(group).is_some() {
            return;
        }
        self.record_unknown(group, replicas);
        for (addr, (at, report)) in reports.iter().filter(|(addr, _)| *addr != master) {
            if !self.is_the_master(report) && deviation(&self.view, group, report).is_none() {
                self.record_replica(group, addr, (*at, report), (*master_at, of_master));
            }
        }
        self.tend_fence(group, of_master);
    }

    /// This sentinel does not see the master, and not enough others agree for a failover. Replicas that a failover had taken from it, and
    /// that was given up, are given back all the same: a master without them takes no writes, and nobody else would do it.
    fn attach_detached(&mut self, group: &Group, reports: &BTreeMap<Addr, (Mono, Arc<NodeReport>)>) {
        let emptied =
            group.ballot.votes().values().any(|vote| matches!(vote.testimony.evidence, Evidence::LostHistory | Evidence::Emptied));
        // Nor to another process in its place, of which it is not seen now what it has.
        if emptied || self.lost_history(group).is_some() || !self.may_be_promoted(group) {
            return;
        }
        for (addr, (at, report)) in reports.iter().filter(|(addr, _)| group.replicas.contains_key(*addr)) {
            if self.is_fresh(*at) && is_detached(report) {
                self.correct(group, addr, (*at, report), Ask::Repoint { master: group.master.addr.clone() });
            }
        }
    }

    /// This sentinel does not see the master, and the one before it is back as one. That one lost its place by a decision, whatever becomes of
    /// the present one: nobody is to write to it meanwhile. Others that call themselves masters wait until the master is seen, since whoever
    /// made them that may have changed the master with them.
    fn demote_former(&mut self, group: &Group, reports: &BTreeMap<Addr, (Mono, Arc<NodeReport>)>) {
        let decision = group.history.iter().rev().find(|decision| decision.decided == Some(group.master.since));
        let Some((addr, (at, report))) = decision.and_then(|decision| reports.get_key_value(&decision.old)) else { return };
        let back = report.role() == Role::Master && self.is_fresh(*at) && self.view.is_of_this_link(addr, *at);
        let other = !self.is_the_master(report) && !continues(group, report) && group.replicas.contains_key(addr);
        if back && other && !group.promotion_unconfirmed() {
            self.ask(addr, Ask::Demote { master: group.master.addr.clone() });
        }
    }

    /// Whether this report of a recorded replica is the master's own, seen at a second address of it (a name beside an IP, say).
    /// Whoever told that one to follow the master would make the master follow itself.
    pub(super) fn is_the_master(&self, report: &NodeReport) -> bool {
        let master = &self.world.group.master;
        let recorded = master.identity.as_ref().map(|identity| &identity.run_id);
        let seen = self.view.nodes.get(&master.addr).and_then(|node| node.report.as_ref()).map(|(_, report)| &report.run_id);
        recorded == Some(&report.run_id) || seen == Some(&report.run_id)
    }

    fn is_fresh(&self, at: Mono) -> bool {
        self.now().ms_since(at) <= FRESH_MS
    }

    /// The recorded master became a replica by somebody else's doing: it is made a master again.
    ///
    /// Also if the log chose it and nobody has seen that carried out. Not if it was never seen as the configured master, or holds
    /// foreign data: then the record may be what is wrong. Data that goes on from the recorded history is no such thing, nor is
    /// what every data node holds by now: nothing else is left to be kept. Nor if it is another process than before, and lacks what was
    /// confirmed: it is voted down. Nor while another server may have led in its place (`by_hand`).
    fn reinstate(&mut self, group: &Group, report: &NodeReport) {
        if !self.is_without_rival(group) {
            return self.look_at_replicas_every(RIVAL_LOOK_MS);
        }
        let shared = self.view.shared_history(group) == Some(&report.replid);
        let ours = lineage(group, report) == Lineage::Same || continues(group, report) || shared;
        let seen_as_one = group.master.identity.is_some();
        if (seen_as_one && ours && self.keeps_what_was_confirmed(group))
            || (seen_as_one && self.is_detached_for_nothing(group))
            || (group.promotion_unconfirmed() && self.may_be_promoted(group))
        {
            self.ask(&group.master.addr, Ask::Promote { fence: group.masters_fence() });
        }
    }

    pub(super) fn record_master(&mut self, group: &Group, report: &NodeReport) {
        if !is_recorded(group.master.identity.as_ref(), report) {
            let (name, epoch, at, identity) = (group.name.clone(), group.epoch, self.world.wall, identity_of(report));
            self.propose(ProposalKey::Master, Command::MasterSeen { group: name, epoch, identity, at });
        }
    }
}

/// Whether a replica is receiving a full copy, which `parallel-syncs` is to bound.
fn is_copying(report: &NodeReport) -> bool {
    matches!(&report.role, RoleReport::Replica(replica) if replica.syncing)
}

/// Whether a failover has taken it from its master, and nothing else has happened to it.
pub(super) fn is_detached(report: &NodeReport) -> bool {
    matches!(&report.role, RoleReport::Replica(replica) if replica.master == Addr::nobody())
}

/// What has to be asked of a node that is recorded as a replica; nothing if it is one of the recorded master.
///
/// A master that is recorded by name is recognised by its address, too: to point its replicas at the name would be a quarrel
/// with whoever gave them the address.
pub(super) fn deviation(view: &GroupView, group: &Group, report: &NodeReport) -> Option<Ask> {
    let master = &group.master.addr;
    match &report.role {
        RoleReport::Master { .. } => Some(Ask::Demote { master: master.clone() }),
        RoleReport::Replica(replica) if !view.is_same(master, &replica.master) => Some(Ask::Repoint { master: master.clone() }),
        RoleReport::Replica(_) => None,
    }
}

/// Whether that is what is on record already.
pub(super) fn is_recorded(known: Option<&Identity>, report: &NodeReport) -> bool {
    known.is_some_and(|known| {
        (&known.run_id, &known.replid, &known.replid2, known.second_offset)
            == (&report.run_id, &report.replid, &report.replid2, report.second_offset)
    })
}

/// What a report says of a node's identity.
pub(super) fn identity_of(report: &NodeReport) -> Identity {
    debug_assert!(matches!(report.role(), Role::Master | Role::Replica));
    Identity {
        run_id: report.run_id.clone(),
        replid: report.replid.clone(),
        replid2: report.replid2.clone(),
        second_offset: report.second_offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::observation::{Observed, ReplicaReport};
    use crate::base::{Epoch, GroupName, GroupSettings, LogIndex, ReplId, RunId, WallTime};
    use crate::judge::NodeView;
    use crate::machine::State;
    use crate::machine::command::Origin;

    fn group(master: &Addr) -> Arc<Group> {
        let name = GroupName::new("m").expect("a good name");
        let mut state = State::default();
        let configure = Command::ConfigureGroup {
            name: name.clone(),
            master: master.clone(),
            settings: GroupSettings::default(),
            replicas: Vec::new(),
            epoch: Epoch(0),
            origin: Origin::Operator,
            at: WallTime::default(),
            takes_up: None,
            asked: None,
        };
        state.apply(LogIndex(1), &configure);
        Arc::clone(&state.groups[&name])
    }

    fn replica_of(host: &str, port: u16) -> NodeReport {
        let replica = ReplicaReport {
            master: Addr::new(host, port).expect("an address"),
            link_up: true,
            last_io_s: Some(0),
            link_down_s: None,
            syncing: false,
            priority: 100,
            announced: true,
            place_lost: false,
        };
        NodeReport {
            run_id: RunId::new("a".repeat(40)).expect("an id"),
            version: String::new(),
            role: RoleReport::Replica(replica),
            replid: ReplId::new("b".repeat(40)).expect("an id"),
            replid2: None,
            second_offset: None,
            offset: 0,
            loading: false,
            raw: String::new(),
        }
    }

    #[test]
    fn a_master_known_by_name_is_recognised_by_its_address_while_it_is_reached_there() {
        let master = Addr::new("redis-0.redis", 6379).expect("an address");
        let group = group(&master);
        let mut view = GroupView::default();
        view.nodes.insert(master.clone(), NodeView::new(Mono(0)));
        let repoint = Some(Ask::Repoint { master: master.clone() });
        assert_eq!(deviation(&view, &group, &replica_of("redis-0.redis", 6379)), None);
        assert_eq!(deviation(&view, &group, &replica_of("10.0.0.1", 6379)), repoint, "nobody knows where the name leads");

        let seen = |view: &mut GroupView, what| {
            if let Some(node) = view.nodes.get_mut(&master) {
                node.note(what, Mono(1));
            }
        };
        seen(&mut view, Observed::Linked);
        seen(&mut view, Observed::Reached("10.0.0.1".to_owned()));
        assert_eq!(deviation(&view, &group, &replica_of("10.0.0.1", 6379)), None);
        assert_eq!(deviation(&view, &group, &replica_of("10.0.0.1", 6380)), repoint, "another port is another server");
        // The name leads elsewhere now: who is still at the old address has the wrong master.
        seen(&mut view, Observed::Unlinked(crate::base::observation::LinkLoss::Closed));
        seen(&mut view, Observed::Reached("10.0.0.2".to_owned()));
        assert_eq!(deviation(&view, &group, &replica_of("10.0.0.1", 6379)), repoint);
    }
}

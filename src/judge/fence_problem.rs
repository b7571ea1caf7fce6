//! What is wrong with the fence of a group, and with the servers that it is made of, for people.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::alarm::{self, Call};
use super::candidate::overreach;
use super::fence::counted;
use super::group_judge::Judge;
use super::intact::check_intact;
use super::intent::{Intent, LocalEvent};
use crate::base::observation::{NodeReport, RoleReport};
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, Fence, FenceSight, Mono};
use crate::machine::Group;

/// What to do about a replica that announces an address which is of no use.
const ANNOUNCE: &str = "set replica-announce-ip and replica-announce-port there, or stop it";
/// A connection that has acknowledged nothing for longer may be left over from one that is gone.
const ALIVE_S: u64 = 2;

impl Judge {
    /// Keeps what is wrong in the view, and calls for operators when it lasts.
    pub(super) fn note_fence_problem(&mut self) {
        let now = self.now();
        self.view.fence_problem = self.fence_problem();
        let why = self.view.fence_problem.clone();
        let what = match alarm::note(&mut self.fence_trouble, &mut self.view.fence_alarm, why, now) {
            Call::Nothing(due) => return due.into_iter().for_each(|due| self.wake_by(due)),
            Call::Wrong(why) => LocalEvent::FenceProblem { why },
            Call::Well => LocalEvent::FenceWell,
        };
        let node = self.world.group.master.addr.clone();
        self.want(Intent::Notify { node, what });
    }

    /// A server whose data cannot be compared with those of others: nothing strict can be built on it.
    fn without_history(&self, group: &Group) -> Option<String> {
        let none = |addr: &&Addr| self.view.live_report(addr).is_some_and(|(_, report)| report.replid.is_unknown());
        let addr = group.data_nodes().find(none)?;
        let follows = if group.settings.promotion_policy == PromotionPolicy::Strict {
            "nobody would be promoted"
        } else {
            "promotions are made as by available"
        };
        Some(format!(
            "{addr} tells no replication history (INFO has no master_replid; Redis 4 or newer has), so that no fence is set and {follows}"
        ))
    }

    /// Replicas that the master counts and that nobody can reach, or tell apart.
    fn misnamed(&self, master: &Addr) -> Option<String> {
        let (_, report) = self.view.nodes.get(master)?.report.as_ref()?;
        let RoleReport::Master { misnamed, replicas, .. } = &report.role else { return None };
        if let Some(named) = misnamed.first() {
            return Some(format!(
                "a replica of {master} announces '{named}', which is not an address: it is not known as a replica, and never promoted ({ANNOUNCE})"
            ));
        }
        let (mut seen, alive) = (BTreeSet::new(), || replicas.iter().filter(|listed| listed.online && listed.lag_s <= ALIVE_S));
        if let Some(twice) = alive().map(|listed| &listed.addr).find(|addr| !seen.insert(*addr)) {
            let many = alive().filter(|listed| listed.addr == *twice).count();
            return Some(format!(
                "{many} replicas of {master} announce one address, {twice}: they cannot be told apart, and one counts at most ({ANNOUNCE})"
            ));
        }
        let own = replicas.iter().find(|listed| self.view.is_same(master, &listed.addr))?;
        Some(format!(
            "a replica of {master} announces the master's own address, {}: it is not known, and never promoted ({ANNOUNCE})",
            own.addr
        ))
    }

    /// What is wrong with the group's fence as this sentinel sees it.
    pub(super) fn fence_problem(&self) -> Option<String> {
        let group = &self.world.group;
        let master = &group.master.addr;
        if let Some(why) = self.stand_in_problem(master).or_else(|| self.never_a_master(group)) {
            return Some(why);
        }
        let asked = group.settings.promotion_policy;
        let Some(wanted) = group.wanted_fence() else {
            let lone = asked == PromotionPolicy::Strict;
            let lone = lone.then(|| match group.replicas.is_empty() {
                true => "no replica is known, so that nothing can be fenced and nobody promoted".to_owned(),
                false => "no replica counts yet, so that nothing can be fenced and nobody promoted".to_owned(),
            });
            return self.second_address_problem(group).or_else(|| self.misnamed(master)).or(lone);
        };
        if group.is_unprotected() {
            return Some(format!(
                "{master} was promoted by force and takes writes without a fence until {} replicas follow it closely: what it takes until then \
                 may be lost with it",
                wanted.min_replicas
            ));
        }
        if let Some(why) = self.forgets(master) {
            return Some(forgetful(master, &why));
        }
        if let Some(why) = self.without_history(group).or_else(|| self.refuses_fence(master)) {
            return Some(why);
        }
        match self.view.fence(master) {
            Some(FenceSight::Unknown(why)) => return Some(format!("{master} does not say whether it holds the fence: {why}")),
            Some(FenceSight::Holds(held)) if *held != wanted && group.fence.is_some() => {
                return Some(format!("{master} {} instead of {}", shown(*held), shown(wanted)));
            }
            Some(FenceSight::Holds(held)) if *held != wanted => {
                if self.view.live_report(master).is_some_and(|(_, report)| counted(report, wanted) >= wanted.min_replicas) {
                    return Some("it is not armed yet".to_owned());
                }
                return Some(format!("it is not armed: fewer than {} replicas follow {master} closely", wanted.min_replicas));
            }
            Some(FenceSight::Holds(_)) | None => {}
        }
        if let Some(problem) = self.hand_problem(group) {
            return Some(problem);
        }
        if let Some(problem) = self
            .second_address_problem(group)
            .or_else(|| self.misnamed(master))
            .or_else(|| self.unmet(group))
            .or_else(|| self.overreaching(group))
        {
            return Some(problem);
        }
        let non_data_followers = self.non_data_followers(master);
        if non_data_followers > 0 {
            return Some(format!(
                "{master} counts {non_data_followers} that are no data nodes (they listen on no port, or appear under the address of another): while \
                 it is silent it cannot be told whether it takes writes, and WAIT counts them too"
            ));
        }
        let Some(record) = group.fence else { return Some("it is not armed yet".to_owned()) };
        if record.min_replicas < wanted.min_replicas {
            return Some(format!("what {master} holds is not recorded yet"));
        }
        let ours = |addr: &&Addr| !self.is_foreign(group, addr);
        if let Some(problem) = self.keeping_clients(group) {
            return Some(problem);
        }
        let held = group.replicas.keys().filter(ours).find_map(|addr| match self.view.fence(addr)? {
            FenceSight::Unknown(why) => Some(format!("{addr} does not say whether it holds the fence: {why}")),
            FenceSight::Holds(held) if *held != wanted => Some(format!("{addr} {} instead of {}", shown(*held), shown(wanted))),
            FenceSight::Holds(_) => self.forgets(addr).map(|why| forgetful(addr, &why)),
        });
        held.or_else(|| self.short_of_replicas(group))
    }

    /// A server that does not close connections when it is told to: what a deposed leader has sent it is bounded by the network's delivery alone.
    fn keeping_clients(&self, group: &Group) -> Option<String> {
        let why = |addr: &Addr| self.view.nodes.get(addr).and_then(|node| node.keeps_clients.as_ref());
        let (addr, why) = group.data_nodes().filter(|addr| !self.is_foreign(group, addr)).find_map(|addr| Some((addr, why(addr)?)))?;
        Some(format!(
            "{addr} does not close connections for this cluster ({why}), so an order of a sentinel that was deposed may be carried out up to a second \
             late: allow CLIENT KILL to the user of the sentinels"
        ))
    }

    /// The master refuses writes for want of replicas.
    fn unmet(&self, group: &Group) -> Option<String> {
        let master = &group.master.addr;
        let (_, report) = self.view.live_report(master)?;
        let RoleReport::Master { good_replicas: Some(good), .. } = report.role else { return None };
        let held = self.held_by(master)?.min_replicas;
        (good < held)
            .then(|| format!("{master} takes no writes: {good} replicas follow it closely, and it needs {held}{}", self.unlinked(group)))
    }

    /// The replicas that are there and say that their link to the master is down, as the end of a sentence.
    fn unlinked(&self, group: &Group) -> String {
        let said = group.replicas.keys().filter_map(|addr| {
            let (_, report) = self.view.live_report(addr)?;
            let RoleReport::Replica(replica) = &report.role else { return None };
            let for_s = replica.link_down_s.filter(|_| !replica.link_up && self.view.is_same(&group.master.addr, &replica.master))?;
            Some(format!("; {addr} says that its link to the master has been down for {for_s} s (its log says why)"))
        });
        said.take(2).collect()
    }

    /// A replica that says what cannot be.
    fn overreaching(&self, group: &Group) -> Option<String> {
        let seen = |addr: &Addr| {
            let (at, report) = self.view.nodes.get(addr)?.report.as_ref()?;
            overreach(group, &self.view, addr, (*at, report)).map(|why| format!("{addr} {why}: it does not count and is not promoted"))
        };
        group.replicas.keys().find_map(seen)
    }

    /// A failover would be blocked for want of replicas.
    pub(super) fn short_of_replicas(&self, group: &Group) -> Option<String> {
        if !group.is_strict() || group.failover.is_some() {
            return None;
        }
        let need = group.needed().detached;
        let ready = |addr: &&Addr| {
            let intact = |(_, report): (Mono, &Arc<NodeReport>)| check_intact(group, addr, report).is_ok();
            group.may_hold(addr) && !self.view.is_down(addr) && self.view.live_report(addr).is_some_and(intact)
        };
        let have = group.replicas.keys().filter(ready).count();
        ((have as u64) < u64::from(need)).then(|| {
            format!("a failover would be blocked: {have} replicas are in reach and in sync, and it needs {need}{}", self.unlinked(group))
        })
    }
}

fn forgetful(addr: &Addr, why: &str) -> String {
    format!(
        "{addr} would come back without its fence, which is not relied on there: {why} (give it a file that it can write, and start it with that)"
    )
}

fn shown(fence: Fence) -> String {
    format!("holds min-replicas-to-write {} and min-replicas-max-lag {}", fence.min_replicas, fence.max_lag_s)
}

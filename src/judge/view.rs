//! What this sentinel sees of a group's data nodes, for whoever asks: a snapshot of its beliefs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::base::observation::{LinkLoss, NodeReport, Role, RoleReport};
use crate::base::{Addr, FenceSight, GroupName, Mono, Refusals, ReplId, Standing};
use crate::machine::{Candidate, Group};

/// The command link to a data node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// No attempt has come to an end yet.
    Untried,
    /// It is up.
    Up {
        /// Since when.
        since: Mono,
    },
    /// It is down.
    Down {
        /// Since when.
        since: Mono,
        /// Why, by the latest attempt.
        loss: LinkLoss,
    },
}

/// Whether the process at an address is of the installation that was there before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// Nobody has looked on.
    #[default]
    Unknown,
    /// Of the same one: its program and file are the same, and the host was there all the time, refusing while no process was.
    Same,
    /// Of another one.
    Other,
}

/// The owner of a server that is at an address of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Another group of this cluster, which was there first.
    Group(GroupName),
    /// Somebody else: the server has keys and shows nothing of the group.
    Unknown,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(other) => write!(f, "it belongs to '{other}', which acts on it: let one of the two forget it (SENTINEL FORGET)"),
            Self::Unknown => f.write_str(
                "it has keys and shows nothing of this group (process, replication history, master), so it is left as it is: if its keys may go, \
                 SENTINEL ADOPT makes it a replica; else let the group forget the address (SENTINEL FORGET)",
            ),
        }
    }
}

/// What this sentinel sees of one data node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// The command link.
    pub link: Link,
    /// The IP address that its name stands for, as long as the link to that is up.
    pub ip: Option<String>,
    /// The IP address that its name stood for when it was last reached. For those who are told of it; nothing is decided by it.
    pub last_ip: Option<String>,
    /// When the oldest unanswered PING was sent.
    pub waiting_since: Option<Mono>,
    /// The last valid reply to a PING; the moment we began to look before there was one.
    pub last_valid: Mono,
    /// The last reply of any kind to a PING; the moment we began to look before there was one.
    pub last_reply: Mono,
    /// From when silence is counted: the last proof of life, or later where this sentinel itself was not awake.
    pub counts_from: Mono,
    /// Since when it has been loading its data, if it is.
    pub loading_since: Option<Mono>,
    /// The newest INFO and when it came.
    pub report: Option<(Mono, Arc<NodeReport>)>,
    /// What it holds of the fence, and when that was seen.
    pub fence: Option<(Mono, FenceSight)>,
    /// Whether it could write its file when it was last told to, and when that was; none if this process of it was not told by this sentinel.
    pub rewritten: Option<(Mono, Result<(), String>)>,
    /// Its words when it last refused to close connections for us (CLIENT KILL), if the last answer was a refusal.
    pub keeps_clients: Option<String>,
    /// Since when another server has answered at its address, and which one; nothing that it says is kept.
    pub stand_in: Option<(Mono, String)>,
    /// What it was last found to refuse to the sentinels' user.
    pub refusals: Refusals,
    /// Since when it has been the process that it is now.
    pub process_since: Mono,
    /// Since when it has reported its current role.
    pub role_since: Mono,
    /// Whether its last reply said that a script keeps it busy.
    pub busy: bool,
    /// The error with which it answered the last PING, if it was another one.
    pub error: Option<String>,
    /// Whether it was told to end that script, since it is down.
    pub script_kill_sent: bool,
    /// Since when it has been down in this sentinel's eyes.
    pub down_since: Option<Mono>,
    /// Why it cannot be judged (it refuses our credentials, or this host cannot ask it), if so.
    pub cannot_judge: Option<String>,
    /// Since when this host has not been able to ask it.
    pub lacking_since: Option<Mono>,
    /// Whether its host was out of reach since its last report, so that another one may have its address by now.
    pub unreached: bool,
    /// Whether it is of the installation that was seen at this address before.
    pub home: Home,
    /// Whose server it is, if it is not the group's: it is left as it is.
    pub foreign: Option<Owner>,
}

impl NodeView {
    /// A node that we begin to look at.
    pub const fn new(now: Mono) -> Self {
        Self {
            link: Link::Untried,
            ip: None,
            last_ip: None,
            waiting_since: None,
            last_valid: now,
            last_reply: now,
            counts_from: now,
            loading_since: None,
            report: None,
            fence: None,
            rewritten: None,
            keeps_clients: None,
            stand_in: None,
            refusals: Refusals::new(),
            process_since: now,
            role_since: now,
            busy: false,
            error: None,
            script_kill_sent: false,
            down_since: None,
            cannot_judge: None,
            lacking_since: None,
            unreached: false,
            home: Home::Unknown,
            foreign: None,
        }
    }

    /// Whether it is down because of a script, and was not told to end it yet.
    pub(super) const fn wants_script_killed(&self) -> bool {
        self.busy && self.down_since.is_some() && !self.script_kill_sent
    }

    fn is_of_this_link(&self, at: Mono) -> bool {
        matches!(self.link, Link::Up { since } if at >= since)
    }

    /// Why it would come back without its fence if it were started again, if that is known.
    pub fn forgets(&self) -> Option<String> {
        let (_, report) = self.report.as_ref()?;
        // `config_file:` is in the first section of INFO, and empty for a server that was started without one.
        if report.raw.lines().take_while(|line| !line.starts_with("# Clients")).any(|line| line.trim_end() == "config_file:") {
            return Some("it was started without a configuration file".to_owned());
        }
        let (_, result) = self.rewritten.as_ref()?;
        result.as_ref().err().map(|why| format!("it cannot write its configuration file: {why}"))
    }

    /// What it answers instead of PONG, or who does in its place; none if all is well with that.
    pub fn answers(&self) -> Option<String> {
        if let Some((_, who)) = &self.stand_in {
            return Some(format!("its address leads to {who}"));
        }
        if self.busy {
            return Some("it is busy with a script".to_owned());
        }
        self.error.as_ref().map(|error| format!("it answers PING with '{error}'"))
    }

    /// The role it reports, if it was ever seen.
    pub fn role(&self) -> Option<Role> {
        self.report.as_ref().map(|(_, report)| report.role())
    }
}

/// Why a sentinel holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// Sentinels that are not of this cluster watch the group, and no operator said to act despite them.
    Stock,
    /// Its own file says `sentinel shadow yes`, and no operator has taken the group over.
    OwnFile,
    /// Its master is a data node of this other group of the cluster, which was there first and acts.
    Shared(GroupName),
    /// It has not listened for others long enough to know that there are none. A failover does not wait for that.
    Listening,
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stock => f.write_str("sentinels that are not of this cluster watch it, so this cluster does nothing"),
            Self::Shared(other) => {
                write!(
                    f,
                    "its master is a data node of '{other}', which was there first and acts on it; this group follows (remove one of the two)"
                )
            }
            Self::Listening => f.write_str("it has not listened long enough to know whether others watch it"),
            Self::OwnFile => f.write_str("this sentinel's file says 'sentinel shadow yes', and nobody has taken the group over"),
        }
    }
}

/// The outlook for the loss of the master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// A replica would be promoted, whichever way the master is lost.
    Yes,
    /// A replica would be promoted, but not in every case, or it would take no writes.
    Partly,
    /// No replica would be promoted.
    No,
    /// A failover is under way, and goes on.
    UnderWay,
}

impl Outlook {
    /// A word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::No => "no",
            Self::UnderWay => "under-way",
        }
    }
}

/// What would come of the loss of the master at this moment, if this sentinel led: the group's own rules, played through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether a failover would come to its end.
    pub would: Outlook,
    /// The replica that would be promoted.
    pub next: Option<Addr>,
    /// What stands in the way, or limits it, for people.
    pub why: Vec<String>,
}

impl Readiness {
    /// What stands in the way, or limits it, in one line.
    pub fn reasons(&self) -> String {
        self.why.join("; ")
    }

    /// The same where operators are to know of it.
    pub fn complaint(&self) -> Option<String> {
        match self.would {
            Outlook::Unknown | Outlook::Yes | Outlook::UnderWay => None,
            Outlook::Partly => Some(self.reasons()),
            Outlook::No => Some(format!("a failover would be blocked: {}", self.reasons())),
        }
    }
}

/// What this sentinel sees of a group.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GroupView {
    /// The data nodes, the recorded master among them.
    pub nodes: BTreeMap<Addr, NodeView>,
    /// The replicas as candidates for a promotion at this moment, best first.
    pub candidates: Vec<Candidate>,
    /// What is wrong with the group's fence, for people; none if nothing is.
    pub fence_problem: Option<String>,
    /// What would come of the loss of the master.
    pub readiness: Readiness,
    /// Why this sentinel would carry nothing out although the group is not in shadow; none if it would.
    pub held_back: Option<HeldBack>,
    /// The fence problem once it has stood for a while: operators are called for it. A fence that is being armed is no alarm.
    pub fence_alarm: Option<String>,
    /// The complaint of the readiness once it has stood for a while.
    pub readiness_alarm: Option<String>,
}

impl GroupView {
    /// What a node was by its newest report.
    pub(super) fn standing(&self, addr: &Addr) -> Option<Standing> {
        self.nodes.get(addr)?.report.as_ref().map(|(_, report)| Standing::of(report))
    }

    /// Why this sentinel holds back, where that is more than the short while in which it listens first.
    pub fn held_back(&self) -> Option<&HeldBack> {
        self.held_back.as_ref().filter(|held_back| **held_back != HeldBack::Listening)
    }

    /// The newest report of a node, if its link is up.
    pub fn live_report(&self, addr: &Addr) -> Option<(Mono, &Arc<NodeReport>)> {
        let node = self.nodes.get(addr)?;
        let up = matches!(node.link, Link::Up { .. });
        node.report.as_ref().filter(|_| up).map(|(at, report)| (*at, report))
    }

    /// Whether `said`, in some server's words, is the node `addr`: the same address, or the one that its name stands for now.
    ///
    /// Servers report the address that a connection has, or the words that somebody once used; either may be what is not recorded.
    pub fn is_same(&self, addr: &Addr, said: &Addr) -> bool {
        addr == said
            || (addr.port() == said.port()
                && self.nodes.get(addr).and_then(|node| node.ip.as_ref()).map(String::as_str) == Some(said.host()))
    }

    /// The newest sight of a node's fence, if it is of the present link.
    pub fn fence(&self, addr: &Addr) -> Option<&FenceSight> {
        let node = self.nodes.get(addr)?;
        let (at, sight) = node.fence.as_ref()?;
        node.is_of_this_link(*at).then_some(sight)
    }

    /// Whether a report that came at `at` came after the present link was made: an older one may be of another process.
    pub fn is_of_this_link(&self, addr: &Addr, at: Mono) -> bool {
        self.nodes.get(addr).is_some_and(|node| node.is_of_this_link(at))
    }

    /// The replication history that all data nodes of the group hold, where all are in sight and agree.
    pub fn shared_history(&self, group: &Group) -> Option<&ReplId> {
        let mut held = group.data_nodes().map(|addr| self.live_report(addr).map(|(_, report)| &report.replid));
        let first = held.next()??;
        held.all(|replid| replid == Some(first)).then_some(first)
    }

    /// Whether the node was last seen to follow nobody, as a failover leaves a replica.
    pub fn is_detached(&self, addr: &Addr) -> bool {
        let report = self.nodes.get(addr).and_then(|node| node.report.as_ref());
        report.is_some_and(|(_, report)| matches!(&report.role, RoleReport::Replica(replica) if replica.master == Addr::nobody()))
    }

    /// Whether the master has the replica on its list; none where the master is not in sight.
    pub fn is_listed(&self, group: &Group, replica: &Addr) -> Option<bool> {
        let (_, report) = self.live_report(&group.master.addr)?;
        let RoleReport::Master { replicas, .. } = &report.role else { return None };
        Some(replicas.iter().any(|listed| self.is_same(replica, &listed.addr)))
    }

    /// Whether the master lists replicas, by whatever they are named.
    pub fn is_followed(&self, master: &Addr) -> bool {
        let lists = |report: &NodeReport| matches!(&report.role, RoleReport::Master { replicas, misnamed, .. } if !replicas.is_empty() || !misnamed.is_empty());
        self.live_report(master).is_some_and(|(_, report)| lists(report))
    }

    /// The replicas that an operator's RESET forgets: those that are down, and have left where there is a fence.
    ///
    /// One that hangs is down, and may wake: as long as the master has it on its list it may hold what was confirmed and is nowhere else. Where
    /// there is a fence it stays on record until the master is seen without it.
    pub fn down_and_gone(&self, group: &Group) -> Vec<Addr> {
        let gone = |addr: &Addr| group.fence.is_none() || self.is_listed(group, addr) == Some(false);
        group.replicas.keys().filter(|addr| self.is_down(addr) && gone(addr)).cloned().collect()
    }

    /// Whether this sentinel sees the node down.
    pub fn is_down(&self, addr: &Addr) -> bool {
        self.nodes.get(addr).is_some_and(|node| node.down_since.is_some())
    }
}

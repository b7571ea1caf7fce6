//! What was said about the Raft group, and what has to be said before a sentinel can start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use super::settings::RaftSettings;
use super::value::{Problem, is_wildcard, shown};
use crate::base::{Addr, ClusterId, NodeId};

/// Initial members that a Raft group may have. More make every decision slower and none of them safer.
const PEERS: usize = 15;

/// `raft ...` lines so far.
pub(super) struct RaftDraft {
    pub(super) node_id: Option<NodeId>,
    pub(super) listen: Option<Addr>,
    pub(super) advertise: Option<Addr>,
    pub(super) cluster_id: Option<ClusterId>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) insecure: bool,
    pub(super) tls: bool,
    pub(super) tls_allowed_names: Vec<String>,
    pub(super) tls_ca_file: Option<PathBuf>,
    pub(super) heartbeat_ms: u64,
    pub(super) election_timeout_ms: (u64, u64),
    peers: BTreeMap<NodeId, Addr>,
}

impl Default for RaftDraft {
    fn default() -> Self {
        Self {
            node_id: None,
            listen: None,
            advertise: None,
            cluster_id: None,
            secret_file: None,
            insecure: false,
            tls: false,
            tls_allowed_names: Vec::new(),
            tls_ca_file: None,
            // So that the loss of the leading sentinel costs well under a second within one data centre.
            heartbeat_ms: 50,
            election_timeout_ms: (150, 300),
            peers: BTreeMap::new(),
        }
    }
}

/// What the rest of the file says that helps to write good advice.
pub(super) struct Hints<'a> {
    /// This sentinel's own host, if it is said.
    pub(super) own_host: Option<&'a str>,
    /// The hosts of the others, if a stock Sentinel had found them.
    pub(super) neighbours: BTreeSet<&'a str>,
}

impl RaftDraft {
    pub(super) fn add_peer(&mut self, id: NodeId, addr: Addr) -> Result<(), Problem> {
        if let Some(known) = self.peers.get(&id) {
            return Err(format!("raft peer {id} is said twice: it is {known} already"));
        }
        if let Some((other, _)) = self.peers.iter().find(|(_, known)| **known == addr) {
            return Err(format!("raft peer {id} has the address {} of raft peer {other}", shown(&addr.to_string())));
        }
        if self.peers.len() == PEERS {
            return Err(format!("too many raft peers; at most {PEERS} (3 or 5 is usual)"));
        }
        self.peers.insert(id, addr);
        Ok(())
    }

    /// The settings, or what is missing or does not fit.
    pub(super) fn finish(self, hints: &Hints<'_>) -> Result<RaftSettings, Problem> {
        let (Some(node_id), false) = (self.node_id, self.peers.is_empty()) else { return Err(self.missing(hints)) };
        let own = self.peers.get(&node_id);
        let listen = self.listen.as_ref().or(own).ok_or_else(|| self.joiner_needs(node_id, "raft listen <host:port>"))?;
        let advertise = self.advertise.as_ref().or(own).unwrap_or(listen);
        if is_wildcard(advertise.host()) {
            return Err(self.joiner_needs(node_id, "raft advertise <host:port>, where the others reach this sentinel"));
        }
        let (min, max) = self.election_timeout_ms;
        if min < 2 * self.heartbeat_ms {
            return Err(format!(
                "raft election-timeout-ms {min} {max} is too short for raft heartbeat-ms {}: the shorter one must be at least \
                 twice the heartbeat, or healthy leaders are deposed",
                self.heartbeat_ms
            ));
        }
        Ok(RaftSettings {
            node_id,
            listen: listen.clone(),
            advertise: advertise.clone(),
            cluster_id: self.cluster_id,
            secret_file: self.secret_file,
            insecure: self.insecure,
            tls: self.tls,
            tls_allowed_names: self.tls_allowed_names,
            tls_ca_file: self.tls_ca_file,
            heartbeat_ms: self.heartbeat_ms,
            election_timeout_min_ms: min,
            election_timeout_max_ms: max,
            peers: self.peers,
        })
    }

    fn joiner_needs(&self, node_id: NodeId, line: &str) -> Problem {
        format!(
            "raft node-id {node_id} is not among the raft peer lines ({}), so this sentinel waits until it is added to the \
             group that runs there; for that it needs '{line}'",
            self.peers.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )
    }

    fn missing(&self, hints: &Hints<'_>) -> Problem {
        let what = match (self.node_id, self.peers.is_empty()) {
            (None, true) => "no 'raft node-id' and no 'raft peer' line",
            (None, false) => "no 'raft node-id' line",
            (Some(_), _) => "no 'raft peer' line",
        };
        format!("{what}.\n{}", advice(hints))
    }
}

/// What to add to a file of stock Sentinel.
///
/// Where the file names all sentinels, the lines are the very ones to use: numbered in the order of the addresses,
/// which is the same in everybody's file.
fn advice(hints: &Hints<'_>) -> String {
    let mut hosts = hints.neighbours.clone();
    hosts.extend(hints.own_host);
    let complete = hints.own_host.is_some() && hosts.len() > 1;
    let hosts: Vec<&str> = if complete { hosts.into_iter().collect() } else { vec!["10.0.0.1", "10.0.0.2", "10.0.0.3"] };
    let own = hints.own_host.filter(|_| complete).and_then(|own| hosts.iter().position(|host| *host == own)).map_or(1, |index| index + 1);
    let mut text = String::from(
        "The sentinels of one deployment form a Raft group. They do not find each other by themselves: each is told its own number, \
         and all are told the same list of members.\n",
    );
    let _ = match complete {
        true => writeln!(text, "From what this file knows, add to it:\n\n    raft node-id {own}"),
        false => writeln!(text, "For example, for three sentinels, add to this file:\n\n    raft node-id {own}"),
    };
    for (index, host) in hosts.iter().enumerate() {
        let authority = Addr::new(*host, 27379).map_or_else(|_| format!("{host}:27379"), |addr| addr.authority());
        let _ = writeln!(text, "    raft peer {} {authority}", index + 1);
    }
    text.push_str("    raft secret-file /etc/raft-sentinel/secret\n\nThe secret is the same on all of them: (umask 077; raft-sentinel secret new > /etc/raft-sentinel/secret), then copy it.");
    text.push_str("\nThe other files get the same 'raft peer' lines and their own 'raft node-id'. A single sentinel names only itself.");
    text
}

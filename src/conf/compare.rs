//! What no single file can get wrong: how the files of one deployment fit each other.
//!
//! A *conflict* keeps the group from forming, or leaves to chance what it starts with. A *note* is only odd.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::settings::{Config, RaftSettings};
use super::value::is_wildcard;
use crate::base::{Addr, GroupName, GroupSeed, GroupSettings, NodeId};

/// A file that could be read, and what it says.
pub(super) type Read<'a> = (&'a Path, &'a Config);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It breaks the group.
    Conflict,
    /// It is odd.
    Note,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) weight: Weight,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Conflict => "conflict",
            Weight::Note => "note",
        };
        write!(f, "{weight}: {}", self.text)
    }
}

impl Finding {
    pub(super) fn conflict(text: String) -> Self {
        Self { weight: Weight::Conflict, text }
    }

    pub(super) fn note(text: String) -> Self {
        Self { weight: Weight::Note, text }
    }
}

/// Compares the files of one deployment. Nothing is found in a single one.
pub(super) fn compare(files: &[Read<'_>]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some((first, others)) = files.split_first() else { return Vec::new() };
    for other in others {
        findings.compare_members(*first, *other);
        findings.compare_passwords(*first, *other);
    }
    findings.check_identities(files);
    findings.check_addresses(files);
    findings.check_timing(files);
    findings.compare_groups(files);
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn conflict(&mut self, text: String) {
        self.0.push(Finding::conflict(text));
    }

    fn note(&mut self, text: String) {
        self.0.push(Finding::note(text));
    }

    /// The cluster's id comes from the peer lines where it is not said, so either difference makes two clusters.
    fn compare_members(&mut self, first: Read<'_>, other: Read<'_>) {
        let ((here, a), (there, b)) = (named(first), named(other));
        if a.raft.cluster_id != b.raft.cluster_id {
            let id = |raft: &RaftSettings| raft.cluster_id.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            let (ours, theirs) = (id(&a.raft), id(&b.raft));
            self.conflict(format!("{here} has the cluster-id {ours}, {there} {theirs}: these sentinels refuse each other"));
        }
        if a.raft.tls != b.raft.tls {
            let (ours, theirs) = (yes_no(a.raft.tls), yes_no(b.raft.tls));
            self.conflict(format!("{here} says raft tls {ours}, {there} {theirs}: these sentinels cannot talk to each other"));
        }
        if a.raft.peers == b.raft.peers {
            return;
        }
        let differences = peer_differences(&a.raft.peers, &b.raft.peers, &here, &there);
        // Once a cluster has a name of its own, a newcomer's list only says whom it may ask.
        let same_name = a.raft.cluster_id.is_some() && a.raft.cluster_id == b.raft.cluster_id;
        if same_name && (a.raft.joins() || b.raft.joins()) {
            self.note(format!("the raft peer lines differ: {differences}"));
        } else {
            self.conflict(format!("the raft peer lines differ: {differences}; they must be the same in all files"));
        }
    }

    fn compare_passwords(&mut self, first: Read<'_>, other: Read<'_>) {
        let ((here, a), (there, b)) = (named(first), named(other));
        if a.sentinel.shadow != b.sentinel.shadow {
            let (ours, theirs) = (yes_no(a.sentinel.shadow), yes_no(b.sentinel.shadow));
            self.conflict(format!(
                "{here} says sentinel shadow {ours}, {there} {theirs}: whoever comes first decides whether servers are changed"
            ));
        }
        if a.resp.requirepass != b.resp.requirepass {
            self.note(format!("requirepass is not the same in {here} and {there}: clients use one password for all sentinels"));
        }
    }

    fn check_identities(&mut self, files: &[Read<'_>]) {
        for (index, later) in files.iter().enumerate() {
            for earlier in &files[..index] {
                let ((here, a), (there, b)) = (named(*earlier), named(*later));
                if a.raft.node_id == b.raft.node_id {
                    self.conflict(format!("{here} and {there} both have raft node-id {}: each sentinel needs its own", a.raft.node_id));
                }
                if a.sentinel.id_seed.is_some() && a.sentinel.id_seed == b.sentinel.id_seed {
                    self.conflict(format!(
                        "{here} and {there} have the same 'sentinel myid': remove the line from the one that was copied"
                    ));
                }
            }
        }
    }

    /// Whether everybody is where all look for it.
    fn check_addresses(&mut self, files: &[Read<'_>]) {
        for file in files {
            let (here, config) = named(*file);
            let RaftSettings { node_id, listen, advertise, .. } = &config.raft;
            for (said, addr) in [("listens on", listen), ("advertises", advertise)] {
                if let Some(other) = owner(files, addr).filter(|other| other != node_id) {
                    let present = files.iter().any(|(_, config)| config.raft.node_id == other);
                    // The peer lines of a newcomer are those with which the group began, and it may stand where one of them was.
                    if config.raft.joins() && !present {
                        if said == "listens on" {
                            self.note(format!(
                                "{here}: node {node_id} {said} {addr}, where raft peer {other} was: 'raft-sentinel members replace {other} {node_id} {addr}' \
                                 puts it there"
                            ));
                        }
                        continue;
                    }
                    self.conflict(format!("{here}: node {node_id} {said} {addr}, where all look for raft peer {other}"));
                }
            }
            let Some(expected) = expected_at(files, *node_id) else { continue };
            if *advertise != expected {
                self.note(format!("{here}: node {node_id} advertises {advertise}, but 'raft peer {node_id}' is {expected}"));
            }
            let elsewhere = listen.host() != expected.host() && !is_wildcard(listen.host());
            if listen.port() != expected.port() || elsewhere {
                self.note(format!(
                    "{here}: node {node_id} listens on {listen}, but 'raft peer {node_id}' is {expected}: something must forward to it"
                ));
            }
        }
    }

    fn check_timing(&mut self, files: &[Read<'_>]) {
        let slowest = files.iter().max_by_key(|(_, config)| config.raft.heartbeat_ms);
        let hastiest = files.iter().min_by_key(|(_, config)| config.raft.election_timeout_min_ms);
        let (Some(slowest), Some(hastiest)) = (slowest, hastiest) else { return };
        let (beat, patience) = (slowest.1.raft.heartbeat_ms, hastiest.1.raft.election_timeout_min_ms);
        if patience < 2 * beat {
            let (here, there) = (slowest.0.display(), hastiest.0.display());
            self.conflict(format!(
                "raft heartbeat-ms {beat} in {here} is too slow for raft election-timeout-ms {patience} in {there}: healthy leaders are deposed"
            ));
        } else if let Some((odd, _)) = files.iter().find(|(_, config)| timing(&config.raft) != timing(&files[0].1.raft)) {
            self.note(format!("{} and {} differ in raft heartbeat-ms or raft election-timeout-ms", files[0].0.display(), odd.display()));
        }
    }

    /// The log takes a group from whoever proposes it first.
    fn compare_groups(&mut self, files: &[Read<'_>]) {
        let mut first_said: BTreeMap<&GroupName, (&Path, &GroupSeed)> = BTreeMap::new();
        for (file, config) in files {
            for group in &config.groups {
                match first_said.get(&group.name) {
                    Some((first, known)) => self.compare_group((first, known), (file, group)),
                    None => drop(first_said.insert(&group.name, (file, group))),
                }
            }
        }
        for (name, (first, _)) in first_said {
            let without = files.iter().filter(|(_, config)| !config.groups.iter().any(|group| group.name == *name));
            for (file, _) in without {
                self.note(format!("{name} is in {}, but not in {}: all sentinels will monitor it", first.display(), file.display()));
            }
        }
    }

    fn compare_group(&mut self, (first, a): (&Path, &GroupSeed), (other, b): (&Path, &GroupSeed)) {
        let (name, here, there) = (&a.name, first.display(), other.display());
        if a.master != b.master {
            self.conflict(format!(
                "the master of {name} is {} in {here} (epoch {}) and {} in {there} (epoch {}): chance would decide",
                a.master, a.epoch, b.master, b.epoch
            ));
        }
        for difference in differences(&a.settings, &b.settings) {
            match difference {
                OptionDifference::Secret(option) => {
                    self.conflict(format!("{option} of {name} is not the same in {here} and {there}: chance would decide"));
                }
                OptionDifference::Plain(option, ours, theirs) => {
                    self.note(format!(
                        "{option} of {name} is {ours} in {here} and {theirs} in {there}: the first to start a new group wins"
                    ));
                }
            }
        }
    }
}

fn named<'a>((file, config): Read<'a>) -> (std::path::Display<'a>, &'a Config) {
    (file.display(), config)
}

const fn timing(raft: &RaftSettings) -> (u64, u64, u64) {
    (raft.heartbeat_ms, raft.election_timeout_min_ms, raft.election_timeout_max_ms)
}

/// Where the files look for a node, if they do.
fn expected_at(files: &[Read<'_>], id: NodeId) -> Option<Addr> {
    files.iter().find_map(|(_, config)| config.raft.peers.get(&id).cloned())
}

/// Whose address this is in the files.
fn owner(files: &[Read<'_>], addr: &Addr) -> Option<NodeId> {
    files.iter().find_map(|(_, config)| config.raft.peers.iter().find(|(_, known)| *known == addr).map(|(id, _)| *id))
}

const fn yes_no(said: bool) -> &'static str {
    if said { "yes" } else { "no" }
}

fn peer_differences(a: &BTreeMap<NodeId, Addr>, b: &BTreeMap<NodeId, Addr>, here: &dyn fmt::Display, there: &dyn fmt::Display) -> String {
    let shown = |peer: Option<&Addr>| peer.map_or_else(|| "missing".to_owned(), ToString::to_string);
    let mut ids: Vec<NodeId> = a.keys().chain(b.keys()).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let differing = ids.into_iter().filter(|id| a.get(id) != b.get(id));
    let texts = differing.map(|id| format!("peer {id} is {} in {here} and {} in {there}", shown(a.get(&id)), shown(b.get(&id))));
    texts.collect::<Vec<_>>().join(", ")
}

/// An option that two files set differently.
enum OptionDifference {
    /// With both values.
    Plain(&'static str, String, String),
    /// Needed to talk to others; the values are not told.
    Secret(&'static str),
}

fn differences(a: &GroupSettings, b: &GroupSettings) -> Vec<OptionDifference> {
    // Every field by name, so that a new one cannot be forgotten here.
    let GroupSettings {
        quorum,
        down_after_ms,
        crash_down_after_ms,
        failover_timeout_ms,
        parallel_syncs,
        master_reboot_down_after_ms,
        auth_user,
        auth_pass,
        promotion_policy,
        fence_max_lag_s,
        replica_forget_after_ms,
        replicas_fixed,
        max_replicas,
        notification_script,
        client_reconfig_script,
        notification_webhook,
        rename_commands,
    } = a;
    let mut found = Vec::new();
    let mut plain = |option, ours: &dyn fmt::Display, theirs: &dyn fmt::Display| {
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        if ours != theirs {
            found.push(OptionDifference::Plain(option, ours, theirs));
        }
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    plain("quorum", quorum, &b.quorum);
    plain("down-after-milliseconds", down_after_ms, &b.down_after_ms);
    plain("crash-down-after-milliseconds", crash_down_after_ms, &b.crash_down_after_ms);
    plain("failover-timeout", failover_timeout_ms, &b.failover_timeout_ms);
    plain("parallel-syncs", parallel_syncs, &b.parallel_syncs);
    plain("master-reboot-down-after-period", master_reboot_down_after_ms, &b.master_reboot_down_after_ms);
    plain("promotion-policy", &promotion_policy.as_str(), &b.promotion_policy.as_str());
    plain("fence-max-lag", fence_max_lag_s, &b.fence_max_lag_s);
    plain("replica-forget-after", replica_forget_after_ms, &b.replica_forget_after_ms);
    plain("replicas-fixed", replicas_fixed, &b.replicas_fixed);
    plain("max-replicas", max_replicas, &b.max_replicas);
    plain("notification-script", &text(notification_script), &text(&b.notification_script));
    plain("client-reconfig-script", &text(client_reconfig_script), &text(&b.client_reconfig_script));
    let secret = [
        ("auth-user", *auth_user != b.auth_user),
        ("auth-pass", *auth_pass != b.auth_pass),
        ("notification-webhook", *notification_webhook != b.notification_webhook),
        ("rename-command", *rename_commands != b.rename_commands),
    ];
    found.extend(secret.into_iter().filter(|(_, differs)| *differs).map(|(option, _)| OptionDifference::Secret(option)));
    found
}

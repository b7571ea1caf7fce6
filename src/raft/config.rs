//! What a sentinel must be told to take its part in a Raft group, and the spans of time that follow from it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use openraft::SnapshotPolicy;
use sha2::{Digest, Sha256};

use super::error::StartError;
use crate::base::{Addr, ClusterId, NodeId, SentinelId, limits};
use crate::secret::Sealer;
use crate::tls::{ClientTls, ServerTls};
use crate::transport::Proof;

/// How sentinels prove to each other that they belong together. Both ends check who signed the other's certificate.
#[derive(Clone, Debug)]
pub struct PeerTls {
    /// For those that call us.
    pub accept: ServerTls,
    /// For those that we call.
    pub connect: ClientTls,
}

/// Settings of this sentinel's part in the group.
#[derive(Clone, Debug)]
pub struct RaftConfig {
    /// This sentinel's number.
    pub node_id: NodeId,
    /// Where the log lives.
    pub data_dir: PathBuf,
    /// Where to listen for peers.
    pub listen: Addr,
    /// Where peers reach this sentinel.
    pub advertise: Addr,
    /// The initial members, the same on all nodes. A node that is not among them waits until it is added.
    pub peers: BTreeMap<NodeId, Addr>,
    /// The cluster's id; derived from the initial members when not given.
    pub cluster_id: Option<ClusterId>,
    /// The public id to start with when the data directory is new (from a stock configuration file).
    pub sentinel_id_seed: Option<SentinelId>,
    /// Encrypts what is said between peers; none is clear text, unless there is a proof.
    pub tls: Option<PeerTls>,
    /// Where the handshakes of strangers are computed; none is where the calls of peers are answered.
    pub strangers: Option<tokio::runtime::Handle>,
    /// Seals the secrets in what is proposed; without a secret file nothing is sealed.
    pub sealer: Sealer,
    /// Proves that a peer holds the secret, and encrypts; none asks for no such proof.
    pub proof: Option<Proof>,
    /// Whether peers on other hosts are served although nothing is asked of them.
    pub insecure: bool,
    /// How often the leader calls its followers.
    pub heartbeat_ms: u64,
    /// For how long an acknowledgement lets a leader act without asking again.
    pub election_timeout_min_ms: u64,
    /// For how long a follower that hears a leader grants no vote to another.
    pub election_timeout_max_ms: u64,
    /// Applied entries after which a snapshot is taken.
    pub snapshot_every_entries: u64,
    /// Entries kept behind a snapshot.
    pub entries_kept_behind_snapshot: u64,
    /// Applied entries from one digest of the state to the next; the same on all members.
    pub state_digest_every_entries: u64,
}

impl RaftConfig {
    /// The usual settings for one node.
    pub fn new(node_id: NodeId, data_dir: PathBuf, listen: Addr, peers: BTreeMap<NodeId, Addr>) -> Self {
        Self {
            node_id,
            data_dir,
            advertise: listen.clone(),
            listen,
            peers,
            cluster_id: None,
            sentinel_id_seed: None,
            tls: None,
            strangers: None,
            sealer: Sealer::default(),
            proof: None,
            insecure: false,
            heartbeat_ms: 50,
            election_timeout_min_ms: 150,
            election_timeout_max_ms: 300,
            snapshot_every_entries: limits::SNAPSHOT_EVERY_ENTRIES,
            entries_kept_behind_snapshot: limits::ENTRIES_KEPT_BEHIND_SNAPSHOT,
            state_digest_every_entries: limits::STATE_DIGEST_EVERY_ENTRIES,
        }
    }

    /// The cluster's id: as given, or a digest of the initial members, so that two groups do not mix by mistake.
    pub fn cluster_id(&self) -> ClusterId {
        self.cluster_id.clone().unwrap_or_else(|| {
            let lines: Vec<String> = self.peers.iter().map(|(id, addr)| format!("{id}={addr}\n")).collect();
            let digest = Sha256::digest(lines.concat());
            ClusterId::of_bytes(std::array::from_fn(|at| digest.get(at).copied().unwrap_or_default()))
        })
    }

    /// Whether each peer must show something that others do not have.
    pub fn asks_for_proof(&self) -> bool {
        self.tls.is_some() || self.proof.as_ref().is_some_and(|proof| !proof.optional)
    }

    pub(super) fn spans(&self) -> Result<Spans, StartError> {
        let (beat, min, max) = (self.heartbeat_ms, self.election_timeout_min_ms, self.election_timeout_max_ms);
        if beat == 0 || min < beat * 2 || max <= min + 1 {
            return Err(StartError::Config(format!(
                "heartbeat {beat} ms, election timeout {min} to {max} ms: the shorter timeout must be at least two heartbeats, the longer one longer"
            )));
        }
        if self.entries_kept_behind_snapshot >= self.snapshot_every_entries {
            return Err(StartError::Config(
                "a snapshot would free nothing: fewer entries must be kept behind it than lie between two".to_owned(),
            ));
        }
        Ok(Spans { heartbeat_ms: beat, trust_ms: min, lease_ms: max })
    }

    /// openraft's settings. Three of its switches are ours instead:
    ///
    /// - it campaigns only when `guard` says so (`enable_elect` off);
    /// - its heartbeats are sent by `heartbeat` (`enable_heartbeat` off), beside the stream of entries. `heartbeat_interval` is only
    ///   how often it looks whether to step down;
    /// - `election_timeout_max` is what it takes as the lease of a vote.
    pub(super) fn openraft(&self, spans: &Spans) -> Result<openraft::Config, StartError> {
        openraft::Config {
            cluster_name: self.cluster_id().to_string(),
            heartbeat_interval: spans.trust_ms,
            election_timeout_min: spans.lease_ms - 1,
            election_timeout_max: spans.lease_ms,
            enable_elect: false,
            enable_heartbeat: false,
            install_snapshot_timeout: ms(SNAPSHOT_WITHIN),
            max_payload_entries: limits::APPEND_ENTRIES,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every_entries),
            max_in_snapshot_log_to_keep: self.entries_kept_behind_snapshot,
            ..openraft::Config::default()
        }
        .validate()
        .map_err(|problem| StartError::Config(problem.to_string()))
    }
}

/// How long one transfer of a snapshot may take.
pub(super) const SNAPSHOT_WITHIN: Duration = Duration::from_secs(60);
/// How long a peer may take for what it answers after a sync: a vote, or entries.
pub(super) const DISK_WITHIN: Duration = Duration::from_secs(2);
/// How long a proposal is pursued.
pub(super) const PROPOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long a linearizable read is pursued. Many clients wait for one second, and should hear why there is no answer.
pub(super) const READ_WITHIN: Duration = Duration::from_millis(800);
/// How often peers are asked for a sign of life, and how long they may take.
pub(super) const PING_EVERY: Duration = Duration::from_millis(1000);
/// See [`PING_EVERY`].
pub(super) const PING_WITHIN: Duration = Duration::from_millis(700);
/// A peer that was heard within this span counts as reachable.
pub(super) const REACHABLE_MS: u64 = 1500;

/// A span in whole milliseconds.
pub(super) fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The spans of time that elections and leadership are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    /// Between two heartbeats.
    pub heartbeat_ms: u64,
    /// How old a proof of leadership may be when an act takes effect. Shorter than the voters' lease: the difference pays for clocks that
    /// run at different speeds.
    pub trust_ms: u64,
    /// How long a voter that heard a leader grants nothing to others.
    pub lease_ms: u64,
}

impl Spans {
    /// The range from which the wait beyond the lease is drawn, anew for every campaign.
    pub(super) const fn spread_ms(&self) -> u64 {
        self.lease_ms - self.trust_ms
    }

    /// How long one call of Raft itself may take.
    pub(super) const fn call_within(&self) -> Duration {
        Duration::from_millis(self.trust_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RaftConfig {
        let peers = (1..=3).map(|n| (NodeId(n), Addr::new("10.0.0.1", 7000 + n as u16).expect("an address"))).collect();
        RaftConfig::new(NodeId(1), PathBuf::from("/nowhere"), Addr::new("10.0.0.1", 7001).expect("an address"), peers)
    }

    #[test]
    fn the_cluster_id_is_a_digest_of_the_initial_members() {
        assert_eq!(config().cluster_id(), config().cluster_id());
        assert_eq!(config().cluster_id().as_str().len(), 16);
        let mut other = config();
        other.peers.remove(&NodeId(3));
        assert_ne!(other.cluster_id(), config().cluster_id());
    }

    #[test]
    fn spans_that_would_depose_healthy_leaders_are_refused() {
        let mut hasty = config();
        hasty.heartbeat_ms = 100;
        assert!(hasty.spans().is_err());
        assert!(config().spans().is_ok_and(|spans| config().openraft(&spans).is_ok()));
    }
}

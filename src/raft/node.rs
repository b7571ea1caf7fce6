//! This sentinel's part in the group: start, the public calls, shutdown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openraft::storage::RaftLogStorage;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acks::Acks;
use super::calls::Calls;
use super::config::{READ_WITHIN, RaftConfig, ms};
use super::core::Core;
use super::disk_marks::DiskMarks;
use super::diverged::Suspicion;
use super::error::{MembershipError, ProposeError, ReadError, StartError};
use super::handover::Handing;
use super::intake::Intakes;
use super::lead::LeaderProof;
use super::leader_contact::Ear;
use super::network::Network;
use super::peer_identity::Passport;
use super::peers::PeerTable;
use super::recover::Anew;
use super::sealing::Resealed;
use super::status::{Committed, Leadership, Left, Member, PeerHealth, RaftStatus};
use super::survey::Survey;
use super::types::Vote;
use super::vouch::Vouched;
use super::{
    bootstrap, disk, election_task, handover, lead, members, peer_health, propose, read, recover, sealing, self_registration, server,
    survey,
};
use crate::base::server::{Reach, Server};
use crate::base::{Addr, Incarnation, LogIndex, NodeId, SentinelId};
use crate::clock::Clock;
use crate::machine::{Command, LoggedEvent, SentinelRecord, State};
use crate::store;

/// This sentinel's part in the Raft group. Cheap to clone; all clones are one. It works until [`Raft::shutdown`].
#[derive(Clone)]
pub struct Raft {
    core: Arc<Core>,
    /// Until somebody answers them.
    asked: Arc<Mutex<Option<mpsc::Receiver<Survey>>>>,
}

impl Raft {
    /// Opens the log, listens for peers and takes part. Returns before a leader is known.
    ///
    /// # Errors
    /// [`StartError`]: nothing runs then.
    pub async fn start(config: RaftConfig, clock: Clock) -> Result<Self, StartError> {
        let spans = config.spans()?;
        let settings = Arc::new(config.openraft(&spans)?);
        let listener = server::listen(&config).await?;
        let mut opened = open(&config).await?;
        begin_as_follower(&mut opened.log, config.node_id).await?;
        let peers = Arc::new(PeerTable::new(clock, config.tls.as_ref().map(|tls| tls.connect.clone()), config.proof.clone()));
        peers.set_members(&peer_health::others(config.node_id, &BTreeMap::new(), &config.peers));
        opened.digests.set_every(config.state_digest_every_entries);
        let disks = remembered(opened.log.clone(), opened.peer_marks).await?;
        let passport = Passport::new(opened.identity.clone(), opened.states.clone(), peers.clone(), disks.clone());
        let calls = Calls::new(passport.clone(), peers.clone());
        let acks = Arc::new(Acks::default());
        let log = opened.log.ahead_of_the_disk();
        let handing = Arc::new(Handing::default());
        let (surveys, asked) = survey::channel();
        let network = Network { calls: calls.clone(), acks: acks.clone(), clock, log: log.clone(), handing: handing.clone() };
        let consensus = openraft::Raft::new(config.node_id, settings, network.clone(), log.clone(), opened.machine)
            .await
            .map_err(|problem| StartError::Raft(problem.to_string()))?;
        let (reads, clerk) = read::desk();
        let core = Arc::new(Core {
            me: config.node_id,
            config,
            spans,
            clock,
            consensus,
            identity: opened.identity,
            passport,
            peers,
            calls,
            network,
            acks,
            disks,
            digests: opened.digests,
            suspicion: Suspicion::default(),
            anew: Anew::default(),
            ear: Ear::default(),
            handing,
            surveys,
            states: opened.states,
            events: opened.events,
            leadership: watch::Sender::new(Leadership::Unknown),
            // The group may have to form first.
            leaderless_since: AtomicU64::new(clock.mono().plus_ms(ms(READ_WITHIN)).0),
            reads,
            log,
            vouched: Vouched::default(),
            intakes: Intakes::default(),
            order: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            began: clock.mono(),
            leaving: AtomicBool::new(false),
            lack_told: Default::default(),
        });
        core.tasks.spawn(peer_health::follow_members(core.clone()));
        core.tasks.spawn(server::serve(core.clone(), listener));
        core.tasks.spawn(lead::watch(core.clone()));
        core.tasks.spawn(election_task::run(core.clone()));
        core.tasks.spawn(peer_health::run(core.clone()));
        core.tasks.spawn(disk::run(core.clone()));
        core.tasks.spawn(clerk.run(core.clone()));
        core.tasks.spawn(sealing::run(core.clone()));
        if opened.pristine {
            core.tasks.spawn(bootstrap::run(core.clone()));
        }
        Ok(Self { core, asked: Arc::new(Mutex::new(Some(asked))) })
    }

    /// This sentinel's number.
    pub fn id(&self) -> NodeId {
        self.core.me
    }

    /// This sentinel's public id.
    pub fn sentinel_id(&self) -> &SentinelId {
        self.core.identity.sentinel_id()
    }

    /// The life of this sentinel's data directory.
    pub fn incarnation(&self) -> &Incarnation {
        self.core.identity.incarnation()
    }

    /// Puts a command into the log, through the leader, and returns once it is committed and applied **here**.
    ///
    /// # Errors
    /// [`ProposeError`]; bounded in time.
    pub async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        propose::propose(&self.core, command).await
    }

    /// The same, but only while this sentinel leads itself: for what a leader has concluded from its own view.
    ///
    /// # Errors
    /// [`ProposeError`]; bounded in time. Nothing is passed on to another leader.
    pub async fn propose_leading(&self, command: Command) -> Result<Committed, ProposeError> {
        propose::propose_leading(&self.core, command).await
    }

    /// The state, at least as new as any answer that was given anywhere before this call (read index).
    ///
    /// # Errors
    /// [`ReadError`] when no quorum confirms it in time.
    pub async fn linearizable(&self) -> Result<Arc<State>, ReadError> {
        self.core.reads.state(&self.core).await
    }

    /// The state as applied here, which may lag behind.
    pub fn state(&self) -> Arc<State> {
        self.core.states.borrow().clone()
    }

    /// Follows the state as applied here. Intermediate states may be skipped.
    pub fn states(&self) -> watch::Receiver<Arc<State>> {
        self.core.states.clone()
    }

    /// Listens to what becomes true from now on. A listener that is too slow is told how much it missed.
    pub fn events(&self) -> broadcast::Receiver<Arc<LoggedEvent>> {
        self.core.events.subscribe()
    }

    /// Who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.core.leadership.subscribe()
    }

    /// Makes sure that this sentinel leads right now: a quorum is asked after this call.
    ///
    /// To be called for each act on Redis, once the way to the server is open; the proof is to be looked at again right before the act.
    ///
    /// # Errors
    /// [`ReadError`] when it does not lead, or cannot know.
    pub async fn confirm_leadership(&self) -> Result<LeaderProof, ReadError> {
        lead::confirm(&self.core).await
    }

    /// How the other sentinels look from here.
    pub fn peers(&self) -> BTreeMap<NodeId, PeerHealth> {
        self.core.peers.health()
    }

    /// Where the Raft group stands.
    pub fn status(&self) -> RaftStatus {
        let core = &self.core;
        let (metrics, standing) = (core.metrics(), core.standing());
        let voters = standing.all_voters();
        let member = |(id, addr): (&NodeId, &Addr)| Member { id: *id, addr: addr.clone(), voter: voters.contains(id) };
        RaftStatus {
            id: core.me,
            cluster: core.identity.cluster_id().clone(),
            term: metrics.current_term,
            leader: match *core.leadership.borrow() {
                Leadership::Leading { .. } => Some(core.me),
                Leadership::Following { leader } => Some(leader),
                Leadership::Unknown => None,
            },
            last_log: LogIndex(metrics.last_log_index.unwrap_or_default()),
            applied: LogIndex(metrics.last_applied.map_or(0, |id| id.index)),
            snapshot: metrics.snapshot.map(|id| LogIndex(id.index)),
            quorum_ack_age_ms: core.quorum_ack().map(|ack| core.clock.mono().ms_since(ack)),
            sync_us: u64::try_from(core.log.sync_takes().as_micros()).unwrap_or(u64::MAX),
            insecure: core.config.insecure && !core.config.asks_for_proof(),
            members: standing.members.iter().map(member).collect(),
        }
    }

    /// Keeps this sentinel's record in the state true: proposes it whenever the state says something else.
    ///
    /// To be called once, after the other ports are open.
    pub fn announce(&self, record: SentinelRecord) {
        self.core.tasks.spawn(self_registration::run(self.core.clone(), record));
    }

    /// Seals all secrets with the current key of this sentinel's secret file, once every member has it.
    ///
    /// # Errors
    /// The reason, for people.
    pub async fn reseal(&self) -> Result<Resealed, String> {
        sealing::reseal_all(&self.core).await
    }

    /// Lets another voter lead, and returns once it does.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn hand_over(&self, to: NodeId) -> Result<(), MembershipError> {
        handover::hand_over(&self.core, to).await
    }

    /// Asks the other voters which of these servers they reach. Bounded in time; those that do not answer are left out.
    pub async fn survey(&self, servers: &[Server]) -> BTreeMap<NodeId, Reach> {
        survey::ask(&self.core, servers).await
    }

    /// The questions of others about servers, for the one who answers them. Taken a second time it stays empty.
    pub fn surveys(&self) -> mpsc::Receiver<Survey> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        asked.unwrap_or_else(|| survey::channel().1)
    }

    /// Adds a sentinel that receives the log but does not vote, and waits until it has caught up.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn add_learner(&self, id: NodeId, addr: Addr) -> Result<(), MembershipError> {
        members::add_learner(&self.core, id, addr).await
    }

    /// Makes exactly these members the voters. They must be members that have caught up.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn set_voters(&self, voters: BTreeSet<NodeId>, force: bool) -> Result<(), MembershipError> {
        members::set_voters(&self.core, voters, force).await
    }

    /// Removes a member, voter or not.
    ///
    /// # Errors
    /// [`MembershipError`]: also where no majority of the voters that remain answers, without `force`.
    pub async fn remove_member(&self, id: NodeId, force: bool) -> Result<(), MembershipError> {
        members::remove(&self.core, id, force).await
    }

    /// Tells all members where one of them listens now.
    ///
    /// # Errors
    /// [`MembershipError`]: also where the others alone are no majority that answers, without `force`.
    pub async fn move_member(&self, id: NodeId, addr: Addr, force: bool) -> Result<(), MembershipError> {
        members::move_member(&self.core, id, addr, force).await
    }

    /// Makes this sentinel a group of one, on the word of an operator that the others are gone for good. `record` is put into the log with it. Consensus has
    /// ended then, and has to be [started anew](Self::anew). Returns those that are left behind.
    ///
    /// # Errors
    /// [`MembershipError`]: a quorum is in reach, or another member knows more.
    pub async fn recover(&self, record: Command) -> Result<Vec<Left>, MembershipError> {
        recover::recover(&self.core, record).await
    }

    /// Waits until consensus has ended to be started anew on the same directory, after a [`Raft::shutdown`].
    pub async fn anew(&self) {
        self.core.anew.due().await;
    }

    /// Whether consensus takes part in anything right now: it answers a question that nobody else is asked. Waits for as long as it
    /// is busy, so whoever asks sets a limit.
    pub async fn is_responsive(&self) -> bool {
        self.core.consensus.with_raft_state(|_| ()).await.is_ok()
    }

    /// Waits until consensus fails for good (a disk that cannot be written, a damaged log) and says why. From then on this sentinel
    /// takes no part; the process should end and be started again. Never returns after a [`Raft::shutdown`].
    pub async fn failed(&self) -> String {
        let mut metrics = self.core.consensus.metrics();
        tokio::select! {
            _ = metrics.wait_for(|now| now.running_state.is_err()) => {}
            // openraft hears of it with the next entry.
            failed = self.core.log.failed() => return failed.to_string(),
            proven = self.core.suspicion.proven() => return proven,
        }
        if self.core.stop.is_cancelled() || self.core.anew.is_due() {
            std::future::pending::<()>().await;
        }
        self.core.failure().unwrap_or_else(|| "consensus ended without saying why".to_owned())
    }

    /// Stops: no more calls are answered, the log is closed.
    pub async fn shutdown(&self) {
        let core = &self.core;
        core.stop.cancel();
        core.tasks.close();
        // openraft first: calls that are under way end with it.
        if let Err(problem) = core.consensus.shutdown().await {
            tracing::error!(%problem, "the log did not stop cleanly");
        }
        let log = core.log.clone();
        // An error is a panic, which was told of.
        let _ = tokio::task::spawn_blocking(move || log.close()).await;
        if tokio::time::timeout(STOP_WITHIN, core.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks for peers did not stop in time");
        }
        await_release(core.config.data_dir.clone()).await;
    }
}

/// How long the tasks of this room may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Waits until the last of openraft's tasks has let go of the data directory, so that it can be opened again.
async fn await_release(dir: PathBuf) {
    let released = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        while store::identity::DataDir::lock(&dir).is_err() {
            if begun.elapsed() >= STOP_WITHIN {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    });
    if !released.await.unwrap_or(false) {
        tracing::warn!("the data directory is still held by a task of the log");
    }
}

/// Takes back what makes openraft restore this node as the leader of its old term.
///
/// A server starts as a follower (Raft dissertation, 3.3). A restored leader has forgotten how far its log is committed and takes entries
/// of its old term for its own: it would answer reads below what it had acknowledged before the crash. The vote itself stays: it is
/// still given to this node in that term, and another term needs an election with an entry of its own.
async fn begin_as_follower(log: &mut store::LogStore, me: NodeId) -> Result<(), StartError> {
    let failed = |problem: openraft::StorageError<NodeId>| StartError::Store(problem.to_string());
    match log.read_vote().await.map_err(failed)? {
        Some(vote) if vote.committed && vote.leader_id.node_id == me => {
            log.save_vote(&Vote::new(vote.leader_id.term, me)).await.map_err(failed)
        }
        Some(_) | None => Ok(()),
    }
}

/// What this sentinel remembers of the disks of the others.
async fn remembered(log: store::LogStore, file: store::PeerMarks) -> Result<Arc<DiskMarks>, StartError> {
    let loaded = tokio::task::spawn_blocking(move || Arc::new(DiskMarks::load(log, file))).await;
    loaded.map_err(|problem| StartError::Store(problem.to_string()))
}

async fn open(config: &RaftConfig) -> Result<store::Opened, StartError> {
    let (dir, id, cluster, seed) = (config.data_dir.clone(), config.node_id, config.cluster_id(), config.sentinel_id_seed.clone());
    let opened = tokio::task::spawn_blocking(move || store::open(&dir, id, cluster, seed)).await;
    opened.map_err(|problem| StartError::Store(problem.to_string()))?.map_err(|problem| StartError::Store(problem.to_string()))
}

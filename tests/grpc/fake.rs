//! A stand-in for the Raft group: one log, applied by a real state machine, whose quorum can be taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use raft_sentinel::base::{Addr, ClusterId, LogIndex, NodeId, SentinelId};
use raft_sentinel::machine::{Command, LoggedEvent, State};
use raft_sentinel::raft::{Committed, Leadership, Left, Member, MembershipError, PeerHealth, ProposeError, RaftStatus, ReadError};
use raft_sentinel::serve::{ClusterAdmin, ReplicatedState};
use tokio::sync::{broadcast, watch};

/// The sentinel that answers.
pub const ME: NodeId = NodeId(1);

#[derive(Clone)]
pub struct Fake {
    log: Arc<Mutex<State>>,
    members: Arc<Mutex<Vec<Member>>>,
    states: watch::Sender<Arc<State>>,
    leadership: watch::Sender<Leadership>,
    events: broadcast::Sender<Arc<LoggedEvent>>,
}

impl Fake {
    /// Sentinel 1 leads sentinels 1, 2 and 3.
    pub fn new() -> Self {
        let ids = [1, 2, 3].map(NodeId);
        let mut state = State::default();
        state.apply_membership(LogIndex(1), ids.into());
        let members = ids.map(|id| Member {
            id,
            addr: Addr::new("127.0.0.1", 27378 + u16::try_from(id.0).unwrap()).expect("an address"),
            voter: true,
        });
        Self {
            states: watch::Sender::new(Arc::new(state.clone())),
            log: Arc::new(Mutex::new(state)),
            members: Arc::new(Mutex::new(members.into())),
            leadership: watch::Sender::new(Leadership::Leading { term: 7 }),
            events: broadcast::Sender::new(1024),
        }
    }

    pub fn lead(&self, leadership: Leadership) {
        self.leadership.send_replace(leadership);
    }

    /// Commits without making it known here: as a sentinel that lags behind.
    pub fn commit_quietly(&self, command: &Command) -> Committed {
        let mut state = self.log.lock().unwrap();
        let index = LogIndex(state.applied.0 + 1);
        let (outcome, events) = state.apply(index, command);
        for event in events {
            let _ = self.events.send(Arc::new(event));
        }
        Committed { index, outcome }
    }

    pub fn catch_up(&self) {
        let newest = self.log.lock().unwrap().clone();
        self.states.send_replace(Arc::new(newest));
    }

    pub fn commit(&self, command: &Command) -> Committed {
        let committed = self.commit_quietly(command);
        self.catch_up();
        committed
    }

    fn must_lead(&self) -> Result<(), MembershipError> {
        match *self.leadership.borrow() {
            Leadership::Leading { .. } => Ok(()),
            Leadership::Following { leader } => Err(MembershipError::NotLeading(Some(leader))),
            Leadership::Unknown => Err(MembershipError::NotLeading(None)),
        }
    }
}

#[async_trait::async_trait]
impl ReplicatedState for Fake {
    fn id(&self) -> NodeId {
        ME
    }

    fn sentinel_id(&self) -> SentinelId {
        SentinelId::new("5e".repeat(20)).expect("an id")
    }

    fn state(&self) -> Arc<State> {
        self.states.borrow().clone()
    }

    async fn linearizable(&self) -> Result<Arc<State>, ReadError> {
        match *self.leadership.borrow() {
            Leadership::Leading { .. } | Leadership::Following { .. } => Ok(Arc::new(self.log.lock().unwrap().clone())),
            Leadership::Unknown => Err(ReadError { waited_ms: 5, reason: "the others are unreachable".to_owned() }),
        }
    }

    async fn hand_over(&self, to: NodeId) -> Result<(), MembershipError> {
        self.must_lead()?;
        if to.0 == 9 { Err(MembershipError::Refused("it is away".to_owned())) } else { Ok(()) }
    }

    async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        match *self.leadership.borrow() {
            Leadership::Leading { .. } | Leadership::Following { .. } => Ok(self.commit(&command)),
            Leadership::Unknown => Err(ProposeError::NoLeader("the others are unreachable".to_owned())),
        }
    }

    fn events(&self) -> broadcast::Receiver<Arc<LoggedEvent>> {
        self.events.subscribe()
    }

    fn peers(&self) -> BTreeMap<NodeId, PeerHealth> {
        let refused = Some("it has another cluster id".to_owned());
        [(
            NodeId(3),
            PeerHealth {
                addr: Addr::new("127.0.0.1", 27381).expect("an address"),
                last_heard: None,
                last_answered: None,
                refused,
                state: None,
            },
        )]
        .into()
    }
}

#[async_trait::async_trait]
impl ClusterAdmin for Fake {
    fn states(&self) -> watch::Receiver<Arc<State>> {
        self.states.subscribe()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    fn status(&self) -> RaftStatus {
        let leader = match *self.leadership.borrow() {
            Leadership::Leading { .. } => Some(ME),
            Leadership::Following { leader } => Some(leader),
            Leadership::Unknown => None,
        };
        let applied = self.state().applied;
        RaftStatus {
            id: ME,
            cluster: ClusterId::new("test-cluster").expect("an id"),
            term: 7,
            leader,
            last_log: applied,
            applied,
            snapshot: None,
            quorum_ack_age_ms: leader.filter(|leader| *leader == ME).map(|_| 12),
            sync_us: 2_100,
            insecure: false,
            members: self.members.lock().unwrap().clone(),
        }
    }

    async fn recover(&self, _: Command) -> Result<Vec<Left>, MembershipError> {
        Err(MembershipError::Refused("sentinels 1, 2 are there and are a quorum".to_owned()))
    }

    async fn add_learner(&self, id: NodeId, addr: Addr) -> Result<(), MembershipError> {
        self.must_lead()?;
        self.members.lock().unwrap().push(Member { id, addr, voter: false });
        Ok(())
    }

    async fn set_voters(&self, voters: BTreeSet<NodeId>, _: bool) -> Result<(), MembershipError> {
        self.must_lead()?;
        self.members.lock().unwrap().iter_mut().for_each(|member| member.voter = voters.contains(&member.id));
        Ok(())
    }

    async fn reseal(&self) -> Result<raft_sentinel::raft::Resealed, String> {
        Err("this sentinel has no secret file".to_owned())
    }

    async fn remove_member(&self, id: NodeId, _: bool) -> Result<(), MembershipError> {
        self.must_lead()?;
        self.members.lock().unwrap().retain(|member| member.id != id);
        Ok(())
    }

    async fn move_member(&self, id: NodeId, addr: Addr, _: bool) -> Result<(), MembershipError> {
        self.must_lead()?;
        self.members.lock().unwrap().iter_mut().filter(|member| member.id == id).for_each(|member| member.addr = addr.clone());
        Ok(())
    }
}

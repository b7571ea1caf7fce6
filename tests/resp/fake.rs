//! An agreement of one: commands are applied to a real state at once, unless there is "no quorum".

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use raft_sentinel::base::{LogIndex, NodeId, SentinelId};
use raft_sentinel::machine::{Command, LoggedEvent, Outcome, State};
use raft_sentinel::raft::{Committed, MembershipError, PeerHealth, ProposeError, ReadError};
use raft_sentinel::serve::ReplicatedState;
use tokio::sync::{Semaphore, broadcast};

pub(crate) struct Fake {
    state: Mutex<Arc<State>>,
    pub(crate) peers: Mutex<BTreeMap<NodeId, PeerHealth>>,
    pub(crate) quorum: AtomicBool,
    /// Each linearizable read takes a permit; none means that it waits.
    pub(crate) reads_allowed: Semaphore,
    pub(crate) reads: AtomicU64,
    events: broadcast::Sender<Arc<LoggedEvent>>,
}

impl Fake {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(Arc::new(state)),
            peers: Mutex::default(),
            quorum: AtomicBool::new(true),
            reads_allowed: Semaphore::new(Semaphore::MAX_PERMITS),
            reads: AtomicU64::new(0),
            events: broadcast::Sender::new(64),
        }
    }

    pub(crate) fn apply(&self, command: &Command) -> Committed {
        let mut shared = self.state.lock().unwrap();
        let mut state = State::clone(&shared);
        let index = LogIndex(state.applied.0 + 1);
        let (outcome, events) = state.apply(index, command);
        *shared = Arc::new(state);
        drop(shared);
        for event in events {
            let _ = self.events.send(Arc::new(event));
        }
        Committed { index, outcome }
    }

    pub(crate) fn done(&self, command: &Command) {
        assert_eq!(self.apply(command).outcome, Outcome::Done, "{command:?}");
    }

    /// More events than a listener can be behind.
    pub(crate) fn flood(&self, event: &LoggedEvent, count: usize) {
        for _ in 0..count {
            let _ = self.events.send(Arc::new(event.clone()));
        }
    }
}

#[async_trait]
impl ReplicatedState for Fake {
    fn id(&self) -> NodeId {
        NodeId(1)
    }

    fn sentinel_id(&self) -> SentinelId {
        SentinelId::new("1".repeat(40)).expect("an id")
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.lock().unwrap())
    }

    fn peers(&self) -> BTreeMap<NodeId, PeerHealth> {
        self.peers.lock().unwrap().clone()
    }

    fn events(&self) -> broadcast::Receiver<Arc<LoggedEvent>> {
        self.events.subscribe()
    }

    async fn linearizable(&self) -> Result<Arc<State>, ReadError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.reads_allowed.acquire().await.unwrap().forget();
        if self.quorum.load(Ordering::SeqCst) {
            Ok(self.state())
        } else {
            Err(ReadError { waited_ms: 500, reason: "1 of 2 answered".to_owned() })
        }
    }

    async fn hand_over(&self, to: NodeId) -> Result<(), MembershipError> {
        Err(MembershipError::Refused(format!("sentinel {to} is no voter, so it cannot lead")))
    }

    async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        if self.quorum.load(Ordering::SeqCst) {
            Ok(self.apply(&command))
        } else {
            Err(ProposeError::NoLeader("1 of 2 answered".to_owned()))
        }
    }
}

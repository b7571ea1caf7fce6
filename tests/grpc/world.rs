//! One sentinel's services on free ports, and the words in which stories are told to it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use raft_sentinel::admission::{Descriptors, Need, Port, Shares};
use raft_sentinel::base::observation::{NodeReport, ReplicaReport, RoleReport};
use raft_sentinel::base::{
    Addr, Epoch, Fence, GroupName, GroupSettings, Incarnation, LogIndex, Mono, NodeId, ReplId, RunId, SentinelId, WallTime,
};
use raft_sentinel::board::Board;
use raft_sentinel::clock::Clock;
use raft_sentinel::conf::{AclSettings, GrpcAccess};
use raft_sentinel::events::Hub;
use raft_sentinel::hooks::{self, Hooks};
use raft_sentinel::judge::{GroupView, Link, NodeView};
use raft_sentinel::machine::ChosenFor;
use raft_sentinel::machine::ballot::ReplicaLinkReport;
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{
    Candidate, Choice, Command, DownEvidence, Evidence, FailoverId, FailoverMode, FencingProof, Identity, Ineligible, SentinelRecord,
};
use raft_sentinel::proto::admin::admin_client::AdminClient;
use raft_sentinel::proto::sentinel::sentinel_client::SentinelClient;
use raft_sentinel::serve::users::{Access, Acl};
use raft_sentinel::serve::{grpc, http};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::fake::Fake;

/// Whatever is awaited in a test comes within this time, or never.
const DEADLINE: Duration = Duration::from_secs(20);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what} did not come within {DEADLINE:?}"))
}

pub struct World {
    pub fake: Fake,
    pub board: Board,
    pub clock: Clock,
    pub grpc: Addr,
    pub http: Addr,
    pub stop: CancellationToken,
    pub served: tokio::task::JoinHandle<Result<(), grpc::ServeError>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(Duration::from_millis(20)).await
    }

    pub async fn start_with(progress_every: Duration) -> Self {
        Self::start_for(progress_every, &AclSettings::default()).await
    }

    /// The same with these users.
    pub async fn start_for(progress_every: Duration, users: &AclSettings) -> Self {
        let (fake, board, clock, stop) = (Fake::new(), Board::default(), Clock::default(), CancellationToken::new());
        let acl = Arc::new(Acl::new(users, None).unwrap());
        let access = Arc::new(Access::new(acl, true, GrpcAccess::default(), clock));
        let mut ctx = grpc::Context::new(Arc::new(fake.clone()), board.clone(), clock, access);
        ctx.progress_every = progress_every;
        let (on_grpc, grpc) = free_port().await;
        let (on_http, http) = free_port().await;
        let hooks = Hooks::new(hooks::Limits::default(), hooks::OwnFile::default(), clock, std::env::temp_dir(), Hub::default());
        let port = |name| Port::for_clients(name, Shares::new(1000, 1000), Descriptors::with_limit(5000, Need::default()));
        let entrance = grpc::Entrance { port: port("gRPC"), tls: None };
        let served = tokio::spawn(grpc::serve(vec![on_grpc], entrance, ctx.clone(), stop.clone()));
        tokio::spawn(http::serve(
            vec![on_http],
            http::HttpEntrance { port: port("HTTP"), all: vec![("http", port("HTTP"))] },
            ctx,
            hooks,
            stop.clone(),
        ));
        Self { fake, board, clock, grpc, http, stop, served }
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap();
        soon("a connection", endpoint.connect()).await.unwrap()
    }

    pub async fn sentinel(&self) -> SentinelClient<Channel> {
        SentinelClient::new(self.channel().await)
    }

    pub async fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel().await)
    }

    /// Monitors `group` with its master at port 1 and replicas at ports 2 and 3.
    pub fn monitor(&self, group: &str) -> LogIndex {
        let command = Command::ConfigureGroup {
            name: name(group),
            master: node(1),
            settings: GroupSettings::default(),
            replicas: vec![node(2), node(3)],
            epoch: Epoch(0),
            origin: Origin::Operator,
            at: WallTime(1_000_000),
            takes_up: None,
            asked: None,
        };
        self.fake.commit(&command).index
    }

    pub fn remove(&self, group: &str) -> LogIndex {
        self.fake.commit(&Command::RemoveGroup { group: name(group), at: WallTime(9_000_000), keep: None, asked: None }).index
    }

    /// One sentinel's vote that the master is down, with what a replica says.
    pub fn vote_down(&self, group: &str, voter: u64, at_us: u64) -> LogIndex {
        let witness = ReplicaLinkReport { replica: node(2), link_up: false, last_io_s: Some(31) };
        let testimony = DownEvidence { evidence: Evidence::Refused, silent_ms: 30_017, limit_ms: 30_000, replicas: vec![witness] };
        let epoch = self.group(group).epoch;
        let vote = Command::VoteDown { group: name(group), epoch, voter: NodeId(voter), testimony, at: WallTime(at_us) };
        self.fake.commit(&vote).index
    }

    /// An operator's request, followed by the decision for `chosen`; the revision of the new master.
    pub fn move_master(&self, group: &str, chosen: &Addr) -> LogIndex {
        let (epoch, at) = (self.group(group).epoch, WallTime(2_000_000));
        self.fake.commit_quietly(&Command::FailoverRequested {
            group: name(group),
            epoch,
            by: NodeId(1),
            manner: FailoverMode::Plain,
            target: None,
            at,
            asked: None,
        });
        self.fake.catch_up();
        let id = self.running(group);
        let revision = self.decide(group, chosen, 3_000_000);
        let identity = identity("new");
        self.fake.commit(&Command::Promoted { group: name(group), id, identity, at: WallTime(3_500_000) });
        self.fake.commit(&Command::FailoverDone { group: name(group), id, left: vec![], at: WallTime(4_000_000) });
        revision
    }

    /// The decision of the failover that is running.
    pub fn decide(&self, group: &str, chosen: &Addr, at_us: u64) -> LogIndex {
        self.decide_as(group, chosen, at_us, FencingProof::Unfenced, None)
    }

    /// The same, on other grounds.
    pub fn decide_on(&self, group: &str, chosen: &Addr, basis: FencingProof, arms: Option<Fence>) -> LogIndex {
        self.decide_as(group, chosen, 3_000_000, basis, arms)
    }

    fn decide_as(&self, group: &str, chosen: &Addr, at_us: u64, basis: FencingProof, arms: Option<Fence>) -> LogIndex {
        let eligible = Candidate {
            addr: chosen.clone(),
            run_id: Some(RunId::new("run-chosen").expect("an id")),
            priority: Some(100),
            offset: Some(900),
            detached: basis != FencingProof::Unfenced,
            ineligible: None,
        };
        let down =
            Candidate { addr: node(77), run_id: None, priority: None, offset: None, detached: false, ineligible: Some(Ineligible::Down) };
        let choice = Choice {
            chosen: chosen.clone(),
            candidates: vec![eligible, down],
            reason: ChosenFor::OnlyCandidate,
            master_offset: Some(1000),
            estimated_loss_bytes: Some(100),
            basis,
            arms,
            by_hand: false,
        };
        let id = self.running(group);
        self.fake.commit(&Command::Promote { group: name(group), id, choice, by: NodeId(2), at: WallTime(at_us) }).index
    }

    pub fn running(&self, group: &str) -> FailoverId {
        self.group(group).failover.as_ref().expect("a failover is running").id
    }

    pub fn group(&self, group: &str) -> std::sync::Arc<raft_sentinel::machine::Group> {
        use raft_sentinel::serve::ReplicatedState;
        self.fake.state().group(group).expect("it is monitored").clone()
    }

    /// Sentinel 2 presents itself and answers gRPC clients at `grpc`.
    pub fn present(&self, id: u64, grpc: &Addr) {
        let record = SentinelRecord {
            sentinel_id: SentinelId::new("ab".repeat(20)).expect("an id"),
            incarnation: Incarnation::new("i").expect("an id"),
            resp: Addr::new("127.0.0.1", 26379).expect("an address"),
            grpc: grpc.clone(),
            raft: Addr::new("127.0.0.1", 27379).expect("an address"),
            shadow: false,
            key_ids: None,
            level: None,
        };
        self.fake.commit(&Command::SentinelJoined { id: NodeId(id), record });
    }
}

pub fn name(group: &str) -> GroupName {
    GroupName::new(group).unwrap()
}

/// A data node; nothing listens there.
pub fn node(port: u16) -> Addr {
    Addr::new("10.0.0.1", port).expect("an address")
}

pub fn identity(run: &str) -> Identity {
    Identity { run_id: RunId::new(run).expect("an id"), replid: ReplId::new("history").expect("an id"), replid2: None, second_offset: None }
}

/// A data node that answers, as it looks at `now`.
pub fn answering(now: Mono, offset: u64, master: Option<Addr>) -> NodeView {
    let role = match master {
        None => RoleReport::Master { replicas: vec![], good_replicas: None, misnamed: vec![] },
        Some(master) => RoleReport::Replica(ReplicaReport {
            master,
            link_up: true,
            last_io_s: Some(0),
            link_down_s: None,
            syncing: false,
            priority: 100,
            announced: true,
            place_lost: false,
        }),
    };
    let report = NodeReport {
        run_id: RunId::new(format!("run-{offset}")).expect("an id"),
        version: "7.0.15".to_owned(),
        role,
        replid: ReplId::new("history").expect("an id"),
        replid2: None,
        second_offset: None,
        offset,
        loading: false,
        raw: String::new(),
    };
    NodeView { link: Link::Up { since: Mono(0) }, report: Some((now, Arc::new(report))), role_since: Mono(0), ..NodeView::new(now) }
}

/// The group of [`World::monitor`] as it looks when all is well, but for what `change` does to it.
pub fn view(now: Mono, change: impl FnOnce(&mut GroupView)) -> GroupView {
    let mut view = GroupView::default();
    view.nodes.insert(node(1), answering(now, 1000, None));
    view.nodes.insert(node(2), answering(now, 990, Some(node(1))));
    view.nodes.insert(node(3), answering(now, 1000, Some(node(1))));
    for (addr, offset) in [(node(3), 1000), (node(2), 990)] {
        view.candidates.push(Candidate {
            addr,
            run_id: None,
            priority: Some(100),
            offset: Some(offset),
            detached: false,
            ineligible: None,
        });
    }
    change(&mut view);
    view
}

async fn free_port() -> (TcpListener, Addr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Addr::new("127.0.0.1", port).expect("an address"))
}

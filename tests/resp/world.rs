//! A server with one master, two replicas and two other sentinels.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raft_sentinel::admission::{Descriptors, Need, Port, Precedence, Shares};
use raft_sentinel::base::observation::{AttachedReplica, NodeReport, ReplicaReport, RoleReport};
use raft_sentinel::base::paces::Paces;
use raft_sentinel::base::{
    Addr, CallRules, Credentials, Epoch, GroupName, GroupSettings, Incarnation, LogIndex, Mono, NodeId, ReplId, RunId, Secret, SentinelId,
    WallTime,
};
use raft_sentinel::board::Board;
use raft_sentinel::clock::Clock;
use raft_sentinel::conf::{AclSettings, GrpcAccess, NoQuorumReply};
use raft_sentinel::events::{self, Hub};
use raft_sentinel::hooks::{self, Hooks};
use raft_sentinel::judge::{GroupView, Link, NodeView};
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{Candidate, Command, Identity, SentinelRecord, State};
use raft_sentinel::raft::PeerHealth;
use raft_sentinel::serve::ReplicatedState;
use raft_sentinel::serve::resp::live::{Live, RuntimeConfig};
use raft_sentinel::serve::resp::{ClientPolicy, LocalFacts, RespContext, serve};
use raft_sentinel::serve::users::{Access, Acl};
use raft_sentinel::simulate::Simulation;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub(crate) fake: Arc<super::fake::Fake>,
    pub(crate) board: Board,
    pub(crate) clock: Clock,
    pub(crate) paces: Paces,
    pub(crate) addr: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

pub(crate) fn addr(port: u16) -> Addr {
    Addr::new("127.0.0.1", port).expect("an address")
}

pub(crate) fn group() -> GroupName {
    GroupName::new("mymaster").unwrap()
}

pub(crate) fn identity(digit: &str) -> Identity {
    Identity {
        run_id: RunId::new(digit.repeat(40)).expect("an id"),
        replid: ReplId::new("f".repeat(40)).expect("an id"),
        replid2: None,
        second_offset: None,
    }
}

fn state() -> State {
    let mut state = State::default();
    state.apply_membership(LogIndex(1), (1..=3).map(NodeId).collect::<BTreeSet<_>>());
    for id in 1..=3_u16 {
        let at = |base: u16| addr(base + id);
        let record = SentinelRecord {
            sentinel_id: SentinelId::new(id.to_string().repeat(40)).expect("an id"),
            incarnation: Incarnation::new("x").expect("an id"),
            resp: at(26378),
            grpc: at(28378),
            raft: at(27378),
            shadow: false,
            key_ids: None,
            level: None,
        };
        let index = LogIndex(state.applied.0 + 1);
        state.apply(index, &Command::SentinelJoined { id: NodeId(id.into()), record });
    }
    let configure = Command::ConfigureGroup {
        name: group(),
        master: addr(6379),
        settings: GroupSettings { quorum: 2, ..GroupSettings::default() },
        replicas: vec![addr(6380), addr(6381)],
        epoch: Epoch(4),
        origin: Origin::Operator,
        at: WallTime::default(),
        takes_up: None,
        asked: None,
    };
    let index = LogIndex(state.applied.0 + 1);
    state.apply(index, &configure);
    state
}

fn node(clock: Clock, digit: &str, role: RoleReport) -> NodeView {
    let now = clock.mono();
    let report = NodeReport {
        run_id: RunId::new(digit.repeat(40)).expect("an id"),
        version: "7.0.15".to_owned(),
        role,
        replid: ReplId::new("f".repeat(40)).expect("an id"),
        replid2: None,
        second_offset: None,
        offset: 1400,
        loading: false,
        raw: format!("# Server\r\nrun_id:{}\r\n", digit.repeat(40)),
    };
    NodeView { link: Link::Up { since: now }, report: Some((now, Arc::new(report))), ..NodeView::new(now) }
}

fn replica() -> RoleReport {
    RoleReport::Replica(ReplicaReport {
        master: addr(6379),
        link_up: true,
        last_io_s: Some(0),
        link_down_s: None,
        syncing: false,
        priority: 100,
        announced: true,
        place_lost: false,
    })
}

pub(crate) fn view(clock: Clock) -> GroupView {
    let attached = |port| AttachedReplica { addr: addr(port), online: true, offset: 1400, lag_s: 0 };
    let master = RoleReport::Master { replicas: vec![attached(6380), attached(6381)], good_replicas: None, misnamed: vec![] };
    let candidate =
        |port| Candidate { addr: addr(port), run_id: None, priority: Some(100), offset: Some(1400), detached: false, ineligible: None };
    GroupView {
        nodes: BTreeMap::from([
            (addr(6379), node(clock, "a", master)),
            (addr(6380), node(clock, "b", replica())),
            (addr(6381), node(clock, "c", replica())),
        ]),
        candidates: vec![candidate(6380), candidate(6381)],
        ..GroupView::default()
    }
}

/// What differs between worlds.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) password: Option<&'static str>,
    pub(crate) maxclients: Option<usize>,
    pub(crate) stale_answers: bool,
    pub(crate) no_quorum_reply: NoQuorumReply,
    pub(crate) manners: ClientPolicy,
    pub(crate) users: AclSettings,
    pub(crate) scripts_allowed: bool,
    /// Listens on `[::]` with a socket that takes IPv4 clients, too.
    pub(crate) both_families: bool,
}

pub(crate) async fn world() -> World {
    world_with(Options::default()).await
}

pub(crate) async fn world_with(options: Options) -> World {
    let clock = Clock::default();
    let fake = Arc::new(super::fake::Fake::new(state()));
    let heard = |id: u16| {
        (
            NodeId(id.into()),
            PeerHealth { addr: addr(27378 + id), last_heard: Some(clock.mono()), last_answered: None, refused: None, state: None },
        )
    };
    *fake.peers.lock().unwrap() = BTreeMap::from([heard(2), heard(3)]);
    let board = Board::default();
    board.show(&group(), view(clock));
    let listener = TcpListener::bind(if options.both_families { "[::]:0" } else { "127.0.0.1:0" }).await.unwrap();
    let (at, stop, cancel) =
        (SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port())), CancellationToken::new(), CancellationToken::new());
    let me = LocalFacts {
        port: at.port(),
        announce_ip: None,
        announce_port: 0,
        config_file: "/etc/raft-sentinel/sentinel.conf".to_owned(),
        executable: "/usr/bin/raft-sentinel".to_owned(),
        run_id: RunId::new("e".repeat(40)).expect("an id"),
        start: Mono(0),
    };
    let (hub, told) = (Hub::default(), Arc::clone(&fake));
    let sources = events::Sources {
        facts: fake.events(),
        sights: board.notices(),
        me: fake.id(),
        state: Box::new(move || told.state()),
        names: Box::new(|_| Vec::new()),
    };
    tokio::spawn(sources.run(hub.clone(), cancel.clone()));
    let dir = std::env::temp_dir();
    let credentials = Credentials { user: None, pass: Some(Secret::new("hunter2")) };
    let acl = Arc::new(Acl::new(&options.users, options.password.map(Secret::new).as_ref()).unwrap());
    let paces = Paces::default();
    let context = RespContext {
        agreement: Arc::clone(&fake) as Arc<dyn ReplicatedState>,
        board: board.clone(),
        hooks: Hooks::new(hooks::Limits::default(), hooks::OwnFile::default(), clock, dir.clone(), hub.clone()),
        hub,
        clock,
        me,
        access: Arc::new(Access::new(acl, false, GrpcAccess::default(), clock)),
        manners: options.manners,
        port: Port::for_clients(
            "the SENTINEL port",
            Shares::new(options.maxclients.unwrap_or(100), 100),
            Descriptors::with_limit(5000, Need::default()),
        ),
        precedence: Precedence::default(),
        stale_answers: options.stale_answers,
        resolve_hostnames: false,
        announce_hostnames: false,
        deny_scripts_reconfig: !options.scripts_allowed,
        deny_rename_reconfig: !options.scripts_allowed,
        call_rules: Arc::new(CallRules { own_only: !options.scripts_allowed, ..CallRules::default() }),
        dir,
        live: Live::new(
            RuntimeConfig { credentials: credentials.clone(), no_quorum_reply: options.no_quorum_reply, ..RuntimeConfig::default() },
            |_| (),
            watch::Sender::new(credentials),
        ),
        paces: paces.clone(),
        simulation: Simulation::default(),
        stop: stop.clone(),
    };
    let task = tokio::spawn(serve(vec![listener.into()], Arc::new(context), cancel.clone()));
    World { fake, board, clock, paces, addr: at, stop, cancel, task }
}

/// Looks again and again until it is so, for at most five seconds.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not so within 5 s: {what}");
}

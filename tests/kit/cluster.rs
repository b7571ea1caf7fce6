//! A whole deployment: one master, its replicas, and the sentinels that watch them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::GROUP;
use super::net::{Host, Net};
use super::resp::Reply;
use super::scratch::Scratch;
use super::sentinel::{Flavour, Orders, Ports, Sentinel};
use super::server::{RedisServer, ServerOptions};
use super::timeline::Timeline;
use super::writer::{SERVER_LIMIT, Writer};

/// Stock sentinels find each other by messages that go out every 2 s, and replicas by INFO every 10 s.
const FORM_LIMIT: Duration = Duration::from_secs(40);

/// What to set up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose sentinels.
    pub flavour: Flavour,
    /// How many replicas.
    pub replicas: usize,
    /// How many sentinels.
    pub sentinels: usize,
    /// The group's quorum.
    pub quorum: usize,
    /// The group's `down-after-milliseconds`.
    pub down_after_ms: u64,
    /// The group's `failover-timeout`.
    pub failover_timeout_ms: u64,
    /// The password of all servers.
    pub password: Option<String>,
    /// `replica-priority` of the first, second, ... replica; the default for the rest.
    pub priorities: Vec<u32>,
    /// More lines for every sentinel's configuration file.
    pub lines: Vec<String>,
    /// More lines for every server's configuration file.
    pub server_lines: Vec<String>,
    /// Whether the servers have no configuration file.
    pub fileless: bool,
    /// The program of the servers, if not the redis-server of this machine.
    pub server_program: Option<PathBuf>,
    /// The program of every sentinel, if ours is not started directly.
    pub sentinel_program: Option<PathBuf>,
    /// The environment of every sentinel (failpoints).
    pub env: Vec<(String, String)>,
    /// Arguments of every sentinel after its file's name; ours only.
    pub args: Vec<String>,
    /// The network in whose hosts everything runs (see [`Plan::hosts`]); this machine if none. Whoever starts and asks must be in
    /// its observer.
    pub net: Option<Arc<Net>>,
}

impl Plan {
    /// One master, two replicas, three sentinels with a quorum of two and a limit of one second.
    pub fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            replicas: 2,
            sentinels: 3,
            quorum: 2,
            down_after_ms: 1000,
            failover_timeout_ms: 10_000,
            password: None,
            priorities: Vec::new(),
            lines: Vec::new(),
            server_lines: Vec::new(),
            fileless: false,
            server_program: None,
            sentinel_program: None,
            env: Vec::new(),
            args: Vec::new(),
            net: None,
        }
    }

    /// With this promotion policy of the group; ours only.
    pub fn with_policy(mut self, policy: &str) -> Self {
        self.lines.push(format!("sentinel promotion-policy {GROUP} {policy}"));
        self
    }

    /// The names of the hosts that it needs in a network: one for each server and each sentinel.
    pub fn hosts(&self) -> Vec<String> {
        (0..=self.replicas).map(server_name).chain((1..=self.sentinels).map(sentinel_name)).collect()
    }

    /// Starts all of it and waits until it has formed.
    pub fn start(self) -> Cluster {
        let cluster = self.launch();
        cluster.wait_until_formed();
        cluster
    }

    /// Starts all of it; every process answers, but they may not know each other yet.
    pub fn launch(self) -> Cluster {
        let (scratch, timeline) = (Scratch::new(), Timeline::default());
        let servers = self.start_servers(&scratch, &timeline);
        let ports: Vec<Ports> = (1..=self.sentinels).map(|id| self.ports(id)).collect();
        let start = |id| Sentinel::start(self.flavour, scratch.path(), &timeline, &self.orders(id, &ports, servers[0].addr()));
        let sentinels = (1..=self.sentinels).map(start).collect();
        Cluster { sentinels, servers, timeline, plan: self, scratch }
    }

    fn start_servers(&self, scratch: &Scratch, timeline: &Timeline) -> Vec<RedisServer> {
        let mut options = ServerOptions {
            password: self.password.clone(),
            lines: self.server_lines.clone(),
            fileless: self.fileless,
            program: self.server_program.clone(),
            ..ServerOptions::default()
        };
        options.host = self.host(&server_name(0));
        let master = RedisServer::start(&server_name(0), scratch.path(), timeline, &options);
        options.replica_of = Some(master.addr());
        let mut servers = vec![master];
        for number in 1..=self.replicas {
            options.priority = self.priorities.get(number - 1).copied();
            options.host = self.host(&server_name(number));
            servers.push(RedisServer::start(&server_name(number), scratch.path(), timeline, &options));
        }
        servers
    }

    fn host(&self, name: &str) -> Option<Host> {
        self.net.as_ref().map(|net| net.host(name).clone())
    }

    fn ports(&self, id: usize) -> Ports {
        self.host(&sentinel_name(id)).map_or_else(Ports::free, |host| Ports::on(host.ip()))
    }

    /// What sentinel `id` is told; `ports` are those of the initial members.
    pub fn orders(&self, id: usize, ports: &[Ports], master: SocketAddr) -> Orders {
        let (lines, host) = (self.group_lines(master), self.host(&sentinel_name(id)));
        let (env, args, program) = (self.env.clone(), self.args.clone(), self.sentinel_program.clone());
        Orders { id, peers: ports.to_vec(), lines, env, args, joins: None, host, program }
    }

    fn group_lines(&self, master: SocketAddr) -> Vec<String> {
        let mut lines = vec![
            format!("sentinel monitor {GROUP} {} {} {}", master.ip(), master.port(), self.quorum),
            format!("sentinel down-after-milliseconds {GROUP} {}", self.down_after_ms),
            format!("sentinel failover-timeout {GROUP} {}", self.failover_timeout_ms),
        ];
        lines.extend(self.password.iter().map(|secret| format!("sentinel auth-pass {GROUP} {secret}")));
        lines.extend(self.lines.iter().cloned());
        lines
    }
}

fn server_name(number: usize) -> String {
    format!("redis-{number}")
}

fn sentinel_name(id: usize) -> String {
    format!("sentinel-{id}")
}

/// A running deployment. Everything in it ends with it.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: sentinels first, so that they do not fail over what is being taken down; the folder last.
    /// The sentinels; number n is at n - 1.
    pub sentinels: Vec<Sentinel>,
    /// The servers; the first one started as the master.
    pub servers: Vec<RedisServer>,
    /// What happened.
    pub timeline: Timeline,
    /// What was asked for.
    pub plan: Plan,
    /// The folder of all.
    pub scratch: Scratch,
}

impl Cluster {
    /// Waits until the replicas follow the master and all sentinels know all of it.
    pub fn wait_until_formed(&self) {
        self.timeline.wait_for("the cluster has formed", FORM_LIMIT, || self.formed());
    }

    /// The server that listens on `port`.
    pub fn server(&self, port: u16) -> &RedisServer {
        self.servers.iter().find(|server| server.port == port).unwrap_or_else(|| panic!("no server of the cluster has port {port}"))
    }

    /// The server that listens on `port`, to signal it.
    pub fn server_mut(&mut self, port: u16) -> &mut RedisServer {
        self.servers.iter_mut().find(|server| server.port == port).unwrap_or_else(|| panic!("no server of the cluster has port {port}"))
    }

    /// Waits until every running sentinel names the same master, other than `old`, and that server is one.
    pub fn wait_for_new_master(&mut self, old: u16, deadline: Duration) -> u16 {
        let timeline = self.timeline.clone();
        timeline.wait_for(&format!("all sentinels name a master other than {old}"), deadline, || {
            let running: Vec<&Sentinel> = self.sentinels.iter_mut().filter_map(|s| s.is_running().then_some(&*s)).collect();
            let named: Vec<_> = running.iter().map(|sentinel| sentinel.master()).collect();
            match named.first() {
                Some(Ok(port)) if *port != old && named.iter().all(|other| *other == Ok(*port)) => {
                    let role = self.servers.iter().find(|server| server.port == *port).and_then(RedisServer::role);
                    if role.as_deref() == Some("master") { Ok(*port) } else { Err(format!("{port} reports the role {role:?}")) }
                }
                _ => Err(format!("they name {named:?}")),
            }
        })
    }

    /// Waits until the server on `port` replicates from `master` with its link up.
    pub fn wait_for_replica(&self, port: u16, master: u16, deadline: Duration) {
        let server = self.server(port);
        self.timeline.wait_for(&format!("{port} follows {master}"), deadline, || match server.linked_to() {
            Some(linked) if linked == master => Ok(()),
            other => Err(format!("role {:?}, linked to {other:?}", server.role())),
        });
    }

    /// A client that finds the master through the sentinels and writes until it is told to stop.
    pub fn writer(&self) -> Writer {
        self.writer_within(SERVER_LIMIT)
    }

    /// The same, with the time that a write may take.
    pub fn writer_within(&self, limit: Duration) -> Writer {
        Writer::start_within(limit, self.sentinels.iter().map(|sentinel| sentinel.ports.resp).collect(), self.plan.password.clone())
    }

    /// Whether replicas are linked and sentinels agree; the error says what is missing.
    pub fn formed(&self) -> Result<(), String> {
        let master = self.sentinels.first().ok_or("there are no sentinels")?.master()?;
        for server in self.servers.iter().filter(|server| server.port != master) {
            let linked = server.linked_to();
            if linked != Some(master) {
                return Err(format!("{} is linked to {linked:?} rather than {master}", server.name));
            }
        }
        self.sentinels.iter().try_for_each(|sentinel| self.knows_all(sentinel, master))
    }

    fn knows_all(&self, sentinel: &Sentinel, master: u16) -> Result<(), String> {
        let ask = |words: &[&str]| sentinel.ask(words).map_err(|e| format!("sentinel {}: {e}", sentinel.id));
        let seen = ask(&["SENTINEL", "MASTER", GROUP])?;
        let others = self.plan.sentinels - 1;
        let expected = [
            ("port", master.to_string()),
            ("flags", "master".to_owned()),
            ("num-slaves", self.plan.replicas.to_string()),
            ("num-other-sentinels", others.to_string()),
        ];
        for (name, value) in expected {
            let found = seen.field(name);
            if found.as_ref() != Some(&value) {
                return Err(format!("sentinel {}: {name} is {found:?} rather than {value} ({seen})", sentinel.id));
            }
        }
        let replicas = ask(&["SENTINEL", "REPLICAS", GROUP])?;
        let healthy = |replica: &&Reply| {
            replica.field("flags").as_deref() == Some("slave") && replica.field("master-link-status").as_deref() == Some("ok")
        };
        let up = replicas.items().iter().filter(healthy).count();
        if up != self.plan.replicas {
            return Err(format!("sentinel {} sees {up} healthy replicas", sentinel.id));
        }
        let quorum = ask(&["SENTINEL", "CKQUORUM", GROUP])?;
        // Whole is also what could not fail over, as some tests want it: a group in shadow, one whose replicas are not to be promoted.
        let fine = quorum.error().is_none_or(|text| text.starts_with("NOFAILOVER"));
        if fine { Ok(()) } else { Err(format!("sentinel {}: {quorum}", sentinel.id)) }
    }
}

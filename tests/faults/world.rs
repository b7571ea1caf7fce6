//! What a scenario runs in: a network with a host for each server and each sentinel, a deployment in it, clients on both
//! sides, readers; and the judgement at the end.
//!
//! The hosts are `redis-0` (the first master), `redis-1`, ..., `sentinel-1`, ..., and `client`, which no fault concerns. One client and
//! its readers sit in `redis-0`: whatever is cut off, they are beside the old master. The report of each
//! scenario (its timeline and the ends of all logs) is kept beside the table.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use raft_sentinel::proto::sentinel as proto;

use crate::answers::{self, Reign};
use crate::clients::{Ack, Aim, Client, Clients};
use crate::kit::net::{Host, Net};
use crate::kit::{Cluster, Flavour, GROUP, Plan, Timeline};
use crate::readers::{Question, Readers};
use crate::verdict::{self, Decided, RESIDUE_OF_CUT, RESIDUE_OF_LATE_ACK, SERVICE_LIMIT, Story, Verdict};

/// The host of the clients that no fault concerns.
pub(crate) const CLIENT: &str = "client";
const MASTER_HOST: &str = "redis-0";
/// Everybody writes undisturbed before the first fault and after the last repair.
const CALM: Duration = Duration::from_millis(700);
/// After the heal everything is as it should be within this time.
const SETTLED_LIMIT: Duration = Duration::from_secs(20);

/// What a promotion has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Stock sentinels: they have no choice.
    Stock,
    /// One good replica is enough.
    Available,
    /// Only behind the fence.
    Strict,
}

impl Policy {
    /// The policy whose promises are to be shown: the strict one, unless `POLICY` says otherwise.
    pub(crate) fn wanted() -> Self {
        match std::env::var("POLICY").as_deref() {
            Ok("available") => Self::Available,
            Ok("strict" | "") | Err(_) => Self::Strict,
            Ok(other) => panic!("POLICY is {other}: strict or available"),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Available => "available",
            Self::Strict => "strict",
        }
    }

    /// Three data nodes and three sentinels, a limit of one second for the master's silence and one for the fence.
    pub(crate) fn plan(self) -> Plan {
        match self {
            Self::Stock => Plan::new(Flavour::Stock),
            Self::Available | Self::Strict => {
                let policy = format!("sentinel promotion-policy {GROUP} {}", self.name());
                let fence = (self == Self::Strict).then(|| format!("sentinel fence-max-lag {GROUP} 1"));
                Plan { lines: std::iter::once(policy).chain(fence).collect(), ..Plan::new(Flavour::Ours) }
            }
        }
    }
}

/// A running deployment with its clients, to be hurt.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) timeline: Timeline,
    net: Arc<Net>,
    policy: Policy,
    clients: Clients,
    readers: Readers,
    /// The clients that follow the sentinels where nothing is cut off.
    followers: BTreeSet<usize>,
    first_master: u16,
    /// From when to when there was a fault; the last one may still be there.
    faults: Vec<(Instant, Option<Instant>)>,
    suspended: Vec<(u16, Instant, Instant)>,
}

/// Runs one scenario of this name: `act` hurts the world and heals it. The verdict is published as a row of the table.
pub(crate) fn run(name: &str, policy: Policy, plan: Plan, act: impl FnOnce(&mut World) + Send + 'static) -> Verdict {
    let mut hosts = plan.hosts();
    hosts.push(CLIENT.to_owned());
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let net = Net::new(&names).unwrap_or_else(|e| panic!("{e}"));
    let observer = net.observer().clone();
    let title = name.to_owned();
    let work = move || {
        let mut world = World::start(Arc::new(net), policy, plan);
        act(&mut world);
        world.judge(&title)
    };
    observer.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a scenario under the policy that is to be shown, and holds it to that policy's promises.
pub(crate) fn prove(name: &str, act: impl FnOnce(&mut World) + Send + 'static) {
    prove_with(name, |plan| plan, act);
}

/// The same with a plan that is a little different.
pub(crate) fn prove_with(name: &str, change: impl FnOnce(Plan) -> Plan, act: impl FnOnce(&mut World) + Send + 'static) {
    let policy = Policy::wanted();
    run(name, policy, change(policy.plan()), act).hold(policy);
}

impl Verdict {
    /// Fails unless the policy's promises were kept, but for what Redis leaves when a cut heals.
    pub(crate) fn hold(&self, policy: Policy) {
        self.hold_with(policy, RESIDUE_OF_CUT);
    }

    /// The same where a late acknowledgement of a former replica opened the fence while the fault lasted.
    pub(crate) fn hold_through_a_late_acknowledgement(&self, policy: Policy) {
        if policy == Policy::Strict {
            let mut complaints = self.complaints_but_for_strays();
            let overlap = self.overlap();
            if overlap > RESIDUE_OF_LATE_ACK {
                complaints.push(format!(
                    "two masters took writes for {overlap:?}, a late acknowledgement opens the fence for {RESIDUE_OF_LATE_ACK:?}"
                ));
            }
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        }
    }

    /// The same with another residue.
    pub(crate) fn hold_with(&self, policy: Policy, residue: Duration) {
        let complaints = if policy == Policy::Strict { self.complaints(residue) } else { self.complaints_of_any_policy() };
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}

impl World {
    fn start(net: Arc<Net>, policy: Policy, plan: Plan) -> Self {
        let cluster = Plan { net: Some(Arc::clone(&net)), ..plan }.start();
        let (timeline, first_master) = (cluster.timeline.clone(), cluster.servers[0].port);
        let wait = if policy == Policy::Strict { wait_for_fence(&cluster) } else { 1 };
        let (clients, followers) = clients(&cluster, &net, wait);
        let clients = Clients::start(&clients);
        let readers = Readers::start(&questions(&cluster, &net));
        let world =
            Self { cluster, timeline, net, policy, clients, readers, followers, first_master, faults: Vec::new(), suspended: Vec::new() };
        world.last(CALM);
        world
    }

    /// Lets time pass: the state of things is to last.
    pub(crate) fn last(&self, span: Duration) {
        thread::sleep(span);
    }

    /// From now on nothing passes, silently, between these hosts and all others.
    pub(crate) fn cut_off(&mut self, these: &[&str]) {
        self.strike(&format!("{these:?} are cut off"));
        let rest = self.all_hosts_but(these);
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        self.net.separate(these, &rest).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Any other way to cut the network.
    pub(crate) fn cut(&mut self, what: &str, cut: impl FnOnce(&Net) -> Result<(), crate::kit::net::NetError>) {
        self.strike(what);
        cut(&self.net).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Takes all cuts back.
    pub(crate) fn heal(&mut self) {
        self.net.heal().unwrap_or_else(|e| panic!("{e}"));
        self.mend("the network is whole");
    }

    /// A fault strikes now.
    pub(crate) fn strike(&mut self, what: &str) {
        self.timeline.note(format!("FAULT: {what}"));
        if self.faults.last().is_none_or(|(_, to)| to.is_some()) {
            self.faults.push((Instant::now(), None));
        }
    }

    /// All faults are gone now; the last call counts.
    pub(crate) fn mend(&mut self, what: &str) {
        self.timeline.note(format!("REPAIR: {what}"));
        let now = Instant::now();
        self.faults.last_mut().expect("there was a fault").1 = Some(now);
    }

    /// Suspends the first master and these sentinels for so long.
    pub(crate) fn suspend(&mut self, master: bool, sentinels: &[usize], span: Duration) {
        self.strike(&format!("SIGSTOP, master: {master}, sentinels: {sentinels:?}"));
        let since = Instant::now();
        if master {
            self.cluster.servers[0].stop();
        }
        sentinels.iter().for_each(|id| self.cluster.sentinel(*id).stop());
        thread::sleep(span);
        // What it does from here on, it does when the fault is gone.
        self.mend("SIGCONT");
        let until = Instant::now();
        sentinels.iter().for_each(|id| self.cluster.sentinel(*id).cont());
        if master {
            self.cluster.servers[0].cont();
            self.suspended.push((self.first_master, since, until));
        }
    }

    /// Pauses the hosts of the first master and of one sentinel, whose monotonic clocks stand still meanwhile. They come back with all of the
    /// network, but for what stays cut between the master's host and `unseen` for `late`.
    pub(crate) fn pause_guests(&mut self, sentinel: usize, span: Duration, clocks: &Path, (unseen, late): (&[&str], Duration)) {
        let hosts = [MASTER_HOST.to_owned(), format!("sentinel-{sentinel}")];
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        self.strike(&format!("{hosts:?} are paused, with their clocks"));
        let since = Instant::now();
        self.cluster.servers[0].stop();
        self.cluster.sentinel(sentinel).stop();
        let rest = self.all_hosts_but(&hosts);
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        self.net.separate(&hosts, &rest).unwrap_or_else(|e| panic!("{e}"));
        thread::sleep(span);
        let pid = self.cluster.sentinel(sentinel).pid().expect("it is suspended, not dead");
        let stood_still = i64::try_from(since.elapsed().as_nanos()).expect("a short while");
        let clock = OpenOptions::new().write(true).open(clocks.join(pid.to_string())).expect("the library is loaded");
        clock.write_all_at(&stood_still.to_ne_bytes(), 0).expect("a page of shared memory");
        self.net.heal().and_then(|()| self.net.separate(&[MASTER_HOST], unseen)).unwrap_or_else(|e| panic!("{e}"));
        // What they do from here on, they do when the fault is gone.
        self.mend("the guests go on");
        self.suspended.push((self.first_master, since, Instant::now()));
        self.cluster.sentinel(sentinel).cont();
        self.cluster.servers[0].cont();
        thread::sleep(late);
        self.net.heal().unwrap_or_else(|e| panic!("{e}"));
    }

    /// The port of the server that was the master at first.
    pub(crate) const fn first_master(&self) -> u16 {
        self.first_master
    }

    /// The sentinel that leads, by the word of all.
    pub(crate) fn leader(&self) -> usize {
        self.cluster.wait_for_leader(&[1, 2, 3], SETTLED_LIMIT)
    }

    /// One that does not.
    pub(crate) fn follower(&self) -> usize {
        let leader = self.leader();
        if leader == 1 { 2 } else { 1 }
    }

    fn all_hosts_but(&self, these: &[&str]) -> Vec<String> {
        self.net.hosts().iter().map(|host| host.name().to_owned()).filter(|name| !these.contains(&name.as_str())).collect()
    }

    /// Waits until all is as it should be: one master, which all others follow and all sentinels name, and no failover under way.
    fn settle(&self) -> u16 {
        self.timeline.wait_for("all is as it should be", SETTLED_LIMIT, || {
            let named: Vec<u16> = self.cluster.sentinels.iter().map(crate::kit::Sentinel::master).collect::<Result<_, _>>()?;
            let master = named[0];
            let masters = self.cluster.masters();
            if named.iter().any(|name| *name != master) || masters != [master] {
                return Err(format!("named {named:?}, masters {masters:?}"));
            }
            let astray = self.cluster.servers.iter().find(|server| server.port != master && server.linked_to() != Some(master));
            if let Some(server) = astray {
                return Err(format!("{} is linked to {:?} rather than {master}", server.port, server.linked_to()));
            }
            if self.policy == Policy::Stock {
                return Ok(master);
            }
            let failover = self.cluster.recorded(self.cluster.sentinels[0].id)?.failover;
            failover.map_or(Ok(master), |failover| Err(format!("{failover:?}")))
        })
    }

    /// Waits until a client writes again, or for as long as that may take.
    fn await_service(&self, healed: Instant) {
        while healed.elapsed() < SERVICE_LIMIT {
            let back = |ack: &Ack| self.followers.contains(&ack.client) && ack.sent > healed;
            if self.clients.acks().iter().any(back) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The master of each epoch, in order, with what is wrong with the sequence.
    fn reigns(&self, last_master: u16) -> (Vec<Reign>, Result<(), String>) {
        let first = Reign { epoch: 0, port: self.first_master, decided: None };
        let mut reigns = vec![first];
        if self.policy == Policy::Stock {
            // It keeps no history: what is known is who was the master and who is.
            let changed = last_master != self.first_master;
            reigns.extend(changed.then_some(Reign { epoch: 1, port: last_master, decided: self.faults.first().map(|(from, _)| *from) }));
            return (reigns, Ok(()));
        }
        let histories: Vec<_> = self.cluster.sentinels.iter().map(|sentinel| decided(self.cluster.decisions(sentinel.id))).collect();
        let epochs = verdict::check_epochs(&histories, last_master);
        reigns.extend(histories[0].iter().map(|decision| decision.reign));
        (reigns, epochs)
    }

    fn judge(self, name: &str) -> Verdict {
        let faults: Vec<(Instant, Instant)> = self.faults.iter().map(|(from, to)| (*from, to.expect("a scenario heals"))).collect();
        let healed = faults.last().expect("a scenario strikes").1;
        let master = self.settle();
        let settled = healed.elapsed();
        self.await_service(healed);
        self.last(CALM);
        let (reigns, epochs) = self.reigns(master);
        let acks = self.clients.finish();
        let answers = self.readers.finish();
        let (confirmed_lost, plain_lost): (Vec<_>, Vec<_>) =
            verdict::missing(&acks, self.cluster.server(master)).into_iter().partition(|ack| ack.confirmed);
        self.timeline.note(format!("reigns {reigns:?}, writes by server {:?}", verdict::shares(&acks)));
        let fits = answers::check(&reigns, &answers).map(|()| answers.len());
        let story = Story { reigns, acks, followers: self.followers, faults, suspended: self.suspended };
        let verdict = Verdict {
            decided: story.decided(),
            failovers: story.reigns.len() - 1,
            gap: story.gap(),
            back: story.back(),
            settled,
            strays: story.strays(),
            acked: story.acks.len(),
            confirmed: story.acks.iter().filter(|ack| ack.confirmed).count(),
            plain_lost: plain_lost.len(),
            confirmed_lost,
            answers: fits,
            epochs,
        };
        verdict::publish(&verdict.row(name, self.policy.name()));
        verdict::keep_report(name, self.policy.name(), &self.timeline.report());
        verdict
    }
}

/// The decisions of a history that is told newest first, oldest first.
fn decided(history: Vec<proto::Decision>) -> Vec<Decided> {
    let decisions = history.into_iter().rev().filter(|decision| decision.choice.is_some());
    let read = |decision: proto::Decision| {
        let chosen = decision.choice.and_then(|choice| choice.chosen);
        let port = chosen.and_then(|addr| u16::try_from(addr.port).ok()).expect("a decision names a port");
        let moment = decision.decided.expect("a decision has a moment");
        let reign = Reign { epoch: decision.epoch, port, decided: Some(instant_of(moment.at_us)) };
        Decided { reign, revision: moment.index, at_us: moment.at_us }
    };
    decisions.map(read).collect()
}

/// A wall time of this machine on its monotonic clock.
fn instant_of(at_us: u64) -> Instant {
    let ago = UNIX_EPOCH.elapsed().unwrap_or_default().saturating_sub(Duration::from_micros(at_us));
    Instant::now().checked_sub(ago).expect("the machine was up then")
}

/// Waits until the fence is armed; the number for WAIT.
fn wait_for_fence(cluster: &Cluster) -> u32 {
    let mut history = cluster.sentinels[0].history();
    cluster.timeline.wait_for("the fence is armed", SETTLED_LIMIT, || match history.master(GROUP)? {
        master if master.wait_replicas > 0 => Ok(master.wait_replicas),
        master => Err(format!("{master:?}")),
    })
}

/// Beside the first master: two that never leave it, and one that follows. Elsewhere: two that follow; their places in the list. And
/// one beside each replica, who should get nothing but refusals as long as it is one.
fn clients(cluster: &Cluster, net: &Net, wait: u32) -> (Vec<Client>, BTreeSet<usize>) {
    let sentinels = cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp_addr()).collect();
    let (here, follow) = (Aim::Always(cluster.servers[0].addr()), Aim::Following(sentinels));
    let client = |host: &str, aim: &Aim, wait| Client { host: net.host(host).clone(), aim: aim.clone(), wait };
    let mut list = vec![
        client(MASTER_HOST, &here, None),
        client(MASTER_HOST, &here, Some(wait)),
        client(MASTER_HOST, &follow, Some(wait)),
        client(CLIENT, &follow, None),
        client(CLIENT, &follow, Some(wait)),
    ];
    list.extend(cluster.servers[1..].iter().map(|server| client(&server.name, &Aim::Always(server.addr()), None)));
    (list, BTreeSet::from([3, 4]))
}

/// All sentinels are asked from beside the first master and from elsewhere; ours also over gRPC.
fn questions(cluster: &Cluster, net: &Net) -> Vec<(Host, Question)> {
    let mut questions = Vec::new();
    for sentinel in &cluster.sentinels {
        for host in [MASTER_HOST, CLIENT] {
            questions.push((net.host(host).clone(), Question::Resp(sentinel.ports.resp_addr())));
        }
        if sentinel.flavour == Flavour::Ours {
            questions.push((net.observer().clone(), Question::Grpc(sentinel.ports.grpc_addr())));
        }
    }
    questions
}

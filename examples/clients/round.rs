//! One round: a deployment, some drivers, and what happens to them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use clap::ValueEnum;
use serde::Serialize;

use crate::kit::net::Net;
use crate::kit::process::Process;
use crate::kit::{Cluster, Flavour, GROUP, Plan};
use crate::library::Library;
use crate::prepare;
use crate::told::Told;

/// Drivers have to load their library, some at the same time on a small machine.
const WRITES_WITHIN: Duration = Duration::from_secs(60);
const SWITCHED_WITHIN: Duration = Duration::from_secs(60);
const ENOUGH_WRITES: usize = 100;
/// A stock sentinel tells an old master of a switchover within ten seconds.
const WATCH: Duration = Duration::from_secs(14);
/// A driver that has not written so long after the act has not found back.
const FOUND_BACK_WITHIN: Duration = Duration::from_secs(45);
const FIRST: &str = "sentinel-1";

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// The master is killed.
    Kill,
    /// `SENTINEL FAILOVER`.
    Switchover,
    /// The first sentinel of each client's list is cut off from all others; clients start, and later the master is killed.
    Isolated,
}

/// What one driver showed in one act.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) library: &'static str,
    pub(crate) act: Act,
    pub(crate) ours: bool,
    /// From the start to the first write, where the act is about that.
    pub(crate) first_write_ms: Option<f64>,
    /// None: it never wrote again.
    pub(crate) longest_pause_ms: Option<f64>,
    pub(crate) errors: Vec<String>,
}

impl Act {
    pub(crate) const ALL: [Self; 3] = [Self::Kill, Self::Switchover, Self::Isolated];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill of the master",
            Self::Switchover => "switchover",
            Self::Isolated => "first sentinel cut off",
        }
    }
}

/// Plays one round from nothing to nothing, with all of these libraries at once.
pub(crate) fn play(flavour: Flavour, act: Act, libraries: &[Library], policy: &str) -> anyhow::Result<Vec<Measured>> {
    let mut plan = Plan::new(flavour);
    if flavour == Flavour::Ours {
        plan = plan.with_policy(policy);
        // As it comes: what the kit's other users ask for is not what clients get.
        plan.lines.push("# default no-quorum-reply".to_owned());
    }
    let hosts = plan.hosts();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let net = Arc::new(Net::new(&names).map_err(|why| anyhow!("make a network: {why}"))?);
    plan.net = Some(Arc::clone(&net));
    let libraries = libraries.to_vec();
    let all = net.observer().clone().spawn(move || Round { cluster: plan.start(), net, act, drivers: Vec::new() }.play(&libraries));
    all.join().map_err(|_| anyhow!("the round did not go as it must"))
}

struct Round {
    // Dropped in this order: clients first.
    drivers: Vec<(Library, Process, PathBuf)>,
    cluster: Cluster,
    net: Arc<Net>,
    act: Act,
}

impl Round {
    fn play(mut self, libraries: &[Library]) -> Vec<Measured> {
        if self.act == Act::Isolated {
            self.cut_off_the_first();
        }
        let started = now();
        for (at, library) in libraries.iter().enumerate() {
            self.start(at, library);
        }
        // One that cannot write at all is part of the result.
        let deadline = SystemTime::now() + WRITES_WITHIN;
        while SystemTime::now() < deadline && !self.all(|told| told.acknowledged_since(0.0) >= ENOUGH_WRITES) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let acted = now();
        let old = self.cluster.sentinels[1].master().unwrap_or_else(|instead| panic!("no master: {instead}"));
        match self.act {
            Act::Kill | Act::Isolated => self.cluster.server_mut(old).kill(),
            Act::Switchover => self.cluster.sentinels[1].expect_ok(&["SENTINEL", "FAILOVER", GROUP]),
        }
        let timeline = self.cluster.timeline.clone();
        timeline.wait_for("there is another master", SWITCHED_WITHIN, || match self.cluster.sentinels[1].master() {
            Ok(port) if port != old => Ok(port),
            other => Err(format!("{other:?}")),
        });
        let switched = SystemTime::now();
        let over = |elapsed: Duration, settled: bool| elapsed >= FOUND_BACK_WITHIN || (elapsed >= WATCH && settled);
        while !over(switched.elapsed().unwrap_or_default(), self.all(|told| told.acknowledged_since(now() - 1000.0) > 0)) {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.results(started, acted)
    }

    /// Both kinds of sentinels say by `CKQUORUM` that they know it.
    fn cut_off_the_first(&self) {
        self.net.isolate(FIRST).unwrap_or_else(|why| panic!("{why}"));
        self.cluster.timeline.wait_for("the first sentinel knows that it is alone", SWITCHED_WITHIN, || {
            let answer = self.cluster.sentinels[0].ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|e| e.to_string())?;
            if answer.error().is_some_and(|text| text.starts_with("NOQUORUM")) { Ok(()) } else { Err(answer.to_string()) }
        });
    }

    fn start(&mut self, at: usize, library: &Library) {
        let log = self.cluster.scratch.path().join(format!("driver-{at}.log"));
        let sentinels = self.cluster.sentinels.iter().map(|sentinel| sentinel.ports.resp_addr().to_string());
        let args = std::iter::once(GROUP.to_owned()).chain(sentinels).collect();
        let servers: Vec<String> = self.cluster.servers.iter().map(|server| server.addr().to_string()).collect();
        let recipe = prepare::recipe(library, args, &servers.join(","), log.clone());
        self.cluster.timeline.watch_log(library.name, log.clone());
        self.drivers.push((library.clone(), Process::start(recipe.within(Some(self.net.observer()))), log));
    }

    fn all(&self, is: impl Fn(&Told) -> bool) -> bool {
        self.drivers.iter().all(|(_, _, log)| is(&read(log)))
    }

    fn results(&self, started: f64, acted: f64) -> Vec<Measured> {
        let measured = |(library, _, log): &(Library, Process, PathBuf)| {
            let told = read(log);
            let since = if self.act == Act::Isolated { started } else { acted };
            let wrote = told.acknowledged_since(now() - 1500.0) > 0;
            Measured {
                library: library.name,
                act: self.act,
                ours: self.cluster.plan.flavour == Flavour::Ours,
                first_write_ms: (self.act == Act::Isolated).then(|| told.first_write_ms()).flatten(),
                longest_pause_ms: told.longest_pause_ms(acted).filter(|_| wrote),
                errors: told.errors(since, f64::INFINITY),
            }
        };
        self.drivers.iter().map(measured).collect()
    }
}

fn read(log: &PathBuf) -> Told {
    Told::read(&std::fs::read_to_string(log).unwrap_or_default())
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0
}

//! A deployment on stage: data nodes and sentinels as processes, in hosts of their own where that is possible.
//!
//! Here is what is started and stopped, and how it is asked from outside. What is done to it is `scenario`'s business, what is
//! seen is that of `client` and `observer`.

pub(crate) mod conf;
mod ground;
mod member;
pub(crate) mod settled;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

pub(crate) use ground::{Ground, Place};
pub(crate) use member::Member;

use crate::kit::resp::{Conn, Reply};
use crate::kit::scratch::Scratch;
use crate::product::Product;

const START_LIMIT: Duration = Duration::from_secs(20);
/// Stock sentinels find each other by messages that go out every 2 s, and replicas by INFO every 10 s.
const FORM_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What is to be put on stage. The same for every product.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) product: Product,
    /// How many groups of one master and two replicas.
    pub(crate) groups: usize,
    /// Whether sentinel n lives on the host of data node n, rather than on its own.
    pub(crate) together: bool,
    /// `replica-priority` of the first and the second replica.
    pub(crate) priorities: [u32; 2],
    pub(crate) down_after_ms: u64,
    pub(crate) failover_timeout_ms: u64,
    /// Whether hosts are network namespaces.
    pub(crate) with_network: bool,
}

/// How many data nodes a group has, and how many sentinels there are.
pub(crate) const TRIO: usize = 3;

/// One monitored group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// The data nodes; the first one starts as the master.
    pub(crate) nodes: Vec<Member>,
}

/// A running deployment. Everything in it ends with it.
#[derive(Debug)]
pub(crate) struct Stage {
    // Dropped in this order: sentinels first, so that they do not fail over what is being taken down; the folder last.
    pub(crate) sentinels: Vec<Member>,
    pub(crate) groups: Vec<Group>,
    pub(crate) ground: Ground,
    pub(crate) spec: Spec,
    scratch: Scratch,
}

impl Stage {
    /// Starts all of it and waits until it has formed.
    pub(crate) fn set_up(spec: &Spec) -> anyhow::Result<Self> {
        let scratch = Scratch::new();
        let ground = Ground::lay(spec)?;
        let mut groups = Vec::new();
        for number in 0..spec.groups {
            groups.push(conf::start_group(spec, &ground, scratch.path(), number)?);
        }
        let mut stage = Self { sentinels: Vec::new(), groups, ground, spec: spec.clone(), scratch };
        stage.wait_for("data nodes that follow their masters", START_LIMIT, Self::replicates)?;
        stage.sentinels = conf::start_sentinels(&stage.spec, &stage.ground, stage.scratch.path(), &stage.groups)?;
        stage.wait_for("a formed deployment", FORM_LIMIT, Self::formed)?;
        Ok(stage)
    }

    /// Asks a member one thing, from the place that reaches all of them.
    pub(crate) fn ask(&self, member: &Member, words: &[&str]) -> anyhow::Result<Reply> {
        let (addr, words) = (member.addr, words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let asked = words.join(" ");
        let ask = move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            Conn::open_at(addr, ANSWER_LIMIT)?.ask(&words)
        };
        self.ground.watcher().do_there(ask).with_context(|| format!("ask {} ({addr}): {asked}", member.name))
    }

    /// Asks for something that must be done.
    pub(crate) fn expect_ok(&self, member: &Member, words: &[&str]) -> anyhow::Result<()> {
        let reply = self.ask(member, words)?;
        if reply.is_ok() {
            return Ok(());
        }
        bail!("{} ({}) answered {}: {reply}", member.name, member.addr, words.join(" "))
    }

    /// What a sentinel of ours tells an operator, as JSON.
    pub(crate) fn status_of_ours(&self) -> anyhow::Result<String> {
        let admin = self.sentinels.first().and_then(|sentinel| sentinel.admin).context("these sentinels have no port for operators")?;
        let (program, args) = self.ground.watcher().command_line(&self.spec.product.program());
        let output = Command::new(program).args(args).args(["status", "--json", "--addr", &admin.to_string()]).output()?;
        if !output.status.success() {
            bail!("ask {admin} for its status: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until `look` finds nothing missing any more.
    pub(crate) fn wait_for(&self, what: &str, limit: Duration, mut look: impl FnMut(&Self) -> Result<(), String>) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            match look(self) {
                Ok(()) => return Ok(()),
                Err(instead) if start.elapsed() > limit => {
                    bail!("waited {} s for {what}: {instead}\n{}", limit.as_secs(), self.logs())
                }
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// The end of each log.
    pub(crate) fn logs(&self) -> String {
        let groups = self.groups.iter().take(1).flat_map(|group| &group.nodes);
        self.sentinels.iter().chain(groups).map(Member::tail).collect::<Vec<_>>().join("\n")
    }
}

//! Everybody who is not on stage: the clients and the observer of one run.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::client::{Client, Task};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::kit::resp::{Conn, Reply};
use crate::observer::{Observer, Watched};
use crate::record::{ClientLog, GroupRecord, Habit};
use crate::stage::{Group, Stage};

const READ_LIMIT: Duration = Duration::from_secs(10);
const KEYS_PER_QUESTION: usize = 500;

/// How often things are done.
struct Pace {
    write: Duration,
    write_and_wait: Duration,
    look: Duration,
}

/// One group is looked at closely; of many at once, each gets its share of the machine.
const CLOSE: Pace = Pace { write: Duration::from_millis(5), write_and_wait: Duration::from_millis(10), look: Duration::from_millis(10) };
const WIDE: Pace = Pace { write: Duration::from_millis(50), write_and_wait: Duration::from_millis(100), look: Duration::from_millis(100) };

/// The clients, by group, and the observer.
#[derive(Debug)]
pub(crate) struct Cast {
    clients: Vec<Vec<Client>>,
    observer: Observer,
    _directory: Directory,
}

impl Cast {
    /// Everybody begins.
    pub(crate) fn enter(stage: &Stage, clock: Clock) -> Self {
        let sentinels: Vec<SocketAddr> = stage.sentinels.iter().map(|sentinel| sentinel.addr).collect();
        let pace = if stage.groups.len() == 1 { CLOSE } else { WIDE };
        let watched: Vec<Watched> = stage.groups.iter().map(|group| Watched { name: group.name.clone(), nodes: addrs(group) }).collect();
        let observer = Observer::open(&stage.ground.watcher(), &watched, &sentinels, pace.look, clock);
        let directory = Directory::open(&stage.ground.of_clients(), sentinels);
        let clients =
            stage.groups.iter().enumerate().map(|(number, group)| clients_of(stage, group, number, &pace, &directory, clock)).collect();
        Self { clients, observer, _directory: directory }
    }

    /// How many writes the client with the fewest has behind it.
    pub(crate) fn least_written(&self) -> usize {
        self.clients.iter().flatten().map(Client::count).min().unwrap_or(0)
    }

    /// How many groups' applications have not written to another node than the first since `moment`.
    pub(crate) fn not_served_elsewhere(&self, moment: u64) -> usize {
        let served = |client: &Client| client.last().is_some_and(|ack| ack.at > moment && ack.node != 0);
        self.clients.iter().filter(|group| !group.iter().filter(|client| client.is_plain_follower()).all(served)).count()
    }

    /// Everybody stops, and what was acknowledged is compared with what the masters have now.
    pub(crate) fn leave(mut self, stage: &Stage) -> anyhow::Result<Vec<GroupRecord>> {
        let mut logs: Vec<Vec<(ClientLog, Client)>> = Vec::new();
        for clients in self.clients.drain(..) {
            logs.push(clients.into_iter().map(|mut client| (client.finish(), client)).collect());
        }
        let mut records = self.observer.close();
        for ((logs, record), group) in logs.into_iter().zip(&mut records).zip(&stage.groups) {
            let master = stage.most_named(group)?;
            for (mut log, client) in logs {
                log.lost = lost(stage, group, master, &log, &client)?;
                record.clients.push(log);
            }
        }
        Ok(records)
    }
}

fn addrs(group: &Group) -> Vec<SocketAddr> {
    group.nodes.iter().map(|node| node.addr).collect()
}

fn clients_of(stage: &Stage, group: &Group, number: usize, pace: &Pace, directory: &Directory, clock: Clock) -> Vec<Client> {
    let tasks = [
        ("app", Habit::Follows, false, pace.write),
        ("app-wait", Habit::Follows, true, pace.write_and_wait),
        ("beside", Habit::Stays, false, pace.write_and_wait),
        ("beside-wait", Habit::Stays, true, pace.write_and_wait),
    ];
    // Those beside the masters of many groups would only cost time.
    let wanted = tasks.into_iter().filter(|(_, habit, _, _)| stage.groups.len() == 1 || *habit == Habit::Follows);
    let start = |(turn, (name, habit, waits, every))| {
        let place = if habit == Habit::Stays { stage.ground.of_data(0) } else { stage.ground.of_clients() };
        let task = Task { name, habit, waits, every, nodes: addrs(group) };
        Client::start(task, &place, directory.inquirer(&group.name, number + turn), clock)
    };
    wanted.enumerate().map(start).collect()
}

/// The acknowledged writes that the master does not hold.
fn lost(stage: &Stage, group: &Group, master: usize, log: &ClientLog, client: &Client) -> anyhow::Result<BTreeSet<u64>> {
    let (addr, name) = (group.nodes[master].addr, group.nodes[master].name.clone());
    let chunks = log.acks.chunks(KEYS_PER_QUESTION).map(|acks| acks.iter().map(|ack| (ack.number, client.key(ack.number))).collect());
    let chunks: Vec<Vec<(u64, String)>> = chunks.collect();
    let compare = move || -> anyhow::Result<BTreeSet<u64>> {
        let mut conn = Conn::open_at(addr, READ_LIMIT)?;
        let mut lost = BTreeSet::new();
        for keys in chunks {
            let words: Vec<&str> = std::iter::once("MGET").chain(keys.iter().map(|(_, key)| key.as_str())).collect();
            let reply = conn.ask(&words)?;
            if reply.items().len() != keys.len() {
                bail!("MGET: {reply}");
            }
            let missing = |((number, _), value): (&(u64, String), &Reply)| (value.text() != Some(number.to_string())).then_some(*number);
            lost.extend(keys.iter().zip(reply.items()).filter_map(missing));
        }
        Ok(lost)
    };
    stage.ground.watcher().do_there(compare).with_context(|| format!("compare with what {name} ({addr}) holds"))
}

//! The demo: kill a master and watch what three sentinels make of it.
//!
//! Starts one master, two replicas and three sentinels in a temporary folder on free ports, writes to Redis all the
//! while, kills the master with SIGKILL, and shows what happens with milliseconds since the kill: each vote with its
//! evidence, the decision with its candidate table and its place in the log, the first write that the new master
//! accepts. Then it starts the old master again, shows it become a replica, and sums up.
//!
//! `--keep` leaves the cluster running until Enter or Ctrl-C. `--stock` shows the same with stock Redis Sentinel.

#[path = "../../tests/kit/mod.rs"]
mod kit;

mod feed;
mod log;
mod paint;
mod signals;
mod subscriber;
mod summary;

use std::io::BufRead;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::anyhow;
use clap::Parser;

use feed::{Feed, Line};
use kit::writer::Writer;
use kit::{Ack, Cluster, Flavour, GROUP, Plan};
use paint::{Paint, Tone};
use summary::Summary;

const START_LIMIT: Duration = Duration::from_secs(10);
/// For ours, each step takes a second or two; stock Sentinel takes its time before it demotes an old master.
const STEP_LIMIT: Duration = Duration::from_secs(60);
const WRITES_BEFORE: usize = 500;

/// Kills a Redis master and shows, live, how the sentinels replace it.
#[derive(Debug, Parser)]
struct Args {
    /// Leave the cluster running at the end, until Enter or Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// The raft-sentinel to run [default: the one built beside this example].
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// down-after-milliseconds of the group.
    #[arg(long, default_value_t = 1000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    down_after: u64,
    /// Run stock redis-sentinel instead, to compare.
    #[arg(long)]
    stock: bool,
}

/// What was measured on the way.
struct Story {
    old: u16,
    killed: SystemTime,
    last_before: Ack,
    first_after: Ack,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let paint = Paint::for_stdout();
    signals::clean_up_when_interrupted();
    if let Some(path) = args.bin {
        kit::sentinel::use_binary(path);
    }
    let flavour = if args.stock { Flavour::Stock } else { Flavour::Ours };
    if flavour == Flavour::Ours {
        kit::sentinel::find_our_binary().map_err(|missing| anyhow!(missing))?;
    }
    println!("{}", paint.show(Tone::Strong, &format!("{}: one master, two replicas, three sentinels on this machine", flavour.name())));
    let mut cluster = Plan { down_after_ms: args.down_after, ..Plan::new(flavour) }.start();
    print_cluster(&cluster);
    play(&mut cluster, paint)?;
    if args.keep {
        keep(&cluster);
    }
    Ok(())
}

fn print_cluster(cluster: &Cluster) {
    let role = |port| if port == cluster.servers[0].port { "master" } else { "replica" };
    println!();
    for server in &cluster.servers {
        println!("  redis       127.0.0.1:{}  {}", server.port, role(server.port));
    }
    for sentinel in &cluster.sentinels {
        print!("  sentinel {}  127.0.0.1:{}  SENTINEL protocol", sentinel.id, sentinel.ports.resp);
        match sentinel.flavour {
            Flavour::Ours => {
                println!(", gRPC on {}, peers on {}, metrics on {}", sentinel.ports.grpc, sentinel.ports.raft, sentinel.ports.http)
            }
            Flavour::Stock => println!(),
        }
    }
    println!("  folder      {}", cluster.scratch.path().display());
    let Plan { quorum, down_after_ms, .. } = cluster.plan;
    println!("\n  The group is {GROUP}: quorum {quorum}, down-after-milliseconds {down_after_ms}.");
}

fn play(cluster: &mut Cluster, paint: Paint) -> anyhow::Result<()> {
    let writer = cluster.writer();
    cluster.timeline.wait_until("the client writes", START_LIMIT, || writer.count() >= WRITES_BEFORE);
    println!("  A client that found the master through the sentinels has written {WRITES_BEFORE} values and goes on.\n");
    let old = cluster.sentinels[0].master().map_err(|instead| anyhow!("sentinel 1 names no master, but says: {instead}"))?;
    let mut feed = Feed::starting_now(paint);
    for sentinel in &cluster.sentinels {
        subscriber::follow(sentinel, feed.reporter())?;
    }
    let story = kill(cluster, old, &writer, &mut feed)?;
    bring_back(cluster, &story, &mut feed)?;
    let log = writer.finish();
    let master = cluster.sentinels[0].master().map_err(|instead| anyhow!("sentinel 1 names no master, but says: {instead}"))?;
    let lost = log.lost(cluster.server(master))?;
    let decision = (cluster.plan.flavour == Flavour::Ours).then(|| log::newest(cluster, story.killed)).flatten();
    Summary { story: &story, decision: decision.as_ref(), acknowledged: log.acks.len(), lost: lost.len(), unanswered: log.unanswered }
        .print(paint);
    Ok(())
}

/// Kills the master and follows the failover to its end.
fn kill(cluster: &mut Cluster, old: u16, writer: &Writer, feed: &mut Feed) -> anyhow::Result<Story> {
    let killed_at = Instant::now();
    let killed = feed.start_clock();
    cluster.server_mut(old).kill();
    feed.tell(Line::new(killed, "demo", format!("SIGKILL to the master, 127.0.0.1:{old}")).tone(Tone::Bad));
    let watch = (cluster.plan.flavour == Flavour::Ours).then(|| log::follow(cluster, killed, feed.reporter()));
    let first_after = feed.show_until(STEP_LIMIT, || writer.first_elsewhere(killed_at, old)).ok_or_else(|| late(cluster, "a write"))?;
    let accepted = format!("first write accepted by the new master, 127.0.0.1:{}", first_after.port);
    feed.tell(Line::new(first_after.wall, "client", accepted).tone(Tone::Good));
    if let Some(watch) = &watch {
        feed.show_until(STEP_LIMIT, || watch.is_complete().then_some(())).ok_or_else(|| late(cluster, "the end of the failover"))?;
    }
    let last_before = writer.last_before(killed_at).ok_or_else(|| anyhow!("nothing was written before the kill"))?;
    Ok(Story { old, killed, last_before, first_after })
}

/// Starts the old master again, and waits until it follows the new one.
fn bring_back(cluster: &mut Cluster, story: &Story, feed: &mut Feed) -> anyhow::Result<()> {
    let (old, new) = (story.old, story.first_after.port);
    let others: Vec<u16> = cluster.servers.iter().map(|server| server.port).filter(|port| ![old, new].contains(port)).collect();
    for port in others {
        let master = feed.show_until(STEP_LIMIT, || follows(cluster, port)).ok_or_else(|| late(cluster, "the other replica"))?;
        feed.tell(Line::new(SystemTime::now(), "redis", format!("127.0.0.1:{port} replicates from 127.0.0.1:{master}, link up")));
    }
    cluster.server_mut(old).restart();
    let again = format!("the old master, 127.0.0.1:{old}, is started again; it takes itself for a master");
    feed.tell(Line::new(SystemTime::now(), "demo", again));
    let found = feed.show_until(STEP_LIMIT, || follows(cluster, old));
    let master = found.ok_or_else(|| late(cluster, "the old master to become a replica"))?;
    let replica = format!("127.0.0.1:{old} is a replica of 127.0.0.1:{master}, link up");
    feed.tell(Line::new(SystemTime::now(), "redis", replica).tone(Tone::Good));
    feed.finish();
    Ok(())
}

/// The master that the sentinels name now, if the server on `port` replicates from it.
fn follows(cluster: &Cluster, port: u16) -> Option<u16> {
    let linked = cluster.server(port).linked_to()?;
    (cluster.sentinels[0].master() == Ok(linked)).then_some(linked)
}

fn late(cluster: &Cluster, what: &str) -> anyhow::Error {
    anyhow!("waited {} s for {what}\n{}", STEP_LIMIT.as_secs(), cluster.timeline.report())
}

fn keep(cluster: &Cluster) {
    let (first, ports) = (&cluster.sentinels[0], cluster.sentinels[0].ports);
    println!("\nThe cluster runs on until you press Enter or Ctrl-C. In another terminal:\n");
    println!("  redis-cli -p {} SENTINEL get-master-addr-by-name {GROUP}", ports.resp);
    println!("  redis-cli -p {} SENTINEL failover {GROUP}", ports.resp);
    println!("  redis-cli -p {} PSUBSCRIBE '*'", ports.resp);
    if first.flavour == Flavour::Ours {
        let bin = kit::sentinel::our_binary();
        let all: Vec<String> = cluster.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc)).collect();
        println!("  export RAFT_SENTINEL_ADDR={}", all.join(","));
        for command in ["status", "decisions", "watch"] {
            println!("  {} {command}", bin.display());
        }
        println!("  curl http://127.0.0.1:{}/metrics", ports.http);
    }
    println!("  tail -f {}/sentinel-*/log", cluster.scratch.path().display());
    let entered = std::io::stdin().lock().read_line(&mut String::new());
    if !entered.is_ok_and(|bytes| bytes > 0) {
        // Nobody can press Enter here, so only a signal ends it.
        loop {
            thread::park();
        }
    }
}

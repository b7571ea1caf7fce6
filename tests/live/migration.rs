//! Stock sentinels are replaced by ours, on their own files and ports, while clients go on.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::kit::resp::ask_once;
use crate::kit::sentinel::{Ports, master_port};
use crate::kit::{Cluster, Flavour, GROUP, Plan, Sentinel};

const SOON: Duration = Duration::from_secs(30);
/// A stock failover may need a second attempt.
const STOCK_FAILOVER: Duration = Duration::from_secs(60);
/// How long a client may be without an answer while the tests of a busy machine run beside it.
const GAP: Duration = Duration::from_secs(2);
const ALL: [usize; 3] = [1, 2, 3];

/// A client that asks one sentinel after the other where the master is, all the time.
struct Asker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Answers>,
}

/// What the sentinels answered.
#[derive(Debug, Default)]
struct Answers {
    right: usize,
    /// Other masters that were named.
    wrong: BTreeSet<u16>,
    longest_gap: Duration,
}

impl Asker {
    fn start(sentinels: Vec<u16>, master: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut answers = Answers::default();
            let mut last = Instant::now();
            for port in sentinels.iter().copied().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let reply = ask_once(port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]);
                match reply.ok().as_ref().and_then(master_port) {
                    Some(port) if port == master => {
                        answers.right += 1;
                        answers.longest_gap = answers.longest_gap.max(last.elapsed());
                        last = Instant::now();
                    }
                    Some(port) => drop(answers.wrong.insert(port)),
                    // It is being replaced, or has no quorum yet: the next one is asked, as clients do.
                    None => thread::sleep(Duration::from_millis(1)),
                }
            }
            answers
        });
        Self { stop, thread }
    }

    fn finish(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client does not panic")
    }
}

/// What a sentinel says of itself and of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Portrait {
    id: String,
    master: u16,
    epoch: u64,
    replicas: BTreeSet<u16>,
}

fn portrait(sentinel: &Sentinel) -> Result<Portrait, String> {
    let ask = |words: &[&str]| sentinel.ask(words).map_err(|e| e.to_string());
    let (id, master, replicas) =
        (ask(&["SENTINEL", "MYID"])?, ask(&["SENTINEL", "MASTER", GROUP])?, ask(&["SENTINEL", "REPLICAS", GROUP])?);
    let number = |name: &str| master.field(name).and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| format!("no {name} in {master}"));
    let port = |replica: &crate::kit::Reply| replica.field("port").and_then(|text| text.parse().ok());
    Ok(Portrait {
        id: id.text().ok_or_else(|| format!("no id: {id}"))?,
        master: u16::try_from(number("port")?).map_err(|e| e.to_string())?,
        epoch: number("config-epoch")?,
        replicas: replicas.items().iter().filter_map(port).collect(),
    })
}

/// Waits until all sentinels tell the same of the group, and that they know `replicas`.
fn agreed(cluster: &Cluster, replicas: &BTreeSet<u16>) -> Vec<Portrait> {
    cluster.timeline.wait_for("all sentinels tell the same of the group", SOON, || {
        let told: Vec<Portrait> = cluster.sentinels.iter().map(portrait).collect::<Result<_, _>>()?;
        let same = told.iter().all(|one| (one.master, one.epoch) == (told[0].master, told[0].epoch) && one.replicas == *replicas);
        if same { Ok(told) } else { Err(format!("{told:?}")) }
    })
}

/// Ends a stock sentinel and starts one of ours on the file that it leaves, with the raft lines added.
fn replace(cluster: &mut Cluster, index: usize, ports: &[Ports]) {
    let stock = &mut cluster.sentinels[index];
    stock.expect_ok(&["SENTINEL", "FLUSHCONFIG"]);
    stock.terminate();
    let (id, config) = (stock.id, stock.config.clone());
    let mut text = fs::read_to_string(&config).expect("stock leaves its file");
    assert!(text.contains("sentinel known-replica") && text.contains("sentinel myid"), "stock has not rewritten its file:\n{text}");
    let peers = (1..).zip(ports).map(|(id, peer)| format!("raft peer {id} 127.0.0.1:{}\n", peer.raft));
    text.push_str(&format!("\nraft node-id {id}\ngrpc listen 127.0.0.1:{}\n{}", ports[index].grpc, peers.collect::<String>()));
    fs::write(&config, text).expect("the folder is there");
    cluster.sentinels[index] = Sentinel::take_over(id, config, ports[index], &cluster.timeline);
}

#[test]
fn a_stock_trio_that_failed_over_is_replaced_one_by_one() {
    let mut cluster = Plan::new(Flavour::Stock).start();
    let timeline = cluster.timeline.clone();
    let old = cluster.master();
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, STOCK_FAILOVER);
    let replicas: BTreeSet<u16> = cluster.others(new).into_iter().collect();
    let before = agreed(&cluster, &replicas);
    assert!(before[0].epoch > 0, "a failover has an epoch: {before:?}");

    let ports: Vec<Ports> = cluster.sentinels.iter().map(|stock| Ports { resp: stock.ports.resp, ..Ports::free() }).collect();
    let asker = Asker::start(ports.iter().map(|ports| ports.resp).collect(), new);
    let writer = cluster.writer();
    timeline.wait_until("the client writes", SOON, || writer.count() >= 200);
    for index in 0..ports.len() {
        replace(&mut cluster, index, &ports);
        // The first has no quorum; the group forms with the second.
        if index > 0 {
            timeline.wait_for("the group answers", SOON, || cluster.sentinels[index].master());
        }
    }
    cluster.wait_for_leader(&ALL, SOON);
    let after = agreed(&cluster, &replicas);
    let written = writer.count();
    timeline.wait_until("the client still writes", SOON, || writer.count() >= written + 200);
    let (answers, log) = (asker.finish(), writer.finish());

    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&after.id, after.master), (&before.id, new));
        assert!(after.epoch >= before.epoch, "the epoch went back from {} to {}", before.epoch, after.epoch);
    }
    let [id, ..] = cluster.sentinels.as_slice() else { panic!("there are three sentinels") };
    assert_eq!(cluster.decisions(id.id).len(), 0, "nothing was failed over on the way\n{}", timeline.report());
    assert!(answers.wrong.is_empty() && answers.right > 0, "clients were sent astray: {answers:?}\n{}", timeline.report());
    assert!(answers.longest_gap < GAP, "nobody answered for {:?}\n{}", answers.longest_gap, timeline.report());
    assert!(log.acks.iter().all(|ack| ack.port == new), "written elsewhere\n{}", timeline.report());
    assert!(log.longest_gap() < GAP, "no write for {:?}\n{}", log.longest_gap(), timeline.report());

    cluster.server_mut(old).restart();
    cluster.wait_for_replica(old, new, SOON);
    cluster.wait_until_formed();
}

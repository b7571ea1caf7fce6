//! Both clusters through the same story: new, after a failover, and with a master down that too few agree about.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use crate::kit::{Cluster, Flavour, GROUP, Plan};
use crate::known::{self, KNOWN};
use crate::labels::Labels;
use crate::raw::{Line, Manner, Raw, words};
use crate::{events, shape};

const QUESTIONS: &str = include_str!("questions.txt");
/// What is asked in every situation. `{master}` is the port of the recorded master, `{dead}` one where nobody listens.
const ABOUT_THE_STATE: [&str; 10] = [
    "ROLE",
    "INFO sentinel",
    "SENTINEL MASTERS",
    "SENTINEL MASTER mymaster",
    "SENTINEL REPLICAS mymaster",
    "SENTINEL SENTINELS mymaster",
    "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
    "SENTINEL CKQUORUM mymaster",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {master} 0 *",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 0 *",
];
/// Long enough that nobody who is merely slow on a busy machine is taken for dead.
const DOWN_AFTER_MS: u64 = 3000;
const SOON: Duration = Duration::from_secs(40);

/// Both kinds, in the same situation.
pub(crate) struct Pair {
    pub(crate) stock: Cluster,
    pub(crate) ours: Cluster,
    /// The recorded masters.
    pub(crate) masters: (u16, u16),
}

impl Pair {
    fn start() -> Self {
        let start = |flavour| thread::spawn(move || Plan { down_after_ms: DOWN_AFTER_MS, ..Plan::new(flavour) }.start());
        let (stock, ours) = (start(Flavour::Stock), start(Flavour::Ours));
        let (stock, ours) = (stock.join().expect("stock forms"), ours.join().expect("ours forms"));
        let masters = (stock.servers[0].port, ours.servers[0].port);
        Self { stock, ours, masters }
    }

    fn fail_over(&mut self) {
        let (old_stock, old_ours) = self.masters;
        self.stock.server_mut(old_stock).kill();
        self.ours.server_mut(old_ours).kill();
        self.masters = (self.stock.wait_for_new_master(old_stock, SOON), self.ours.wait_for_new_master(old_ours, SOON));
    }

    fn restart_the_old(&mut self, (stock, ours): (u16, u16)) {
        self.stock.server_mut(stock).restart();
        self.ours.server_mut(ours).restart();
        self.stock.wait_until_formed();
        self.ours.wait_until_formed();
        let named = |cluster: &Cluster| cluster.sentinels[0].master().expect("a formed cluster has a master");
        assert_eq!((named(&self.stock), named(&self.ours)), self.masters, "one failover was enough");
    }

    /// No number of votes is enough, and then the master dies.
    fn lose_the_master_without_a_quorum(&mut self) {
        for cluster in [&self.stock, &self.ours] {
            cluster.sentinels.iter().for_each(|sentinel| sentinel.expect_ok(&["SENTINEL", "SET", GROUP, "quorum", "4"]));
        }
        let (stock, ours) = self.masters;
        self.stock.server_mut(stock).kill();
        self.ours.server_mut(ours).kill();
        for cluster in [&self.stock, &self.ours] {
            cluster.timeline.wait_for("the master is subjectively down, and the replicas and sentinels say so", SOON, || {
                let flags = cluster.sentinels[0].answer(&["SENTINEL", "MASTER", GROUP]).field("flags").unwrap_or_default();
                let replicas = cluster.sentinels[0].answer(&["SENTINEL", "REPLICAS", GROUP]);
                let unlinked = replicas.items().iter().filter(|replica| replica.field("master-link-status").as_deref() == Some("err"));
                let others = cluster.sentinels[0].answer(&["SENTINEL", "SENTINELS", GROUP]);
                let agree = others.items().iter().filter(|other| other.field("flags").as_deref() == Some("sentinel,master_down"));
                match (flags.as_str(), unlinked.count(), agree.count()) {
                    ("s_down,master,disconnected", 2, 2) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            });
        }
    }
}

fn wait_until_linked(cluster: &Cluster) {
    cluster.timeline.wait_for("the links to all data nodes are up", SOON, || {
        let sentinel = &cluster.sentinels[0];
        let (masters, replicas) = (sentinel.answer(&["SENTINEL", "MASTERS"]), sentinel.answer(&["SENTINEL", "REPLICAS", GROUP]));
        let flags: Vec<String> = masters.items().iter().chain(replicas.items()).filter_map(|entry| entry.field("flags")).collect();
        if flags.len() == 3 && flags.iter().all(|flags| !flags.contains("disconnected")) { Ok(()) } else { Err(format!("{flags:?}")) }
    });
}

/// One question that is answered differently.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) question: String,
    how: String,
    stock: String,
    pub(crate) ours: String,
}

/// Asks both all questions in one manner.
fn compare(pair: &Pair, situation: &str, manner: Manner, questions: &[&str]) -> Vec<Difference> {
    let asked = |cluster: &Cluster, master: u16| {
        let labels = Labels::new(cluster, master);
        let fill = |question: &&str| words(&question.replace("{master}", &master.to_string()).replace("{dead}", "1"));
        let replies = ask_all(cluster.sentinels[0].ports.resp, manner, &questions.iter().map(fill).collect::<Vec<_>>());
        let told = questions.iter().zip(replies).map(|(question, reply)| shape::told(&reply, shape::care_for(question), &labels));
        told.collect::<Vec<_>>()
    };
    let (stock, ours) = (asked(&pair.stock, pair.masters.0), asked(&pair.ours, pair.masters.1));
    let all = questions.iter().zip(stock.into_iter().zip(ours));
    let how = format!("{situation}, {manner:?}");
    let differ = all.filter(|(_, (stock, ours))| stock != ours);
    differ.map(|(question, (stock, ours))| Difference { question: (*question).to_owned(), how: how.clone(), stock, ours }).collect()
}

/// On a busy machine our sentinels lose their leader for a moment now and then, and say so: then all of it is asked again.
fn ask_all(port: u16, manner: Manner, questions: &[Vec<String>]) -> Vec<Raw> {
    let unsure = |reply: &Raw| matches!(reply, Raw::Error(text) if text.starts_with("NOQUORUM ") && !text.contains("usable"));
    if manner == Manner::Inline {
        for _ in 0..50 {
            let mut line = Line::open(port, manner);
            let quoted = |word: &String| if word.is_empty() { "\"\"".to_owned() } else { word.clone() };
            let text: String = questions.iter().map(|words| words.iter().map(quoted).collect::<Vec<_>>().join(" ") + "\r\n").collect();
            line.send(text.as_bytes());
            let replies: Vec<Raw> = questions.iter().map(|words| line.read().unwrap_or_else(|e| panic!("{words:?}: {e}"))).collect();
            if !replies.iter().any(unsure) {
                return replies;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("no quorum for 5 s");
    }
    let ask = |words: &Vec<String>| {
        let mut tries = 0;
        loop {
            let reply = Line::open(port, manner).ask(words);
            if !unsure(&reply) || tries == 50 {
                return reply;
            }
            tries += 1;
            thread::sleep(Duration::from_millis(100));
        }
    };
    questions.iter().map(ask).collect()
}

/// Questions that change nothing, neither in the cluster nor of the connection: they can be asked in one go.
fn harmless(question: &str) -> bool {
    let changes = ["HELLO", "QUIT", "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "MONITOR", "SENTINEL FORGET"];
    let in_sentinel = ["SET", "MONITOR", "REMOVE", "FAILOVER", "RESET", "CONFIG SET"];
    let starts = |start: &str| question.to_ascii_uppercase().split(' ').zip(start.split(' ')).all(|(a, b)| a == b);
    !changes.iter().any(|start| starts(start)) && !in_sentinel.iter().any(|start| starts(&format!("SENTINEL {start}")))
}

#[test]
fn whatever_differs_is_known() {
    let mut pair = Pair::start();
    let mut found = Vec::new();
    let questions: Vec<&str> = QUESTIONS.lines().collect();
    let inline: Vec<&str> = questions.iter().copied().filter(|question| harmless(question)).collect();
    found.extend(compare(&pair, "new", Manner::Resp2, &questions));
    found.extend(compare(&pair, "new", Manner::Resp3, &questions));
    // Questions that set credentials or reset a group make stock drop its links, and it says `disconnected` until they are back.
    wait_until_linked(&pair.stock);
    found.extend(compare(&pair, "new", Manner::Inline, &inline));

    let old = pair.masters;
    let listeners = events::Listeners::of(&pair);
    pair.fail_over();
    let heard = listeners.heard(&pair, old);
    pair.restart_the_old(old);
    for manner in [Manner::Resp2, Manner::Resp3] {
        found.extend(compare(&pair, "after a failover", manner, &ABOUT_THE_STATE));
    }
    pair.lose_the_master_without_a_quorum();
    for manner in [Manner::Resp2, Manner::Resp3] {
        found.extend(compare(&pair, "down without a quorum", manner, &ABOUT_THE_STATE));
    }
    judge(&found);
    events::judge(&heard);
}

fn judge(found: &[Difference]) {
    let mut unknown = String::new();
    let mut seen = BTreeSet::new();
    for difference in found {
        match known::row(difference) {
            Some(at) => {
                seen.insert(at);
            }
            None => {
                unknown +=
                    &format!("{} ({})\n-- stock\n{}-- ours\n{}\n", difference.question, difference.how, difference.stock, difference.ours)
            }
        }
    }
    assert!(unknown.is_empty(), "unknown differences:\n{unknown}");
    let stale: Vec<&str> = KNOWN.iter().enumerate().filter(|(at, _)| !seen.contains(at)).map(|(_, row)| row.question).collect();
    assert!(stale.is_empty(), "these no longer differ as the table says: {stale:?}");
}

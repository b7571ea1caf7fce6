//! Sentinels come and go while the group serves, and strangers are kept out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use raft_sentinel::proto::admin as pb;
use tonic::{Code, Response, Status};

use crate::kit::history::votes;
use crate::kit::sentinel::{Ports, master_port};
use crate::kit::{Cluster, Conn, Flavour, GROUP, Grpc, History, Plan, Sentinel, Writer};

const SOON: Duration = Duration::from_secs(15);
const LOOK_UP: &[&str] = &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP];

/// A client that asks some sentinels in turn who the master is, and never stops.
struct Reader {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<(Instant, u16)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn start(sentinels: &[&Sentinel]) -> Self {
        let ports: Vec<u16> = sentinels.iter().map(|sentinel| sentinel.ports.resp).collect();
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, told) = (Arc::clone(&stop), Arc::clone(&answers));
        let run = move || {
            for port in ports.iter().cycle().take_while(|_| !stopped.load(Ordering::Relaxed)) {
                let reply = Conn::open(*port, Duration::from_millis(500)).and_then(|mut conn| conn.ask(LOOK_UP));
                if let Some(master) = reply.ok().and_then(|reply| master_port(&reply)) {
                    told.lock().expect("nobody panics with it").push((Instant::now(), master));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        Self { stop, answers, thread: Some(std::thread::spawn(run)) }
    }

    /// The longest span without an answer, and the masters that were named, in order.
    fn finish(mut self) -> (Duration, Vec<u16>) {
        self.end();
        let answers = self.answers.lock().expect("nobody panics with it");
        let gaps = answers.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0));
        let mut named: Vec<u16> = answers.iter().map(|(_, master)| *master).collect();
        named.dedup();
        (gaps.max().unwrap_or_default(), named)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Id and vote of each member, as one sentinel lists them.
fn members(port: u16) -> Result<Vec<(u64, bool)>, String> {
    let grpc = Grpc::of(port);
    let answer = grpc.wait(async { grpc.admin().list_members(pb::ListMembersRequest {}).await });
    let members = answer.map_err(|status| status.to_string())?.into_inner().members;
    Ok(members.iter().map(|member| (member.id, member.voter)).collect())
}

fn wait_for_members(cluster: &Cluster, asked: &[&Sentinel], expected: &[(u64, bool)]) {
    for sentinel in asked {
        cluster.timeline.wait_for(&format!("sentinel {} lists {expected:?}", sentinel.id), SOON, || {
            let listed = members(sentinel.ports.grpc)?;
            if listed == expected { Ok(()) } else { Err(format!("{listed:?}")) }
        });
    }
}

/// Changes the members through the sentinel that leads among these.
fn change<F>(cluster: &Cluster, among: &[usize], what: &str, call: impl Fn(Grpc) -> F) -> pb::MembershipResponse
where
    F: FnOnce() -> Result<Response<pb::MembershipResponse>, Status>,
{
    let answer = cluster.timeline.wait_for(what, Duration::from_secs(30), || {
        let leader = cluster.wait_for_leader(among, SOON);
        match call(Grpc::of(cluster.sentinel(leader).ports.grpc))() {
            Ok(answer) => Ok(answer.into_inner()),
            // It may have stopped leading in between.
            Err(status) if [Code::Unavailable, Code::FailedPrecondition, Code::DeadlineExceeded].contains(&status.code()) => {
                Err(status.to_string())
            }
            Err(status) => panic!("{what}: {status}\n{}", cluster.timeline.report()),
        }
    });
    cluster.timeline.note(format!("{what}: {:?}", answer.steps));
    answer
}

fn add(cluster: &Cluster, among: &[usize], new: &Sentinel) -> pb::MembershipResponse {
    let request = pb::AddLearnerRequest { id: new.id as u64, raft_address: Some(here(new.ports.raft)) };
    change(cluster, among, &format!("sentinel {} is added", new.id), |grpc| {
        let request = request.clone();
        move || grpc.wait(async { grpc.admin().add_learner(request).await })
    })
}

fn promote(cluster: &Cluster, among: &[usize], id: usize) -> pb::MembershipResponse {
    change(cluster, among, &format!("sentinel {id} gets a vote"), |grpc| {
        move || grpc.wait(async { grpc.admin().promote(pb::PromoteRequest { id: id as u64, force: false }).await })
    })
}

fn remove(cluster: &Cluster, among: &[usize], id: usize) -> pb::MembershipResponse {
    change(cluster, among, &format!("sentinel {id} is removed"), |grpc| {
        move || grpc.wait(async { grpc.admin().remove_member(pb::RemoveMemberRequest { id: id as u64, force: false }).await })
    })
}

fn here(port: u16) -> pb::Address {
    pb::Address { host: "127.0.0.1".to_owned(), port: u32::from(port) }
}

/// Starts a sentinel that is not among the initial members. It becomes the last of the cluster.
fn newcomer(cluster: &mut Cluster, id: usize) {
    let initial: Vec<Ports> = cluster.sentinels.iter().take(cluster.plan.sentinels).map(|sentinel| sentinel.ports).collect();
    let mut orders = cluster.plan.orders(id, &initial, cluster.servers[0].addr());
    orders.joins = Some(Ports::free());
    let sentinel = Sentinel::start(Flavour::Ours, cluster.scratch.path(), &cluster.timeline, &orders);
    cluster.sentinels.push(sentinel);
}

/// What a sentinel answers linearizably; the error is its refusal.
pub(crate) fn asked(sentinel: &Sentinel) -> Result<u16, String> {
    sentinel.master()
}

/// Holds for a while that a sentinel names no master.
pub(crate) fn stays_silent(cluster: &Cluster, sentinel: &Sentinel, span: Duration) {
    cluster.timeline.holds(&format!("sentinel {} names no master", sentinel.id), span, || match asked(sentinel) {
        Err(refusal) if refusal.starts_with("-NOQUORUM") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

fn settled(cluster: &Cluster, writer: Writer, reader: Reader, what: &str) {
    let log = writer.finish();
    let (silence, named) = reader.finish();
    println!("{what}: longest gap of writes {:?}, of answers {silence:?}", log.longest_gap());
    assert_eq!(named.len(), 1, "the master was the same all the time: {named:?}");
    assert!(log.longest_gap() < Duration::from_secs(5), "{:?}\n{}", log.longest_gap(), cluster.timeline.report());
    assert!(silence < Duration::from_secs(5), "{silence:?}\n{}", cluster.timeline.report());
}

#[test]
fn a_sentinel_joins_votes_and_another_leaves_while_clients_go_on() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    newcomer(&mut cluster, 4);
    stays_silent(&cluster, cluster.sentinel(4), Duration::from_millis(1500));
    let (old, new) = cluster.sentinels.split_at(3);
    let (writer, reader) = (cluster.writer(), Reader::start(&old.iter().collect::<Vec<_>>()));
    timeline.wait_until("the client writes", SOON, || writer.count() > 50);
    wait_for_members(&cluster, &old.iter().collect::<Vec<_>>(), &[(1, true), (2, true), (3, true)]);

    let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
    let follower = leader % 3 + 1;
    let elsewhere = Grpc::of(cluster.sentinel(follower).ports.grpc);
    let request = pb::AddLearnerRequest { id: 4, raft_address: Some(here(new[0].ports.raft)) };
    let refused = elsewhere.wait(async { elsewhere.admin().add_learner(request).await }).expect_err("only the leader adds");
    let hint = refused.metadata().get("leader-grpc").and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!((refused.code(), hint), (Code::FailedPrecondition, Some(format!("127.0.0.1:{}", cluster.sentinel(leader).ports.grpc))));

    add(&cluster, &[1, 2, 3], &new[0]);
    let all: Vec<&Sentinel> = cluster.sentinels.iter().collect();
    wait_for_members(&cluster, &all, &[(1, true), (2, true), (3, true), (4, false)]);
    timeline.wait_for("the learner answers", SOON, || asked(&new[0]));
    promote(&cluster, &[1, 2, 3], 4);
    wait_for_members(&cluster, &all, &[(1, true), (2, true), (3, true), (4, true)]);
    assert!(promote(&cluster, &[1, 2, 3], 4).steps.is_empty(), "asking again does nothing");

    let leaves = cluster.wait_for_leader(&[1, 2, 3, 4], SOON) % 3 + 1;
    let stay: Vec<usize> = (1..=4).filter(|id| *id != leaves).collect();
    remove(&cluster, &[1, 2, 3, 4], leaves);
    let rest: Vec<(u64, bool)> = stay.iter().map(|id| (*id as u64, true)).collect();
    let remaining: Vec<&Sentinel> = stay.iter().map(|id| cluster.sentinel(*id)).collect();
    wait_for_members(&cluster, &remaining, &rest);
    timeline.wait_for("the removed one stops answering", SOON, || match asked(cluster.sentinel(leaves)) {
        Err(refusal) if refusal.starts_with("-NOQUORUM") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    stays_silent(&cluster, cluster.sentinel(leaves), Duration::from_secs(2));
    for sentinel in &remaining {
        timeline.wait_for("the others no longer list it", SOON, || {
            let master = sentinel.ask(&["SENTINEL", "MASTER", GROUP]).map_err(|e| e.to_string())?;
            if master.field("num-other-sentinels").as_deref() == Some("2") { Ok(()) } else { Err(master.to_string()) }
        });
    }
    settled(&cluster, writer, reader, "one added, promoted, one removed");
}

/// With a quorum of three, two members and a removed sentinel that all see the master down are not enough.
#[test]
fn the_vote_of_a_removed_sentinel_does_not_count() {
    let mut cluster = Plan { quorum: 3, ..Plan::new(Flavour::Ours) }.start();
    newcomer(&mut cluster, 4);
    add(&cluster, &[1, 2, 3], cluster.sentinel(4));
    promote(&cluster, &[1, 2, 3], 4);
    let leader = cluster.wait_for_leader(&[1, 2, 3, 4], SOON);
    let (leaves, sleeps) = (leader % 4 + 1, (leader + 1) % 4 + 1);
    let last = (leader + 2) % 4 + 1;
    remove(&cluster, &[1, 2, 3, 4], leaves);
    cluster.wait_for_leader(&[leader, last, sleeps], SOON);
    cluster.sentinel(sleeps).stop();
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    let replicas = [cluster.servers[1].port, cluster.servers[2].port];
    let timeline = cluster.timeline.clone();
    timeline.wait_for("both members have voted", SOON, || {
        let votes = cluster.recorded(leader)?.down_votes;
        if votes == 2 { Ok(()) } else { Err(format!("{votes} votes")) }
    });
    timeline.holds("two votes are not three", Duration::from_secs(3), || {
        let votes = cluster.recorded(leader)?.down_votes;
        let promoted = replicas.iter().find(|port| cluster.server(**port).role().as_deref() != Some("slave"));
        if votes <= 2 && promoted.is_none() { Ok(()) } else { Err(format!("{votes} votes, promoted: {promoted:?}")) }
    });
    cluster.sentinel(sleeps).cont();
    let first = cluster.sentinel(leader);
    timeline.wait_for("with the third the master is replaced", SOON, || match first.master() {
        Ok(port) if port != old => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let decision = History::of(first.ports.grpc).decisions(GROUP).expect("it answers").remove(0);
    let voters: Vec<u64> = votes(&decision).iter().map(|vote| vote.voter).collect();
    assert!(voters.len() == 3 && !voters.contains(&(leaves as u64)), "{voters:?}");
}

#[test]
fn a_dead_sentinel_is_replaced_and_the_new_one_carries_weight() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
    let dead = leader % 3 + 1;
    let other = dead % 3 + 1;
    let (writer, reader) = (cluster.writer(), Reader::start(&[cluster.sentinel(leader), cluster.sentinel(other)]));
    cluster.timeline.wait_until("the client writes", SOON, || writer.count() > 50);
    cluster.sentinel_mut(dead).kill();
    newcomer(&mut cluster, 4);
    let request = pb::ReplaceMemberRequest {
        old_id: dead as u64,
        new_id: 4,
        force: false,
        new_raft_address: Some(here(cluster.sentinel(4).ports.raft)),
    };
    change(&cluster, &[leader, other], "the dead one is replaced", |grpc| {
        let request = request.clone();
        move || grpc.wait(async { grpc.admin().replace_member(request).await })
    });
    let mut ids = [leader as u64, other as u64, 4];
    ids.sort_unstable();
    let expected: Vec<(u64, bool)> = ids.iter().map(|id| (*id, true)).collect();
    wait_for_members(&cluster, &[cluster.sentinel(leader), cluster.sentinel(other), cluster.sentinel(4)], &expected);
    settled(&cluster, writer, reader, "a dead one replaced");
    // Two of three is a quorum: one of the old ones may go, since the new one counts.
    cluster.sentinel_mut(leader).kill();
    let master = cluster.servers[0].port;
    for id in [other, 4] {
        cluster.timeline.wait_for(&format!("sentinel {id} answers"), SOON, || asked(cluster.sentinel(id)));
    }
    cluster.server_mut(master).kill();
    cluster.timeline.wait_for("and the two of them fail over", SOON, || match asked(cluster.sentinel(4)) {
        Ok(port) if port != master => Ok(()),
        answered => Err(format!("{answered:?}")),
    });
    // The dead one comes back, and is nobody.
    cluster.sentinel_mut(dead).restart();
    stays_silent(&cluster, cluster.sentinel(dead), Duration::from_secs(2));
}

#[test]
fn the_leading_sentinel_can_be_removed() {
    let cluster = Plan::new(Flavour::Ours).start();
    let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
    let rest: Vec<usize> = (1..=3).filter(|id| *id != leader).collect();
    let remaining: Vec<&Sentinel> = rest.iter().map(|id| cluster.sentinel(*id)).collect();
    let (writer, reader) = (cluster.writer(), Reader::start(&remaining));
    cluster.timeline.wait_until("the client writes", SOON, || writer.count() > 50);
    let grpc = Grpc::of(cluster.sentinel(leader).ports.grpc);
    let removed = grpc.wait(async { grpc.admin().remove_member(pb::RemoveMemberRequest { id: leader as u64, force: false }).await });
    cluster.timeline.note(format!("the leader removes itself: {removed:?}"));
    let expected: Vec<(u64, bool)> = rest.iter().map(|id| (*id as u64, true)).collect();
    wait_for_members(&cluster, &remaining, &expected);
    cluster.timeline.wait_for("the rest answers", SOON, || remaining.iter().try_for_each(|sentinel| asked(sentinel).map(drop)));
    cluster.timeline.wait_for("the removed one does not", SOON, || match asked(cluster.sentinel(leader)) {
        Err(refusal) if refusal.starts_with("-NOQUORUM") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    for sentinel in &remaining {
        cluster.timeline.wait_for("its record is gone", SOON, || {
            let others = sentinel.ask(&["SENTINEL", "SENTINELS", GROUP]).map_err(|e| e.to_string())?;
            if others.items().len() == 1 { Ok(()) } else { Err(others.to_string()) }
        });
    }
    settled(&cluster, writer, reader, "the leading sentinel removed");
}

#[test]
fn the_loss_of_the_leading_sentinel_is_soon_made_good() {
    let mut cluster = Plan { replicas: 0, ..Plan::new(Flavour::Ours) }.start();
    let mut took = Vec::new();
    for _ in 0..5 {
        let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
        cluster.sentinel_mut(leader).kill();
        let killed = Instant::now();
        let rest: Vec<&Sentinel> = cluster.sentinels.iter().filter(|sentinel| sentinel.id != leader).collect();
        cluster
            .timeline
            .wait_for("the others answer linearizably", SOON, || rest.iter().try_for_each(|sentinel| asked(sentinel).map(drop)));
        took.push(killed.elapsed());
        cluster.sentinel_mut(leader).restart();
    }
    println!("from the loss of the leading sentinel to linearizable answers of both others: {took:?}");
    assert!(took.iter().all(|took| *took < Duration::from_secs(5)), "{took:?}\n{}", cluster.timeline.report());
}

/// Sentinel 3 sleeps while 4 and 5 come and 1 and 2 go: it knows none of those that lead from then on.
fn replaced_while_one_sleeps() -> Cluster {
    let mut cluster = Plan::new(Flavour::Ours).start();
    newcomer(&mut cluster, 4);
    newcomer(&mut cluster, 5);
    cluster.wait_for_leader(&[1, 2, 3], SOON);
    cluster.sentinel_mut(3).kill();
    for (id, among) in [(4, &[1, 2][..]), (5, &[1, 2, 4])] {
        add(&cluster, among, cluster.sentinel(id));
        // It may lead from the moment at which it has a vote.
        promote(&cluster, &[among, &[id]].concat(), id);
    }
    for (id, among) in [(1, &[1, 2, 4, 5][..]), (2, &[2, 4, 5][..])] {
        remove(&cluster, among, id);
    }
    wait_for_members(&cluster, &[cluster.sentinel(4), cluster.sentinel(5)], &[(3, true), (4, true), (5, true)]);
    // The one that removed itself leads for a moment yet, and the sleeper knows it.
    cluster.wait_for_leader(&[4, 5], SOON);
    cluster
}

fn carries_weight(cluster: &mut Cluster, other: usize) {
    for id in [3, 4, 5] {
        cluster.timeline.wait_for(&format!("sentinel {id} answers"), SOON, || asked(cluster.sentinel(id)));
    }
    cluster.sentinel_mut(other).kill();
    let rest = 9 - other;
    for id in [3, rest] {
        cluster.timeline.wait_for(&format!("sentinel {id} answers, one of two"), SOON, || asked(cluster.sentinel(id)));
    }
}

#[test]
fn a_sentinel_that_slept_learns_of_new_members_from_those_it_knew() {
    let mut cluster = replaced_while_one_sleeps();
    // Those that were removed still run, and know who came.
    cluster.sentinel_mut(3).restart();
    cluster.timeline.wait_for("it was told", SOON, || {
        let log = cluster.sentinel(3).log();
        if log.contains("a sentinel that this one did not know is a member") { Ok(()) } else { Err(log) }
    });
    carries_weight(&mut cluster, 5);
}

#[test]
fn with_all_that_it_knew_gone_the_operator_says_who_is_there() {
    let mut cluster = replaced_while_one_sleeps();
    let id = cluster.status(4).expect("it answers").cluster_id;
    cluster.sentinel_mut(1).kill();
    cluster.sentinel_mut(2).kill();
    cluster.sentinel_mut(3).restart();
    cluster.timeline.wait_for("it says what to do", SOON, || {
        let log = cluster.sentinel(3).log();
        let told =
            |line: &str| ["no sentinel that this one knows", "'raft cluster-id", "'raft peer'"].iter().all(|words| line.contains(words));
        if log.lines().any(told) { Ok(()) } else { Err(log) }
    });
    stays_silent(&cluster, cluster.sentinel(3), Duration::from_millis(500));
    let (file, own) = (cluster.sentinel(3).config.clone(), cluster.sentinel(3).ports.raft);
    let text = std::fs::read_to_string(&file).expect("the file is there");
    let kept: String = text.lines().filter(|line| !line.starts_with("raft peer ")).map(|line| format!("{line}\n")).collect();
    let [four, five] = [4, 5].map(|id| cluster.sentinel(id).ports.raft);
    let lines = format!("raft cluster-id {id}\nraft peer 3 127.0.0.1:{own}\nraft peer 4 127.0.0.1:{four}\nraft peer 5 127.0.0.1:{five}\n");
    std::fs::write(&file, kept + &lines).expect("the file can be written");
    cluster.sentinel_mut(3).restart();
    carries_weight(&mut cluster, 4);
}

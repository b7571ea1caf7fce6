//! Attackers at the port for peers: strangers without the secret, with a wrong one, with recorded bytes; and one who has taken a sentinel over
//! whole, with its secret and its identity, and says what no sentinel would.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_sentinel::base::Addr;
use raft_sentinel::proto::peer::{self, peer_client::PeerClient, snapshot_chunk::Part};
use raft_sentinel::secret::SecretFile;
use raft_sentinel::transport::{Dial, Proof};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::kit::sentinel::{SECRET, write_secret};
use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(20);

/// Somebody at the port for peers, with the secret of a file or without one.
struct Caller {
    runtime: Runtime,
    client: PeerClient<Channel>,
}

impl Caller {
    fn at(addr: SocketAddr, secret: Option<&Path>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be made");
        let proof = secret.map(|path| Proof { secret: SecretFile::read(path).expect("it was written"), optional: false });
        let dial = Dial { tls: None, proof, within: Duration::from_secs(2) };
        let endpoint =
            dial.endpoint(&Addr::new(addr.ip().to_string(), addr.port()).expect("an address")).expect("an address makes a valid URI");
        let client = runtime.block_on(async { PeerClient::new(dial.lazy(&endpoint)) });
        Self { runtime, client }
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        let bounded = async { tokio::time::timeout(SOON, call).await };
        self.runtime.block_on(bounded).expect("every call ends")
    }

    fn append(&self, request: peer::AppendRequest) -> Result<peer::AppendReply, Status> {
        self.wait(self.client.clone().append(request)).map(Response::into_inner)
    }

    fn vote(&self, request: peer::VoteRequest) -> Result<peer::VoteReply, Status> {
        self.wait(self.client.clone().vote(request)).map(Response::into_inner)
    }

    fn snapshot(&self, chunks: Vec<peer::SnapshotChunk>) -> Result<peer::SnapshotReply, Status> {
        self.wait(self.client.clone().install_snapshot(tokio_stream::iter(chunks))).map(Response::into_inner)
    }
}

/// Who a sentinel is, as its own disk says.
struct Papers {
    cluster: String,
    id: u64,
    incarnation: String,
}

impl Papers {
    fn of(cluster: &Cluster, id: usize) -> Self {
        let file = cluster.sentinel(id).dir().join("raft-sentinel/identity.json");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let field = |name: &str| json["identity"][name].as_str().expect("it is there").to_owned();
        Self { cluster: field("cluster_id"), id: id as u64, incarnation: field("incarnation") }
    }

    fn envelope(&self, to: usize) -> Option<peer::Envelope> {
        Some(peer::Envelope {
            cluster_id: self.cluster.clone(),
            from: self.id,
            from_incarnation: self.incarnation.clone(),
            to: to as u64,
            from_disk: None,
            to_incarnation: String::new(),
        })
    }

    fn ballot(&self, term: u64, committed: bool) -> Option<peer::Ballot> {
        Some(peer::Ballot { term, candidate: self.id, committed })
    }
}

fn raft_addr(cluster: &Cluster, id: usize) -> SocketAddr {
    (cluster.sentinel(id).ports.ip, cluster.sentinel(id).ports.raft).into()
}

fn place(term: u64, leader: u64, index: u64) -> peer::LogId {
    peer::LogId { term, leader, index }
}

fn blank(id: peer::LogId) -> peer::Entry {
    peer::Entry { id: Some(id), payload: Some(peer::entry::Payload::Blank(peer::Blank {})) }
}

fn command(id: peer::LogId, format: u32, body: &[u8]) -> peer::Entry {
    peer::Entry { id: Some(id), payload: Some(peer::entry::Payload::Command(peer::Command { format, body: body.to_vec() })) }
}

fn membership(id: peer::LogId, configs: &[&[u64]], nodes: &[u64]) -> peer::Entry {
    let membership = peer::Membership {
        configs: configs.iter().map(|ids| peer::VoterSet { ids: ids.to_vec() }).collect(),
        nodes: nodes.iter().map(|id| peer::Node { id: *id, addr: "127.0.0.1:1".to_owned() }).collect(),
    };
    peer::Entry { id: Some(id), payload: Some(peer::entry::Payload::Membership(membership)) }
}

/// All sentinels answer with a quorum, and their terms are those of a cluster that had a handful of elections.
fn unharmed(cluster: &mut Cluster, ids: &[usize]) {
    let timeline = cluster.timeline.clone();
    for id in ids {
        assert!(cluster.sentinel_mut(*id).is_running(), "sentinel {id} has ended\n{}", timeline.report());
        timeline.wait_for(&format!("sentinel {id} answers"), SOON, || cluster.sentinel(*id).master());
        let term = cluster.status(*id).expect("it answers").term;
        assert!(term < 1000, "sentinel {id} is in term {term}");
    }
}

#[test]
fn a_stranger_without_the_secret_gets_no_byte() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let openings: [&[u8]; 6] = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0RSPEER1\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"\0RSPEER2",
        b"+switch-master\nforged line\n",
    ];
    for opening in openings.iter().cycle().take(60) {
        let mut stream = TcpStream::connect(raft_addr(&cluster, 1)).expect("the port is open");
        stream.set_read_timeout(Some(SOON)).expect("a limit can be set");
        stream.write_all(opening).expect("it is taken in");
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"", "an answer to {opening:?}");
    }
    // What a peer would ask, in clear text and with a secret that is none of theirs.
    let wrong = write_secret(&cluster.scratch.path().join("wrong"), &["a-secret-that-nobody-here-has-ever-seen"]);
    let papers = Papers::of(&cluster, 2);
    for secret in [None, Some(wrong.as_path())] {
        let caller = Caller::at(raft_addr(&cluster, 1), secret);
        let vote = peer::VoteRequest { envelope: papers.envelope(1), vote: papers.ballot(1_000_000, false), last_log: None };
        let refused = caller.vote(vote).expect_err("no call is made");
        assert!([Code::Unavailable, Code::Unknown].contains(&refused.code()), "an answer: {refused}");
        let ping = peer::PingRequest { envelope: papers.envelope(1), entry_at: None };
        let refused = caller.wait(caller.client.clone().ping(ping)).expect_err("no call is made");
        assert!([Code::Unavailable, Code::Unknown].contains(&refused.code()), "an answer: {refused}");
    }
    let log = cluster.sentinel(1).log();
    let told = log.lines().filter(|line| line.contains("is turned away")).count();
    assert!((1..=3).contains(&told), "{told} lines about one stranger\n{log}");
    assert!(!log.lines().any(|line| line.contains("+switch-master") || line.starts_with("forged")), "{log}");
    unharmed(&mut cluster, &[1, 2, 3]);
}

/// Passes bytes on to `to` and keeps those of the one who dials.
fn tap(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let (addr, heard) = (listener.local_addr().expect("it is bound"), Arc::new(Mutex::new(Vec::new())));
    let noted = heard.clone();
    std::thread::spawn(move || {
        let (mut caller, _) = listener.accept().expect("the caller comes");
        let mut onward = TcpStream::connect(to).expect("the port is open");
        let (mut back, mut answers) = (caller.try_clone().expect("a handle"), onward.try_clone().expect("a handle"));
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        let mut buffer = [0; 4096];
        while let Ok(count) = caller.read(&mut buffer) {
            noted.lock().expect("no panic in here").extend_from_slice(&buffer[..count]);
            if count == 0 || onward.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    });
    (addr, heard)
}

#[test]
fn what_was_recorded_on_the_way_cannot_be_played_again() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let secret = write_secret(&cluster.scratch.path().join("tapped"), &[SECRET]);
    let (addr, heard) = tap(raft_addr(&cluster, 1));
    let papers = Papers::of(&cluster, 2);
    let caller = Caller::at(addr, Some(&secret));
    let answered = caller.wait(caller.client.clone().ping(peer::PingRequest { envelope: papers.envelope(1), entry_at: None }));
    assert!(answered.expect("it holds the secret").into_inner().formed);
    drop(caller);
    let recorded = heard.lock().expect("no panic in there").clone();
    assert!(recorded.len() > 100);
    let word = papers.incarnation.as_bytes();
    assert!(!recorded.windows(word.len()).any(|window| window == word), "the call was in clear text");

    let mut stream = TcpStream::connect(raft_addr(&cluster, 1)).expect("the port is open");
    stream.set_read_timeout(Some(SOON)).expect("a limit can be set");
    // The end may come before all of it is written.
    let _ = stream.write_all(&recorded);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.len() <= 48, "more than a fresh key came back: {} bytes", answer.len());
    cluster.timeline.wait_for("sentinel 1 says what it was", SOON, || {
        let log = cluster.sentinel(1).log();
        if log.contains("it repeats what was recorded") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    unharmed(&mut cluster, &[1, 2, 3]);
}

#[test]
fn a_secret_that_was_removed_opens_nothing_and_keeps_nothing_open() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let leaked = write_secret(&cluster.scratch.path().join("leaked"), &[SECRET]);
    let (papers, caller) = (Papers::of(&cluster, 2), Caller::at(raft_addr(&cluster, 1), Some(leaked.as_path())));
    let ask = || caller.vote(peer::VoteRequest { envelope: papers.envelope(1), vote: papers.ballot(0, false), last_log: None });
    let heard = ask();
    assert!(heard.is_ok(), "{heard:?}");
    for (step, secrets) in
        [&["a-fresh-secret-that-nobody-has-learnt", SECRET][..], &["a-fresh-secret-that-nobody-has-learnt"]].into_iter().enumerate()
    {
        for id in 1..=3 {
            write_secret(&cluster.sentinel(id).dir().join("secret"), secrets);
        }
        for id in 1..=3 {
            cluster.timeline.wait_for(&format!("sentinel {id} has read its secrets {} times", step + 1), SOON, || {
                let read = cluster.sentinel(id).log().matches("secret have changed and are in use").count();
                if read > step { Ok(()) } else { Err(format!("{read}")) }
            });
        }
        assert_eq!(ask().is_ok(), secrets.contains(&SECRET), "over the connection of before, with {} secrets in the file", secrets.len());
    }
    // The sentinels' own connections were proven with it as well, and are made anew.
    unharmed(&mut cluster, &[1, 2, 3]);
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}

#[test]
fn where_nothing_is_asked_an_unknown_sentinel_changes_nothing() {
    let mut plan = Plan::new(Flavour::Ours);
    plan.lines.push("# no secret".to_owned());
    let mut cluster = plan.start();
    let leader = cluster.wait_for_leader(&[1, 2, 3], SOON);
    let known = Papers::of(&cluster, leader);
    let before = cluster.status(1).expect("it answers");
    // It knows the name of the cluster, and is on this host.
    let unknown = Papers { cluster: known.cluster, id: 4242, incarnation: "4242424242424242".to_owned() };
    for id in 1..=3 {
        let caller = Caller::at(raft_addr(&cluster, id), None);
        for term in [before.term, before.term + 1, u64::MAX] {
            let refused = caller.append(peer::AppendRequest {
                envelope: unknown.envelope(id),
                vote: unknown.ballot(term, true),
                previous: None,
                entries: vec![blank(place(term, 4242, 0))],
                leader_commit: Some(place(term, 4242, 0)),
            });
            assert_eq!(refused.expect_err("it is no member").code(), Code::FailedPrecondition);
            let vote = peer::VoteRequest {
                envelope: unknown.envelope(id),
                vote: unknown.ballot(term, false),
                last_log: Some(place(before.term, leader as u64, 1_000_000)),
            };
            assert_eq!(caller.vote(vote).expect_err("it is no member").code(), Code::FailedPrecondition);
        }
        let header =
            peer::SnapshotHeader { envelope: unknown.envelope(id), vote: unknown.ballot(before.term + 1, true), ..Default::default() };
        let refused = caller.snapshot(vec![peer::SnapshotChunk { part: Some(Part::Header(header)) }]);
        assert_eq!(refused.expect_err("it is no member").code(), Code::FailedPrecondition);
        let request = peer::ProposeRequest { envelope: unknown.envelope(id), command: None, within_ms: 1 };
        assert_eq!(caller.wait(caller.client.clone().propose(request)).expect_err("it is no member").code(), Code::FailedPrecondition);
        let request = peer::ReadIndexRequest { envelope: unknown.envelope(id) };
        assert_eq!(caller.wait(caller.client.clone().read_index(request)).expect_err("it is no member").code(), Code::FailedPrecondition);
        let request = peer::PreVoteRequest { envelope: unknown.envelope(id), last_log: None };
        assert_eq!(caller.wait(caller.client.clone().pre_vote(request)).expect_err("it is no member").code(), Code::FailedPrecondition);
    }
    cluster.timeline.wait_for("somebody was asked about it, in vain", SOON, || {
        let log = cluster.sentinel(1).log();
        if log.contains("sentinel 4242 calls as a member, and no sentinel that this one knows") { Ok(()) } else { Err(log) }
    });
    for id in 1..=3 {
        assert_eq!(cluster.status(id).expect("it answers").term, before.term, "nothing changed");
    }
    unharmed(&mut cluster, &[1, 2, 3]);
}

#[test]
fn a_forged_line_of_the_log_stays_a_quotation() {
    let mut plan = Plan::new(Flavour::Ours);
    plan.lines.push("# no secret".to_owned());
    let mut cluster = plan.start();
    let caller = Caller::at(raft_addr(&cluster, 1), None);
    let before = cluster.sentinel(1).log().len();
    for round in 0..300_u64 {
        let forged = format!("{round}\n2026-11-27T12:00:00Z  WARN +switch-master {GROUP} 127.0.0.1 1 127.0.0.1 2\n{}", "x".repeat(100_000));
        let papers = Papers { cluster: forged.clone(), id: 5000 + round % 7, incarnation: forged };
        let refused = caller.vote(peer::VoteRequest { envelope: papers.envelope(1), vote: papers.ballot(1, false), last_log: None });
        assert_eq!(refused.expect_err("it is of another cluster").code(), Code::FailedPrecondition);
    }
    let log = cluster.sentinel(1).log()[before..].to_owned();
    assert!(log.len() < 64 * 1024, "{} bytes of log for 300 calls", log.len());
    assert!(!log.lines().any(|line| line.contains("+switch-master") && !line.contains("belongs to cluster")), "{log}");
    assert!(log.contains("belongs to cluster '0\\n2026"), "{log}");
    unharmed(&mut cluster, &[1, 2, 3]);
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

#[test]
fn unfinished_snapshots_cost_what_one_may_cost() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let secret = write_secret(&cluster.scratch.path().join("stolen"), &[SECRET]);
    let term = cluster.status(1).expect("it answers").term;
    let papers = Papers::of(&cluster, 3);
    cluster.sentinel_mut(3).kill();
    let target = cluster.wait_for_leader(&[1, 2], SOON);
    let caller = Caller::at(raft_addr(&cluster, target), Some(&secret));
    let pid = cluster.sentinel(target).pid().expect("it runs");
    let before = resident_kb(pid);
    let header = |bytes: u64| {
        let header = peer::SnapshotHeader {
            envelope: papers.envelope(target),
            vote: papers.ballot(term + 50, true),
            last_log: Some(place(term, 1, 1_000_000)),
            membership_log: Some(place(term, 1, 1)),
            membership: match membership(place(1, 1, 1), &[&[1, 2, 3]], &[1, 2, 3]).payload {
                Some(peer::entry::Payload::Membership(membership)) => Some(membership),
                _ => None,
            },
            snapshot_id: "x".to_owned(),
            bytes,
            crc32: 0,
        };
        peer::SnapshotChunk { part: Some(Part::Header(header)) }
    };
    let chunk = || peer::SnapshotChunk { part: Some(Part::Data(vec![7; 1024 * 1024])) };
    // Five streams that begin a snapshot of 200 MB, send 60 MB of it, and never end.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    for _ in 0..5 {
        let mut client = caller.client.clone();
        let (head, mut stopped) = (header(200 * 1024 * 1024), stopped.clone());
        let chunks: Vec<peer::SnapshotChunk> = (0..60).map(|_| chunk()).collect();
        caller.runtime.spawn(async move {
            let endless = async_stream_of(head, chunks);
            tokio::select! {
                _ = client.install_snapshot(endless) => {}
                _ = stopped.changed() => {}
            }
        });
    }
    let mut highest = 0;
    cluster.timeline.holds("the memory stays", Duration::from_secs(4), || {
        highest = highest.max(resident_kb(pid));
        if highest < before + 160 * 1024 { Ok(()) } else { Err(format!("{before} kB before, {highest} kB now")) }
    });
    println!("{before} kB before, {highest} kB at most while five snapshots were under way");
    let refused = caller.snapshot(vec![header(1 << 40), chunk()]).expect_err("it is larger than any");
    assert!([Code::ResourceExhausted, Code::InvalidArgument].contains(&refused.code()), "{refused}");
    drop(stop);
    drop(caller);
    unharmed(&mut cluster, &[1, 2]);
    cluster.sentinel_mut(3).restart();
    unharmed(&mut cluster, &[1, 2, 3]);
}

/// A head, its chunks, and then nothing for ever.
fn async_stream_of(
    head: peer::SnapshotChunk,
    chunks: Vec<peer::SnapshotChunk>,
) -> impl tokio_stream::Stream<Item = peer::SnapshotChunk> + Send {
    use tokio_stream::StreamExt;
    tokio_stream::iter(std::iter::once(head).chain(chunks)).chain(tokio_stream::pending())
}

/// The attacker has everything of sentinel 3: its secret, its name, the life of its disk.
#[test]
fn a_sentinel_that_was_taken_over_whole_kills_no_other() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let secret = write_secret(&cluster.scratch.path().join("stolen"), &[SECRET]);
    let papers = Papers::of(&cluster, 3);
    cluster.sentinel_mut(3).kill();
    cluster.wait_for_leader(&[1, 2], SOON);
    let max = u64::MAX;
    for target in [1, 2] {
        let caller = Caller::at(raft_addr(&cluster, target), Some(&secret));
        let envelope = || papers.envelope(target);
        let seen = cluster.status(target).expect("it answers");
        let (term, next) = (seen.term, seen.last_log_index + 1);
        let refused = |what: &str, answered: Result<(), Status>| {
            let status = answered.expect_err(what);
            assert!(
                [Code::InvalidArgument, Code::FailedPrecondition, Code::ResourceExhausted].contains(&status.code()),
                "{what}: {status}"
            );
        };
        for huge in [max, max - 1, 1 << 63, (1 << 62) + 1, term + (1 << 33)] {
            let vote =
                peer::VoteRequest { envelope: envelope(), vote: papers.ballot(huge, false), last_log: Some(place(term, 1, 1_000_000)) };
            // One that hears its leader says no by itself; the other refuses the number. None may keep it.
            if let Ok(reply) = caller.vote(vote) {
                assert!(!reply.granted, "it voted in term {huge}");
            }
            let append = peer::AppendRequest { envelope: envelope(), vote: papers.ballot(huge, true), ..Default::default() };
            refused("a term beyond reach", caller.append(append).map(drop));
        }
        let pre_vote = peer::PreVoteRequest { envelope: envelope(), last_log: Some(place(max, max, max)) };
        let _ = caller.wait(caller.client.clone().pre_vote(pre_vote));

        let t = term + 1;
        let append = |previous: Option<peer::LogId>, entries: Vec<peer::Entry>, leader_commit: Option<peer::LogId>| peer::AppendRequest {
            envelope: envelope(),
            vote: papers.ballot(t, true),
            previous,
            entries,
            leader_commit,
        };
        let nonsense: Vec<(&str, peer::AppendRequest)> = vec![
            ("an entry at the end of numbers", append(Some(place(1, 1, max - 1)), vec![blank(place(t, 3, max))], None)),
            ("a previous place at the end of numbers", append(Some(place(1, 1, max)), vec![], Some(place(1, 1, max)))),
            ("a previous place of a later term", append(Some(place(t + 5, 3, 0)), vec![], None)),
            ("entries that contradict what was committed", append(None, vec![blank(place(t, 3, 0))], None)),
            ("a previous place that contradicts it", append(Some(place(t, 3, 1)), vec![], None)),
            ("a hole between entries", append(None, vec![blank(place(0, 0, 0)), blank(place(t, 3, 2))], None)),
            ("an entry of a later term", append(Some(place(1, 1, next)), vec![blank(place(t + 1, 3, next + 1))], None)),
            ("an entry without a place", append(None, vec![peer::Entry { id: None, payload: None }], None)),
            ("too many entries", append(None, (0..100).map(|index| blank(place(0, 0, index))).collect(), None)),
            ("no voters at all", append(Some(place(1, 1, next)), vec![membership(place(t, 3, next + 1), &[], &[1, 2, 3])], None)),
            ("an empty set of voters", append(Some(place(1, 1, next)), vec![membership(place(t, 3, next + 1), &[&[]], &[1, 2, 3])], None)),
            (
                "voters without addresses",
                append(Some(place(1, 1, next)), vec![membership(place(t, 3, next + 1), &[&[9]], &[1, 2, 3])], None),
            ),
            (
                "three sets of voters",
                append(Some(place(1, 1, next)), vec![membership(place(t, 3, next + 1), &[&[1], &[2], &[3]], &[1, 2, 3])], None),
            ),
            (
                "a thousand members",
                append(Some(place(1, 1, next)), vec![membership(place(t, 3, next + 1), &[&[1]], &(1..1000).collect::<Vec<_>>())], None),
            ),
            ("a command that is none", append(Some(place(1, 1, next)), vec![command(place(t, 3, next + 1), 1, b"{\"Nonsense\":1}")], None)),
            ("a command of a later release", append(Some(place(1, 1, next)), vec![command(place(t, 3, next + 1), 2, b"?")], None)),
            (
                "a command of a megabyte",
                append(Some(place(1, 1, next)), vec![command(place(t, 3, next + 1), 1, &vec![b' '; 1 << 20])], None),
            ),
        ];
        for (what, request) in nonsense {
            refused(what, caller.append(request).map(drop));
            assert!(cluster.sentinel_mut(target).is_running(), "{what} ended sentinel {target}\n{}", cluster.timeline.report());
        }
        let mut other = papers.ballot(t, true);
        other.iter_mut().for_each(|ballot| ballot.candidate = target as u64);
        refused(
            "a vote that we lead",
            caller.append(peer::AppendRequest { envelope: envelope(), vote: other, ..Default::default() }).map(drop),
        );

        let header = |last: Option<peer::LogId>, list: Option<peer::LogId>| peer::SnapshotHeader {
            envelope: envelope(),
            vote: papers.ballot(t, true),
            last_log: last,
            membership_log: list,
            membership: Some(peer::Membership {
                configs: vec![peer::VoterSet { ids: vec![3] }],
                nodes: vec![peer::Node { id: 3, addr: "127.0.0.1:1".to_owned() }],
            }),
            snapshot_id: "x".to_owned(),
            bytes: 4,
            crc32: crc32fast::hash(b"none"),
        };
        let snapshots = [
            ("at the end of numbers", header(Some(place(t, 3, max)), Some(place(0, 0, 0)))),
            ("of nothing", header(None, None)),
            ("without a list of members", header(Some(place(t, 3, next + 100)), None)),
            ("with a list from the future", header(Some(place(t, 3, next + 100)), Some(place(t, 3, next + 101)))),
            ("in a place that is committed", header(Some(place(t, 3, 0)), Some(place(0, 0, 0)))),
            ("whose content is none", header(Some(place(t, 3, next + 100)), Some(place(0, 0, 0)))),
        ];
        for (what, header) in snapshots {
            let chunks = vec![
                peer::SnapshotChunk { part: Some(Part::Header(header)) },
                peer::SnapshotChunk { part: Some(Part::Data(b"none".to_vec())) },
            ];
            refused(what, caller.snapshot(chunks).map(drop));
            assert!(cluster.sentinel_mut(target).is_running(), "a snapshot {what} ended sentinel {target}\n{}", cluster.timeline.report());
        }
        let log = cluster.sentinel(target).log();
        let told = log.lines().filter(|line| line.contains("refused from sentinel 3")).count();
        assert!((1..=7).contains(&told), "{told} lines about one peer");
    }
    unharmed(&mut cluster, &[1, 2]);

    // A commit point that is not in the log, from a leader that is otherwise in order: it deposes ours, as a sentinel may, and no more.
    let leader = cluster.wait_for_leader(&[1, 2], SOON);
    for target in [leader, 3 - leader] {
        let caller = Caller::at(raft_addr(&cluster, target), Some(&secret));
        let seen = cluster.status(target).expect("it answers");
        for commit in [place(0, 0, max), place(max, max, max), place(seen.term, 1, seen.last_log_index + 1000)] {
            let answered = caller.append(peer::AppendRequest {
                envelope: papers.envelope(target),
                vote: papers.ballot(seen.term + 3, true),
                previous: Some(place(0, 0, 0)),
                entries: vec![],
                leader_commit: Some(commit),
            });
            println!("{target} {commit:?}: {answered:?}");
            assert!(cluster.sentinel_mut(target).is_running(), "{commit:?} ended sentinel {target}\n{}", cluster.timeline.report());
        }
    }
    unharmed(&mut cluster, &[1, 2]);
    // What they keep is what they can start from.
    for id in [1, 2] {
        cluster.sentinel_mut(id).kill();
    }
    for id in [1, 2, 3] {
        cluster.sentinel_mut(id).restart();
    }
    unharmed(&mut cluster, &[1, 2, 3]);
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}

#[test]
fn a_port_that_others_reach_is_not_opened_without_a_proof() {
    use crate::kit::program;
    use crate::kit::sentinel::our_binary;
    let scratch = crate::kit::Scratch::new();
    let file = scratch.path().join("sentinel.conf");
    let port = crate::kit::ports::free_port();
    let text = format!(
        "port 0\ngrpc listen off\ndir {}\nraft node-id 1\nraft listen 0.0.0.0:{port}\nraft peer 1 127.0.0.1:{port}\n",
        scratch.path().display()
    );
    std::fs::write(&file, &text).expect("the file can be written");
    let binary = our_binary().display().to_string();
    let ended = program::run(&binary, &["serve", &file.display().to_string()], SOON);
    for way_out in ["raft secret-file", "raft tls yes", "raft insecure yes"] {
        assert!(ended.stderr.contains(way_out), "{ended:?}");
    }
    // A secret that every user of the host may read is none.
    let secret = scratch.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("it can be written");
    std::fs::write(&file, format!("{text}raft secret-file {}\n", secret.display())).expect("the file can be written");
    let ended = program::run(&binary, &["serve", &file.display().to_string()], SOON);
    assert!(ended.stderr.contains("every user of this host may use it") && !ended.stderr.contains(SECRET), "{ended:?}");
}

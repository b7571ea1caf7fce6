//! The gRPC services, the HTTP port and the operators' commands, against a cluster that fails over.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use raft_sentinel::proto::sentinel as pb;
use raft_sentinel::proto::sentinel::watch_masters_response::Event;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::kit::history::address;
use crate::kit::process::{Process, Recipe};
use crate::kit::program::{self, Ended};
use crate::kit::sentinel::our_binary;
use crate::kit::{Cluster, Flavour, GROUP, Grpc, History, Plan, Sentinel};

const SOON: Duration = Duration::from_secs(15);
const STALE: i32 = pb::Consistency::Stale as i32;

/// The status and the body of a GET.
pub(crate) fn http_get(port: u16, path: &str) -> (u16, String) {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = asked().unwrap_or_else(|e| panic!("GET {path} on port {port}: {e}"));
    let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    (code.unwrap_or_else(|| panic!("no HTTP: {text}")), text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// Every answer of the services, as text.
pub(crate) fn everything(port: u16) -> String {
    let grpc = Grpc::of(port);
    grpc.wait(async {
        let (mut sentinel, mut admin) = (grpc.sentinel(), grpc.admin());
        let group = GROUP.to_owned();
        let masters = sentinel.list_masters(pb::ListMastersRequest { consistency: STALE }).await;
        let replicas = sentinel.list_replicas(pb::ListReplicasRequest { group: group.clone(), consistency: STALE }).await;
        let decisions = sentinel.list_decisions(pb::ListDecisionsRequest { group, limit: 0, consistency: STALE }).await;
        let status = sentinel.status(pb::StatusRequest { groups: Vec::new() }).await;
        let members = admin.list_members(raft_sentinel::proto::admin::ListMembersRequest {}).await;
        format!("{masters:?}\n{replicas:?}\n{decisions:?}\n{status:?}\n{members:?}\n")
    })
}

fn get_master(grpc: &Grpc, group: &str, consistency: i32) -> Result<pb::GetMasterResponse, tonic::Status> {
    let request = pb::GetMasterRequest { group: group.to_owned(), consistency };
    grpc.wait(async { grpc.sentinel().get_master(request).await }).map(tonic::Response::into_inner)
}

fn health(grpc: &Grpc) -> ServingStatus {
    let request = HealthCheckRequest { service: String::new() };
    let answer = grpc.wait(async { HealthClient::new(grpc.channel()).check(request).await });
    answer.expect("the health service answers").into_inner().status()
}

#[test]
fn answers_are_confirmed_by_a_quorum_or_say_that_they_are_not() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let master = cluster.servers[0].port;
    for sentinel in &cluster.sentinels {
        let grpc = Grpc::of(sentinel.ports.grpc);
        for consistency in [pb::Consistency::Linearizable as i32, STALE] {
            // Linearizable answers come as soon as there is a leader.
            let answer =
                timeline.wait_for("an answer", SOON, || get_master(&grpc, GROUP, consistency).map_err(|status| status.to_string()));
            let (found, how) = (answer.master.expect("a master"), answer.answer.expect("an answer says how"));
            assert_eq!(address(found.address.as_ref()), format!("127.0.0.1:{master}"));
            assert_eq!((how.stale, how.answered_by), (consistency == STALE, sentinel.id as u64));
            assert!(how.applied_index > 0);
        }
        assert_eq!(get_master(&grpc, "nobody", STALE).expect_err("no such group").code(), Code::NotFound);
        assert_eq!(get_master(&grpc, "", 0).expect_err("no name").code(), Code::InvalidArgument);
        timeline.wait_for("both health services say so", SOON, || match (health(&grpc), http_get(sentinel.ports.http, "/readyz")) {
            (ServingStatus::Serving, (200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    let rest: Vec<Sentinel> = cluster.sentinels.drain(1..).collect();
    drop(rest);
    timeline.note("the other two sentinels are gone");
    let last = &cluster.sentinels[0];
    let grpc = Grpc::of(last.ports.grpc);
    timeline.wait_for("the health service says so", SOON, || match health(&grpc) {
        ServingStatus::NotServing => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let asked = Instant::now();
    let refused = get_master(&grpc, GROUP, 0).expect_err("there is no quorum");
    println!("without a quorum the answer took {:?}: {}", asked.elapsed(), refused.message());
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    let stale = get_master(&grpc, GROUP, STALE).expect("a stale answer needs no quorum");
    assert!(stale.answer.expect("how").stale);
    assert!(History::of(last.ports.grpc).status().is_ok(), "Status needs no quorum");
    assert_eq!((http_get(last.ports.http, "/readyz").0, http_get(last.ports.http, "/healthz").0), (503, 200));
}

#[test]
fn replicas_are_told_with_their_health_their_lag_and_why_they_could_not_be_promoted() {
    let mut cluster = Plan { priorities: vec![100, 0], ..Plan::new(Flavour::Ours) }.start();
    let (timeline, never) = (cluster.timeline.clone(), cluster.servers[2].port);
    let grpc = Grpc::of(cluster.sentinels[1].ports.grpc);
    let list = || -> Result<Vec<pb::DataNode>, String> {
        let request = pb::ListReplicasRequest { group: GROUP.to_owned(), consistency: 0 };
        let answer = grpc.wait(async { grpc.sentinel().list_replicas(request).await });
        answer.map(|answer| answer.into_inner().replicas).map_err(|status| status.to_string())
    };
    let node = |port: u16| -> Result<pb::DataNode, String> {
        list()?
            .into_iter()
            .find(|node| address(node.address.as_ref()) == format!("127.0.0.1:{port}"))
            .ok_or(format!("{port} is not listed"))
    };
    let good = cluster.servers[1].port;
    timeline.wait_for("one is eligible, the other is not, with the reason", SOON, || {
        let (one, other) = (node(good)?, node(never)?);
        let both = [&one, &other].iter().all(|node| node.health() == pb::Health::Up && node.lag_bytes.is_some() && node.offset.is_some());
        let priority = other.ineligible_reason.contains("priority");
        if both && one.eligible && one.ineligible_reason.is_empty() && !other.eligible && priority {
            Ok(())
        } else {
            Err(format!("{one:#?} {other:#?}"))
        }
    });
    cluster.server_mut(good).kill();
    timeline.wait_for("the dead one is down, and why", SOON, || {
        let node = node(good)?;
        if node.health() == pb::Health::Down && !node.eligible && !node.health_reason.is_empty() {
            Ok(())
        } else {
            Err(format!("{node:#?}"))
        }
    });
}

#[test]
fn reflection_lists_the_services_and_metrics_can_be_scraped() {
    let cluster = Plan { replicas: 1, ..Plan::new(Flavour::Ours) }.start();
    let grpc = Grpc::of(cluster.sentinels[0].ports.grpc);
    let question = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    let answer = grpc.wait(async {
        let mut reflection = ServerReflectionClient::new(grpc.channel());
        let mut answers = reflection.server_reflection_info(tokio_stream::once(question)).await.expect("it answers").into_inner();
        answers.message().await.expect("it answers").expect("an answer").message_response
    });
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["raftsentinel.v1.Sentinel", "raftsentinel.admin.v1.Admin", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    let (code, metrics) = http_get(cluster.sentinels[0].ports.http, "/metrics");
    assert_eq!(code, 200);
    assert!(metrics.lines().any(|line| line.contains(GROUP) && !line.starts_with('#')), "{metrics}");
    assert!(metrics.trim_end().ends_with("# EOF"), "it is OpenMetrics");
}

/// Has the master replaced although it is up, and waits until that is over; returns the decision.
fn fail_over(cluster: &Cluster, by: &Sentinel) -> pb::Decision {
    cluster.timeline.wait_for(&format!("sentinel {} starts a failover", by.id), SOON, || {
        let reply = by.ask(&["SENTINEL", "FAILOVER", GROUP]).map_err(|e| e.to_string())?;
        if reply.is_ok() { Ok(()) } else { Err(reply.to_string()) }
    });
    let mut history = History::of(by.ports.grpc);
    cluster.timeline.wait_for("it has ended", SOON, || {
        let newest = history.decisions(GROUP)?.into_iter().next().ok_or("there is none")?;
        if newest.ending.is_some() { Ok(newest) } else { Err(format!("{newest:?}")) }
    })
}

/// A watch that goes on beside the test, and what came of it.
#[derive(Clone, Default)]
struct Watching {
    events: Arc<Mutex<Vec<Event>>>,
    ended: Arc<Mutex<Option<String>>>,
}

impl Watching {
    fn start(grpc: &Grpc, after_revision: Option<u64>) -> Self {
        let (watching, mut client) = (Self::default(), grpc.sentinel());
        let (events, ended) = (Arc::clone(&watching.events), Arc::clone(&watching.ended));
        let request = pb::WatchMastersRequest { groups: vec![GROUP.to_owned()], after_revision, consistency: 0 };
        grpc.spawn(async move {
            let run = async {
                let mut stream = client.watch_masters(request).await?.into_inner();
                while let Some(message) = stream.message().await? {
                    events.lock().expect("nobody panics with it").extend(message.event);
                }
                Err::<(), _>(tonic::Status::ok("the stream ended"))
            };
            let status = run.await.expect_err("only an error ends it");
            *ended.lock().expect("nobody panics with it") = Some(format!("{:?}: {}", status.code(), status.message()));
        });
        watching
    }

    /// Revision and master of each change.
    fn changes(&self) -> Vec<(u64, String)> {
        let told = self.events.lock().expect("nobody panics with it");
        let change = |event: &Event| match event {
            Event::Change(change) => Some((change.revision, address(change.master.as_ref()))),
            Event::Snapshot(_) | Event::Progress(_) | Event::Unconfirmed(_) => None,
        };
        told.iter().filter_map(change).collect()
    }

    fn first_revision(&self) -> Option<u64> {
        self.events.lock().expect("nobody panics with it").iter().find_map(|event| match event {
            Event::Snapshot(snapshot) => Some(snapshot.revision),
            Event::Change(_) | Event::Progress(_) | Event::Unconfirmed(_) => None,
        })
    }
}

#[test]
fn a_watch_gets_each_change_once_in_order_and_goes_on_elsewhere() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let all: Vec<Grpc> = cluster.sentinels.iter().map(|sentinel| Grpc::of(sentinel.ports.grpc)).collect();
    let watches: Vec<Watching> = all.iter().map(|grpc| Watching::start(grpc, None)).collect();
    let first = timeline.wait_for("the watch begins with a snapshot", SOON, || watches[2].first_revision().ok_or("none".to_owned()));
    timeline.wait_until("the other watches have begun", SOON, || watches.iter().all(|watch| watch.first_revision().is_some()));
    let expect = |decision: &pb::Decision| {
        let chosen = decision.choice.as_ref().expect("it came to a decision").chosen.as_ref();
        (decision.decided.expect("it was decided").index, address(chosen))
    };
    let mut expected: Vec<_> = (0..3).map(|round| expect(&fail_over(&cluster, &cluster.sentinels[round % 2]))).collect();
    for (watch, sentinel) in watches.iter().zip(&cluster.sentinels) {
        timeline.wait_for(&format!("sentinel {} has told of all of them", sentinel.id), SOON, || {
            let told = watch.changes();
            if told == expected { Ok(()) } else { Err(format!("{told:?} instead of {expected:?}")) }
        });
    }
    // The watched sentinel dies; its client goes on at another one, and misses nothing of what happens in between.
    cluster.sentinels[2].kill();
    timeline.wait_until("its watch has ended", SOON, || watches[2].ended.lock().expect("nobody panics with it").is_some());
    expected.push(expect(&fail_over(&cluster, &cluster.sentinels[0])));
    let last_seen = watches[2].changes().last().expect("there are three").0;
    let resumed = Watching::start(&all[1], Some(last_seen));
    let from_start = Watching::start(&all[0], Some(first));
    expected.push(expect(&fail_over(&cluster, &cluster.sentinels[1])));
    timeline.wait_for("the resumed watch has the rest", SOON, || {
        let told: Vec<_> = watches[2].changes().into_iter().chain(resumed.changes()).collect();
        if told == expected && from_start.changes() == expected && watches[0].changes() == expected {
            Ok(())
        } else {
            Err(format!("{told:?} instead of {expected:?}"))
        }
    });
    let future = Watching::start(&all[0], Some(1 << 40));
    timeline.wait_for("a revision of the future is refused", SOON, || {
        let ended = future.ended.lock().expect("nobody panics with it").clone().ok_or("it goes on")?;
        if ended.starts_with("InvalidArgument") { Ok(()) } else { Err(ended) }
    });
}

#[test]
fn a_watch_that_was_away_for_too_long_is_told_so() {
    let cluster = Plan { replicas: 0, ..Plan::new(Flavour::Ours) }.start();
    let grpc = Grpc::of(cluster.sentinels[0].ports.grpc);
    let first = get_master(&grpc, GROUP, STALE).expect("it is monitored").answer.expect("how").applied_index;
    // A group that is added or removed has another master: 1024 such changes are remembered.
    let work = |number: usize| {
        let (sentinel, name) = (&cluster.sentinels[number % 3], format!("group-{number}"));
        for _ in 0..70 {
            until_done(sentinel, &["SENTINEL", "MONITOR", &name, "127.0.0.1", "6", "2"]);
            until_done(sentinel, &["SENTINEL", "REMOVE", &name]);
        }
    };
    std::thread::scope(|scope| (0..8).for_each(|name| drop(scope.spawn(move || work(name)))));
    let old = Watching::start(&grpc, Some(first));
    cluster.timeline.wait_for("a forgotten revision is refused", SOON, || {
        let ended = old.ended.lock().expect("nobody panics with it").clone().ok_or("it goes on")?;
        if ended.starts_with("OutOfRange") && ended.contains("oldest revision") { Ok(()) } else { Err(ended) }
    });
}

/// Makes a change, be it at the second attempt: what is gone was removed by the first one, whose outcome was unknown.
fn until_done(sentinel: &Sentinel, words: &[&str]) {
    let reply = sentinel.answer(words);
    let gone = words[1] == "REMOVE" && reply.error() == Some("ERR No such master with that name");
    assert!(reply.is_ok() || gone, "{words:?}: {reply}");
}

#[test]
fn the_example_client_follows_through_the_loss_of_a_sentinel_and_of_the_master() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let log = cluster.scratch.path().join("follow_master.log");
    timeline.watch_log("follow_master", log.clone());
    let sentinels = cluster.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc));
    let args: Vec<String> = std::iter::once(GROUP.to_owned()).chain(sentinels).collect();
    let mut follower = Process::start(Recipe { program: example("follow_master"), args, env: Vec::new(), log: log.clone() });
    let said = |what: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if text.contains(what) { Ok(()) } else { Err(text) }
    };
    let old = cluster.servers[0].port;
    timeline.wait_for("it writes", SOON, || said(&format!("to 127.0.0.1:{old}")));
    // The one that it listens to goes first.
    cluster.sentinels[0].kill();
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    timeline.wait_for("it writes to the new master", SOON, || said(&format!("to 127.0.0.1:{new}")));
    assert!(said("after revision").is_ok(), "it resumed rather than began anew");
    assert!(follower.is_running());
    let told = std::fs::read_to_string(&log).expect("it wrote");
    assert_eq!(told.matches("change ").count(), 1, "one change, once: {told}");
}

/// An example of this crate, built now: `cargo test --test live` does not build it.
fn example(name: &str) -> std::path::PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", name]);
    if cfg!(feature = "failpoints") {
        build.args(["--features", "failpoints"]);
    }
    let built = build.output().unwrap_or_else(|e| panic!("cargo is needed to build the example {name}: {e}"));
    assert!(built.status.success(), "the example {name} does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    let this = std::env::current_exe().expect("a running program has a path");
    this.ancestors().nth(2).expect("it lies in deps").join("examples").join(name)
}

fn operator(cluster: &Cluster, words: &[&str]) -> Ended {
    let addrs: Vec<String> = cluster.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc)).collect();
    let addr = addrs.join(",");
    let words: Vec<&str> = words.iter().copied().chain(["--addr", &addr]).collect();
    program::run(&our_binary().display().to_string(), &words, Duration::from_secs(30))
}

#[test]
fn operators_see_and_change_the_cluster_from_the_command_line() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let ports: Vec<String> = cluster.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let has = |text: &str, parts: &[&str]| assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in:\n{text}");
    has(&operator(&cluster, &["status"]).success(), &[GROUP, &ports[0], "leader"]);
    has(&operator(&cluster, &["masters"]).success(), &[GROUP, &ports[0]]);
    has(&operator(&cluster, &["replicas", GROUP]).success(), &[&ports[1], &ports[2]]);
    has(&operator(&cluster, &["members", "list"]).success(), &["voter", "leader"]);
    let log = cluster.scratch.path().join("watch.log");
    let addr = format!("127.0.0.1:{}", cluster.sentinels[0].ports.grpc);
    let args = ["watch", GROUP, "--json", "--addr", &addr].map(str::to_owned).to_vec();
    let mut watch = Process::start(Recipe { program: our_binary(), args, env: Vec::new(), log: log.clone() });
    let lines = || std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    timeline.wait_for("the watch has begun", SOON, || if lines().is_empty() { Err("no line".to_owned()) } else { Ok(()) });
    has(&operator(&cluster, &["failover", GROUP]).success(), &["epoch 1"]);
    let new = cluster.wait_for_new_master(cluster.servers[0].port, SOON);
    timeline.wait_for("the watch tells of it", SOON, || {
        let told = lines();
        if told.iter().any(|line| line.contains("change") && line.contains(&new.to_string())) { Ok(()) } else { Err(format!("{told:#?}")) }
    });
    for line in lines() {
        serde_json::from_str::<serde_json::Value>(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    watch.kill();
    has(&operator(&cluster, &["decisions", GROUP]).success(), &[&ports[0], &format!("127.0.0.1:{new}")]);
    for words in [&["masters", "--json"][..], &["status", "--json"], &["decisions", "--json"], &["members", "list", "--json"]] {
        let text = operator(&cluster, words).success();
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{words:?}: {e}: {text}"));
    }
    let refused = operator(&cluster, &["replicas", "nobody"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("nobody"), "{refused:?}");
    let rest: Vec<Sentinel> = cluster.sentinels.drain(1..).collect();
    drop(rest);
    let alone = operator(&cluster, &["masters"]);
    assert!(alone.code == Some(1) && alone.stderr.contains("quorum"), "{alone:?}");
    has(&operator(&cluster, &["masters", "--stale"]).success(), &[&format!("127.0.0.1:{new}")]);
}

#[test]
fn every_sentinel_lists_the_same_decisions() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let timeline = cluster.timeline.clone();
    let first = fail_over(&cluster, &cluster.sentinels[1]);
    let old = cluster.sentinels[0].master().expect("it answers");
    timeline.wait_until("the replicas follow", SOON, || cluster.formed().is_ok());
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
    let told = timeline.wait_for("all tell of two failovers that have ended, in the same words", SOON, || {
        let all =
            cluster.sentinels.iter().map(|sentinel| History::of(sentinel.ports.grpc).decisions(GROUP)).collect::<Result<Vec<_>, _>>()?;
        let same = all.iter().all(|told| *told == all[0]);
        let over = all[0].len() == 2 && all[0].iter().all(|decision| decision.ending.is_some());
        if same && over { Ok(all[0].clone()) } else { Err(format!("same {same}: {all:#?}")) }
    });
    assert_eq!(told[1], first, "the older one is second and has not changed");
    assert_eq!((told[0].epoch, told[1].epoch), (2, 1));
}

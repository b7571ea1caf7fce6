//! The gRPC services, the HTTP port and the operators' commands, against a cluster that fails over.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use raft_sentinel::proto::sentinel as pb;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::kit::history::address;
use crate::kit::{Cluster, Flavour, GROUP, Grpc, History, Plan, Sentinel};

const SOON: Duration = Duration::from_secs(15);
pub(crate) const STALE: i32 = pb::Consistency::Stale as i32;

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

pub(crate) fn get_master(grpc: &Grpc, group: &str, consistency: i32) -> Result<pb::GetMasterResponse, tonic::Status> {
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

/// Has the master replaced although it is up, and waits until that is over; returns the decision.
pub(crate) fn fail_over(cluster: &Cluster, by: &Sentinel) -> pb::Decision {
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

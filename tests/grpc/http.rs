//! Metrics, liveness and readiness over HTTP.

use raft_sentinel::base::{Fence, FenceSight};
use raft_sentinel::judge::{Outlook, Readiness};
use raft_sentinel::raft::Leadership;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{World, name, node, soon, view};

/// The status code and the body of a GET.
async fn get(world: &World, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(world.http.authority()).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    soon("an answer", stream.read_to_string(&mut text)).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn ready_means_that_linearizable_answers_can_be_had() {
    let world = World::start().await;
    assert_eq!(get(&world, "/readyz").await.0, 200);
    world.fake.lead(Leadership::Unknown);
    let (code, body) = get(&world, "/readyz").await;
    assert_eq!(code, 503);
    assert!(body.contains("the others are unreachable"), "{body}");
    assert_eq!(get(&world, "/healthz").await.0, 200, "the process works all the same");
    assert_eq!(get(&world, "/nothing").await.0, 404);
}

#[tokio::test]
async fn metrics_tell_of_raft_groups_and_nodes() {
    let world = World::start().await;
    world.monitor("a");
    let until_counted = async {
        // The counting task listens from its start on; the first failover it hears of proves that it does.
        let mut port = 2;
        while !get(&world, "/metrics").await.1.contains(r#"failovers_total{group="a",step="completed"}"#) {
            world.move_master("a", &node(port));
            port = 3 - port;
        }
    };
    soon("a counted failover", until_counted).await;
    let now = world.clock.mono();
    let seen = view(now, |view| {
        view.nodes.get_mut(&node(3)).unwrap().down_since = Some(now);
        view.nodes.get_mut(&node(2)).unwrap().fence = Some((now, FenceSight::Holds(Fence { min_replicas: 1, max_lag_s: 2 })));
        view.fence_alarm = Some("10.0.0.1:1 holds nothing".to_owned());
    });
    world.board.show(&name("a"), seen);
    let (code, text) = get(&world, "/metrics").await;
    assert_eq!(code, 200);
    let epoch = world.group("a").epoch;
    for line in [
        "raft_sentinel_raft_term 7.0".to_owned(),
        "raft_sentinel_raft_leader 1.0".to_owned(),
        "raft_sentinel_scripts_queued 0.0".to_owned(),
        "raft_sentinel_scripts_failed_total 0.0".to_owned(),
        "raft_sentinel_raft_quorum_ack_age_seconds 0.012".to_owned(),
        "raft_sentinel_raft_sync_seconds 0.0021".to_owned(),
        format!("raft_sentinel_group_epoch{{group=\"a\"}} {epoch}.0"),
        format!("raft_sentinel_group_master_info{{group=\"a\",address=\"{}\"}} 1.0", world.group("a").master.addr),
        "raft_sentinel_group_failover_phase{group=\"a\",phase=\"none\"} 1.0".to_owned(),
        "raft_sentinel_group_last_failover_estimated_loss_bytes{group=\"a\"} 100.0".to_owned(),
        "raft_sentinel_node_up{group=\"a\",address=\"10.0.0.1:3\",role=\"replica\"} 0.0".to_owned(),
        "raft_sentinel_fence_armed{group=\"a\"} 0.0".to_owned(),
        "raft_sentinel_fence_min_replicas{group=\"a\"} 1.0".to_owned(),
        "raft_sentinel_fence_wait_replicas{group=\"a\"} 0.0".to_owned(),
        "raft_sentinel_fence_covered{group=\"a\"} 0.0".to_owned(),
        "raft_sentinel_fence_problem{group=\"a\"} 1.0".to_owned(),
        "raft_sentinel_node_min_replicas_to_write{group=\"a\",address=\"10.0.0.1:2\"} 1.0".to_owned(),
        "raft_sentinel_node_offset_bytes{group=\"a\",address=\"10.0.0.1:2\"} 990.0".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "no line '{line}' in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let (code, text) = get(&world, "/readyz").await;
    assert_eq!(code, 200, "a problem with a fence makes nobody less ready");
    assert!(text.contains("fence problem of a: 10.0.0.1:1 holds nothing\n"), "{text}");
}

#[tokio::test]
async fn a_group_is_ready_when_a_failover_of_it_would_come_to_its_end() {
    let world = World::start().await;
    world.monitor("a");
    assert_eq!(get(&world, "/readyz?group=a").await, (503, "not ready: failover unknown\n".to_owned()), "before the first look");
    assert_eq!(get(&world, "/readyz?group=b").await.0, 404);
    for (would, code, value) in [(Outlook::Yes, 200, "1.0"), (Outlook::Partly, 200, "0.5"), (Outlook::No, 503, "0.0")] {
        let seen = view(world.clock.mono(), |view| {
            view.readiness = Readiness { would, next: Some(node(2)), why: vec!["10.0.0.1:3: down".to_owned()] };
            view.readiness_alarm = Some("10.0.0.1:3: down".to_owned());
        });
        world.board.show(&name("a"), seen);
        let (found, text) = get(&world, "/readyz?x=1&group=%61").await;
        assert_eq!(found, code, "{text}");
        assert!(text.contains(would.as_str()) && text.contains("next: 10.0.0.1:2\n10.0.0.1:3: down\n"), "{text}");
        let (_, text) = get(&world, "/metrics").await;
        assert!(text.contains(&format!("raft_sentinel_failover_ready{{group=\"a\"}} {value}\n")), "{text}");
        let (found, text) = get(&world, "/readyz").await;
        assert_eq!(found, 200, "the sentinel itself is ready");
        assert!(text.contains("failover of a: 10.0.0.1:3: down\n"), "{text}");
    }
}

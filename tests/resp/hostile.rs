//! Clients that mean no good.

use std::time::Duration;

use proptest::prelude::*;
use raft_sentinel::base::{LogIndex, WallTime};
use raft_sentinel::machine::{Event, LoggedEvent};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::wire::{DEADLINE, Wire};
use super::world::{addr, group, world};

fn word() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "SENTINEL",
        "MASTER",
        "MASTERS",
        "mymaster",
        "SET",
        "quorum",
        "MONITOR",
        "RESET",
        "*",
        "CLIENT",
        "LIST",
        "KILL",
        "ID",
        "HELLO",
        "3",
        "2",
        "AUTH",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "PSUBSCRIBE",
        "COMMAND",
        "DOCS",
        "INFO",
        "PUBLISH",
        "FORGET",
        "127.0.0.1",
        "6379",
        "-1",
        "0",
        "IS-MASTER-DOWN-BY-ADDR",
        "CONFIG",
        "GET",
        "CKQUORUM",
        "FAILOVER",
        "REMOVE",
        "INFO-CACHE",
        "HELP",
        "SHUTDOWN",
        "ABORT",
    ]);
    prop_oneof![4 => known.prop_map(|word| word.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..20)]
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(word(), 1..8).prop_map(|words| {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        bytes
    })
}

fn attack() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, u8)>, Vec<usize>)> {
    let bytes = prop::collection::vec(frame(), 1..8).prop_map(|frames| frames.concat());
    (bytes, prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), prop::collection::vec(1_usize..60, 1..8))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Mutated requests in random pieces: whatever becomes of that client, the server answers the next one.
    #[test]
    fn the_server_survives((mut bytes, mutations, cuts) in attack()) {
        for (at, byte) in mutations {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            let mut wire = Wire::open(world.addr).await;
            let mut at = 0;
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                if at >= end || wire.stream.write_all(&bytes[at..end]).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
                at = end;
            }
            let _ = wire.stream.shutdown().await;
            let _ = timeout(DEADLINE, wire.until_closed()).await.expect("the session ends with its client");
            // A panic would have ended the task of the session only, so the count of clients is looked at, too.
            let mut next = Wire::open(world.addr).await;
            assert_eq!(next.ask("PING").await, "+PONG\r\n");
            assert!(next.ask("INFO clients").await.contains("connected_clients:1\r\n"));
        });
    }
}

#[tokio::test]
async fn protocol_errors_are_told_before_the_end() {
    let world = world().await;
    for (bytes, reply) in [
        ("PING\r\n*x\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"),
        ("*1\r\n#4\r\n", "-ERR Protocol error: expected '$', got '#'\r\n"),
        ("*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("PING \"x\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
    ] {
        let mut wire = Wire::open(world.addr).await;
        wire.send(bytes).await;
        assert_eq!(wire.until_closed().await, reply);
    }
}

/// A browser can be made to send this to any port of the machine it runs on.
#[tokio::test]
async fn http_is_cut_off_before_its_body() {
    let world = world().await;
    for head in ["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: sentinel\r\n"] {
        let mut wire = Wire::open(world.addr).await;
        wire.send(format!("{head}\r\nSENTINEL REMOVE mymaster\r\n")).await;
        assert!(!wire.until_closed().await.contains("+OK"));
        assert!(Wire::open(world.addr).await.ask("SENTINEL MASTER mymaster").await.starts_with("*66"));
    }
}

/// A client that sends and never reads gets no more than a bounded number of replies stored, and holds up nobody.
#[tokio::test]
async fn one_who_never_reads_is_not_served_on() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    let requests = "SENTINEL REPLICAS mymaster\r\n".repeat(1000);
    // 28 bytes ask for about 900: the server stops to read when its replies are not taken, so writing stalls.
    let mut sent = 0;
    while let Ok(written) = timeout(Duration::from_millis(500), wire.stream.write_all(requests.as_bytes())).await {
        written.unwrap();
        sent += requests.len();
        assert!(sent < 64 * 1024 * 1024, "the server takes requests without end");
    }
    assert_eq!(Wire::open(world.addr).await.ask("PING").await, "+PONG\r\n");
}

#[tokio::test]
async fn a_subscriber_that_never_reads_is_cut_off() {
    let world = world().await;
    let mut deaf = Wire::open(world.addr).await;
    deaf.ask("PSUBSCRIBE *").await;
    let mut good = Wire::open(world.addr).await;
    let event = Event::GroupReset { master: addr(6379) };
    let logged = LoggedEvent { index: LogIndex(99), at: WallTime(0), group: Some(group()), event };
    // Until the buffers between the two are full, and the hub's as well. In small steps, so that nothing is lost on the way to the hub.
    for round in 0.. {
        world.fake.flood(&logged, 50);
        let list = good.ask("CLIENT LIST TYPE pubsub").await;
        if list == "$0\r\n\r\n" {
            return;
        }
        assert!(round < 20_000, "still there: {list}");
    }
}

/// Others may send what they like, as fast as they can: a well-behaved client is answered all the while, and soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_one_does_not_drown_another() {
    let world = world().await;
    let floods: [Vec<u8>; 4] = [
        b"*1000\r\n".iter().copied().chain(b"$1\r\nx\r\n".repeat(1000)).collect(),
        b"SENTINEL MASTERS\r\n".repeat(500),
        b"\xff\x00*3\r\n$-7\r\n\"".repeat(200),
        b"*1\r\n$65536\r\n".iter().copied().chain(std::iter::repeat_n(b'y', 60_000)).collect(),
    ];
    let hostile: Vec<_> = floods.into_iter().map(|bytes| tokio::spawn(flood(world.addr, bytes))).collect();
    let mut good = Wire::open(world.addr).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let start = std::time::Instant::now();
        assert!(good.ask("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster").await.contains("6379"));
        slowest = slowest.max(start.elapsed());
    }
    assert!(hostile.iter().all(|task| !task.is_finished()), "the flood has gone on all the time");
    hostile.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(slowest < Duration::from_secs(2), "one answer took {slowest:?}");
}

/// Sends the same again and again, reads nothing, and is back at once when it is thrown out.
async fn flood(addr: std::net::SocketAddr, bytes: Vec<u8>) {
    loop {
        let Ok(mut stream) = tokio::net::TcpStream::connect(addr).await else { continue };
        // A server that reads no further is not pressed for ever: another connection presses it anew.
        while let Ok(Ok(())) = timeout(Duration::from_millis(50), stream.write_all(&bytes)).await {}
    }
}

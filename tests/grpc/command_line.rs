//! The operator's command line, as it is typed and as it answers.

use clap::Parser;
use raft_sentinel::base::{Addr, Fence, FenceSight, NodeId};
use raft_sentinel::ctl;
use raft_sentinel::machine::FencingProof;
use raft_sentinel::raft::Leadership;
use tokio::net::TcpListener;

use crate::world::{World, name, node, soon, view};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: ctl::Command,
}

/// What the command line answers; the words are typed after `raft-sentinel`.
async fn typed(addrs: &[&Addr], words: &str) -> Result<String, String> {
    let addrs: Vec<_> = addrs.iter().map(ToString::to_string).collect();
    let words = words.split(' ').chain(["--addr"]).map(str::to_owned).chain([addrs.join(",")]);
    let cli = Cli::try_parse_from(["raft-sentinel".to_owned()].into_iter().chain(words)).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let done = soon("an answer", ctl::run(cli.command, &mut out)).await;
    done.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
}

fn assert_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
}

#[tokio::test]
async fn people_can_read_the_answers() {
    let world = World::start().await;
    world.monitor("mymaster");
    world.board.show(&name("mymaster"), view(world.clock.mono(), |_| {}));
    world.vote_down("mymaster", 1, 2_000_000);
    world.vote_down("mymaster", 2, 2_000_000);
    world.decide("mymaster", &node(2), 2_250_000);
    let at = &[&world.grpc];
    assert_all(
        &typed(at, "masters").await.unwrap(),
        &["mymaster", "10.0.0.1:2", "failover: promoting", "no fence", "Confirmed by a quorum"],
    );
    assert_all(&typed(at, "replicas mymaster").await.unwrap(), &["10.0.0.1:1", "10.0.0.1:3", "7.0.15", "PROMOTABLE"]);
    let told = typed(at, "decisions mymaster").await.unwrap();
    assert_all(&told, &["10.0.0.1:1 -> 10.0.0.1:2", "2 of 2 votes", "connection refused, silent for 30.01 s", "link down"]);
    assert_all(&told, &["known to be missing: 100 bytes", "10.0.0.1:77: priority -, offset -", "decided after 250.0 ms", "still running"]);
    let status = typed(at, "status").await.unwrap();
    assert!(status.starts_with("mymaster at "), "{status}");
    assert_all(&status, &["Sentinel 1 at", "leader 1, term 7", "it has another cluster id", "mymaster (epoch 1)"]);
    assert_all(&typed(at, "members list").await.unwrap(), &["127.0.0.1:27379", "leader", "voter", "never"]);
}

#[tokio::test]
async fn programs_can_read_the_answers() {
    let world = World::start().await;
    world.monitor("mymaster");
    let revision = world.move_master("mymaster", &node(2));
    let at = &[&world.grpc];
    let json = async |words: &str| serde_json::from_str::<serde_json::Value>(&typed(at, words).await.unwrap()).unwrap();
    let masters = json("masters --json").await;
    assert_eq!(masters["masters"][0]["address"], "10.0.0.1:2");
    assert_eq!(masters["masters"][0]["revision"], revision.0);
    assert_eq!(masters["answer"]["stale"], false);
    let told = json("decisions --json").await;
    assert_eq!(told["decisions"][0]["cause"]["requested"]["by"], 1);
    assert_eq!(told["decisions"][0]["ending"]["kind"], "completed");
    assert_eq!(told["decisions"][0]["timings"]["started_to_decided_us"], 1_000_000);
    assert_eq!(json("status --json").await["members"][2]["refused"], "it has another cluster id");
    assert_eq!(json("replicas mymaster --json").await["replicas"][0]["eligible"], false);
    assert_eq!(json("failover mymaster --json").await["epoch"], 2);
}

#[tokio::test]
async fn failovers_are_asked_for_in_clear_words() {
    let world = World::start().await;
    for group in ["a", "b", "c"] {
        world.monitor(group);
    }
    let at = &[&world.grpc];
    for wrong in [
        "failover a --force",
        "failover a --accept-loss",
        "failover a --force --accept-loss --to 10.0.0.1:2",
        "failover a --force --accept-loss --coordinated",
    ] {
        typed(at, wrong).await.unwrap_err();
        assert!(world.group("a").failover.is_none(), "{wrong}");
    }
    assert_all(&typed(at, "failover a --force --accept-loss").await.unwrap(), &["towards epoch 1 is forced, with whatever loss"]);
    world.decide_on("a", &node(2), FencingProof::Forced, None);
    let told = typed(at, "decisions a").await.unwrap();
    assert_all(
        &told,
        &["(at sentinel 1, force)", "old master FORCED by an operator", "known to be missing: 100 bytes", "detached, eligible"],
    );
    assert_all(&typed(at, "failover b --coordinated --to 10.0.0.1:3").await.unwrap(), &["towards epoch 1 is started"]);
    assert_all(&typed(at, "masters").await.unwrap(), &["failover: draining"]);
    let unfinished = typed(at, "switchover c --wait 1 --to 10.0.0.1:2").await.unwrap_err();
    assert_all(&unfinished, &["After 1 s it is still under way"]);
    assert_all(&typed(at, "switchover nobody").await.unwrap_err(), &["no master named 'nobody' is monitored"]);
}

#[tokio::test]
async fn the_fence_is_set_and_shown() {
    let world = World::start().await;
    world.monitor("a");
    let at = &[&world.grpc];
    typed(at, "set a").await.unwrap_err();
    let changed = typed(at, "set a --promotion-policy strict --fence-max-lag 3 --replica-forget-after 60000 --quorum 1").await.unwrap();
    assert_all(&changed, &["The settings of a are changed"]);
    let settings = world.group("a").settings.clone();
    assert_eq!((settings.fence_max_lag_s, settings.replica_forget_after_ms, settings.quorum), (3, 60_000, 1));
    assert_all(&typed(at, "set a --fence-max-lag 3").await.unwrap(), &["were so already"]);
    assert_all(&typed(at, "set a --promotion-policy brave").await.unwrap_err(), &["expected auto, strict or available"]);

    let now = world.clock.mono();
    let held = view(now, |view| {
        let holds = Fence { min_replicas: 1, max_lag_s: 3 };
        view.nodes.get_mut(&node(1)).unwrap().fence = Some((now, FenceSight::Holds(holds)));
        view.nodes.get_mut(&node(2)).unwrap().fence = Some((now, FenceSight::Unknown("NOPERM".to_owned())));
        view.fence_problem = Some("10.0.0.1:2 does not say".to_owned());
        view.fence_alarm = Some("10.0.0.1:2 does not say".to_owned());
    });
    world.board.show(&name("a"), held);
    let status = typed(at, "status").await.unwrap();
    assert_all(&status, &["policy strict; fence: 1 of 2 replicas within 3 s, not armed: 10.0.0.1:2 does not say", "FENCE PROBLEM"]);
    assert_all(&status, &["1 within 3 s", "unknown: NOPERM", "no WAIT makes a write safe"]);
    let json = typed(at, "status --json").await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let group = &json["groups"][0];
    assert_eq!((&group["master"]["fence"]["wanted"]["max_lag_s"], &group["nodes"][0]["fence"]["min_replicas"]), (&3.into(), &1.into()));
    assert_eq!(group["fence_alarm"], "10.0.0.1:2 does not say");
}

#[tokio::test]
async fn the_next_sentinel_is_asked_where_one_cannot_answer() {
    let (dead, cut_off, world) = (dead_address().await, World::start().await, World::start().await);
    cut_off.fake.lead(Leadership::Unknown);
    world.monitor("a");
    assert_all(&typed(&[&dead, &cut_off.grpc, &world.grpc], "masters").await.unwrap(), &["10.0.0.1:1"]);
    let refused = typed(&[&dead, &cut_off.grpc], "masters").await.unwrap_err();
    assert_all(&refused, &["no sentinel could answer", &dead.to_string(), "the others are unreachable"]);
    let refused = typed(&[&world.grpc, &dead], "replicas nobody").await.unwrap_err();
    assert_all(&refused, &["no master named 'nobody' is monitored"]);
    assert!(!refused.contains(&dead.to_string()), "a refusal is final: {refused}");
}

#[tokio::test]
async fn changes_of_members_find_the_leader() {
    let (follower, leader) = (World::start().await, World::start().await);
    follower.fake.lead(Leadership::Following { leader: NodeId(2) });
    follower.present(2, &leader.grpc);
    let done = typed(&[&follower.grpc], "members replace 3 4 127.0.0.1:27382").await.unwrap();
    assert_all(&done, &["added sentinel 4 at 127.0.0.1:27382", "the voters are 1, 2, 4", "removed sentinel 3"]);
    // Two that name each other do not keep us.
    leader.fake.lead(Leadership::Following { leader: NodeId(3) });
    leader.present(3, &follower.grpc);
    assert_all(&typed(&[&follower.grpc], "members promote 4").await.unwrap_err(), &["only the leader changes members"]);
}

#[tokio::test]
async fn a_watch_moves_on_when_its_sentinel_stops() {
    // Two sentinels with the same log; the first one stops, and the story goes on at the second one.
    let (first, second) = (World::start().await, World::start().await);
    for world in [&first, &second] {
        world.monitor("a");
    }
    let (mut shown, out) = tokio::io::duplex(64 * 1024);
    let command = format!("raft-sentinel watch a --json --addr {},{}", first.grpc, second.grpc);
    let cli = Cli::try_parse_from(command.split(' ')).unwrap();
    let mut out = Lines(out);
    let watching = async { panic!("the watch ended: {:?}", ctl::run(cli.command, &mut out).await) };
    tokio::select! {
        () = watching => {}
        () = story(&first, &second, &mut shown) => {}
    }
}

async fn story(first: &World, second: &World, shown: &mut tokio::io::DuplexStream) {
    let mut text = String::new();
    read_until(shown, &mut text, r#""event":"master""#).await;
    let revision = first.move_master("a", &node(2));
    read_until(shown, &mut text, &format!(r#""revision":{revision}"#)).await;
    assert_eq!(second.move_master("a", &node(2)), revision);
    first.stop.cancel();
    let next = second.move_master("a", &node(3));
    read_until(shown, &mut text, &format!(r#""revision":{next}"#)).await;
    let changes = text.lines().filter(|line| line.contains(r#""event":"change""#)).count();
    assert_eq!(changes, 2, "each change once:\n{text}");
}

/// A pipe that never waits: what is written is small.
struct Lines(tokio::io::DuplexStream);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        use futures_util::FutureExt;
        use tokio::io::AsyncWriteExt;
        self.0.write(bytes).now_or_never().expect("the pipe has room")
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn read_until(from: &mut tokio::io::DuplexStream, text: &mut String, part: &str) {
    use tokio::io::AsyncReadExt;
    let reading = async {
        while !text.contains(part) {
            let mut bytes = [0; 4096];
            let many = from.read(&mut bytes).await.unwrap();
            assert!(many > 0, "the watch ended without '{part}':\n{text}");
            text.push_str(std::str::from_utf8(&bytes[..many]).unwrap());
        }
    };
    soon(part, reading).await;
}

async fn dead_address() -> Addr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Addr::new("127.0.0.1", listener.local_addr().unwrap().port()).expect("an address")
}

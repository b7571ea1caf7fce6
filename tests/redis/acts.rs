//! What the hands do to a server, and what the server is afterwards.

use std::time::{Duration, Instant};

use raft_sentinel::base::observation::{Observed, Role, RoleReport};
use raft_sentinel::base::{Fence, FenceSight};
use raft_sentinel::probe::ProbeSettings;
use raft_sentinel::redis::{Act, AskError, Clients, Step};
use rustix::process::Signal;

use crate::server::Server;
use crate::watched::{settings, watch, with_password};

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn promote_and_follow_are_confirmed_in_the_same_round_trip() {
    let (master, replica) = {
        let master = Server::start("");
        let replica = Server::replica_of(&master, "");
        (master, replica)
    };
    master.say("SET a b");
    let mut seen = watch(replica.addr(), settings(1000));
    let before = seen.report("a replica", |report| report.role() == Role::Replica).await;

    let began = Instant::now();
    let report = seen.probe.hands().expect("it was given hands").act(Act::Promote { fence: None }, LIMIT).await.expect("a promotion");
    println!("promote() with INFO: {:?}", began.elapsed());
    assert!(report.steps.iter().all(|step| step.result.is_ok()), "{:?}", report.steps);
    let node = report.node().expect("an INFO in the transaction");
    assert_eq!(node.role(), Role::Master);
    assert_eq!(node.replid2.as_ref(), Some(&before.replid), "it continues the history of its master");

    let deadline = Instant::now() + LIMIT;
    while replica.written().contains("\nreplicaof ") {
        assert!(Instant::now() < deadline, "the promotion is not written down: {}", replica.written());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let follow = Act::Follow { master: replica.addr(), clients: Clients::Kill };
    let began = Instant::now();
    let report =
        watch(master.addr(), settings(1000)).probe.hands().expect("it was given hands").act(follow, LIMIT).await.expect("a demotion");
    println!("follow() with INFO and connect: {:?}", began.elapsed());
    let RoleReport::Replica(demoted) = &report.node().expect("an INFO").role else { panic!("{report:?}") };
    assert_eq!(demoted.master, replica.addr());
    assert!(master.written().contains(&format!("\nreplicaof 127.0.0.1 {}", replica.port)), "written before the answer");
    master.wait_for("INFO replication", "master_link_status:up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn promotion_times_on_a_warm_link() {
    let master = Server::start("");
    for (replica, file) in [(Server::start(""), "with"), (Server::start_without_file(), "without")] {
        let seen = watch(replica.addr(), settings(1000));
        let hands = seen.probe.hands().expect("it was given hands");
        let mut times = Vec::new();
        for _ in 0..20 {
            let back = Act::Follow { master: master.addr(), clients: Clients::Keep };
            hands.act(back, LIMIT).await.expect("it follows");
            let began = Instant::now();
            let promoted = hands.act(Act::Promote { fence: None }, LIMIT).await.expect("it leads");
            times.push(began.elapsed());
            assert_eq!(promoted.node().map(|node| node.role()), Some(Role::Master));
        }
        times.sort();
        println!("promote() and INFO {file} a configuration file, 20 times: median {:?}, worst {:?}", times[10], times[19]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn clients_are_cut_off_only_when_told_and_our_hands_never() {
    let master = Server::start("");
    let mut client = master.type_in("CLIENT ID");
    let mut answer = [0; 64];
    std::io::Read::read(&mut client, &mut answer).expect("an answer");
    let hands_of = watch(master.addr(), settings(1000));
    let hands = hands_of.probe.hands().expect("it was given hands");
    hands.act(Act::Follow { master: master.addr(), clients: Clients::Keep }, LIMIT).await.expect("it takes any address");
    client.set_nonblocking(true).expect("a socket");
    let still_open = std::io::Read::read(&mut client, &mut answer);
    assert_eq!(still_open.map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    client.set_nonblocking(false).expect("a socket");
    hands.act(Act::Promote { fence: None }, LIMIT).await.expect("a promotion");
    assert_eq!(std::io::Read::read(&mut client, &mut answer).unwrap_or(0), 0, "its clients are cut off");
    let connections = master.say("CLIENT LIST");
    let again = hands.act(Act::Promote { fence: None }, LIMIT).await;
    assert!(again.is_ok(), "the same link goes on: {again:?} {connections}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_an_act_can_do_without_is_reported_and_no_error() {
    for (server, without) in [
        (Server::start_without_file(), vec![Step::ConfigRewrite]),
        (
            Server::start("rename-command CONFIG \"\"\nrename-command CLIENT \"\""),
            vec![Step::ConfigRewrite, Step::KillClients, Step::KillSubscribers, Step::Unpause],
        ),
        (Server::start("rename-command MULTI \"\""), vec![]),
    ] {
        let follow = Act::Follow { master: raft_sentinel::base::Addr::new("127.0.0.1", 1).expect("an address"), clients: Clients::Kill };
        let report = watch(server.addr(), settings(1000))
            .probe
            .hands()
            .expect("it was given hands")
            .act(follow, LIMIT)
            .await
            .expect("done all the same");
        let failed: Vec<Step> = report.steps.iter().filter(|step| step.result.is_err()).map(|step| step.step).collect();
        assert_eq!(failed, without);
        assert_eq!(report.node().map(|node| node.role()), Some(Role::Replica));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_old_name_of_replicaof_is_found_and_new_names_are_used() {
    let follow = Act::Follow { master: raft_sentinel::base::Addr::new("127.0.0.1", 1).expect("an address"), clients: Clients::Keep };
    let old = Server::start("rename-command REPLICAOF \"\"");
    let report =
        watch(old.addr(), settings(1000)).probe.hands().expect("it was given hands").act(follow.clone(), LIMIT).await.expect("by SLAVEOF");
    assert_eq!(report.node().map(|node| node.role()), Some(Role::Replica));

    let names = [
        ("REPLICAOF", "R1"),
        ("MULTI", "M1"),
        ("EXEC", "E1"),
        ("CONFIG", "C1"),
        ("INFO", "I1"),
        ("PING", "P1"),
        ("AUTH", "A1"),
        ("CLIENT", "L1"),
    ];
    let lines: String = names.iter().map(|(name, to)| format!("rename-command {name} {to}\n")).collect();
    let renamed = Server::start(&format!("{lines}rename-command SLAVEOF \"\"\nrequirepass pw"));
    let mut with_names = with_password(None, "pw");
    with_names.access.rename_commands = names.iter().map(|&(name, to)| (name.to_owned(), to.to_owned())).collect();
    let mut seen = watch(renamed.addr(), with_names);
    seen.report("INFO by its name there", |report| report.role() == Role::Master).await;
    let report = seen.probe.hands().expect("it was given hands").act(follow.clone(), LIMIT).await.expect("by their names there");
    assert!(report.steps.iter().all(|step| step.result.is_ok()), "{:?}", report.steps);
    assert_eq!(report.node().map(|node| node.role()), Some(Role::Replica));

    let gone = Server::start("rename-command REPLICAOF \"\"\nrename-command SLAVEOF \"\"");
    let error = watch(gone.addr(), settings(1000))
        .probe
        .hands()
        .expect("it was given hands")
        .act(follow, LIMIT)
        .await
        .expect_err("no name is left");
    assert!(matches!(&error, AskError::Refused(text) if text.contains("unknown command")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_fence_is_set_and_read_back() {
    let server = Server::start("");
    let fence = Fence { min_replicas: 1, max_lag_s: 2 };
    let report =
        watch(server.addr(), settings(1000)).probe.hands().expect("it was given hands").act(Act::Arm(fence), LIMIT).await.expect("armed");
    assert_eq!(report.fence, Some(fence));
    assert!(server.say("SET a b").contains("NOREPLICAS"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_a_lag_of_nothing_there_is_no_fence() {
    let server = Server::start("min-replicas-to-write 1\nmin-replicas-max-lag 0");
    assert!(server.say("SET a b").contains("OK"), "Redis takes writes without a replica");
    let mut seen = watch(server.addr(), ProbeSettings { watch_fence: true, ..settings(1000) });
    let is_fence = |sight: &Observed| matches!(sight, Observed::Fence(_));
    let fence = seen.until("what it holds", is_fence).await.into_iter().map(|seen| seen.what).find(is_fence);
    assert!(matches!(&fence, Some(Observed::Fence(FenceSight::Holds(Fence { min_replicas: 0, .. })))), "{fence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn wrong_credentials_are_told_apart_and_never_printed() {
    let server = Server::start("requirepass right-one");
    let wrong = watch(server.addr(), with_password(None, "wrong-one"));
    let error =
        wrong.probe.hands().expect("it was given hands").act(Act::Promote { fence: None }, LIMIT).await.expect_err("a wrong password");
    assert!(matches!(error, AskError::Credentials(_)), "{error:?}");
    assert!(!format!("{error} {error:?} {:?}", wrong.probe).contains("wrong-one"));

    let right = watch(server.addr(), with_password(Some("default"), "right-one"));
    assert!(right.probe.hands().expect("it was given hands").act(Act::Promote { fence: None }, LIMIT).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_hangs_costs_the_limit_and_collects_nothing() {
    let server = Server::start("");
    let seen = watch(server.addr(), settings(1000));
    let hands = seen.probe.hands().expect("it was given hands");
    // Not a promotion, which would leave an answer open.
    let follow = Act::Follow { master: server.addr(), clients: Clients::Keep };
    hands.act(follow, LIMIT).await.expect("it works");
    server.signal(Signal::STOP);
    let limit = Duration::from_millis(300);
    for _ in 0..3 {
        let began = Instant::now();
        let error = hands.act(Act::Promote { fence: None }, limit).await.expect_err("it hangs");
        assert!(matches!(error, AskError::Lost(_) | AskError::NoLink(_)), "{error:?}");
        assert!(began.elapsed() < limit * 2, "{:?}", began.elapsed());
    }
    server.signal(Signal::CONT);
    hands.act(Act::Promote { fence: None }, LIMIT).await.expect("it works again");
    // The first and the last: of those that were ordered while it hung, not even the one on the open link got past MULTI.
    server.wait_for("INFO commandstats", "cmdstat_replicaof:calls=2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_act_behind_a_longer_one_keeps_its_limit_and_is_not_done_later() {
    let server = Server::start("");
    let seen = watch(server.addr(), settings(60_000));
    let hands = seen.probe.hands().expect("it was given hands");
    hands.act(Act::Arm(Fence { min_replicas: 0, max_lag_s: 10 }), LIMIT).await.expect("it works");
    server.signal(Signal::STOP);
    let long = tokio::spawn({
        let hands = hands.clone();
        async move { hands.act(Act::Arm(Fence { min_replicas: 1, max_lag_s: 2 }), LIMIT).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let short = hands.act(Act::Promote { fence: None }, Duration::from_millis(200)).await;
    assert!(matches!(short, Err(AskError::NoLink(_) | AskError::Lost(_))), "{short:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.signal(Signal::CONT);
    assert!(long.await.expect("no panic").is_ok(), "the longer one had time enough");
    assert!(hands.act(Act::Arm(Fence { min_replicas: 0, max_lag_s: 10 }), LIMIT).await.is_ok());
    if short == Err(AskError::NoLink(raft_sentinel::base::observation::LinkLoss::TimedOut)) {
        assert!(!server.say("INFO commandstats").contains("cmdstat_replicaof"), "nothing was sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dropping_the_probe_ends_its_hands() {
    let server = Server::start("");
    let hands = watch(server.addr(), settings(1000)).probe.hands().expect("it was given hands");
    let error = hands.act(Act::Promote { fence: None }, LIMIT).await.expect_err("it is gone");
    assert!(matches!(error, AskError::NoLink(_) | AskError::Lost(_)), "{error:?}");
}

//! What the eyes see of a server that lives, dies, hangs and comes back.

use std::time::{Duration, Instant};

use raft_sentinel::base::Mono;
use raft_sentinel::base::observation::{InvalidReply, LinkLoss, Observed, Role, RoleReport, ValidReply};
use rustix::process::Signal;

use crate::server::{Server, free_port};
use crate::watched::{brief, settings, watch, with_password};

const PONG: Observed = Observed::Valid(ValidReply::Pong);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_pair_is_seen_at_once() {
    let master = Server::start("");
    let replica = Server::replica_of(&master, "slave-priority 7");
    let mut eyes = watch(replica.addr(), settings(1000));
    let first = eyes.until("a report", |sight| matches!(sight, Observed::Report(_))).await;
    assert!(
        matches!(first[0].what, Observed::Linked) && matches!(first[1].what, Observed::Pinged) && first[2].what == PONG,
        "{:?}",
        brief(&first)
    );
    let report = eyes.report("another", |_| true).await;
    let RoleReport::Replica(link) = report.role else { panic!("a replica") };
    assert_eq!((link.master, link.link_up, link.priority), (master.addr(), true, 7));

    let mut eyes = watch(master.addr(), settings(1000));
    let report = eyes.report("its replica", |_| true).await;
    let RoleReport::Master { replicas, .. } = report.role else { panic!("a master") };
    assert_eq!(replicas.iter().map(|attached| attached.addr.clone()).collect::<Vec<_>>(), [replica.addr()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn pings_keep_their_period() {
    let server = Server::start("");
    let mut eyes = watch(server.addr(), settings(200));
    let mut pings = Vec::new();
    while pings.len() < 21 {
        let seen = eyes.next().await;
        if matches!(seen.what, Observed::Pinged) {
            pings.push(seen.at);
        }
    }
    let span = pings[20].ms_since(pings[0]);
    println!("20 periods of 20 ms took {span} ms");
    assert!((400..800).contains(&span), "20 periods of 20 ms took {span} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_look_is_answered_out_of_turn() {
    let server = Server::start("");
    let mut eyes = watch(server.addr(), settings(60_000));
    eyes.report("the first", |_| true).await;
    let asked = eyes.clock.mono();
    for _ in 0..100 {
        eyes.probe.look();
    }
    let mut ages = Vec::new();
    while ages.last().is_none_or(|&age| age < 500) {
        let seen = eyes.until("a report", |sight| matches!(sight, Observed::Report(_))).await;
        ages.push(seen.last().expect("a report").at.ms_since(asked));
    }
    // Calls that come while a question is open share the next one; the last report is the one that was due anyway.
    assert!((2..20).contains(&ages.len()), "100 looks gave reports after {ages:?} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_killed_server_is_closed_then_refused_then_back() {
    let mut times = Vec::new();
    for _ in 0..10 {
        let mut server = Server::start("");
        let mut eyes = watch(server.addr(), settings(1000));
        for _ in 0..3 {
            eyes.until("it lives", |sight| *sight == PONG).await;
        }
        let killed = eyes.clock.mono();
        server.signal(Signal::KILL);
        let seen = eyes.until("the end of the link", |sight| matches!(sight, Observed::Unlinked(_))).await;
        let end = seen.last().expect("an end");
        assert_eq!(end.what, Observed::Unlinked(LinkLoss::Closed));
        times.push(end.at.0 - killed.0);
        // The port is tried at once, and may take one more connection while the process is being torn down.
        let seen = eyes.until("the port refuses", |sight| *sight == Observed::Unlinked(LinkLoss::Refused)).await;
        times.push(seen.last().expect("a refusal").at.0 - killed.0);
        server.kill();
        if times.len() == 20 {
            let back = Server::start_at(server.port, "");
            let listens = eyes.clock.mono();
            let seen = eyes.until("it is back", |sight| *sight == PONG).await;
            println!("back after {} ms", seen.last().expect("a reply").at.ms_since(listens));
            drop(back);
        }
    }
    let (mut closed, mut refused): (Vec<u64>, Vec<u64>) = times.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    closed.sort_unstable();
    refused.sort_unstable();
    println!(
        "SIGKILL to Closed: median {} us, worst {} us; to Refused: median {} us, worst {} us",
        closed[5], closed[9], refused[5], refused[9]
    );
    assert!(closed[5] < 50_000, "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hung_server_is_silence_and_its_first_answer_counts() {
    let server = Server::start("");
    let mut eyes = watch(server.addr(), settings(1000));
    eyes.report("it lives", |_| true).await;
    server.signal(Signal::STOP);
    let stopped = eyes.clock.mono();
    // Answers that were on their way may still come; afterwards the link is given up after half the limit, and a fresh one too.
    let mut seen = eyes.until("the link is given up", |sight| *sight == Observed::Unlinked(LinkLoss::TimedOut)).await;
    seen.extend(eyes.until("so is a fresh one", |sight| *sight == Observed::Unlinked(LinkLoss::TimedOut)).await);
    let late = |at: Mono| at.ms_since(stopped) > 100;
    assert!(!seen.iter().any(|seen| late(seen.at) && matches!(seen.what, Observed::Valid(_) | Observed::Report(_))), "{:?}", brief(&seen));
    assert!(seen.iter().filter(|seen| matches!(seen.what, Observed::Pinged)).count() <= 4, "{:?}", brief(&seen));
    eyes.until("a third link", |sight| matches!(sight, Observed::Pinged)).await;
    server.signal(Signal::CONT);
    let woken = eyes.clock.mono();
    let seen = eyes.until("its answer", |sight| *sight == PONG).await;
    let took = seen.last().expect("a reply").at.ms_since(woken);
    println!("SIGCONT to Valid: {took} ms");
    assert!(took < 200, "{took} ms: {:?}", brief(&seen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_short_hang_keeps_the_link() {
    let server = Server::start("");
    let mut eyes = watch(server.addr(), settings(4000));
    eyes.report("it lives", |_| true).await;
    server.signal(Signal::STOP);
    eyes.until("a PING into the silence", |sight| matches!(sight, Observed::Pinged)).await;
    server.signal(Signal::CONT);
    let seen = eyes.until("its answer", |sight| *sight == PONG).await;
    assert!(!seen.iter().any(|seen| matches!(seen.what, Observed::Unlinked(_))), "{:?}", brief(&seen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn links_that_others_cut_are_made_again_at_once() {
    let server = Server::start("");
    let mut eyes = watch(server.addr(), settings(10_000));
    // A link younger than the pause between attempts is not made again at once.
    for _ in 0..2 {
        eyes.until("it lives", |sight| *sight == PONG).await;
    }
    server.say("CLIENT KILL TYPE normal");
    let seen = eyes.until("the end", |sight| *sight == Observed::Unlinked(LinkLoss::Closed)).await;
    let cut = seen.last().expect("an end").at;
    let seen = eyes.until("a new link", |sight| *sight == PONG).await;
    let took = seen.last().expect("a reply").at.ms_since(cut);
    assert!(took < 90, "{took} ms: {:?}", brief(&seen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn credentials_are_told_apart_from_death() {
    let server = Server::start("requirepass right-one\nuser eyes on >see-me +ping +info +client|setname\nuser blind on >no-info +ping");
    let mut wrong = watch(server.addr(), with_password(None, "wrong-one"));
    let seen = wrong.until("refusals", |sight| matches!(sight, Observed::BadReport(_))).await;
    let refused = |sight: &Observed| matches!(sight, Observed::Invalid(InvalidReply::Credentials(_)));
    assert!(seen.iter().any(|seen| refused(&seen.what)), "{:?}", brief(&seen));
    assert!(!seen.iter().any(|seen| matches!(seen.what, Observed::Unlinked(_))), "{:?}", brief(&seen));
    assert!(!brief(&seen).concat().contains("wrong-one"));

    // The right ones are learnt without a restart.
    wrong.probe.settings(with_password(Some("eyes"), "see-me"));
    wrong.report("with the ACL user", |report| report.role() == Role::Master).await;
    wrong.probe.settings(with_password(None, "right-one"));
    wrong.report("with the password", |_| true).await;

    let mut blind = watch(server.addr(), with_password(Some("blind"), "no-info"));
    let seen = blind.until("no report", |sight| matches!(sight, Observed::BadReport(_))).await;
    assert!(seen.iter().any(|seen| seen.what == PONG), "it may ping: {:?}", brief(&seen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_password_for_a_server_without_one_is_no_obstacle() {
    let server = Server::start("");
    watch(server.addr(), with_password(None, "not-needed")).report("it serves all the same", |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn busy_and_masterdown_are_what_they_are() {
    let server = Server::start("lua-time-limit 10");
    let mut eyes = watch(server.addr(), settings(1000));
    eyes.report("it lives", |_| true).await;
    let script = server.type_in("EVAL \"while true do end\" 0");
    eyes.until("a busy server", |sight| *sight == Observed::Invalid(InvalidReply::Busy)).await;
    let killed = eyes.probe.hands().expect("it was given hands").act(raft_sentinel::redis::Act::KillScript, Duration::from_secs(5)).await;
    assert!(killed.is_ok(), "{killed:?}");
    eyes.until("it serves again", |sight| *sight == PONG).await;
    drop(script);

    let alone = Server::start(&format!("replicaof 127.0.0.1 {}\nreplica-serve-stale-data no", free_port()));
    let mut eyes = watch(alone.addr(), settings(1000));
    let seen = eyes.until("a reply", |sight| matches!(sight, Observed::Valid(_) | Observed::Invalid(_))).await;
    assert_eq!(seen.last().map(|seen| seen.what.clone()), Some(Observed::Valid(ValidReply::MasterDown)));
    eyes.report("INFO is told all the same", |report| report.role() == Role::Replica).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_port_that_nobody_listens_on_is_refused_often_but_not_always() {
    let mut eyes = watch(raft_sentinel::base::Addr::new("127.0.0.1", free_port()).expect("an address"), settings(200));
    let began = Instant::now();
    for _ in 0..11 {
        assert_eq!(eyes.next().await.what, Observed::Unlinked(LinkLoss::Refused));
    }
    assert!(began.elapsed() >= Duration::from_millis(200), "10 pauses of 20 ms took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_inbox_makes_it_wait_and_a_dropped_probe_says_nothing_more() {
    let server = Server::start("");
    let (out, mut inbox) = tokio::sync::mpsc::channel(1);
    let clock = raft_sentinel::clock::Clock::default();
    let probe = raft_sentinel::probe::spawn(server.addr(), settings(100), clock, out);
    server.wait_for("CLIENT LIST", "name=test");
    for _ in 0..20 {
        assert!(inbox.recv().await.is_some());
    }
    drop(probe);
    while inbox.recv().await.is_some() {}
}

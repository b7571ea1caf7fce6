//! Watches over gRPC: each change once, in order, through the loss of the sentinel that told of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_sentinel::proto::sentinel as pb;
use raft_sentinel::proto::sentinel::watch_masters_response::Event;

use crate::grpc::{STALE, fail_over, get_master};
use crate::kit::history::address;
use crate::kit::{Flavour, GROUP, Grpc, Plan, Sentinel};

const SOON: Duration = Duration::from_secs(15);

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
        let (sentinel, name, host) = (&cluster.sentinels[number % 3], format!("group-{number}"), format!("127.0.0.{}", number + 1));
        for _ in 0..70 {
            until_done(sentinel, &["SENTINEL", "MONITOR", &name, &host, "6", "2"]);
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

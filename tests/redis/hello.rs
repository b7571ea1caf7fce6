//! What the voice says and the ears hear on one data node.

use std::time::{Duration, Instant};

use raft_sentinel::base::{Addr, Epoch, GroupName, Hello, HelloObservation, HelloTemplate, OnChannel, SentinelId};
use raft_sentinel::probe::HelloChannel;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::server::Server;
use crate::watched::{self, settings};

async fn next_hello(inbox: &mut mpsc::Receiver<HelloObservation>) -> Hello {
    let hello = async {
        loop {
            let heard = inbox.recv().await.expect("the probe lives");
            if let OnChannel::Hello(hello) = heard.what {
                return *hello;
            }
        }
    };
    timeout(Duration::from_secs(10), hello).await.expect("a hello comes in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_master_is_told_of_at_once_another_epoch_elsewhere_in_its_turn() {
    let server = Server::start("");
    let mut probed = watched::watch(server.addr(), settings(1000));
    let group = GroupName::new("mymaster").expect("it is a name");
    let claim = HelloTemplate {
        announce_ip: None,
        port: 26379,
        sentinel: SentinelId::new("a".repeat(40)).expect("an id"),
        current_epoch: Epoch(1),
        group: group.clone(),
        master: server.addr(),
        epoch: Epoch(1),
    };
    let (said, followed) = watch::channel(Some(claim.clone()));
    let (out, mut inbox) = mpsc::channel(16);
    let channel = HelloChannel { group, claim: followed, out };
    probed.probe.listen(&channel);
    probed.probe.speak(&channel);
    assert_eq!(next_hello(&mut inbox).await, claim.hello("127.0.0.1").expect("an address"));

    // The next one is due in two seconds.
    let elsewhere = HelloTemplate { current_epoch: Epoch(5), ..claim.clone() };
    let changed = Instant::now();
    said.send_replace(Some(elsewhere.clone()));
    assert_eq!(next_hello(&mut inbox).await, elsewhere.hello("127.0.0.1").expect("an address"));
    assert!(changed.elapsed() > Duration::from_secs(1), "said after {:?}", changed.elapsed());

    let promoted = HelloTemplate { master: Addr::new("10.0.0.1", 6379).expect("an address"), epoch: Epoch(5), ..elsewhere };
    let changed = Instant::now();
    said.send_replace(Some(promoted.clone()));
    assert_eq!(next_hello(&mut inbox).await, promoted.hello("127.0.0.1").expect("an address"));
    assert!(changed.elapsed() < Duration::from_secs(1), "said after {:?}", changed.elapsed());
}

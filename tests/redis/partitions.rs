//! Links that lead nowhere, and addresses that say nothing.

use std::time::{Duration, Instant};

use raft_sentinel::base::observation::{LinkLoss, Observed, ValidReply};
use raft_sentinel::redis::{Act, AskError};

use crate::proxy::{Proxy, black_hole};
use crate::server::Server;
use crate::watched::{brief, settings, watch};

const PONG: Observed = Observed::Valid(ValidReply::Pong);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_link_that_leads_nowhere_is_replaced() {
    let server = Server::start("");
    let proxy = Proxy::to(server.addr()).await;
    let mut eyes = watch(proxy.addr.clone(), settings(1000));
    let hands = eyes.probe.hands().expect("it was given hands");
    eyes.report("it lives", |_| true).await;
    hands.act(Act::Promote { fence: None }, Duration::from_secs(5)).await.expect("it works");
    eyes.until("it lives on", |sight| *sight == PONG).await;

    proxy.freeze();
    let frozen = eyes.clock.mono();
    let error = hands.act(Act::Promote { fence: None }, Duration::from_millis(200)).await.expect_err("it is lost on the way");
    assert_eq!(error, AskError::NoLink(LinkLoss::TimedOut));
    let began = Instant::now();
    hands.act(Act::Promote { fence: None }, Duration::from_millis(500)).await.expect("over a fresh link");
    println!("an act over a fresh link took {:?}", began.elapsed());

    let mut seen = eyes.until("it is given up", |sight| *sight == Observed::Unlinked(LinkLoss::TimedOut)).await;
    seen.extend(eyes.until("a fresh link", |sight| *sight == PONG).await);
    let took = seen.last().expect("a reply").at.ms_since(frozen);
    println!("seen again over a fresh link after {took} ms");
    assert!((400..1000).contains(&took), "{took} ms: {:?}", brief(&seen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn idle_hands_find_out_that_their_link_leads_nowhere() {
    let server = Server::start("");
    let proxy = Proxy::to(server.addr()).await;
    let mut eyes = watch(proxy.addr.clone(), settings(1000));
    let hands = eyes.probe.hands().expect("it was given hands");
    hands.act(Act::Promote { fence: None }, Duration::from_secs(5)).await.expect("it works");
    proxy.freeze();
    // One check period and the patience after it: until then the eyes have long had a fresh link.
    let frozen = eyes.clock.mono();
    while eyes.next().await.at.ms_since(frozen) < 1800 {}
    hands.act(Act::Promote { fence: None }, Duration::from_millis(100)).await.expect("the fresh link was there already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_address_that_says_nothing_is_tried_one_attempt_at_a_time() {
    let (addr, listener, fillers) = black_hole().await;
    let mut eyes = watch(addr, settings(1000));
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(eyes.next().await.what, Observed::Unlinked(LinkLoss::TimedOut));
    }
    assert!(began.elapsed() >= Duration::from_millis(1500), "three attempts took {:?}", began.elapsed());
    let error = eyes.fails_to_promote(Duration::from_millis(100), "nobody is there").await;
    assert_eq!(error, AskError::NoLink(LinkLoss::TimedOut));

    drop(fillers);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let healed = eyes.clock.mono();
    let seen = eyes.until("a link", |sight| *sight == Observed::Linked).await;
    let took = seen.last().expect("a link").at.ms_since(healed);
    println!("linked {took} ms after the address began to answer");
    assert!(took < 1200, "{took} ms: {:?}", brief(&seen));
}

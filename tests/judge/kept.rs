//! What a client was told is kept stays kept in the corners: a master that restarts as a replica, a number for WAIT that
//! has just grown, replicas that come and go while a failover waits, a master whose followers are not all known.

use raft_sentinel::base::settings::PromotionPolicy;

use super::world::{Bench, Node, addr};

fn armed(replicas: &[&str]) -> Bench {
    let mut bench = Bench::with(replicas, PromotionPolicy::Strict);
    bench.run_until("the fence is armed", |bench| bench.group().fence.is_some());
    bench.run(2000);
    bench
}

#[test]
fn what_was_confirmed_with_the_smaller_number_is_provided_for_until_nobody_uses_it_any_more() {
    let mut bench = armed(&["blue", "green"]);
    bench.nodes.insert(addr("grey"), Node { follows: Some(addr("red")), ..Node::new(1) });
    bench.run_until("it is raised", |bench| bench.group().fence.is_some_and(|fence| fence.wait_replicas == 2));
    bench.run(25_000);
    // A client that still waits for one is answered by blue.
    bench.node("green").lags = true;
    bench.node("grey").lags = true;
    bench.node("red").offset = 400;
    bench.run(15_000);
    assert_eq!(bench.group().fence.map(|fence| fence.covered), Some(1), "green and grey do not have it");
    bench.node("grey").lags = false;
    bench.run_until("two have it", |bench| bench.group().fence.is_some_and(|fence| fence.covered == 2));
}

//! Servers that are not the group's at addresses that are.

use raft_sentinel::base::Epoch;
use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::judge::{Ask, Remark};

use super::world::{Bench, Node};

#[test]
fn a_server_of_others_at_a_replicas_address_is_asked_nothing() {
    for policy in [PromotionPolicy::Available, PromotionPolicy::Strict] {
        let mut bench = Bench::with(&["blue", "green"], policy);
        bench.run(5000);
        bench.node("blue").silent = true;
        bench.run(3000);
        *bench.node("blue") = Node { history: "of others", offset: 7, ..Node::new(9) };
        bench.run(5000);
        assert_eq!(bench.node("blue").obeyed, Vec::<Ask>::new(), "{policy:?}");
        assert!(bench.remarks[0].contains(&Remark::Foreign { present: true }), "{policy:?}");
        // Nor while a failover goes on around it.
        bench.node("red").alive = false;
        bench.run(8000);
        assert_eq!(bench.node("blue").obeyed, Vec::<Ask>::new(), "{policy:?}");
    }
}

#[test]
fn one_without_keys_is_attached() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("blue").silent = true;
    bench.run(3000);
    *bench.node("blue") = Node { history: "of nothing", offset: 0, empty: true, ..Node::new(9) };
    bench.run_until("it follows", Bench::settled);
}

/// Its history is a new one, as Redis has it after the start from an append-only file; so are its writes that nobody confirmed.
#[test]
fn an_old_master_that_comes_back_with_its_keys_is_taken_back() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.node("red").alive = false;
    bench.run_until("it is replaced", |bench| bench.group().epoch == Epoch(1) && bench.settled());
    *bench.node("red") = Node { history: "of its file", offset: 0, ..Node::new(2) };
    bench.run_until("it follows", Bench::settled);
}

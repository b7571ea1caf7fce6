//! Servers that are not the group's at addresses that are.

use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{Epoch, WallTime};
use raft_sentinel::judge::{Ask, LocalEvent, Owner};
use raft_sentinel::machine::Command;

use super::world::{Bench, Node, addr, group_name};

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
        assert!(bench.remarks[0].contains(&LocalEvent::Foreign { owner: Some(Owner::Unknown) }), "{policy:?}");
        // Nor while a failover goes on around it.
        bench.node("red").alive = false;
        bench.run(8000);
        assert_eq!(bench.node("blue").obeyed, Vec::<Ask>::new(), "{policy:?}");
    }
}

#[test]
fn one_that_an_operator_adopts_is_made_a_replica_and_no_other_process_there() {
    let mut bench = Bench::new(&["blue", "green"]);
    bench.run(5000);
    bench.node("blue").silent = true;
    bench.run(3000);
    *bench.node("blue") = Node { history: "of others", offset: 7, ..Node::new(9) };
    bench.run(5000);
    let seen = |bench: &Bench| {
        let (_, report) = bench.judge(0).view().live_report(&addr("blue")).expect("it is in sight");
        report.run_id.clone()
    };
    let adopts = Some(seen(&bench));
    // By the time that is agreed, it has restarted: that one is another's still, on the same host and with the same file.
    *bench.node("blue") = Node { history: "of others, too", offset: 8, ..Node::new(10) };
    bench.run(2000);
    bench.apply(&Command::ReplicaNamed { group: group_name(), replica: addr("blue"), adopts, at: WallTime(0), asked: None });
    bench.run(5000);
    assert_eq!(bench.node("blue").obeyed, Vec::<Ask>::new());
    let adopts = Some(seen(&bench));
    bench.apply(&Command::ReplicaNamed { group: group_name(), replica: addr("blue"), adopts, at: WallTime(0), asked: None });
    bench.run_until("it follows", Bench::settled);
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

//! What a server would refuse is known before it is needed, and orders go by what is allowed.

use std::time::Duration;

use raft_sentinel::base::observation::{Observed, Role};
use raft_sentinel::base::{Order, Refusals};
use raft_sentinel::redis::{Act, Clients};

use crate::server::Server;
use crate::watched::{settings, watch, with_password};

const LIMIT: Duration = Duration::from_secs(5);

/// The user that the Sentinel page of redis.io tells operators to make.
const OF_THE_MANUAL: &str = "allchannels +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill \
                             +script|kill";
/// All that acts need.
const ALL: &str = "+multi +exec +discard +ping +info +replicaof +slaveof +config|get +config|set +config|rewrite +client|setname +client|kill \
                   +client|pause +client|unpause +script|kill";

fn server(rights: &str) -> Server {
    Server::start(&format!("user s on >pw {rights}"))
}

/// What the probe found, with a promotion and its opposite carried out afterwards by those hands.
async fn refused(server: &Server, obeys: bool) -> Refusals {
    let mut seen = watch(server.addr(), with_password(Some("s"), "pw"));
    let mut refusals = None;
    for sight in seen.until("the trial", |sight| matches!(sight, Observed::Refusals(_))).await {
        if let Observed::Refusals(found) = sight.what {
            refusals = Some(found);
        }
    }
    assert!(server.say("INFO replication").contains("role:master"), "a trial changes nothing");
    let hands = seen.probe.hands().expect("it was given hands");
    let follow = Act::Follow { master: "127.0.0.1:1".parse().expect("an address"), clients: Clients::Kill };
    for (act, role) in [(follow, Role::Replica), (Act::Promote { fence: None }, Role::Master)] {
        let done = hands.act(act, LIMIT).await;
        assert_eq!(done.as_ref().ok().and_then(|done| done.node().map(|node| node.role())), obeys.then_some(role), "{done:?}");
    }
    refusals.expect("it was found")
}

fn orders(refusals: &Refusals) -> Vec<Order> {
    let mut orders: Vec<Order> = refusals.iter().map(|(order, _)| order).collect();
    orders.sort_unstable();
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_user_of_the_manual_is_obeyed_and_what_it_lacks_is_known() {
    let server = server(OF_THE_MANUAL);
    let refusals = refused(&server, true).await;
    assert_eq!(orders(&refusals), [Order::ConfigSet, Order::ConfigGet, Order::ClientPause]);
    assert!(refusals.of(Order::ConfigSet).is_some_and(|words| words.starts_with("NOPERM") && words.contains("config|set")), "{refusals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_user_who_may_do_all_is_refused_nothing_and_leaves_no_trace() {
    let server = server(ALL);
    assert!(refused(&server, true).await.is_empty());
    let stats = server.say("INFO errorstats");
    assert!(!stats.contains("NOPERM") && server.say("ACL LOG").starts_with("*0"), "{stats}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_right_that_is_missing_is_named_and_orders_go_without_it() {
    for (without, order) in [
        ("-multi", Order::Transaction),
        ("-exec", Order::Transaction),
        ("-config|rewrite", Order::ConfigRewrite),
        ("-config|set", Order::ConfigSet),
        ("-client|kill", Order::ClientKill),
        ("-client|pause", Order::ClientPause),
    ] {
        let refusals = refused(&server(&format!("{ALL} {without}")), true).await;
        assert_eq!(orders(&refusals), [order], "{without}");
    }
    for without in ["-discard", "-replicaof", "-slaveof"] {
        let refusals = refused(&server(&format!("{ALL} {without}")), true).await;
        assert!(refusals.is_empty(), "{without}: {refusals:?}");
    }
    // One by one, and by the old name.
    assert_eq!(orders(&refused(&server(&format!("{ALL} -multi -replicaof")), true).await), [Order::Transaction]);
    let refusals = refused(&server(&format!("{ALL} -replicaof -slaveof")), false).await;
    assert_eq!(orders(&refusals), [Order::Role]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn commands_that_are_gone_are_refused_too() {
    let server = Server::start("rename-command REPLICAOF \"\"\nrename-command SLAVEOF \"\"\nrename-command CONFIG \"\"");
    let mut seen = watch(server.addr(), settings(1000));
    let found = seen.until("the trial", |sight| matches!(sight, Observed::Refusals(_))).await.pop().map(|seen| seen.what);
    let Some(Observed::Refusals(refusals)) = found else { panic!("{found:?}") };
    assert_eq!(orders(&refusals), [Order::Role, Order::ConfigSet, Order::ConfigGet, Order::ConfigRewrite]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_allowed_meanwhile_is_found_out() {
    let server = server(&format!("{ALL} -replicaof -slaveof"));
    let mut seen = watch(server.addr(), with_password(Some("s"), "pw"));
    seen.until("the refusal", |sight| matches!(sight, Observed::Refusals(found) if !found.is_empty())).await;
    server.say("ACL SETUSER s +slaveof");
    seen.until("its end", |sight| matches!(sight, Observed::Refusals(found) if found.is_empty())).await;
}

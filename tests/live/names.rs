//! A master that is monitored by a name: clients are told its address, unless names are announced.

use std::time::Duration;

use crate::kit::{Flavour, GROUP, Plan, Reply};

const SOON: Duration = Duration::from_secs(15);
const LOOK_UP: &[&str] = &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP];

#[test]
fn clients_are_told_addresses_unless_names_are_announced() {
    let mut cluster = Plan { lines: vec!["sentinel resolve-hostnames yes".to_owned()], ..Plan::new(Flavour::Ours) }.start();
    let timeline = cluster.timeline.clone();
    let (old, first) = (cluster.servers[0].port, &cluster.sentinels[0]);
    first.expect_ok(&["SENTINEL", "REMOVE", GROUP]);
    first.expect_ok(&["SENTINEL", "MONITOR", GROUP, "localhost", &old.to_string(), "2"]);
    first.expect_ok(&["SENTINEL", "SET", GROUP, "down-after-milliseconds", "1000"]);
    let host = |reply: &Reply| reply.items().first().and_then(Reply::text);
    let says = |expected: &str| {
        let told: Vec<_> = cluster.sentinels.iter().map(|sentinel| host(&sentinel.answer(LOOK_UP))).collect();
        if told.iter().all(|told| told.as_deref() == Some(expected)) { Ok(()) } else { Err(format!("{told:?}")) }
    };
    timeline.wait_for("all tell the address", SOON, || says("127.0.0.1"));
    first.expect_ok(&["SENTINEL", "CONFIG", "SET", "announce-hostnames", "yes"]);
    timeline.wait_for("all tell the name", SOON, || says("localhost"));
    first.expect_ok(&["SENTINEL", "CONFIG", "SET", "announce-hostnames", "no"]);
    timeline.wait_for("all tell the address again, and know the replicas", SOON, || cluster.formed());
    let mut listeners: Vec<_> = cluster.sentinels.iter().map(|sentinel| sentinel.conn().expect("it answers")).collect();
    for conn in &mut listeners {
        conn.ask(&["SUBSCRIBE", "+switch-master"]).expect("it answers");
    }
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    for conn in &mut listeners {
        let told = conn.read().expect("the event");
        assert_eq!(told.items()[2].text(), Some(format!("{GROUP} 127.0.0.1 {old} 127.0.0.1 {new}")));
    }
}

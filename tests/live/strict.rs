//! The strict policy on real processes: what was confirmed survives, and only one master takes writes.

use std::time::Duration;

use crate::kit::{Cluster, Flavour, Plan, Timeline, Writer};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn strict() -> Plan {
    let mut plan = Plan::new(Flavour::Ours).with_policy("strict");
    plan.lines.push("sentinel fence-max-lag mymaster 1".to_owned());
    plan
}

/// Starts the plan and waits until promotions are fenced.
pub(crate) fn armed(plan: Plan) -> Cluster {
    let cluster = plan.start();
    cluster.timeline.wait_for("the fence is armed", LIMIT, || {
        let master = cluster.recorded(1)?;
        if master.wait_replicas == 1 { Ok(()) } else { Err(format!("WAIT {}", master.wait_replicas)) }
    });
    cluster
}

/// A strict group whose master and one of its two replicas were killed, with their ports: the other replica is too few to go on.
pub(crate) fn with_too_few() -> (Cluster, u16, u16) {
    let mut cluster = armed(strict());
    let old = cluster.master();
    let replica = cluster.others(old)[0];
    cluster.server_mut(replica).kill();
    cluster.server_mut(old).kill();
    (cluster, old, replica)
}

/// A group of such a plan that a client writes to, and has written so much to.
pub(crate) struct Written {
    pub(crate) cluster: Cluster,
    pub(crate) writer: Writer,
    pub(crate) timeline: Timeline,
}

impl Written {
    pub(crate) fn start(plan: Plan, writes: usize) -> Self {
        let cluster = armed(plan);
        let (writer, timeline) = (cluster.writer(), cluster.timeline.clone());
        timeline.wait_until("the client writes", LIMIT, || writer.count() >= writes);
        Self { cluster, writer, timeline }
    }

    /// Waits until the client has written so much more, and is at `new`.
    pub(crate) fn goes_on(&self, new: u16, writes: usize) {
        let count = self.writer.count();
        let is_there = || self.writer.count() >= count + writes && self.writer.last().is_some_and(|ack| ack.port == new);
        self.timeline.wait_until("the client goes on at the new master", LIMIT, is_there);
    }

    /// Waits until the old master follows; what was acknowledged and is not at the new one.
    pub(crate) fn lost(self, old: u16, new: u16) -> (Vec<u64>, Cluster) {
        let log = self.writer.finish();
        self.cluster.wait_for_replica(old, new, LIMIT);
        (log.lost(self.cluster.server(new)).expect("the new master answers"), self.cluster)
    }
}

fn config(cluster: &Cluster, port: u16, name: &str) -> String {
    let reply = cluster.server(port).ask(&["CONFIG", "GET", name]);
    format!("{reply:?}")
}

#[test]
fn every_server_holds_the_fence_and_gets_it_back_when_somebody_takes_it_away() {
    let cluster = armed(strict());
    let master = cluster.master();
    let holds = |port: u16, count: &str| {
        let told = config(&cluster, port, "min-replicas-to-write");
        if told.contains(&format!("\"{count}\"")) { Ok(()) } else { Err(format!("{port}: {told}")) }
    };
    for server in &cluster.servers {
        cluster.timeline.wait_for("the server holds the fence", LIMIT, || holds(server.port, "1"));
    }
    cluster.server(master).set("min-replicas-to-write", "0");
    cluster.timeline.wait_for("the master holds it again", LIMIT, || holds(master, "1"));
}

#[test]
fn a_killed_master_is_replaced_behind_the_fence() {
    let mut written = Written::start(strict(), 100);
    let cluster = &mut written.cluster;
    let old = cluster.master();
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, LIMIT);
    let decision = cluster.wait_for_history(&[1, 2, 3], 1, LIMIT).remove(0);
    let choice = decision.choice.expect("it came to a decision");
    assert_eq!(choice.candidates.len(), 2);
    written.goes_on(new, 1);
    let Written { mut cluster, writer, .. } = written;
    drop(writer);
    cluster.server_mut(old).restart();
    cluster.wait_for_replica(old, new, LIMIT);
    cluster.wait_until_formed();
}

#[test]
fn a_master_that_hangs_is_replaced_after_the_lag_window() {
    let mut cluster = armed(strict());
    let old = cluster.master();
    cluster.server(old).stop();
    let new = cluster.wait_for_new_master(old, LIMIT);
    cluster.server(old).cont();
    cluster.wait_for_replica(old, new, LIMIT);
}

#[test]
fn a_replica_too_few_blocks_the_failover_until_it_is_back() {
    let (mut cluster, old, replica) = with_too_few();
    cluster.timeline.wait_for("the failover is blocked", LIMIT, || {
        let master = cluster.recorded(1)?;
        master.failover.filter(|failover| failover.is_blocked).ok_or("it is not".to_owned())
    });
    assert_eq!(cluster.master(), old);
    cluster.server_mut(old).restart();
    cluster.server_mut(replica).restart();
    cluster.wait_for_replica(replica, old, LIMIT);
    cluster.wait_until_formed();
    assert_eq!(cluster.master(), old);
}

#[test]
fn a_master_that_restarts_without_its_data_is_replaced_by_one_that_has_it() {
    let mut plan = strict();
    plan.down_after_ms = 5000;
    // Redis's own default: the copy of the emptiness begins a few seconds after it was asked for.
    plan.server_lines.push("repl-diskless-sync-delay 5".to_owned());
    let mut written = Written::start(plan, 200);
    let cluster = &mut written.cluster;
    let old = cluster.master();
    cluster.server_mut(old).kill();
    cluster.server_mut(old).restart();
    let new = cluster.wait_for_new_master(old, LIMIT);
    let (lost, _) = written.lost(old, new);
    assert!(lost.len() <= 20, "what was acknowledged without WAIT in the last moment may be gone, not {}", lost.len());
}

/// The second master dies when the first has just come back as its replica: what that one holds is known only to the second, which comes
/// back with nothing.
#[test]
fn a_second_failure_right_after_a_rejoin_ends_once_all_are_back() {
    let mut written = Written::start(strict(), 200);
    let first = written.cluster.master();
    written.cluster.server_mut(first).kill();
    let second = written.cluster.wait_for_new_master(first, LIMIT);
    written.goes_on(second, 100);
    let cluster = &mut written.cluster;
    cluster.server_mut(first).restart();
    written.timeline.wait_until("the first one follows", LIMIT, || cluster.server(first).linked_to() == Some(second));
    cluster.server_mut(second).kill();
    written.timeline.wait_for("a failover is decided, or blocked", LIMIT, || {
        let master = cluster.recorded(1)?;
        let blocked = master.failover.is_some_and(|failover| failover.is_blocked);
        if blocked || cluster.master() != second { Ok(()) } else { Err("neither".to_owned()) }
    });
    cluster.server_mut(second).restart();
    let third = cluster.wait_for_new_master(second, LIMIT);
    written.goes_on(third, 100);
    let (lost, _) = written.lost(second, third);
    assert!(lost.len() <= 20, "what was acknowledged without WAIT in the last moment may be gone, not {}", lost.len());
}

/// Nothing but the network's delivery bounds what a deposed sentinel has sent to such a server.
#[test]
fn a_server_that_closes_no_connections_for_us_is_told_of_before_it_matters() {
    let cluster = armed(strict());
    let master = cluster.master();
    let ask = |words: &[&str]| cluster.server(master).ask(words).expect("it answers");
    let said = || {
        [1, 2, 3]
            .map(|id| cluster.sentinel(id).answer(&["SENTINEL", "MASTER", crate::kit::GROUP]).field("fence-status").unwrap_or_default())
    };
    assert!(ask(&["ACL", "SETUSER", "default", "-client|kill"]).is_ok());
    // The fence that somebody took away is set again, which is when it shows.
    assert!(ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]).is_ok());
    cluster.timeline.wait_for("the leading sentinel says so", LIMIT, || {
        let tells = |text: &String| text.contains("does not close connections for this cluster") && text.contains("NOPERM");
        if said().iter().any(tells) { Ok(()) } else { Err(format!("{:?}", said())) }
    });
    assert!(ask(&["ACL", "SETUSER", "default", "+client|kill"]).is_ok());
    assert!(ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]).is_ok());
    cluster.timeline.wait_for("and no more when it does", LIMIT, || match said() {
        all if all.iter().all(|text| text == "ok") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

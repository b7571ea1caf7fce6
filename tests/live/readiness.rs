//! What the sentinels say would come of the loss of the master, everywhere where they say it; and what comes of it.

use std::time::{Duration, Instant};

use raft_sentinel::proto::sentinel as proto;

use crate::grpc::http_get;
use crate::kit::history::address;
use crate::kit::looks::local;
use crate::kit::{Cluster, Flavour, GROUP, Plan};
use crate::strict::{armed, strict};

const SOON: Duration = Duration::from_secs(15);

/// What one sentinel says.
fn said(cluster: &Cluster, id: usize) -> Result<proto::Readiness, String> {
    cluster.recorded(id)?.readiness.ok_or_else(|| "it says nothing".to_owned())
}

/// Waits until each of `among` says so, on every way that there is.
fn wait_for(cluster: &Cluster, among: &[usize], outlook: proto::Outlook) -> proto::Readiness {
    let (code, metric, word) = match outlook {
        proto::Outlook::Yes => (200, "1.0", "yes"),
        proto::Outlook::Partly => (200, "0.5", "partly"),
        proto::Outlook::No => (503, "0.0", "no"),
        other @ (proto::Outlook::Unspecified | proto::Outlook::UnderWay) => panic!("{other:?} is not waited for"),
    };
    cluster.timeline.wait_for(&format!("{among:?} say {word}"), SOON, || {
        let mut last = None;
        for id in among {
            let (sentinel, readiness) = (cluster.sentinel(*id), said(cluster, *id)?);
            if readiness.outlook() != outlook {
                return Err(format!("sentinel {id}: {readiness:?}"));
            }
            let (found, body) = http_get(sentinel.ports.http, &format!("/readyz?group={GROUP}"));
            let (_, metrics) = http_get(sentinel.ports.http, "/metrics");
            let line = format!("raft_sentinel_failover_ready{{group=\"{GROUP}\"}} {metric}");
            let fields = sentinel.ask(&["SENTINEL", "MASTER", GROUP]).map_err(|e| e.to_string())?;
            // Without a quorum these two say only that.
            let alone = fields.error().is_some();
            if !metrics.contains(&line) || (!alone && found != code) || (!alone && fields.field("failover-ready").as_deref() != Some(word))
            {
                return Err(format!("sentinel {id}: {found} {body} {:?}", fields.field("failover-ready")));
            }
            last = Some(readiness);
        }
        last.ok_or_else(|| "nobody is asked".to_owned())
    })
}

fn wait_until_down(cluster: &Cluster, port: u16) {
    for id in [1, 2, 3] {
        cluster.timeline.wait_for(&format!("sentinel {id} sees {port} down"), SOON, || match cluster.seen(id, port)?.health() {
            proto::Health::Down => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

fn ckquorum(cluster: &Cluster, id: usize) -> String {
    cluster.sentinel(id).ask(&["SENTINEL", "CKQUORUM", GROUP]).expect("it answers").to_string()
}

/// The failover is blocked; by what.
fn wait_until_blocked(cluster: &Cluster) -> Vec<String> {
    cluster.timeline.wait_for("the failover is blocked", SOON, || {
        let failover = cluster.recorded(1)?.failover.ok_or("there is no failover")?;
        let in_words = |obstacle: &proto::Obstacle| format!("{}: {}", address(obstacle.replica.as_ref()), obstacle.reason);
        if failover.is_blocked { Ok(failover.blocked.iter().map(in_words).collect()) } else { Err("it is not".to_owned()) }
    })
}

#[test]
fn who_is_said_to_be_next_is_next() {
    let mut cluster = armed(Plan { priorities: vec![100, 10], ..strict() });
    let old = cluster.master();
    let next = cluster.others(old)[1];
    let readiness = wait_for(&cluster, &[1, 2, 3], proto::Outlook::Yes);
    assert_eq!((address(readiness.next.as_ref()), readiness.reasons), (local(next), vec![]));
    assert!(ckquorum(&cluster, 1).contains("OK 3 usable Sentinels. Quorum and failover authorization can be reached"));
    let told = crate::operators::operator(&cluster, &["status"]).success();
    assert!(told.contains(&format!("failover: ready, {} would be promoted", local(next))), "{told}");
    cluster.server_mut(old).kill();
    assert_eq!(cluster.wait_for_new_master(old, SOON), next);
}

#[test]
fn what_is_said_to_stand_in_the_way_does() {
    let mut cluster = armed(strict());
    let old = cluster.master();
    let gone = cluster.others(old)[0];
    cluster.server_mut(gone).kill();
    wait_until_down(&cluster, gone);
    // At first it is only known not to have answered.
    let readiness = cluster.timeline.wait_for("it is said to be down", SOON, || {
        let readiness = wait_for(&cluster, &[1, 2, 3], proto::Outlook::No);
        let down = readiness.reasons.iter().any(|reason| reason.ends_with(": down"));
        if down { Ok(readiness) } else { Err(format!("{readiness:?}")) }
    });
    let told = ckquorum(&cluster, 2);
    assert!(told.contains("NOFAILOVER") && told.contains("would be blocked"), "{told}");
    cluster.server_mut(old).kill();
    assert_eq!(wait_until_blocked(&cluster), readiness.reasons);
    cluster.server_mut(gone).restart();
    cluster.server_mut(old).restart();
    wait_for(&cluster, &[1, 2, 3], proto::Outlook::Yes);
}

#[test]
fn without_a_replica_it_is_said_that_there_is_none() {
    let mut cluster = Plan { replicas: 0, ..Plan::new(Flavour::Ours) }.start();
    let old = cluster.servers[0].port;
    assert_eq!(wait_for(&cluster, &[1, 2, 3], proto::Outlook::No).reasons, ["no replica is known"]);
    let told = ckquorum(&cluster, 1);
    assert!(told.contains("OK 3 usable") && told.contains("no replica is known"), "stock says OK to such a group: {told}");
    cluster.server_mut(old).kill();
    assert_eq!(wait_until_blocked(&cluster), Vec::<String>::new());
}

#[test]
fn a_fence_that_is_not_held_limits_what_would_come() {
    let mut cluster = armed(Plan { priorities: vec![100, 10], ..strict() });
    let old = cluster.master();
    // It cannot be armed again: CONFIG is as if it were not there.
    let refused = cluster.server(old).ask(&["ACL", "SETUSER", "default", "-config|set"]);
    assert!(refused.as_ref().is_ok_and(crate::kit::Reply::is_ok), "{refused:?}");
    // The fence is taken away by the one way that is left.
    let script = cluster.server(old).ask(&["ACL", "SETUSER", "boss", "on", "nopass", "+@all", "~*", "&*"]);
    assert!(script.as_ref().is_ok_and(crate::kit::Reply::is_ok), "{script:?}");
    let mut boss = cluster.server(old).conn(Duration::from_secs(2)).expect("it answers");
    boss.ask(&["AUTH", "boss", "x"]).expect("it answers");
    boss.ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]).expect("it answers");
    let readiness = wait_for(&cluster, &[1, 2, 3], proto::Outlook::Partly);
    assert!(readiness.reasons.iter().any(|reason| reason.contains("silent")), "{readiness:?}");
    cluster.server(old).stop();
    let reasons = wait_until_blocked(&cluster);
    assert!(readiness.reasons.iter().any(|reason| reason.contains(&reasons.join("; "))), "{readiness:?} {reasons:?}");
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    assert_eq!(address(readiness.next.as_ref()), local(new));
}

#[test]
fn a_lost_quorum_is_said() {
    let mut cluster = armed(strict());
    cluster.sentinel_mut(2).kill();
    cluster.sentinel_mut(3).kill();
    let readiness = wait_for(&cluster, &[1], proto::Outlook::No);
    assert!(readiness.reasons[0].contains("1 sentinels are in touch"), "{readiness:?}");
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    let nobody = || if cluster.masters().is_empty() { Ok(()) } else { Err(format!("{:?}", cluster.masters())) };
    cluster.timeline.holds("nobody is promoted", Duration::from_secs(4), nobody);
}

/// A replica that hangs is down, and is reset away by stock: it lives, and may hold what was confirmed.
#[test]
fn a_reset_while_a_replica_hangs_costs_no_failover() {
    let mut cluster = armed(strict());
    let old = cluster.master();
    let hung = cluster.others(old)[0];
    cluster.server(hung).stop();
    wait_until_down(&cluster, hung);
    assert!(cluster.sentinel(1).answer(&["SENTINEL", "RESET", GROUP]).to_string().contains('1'));
    assert_eq!(cluster.recorded(1).expect("it answers").replicas_known, 2, "its master still counts on it");
    cluster.server(hung).cont();
    let woken = Instant::now();
    wait_for(&cluster, &[1, 2, 3], proto::Outlook::Yes);
    assert!(woken.elapsed() < Duration::from_secs(5), "no failover for {:?}", woken.elapsed());
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}

/// A server that was started without a file comes back without its fence. Nothing is built on that, and it is said.
#[test]
fn a_server_without_a_file_is_told_and_its_fence_is_not_relied_on() {
    let mut cluster = Plan { fileless: true, ..strict() }.start();
    let old = cluster.master();
    let readiness = wait_for(&cluster, &[1, 2, 3], proto::Outlook::Partly);
    assert!(readiness.reasons.iter().any(|reason| reason.contains("silent")), "{readiness:?}");
    let fence = cluster.recorded(1).expect("it answers").fence.unwrap_or_default();
    assert!(!fence.armed && fence.problem.contains("without a configuration file"), "{fence:?}");
    assert_eq!(cluster.recorded(2).expect("it answers").wait_replicas, 0);
    cluster.server(old).stop();
    wait_until_blocked(&cluster);
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}

/// It is never seen where its master is, and has what it may have lost all the same once it has come as far as the master was then.
#[test]
fn a_replica_that_restarted_and_always_lags_comes_to_count_again() {
    let mut plan = strict();
    plan.down_after_ms = 5000;
    let mut cluster = armed(plan);
    let old = cluster.master();
    let laggard = cluster.others(old)[0];
    let writer = cluster.writer();
    cluster.server_mut(laggard).restart();
    let begun = Instant::now();
    // It runs for a moment in every second, and is more than a second behind whenever it is asked.
    while begun.elapsed() < Duration::from_secs(2) || !said(&cluster, 1).is_ok_and(|said| said.outlook() == proto::Outlook::Yes) {
        assert!(begun.elapsed() < Duration::from_secs(40), "no failover: {:?}", said(&cluster, 1));
        cluster.server(laggard).stop();
        cluster.timeline.holds("the replica hangs", Duration::from_millis(1200), || Ok(()));
        cluster.server(laggard).cont();
        cluster.timeline.holds("the replica catches up a little", Duration::from_millis(50), || Ok(()));
    }
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
    drop(writer);
}

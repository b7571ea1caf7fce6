//! A planned change while one of two replicas is away: nobody can be taken from the old master, so it hands over itself.

use std::time::Duration;

use super::operators::operator;
use super::strict::{armed, strict};
use crate::kit::GROUP;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_switchover_with_a_replica_away_loses_nothing() {
    let mut cluster = armed(strict());
    let (writer, timeline) = (cluster.writer(), cluster.timeline.clone());
    timeline.wait_until("the client writes", LIMIT, || writer.count() >= 200);
    let old = cluster.master();
    let others = cluster.others(old);
    cluster.server_mut(others[0]).kill();
    let told = operator(&cluster, &["switchover", GROUP]).success();
    assert!(told.contains("no write was lost"), "{told}");
    assert_eq!(cluster.wait_for_new_master(old, LIMIT), others[1]);
    let count = writer.count();
    let goes_on = || writer.count() >= count + 200 && writer.last().is_some_and(|ack| ack.port == others[1]);
    timeline.wait_until("the client goes on", LIMIT, goes_on);
    let log = writer.finish();
    let decisions = operator(&cluster, &["decisions", GROUP]).success();
    assert!(decisions.contains("made a replica itself"), "{decisions}");
    cluster.server_mut(others[0]).restart();
    cluster.wait_for_replica(old, others[1], LIMIT);
    cluster.wait_for_replica(others[0], others[1], LIMIT);
    let lost = log.lost(cluster.server(others[1])).expect("the new master answers");
    assert_eq!(lost, Vec::<u64>::new(), "{}", timeline.report());
}

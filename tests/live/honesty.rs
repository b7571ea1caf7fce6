//! A sentinel that does not know says so: cut off, or just awake.

use std::time::{Duration, Instant};

use crate::clients::leader_and_follower;
use crate::kit::sentinel::master_port;
use crate::kit::{Conn, Flavour, GROUP, Plan, Reply, Sentinel, Timeline};

const SOON: Duration = Duration::from_secs(15);
const LOOK_UP: &[&str] = &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP];

#[test]
fn a_sentinel_without_a_quorum_says_so_soon_and_changes_nothing() {
    let cluster = Plan { replicas: 1, ..Plan::new(Flavour::Ours) }.start();
    let timeline = cluster.timeline.clone();
    let (leader, follower) = leader_and_follower(&cluster);
    for alone in [leader, follower] {
        let others: Vec<&Sentinel> = cluster.sentinels.iter().filter(|other| other.id != alone + 1).collect();
        others.iter().for_each(|other| other.stop());
        let (alone, asked) = (&cluster.sentinels[alone], Instant::now());
        let answer = alone.ask(LOOK_UP).expect("it answers");
        let took = asked.elapsed();
        println!("alone, {answer} after {took:?}");
        assert!(answer.error().is_some_and(|text| text.starts_with("NOQUORUM ")), "{answer}");
        assert!(took < Duration::from_millis(2500), "{took:?}");
        for words in [
            &["SENTINEL", "SET", GROUP, "quorum", "1"][..],
            &["SENTINEL", "MONITOR", "late", "127.0.0.1", "6", "1"],
            &["SENTINEL", "REMOVE", GROUP],
            &["SENTINEL", "FAILOVER", GROUP],
        ] {
            let mut conn = alone.conn().expect("it answers");
            let refused = conn.ask(words).expect("it answers in bounded time");
            assert!(refused.error().is_some_and(|text| text.starts_with("NOQUORUM ")), "{words:?}: {refused}");
        }
        timeline.wait_for("CKQUORUM says what is missing", SOON, || {
            let answer = alone.ask(&["SENTINEL", "CKQUORUM", GROUP]).map_err(|e| e.to_string())?;
            let expected = "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master. \
                            Not enough available Sentinels to reach the majority and authorize a failover";
            if answer.error() == Some(expected) { Ok(()) } else { Err(answer.to_string()) }
        });
        others.iter().for_each(|other| other.cont());
        timeline.wait_for("it answers again", SOON, || alone.master());
    }
    cluster.wait_until_formed();
}

/// Whoever slept through a failover must not tell of the old master: not even in the answer to a question that
/// waited in its socket while it slept.
#[test]
fn a_sentinel_that_slept_through_a_failover_never_names_the_old_master() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    for leads in [true, false] {
        cluster.timeline.wait_for("all is well", SOON, || cluster.formed());
        let (leader, follower) = leader_and_follower(&cluster);
        let sleeper = if leads { leader } else { follower };
        let mut waiting: Vec<Conn> = (0..3).map(|_| cluster.sentinels[sleeper].conn().expect("it answers")).collect();
        for conn in &mut waiting {
            conn.ask(LOOK_UP).expect("it answers");
        }
        cluster.sentinels[sleeper].stop();
        let old = cluster.servers.iter().find(|server| server.role().as_deref() == Some("master")).expect("there is a master").port;
        cluster.server_mut(old).kill();
        let awake: Vec<usize> = (0..3).filter(|at| *at != sleeper).collect();
        let new = wait_for_agreement(&cluster.timeline, &awake.iter().map(|at| &cluster.sentinels[*at]).collect::<Vec<_>>(), old);
        for conn in &mut waiting {
            conn.send(LOOK_UP).expect("the socket takes it");
        }
        let asked = waiting.len();
        cluster.sentinels[sleeper].cont();
        let mut answers: Vec<Reply> = waiting.iter_mut().map(|conn| conn.read().expect("it answers")).collect();
        let awake_again = Instant::now();
        while awake_again.elapsed() < Duration::from_millis(1500) {
            answers.push(waiting[0].ask(LOOK_UP).expect("it answers"));
        }
        println!("leading: {leads}; first answers {:?}, then {} more", &answers[..asked], answers.len() - asked);
        for answer in &answers {
            let honest = master_port(answer) == Some(new) || answer.error().is_some();
            assert!(honest, "{answer} instead of {new}\n{}", cluster.timeline.report());
        }
        cluster.server_mut(old).restart();
        cluster.wait_for_replica(old, new, SOON);
    }
}

fn wait_for_agreement(timeline: &Timeline, sentinels: &[&Sentinel], old: u16) -> u16 {
    timeline.wait_for("those who are awake agree on another master", SOON, || {
        let named: Vec<_> = sentinels.iter().map(|sentinel| sentinel.master()).collect();
        match &named[0] {
            Ok(port) if *port != old && named.iter().all(|other| other == &named[0]) => Ok(*port),
            _ => Err(format!("{named:?}")),
        }
    })
}

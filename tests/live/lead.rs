//! Which sentinel leads: the one that an operator wants, and one that the servers let in.

use std::time::{Duration, Instant};

use super::operators::operator;
use crate::kit::{Cluster, Flavour, GROUP, Plan};

const SOON: Duration = Duration::from_secs(15);
const ALL: [usize; 3] = [1, 2, 3];

fn another(leader: usize) -> usize {
    leader % 3 + 1
}

fn waits_until_leads(cluster: &Cluster, id: usize) {
    cluster.timeline.wait_for(&format!("sentinel {id} leads in the eyes of all"), SOON, || {
        for asked in ALL {
            let seen = cluster.status(asked)?.leader_id;
            if seen != Some(id as u64) {
                return Err(format!("sentinel {asked} says {seen:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn an_operator_says_who_leads() {
    let mut cluster = Plan::new(Flavour::Ours).start();
    let leader = cluster.wait_for_leader(&ALL, SOON);
    let to = another(leader);
    let begun = Instant::now();
    let told = operator(&cluster, &["members", "lead", &to.to_string()]).success();
    println!("handed over within {:?}", begun.elapsed());
    assert!(told.contains(&format!("sentinel {to} leads")), "{told}");
    waits_until_leads(&cluster, to);
    // It leads already: nothing is done.
    let term = cluster.status(to).expect("it answers").term;
    operator(&cluster, &["members", "lead", &to.to_string()]).success();
    assert_eq!(cluster.status(to).expect("it answers").term, term);
    let unknown = operator(&cluster, &["members", "lead", "9"]);
    assert!(unknown.stderr.contains("sentinel 9 is not a member"), "{unknown:?}");
    let history = operator(&cluster, &["history"]).success();
    assert!(history.contains(&format!("members lead {to}")), "{history}");

    let back = another(to);
    let follower = cluster.sentinel(back).answer(&["SENTINEL", "LEAD", &back.to_string()]);
    assert_eq!(follower.error(), Some(format!("ERR only the sentinel that leads hands that over: ask sentinel {to}").as_str()));
    for wrong in ["0", "-1", "x", "99999999999999999999"] {
        let refused = cluster.sentinel(to).answer(&["SENTINEL", "LEAD", wrong]);
        assert!(refused.error().is_some_and(|why| why.contains("raft node-id")), "{wrong}: {refused}");
    }
    cluster.sentinel(to).expect_ok(&["SENTINEL", "LEAD", &back.to_string()]);
    waits_until_leads(&cluster, back);

    let away = another(back);
    cluster.sentinel_mut(away).kill();
    let refused = cluster.sentinel(back).answer(&["SENTINEL", "LEAD", &away.to_string()]);
    assert!(refused.error().is_some_and(|why| why.contains("goes on leading")), "{refused}");
    assert_eq!(cluster.status(back).expect("it answers").leader_id, Some(back as u64), "it leads on");
    // And does what a leader does.
    cluster.sentinel_mut(away).restart();
    let old = cluster.master();
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}

/// The servers turn away whoever comes anew. The leader has to; the others are still in.
#[test]
fn a_leader_whose_credentials_have_expired_lets_another_lead() {
    let watcher = "user watcher on >old-password ~* &* +@all".to_owned();
    let mut cluster = Plan {
        password: Some("old-password".to_owned()),
        server_lines: vec![watcher],
        lines: vec![format!("sentinel auth-user {GROUP} watcher")],
        ..Plan::new(Flavour::Ours)
    }
    .start();
    let leader = cluster.wait_for_leader(&ALL, SOON);
    let id = cluster.sentinel(leader).answer(&["SENTINEL", "MYID"]).text().expect("an id");
    for server in &cluster.servers {
        let ask = |words: &[&str]| server.ask(words).expect("it answers");
        assert!(ask(&["ACL", "SETUSER", "watcher", "resetpass", ">new-password"]).is_ok());
        let name = format!("name=sentinel-{}", &id[..8]);
        let clients = ask(&["CLIENT", "LIST"]).text().expect("a list");
        let own = clients.lines().filter(|line| line.contains(&name));
        let ids: Vec<&str> = own.filter_map(|line| line.split_whitespace().find_map(|field| field.strip_prefix("id="))).collect();
        assert!(!ids.is_empty(), "{clients}");
        for id in ids {
            ask(&["CLIENT", "KILL", "ID", id]);
        }
    }
    let begun = Instant::now();
    let others: Vec<usize> = ALL.into_iter().filter(|id| *id != leader).collect();
    let new = cluster.wait_for_leader(&others, SOON);
    println!("sentinel {new} leads {:?} after the credentials of sentinel {leader} had expired", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "{}", cluster.timeline.report());
    let term = cluster.status(new).expect("it answers").term;
    cluster.timeline.holds("it leads on", Duration::from_secs(3), || match cluster.status(new)?.term {
        now if now == term => Ok(()),
        now => Err(format!("term {now} after {term}")),
    });
    assert!(cluster.sentinel(leader).log().contains("at its credentials and certificates"), "the log says what to look at");
    for server in &cluster.servers {
        assert!(server.ask(&["ACL", "SETUSER", "watcher", "resetpass", ">old-password"]).expect("it answers").is_ok());
    }
    let old = cluster.master();
    cluster.server_mut(old).kill();
    cluster.wait_for_new_master(old, SOON);
}

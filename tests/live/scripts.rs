//! A data node that a script keeps busy: once it counts as down it is told to end the script, as stock Sentinel does.

use std::time::Duration;

use crate::kit::{Flavour, GROUP, Plan};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_replica_that_runs_an_endless_script_is_told_to_end_it() {
    let mut plan = Plan::new(Flavour::Ours);
    plan.server_lines.push("lua-time-limit 10".to_owned());
    let cluster = plan.start();
    let timeline = cluster.timeline.clone();
    let busy = cluster.others(cluster.master())[0];
    let mut conn = cluster.server(busy).conn(LIMIT).expect("it answers");
    let script = std::thread::spawn(move || conn.ask(&["EVAL", "while true do end", "0"]));
    let told = || {
        let answer = cluster.sentinel(1).answer(&["SENTINEL", "REPLICAS", GROUP]);
        if answer.to_string().contains("s_down") { Ok(()) } else { Err(answer.to_string()) }
    };
    timeline.wait_for("it counts as down", LIMIT, told);
    let ended = script.join().expect("the client does not panic");
    assert!(ended.as_ref().is_ok_and(|reply| reply.to_string().contains("SCRIPT KILL")), "{ended:?}");
    timeline.wait_for("it serves again", LIMIT, || cluster.formed());
}

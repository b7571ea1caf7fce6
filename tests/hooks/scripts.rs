//! Scripts as processes.

use std::net::TcpListener;
use std::path::Path;

use raft_sentinel::base::settings::SettingChange;
use raft_sentinel::base::{NodeId, WallTime};
use raft_sentinel::events::{Level, Spoken};
use raft_sentinel::hooks::{Limits, RunStanding, script};
use raft_sentinel::machine::Command;

use super::world::{World, event, eventually, group, quick, write_script};

fn with(change: impl FnOnce(&mut script::Limits)) -> Limits {
    let mut limits = quick();
    change(&mut limits.scripts);
    limits
}

#[tokio::test]
async fn a_script_gets_its_arguments_our_environment_and_the_working_directory() {
    let world = World::start(quick());
    world.notify_with("printf '<%s>' \"$#\" \"$@\" > out.tmp; echo \"$PATH|$(pwd)\" >> out.tmp; mv out.tmp out");
    world.warn("+odown", "master mymaster 127.0.0.1 6379 #quorum 2/2 $(touch hacked) ; `touch hacked`");
    eventually("the script has run", || world.dir.path().join("out").exists()).await;
    let dir = world.dir.path().canonicalize().unwrap();
    let expected = format!(
        "<2><+odown><master mymaster 127.0.0.1 6379 #quorum 2/2 $(touch hacked) ; `touch hacked`>{}|{}\n",
        std::env::var("PATH").unwrap(),
        dir.display()
    );
    assert_eq!(world.read("out"), expected);
    assert!(!world.dir.path().join("hacked").exists(), "a shell has seen the arguments");
    eventually("it has left the queue", || world.hooks.counts().queued == 0).await;
    assert_eq!((world.hooks.counts().runs, world.hooks.counts().failed), (1, 0));
}

#[tokio::test]
async fn no_descriptor_leaks_into_a_script() {
    let world = World::start(quick());
    let (_socket, _file) = (TcpListener::bind("127.0.0.1:0").unwrap(), std::fs::File::create(world.dir.path().join("ours")).unwrap());
    world.notify_with("ls -l /proc/self/fd > fds.tmp; read -r line; echo \"stdin ends: $line\" >> fds.tmp; mv fds.tmp fds");
    world.warn("+sdown", "x");
    eventually("the script has run", || world.dir.path().join("fds").exists()).await;
    let seen = world.read("fds");
    let numbered =
        |line: &str| Some((line.split(" -> ").next()?.rsplit(' ').next()?.parse::<u32>().ok()?, line.split(" -> ").nth(1)?.to_owned()));
    let leaked: Vec<_> = seen.lines().filter_map(numbered).filter(|(number, _)| *number > 2).collect();
    assert!(leaked.iter().all(|(_, target)| !target.starts_with("socket:") && !target.starts_with("anon_inode:")), "{seen}");
    assert!(leaked.iter().all(|(_, target)| !target.ends_with("/ours")), "{seen}");
    assert!(seen.contains("stdin ends: \n"), "{seen}");
}

#[tokio::test]
async fn a_script_that_exits_with_1_runs_again_until_it_is_given_up() {
    let mut world = World::start(with(|limits| limits.runs = 4));
    world.notify_with("echo run >> runs; exit 1");
    world.warn("+sdown", "x");
    assert_eq!(world.said().await, ("-script-error", "notify.sh 0 1".to_owned()));
    assert_eq!(world.read("runs"), "run\n".repeat(4));
    let counts = world.hooks.counts();
    assert_eq!((counts.runs, counts.failed, counts.queued), (4, 1, 0));
}

#[tokio::test]
async fn a_script_that_dies_of_a_signal_runs_again_and_may_end_well() {
    let world = World::start(quick());
    world.notify_with("echo run >> runs; [ $(wc -l < runs) -ge 3 ] || kill -9 $$");
    world.warn("+sdown", "x");
    eventually("it has ended well", || world.hooks.counts().queued == 0 && world.hooks.counts().runs == 3).await;
    assert_eq!(world.hooks.counts().failed, 0);
}

#[tokio::test]
async fn other_exit_codes_and_missing_scripts_are_final() {
    let mut world = World::start(quick());
    world.notify_with("echo run >> runs; exit 3");
    world.warn("+sdown", "x");
    assert_eq!(world.said().await, ("-script-error", "notify.sh 0 3".to_owned()));
    assert_eq!(world.read("runs"), "run\n");
    world.set(SettingChange::NotificationScript(Some("/nowhere/x.sh".to_owned())));
    world.warn("+sdown", "x");
    assert_eq!(world.said().await, ("-script-error", "/nowhere/x.sh 0 2".to_owned()));
    std::fs::write(world.dir.path().join("plain"), "#!/bin/sh\n").unwrap();
    world.set(SettingChange::NotificationScript(Some("plain".to_owned())));
    world.warn("+sdown", "x");
    assert_eq!(world.said().await, ("-script-error", "plain 0 2".to_owned()));
    assert_eq!(world.hooks.counts().queued, 0);
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_killed_with_its_children() {
    let mut world = World::start(with(|limits| (limits.run_ms, limits.runs) = (500, 2)));
    world.notify_with("sleep 1000 & echo $! >> children; echo $$ >> pids; wait");
    world.warn("+sdown", "x");
    let (first, payload) = world.said().await;
    let pid = world.read("pids").lines().next().unwrap().to_owned();
    assert_eq!((first, payload), ("-script-timeout", format!("notify.sh {pid}")));
    assert_eq!(world.said().await.0, "-script-timeout");
    assert_eq!(world.said().await, ("-script-error", "notify.sh 9 0".to_owned()));
    assert_eq!(world.hooks.counts().timed_out, 2);
    for child in world.read("children").lines() {
        eventually("its child is gone, too", || !is_running(child)).await;
    }
}

/// Where nobody waits for orphans, a dead one stays as a zombie.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn what_runs_and_waits_is_shown() {
    let world = World::start(with(|limits| limits.at_once = 1));
    world.notify_with("while [ ! -e go ]; do sleep 0.02; done");
    world.warn("+sdown", "a");
    world.warn("-sdown", "b");
    eventually(
        "the first one runs",
        || matches!(world.hooks.pending().first(), Some(first) if matches!(first.standing, RunStanding::Running { pid: Some(_), .. })),
    )
    .await;
    let pending = world.hooks.pending();
    assert_eq!(pending.iter().map(|one| one.argv[1..].join(" ")).collect::<Vec<_>>(), ["+sdown a", "-sdown b"]);
    assert_eq!((pending[0].runs, pending[1].runs, pending[1].standing), (1, 0, RunStanding::Scheduled { in_ms: 0 }));
    assert_eq!((world.hooks.counts().running, world.hooks.counts().queued), (1, 2));
    std::fs::write(world.dir.path().join("go"), "").unwrap();
    eventually("both are done", || world.hooks.counts().queued == 0).await;
}

#[tokio::test]
async fn only_warnings_about_an_instance_are_told() {
    let world = World::start(quick());
    world.notify_with("echo \"$1\" >> told");
    for level in [Level::Notice, Level::Verbose] {
        world.hub.say(Spoken { level, ..event("+slave", "x") });
    }
    world.hub.say(Spoken { published: false, ..event("-slave", "x") });
    world.hub.say(Spoken::about_this_process("-script-error", "x 0 1"));
    world.warn("+sdown", "x");
    eventually("the warning is told", || world.read("told") == "+sdown\n").await;
    eventually("nothing waits", || world.hooks.counts().queued == 0).await;
    assert_eq!(world.hooks.counts().runs, 1);
}

#[tokio::test]
async fn the_end_of_a_group_is_told_by_its_own_script() {
    let world = World::start(quick());
    world.notify_with("echo \"$1\" >> told");
    // So that the settings are seen before they are gone.
    world.warn("+set", "x");
    eventually("it is told", || world.read("told") == "+set\n").await;
    world.done(&Command::RemoveGroup { group: group(), at: WallTime(0), keep: None, asked: None });
    world.warn("-monitor", "x");
    eventually("the end is told", || world.read("told") == "+set\n-monitor\n").await;
}

#[tokio::test]
async fn the_sentinel_that_decided_is_the_leader_of_a_switch() {
    for (me, role) in [(1, "leader"), (2, "observer")] {
        let world = World::start_as(NodeId(me), quick(), None);
        write_script(&world.dir.path().join("reconfig.sh"), "echo \"$*\" >> told");
        world.set(SettingChange::ClientReconfigScript(Some("reconfig.sh".to_owned())));
        world.warn("+odown", "x");
        world.hub.say(world.fail_over(NodeId(1)));
        let told = format!("mymaster {role} start 127.0.0.1 6379 127.0.0.1 6380\n");
        eventually("clients are reconfigured once", || world.read("told") == told).await;
        eventually("nothing waits", || world.hooks.counts().queued == 0).await;
        assert_eq!(world.hooks.counts().runs, 1);
    }
}

#[tokio::test]
async fn a_sentinel_that_joins_does_not_run_scripts_for_history() {
    let world = World::start_as(NodeId(1), quick(), Some(WallTime(1_800_000_000_000_000)));
    world.notify_with("echo \"$1 $2\" >> told");
    world.warn("+sdown", "long ago");
    world.hub.say(Spoken { origin: raft_sentinel::events::Origin::Local, ..event("+sdown", "now") });
    eventually("what is seen now is told", || world.read("told") == "+sdown now\n").await;
    assert_eq!(world.hooks.counts().runs, 1);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_and_counts() {
    let world = World::start(with(|limits| (limits.at_once, limits.queued) = (1, 3)));
    world.notify_with("while [ ! -e go ]; do sleep 0.02; done; echo \"$2\" >> told");
    world.warn("+sdown", "0");
    eventually("the first one runs", || world.hooks.counts().running == 1).await;
    ["1", "2", "3", "4"].iter().for_each(|number| world.warn("+sdown", number));
    eventually("two are dropped", || world.hooks.counts().dropped == 2).await;
    std::fs::write(world.dir.path().join("go"), "").unwrap();
    eventually("the rest is done", || world.read("told") == "0\n3\n4\n").await;
}

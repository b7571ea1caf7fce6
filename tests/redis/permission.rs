//! An act is done only with a permission that was asked for when the link was ready, and that holds right before it takes effect.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use raft_sentinel::base::Standing;
use raft_sentinel::probe::ControlHandle;
use raft_sentinel::redis::{Act, ActReport, AskError, Permission};
use rustix::process::Signal;

use crate::server::Server;
use crate::watched::{settings, watch};

const LIMIT: Duration = Duration::from_secs(5);

/// Answers as it was told to, and counts.
#[derive(Default)]
struct Scripted {
    /// To [`Permission::confirm`]; yes when there is nothing left.
    confirms: VecDeque<Result<(), String>>,
    /// To [`Permission::holds`]; yes when there is nothing left.
    holds: std::sync::Mutex<VecDeque<bool>>,
    confirmed: Arc<AtomicU32>,
    judged: Option<Standing>,
}

#[async_trait]
impl Permission for Scripted {
    async fn confirm(&mut self) -> Result<(), String> {
        self.confirmed.fetch_add(1, Ordering::Relaxed);
        self.confirms.pop_front().unwrap_or(Ok(()))
    }

    fn judged(&self) -> Option<&Standing> {
        self.judged.as_ref()
    }

    fn holds(&self) -> bool {
        self.holds.lock().expect("no panic").pop_front().unwrap_or(true)
    }
}

fn deposed() -> Result<(), String> {
    Err("another leads".to_owned())
}

async fn promote(hands: &ControlHandle, limit: Duration, permission: Scripted) -> Result<ActReport, AskError> {
    hands.act_by(Act::Promote { fence: None }, (Instant::now() + limit).into(), Box::new(permission)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_permission_nothing_is_done_and_the_link_goes_on() {
    let server = Server::start("");
    let watched = watch(server.addr(), settings(1000));
    let hands = watched.probe.hands().expect("it was given hands");
    let refused = Scripted { confirms: [deposed()].into(), ..Scripted::default() };
    assert_eq!(promote(&hands, LIMIT, refused).await, Err(AskError::NotPermitted("another leads".to_owned())));
    let lapsed = Scripted { confirms: [Ok(()), deposed()].into(), holds: std::sync::Mutex::new([false].into()), ..Scripted::default() };
    assert_eq!(promote(&hands, LIMIT, lapsed).await, Err(AskError::NotPermitted("another leads".to_owned())));
    let said = server.say("INFO commandstats");
    assert!(!said.contains("cmdstat_replicaof") && said.contains("cmdstat_discard:calls=2"), "{said}");
    promote(&hands, LIMIT, Scripted::default()).await.expect("the next one is permitted, over the same link");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_changed_since_it_was_judged_is_left_as_it_is() {
    let server = Server::start("");
    let watched = watch(server.addr(), settings(1000));
    let hands = watched.probe.hands().expect("it was given hands");
    let look = async || Standing::of(hands.act(Act::Unpause, LIMIT).await.expect("it is harmless").node().expect("it has an INFO"));
    let master = look().await;
    server.say("REPLICAOF 127.0.0.1 2");
    let judged = |judged: &Standing| Scripted { judged: Some(judged.clone()), ..Scripted::default() };
    let error = promote(&hands, LIMIT, judged(&master)).await.expect_err("somebody made it a replica");
    let AskError::Changed { report, why } = error else { panic!("{error:?}") };
    assert_eq!((Standing::of(&report), why.as_str()), (look().await, "it follows 127.0.0.1:2 by now"));
    promote(&hands, LIMIT, judged(&look().await)).await.expect("it is what it was judged to be, over the same link");
    assert_eq!(look().await.follows, None);
}

/// A link that stayed in its transaction had all later acts queued, answered well and never done.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_user_who_may_not_discard_is_given_a_fresh_link() {
    let server = Server::start("");
    server.say("ACL SETUSER default -discard");
    let watched = watch(server.addr(), settings(1000));
    let hands = watched.probe.hands().expect("it was given hands");
    let refused = Scripted { confirms: [deposed()].into(), ..Scripted::default() };
    let told = promote(&hands, LIMIT, refused).await.expect_err("another leads");
    assert!(matches!(&told, AskError::NoLink(_)) && told.to_string().contains("another leads"), "{told}");
    let follow = Act::Follow { master: "127.0.0.1:1".parse().expect("an address"), clients: raft_sentinel::redis::Clients::Keep };
    hands.act_by(follow, (Instant::now() + LIMIT).into(), Box::new(Scripted::default())).await.expect("the next one is permitted");
    assert!(server.say("INFO replication").contains("role:slave"), "and done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_confirmation_that_grew_old_is_asked_for_again() {
    let server = Server::start("");
    let watched = watch(server.addr(), settings(1000));
    let hands = watched.probe.hands().expect("it was given hands");
    let old = Scripted { holds: std::sync::Mutex::new([false, false, true].into()), ..Scripted::default() };
    let confirmed = Arc::clone(&old.confirmed);
    promote(&hands, LIMIT, old).await.expect("the third confirmation is young enough");
    assert_eq!(confirmed.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_asked_for_before_the_link_is_ready() {
    let server = Server::start("");
    server.signal(Signal::STOP);
    let watched = watch(server.addr(), settings(1000));
    let hands = watched.probe.hands().expect("it was given hands");
    let early = Scripted::default();
    let confirmed = Arc::clone(&early.confirmed);
    let error = promote(&hands, Duration::from_millis(300), early).await.expect_err("it hangs");
    assert!(matches!(error, AskError::NoLink(_)), "{error:?}");
    assert_eq!(confirmed.load(Ordering::Relaxed), 0);
    server.signal(Signal::CONT);
    promote(&hands, LIMIT, Scripted::default()).await.expect("it works again");
}

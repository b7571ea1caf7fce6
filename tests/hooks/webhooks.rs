//! Webhooks before a receiver that behaves, and ones that do not.

use raft_sentinel::base::settings::SettingChange;
use raft_sentinel::hooks::{Limits, webhook};

use super::receiver::{Answer, Receiver};
use super::world::{World, event, eventually, quick};

fn counts(world: &World) -> webhook::Counts {
    world.hooks.letters().first().map(|(_, counts)| *counts).unwrap_or_default()
}

fn with(change: impl FnOnce(&mut webhook::Limits)) -> Limits {
    let mut limits = quick();
    change(&mut limits.webhooks);
    limits
}

fn payloads(receiver: &Receiver) -> Vec<String> {
    receiver.taken().iter().map(|taken| taken.body["payload"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_event_is_posted_as_json() {
    let (world, receiver) = (World::start(quick()), Receiver::start(&[]).await);
    world.set_webhook(&receiver.url);
    world.warn("+odown", "master mymaster 127.0.0.1 6379 #quorum 2/2");
    eventually("it has arrived", || counts(&world).sent == 1).await;
    let taken = &receiver.taken()[0];
    assert!(taken.head.starts_with("POST /hook/s3cret?token=t0ken HTTP/1.1\r\n"), "{}", taken.head);
    assert_eq!(taken.header("content-type"), "application/json");
    assert!(taken.header("idempotency-key").starts_with("prod/77/+odown/"), "{}", taken.head);
    let expected = serde_json::json!({
        "event": "+odown",
        "payload": "master mymaster 127.0.0.1 6379 #quorum 2/2",
        "level": "warning",
        "group": "mymaster",
        "epoch": 4,
        "revision": 77,
        "agreed": true,
        "at": "2023-11-14T22:13:20.123456Z",
        "at_unix_us": 1_700_000_000_123_456_u64,
        "cluster_id": "prod",
        "sentinel_id": "1".repeat(40),
        "node_id": 1,
    });
    assert_eq!(taken.body, expected);
}

#[tokio::test]
async fn every_kind_of_trouble_is_tried_again_under_the_same_key_and_in_order() {
    let answers = [Answer::Status(500), Answer::HangUp, Answer::Silence, Answer::Status(429)];
    let (world, receiver) = (World::start(with(|limits| limits.attempt_ms = 500)), Receiver::start(&answers).await);
    world.set_webhook(&receiver.url);
    world.warn("+sdown", "first");
    world.warn("+odown", "second");
    eventually("both have arrived", || counts(&world).sent == 2).await;
    assert_eq!(payloads(&receiver), ["first", "first", "first", "first", "first", "second"]);
    let keys: Vec<String> = receiver.taken().iter().map(|taken| taken.header("idempotency-key")).collect();
    assert!(keys[..5].iter().all(|key| *key == keys[0]) && keys[5] != keys[0], "{keys:?}");
    assert_eq!((counts(&world).failed, counts(&world).dropped), (0, 0));
}

#[tokio::test]
async fn what_a_receiver_refuses_is_not_tried_again() {
    let (world, receiver) = (World::start(quick()), Receiver::start(&[Answer::Status(403), Answer::Status(302)]).await);
    world.set_webhook(&receiver.url);
    world.warn("+sdown", "refused");
    world.warn("-sdown", "moved once");
    eventually("the second has arrived", || counts(&world).sent == 1).await;
    assert_eq!(counts(&world).failed, 1);
    assert_eq!(payloads(&receiver), ["refused", "moved once", "moved once"]);
}

#[tokio::test]
async fn nobody_listening_is_given_up_after_the_attempts() {
    let world = World::start(with(|limits| limits.attempts = 3));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.set_webhook(&format!("http://127.0.0.1:{port}/"));
    world.warn("+sdown", "x");
    eventually("it is given up", || counts(&world).failed == 1).await;
    // TLS to a receiver that speaks none, or is not there, is no different.
    world.set_webhook(&format!("https://127.0.0.1:{port}/"));
    world.warn("+sdown", "y");
    eventually("so is this", || counts(&world).failed == 2).await;
    assert_eq!(counts(&world).sent, 0);
}

#[tokio::test]
async fn a_receiver_that_never_answers_costs_events_but_nobody_waits() {
    let world = World::start(with(|limits| (limits.waiting, limits.attempts, limits.attempt_ms) = (2, 1, 1000)));
    let receiver = Receiver::start(&[Answer::Silence]).await;
    world.set_webhook(&receiver.url);
    world.warn("+sdown", "0");
    eventually("the first is on its way", || receiver.taken().len() == 1).await;
    ["1", "2", "3", "4"].iter().for_each(|number| world.warn("+sdown", number));
    eventually("two are dropped", || counts(&world).dropped == 2).await;
    eventually("the rest arrives", || counts(&world).sent == 2 && counts(&world).failed == 1).await;
    assert_eq!(payloads(&receiver), ["0", "3", "4"]);
}

#[tokio::test]
async fn an_unset_webhook_is_not_called() {
    let (world, receiver) = (World::start(quick()), Receiver::start(&[]).await);
    world.set_webhook(&receiver.url);
    world.warn("+sdown", "a");
    eventually("it has arrived", || counts(&world).sent == 1).await;
    world.set(SettingChange::NotificationWebhook(None));
    world.notify_with("echo told >> told");
    world.hub.say(event("+sdown", "b"));
    eventually("the script is told", || world.read("told") == "told\n").await;
    assert_eq!(payloads(&receiver), ["a"]);
}

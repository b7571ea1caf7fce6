//! Scripts and webhooks as SENTINEL SET and MASTER show them.

use super::wire::Wire;
use super::world::{Options, World, world_with};

async fn open() -> (World, Wire) {
    let world = world_with(Options { scripts_allowed: true, ..Options::default() }).await;
    let wire = Wire::open(world.addr).await;
    (world, wire)
}

#[tokio::test]
async fn scripts_can_be_set_where_the_file_allows_it() {
    let (_world, mut wire) = open().await;
    for option in ["notification-script", "client-reconfig-script"] {
        assert_eq!(wire.ask(&format!("SENTINEL SET mymaster {option} /bin/sh")).await, "+OK\r\n");
        let shown = format!("\r\n{option}\r\n$7\r\n/bin/sh\r\n");
        assert!(wire.ask("SENTINEL MASTER mymaster").await.contains(&shown));
        assert_eq!(wire.ask(&format!(r#"SENTINEL SET mymaster {option} """#)).await, "+OK\r\n");
        assert!(!wire.ask("SENTINEL MASTER mymaster").await.contains(option));
    }
}

#[tokio::test]
async fn a_script_must_be_there_and_executable() {
    let (_world, mut wire) = open().await;
    for path in ["/nowhere/x.sh", "/etc/passwd", "/tmp"] {
        assert_eq!(
            wire.ask(&format!("SENTINEL SET mymaster quorum 1 notification-script {path}")).await,
            "-ERR Notification script seems non existing or non executable\r\n"
        );
        assert_eq!(
            wire.ask(&format!("SENTINEL SET mymaster client-reconfig-script {path}")).await,
            "-ERR Client reconfiguration script seems non existing or non executable\r\n"
        );
    }
    assert!(wire.ask("SENTINEL MASTER mymaster").await.contains("\r\nquorum\r\n$1\r\n2\r\n"), "none of the changes was made");
}

#[tokio::test]
async fn commands_are_renamed_where_the_file_allows_it_and_never_to_other_commands() {
    let (_world, mut wire) = open().await;
    assert_eq!(wire.ask("SENTINEL SET mymaster rename-command CONFIG x1").await, "+OK\r\n");
    for to in ["FLUSHALL", "shutdown", "FT.DROPINDEX"] {
        let reply = wire.ask(&format!("SENTINEL SET mymaster rename-command PING {to}")).await;
        assert_eq!(reply, format!("-ERR Invalid argument 'PING {to}' for SENTINEL SET 'rename-command'\r\n"));
    }
    let closed = world_with(Options::default()).await;
    let reply = Wire::open(closed.addr).await.ask("SENTINEL SET mymaster rename-command CONFIG x1").await;
    assert!(reply.starts_with("-ERR Renaming commands is denied"), "{reply}");
}

#[tokio::test]
async fn a_webhook_that_would_not_be_called_is_refused() {
    let (_world, mut wire) = open().await;
    for url in ["http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data", "http://[::ffff:a9fe:a9fe]/"] {
        let reply = wire.ask(&format!("SENTINEL SET mymaster notification-webhook {url}")).await;
        assert!(reply.starts_with("-ERR The webhook would not be called"), "{url}: {reply}");
    }
}

#[tokio::test]
async fn a_webhook_is_told_without_its_secret() {
    let (_world, mut wire) = open().await;
    let mut listener = Wire::open(_world.addr).await;
    listener.ask("SUBSCRIBE +set").await;
    assert_eq!(wire.ask("SENTINEL SET mymaster notification-webhook https://hooks.example.com/s3cret").await, "+OK\r\n");
    let payload = "master mymaster 127.0.0.1 6379 notification-webhook https://hooks.example.com";
    listener.expect(&format!("*3\r\n$7\r\nmessage\r\n$4\r\n+set\r\n${}\r\n{payload}\r\n", payload.len())).await;
    assert!(!wire.ask("SENTINEL MASTER mymaster").await.contains("s3cret"));
}

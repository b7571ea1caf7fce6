//! Coming, staying and going.

use std::sync::atomic::Ordering;

use super::wire::Wire;
use super::world::{Options, eventually, world, world_with};

#[tokio::test]
async fn strangers_say_the_password_first() {
    let world = world_with(Options { password: Some("s3cret"), ..Options::default() }).await;
    let mut wire = Wire::open(world.addr).await;
    // Whether a command exists, and how it is called, is told to everybody, as in Redis.
    for (request, reply) in [
        ("PING", "-NOAUTH Authentication required.\r\n"),
        ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"),
        ("SENTINEL MASTERS", "-NOAUTH Authentication required.\r\n"),
        ("SENTINEL MASTER", "-ERR wrong number of arguments for 'sentinel|master' command\r\n"),
        ("AUTH s3cre", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        ("AUTH s3crets", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        ("AUTH ''", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        ("AUTH nobody s3cret", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        (
            "HELLO 3",
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option \
             can be used to authenticate the client and select the RESP protocol version at the same time\r\n",
        ),
        ("AUTH s3cret", "+OK\r\n"),
        ("PING", "+PONG\r\n"),
    ] {
        wire.send(format!("{request}\r\n")).await;
        wire.expect(reply).await;
    }
    let mut other = Wire::open(world.addr).await;
    other.send("HELLO 3 AUTH default s3cret SETNAME me\r\nCLIENT GETNAME\r\n").await;
    other.expect("%6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:2\r\n").await;
    other.expect("$4\r\nmode\r\n$8\r\nsentinel\r\n$7\r\nmodules\r\n*0\r\n$2\r\nme\r\n").await;
}

#[tokio::test]
async fn strangers_send_little() {
    let world = world_with(Options { password: Some("s3cret"), ..Options::default() }).await;
    for (bytes, reply) in [
        ("*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"),
        ("*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"),
    ] {
        let mut wire = Wire::open(world.addr).await;
        wire.send(bytes).await;
        assert_eq!(wire.until_closed().await, reply);
    }
}

#[tokio::test]
async fn no_more_clients_than_allowed() {
    let world = world_with(Options { maxclients: Some(2), ..Options::default() }).await;
    let mut first = Wire::open(world.addr).await;
    let mut second = Wire::open(world.addr).await;
    assert_eq!(first.ask("PING").await, "+PONG\r\n");
    assert_eq!(second.ask("PING").await, "+PONG\r\n");
    assert_eq!(Wire::open(world.addr).await.until_closed().await, "-ERR max number of clients reached\r\n");
    drop(second);
    for _ in 0..200 {
        let mut wire = Wire::open(world.addr).await;
        if wire.ask("PING").await == "+PONG\r\n" {
            assert!(first.ask("INFO stats").await.contains("rejected_connections:"));
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the place of a client that left was not free again");
}

#[tokio::test]
async fn quit_answers_and_closes() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    wire.send("QUIT\r\nPING\r\n").await;
    assert_eq!(wire.until_closed().await, "+OK\r\n");
}

#[tokio::test]
async fn shutdown_asks_the_process_to_stop() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    assert_eq!(wire.ask("SHUTDOWN SAVE NOSAVE").await, "-ERR syntax error\r\n");
    assert_eq!(wire.ask("SHUTDOWN ABORT").await, "-ERR No shutdown in progress.\r\n");
    assert!(!world.stop.is_cancelled());
    wire.send("SHUTDOWN NOSAVE\r\n").await;
    assert_eq!(wire.until_closed().await, "");
    assert!(world.stop.is_cancelled());
}

#[tokio::test]
async fn the_server_ends_with_its_clients() {
    let mut world = world().await;
    let mut wire = Wire::open(world.addr).await;
    assert_eq!(wire.ask("PING").await, "+PONG\r\n");
    world.cancel.cancel();
    assert_eq!(wire.until_closed().await, "");
    tokio::time::timeout(super::wire::DEADLINE, &mut world.task).await.expect("stops in time").unwrap();
}

#[tokio::test]
async fn clients_are_listed_and_killed() {
    let world = world().await;
    let (mut one, mut two) = (Wire::open(world.addr).await, Wire::open(world.addr).await);
    two.ask("CLIENT SETNAME victim").await;
    two.ask("SUBSCRIBE x").await;
    let at = two.stream.local_addr().unwrap();
    let list = one.ask("CLIENT LIST TYPE pubsub").await;
    assert!(list.contains(&format!("addr={at} laddr={} name=victim", world.addr)), "{list}");
    assert!(list.contains("sub=1 psub=0"), "{list}");
    assert_eq!(one.ask("CLIENT KILL TYPE pubsub").await, ":1\r\n");
    assert_eq!(two.until_closed().await, "");
    assert_eq!(one.ask("CLIENT KILL ID 1").await, ":0\r\n");
    one.send("CLIENT KILL ID 1 SKIPME no\r\n").await;
    assert_eq!(one.until_closed().await, ":1\r\n");
    eventually("both are forgotten", || world.fake.reads.load(Ordering::SeqCst) == 0).await;
    let mut three = Wire::open(world.addr).await;
    assert!(three.ask("CLIENT LIST").await.contains("id=3 "));
}

#[tokio::test]
async fn info_tells_the_truth() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    let info = wire.ask("INFO").await;
    let order = ["# Server", "# Clients", "# Stats", "# CPU", "# Sentinel"].map(|section| info.find(section).expect(section));
    assert!(order.is_sorted());
    let port = format!("tcp_port:{}", world.addr.port());
    let run_id = format!("run_id:{}", "e".repeat(40));
    for line in ["redis_mode:sentinel", "connected_clients:1", "maxclients:100", "sentinel_tilt:0", &port, &run_id] {
        assert!(info.contains(&format!("{line}\r\n")), "{line} is not in {info}");
    }
    for name in ["redis_version:", "used_cpu_user:", "config_file:", "executable:", "hz:"] {
        assert!(info.contains(&format!("\r\n{name}")), "{name} is not in {info}");
    }
    for name in ["used_memory", "rdb_last_bgsave", "master_repl_offset", "cluster_enabled"] {
        assert!(!info.contains(name), "{name} is in {info}");
    }
    let one = wire.ask("INFO server").await;
    assert!(one.contains("# Server") && !one.contains("# Clients"));
    assert!(wire.ask("INFO everything server nosuch").await.contains("# Sentinel"));
}

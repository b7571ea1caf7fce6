//! Coming, staying and going.

use std::sync::atomic::Ordering;

use raft_sentinel::base::paces::Pace;

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
async fn clients_are_chosen_by_every_filter() {
    let world = world().await;
    let (mut one, mut two) = (Wire::open(world.addr).await, Wire::open(world.addr).await);
    two.ask("CLIENT SETNAME victim").await;
    two.ask("CLIENT SETINFO LIB-NAME lib").await;
    two.ask("CLIENT SETINFO LIB-VER 1.2").await;
    two.ask("SUBSCRIBE x").await;
    let (at, to) = (two.stream.local_addr().unwrap(), world.addr);
    let mut listed = async |filter: &str| {
        let list = one.ask(&format!("CLIENT LIST {filter}")).await;
        [1, 2].map(|id| list.contains(&format!("id={id} ")))
    };
    let of_second = [
        "ID 2".to_owned(),
        "ID 2 3 4 USER default".to_owned(),
        format!("ADDR {at}"),
        format!("ADDR [::ffff:127.0.0.1]:{}", at.port()),
        "TYPE pubsub".to_owned(),
        "NAME victim".to_owned(),
        "LIB-NAME lib LIB-VER 1.2".to_owned(),
        "FLAGS P".to_owned(),
        "SKIPME yes".to_owned(),
        "NOT-ID 1 7".to_owned(),
        "NOT-TYPE normal".to_owned(),
        "NOT-FLAGS N".to_owned(),
        "NOT-NAME x NOT-LIB-NAME \"\"".to_owned(),
        format!("NOT-ADDR 1.2.3.4:5 NAME victim LADDR {to} IP 127.0.0.1 DB 0 NOT-CAPA r NOT-DB 1"),
    ];
    for filter in of_second {
        assert_eq!(listed(&filter).await, [false, true], "{filter}");
    }
    for filter in ["", "ID 1 2", "USER default", "IP ::ffff:127.0.0.1", "NOT-USER default NOT-USER default SKIPME no ID 1"] {
        let both = !filter.starts_with("NOT");
        assert_eq!(listed(filter).await, [both, both], "{filter}");
    }
    for filter in ["MAXAGE 60", "IDLE 60", "CAPA r", "DB 1", "NOT-IP 127.0.0.1", "TYPE replica", "ID 1 ID 3"] {
        assert_eq!(listed(filter).await, [false, false], "{filter}");
    }
    for (words, error) in [
        ("LIST ID", "syntax error"),
        ("LIST ID x", "Invalid client ID"),
        ("KILL ID 0 SKIPME no", "client-id should be greater than 0"),
        ("KILL ID 1 -3", "client-id should be greater than 0"),
        ("KILL USER nobody", "No such user 'nobody'"),
        ("KILL MAXAGE 0", "maxage should be greater than 0"),
        ("KILL MAXAGE x", "maxage is not an integer or out of range"),
        ("KILL NOT-MAXAGE 1", "syntax error"),
        ("KILL FLAGS ?", "Unknown flags found in the provided filter: ?"),
        ("KILL SKIPME perhaps", "syntax error"),
        ("KILL TYPE friend", "Unknown client type 'friend'"),
        ("KILL a b c", "syntax error"),
    ] {
        assert_eq!(one.ask(&format!("CLIENT {words}")).await, format!("-ERR {error}\r\n"), "{words}");
    }
    assert_eq!(one.ask("CLIENT KILL USER default MAXAGE 60").await, ":0\r\n");
    assert_eq!(one.ask("CLIENT KILL USER default").await, ":1\r\n", "the one that asks is spared");
    assert_eq!(two.until_closed().await, "");
}

#[tokio::test]
async fn a_client_of_a_socket_for_both_families_has_its_own_address() {
    let world = world_with(Options { both_families: true, ..Options::default() }).await;
    let mut wire = Wire::open(world.addr).await;
    let at = wire.stream.local_addr().unwrap();
    assert!(at.ip().is_ipv4());
    let info = wire.ask("CLIENT INFO").await;
    assert!(info.contains(&format!(" addr={at} laddr={} ", world.addr)), "{info}");
    wire.ask("AUTH nobody wrong").await;
    let denied = wire.ask("ACL LOG").await;
    assert!(denied.contains(&format!(" addr={at} ")), "{denied}");
    wire.send(format!("CLIENT KILL {at}\r\n")).await;
    assert_eq!(wire.until_closed().await, "+OK\r\n");
}

#[tokio::test]
async fn tunables_are_taken_shown_and_put_into_effect() {
    let world = world().await;
    let mut wire = Wire::open(world.addr).await;
    let before = wire.ask("SENTINEL DEBUG").await;
    assert!(before.starts_with("*26\r\n$11\r\nINFO-PERIOD\r\n$4\r\n1000\r\n$11\r\nPING-PERIOD\r\n"), "{before}");
    let words = "SENTINEL DEBUG info-period 2000 Ping-Period 50 ask-period 50 publish-period 250 default-down-after 4321 \
                 default-failover-timeout 9876 tilt-trigger 77 tilt-period 88 slave-reconf-timeout 5 min-link-reconnect-period 6 election-timeout 7 \
                 script-max-runtime 8 script-retry-delay 9";
    assert_eq!(wire.ask(words).await, "+OK\r\n");
    let after = wire.ask("SENTINEL DEBUG").await;
    let values: Vec<&str> = after.split("\r\n").skip(4).step_by(4).collect();
    assert_eq!(
        values,
        ["1000", "50", "50", "250", "4321", "9876", "77", "88", "5", "6", "7", "8", "9"],
        "INFO is never asked for less often"
    );
    assert_eq!([Pace::Info, Pace::Ping, Pace::Hello].map(|pace| world.paces.ms(pace)), [1000, 50, 250]);
    assert_eq!(wire.ask("SENTINEL MONITOR new 127.0.0.1 7000 2").await, "+OK\r\n");
    let new = wire.ask("SENTINEL MASTER new").await;
    assert!(new.contains("\r\n4321\r\n") && new.contains("\r\n9876\r\n"), "{new}");
    for bad in ["tilt-period 0", "tilt-period", "tilt-period x", "nosuch 1", "ask-period 7 nosuch 1"] {
        assert!(wire.ask(&format!("SENTINEL DEBUG {bad}")).await.starts_with("-ERR "), "{bad}");
    }
    assert_eq!(wire.ask("SENTINEL DEBUG").await, after, "all or none");
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

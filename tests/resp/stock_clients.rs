//! The stock command line and a stock library as clients.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;

use futures_util::StreamExt;
use raft_sentinel::board::{Notice, NoticeKind};
use redis::cmd;

use super::world::{addr, group, world};

async fn cli(addr: SocketAddr, arguments: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &addr.port().to_string()]).args(arguments);
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(super::wire::DEADLINE, run).await.expect("redis-cli ends").unwrap().expect("redis-cli is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn redis_cli_understands_us() {
    let world = world().await;
    assert_eq!(cli(world.addr, &["PING"]).await, "PONG\n");
    assert_eq!(cli(world.addr, &["sentinel", "get-master-addr-by-name", "mymaster"]).await, "127.0.0.1\n6379\n");
    assert_eq!(cli(world.addr, &["-3", "--no-raw", "sentinel", "get-master-addr-by-name", "nosuch"]).await, "(nil)\n");
    let masters = cli(world.addr, &["-3", "--no-raw", "sentinel", "masters"]).await;
    assert!(masters.contains("1# \"name\" => \"mymaster\""), "{masters}");
    assert!(cli(world.addr, &["sentinel", "ckquorum", "mymaster"]).await.starts_with("OK 3 usable Sentinels."));
    assert!(cli(world.addr, &["info", "sentinel"]).await.contains("master0:name=mymaster,status=ok"));
}

#[tokio::test]
async fn a_client_library_understands_us() {
    for protocol in ["", "?protocol=resp3"] {
        let world = world().await;
        let client = redis::Client::open(format!("redis://{}/{protocol}", world.addr)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let masters: Vec<HashMap<String, String>> = cmd("SENTINEL").arg("MASTERS").query_async(&mut connection).await.unwrap();
        assert_eq!((masters[0]["name"].as_str(), masters[0]["flags"].as_str()), ("mymaster", "master"));
        let get = |name: &'static str| cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).clone();
        let master: Option<(String, u16)> = get("mymaster").query_async(&mut connection).await.unwrap();
        assert_eq!(master, Some(("127.0.0.1".to_owned(), 6379)));
        let unknown: Option<(String, u16)> = get("nosuch").query_async(&mut connection).await.unwrap();
        assert_eq!(unknown, None);
        world.fake.quorum.store(false, std::sync::atomic::Ordering::SeqCst);
        let unsure: Option<(String, u16)> = get("mymaster").query_async(&mut connection).await.unwrap();
        assert_eq!(unsure, None);
        let refused = cmd("SENTINEL").arg("MASTER").arg("mymaster").query_async::<redis::Value>(&mut connection).await.unwrap_err();
        assert_eq!(refused.code(), Some("NOQUORUM"));
        let mut events = client.get_async_pubsub().await.unwrap();
        events.psubscribe("[-+]sdown").await.unwrap();
        world.board.notify(Notice { group: group(), node: addr(6379), what: NoticeKind::Down });
        let next = tokio::time::timeout(super::wire::DEADLINE, async { events.on_message().next().await });
        let event = next.await.expect("an event in time").unwrap();
        let told: (String, String) = (event.get_channel_name().to_owned(), event.get_payload().unwrap());
        assert_eq!(told, ("+sdown".to_owned(), "master mymaster 127.0.0.1 6379".to_owned()));
    }
}

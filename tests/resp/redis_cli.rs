//! The stock command line as a client.

use std::net::SocketAddr;
use std::process::Command;

use super::world::world;

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

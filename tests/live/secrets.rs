//! Passwords are told to nobody: no log, no reply, no metric.

use std::time::Duration;

use rustix::process::Signal;

use crate::kit::{Flavour, GROUP, Plan, Reply, Sentinel};

const SOON: Duration = Duration::from_secs(15);

#[test]
fn secrets_are_told_to_nobody() {
    const OF_SERVERS: &str = "s3cr3t-of-the-servers";
    const OF_CLIENTS: &str = "s3cr3t-of-the-clients";
    const SET_LATER: &str = "s3cr3t-set-later";
    let lines = vec![format!("requirepass {OF_CLIENTS}"), "sentinel sentinel-user default".to_owned()];
    // Everything that every library has to say.
    let env = vec![("RUST_LOG".to_owned(), "trace".to_owned())];
    let mut cluster = Plan { password: Some(OF_SERVERS.to_owned()), lines, env, ..Plan::new(Flavour::Ours) }.launch();
    let timeline = cluster.timeline.clone();
    let ask = |sentinel: &Sentinel, words: &[&str]| -> Result<Reply, String> {
        let mut conn = sentinel.conn().map_err(|e| e.to_string())?;
        conn.ask(&["AUTH", OF_CLIENTS]).map_err(|e| e.to_string())?;
        conn.ask(words).map_err(|e| e.to_string())
    };
    for sentinel in &cluster.sentinels {
        timeline.wait_for(&format!("sentinel {} sees two replicas with the password", sentinel.id), SOON, || {
            let seen = ask(sentinel, &["SENTINEL", "REPLICAS", GROUP])?;
            let ok = seen.items().iter().filter(|replica| replica.field("flags").as_deref() == Some("slave")).count();
            if ok == 2 { Ok(()) } else { Err(seen.to_string()) }
        });
    }
    let mut told = String::new();
    for sentinel in &cluster.sentinels {
        assert!(sentinel.ask(&["SENTINEL", "MASTERS"]).expect("it answers").error().is_some_and(|text| text.starts_with("NOAUTH")));
        let mut conn = sentinel.conn().expect("it answers");
        told += &conn.ask(&["AUTH", &format!("{OF_CLIENTS}-wrong")]).expect("it answers").to_string();
        for words in [
            &["SENTINEL", "MASTERS"][..],
            &["SENTINEL", "MASTER", GROUP],
            &["SENTINEL", "REPLICAS", GROUP],
            &["SENTINEL", "SENTINELS", GROUP],
            &["SENTINEL", "CONFIG", "GET", "*"],
            &["SENTINEL", "INFO-CACHE", GROUP],
            &["SENTINEL", "SET", GROUP, "auth-pass", SET_LATER, "no-such-option", "1"],
            &["SENTINEL", "SET", GROUP, "auth-pass"],
            &["SENTINEL", "SET", GROUP, "auth-pass", OF_SERVERS],
            &["INFO"],
            &["CLIENT", "LIST"],
        ] {
            told += &ask(sentinel, words).expect("it answers").to_string();
        }
        for path in ["/metrics", "/readyz"] {
            told += &crate::grpc::http_get(sentinel.ports.http, path).1;
        }
        told += &crate::grpc::everything(sentinel.ports.grpc);
    }
    let old = cluster.servers[0].port;
    cluster.server_mut(old).kill();
    timeline.wait_for("another master", SOON, || {
        let reply = ask(&cluster.sentinels[0], &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP])?;
        let port = crate::kit::sentinel::master_port(&reply).ok_or_else(|| reply.to_string())?;
        if port == old { Err("the old one".to_owned()) } else { Ok(()) }
    });
    for sentinel in &mut cluster.sentinels {
        told += &crate::grpc::everything(sentinel.ports.grpc);
        crate::serve::end(&timeline, sentinel, Signal::TERM);
        told += &sentinel.log();
    }
    assert!(told.len() > 10_000, "there was something to look through");
    // A wrong password that contains the right one would hide a leak; so look for the common start.
    let leaks: Vec<&str> = told.lines().filter(|line| line.contains("s3cr3t")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

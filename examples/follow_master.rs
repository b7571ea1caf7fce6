//! A client that always writes to the current master, through failovers and through the loss of sentinels.
//!
//! ```text
//! cargo run --example follow_master -- mymaster 127.0.0.1:28379 127.0.0.1:28380 127.0.0.1:28381
//! ```
//!
//! `RAFT_SENTINEL_CACERT`, and `RAFT_SENTINEL_CERT` with `RAFT_SENTINEL_KEY`, name PEM files for sentinels with `grpc tls yes`;
//! `RAFT_SENTINEL_USER` and `RAFT_SENTINEL_PASSWORD` are said to sentinels that have users (`+subscribe &+switch-master` is enough).
//!
//! Two tasks. One watches the master: it keeps one `WatchMasters` stream open, and when its sentinel dies or is cut off it
//! resumes on the next one *after the last revision it saw*, so no change is missed and none is seen twice. The other writes a
//! counter to whatever master it was told last.
//!
//! What to take from it:
//!
//! - Remember the revision of every message. It is all you need to go on elsewhere.
//! - A sentinel speaks at least every five seconds. Longer silence means that the connection is dead.
//! - `unconfirmed` means that the sentinel lives but has no quorum: others may know better.
//! - `OUT_OF_RANGE` means that you were away for so long that changes were forgotten: begin again with a snapshot.
//! - A new master may refuse writes for a moment (it still is becoming one). Try again; do not ask who the master is, you will be told.

use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raft_sentinel::proto::sentinel::sentinel_client::SentinelClient;
use raft_sentinel::proto::sentinel::watch_masters_response::Event;
use raft_sentinel::proto::sentinel::{Address, WatchMastersRequest};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

/// Sentinels speak every five seconds, plus a bounded wait for a quorum.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const WRITE_EVERY: Duration = Duration::from_millis(100);
const COUNTER: &str = "follow-master:counter";

/// The master as the writer needs it: where it is, and the epoch it is from.
#[derive(Clone, Debug, PartialEq)]
struct Master {
    host: String,
    port: u32,
    epoch: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(group), sentinels) = (words.next(), words.collect::<Vec<_>>()) else {
        eprintln!("usage: follow_master GROUP SENTINEL_GRPC_ADDR...");
        return ExitCode::from(2);
    };
    if sentinels.is_empty() {
        eprintln!("name at least one sentinel's gRPC address, e.g. 127.0.0.1:28379");
        return ExitCode::from(2);
    }
    let (told, master) = watch::channel(None);
    tokio::select! {
        () = follow(group, sentinels, told) => {}
        () = write(master) => {}
        _ = tokio::signal::ctrl_c() => println!("stopped"),
    }
    ExitCode::SUCCESS
}

/// Keeps the writer told of the master, from one sentinel after the other.
async fn follow(group: String, sentinels: Vec<String>, told: watch::Sender<Option<Master>>) {
    // The last revision we have seen. It means the same on every sentinel.
    let mut revision = None;
    for sentinel in sentinels.iter().cycle() {
        let Err(status) = follow_one(&group, sentinel, &mut revision, &told).await else { continue };
        println!("watch     {sentinel}: {} ({})", status.message(), status.code());
        if status.code() == Code::OutOfRange {
            // We were away for too long: begin again with a snapshot.
            revision = None;
        }
        // So that nobody is asked in a tight loop while all of them are away.
        sleep(Duration::from_millis(200)).await;
    }
}

/// Who asks, as every call says it.
fn authorization() -> Option<MetadataValue<Ascii>> {
    let password = std::env::var("RAFT_SENTINEL_PASSWORD").ok()?;
    let user = std::env::var("RAFT_SENTINEL_USER").unwrap_or_else(|_| "default".to_owned());
    MetadataValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()
}

/// How a sentinel is reached: over TLS where `RAFT_SENTINEL_CACERT` says whom to trust. Read each time, as certificates are renewed.
fn endpoint(sentinel: &str) -> Result<Endpoint, tonic::transport::Error> {
    let file = |variable| std::env::var_os(variable).and_then(|path| std::fs::read(path).ok());
    let Some(ca) = file("RAFT_SENTINEL_CACERT") else { return Endpoint::from_shared(format!("http://{sentinel}")) };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    if let (Some(cert), Some(key)) = (file("RAFT_SENTINEL_CERT"), file("RAFT_SENTINEL_KEY")) {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    Endpoint::from_shared(format!("https://{sentinel}"))?.tls_config(tls)
}

/// Watches through one sentinel until that is no longer good enough.
async fn follow_one(group: &str, sentinel: &str, revision: &mut Option<u64>, told: &watch::Sender<Option<Master>>) -> Result<(), Status> {
    let unreachable = |error: tonic::transport::Error| Status::unavailable(format!("cannot connect: {error}"));
    let silent = |_| Status::unavailable("it is silent");

    let endpoint = endpoint(sentinel).map_err(unreachable)?.connect_timeout(CONNECT_LIMIT);
    let mut client = SentinelClient::new(endpoint.connect().await.map_err(unreachable)?);
    let request = WatchMastersRequest { groups: vec![group.to_owned()], after_revision: *revision, ..Default::default() };
    let mut request = Request::new(request);
    if let Some(who) = authorization() {
        request.metadata_mut().insert("authorization", who);
    }
    let mut stream = timeout(SILENCE_LIMIT, client.watch_masters(request)).await.map_err(silent)??.into_inner();
    match *revision {
        None => println!("watch     {sentinel}: from the beginning"),
        Some(after) => println!("watch     {sentinel}: after revision {after}"),
    }

    while let Some(message) = timeout(SILENCE_LIMIT, stream.message()).await.map_err(silent)?? {
        match message.event {
            // Only at the very beginning: the master as it is now.
            Some(Event::Snapshot(snapshot)) => {
                for master in &snapshot.masters {
                    tell(told, master.address.as_ref(), master.epoch);
                }
                *revision = Some(snapshot.revision);
            }
            // A failover, or the group was removed (then there is no address).
            Some(Event::Change(change)) => {
                println!("change    revision {}, epoch {}", change.revision, change.epoch);
                tell(told, change.master.as_ref(), change.epoch);
                *revision = Some(change.revision);
            }
            // Nothing new, and a quorum says so.
            Some(Event::Progress(progress)) => *revision = Some(progress.revision),
            // This sentinel is cut off from the others. Ask one that is not.
            Some(Event::Unconfirmed(unconfirmed)) => {
                *revision = Some(unconfirmed.revision);
                return Err(Status::unavailable(unconfirmed.reason));
            }
            // A message of a later version.
            None => {}
        }
    }
    Err(Status::unavailable("it ended the watch"))
}

fn tell(told: &watch::Sender<Option<Master>>, address: Option<&Address>, epoch: u64) {
    match address {
        Some(at) => println!("master    {}:{} (epoch {epoch})", at.host, at.port),
        None => println!("master    none: the group is no longer monitored"),
    }
    let master = address.map(|at| Master { host: at.host.clone(), port: at.port, epoch });
    told.send_replace(master);
}

/// Writes the next number to the current master, ten times a second.
async fn write(mut master: watch::Receiver<Option<Master>>) {
    let mut connection: Option<MultiplexedConnection> = None;
    let mut number: u64 = 0;
    let mut failing = false;
    let mut epoch = None;
    loop {
        // A connection to a former master is of no use, however well it works.
        if master.has_changed().unwrap_or(false) {
            connection = None;
        }
        let Some(current) = master.borrow_and_update().clone() else {
            sleep(WRITE_EVERY).await;
            continue;
        };
        let written = write_one(&mut connection, &current, number + 1).await;
        match written {
            Ok(()) => {
                number += 1;
                // Not every number: the first one on each master, and a sign of life now and then.
                if failing || epoch.replace(current.epoch) != Some(current.epoch) || number.is_multiple_of(50) {
                    println!("written   {number} to {}:{} (epoch {})", current.host, current.port, current.epoch);
                }
                failing = false;
            }
            Err(error) => {
                if !failing {
                    println!("refused   {} by {}:{}: {error}", number + 1, current.host, current.port);
                }
                failing = true;
                connection = None;
            }
        }
        sleep(WRITE_EVERY).await;
    }
}

async fn write_one(connection: &mut Option<MultiplexedConnection>, master: &Master, number: u64) -> redis::RedisResult<()> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(connect(master).await?),
    };
    redis::cmd("SET").arg(COUNTER).arg(number).exec_async(connection).await
}

async fn connect(master: &Master) -> redis::RedisResult<MultiplexedConnection> {
    let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_LIMIT)).set_response_timeout(Some(CONNECT_LIMIT));
    let host = if master.host.contains(':') { format!("[{}]", master.host) } else { master.host.clone() };
    let client = redis::Client::open(format!("redis://{host}:{}", master.port))?;
    client.get_multiplexed_async_connection_with_config(&limits).await
}

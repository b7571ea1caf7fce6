//! A file that a real redis-sentinel has written starts a raft-sentinel once it has its raft lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use raft_sentinel::base::{Addr, Secret, StoredSecret};
use raft_sentinel::conf;

use crate::live::{eventually, free_port, start, start_server};

#[test]
fn a_file_written_by_redis_sentinel_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (master, replica, port) = (free_port(), free_port(), free_port());
    let _master = start_server(dir.path(), master, &[]);
    let _replica = start_server(dir.path(), replica, &["--replicaof", "127.0.0.1", &master.to_string()]);

    let file = dir.path().join("sentinel.conf");
    let text = format!(
        "# ours\nport {port}\ndir {}\nsentinel monitor mymaster 127.0.0.1 {master} 1\nsentinel down-after-milliseconds mymaster 7000\n\
         sentinel parallel-syncs mymaster 3\nsentinel auth-pass mymaster hunter2\nSENTINEL resolve-hostnames no\nrequirepass s3cret\n",
        dir.path().display()
    );
    std::fs::write(&file, text).unwrap();
    let _sentinel = start("redis-sentinel", &[&file.to_string_lossy()]);
    // The password of the SENTINEL port is asked for, so the question is put behind AUTH on one connection.
    eventually("the sentinel rewrites its file with the replica in it", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(b"AUTH s3cret\r\nSENTINEL FLUSHCONFIG\r\n").ok()?;
        let mut answers = BufReader::new(stream).lines();
        let flushed = answers.next()?.ok()? == "+OK" && answers.next()?.ok()? == "+OK";
        let text = std::fs::read_to_string(&file).ok()?;
        (flushed && text.contains(&format!("known-replica mymaster 127.0.0.1 {replica}"))).then_some(())
    });

    let said = conf::load(&file, &[]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("no 'raft node-id' and no 'raft peer' line"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\nraft node-id 1\nraft peer 1 127.0.0.1:{}\n", free_port())).unwrap();
    let config = conf::load(&file, &["--grpc".to_owned(), "listen".to_owned(), format!("127.0.0.1:{}", free_port())])
        .unwrap_or_else(|error| panic!("{error}\n{text}"));

    let [group] = config.groups.as_slice() else { panic!("{:?}", config.groups) };
    assert_eq!((group.name.as_str(), &group.master), ("mymaster", &Addr::new("127.0.0.1", master).expect("an address")));
    assert_eq!(group.replicas, [Addr::new("127.0.0.1", replica).expect("an address")]);
    assert_eq!((group.settings.quorum, group.settings.down_after_ms, group.settings.parallel_syncs), (1, 7000, 3));
    assert_eq!(group.settings.auth_pass, Some(StoredSecret::new("hunter2")));
    assert_eq!((config.resp.port, &config.resp.requirepass), (port, &Some(Secret::new("s3cret"))));
    assert!(config.sentinel.id_seed.is_some_and(|id| text.contains(id.as_str())));
    assert_eq!(config.dir.canonicalize().unwrap(), dir.path().canonicalize().unwrap());
}

//! Scripts and webhooks in a real failover.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::kit::certs::Authority;
use crate::kit::{Cluster, Flavour, GROUP, Plan, Reply, Scratch};

const SOON: Duration = Duration::from_secs(30);
const ALL: [usize; 3] = [1, 2, 3];

/// What a receiver was posted: keys and bodies.
type Posted = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

/// Takes every POST with a 200.
fn receiver() -> (u16, Posted) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (port, taken) = (listener.local_addr().expect("it is bound").port(), Posted::default());
    let keep = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let keep = Arc::clone(&keep);
            std::thread::spawn(move || {
                while let Some(one) = take(&stream) {
                    keep.lock().expect("nobody panics with it").push(one)
                }
            });
        }
    });
    (port, taken)
}

/// Takes every POST over TLS with a 200, showing `cert`; a connection ends after one.
fn receiver_over_tls(ca: &Authority, cert: &str) -> (u16, Posted) {
    let pem = |kind: &str| std::fs::read(ca.file(&format!("{cert}.{kind}"))).expect("it was made");
    let chain = vec![CertificateDer::from_pem_slice(&pem("crt")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&pem("key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they fit");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (port, taken) = (listener.local_addr().expect("it is bound").port(), Posted::default());
    let keep = Arc::clone(&taken);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut session = ServerConnection::new(Arc::clone(&config)).expect("a session can be made");
            // Whoever does not trust the certificate is no concern of ours.
            if let Some(one) = take(Stream::new(&mut session, &mut stream)) {
                keep.lock().expect("nobody panics with it").push(one);
            }
        }
    });
    (port, taken)
}

fn take<S: Read + Write>(stream: S) -> Option<(String, serde_json::Value)> {
    let mut reader = BufReader::new(stream);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("idempotency-key", value)) => key = value.to_owned(),
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None if line == "\r\n" => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let stream = reader.get_mut();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    stream.flush().ok()?;
    Some((key, serde_json::from_slice(&body).ok()?))
}

/// Each sentinel runs the script in its own folder, so what it writes there is its own.
fn script(scratch: &Scratch, name: &str) -> String {
    let path = scratch.path().join(name);
    fs::write(&path, format!("#!/bin/sh\necho \"$*\" >> {name}.told\n")).expect("the folder is there");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is there");
    path.display().to_string()
}

fn told(cluster: &Cluster, id: usize, name: &str) -> String {
    let dir: &Path = cluster.sentinel(id).dir();
    fs::read_to_string(dir.join(format!("{name}.told"))).unwrap_or_default()
}

#[test]
fn a_failover_runs_the_scripts_and_calls_the_webhook() {
    let scratch = Scratch::new();
    let (port, posted) = receiver();
    let lines = vec![
        format!("sentinel notification-script {GROUP} {}", script(&scratch, "notify")),
        format!("sentinel client-reconfig-script {GROUP} {}", script(&scratch, "reconfig")),
        format!("sentinel notification-webhook {GROUP} http://127.0.0.1:{port}/t0ken"),
    ];
    let mut cluster = Plan { lines, ..Plan::new(Flavour::Ours) }.start();
    let (old, timeline) = (cluster.master(), cluster.timeline.clone());
    cluster.server_mut(old).kill();
    let new = cluster.wait_for_new_master(old, SOON);
    let decision = cluster.wait_for_history(&ALL, 1, SOON).remove(0);
    let switch = format!("{GROUP} 127.0.0.1 {old} 127.0.0.1 {new}");

    let by = decision.choice.as_ref().map_or(0, |choice| choice.decided_by);
    for id in ALL {
        let role = if by == id as u64 { "leader" } else { "observer" };
        let expected = format!("{GROUP} {role} start 127.0.0.1 {old} 127.0.0.1 {new}\n");
        timeline.wait_for(&format!("sentinel {id} reconfigures clients as {role}, once"), SOON, || match told(&cluster, id, "reconfig") {
            text if text == expected => Ok(()),
            text => Err(text),
        });
        timeline.wait_for(&format!("sentinel {id} notifies"), SOON, || {
            let text = told(&cluster, id, "notify");
            let wanted = ["+odown master ", "+try-failover ", "+selected-slave ", "+promoted-slave ", "+failover-end "];
            let all = wanted.iter().all(|event| text.lines().any(|line| line.starts_with(event)));
            let once = text.lines().filter(|line| *line == format!("+switch-master {switch}")).count() == 1;
            let quiet = !text.lines().any(|line| line.starts_with("+slave ") || line.starts_with("-role-change"));
            if all && once && quiet { Ok(()) } else { Err(text) }
        });
    }
    timeline.wait_for("each sentinel posts the switch, under one key", SOON, || {
        let posted = posted.lock().expect("nobody panics with it");
        let switches: Vec<_> = posted.iter().filter(|(_, body)| body["event"] == "+switch-master").collect();
        let mut nodes: Vec<_> = switches.iter().filter_map(|(_, body)| body["node_id"].as_u64()).collect();
        nodes.sort_unstable();
        let same = switches.iter().all(|(key, body)| *key == switches[0].0 && body["payload"] == switch.as_str() && body["epoch"] == 1);
        if nodes == [1, 2, 3] && same { Ok(()) } else { Err(format!("{switches:?}")) }
    });
    for id in ALL {
        let sentinel = cluster.sentinel(id);
        assert!(!sentinel.log().contains("t0ken"), "the token is in the log of sentinel {id}");
        timeline.wait_for("nothing is pending", SOON, || match sentinel.ask(&["SENTINEL", "PENDING-SCRIPTS"]) {
            Ok(reply) if reply.items().is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    // A sentinel that starts again does not tell what it has told before.
    cluster.sentinel_mut(1).terminate();
    cluster.sentinel_mut(1).restart();
    cluster.wait_for_leader(&ALL, SOON);
    let answered = cluster.sentinel(1).answer(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]);
    assert!(answered.error().is_none(), "{answered}");
    let switches = told(&cluster, 1, "notify").lines().filter(|line| line.starts_with("+switch-master ")).count();
    assert_eq!(switches, 1, "the switch was told again after a restart");
}

/// The authorities of the host are those of `SSL_CERT_FILE` here, so each sentinel reads them itself, as it would in production.
#[test]
fn a_webhook_over_https_is_called_where_its_certificate_is_trusted_and_nowhere_else() {
    let scratch = Scratch::new();
    let (ours, theirs) = (Authority::new(scratch.path(), "ours"), Authority::new(scratch.path(), "theirs"));
    ours.issue("elsewhere", &["hooks.example.com"]);
    let (port, posted) = receiver_over_tls(&ours, "ours-node");
    let (foreign, distrusted) = receiver_over_tls(&theirs, "theirs-node");
    let url = |port: u16| format!("https://127.0.0.1:{port}/hook?token=t0ken");
    let allowed = ["sentinel deny-scripts-reconfig no", "sentinel webhook-allow 127.0.0.1"].map(str::to_owned);
    let lines = allowed.into_iter().chain([format!("sentinel notification-webhook {GROUP} {}", url(port))]).collect();
    let env = vec![("SSL_CERT_FILE".to_owned(), ours.file("ours.crt"))];
    let cluster = Plan { replicas: 1, sentinels: 1, quorum: 1, lines, env, ..Plan::new(Flavour::Ours) }.start();
    let (sentinel, timeline) = (cluster.sentinel(1), cluster.timeline.clone());
    let set = |parallel: &str| sentinel.expect_ok(&["SENTINEL", "SET", GROUP, "parallel-syncs", parallel]);
    let told = |posted: &Posted, value: &str| {
        let posted = posted.lock().expect("nobody panics with it");
        posted.iter().any(|(key, body)| !key.is_empty() && body["event"] == "+set" && body["payload"].to_string().contains(value))
    };
    set("2");
    timeline.wait_until("the event is posted", SOON, || told(&posted, "parallel-syncs 2"));

    // Another authority's certificate, and one for another host.
    let (wrong_host, unheard) = receiver_over_tls(&ours, "elsewhere");
    // One group each: a letter that does not arrive keeps those behind it waiting.
    for (group, host, port, why) in
        [("distrusting", "127.0.0.2", foreign, "UnknownIssuer"), ("misled", "127.0.0.3", wrong_host, "not valid for name")]
    {
        sentinel.expect_ok(&["SENTINEL", "MONITOR", group, host, "6", "1"]);
        sentinel.expect_ok(&["SENTINEL", "SET", group, "notification-webhook", &url(port)]);
        timeline.wait_for("the log says why", SOON, || {
            let log = sentinel.log();
            if log.contains(why) { Ok(()) } else { Err("not yet".to_owned()) }
        });
    }
    assert!(unheard.lock().expect("nobody panics with it").is_empty());
    assert!(distrusted.lock().expect("nobody panics with it").is_empty());
    assert!(!sentinel.log().contains("t0ken"), "the token is in the log");
}

#[test]
fn a_script_that_waits_is_pending_and_one_that_fails_is_told() {
    let plan = Plan { lines: vec!["sentinel deny-scripts-reconfig no".to_owned()], ..Plan::new(Flavour::Ours) };
    let cluster = plan.start();
    let path = cluster.scratch.path().join("slow");
    fs::write(
        &path,
        "#!/bin/sh\n# Ends with the folder of the test as well.\nwhile [ ! -e go ] && [ -e \"$0\" ]; do sleep 0.05; done\nexit 3\n",
    )
    .expect("the folder is there");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is there");
    let (path, sentinel) = (path.display().to_string(), cluster.sentinel(2));
    let mut listener = sentinel.conn().expect("it listens");
    listener.ask(&["SUBSCRIBE", "-script-error"]).expect("it answers");
    sentinel.expect_ok(&["SENTINEL", "SET", GROUP, "notification-script", &path]);
    let pending = cluster.timeline.wait_for("the script runs", SOON, || {
        let reply = sentinel.ask(&["SENTINEL", "PENDING-SCRIPTS"]).map_err(|error| error.to_string())?;
        // Its turn has come a moment before its process is there.
        let runs = |first: &&Reply| first.field("flags").as_deref() == Some("running") && first.field("pid").as_deref() != Some("0");
        reply.items().first().filter(runs).cloned().ok_or(reply.to_string())
    });
    assert_eq!(pending.field("retry-num").as_deref(), Some("1"), "{pending}");
    assert!(pending.field("run-time").is_some(), "{pending}");
    let argv = &pending.items()[1];
    assert_eq!(argv.items()[1].text().as_deref(), Some("+set"), "a newly set script is told of it: {pending}");
    let pid = pending.field("pid").expect("it has one");
    let run = fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs");
    assert_eq!(run, sentinel.dir().canonicalize().expect("it is there"));
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten().collect();
    let targets: Vec<_> = open.iter().filter_map(|fd| fs::read_link(fd.path()).ok()).map(|target| target.display().to_string()).collect();
    let leaked = |target: &&String| target.starts_with("socket:") || target.starts_with("anon_inode:") || target.ends_with(".redb");
    assert_eq!(targets.iter().find(leaked), None, "{targets:?}");
    let info = sentinel.ask(&["INFO", "sentinel"]).ok().and_then(|reply| reply.text()).unwrap_or_default();
    assert!(info.contains("sentinel_running_scripts:1\r\nsentinel_scripts_queue_length:1\r\n"), "{info}");
    ALL.iter().for_each(|id| fs::write(cluster.sentinel(*id).dir().join("go"), "").expect("the folder is there"));
    listener.set_read_limit(Some(SOON)).expect("the socket takes it");
    let message = listener.read().expect("it tells");
    assert_eq!(message.items()[2].text(), Some(format!("{path} 0 3")), "{message}");
}

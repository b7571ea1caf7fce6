//! What is accepted, and what becomes of it.

use std::path::{Path, PathBuf};

use raft_sentinel::base::settings::PromotionPolicy;
use raft_sentinel::base::{Addr, ClusterId, Epoch, NodeId, Secret, SentinelId, StoredSecret};
use raft_sentinel::conf::{CertificateUser, Config, GrpcAccess, Listen, LogLevel, NoQuorumReply, Supervised};

use crate::{accepted, read_raw};

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

fn notes(config: &Config) -> String {
    config.notes.iter().map(|note| format!("{note}\n")).collect()
}

fn listens(listen: &[Listen]) -> Vec<String> {
    listen.iter().map(|listen| format!("{}{}", if listen.optional { "-" } else { "" }, listen.addr)).collect()
}

#[test]
fn stock_defaults_hold() {
    let config = accepted("");
    assert_eq!(listens(&config.resp.listen()), ["0.0.0.0:26379", "-[::]:26379"]);
    assert_eq!(listens(&config.grpc_listen), ["0.0.0.0:28379", "-[::]:28379"]);
    assert_eq!(config.http_listen, None);
    assert_eq!(
        (config.resp.maxclients, config.resp.timeout_s, config.resp.tcp_backlog, config.resp.tcp_keepalive_s),
        (10_000, 0, 511, 300)
    );
    assert!(!config.resp.protected_mode && config.resp.requirepass.is_none());
    assert_eq!((config.dir.as_path(), config.log.file.clone(), config.log.level), (Path::new("."), None, LogLevel::Notice));
    assert!(config.sentinel.deny_scripts_reconfig && !config.sentinel.resolve_hostnames && !config.sentinel.stale_answers);
    assert_eq!(config.sentinel.no_quorum_reply, NoQuorumReply::Nil);
    assert_eq!((config.raft.heartbeat_ms, config.raft.election_timeout_min_ms, config.raft.election_timeout_max_ms), (50, 150, 300));
    assert_eq!(notes(&config), "s.conf: dir is not set: the log is kept in the working directory\n");
}

#[test]
fn the_process_is_told_its_things() {
    let config = accepted(
        "PORT 5000\nbind 127.0.0.1 -::* 10.0.0.1\nrequirepass \"p w\"\nprotected-mode YES\nmaxclients 7\ntimeout 8\ntcp-backlog 9\n\
         tcp-keepalive 10\ndir \"/var/lib/a b\"\nlogfile s.log\nloglevel Warning\nsupervised systemd\ndaemonize no\n\
         grpc listen 127.0.0.1:6000\ngrpc listen [::1]:6000\nhttp listen *:7000\n",
    );
    assert_eq!(listens(&config.resp.listen()), ["127.0.0.1:5000", "-[::]:5000", "10.0.0.1:5000"]);
    assert_eq!(listens(&config.grpc_listen), ["127.0.0.1:6000", "[::1]:6000"]);
    assert_eq!(config.http_listen, Some(Addr::new("0.0.0.0", 7000).expect("an address")));
    assert_eq!(config.resp.requirepass, Some(Secret::new("p w")));
    assert_eq!((config.resp.maxclients, config.resp.timeout_s, config.resp.tcp_backlog, config.resp.tcp_keepalive_s), (7, 8, 9, 10));
    assert!(config.resp.protected_mode);
    assert_eq!(config.resolve(Path::new("s.log")), PathBuf::from("/var/lib/a b/s.log"));
    assert_eq!((config.log.level, config.supervised), (LogLevel::Warning, Supervised::Systemd));
    assert_eq!(notes(&config), "");
}

#[test]
fn the_raft_group_is_read() {
    let config = read_raw(
        "dir /d\nraft node-id 2\nraft secret-file s\nraft listen *:27000\nraft peer 1 s1.example:27379\nraft peer 2 s2.example:27379\nraft peer 3 [fd00::3]:27379\n\
         raft cluster-id prod-1\nraft heartbeat-ms 100\nraft election-timeout-ms 500 1000\n",
    )
    .unwrap();
    let raft = &config.raft;
    assert_eq!(
        (raft.node_id, raft.listen.to_string(), raft.advertise.to_string()),
        (NodeId(2), "0.0.0.0:27000".into(), "s2.example:27379".into())
    );
    assert_eq!(
        raft.peers.values().map(ToString::to_string).collect::<Vec<_>>(),
        ["s1.example:27379", "s2.example:27379", "[fd00::3]:27379"]
    );
    assert_eq!(raft.cluster_id, Some(ClusterId::new("prod-1").expect("an id")));
    assert_eq!((raft.heartbeat_ms, raft.election_timeout_min_ms, raft.election_timeout_max_ms), (100, 500, 1000));
    assert!(!raft.joins());
}

#[test]
fn a_sentinel_that_is_no_peer_joins() {
    let config = read_raw("raft node-id 4\nraft secret-file s\nraft listen 10.0.0.4:27379\nraft peer 1 10.0.0.1:27379\n").unwrap();
    assert!(config.raft.joins());
    assert_eq!(config.raft.advertise, Addr::new("10.0.0.4", 27379).expect("an address"));
}

#[test]
fn groups_are_read_whatever_the_order_of_the_lines() {
    let config = accepted(&format!(
        "sentinel known-replica m host-b 6380\nsentinel down-after-milliseconds m 5000\nsentinel config-epoch m 7\nsentinel auth-pass m \"a b\"\n\
         SENTINEL MONITOR m host-a 6379 1\nsentinel monitor n ::1 6379 1\nsentinel current-epoch 5\nsentinel resolve-hostnames yes\n\
         sentinel auth-user m u\nsentinel failover-timeout m 6000\nsentinel parallel-syncs m 2\nsentinel primary-reboot-down-after-period m 70\n\
         sentinel crash-down-after-milliseconds m 80\nsentinel promotion-policy m available\nsentinel fence-max-lag m 5\n\
         sentinel replica-forget-after m 86400000\nsentinel rename-command m config x1\n\
         sentinel known-slave m 10.0.0.9 6380\nsentinel myid {ID}\nsentinel announce-ip 10.1.1.1\nsentinel announce-port 26000\n\
         sentinel announce-hostnames yes\nsentinel stale-answers yes\nsentinel no-quorum-reply CLOSE\nsentinel deny-scripts-reconfig no\nsentinel\n"
    ));
    let [m, n] = config.groups.as_slice() else { panic!("{:?}", config.groups) };
    assert_eq!((m.name.as_str(), &m.master, m.epoch), ("m", &Addr::new("host-a", 6379).expect("an address"), Epoch(7)));
    assert_eq!(m.replicas, [Addr::new("host-b", 6380).expect("an address"), Addr::new("10.0.0.9", 6380).expect("an address")]);
    let settings = &m.settings;
    assert_eq!((settings.quorum, settings.down_after_ms, settings.failover_timeout_ms, settings.parallel_syncs), (1, 5000, 6000, 2));
    assert_eq!((settings.master_reboot_down_after_ms, settings.crash_down_after_ms), (70, 80));
    assert_eq!((settings.auth_user.as_deref(), &settings.auth_pass), (Some("u"), &Some(StoredSecret::new("a b"))));
    assert_eq!((settings.promotion_policy, settings.command("CONFIG")), (PromotionPolicy::Available, "x1"));
    assert_eq!((settings.fence_max_lag_s, settings.replica_forget_after_ms), (5, 86_400_000));
    assert_eq!(
        (n.settings.promotion_policy, n.settings.fence_max_lag_s, n.settings.replica_forget_after_ms),
        (PromotionPolicy::Auto, 2, 0)
    );
    assert_eq!((&n.master, n.settings.down_after_ms, n.epoch), (&Addr::new("::1", 6379).expect("an address"), 30_000, Epoch(7)));
    let sentinel = &config.sentinel;
    assert_eq!((sentinel.id_seed.clone(), sentinel.current_epoch_seed), (Some(SentinelId::new(ID).expect("an id")), Epoch(7)));
    assert_eq!((sentinel.announce_ip.as_deref(), sentinel.announce_port), (Some("10.1.1.1"), Some(26000)));
    assert!(sentinel.resolve_hostnames && sentinel.announce_hostnames && sentinel.stale_answers && !sentinel.deny_scripts_reconfig);
    assert_eq!(sentinel.no_quorum_reply, NoQuorumReply::Close);
}

#[test]
fn what_has_no_effect_is_said_once_with_its_line() {
    let config = accepted(
        "dir .\nsave 900 1 300 10\nsave \"\"\nappendonly yes\nmasterauth hunter2\nclient-output-buffer-limit pubsub 32mb 8mb 60\n\
         latency-tracking-info-percentiles\ntls-dh-params-file /x\ntls-port 0\ntls-replication no\naclfile \"\"\nunixsocket \"\"\nenable-debug-command yes\n",
    );
    let said = notes(&config);
    assert_eq!(config.notes.len(), 7, "{said}");
    assert!(said.starts_with("s.conf:2: 'save' has no effect here: a sentinel holds no data\ns.conf:4: 'appendonly'"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn the_default_user_of_a_rewritten_file_is_accepted() {
    for line in [
        "user default on nopass sanitize-payload ~* &* +@all",
        "user default on nopass ~* &* +@all",
        // The SHA-256 of "hunter2".
        "requirepass hunter2\nuser default on sanitize-payload #f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7 ~* &* +@all",
    ] {
        accepted(line);
    }
}

#[test]
fn what_is_probably_not_meant_is_noted() {
    let of_peers = |text: &str| notes(&read_raw(&format!("dir .\nraft node-id 1\nraft secret-file s\n{text}")).unwrap());
    let two = "raft peer 1 10.0.0.1:27379\nraft peer 2 10.0.0.2:27379\n";
    assert!(of_peers(two).contains("2 raft peers survive no more losses than 1 would"));
    assert!(
        of_peers(&format!("{two}sentinel monitor m 10.0.0.9 6379 3\n"))
            .contains("s.conf:6: the quorum of m is 3, but there are 2 raft peers")
    );
    assert!(of_peers(&format!("{two}sentinel monitor m 127.0.0.1 6379 2\n")).contains("each would watch its own host"));
    assert!(of_peers("raft peer 1 10.0.0.1:27379\nraft advertise 10.9.0.1:27379").contains("raft advertise 10.9.0.1:27379 is not what"));
    assert!(of_peers("raft peer 1 10.0.0.1:27379\ngrpc listen off").contains("gRPC is off"));
    let of_grpc = |lines: &str| of_peers(&format!("raft peer 1 10.0.0.1:27379\n{lines}"));
    assert!(of_grpc("requirepass x").contains("in clear text on the gRPC port 0.0.0.0:28379"));
    assert!(!of_grpc("requirepass x\nbind 127.0.0.1").contains("gRPC"));
    assert!(of_grpc("grpc admin-without-password yes").contains("EVERYBODY who reaches 0.0.0.0:28379 may change"));
    assert!(!of_grpc("grpc admin-without-password yes\nuser default on >x +@all").contains("EVERYBODY"));
    assert!(of_grpc("grpc tls-auth-user cn").contains("grpc tls-auth-user has no effect"));
    assert!(!of_grpc("requirepass x\ngrpc admin-without-password no").contains("EVERYBODY"));
    let crash = "sentinel monitor m 10.0.0.9 6379 1\nsentinel crash-down-after-milliseconds m 30000\n";
    assert!(of_peers(&format!("raft peer 1 10.0.0.1:27379\n{crash}")).contains("crash-down-after-milliseconds of m has no effect"));
}

#[test]
fn no_password_is_printed() {
    let config = accepted(
        "requirepass hunter2\nsentinel sentinel-pass hunter2\nsentinel monitor m 127.0.0.1 1 1\nsentinel auth-pass m hunter2\nsentinel sentinel-user u\n",
    );
    assert_eq!(config.groups[0].settings.auth_pass, Some(StoredSecret::new("hunter2")));
    let printed = format!("{config:?} {}", notes(&config));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("talk to each other on the Raft port"));
}

#[test]
fn tls_and_users_are_read() {
    let config = accepted(
        "dir /var/lib\nport 0\ntls-port 26380\ntls-cert-file a.crt\ntls-key-file /b.key\ntls-ca-cert-file ca.crt\ntls-auth-clients optional\n\
         tls-protocols \"TLSv1.3\"\ntls-ciphersuites TLS_AES_128_GCM_SHA256\ntls-ciphers DEFAULT:!MEDIUM\ntls-replication yes\n\
         sentinel tls-verify-hostname yes\nuser alice on >hunter2 +@all\nunixsocket s.sock\nunixsocketperm 770\npidfile p",
    );
    let path = |text: &str| std::path::PathBuf::from(text);
    assert_eq!(
        config.tls.server.as_ref().map(|pair| (pair.cert.clone(), pair.key.clone())),
        Some((path("/var/lib/a.crt"), path("/b.key")))
    );
    assert_eq!(config.tls.client, config.tls.server, "shown to the data nodes as well");
    assert_eq!(config.tls.suites[0], "TLS13_AES_128_GCM_SHA256");
    assert_eq!(config.tls.suites.len(), 7, "that one, and all of TLS 1.2");
    assert!(config.tls_replication && config.tls.verify_hostname);
    assert_eq!(config.resp.unix.as_ref().map(|unix| (unix.path.clone(), unix.mode)), Some((path("/var/lib/s.sock"), Some(0o770))));
    assert_eq!(config.grpc_listen[0].addr.port(), 28380, "counted from the only port there is");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!((config.grpc_access, config.grpc_ca_file), (GrpcAccess::default(), None), "as safe as can be");
    let config = accepted(
        "dir /var/lib\ngrpc tls yes\ntls-cert-file a.crt\ntls-key-file b.key\ngrpc tls-ca-cert-file clients.crt\ngrpc tls-auth-user SAN\n\
         grpc admin-without-password yes\ngrpc admin-with-any-certificate yes",
    );
    let every = GrpcAccess { certificate_user: CertificateUser::San, admin_without_password: true, admin_with_any_certificate: true };
    assert_eq!((config.grpc_access, config.grpc_ca_file), (every, Some(path("/var/lib/clients.crt"))));
}

/// What stock starts with, and has left behind by its own rewriting.
#[test]
fn what_has_no_meaning_here_is_noted_and_what_is_said_twice_counts_once() {
    for (line, note) in [
        ("daemonize yes", "stays in the foreground"),
        ("loadmodule /x.so", "loads no modules"),
        ("bind-source-addr 10.0.0.1", "has no effect"),
        ("user bob on nopass\nuser bob on nopass", "has this line already"),
        ("sentinel monitor m 127.0.0.1 6379 1\nsentinel known-replica m 10.0.0.1 1\nsentinel known-slave m 10.0.0.1 1", "is said twice"),
        (
            "sentinel monitor m 127.0.0.1 6379 1\nsentinel rename-command m CONFIG a\nsentinel rename-command m config a",
            "renamed so already",
        ),
    ] {
        let config = accepted(line);
        assert!(config.notes.iter().any(|said| said.text.contains(note)), "{line}: {:?}", config.notes);
    }
    let text = format!("daemonize yes\n{}", crate::RAFT);
    let overrides = ["--daemonize", "no"].map(ToOwned::to_owned);
    let config = raft_sentinel::conf::parse(std::path::Path::new("s.conf"), text.as_bytes(), &overrides).unwrap();
    assert!(config.notes.iter().all(|note| !note.text.contains("daemonize")), "the command line wins: {:?}", config.notes);
}

//! What is refused, and how it is said.

use crate::{message, read, read_raw};

/// Each line alone, and what its message must contain after `s.conf:1: `.
const LINES: &[(&str, &str)] = &[
    // Syntax.
    ("dir \"/tmp", "Unbalanced quotes in configuration line, after 'dir'"),
    ("dir '/tmp'x", "Unbalanced quotes in configuration line, after 'dir'"),
    ("dir \"\\xff\"", "a word that is not UTF-8 text"),
    ("port 1\0", "NUL byte"),
    ("nonsense 1", "Bad directive or wrong number of arguments. There is no directive 'nonsense'"),
    ("port", "Bad directive or wrong number of arguments. 'port' takes 1 argument(s), not 0"),
    ("port 26379 # here", "a comment needs a line of its own"),
    ("include", "'include' takes 1 argument(s), not 0"),
    ("raft", "There is no directive 'raft'"),
    ("grpc port 1", "There is no directive 'grpc port'"),
    // Stock's own complaints.
    (
        "sentinel foreign-sentinels 10.0.0.0/33",
        "'10.0.0.0/33' is no place in a network; expected an IP address, a range such as 10.0.0.0/8",
    ),
    ("sentinel foreign-sentinels", "takes at least 1 argument(s), not 0"),
    ("sentinel nonsense", "Unrecognized sentinel configuration statement. There is no directive 'sentinel nonsense'"),
    ("sentinel monitor m 127.0.0.1 6379", "Unrecognized sentinel configuration statement. 'sentinel monitor' takes 4 argument(s), not 3"),
    ("sentinel monitor m 127.0.0.1 6379 0", "Quorum must be 1 or greater. '0'"),
    ("sentinel monitor m 127.0.0.1 6379 -1", "Quorum must be 1 or greater. '-1'"),
    ("sentinel monitor m 127.0.0.1 65536 1", "Invalid port number. '65536' is not a whole number from 1 to 65535"),
    ("sentinel monitor m 127.0.0.1 abc 1", "Invalid port number. 'abc'"),
    ("sentinel monitor m 127.0.0.1 0 1", "Invalid port number. '0'"),
    (
        "sentinel monitor m redis-1 6379 1",
        "Can't resolve instance hostname. 'redis-1' is not an IP address; a host name needs 'sentinel resolve-hostnames yes'",
    ),
    ("sentinel monitor \"a b\" 127.0.0.1 6379 1", "'a b' cannot name a master"),
    ("sentinel down-after-milliseconds m 1", "No such master with specified name. No 'sentinel monitor' line names 'm'"),
    ("sentinel known-replica m 127.0.0.1 1", "No such master with specified name."),
    ("sentinel leader-epoch m 1", "No such master with specified name."),
    ("sentinel myid abc", "Malformed Sentinel id in myid option. 'abc'"),
    ("sentinel announce-hostnames maybe", "Please specify yes or no for the announce-hostnames option. 'maybe'"),
    ("sentinel resolve-hostnames 1", "Please specify yes or no for the resolve-hostnames option. '1'"),
    ("sentinel deny-scripts-reconfig x", "Please specify yes or no for the deny-scripts-reconfig options. 'x'"),
    ("sentinel announce-port 65536", "sentinel announce-port: '65536' is not a whole number from 0 to 65535"),
    ("sentinel announce-ip \"a b\"", "'a b' is not an address to announce"),
    ("sentinel current-epoch -1", "sentinel current-epoch: '-1'"),
    // Values, read strictly.
    ("port 65536", "port: '65536' is not a whole number from 0 to 65535"),
    ("port 1x", "port: '1x'"),
    ("port +1", "port: '+1'"),
    ("port 63536", "leaves no room for the gRPC port"),
    ("bind \"\"", "bind names no address"),
    ("bind a/b", "'a/b' is not an address to bind to"),
    ("maxclients 0", "maxclients: '0'"),
    ("protected-mode maybe", "protected-mode: 'maybe' is neither yes nor no"),
    ("loglevel loud", "'loud' is not a log level; expected debug, verbose, notice, warning or nothing"),
    ("dir \"\"", "dir is empty"),
    ("supervised runit", "'runit' is not a supervisor"),
    // What would weaken security or change behaviour if it were ignored.
    ("tls-key-file-pass hunter2", "tls-key-file-pass: encrypted key files are not supported"),
    ("tls-protocols \"TLSv1.1 TLSv1.2\"", "'TLSv1.1' is broken and not spoken here; expected TLSv1.2, TLSv1.3 or both"),
    ("tls-protocols SSLv3", "'SSLv3' is not a version of TLS"),
    ("tls-ciphers AES128-SHA", "'AES128-SHA' is not a cipher suite that is supported here; expected some of ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("tls-ciphersuites TLS_AES_128_CCM_SHA256", "'TLS_AES_128_CCM_SHA256' is not a cipher suite"),
    ("tls-auth-clients maybe", "'maybe' is neither yes nor no nor optional"),
    ("unixsocketperm 888", "'888' is not a mode"),
    ("acl-pubsub-default all", "'all' is neither allchannels nor resetchannels"),
    ("daemonize perhaps", "daemonize: 'perhaps' is neither yes nor no"),
    ("rename-command SHUTDOWN \"\"", "renaming the sentinel's own commands is not supported"),
    // Ours.
    ("grpc tls-auth-user yes", "grpc tls-auth-user: 'yes' is neither no nor cn nor san"),
    ("grpc admin-without-password maybe", "grpc admin-without-password: 'maybe' is neither yes nor no"),
    ("raft node-id 0", "raft node-id: '0' is not a node id"),
    ("raft peer 2 10.0.0.1", "raft peer: '10.0.0.1' is not an address; expected host:port"),
    ("raft peer 2 *:27379", "'*:27379' means every address of a host"),
    ("raft listen 10.0.0.1:0", "'10.0.0.1:0' is not an address"),
    ("raft cluster-id \"\"", "'' is not a cluster id"),
    ("raft heartbeat-ms 4", "raft heartbeat-ms: '4'"),
    ("raft election-timeout-ms 300 300", "the shortest election timeout (300 ms) must be less than the longest (300 ms)"),
    ("grpc listen nowhere", "grpc listen: 'nowhere' is not an address"),
    ("http listen ::1:80", "http listen: '::1:80' is not an address"),
    ("sentinel no-quorum-reply perhaps", "'perhaps' is neither nil nor error nor close"),
    ("sentinel stale-answers perhaps", "Please specify yes or no for the stale-answers option."),
];

/// Lines after `sentinel monitor m 127.0.0.1 6379 1`, the number of the line that is wrong, and its message.
const GROUP_LINES: &[(&str, usize, &str)] = &[
    ("sentinel monitor m 127.0.0.1 6380 1", 2, "Duplicate master name. 'm' is monitored twice"),
    ("sentinel down-after-milliseconds m 0", 2, "down-after-milliseconds: negative or zero time parameter. '0'"),
    ("sentinel down-after-milliseconds m -5", 2, "negative or zero time parameter. '-5'"),
    ("sentinel failover-timeout m abc", 2, "negative or zero time parameter. 'abc'"),
    ("sentinel master-reboot-down-after-period m -1", 2, "negative time parameter. '-1'"),
    ("sentinel primary-reboot-down-after-period m x", 2, "negative time parameter. 'x'"),
    ("sentinel parallel-syncs m 0", 2, "sentinel parallel-syncs: '0' is not a whole number from 1"),
    ("sentinel auth-pass m two words", 2, "'sentinel auth-pass' takes 2 argument(s), not 3; quote an argument that contains blanks"),
    ("sentinel notification-script m /nowhere/x.sh", 2, "Notification script seems non existing or non executable. It is '/nowhere/x.sh'"),
    ("sentinel client-reconfig-script m /etc/passwd", 2, "Client reconfiguration script seems non existing or non executable."),
    (
        "sentinel rename-command m CONFIG a\nsentinel rename-command m config b",
        3,
        "Same command renamed multiple times with rename-command.",
    ),
    ("sentinel rename-command m CONFIG \"\"", 2, "an empty name"),
    ("sentinel known-replica m host 1", 2, "Can't resolve instance hostname."),
    ("sentinel known-replica m 10.0.0.1 70000", 2, "Invalid port number."),
    ("sentinel known-sentinel m 10.0.0.1 x", 2, "Invalid port number."),
    ("sentinel config-epoch m 18446744073709551615", 2, "sentinel config-epoch: '18446744073709551615'"),
    ("sentinel fence-max-lag m 0", 2, "'0' is not a whole number from 1 to 3600 (seconds)"),
    ("sentinel fence-max-lag m 3601", 2, "'3601' is not a whole number from 1 to 3600 (seconds)"),
    ("sentinel replica-forget-after m -1", 2, "negative time parameter. '-1'"),
    ("sentinel replica-forget-after m", 2, "'sentinel replica-forget-after' takes 2 argument(s), not 1"),
    ("sentinel promotion-policy m lax", 2, "'lax' is not a promotion policy; expected auto, strict or available"),
    ("sentinel quorum m 2", 2, "There is no directive 'sentinel quorum'"),
];

/// Files that are wrong as a whole.
const FILES: &[(&str, &str)] = &[
    ("port 27379", "'raft listen' 127.0.0.1:27379 clashes with 'port/bind' 0.0.0.0:27379"),
    ("grpc listen 127.0.0.1:27379", "'raft listen' 127.0.0.1:27379 clashes with 'grpc listen' 127.0.0.1:27379"),
    ("http listen [::1]:26379", "'http listen' [::1]:26379 clashes with 'port/bind' 0.0.0.0:26379"),
    ("bind 127.0.0.1 127.0.0.1", "'port/bind' 127.0.0.1:26379 clashes with 'port/bind' 127.0.0.1:26379"),
    ("port 0", "port is 0, so 'grpc listen <host:port>'"),
    ("raft heartbeat-ms 100", "raft election-timeout-ms 150 300 is too short for raft heartbeat-ms 100"),
    ("user default on nopass ~* &* +@all\nrequirepass x", "contradict each other"),
    ("user alice on\naclfile /x", "users are defined here and in aclfile"),
    ("tls-port 26380", "tls-port needs tls-cert-file and tls-key-file"),
    ("tls-cert-file a", "tls-cert-file without tls-key-file"),
    ("tls-port 26380\ntls-cert-file a\ntls-key-file b", "say who signs them with tls-ca-cert-file or tls-ca-cert-dir"),
    ("tls-replication yes", "tls-replication yes needs tls-ca-cert-file"),
    ("port 0\ntls-port 27379\ntls-cert-file a\ntls-key-file b\ntls-auth-clients no", "clashes with 'tls-port/bind'"),
    ("user default on #00 ~* &* +@all\nrequirepass x", "is not that of requirepass"),
];

#[test]
fn a_bad_line_is_refused_with_its_number_and_what_is_expected() {
    for (line, expected) in LINES {
        let said = message(read(line));
        let whole_file = said.contains("leaves no room");
        assert!(whole_file || said.starts_with("s.conf:1: "), "{line}: {said}");
        assert!(said.contains(expected), "{line}\n said: {said}\n want: {expected}");
    }
}

#[test]
fn a_bad_line_about_a_group_is_refused_with_stocks_words() {
    for (lines, number, expected) in GROUP_LINES {
        let said = message(read(&format!("sentinel monitor m 127.0.0.1 6379 1\n{lines}")));
        assert!(said.starts_with(&format!("s.conf:{number}: ")) && said.contains(expected), "{lines}\n said: {said}\n want: {expected}");
    }
}

#[test]
fn lines_that_do_not_fit_each_other_are_refused() {
    for (lines, expected) in FILES {
        let said = message(read(lines));
        assert!(said.starts_with("s.conf: ") && said.contains(expected), "{lines}\n said: {said}\n want: {expected}");
    }
}

#[test]
fn peers_differ_in_number_and_address() {
    assert!(message(read("raft peer 1 10.0.0.1:1")).starts_with("s.conf:3: raft peer 1 is said twice: it is 10.0.0.1:1 already"));
    assert!(message(read("raft peer 2 127.0.0.1:27379")).contains("raft peer 1 has the address '127.0.0.1:27379' of raft peer 2"));
}

#[test]
fn a_joiner_says_where_it_is() {
    let peer = "raft node-id 2\nraft peer 1 10.0.0.1:27379\n";
    assert!(message(read_raw(peer)).contains("raft node-id 2 is not among the raft peer lines (1)"));
    assert!(message(read_raw(&format!("{peer}raft listen *:27379"))).contains("it needs 'raft advertise <host:port>"));
}

#[test]
fn a_stock_file_is_told_which_lines_to_add() {
    let said = message(read_raw("sentinel monitor m 127.0.0.1 6379 2"));
    assert!(said.starts_with("s.conf: no 'raft node-id' and no 'raft peer' line."), "{said}");
    for line in ["    raft node-id 1\n", "    raft peer 1 10.0.0.1:27379\n", "    raft peer 3 10.0.0.3:27379\n"] {
        assert!(said.contains(line), "{said}");
    }
    assert!(message(read_raw("raft node-id 1")).starts_with("s.conf: no 'raft peer' line."));
    assert!(message(read_raw("raft peer 1 127.0.0.1:1")).starts_with("s.conf: no 'raft node-id' line."));
}

#[test]
fn the_lines_to_add_come_from_the_neighbours_that_the_file_knows() {
    let said = message(read_raw(
        "bind 10.7.0.2\nsentinel monitor m 127.0.0.1 6379 2\nsentinel known-sentinel m 10.7.0.3 26379 x\nsentinel known-sentinel m 10.7.0.1 26379 y",
    ));
    for line in ["    raft node-id 2\n", "raft peer 1 10.7.0.1:27379\n", "raft peer 2 10.7.0.2:27379\n", "raft peer 3 10.7.0.3:27379\n"] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn no_password_is_quoted_in_a_message() {
    for line in [
        "requirepass hunter2 hunter2",
        "requirepass \"hunter2",
        "sentinel auth-pass m \"hunter2",
        "sentinel auth-pass hunter2",
        "sentinel auth-pass m hunter2 hunter2",
        "sentinel sentinel-pass hunter2 x",
        "user bob on >hunter2\nuser bob off >hunter2",
        "user bob on >hunter2\naclfile x",
        "tls-key-file-pass hunter2",
        "requirepass hunter2\nuser default on nopass ~* &* +@all",
    ] {
        let said = message(read(line));
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_user_has_one_line() {
    let said = message(read("user alice on\nuser alice off"));
    assert!(said.ends_with("2: user: Duplicate user found. 'alice' has two lines; a user can only be defined once"), "{said}");
}

#[test]
fn a_port_for_peers_that_others_reach_needs_a_proof() {
    let exposed = "raft node-id 1\nraft peer 1 10.0.0.1:27379\n";
    let said = message(read_raw(exposed));
    for way_out in ["raft secret-file <path>", "raft tls yes", "raft insecure yes", "raft-sentinel secret new"] {
        assert!(said.contains(way_out), "{said}");
    }
    assert!(message(read("raft listen *:27379")).contains("can be reached from other hosts"));
    assert!(message(read_raw("raft node-id 1\nraft peer 1 s1.example:27379\n")).contains("can be reached from other hosts"));
    for line in
        ["raft secret-file s", "raft insecure yes", "raft listen 127.0.0.1:27379", "raft listen [::1]:27379", "raft listen localhost:27379"]
    {
        read_raw(&format!("{exposed}{line}\n")).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    let insecure = read_raw(&format!("{exposed}raft insecure yes\n")).unwrap();
    assert!(insecure.notes.iter().any(|note| note.to_string().contains("may pose as a sentinel")), "{:?}", insecure.notes);
}

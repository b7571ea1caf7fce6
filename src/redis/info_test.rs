use proptest::prelude::*;

use super::*;

const MASTER: &str = include_str!("../../tests/redis/info_master.txt");
const REPLICA: &str = include_str!("../../tests/redis/info_replica.txt");

/// The text with one field's line changed, or dropped.
fn with(text: &str, field: &str, value: Option<&str>) -> String {
    let prefix = format!("{field}:");
    assert!(text.lines().any(|line| line.starts_with(&prefix)), "the sample has no {field}");
    text.lines()
        .filter_map(|line| if line.starts_with(&prefix) { value.map(|value| format!("{prefix}{value}")) } else { Some(line.to_owned()) })
        .collect::<Vec<_>>()
        .join("\r\n")
}

fn replicas(lines: &str) -> Vec<AttachedReplica> {
    match parse(&MASTER.replace("connected_slaves:", &format!("{lines}\r\nconnected_slaves:"))).map(|report| report.role) {
        Ok(RoleReport::Master { replicas, .. }) => replicas.into_iter().filter(|replica| replica.addr.host() != "127.0.0.1").collect(),
        other => panic!("no master: {other:?}"),
    }
}

#[test]
fn a_master_is_read() {
    let report = parse(MASTER).expect("a real INFO");
    assert_eq!(report.version, "7.0.15");
    assert_eq!(report.replid2, None, "all zeros are no history");
    assert_eq!(report.second_offset, None);
    assert!(!report.loading);
    assert_eq!(report.raw, MASTER);
    let RoleReport::Master { replicas, .. } = report.role else { panic!("role: {:?}", report.role) };
    assert_eq!(replicas.len(), 1);
    assert!(replicas[0].online && replicas[0].offset > 0 && replicas[0].addr.port() > 0);
}

#[test]
fn a_replica_is_read_with_its_own_offset() {
    let report = parse(&with(REPLICA, "slave_repl_offset", Some("4711"))).expect("a real INFO");
    assert_eq!(report.offset, 4711);
    let RoleReport::Replica(replica) = report.role else { panic!("role: {:?}", report.role) };
    assert!(replica.link_up && replica.announced && !replica.syncing);
    assert_eq!((replica.priority, replica.link_down_s), (100, None));
}

#[test]
fn unknown_ages_and_offsets_are_none() {
    for field in ["master_last_io_seconds_ago", "slave_repl_offset"] {
        let report = parse(&with(REPLICA, field, Some("-1"))).expect("-1 is a value");
        let RoleReport::Replica(replica) = report.role else { panic!("role: {:?}", report.role) };
        assert!(replica.last_io_s.is_none() || report.offset == 0);
    }
    let promoted = with(&with(MASTER, "second_repl_offset", Some("99")), "master_replid2", Some(&"a1".repeat(20)));
    let report = parse(&promoted).expect("a promoted master");
    assert_eq!((report.second_offset, report.replid2), (Some(99), Some(ReplId::new("a1".repeat(20)).expect("an id"))));
}

#[test]
fn attached_replicas_of_every_spelling_are_read() {
    let read = replicas(
        "slave1:ip=fe80::1,port=7001,state=online,offset=12,lag=1\r\nslave2:10.0.0.9,7002,online\r\n\
         slave3:ip=redis-2.local,port=7003,state=wait_bgsave,offset=-1,lag=-3,type=replica\r\nslave4:ip=10.0.0.1,port=0,state=online,offset=1,lag=0",
    );
    let shown: Vec<_> = read.iter().map(|replica| (replica.addr.to_string(), replica.online, replica.offset, replica.lag_s)).collect();
    assert_eq!(
        shown,
        [
            ("[fe80::1]:7001".to_owned(), true, 12, 1),
            ("10.0.0.9:7002".to_owned(), true, 0, 0),
            ("redis-2.local:7003".to_owned(), false, 0, 0),
        ],
        "port 0 is a witness"
    );
}

#[test]
fn a_replica_that_announces_no_address_is_told_of_and_hides_nothing() {
    for (line, told) in [
        ("ip=[,port=33150,state=online,offset=1,lag=0", "["),
        ("ip=1.2.3.4,port=x", "1.2.3.4:x"),
        ("ip=1.2.3.4,port=-5,state=online,offset=1,lag=0", "1.2.3.4:-5"),
        ("ip=1.2.3.4,port=99999,state=online,offset=1,lag=0", "1.2.3.4:99999"),
        ("ip=\u{1b}[31m,port=1,state=online,offset=1,lag=0", "\\u{1b}[31m"),
        ("ip=,port=1,state=online,offset=1,lag=0", ""),
    ] {
        let report = parse(&with(MASTER, "slave0", Some(line))).expect(line);
        let RoleReport::Master { replicas, misnamed, .. } = report.role else { panic!("{line}") };
        assert_eq!((replicas, misnamed), (vec![], vec![told.to_owned()]), "{line}");
    }
}

/// `REPLCONF ip-address` takes any text, and INFO prints it.
#[test]
fn lines_that_a_replica_puts_into_info_change_nothing_of_the_master() {
    let own = |text: &str| {
        let report = parse(text).expect("an INFO");
        let role = report.role();
        (report.run_id, report.replid, report.offset, report.second_offset, report.loading, role)
    };
    let foreign = "f".repeat(40);
    for forged in [
        format!("ip=a\r\nmaster_replid:{foreign}\r\nmaster_repl_offset:99999999\r\nsecond_repl_offset:1\r\nx:,port=1,state=online"),
        format!("ip=a,port=7,state=online\r\n# Server\r\nrun_id:{foreign}\r\nrole:slave\r\nloading:1\r\nx:,port=1,state=online"),
    ] {
        assert_eq!(own(&with(MASTER, "slave0", Some(&forged))), own(MASTER), "{forged}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (field, value) in [
        ("run_id", None),
        ("run_id", Some("x")),
        ("role", None),
        ("role", Some("sentinel")),
        ("master_host", None),
        ("master_host", Some("")),
        ("master_port", Some("99999")),
        ("master_link_status", None),
        ("master_replid", Some("short")),
        ("master_replid2", Some("zz")),
        ("slave_priority", Some("-1")),
        ("slave_repl_offset", Some("many")),
        ("second_repl_offset", Some("9999999999999999999999")),
    ] {
        let error = parse(&with(REPLICA, field, value)).expect_err("a broken INFO");
        assert!(error.to_string().contains(field), "{field} {value:?}: {error}");
    }
    assert!(matches!(parse(&"x".repeat(limits::INFO_BYTES + 1)), Err(BadInfo::TooLarge { .. })));
    assert_eq!(kept(&"\u{e4}".repeat(limits::INFO_KEPT_BYTES)).len(), limits::INFO_KEPT_BYTES, "only the beginning is kept");
    assert_eq!(kept("short"), "short");
    assert!(matches!(parse(""), Err(BadInfo::Missing { .. })));
}

proptest! {
    /// Real texts with bytes cut out, changed and doubled: an answer or an error, never a panic.
    #[test]
    fn no_mutation_makes_it_panic(
        master in any::<bool>(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[\\PC\r\n:=,0-9-]{0,12}"), 1..12),
    ) {
        let mut text: Vec<char> = if master { MASTER } else { REPLICA }.chars().collect();
        for (place, length, patch) in cuts {
            let at = place.index(text.len() + 1);
            text.splice(at..text.len().min(at + length), patch.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().chars().count() < 400, "errors are short: {}", error);
        }
    }
}

#[test]
fn valkeys_version_is_valkeys() {
    let text = MASTER.replace("redis_version:7.0.15", "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1");
    assert_eq!(parse(&text).expect("it is one").version, "8.1.1");
}

/// Kvrocks, and Redis before 4.0: no history, no priority, and no state of what is attached.
#[test]
fn a_server_that_tells_no_history_is_read_all_the_same() {
    let bare = |text: &str| {
        let without = ["master_replid:", "master_replid2:", "second_repl_offset:", "slave_priority:"];
        text.lines().filter(|line| !without.iter().any(|field| line.starts_with(field))).collect::<Vec<_>>().join("\r\n")
    };
    let master = parse(&bare(MASTER).replace("state=online,", "")).expect("it is one");
    assert!(master.replid.is_unknown() && master.replid2.is_none());
    let RoleReport::Master { replicas, .. } = master.role else { panic!("role: {:?}", master.role) };
    assert!(replicas.iter().all(|replica| replica.online), "what says nothing of its state is attached");
    let replica = parse(&bare(REPLICA)).expect("it is one");
    assert!(replica.replid.is_unknown());
    assert!(matches!(replica.role, RoleReport::Replica(replica) if replica.priority == 100));
    assert!(parse(&with(MASTER, "master_replid", Some("nonsense"))).is_err(), "what is told must be one");
}

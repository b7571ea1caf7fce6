//! The decision, case by case.

use super::*;

const BEGUN_MS: u64 = 1_500;

fn addr(port: u16) -> Addr {
    Addr::new("10.0.0.1", port).expect("an address")
}

fn id(text: &str) -> Option<ReplId> {
    Some(ReplId::new(text).expect("an id"))
}

fn nothing() -> DataFound {
    DataFound::Nothing { why: "/data/dump.rdb does not exist".to_owned() }
}

fn append_only() -> DataFound {
    DataFound::AppendOnly { file: "/data/appendonlydir/appendonly.aof.manifest".into(), synced: false }
}

fn snapshot(history: Option<(&str, u64)>) -> DataFound {
    let history = history.map(|(history, offset)| (ReplId::new(history).expect("an id"), offset));
    DataFound::Snapshot { file: "/data/dump.rdb".into(), history }
}

/// A replica that is well and was looked at after this node began to start.
fn well(port: u16, history: &str, offset: u64, keys: u64) -> Replica {
    let holding = Holding { history: id(history), offset, keys: Some(keys) };
    Replica { addr: addr(port), report: Some((100, holding)), heard_ms: Some(5), looked_at: true, trouble: String::new() }
}

/// The same, but what it holds was reported before this node began to start.
fn seen_before(mut replica: Replica) -> Replica {
    replica.report.as_mut().unwrap().0 = BEGUN_MS + 1;
    replica
}

/// The same, down.
fn down(replica: Replica) -> Replica {
    Replica { heard_ms: None, trouble: "down for 900 ms".to_owned(), ..seen_before(replica) }
}

fn loading(mut replica: Replica) -> Replica {
    let (_, holding) = replica.report.as_mut().unwrap();
    (holding.history, holding.keys) = (None, None);
    replica
}

fn answer(replicas: Vec<Replica>) -> GateAnswer {
    GateAnswer { master: addr(1), epoch: 3, history: id("H"), wait_replicas: 0, replacement: Replacement::None, replicas, told_by: 1 }
}

fn as_master(found: &DataFound, answer: &GateAnswer) -> GateVerdict {
    decide(answer, &Who::Master, found, Rules::default(), BEGUN_MS)
}

fn starts(found: &DataFound, replicas: Vec<Replica>) {
    assert_eq!(as_master(found, &answer(replicas)), GateVerdict::Start(StartRole::Master));
}

fn lacks(found: &DataFound, replicas: Vec<Replica>) {
    let verdict = as_master(found, &answer(replicas));
    assert!(matches!(verdict, GateVerdict::Wait(WaitReason::Lacking { .. })), "{verdict:?}");
}

fn unseen(found: &DataFound, replicas: Vec<Replica>) {
    let verdict = as_master(found, &answer(replicas));
    assert!(matches!(verdict, GateVerdict::Wait(WaitReason::Unseen { .. })), "{verdict:?}");
}

#[test]
fn whoever_is_not_the_master_follows_it_whatever_it_holds() {
    for who in [Who::Replica(addr(2)), Who::Newcomer] {
        for found in [nothing(), append_only(), snapshot(Some(("H", 1_000_000)))] {
            let verdict = decide(&answer(vec![]), &who, &found, Rules::default(), 0);
            assert_eq!(verdict, GateVerdict::Start(StartRole::ReplicaOf(addr(1))));
        }
    }
}

#[test]
fn a_node_that_may_be_the_master_is_not_started_as_its_replica() {
    let several = decide(&answer(vec![]), &Who::Several(vec![addr(1), addr(2)]), &append_only(), Rules::default(), 0);
    assert_eq!(several, GateVerdict::Wait(WaitReason::Several(vec![addr(1), addr(2)])));
    let unclear = decide(&answer(vec![]), &Who::Unclear("no such name".to_owned()), &append_only(), Rules::default(), 0);
    assert_eq!(unclear, GateVerdict::Wait(WaitReason::Unclear("no such name".to_owned())));
}

#[test]
fn a_master_with_its_append_only_file_starts() {
    starts(&append_only(), vec![]);
    starts(&append_only(), vec![well(2, "H", 100, 5), down(well(3, "H", 100, 5))]);
}

#[test]
fn what_wait_confirmed_is_not_left_to_the_end_of_an_append_only_file() {
    let strict = |wait_replicas, replicas| GateAnswer { wait_replicas, ..answer(replicas) };
    let (two, three) =
        (|| vec![well(2, "H", 100, 5), well(3, "H", 90, 5)], || vec![well(2, "H", 1, 1), well(3, "H", 1, 1), well(4, "H", 1, 1)]);
    assert_eq!(as_master(&append_only(), &strict(1, two())), GateVerdict::Start(StartRole::Compared));
    assert_eq!(as_master(&append_only(), &strict(2, three())), GateVerdict::Start(StartRole::Compared));
    // With W of 2 two of three suffice; of two with W of 1, both are needed.
    let mut one_away = three();
    one_away[0] = down(one_away[0].clone());
    assert_eq!(as_master(&append_only(), &strict(2, one_away)), GateVerdict::Start(StartRole::Compared));
    assert_eq!(
        as_master(&append_only(), &strict(1, vec![well(2, "H", 1, 1), down(well(3, "H", 1, 1))])),
        GateVerdict::Start(StartRole::Master)
    );
    assert_eq!(as_master(&append_only(), &strict(1, vec![])), GateVerdict::Start(StartRole::Master), "there is nobody to compare it with");
    let synced = DataFound::AppendOnly { file: "/data/appendonly.aof".into(), synced: true };
    assert_eq!(as_master(&synced, &strict(1, two())), GateVerdict::Start(StartRole::Master), "nothing is missing");
}

#[test]
fn a_first_start_without_any_data_is_no_loss() {
    starts(&nothing(), vec![]);
    starts(&nothing(), vec![well(2, "X", 0, 0), well(3, "H", 56, 0)]);
}

#[test]
fn a_master_without_data_waits_while_a_replica_has_any() {
    lacks(&nothing(), vec![well(2, "X", 0, 0), well(3, "H", 100, 5)]);
    // Loaded from an append-only file, data have a history of their own.
    lacks(&nothing(), vec![well(2, "X", 0, 5)]);
}

#[test]
fn a_master_without_data_waits_until_it_knows_what_its_replicas_have() {
    let untried = Replica { report: None, heard_ms: None, looked_at: false, ..well(3, "H", 0, 0) };
    for unknown in [seen_before(well(3, "H", 100, 0)), down(well(3, "H", 100, 5)), loading(well(3, "H", 100, 5)), untried] {
        unseen(&nothing(), vec![well(2, "H", 100, 0), unknown]);
    }
    let told = as_master(&nothing(), &answer(vec![down(well(3, "H", 100, 5)), loading(well(4, "H", 1, 1))]));
    let GateVerdict::Wait(reason) = told else { panic!("{told:?}") };
    for part in ["no data (/data/dump.rdb does not exist)", "10.0.0.1:3: down for 900 ms", "10.0.0.1:4: it is loading", "--if-replica-down"]
    {
        assert!(reason.to_string().contains(part), "no '{part}' in: {reason}");
    }
}

#[test]
fn an_operator_may_do_without_replicas_that_are_away_but_not_without_present_ones() {
    let rules = Rules { without_absent_replicas: true };
    let decided = |replicas| decide(&answer(replicas), &Who::Master, &nothing(), rules, BEGUN_MS);
    assert_eq!(decided(vec![down(well(2, "H", 100, 5))]), GateVerdict::Start(StartRole::Master));
    for present in [well(3, "H", 100, 5), seen_before(well(3, "H", 100, 5)), loading(well(3, "H", 100, 5))] {
        assert!(matches!(decided(vec![down(well(2, "H", 100, 5)), present]), GateVerdict::Wait(_)));
    }
}

#[test]
fn a_snapshot_counts_if_it_goes_as_far_as_every_replica() {
    let found = snapshot(Some(("H", 100)));
    starts(&found, vec![]);
    starts(&found, vec![well(2, "H", 100, 5), well(3, "H", 60, 5)]);
    lacks(&found, vec![well(2, "H", 100, 5), well(3, "H", 101, 5)]);
    lacks(&found, vec![seen_before(well(2, "H", 101, 5))]);
    // What was reported before may have grown since; whoever is away is no reason to wait.
    unseen(&found, vec![seen_before(well(2, "H", 100, 5))]);
    starts(&found, vec![down(well(2, "H", 100, 5))]);
}

#[test]
fn a_snapshot_of_another_history_is_older_than_replicas_of_the_recorded_one() {
    for found in [snapshot(Some(("G", 100_000))), snapshot(None)] {
        lacks(&found, vec![well(2, "H", 10, 5)]);
        starts(&found, vec![well(2, "X", 10, 5)]);
        starts(&found, vec![well(2, "H", 10, 0)]);
    }
    let never_seen = GateAnswer { history: None, ..answer(vec![well(2, "X", 10, 5)]) };
    assert_eq!(as_master(&snapshot(None), &never_seen), GateVerdict::Start(StartRole::Master));
}

#[test]
fn while_the_sentinels_replace_it_the_master_waits_unless_they_cannot() {
    let running = GateAnswer { replacement: Replacement::Running, ..answer(vec![]) };
    assert_eq!(as_master(&append_only(), &running), GateVerdict::Wait(WaitReason::Replaced));
    let blocked = GateAnswer { replacement: Replacement::Blocked("10.0.0.1:2: down".to_owned()), ..answer(vec![well(2, "H", 1, 1)]) };
    assert_eq!(as_master(&append_only(), &blocked), GateVerdict::Start(StartRole::Master));
    let GateVerdict::Wait(reason) = as_master(&nothing(), &blocked) else { panic!("it has no data") };
    assert!(reason.to_string().contains("cannot: 10.0.0.1:2: down"), "{reason}");
}

#[test]
fn what_only_grows_is_not_told_again() {
    let holder = |offset| match as_master(&nothing(), &answer(vec![well(2, "H", offset, 5)])) {
        GateVerdict::Wait(reason) => reason,
        GateVerdict::Start(role) => panic!("{role:?}"),
    };
    assert!(holder(1).is_like(&holder(2)));
    assert!(!holder(1).is_like(&WaitReason::Replaced));
    let tried = |ms| WaitReason::NoAnswer(vec![(addr(1), format!("no quorum for {ms} ms"))]);
    assert!(tried(1).is_like(&tried(2)));
}

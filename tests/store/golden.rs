//! The durable format, byte by byte: what this release writes, every later one must read.
//!
//! A test that fails here means that directories in the field would not open after an upgrade, or that sentinels of two releases would
//! not understand each other. `UPDATE_GOLDEN=1 cargo test --test store golden` rewrites the files; before a first release of a format
//! that is all there is to do, afterwards it is a decision about compatibility.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::PathBuf;

use openraft::{BasicNode, EntryPayload, Membership};
use raft_sentinel::base::parameters::ParameterChange;
use raft_sentinel::base::settings::{PromotionPolicy, SettingChange};
use raft_sentinel::base::{
    Addr, ClusterId, Epoch, Fence, Incarnation, LogIndex, NodeId, ReplId, RunId, Sealed, SentinelId, StoredSecret, StoredWebhook, WallTime,
    WebhookUrl,
};
use raft_sentinel::machine::ChosenFor;
use raft_sentinel::machine::ballot::ReplicaLinkReport;
use raft_sentinel::machine::{
    AbortReason, Asker, Candidate, Choice, Command, DownEvidence, Evidence, FailoverId, FailoverMode, FencingProof, Identity, Ineligible,
    Keep, Phase, Retirement, SentinelRecord, ShadowEntry, State, StockWord,
};
use raft_sentinel::raft::types::{Entry, SnapshotMeta, Vote};
use raft_sentinel::store::{Binding, Marked, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::common::{configure, group_name, log_id};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/store/golden").join(name)
}

fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path = path(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, written).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()))
}

/// A value as it is in the file: framed.
fn check_record<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let bytes = golden(&format!("{name}.record"), &encode(value).unwrap());
    let read: T = decode(&bytes).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    assert_eq!(read, *value, "{name}");
    assert_eq!(encode(&read).unwrap(), bytes, "{name} is written in another way now");
}

/// A value in JSON that people can compare.
fn check_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let text = |value: &T| serde_json::to_string_pretty(value).unwrap() + "\n";
    let kept = String::from_utf8(golden(&format!("{name}.json"), text(value).as_bytes())).unwrap();
    let read: T = serde_json::from_str(&kept).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    assert_eq!(read, *value, "{name}");
    assert_eq!(text(&read), kept, "{name} is written in another way now");
}

#[test]
fn each_kind_of_record_keeps_its_form() {
    let membership = Membership::new(vec![BTreeSet::from([NodeId(1), NodeId(2)])], members());
    let stored = openraft::StoredMembership::new(Some(log_id(1, 0)), membership.clone());
    let life = Incarnation::new("0123456789abcdef0123456789abcdef").expect("an id");
    check_record("binding", &Binding { node_id: NodeId(1), cluster_id: ClusterId::new("prod").expect("an id"), incarnation: life });
    check_record("vote", &Vote::new_committed(7, NodeId(3)));
    check_record("log-id", &log_id(7, 42));
    check_record("commits", &9_u64);
    check_record("mark", &Marked { commits: 9, committed: Some(log_id(7, 42)) });
    check_record("entry-blank", &Entry { log_id: log_id(2, 5), payload: EntryPayload::Blank });
    check_record("entry-membership", &Entry { log_id: log_id(1, 0), payload: EntryPayload::Membership(membership) });
    check_record("entry-normal", &Entry { log_id: log_id(2, 6), payload: EntryPayload::Normal(configure(0)) });
    let meta = SnapshotMeta { last_log_id: Some(log_id(7, 42)), last_membership: stored, snapshot_id: "T7-N1-42-0badcafe".to_owned() };
    check_record("snapshot-meta", &meta);
    check_record("snapshot-data", &state());
}

#[test]
fn each_command_keeps_its_form() {
    let commands: Vec<Command> = commands().into_iter().chain(newer_commands()).collect();
    for command in &commands {
        check_json(&format!("command-{}", command.name()), command);
    }
    let seen: BTreeSet<usize> = commands.iter().map(place).collect();
    assert_eq!(seen, (0..33).collect(), "a command has no golden file");
}

#[test]
fn who_asked_keeps_its_form() {
    let asker = Asker::new("ops", "10.0.0.9:50000", "grpc", NodeId(2));
    let mut state = State::default();
    for (command, index) in commands().into_iter().zip(1..) {
        let asked = command.clone().asked_by(asker.clone());
        if asked == command {
            continue;
        }
        check_json(&format!("asked-{}", asked.name()), &asked);
        state.apply(LogIndex(index), &asked);
    }
    let words = Command::SetParameters { sentinel: NodeId(2), changes: Vec::new(), at: at(), asked: None };
    let words = words.asked_by(asker.saying("members add 4 10.0.0.4:27379"));
    check_json("asked-in-words", &words);
    state.apply(LogIndex(100), &words);
    check_json("requests", &*state.requests);
}

#[test]
fn what_a_sentinel_tells_of_itself_keeps_its_form() {
    let told = SentinelRecord { shadow: true, key_ids: Some(vec!["0a1b2c3d".to_owned()]), level: Some(1), ..record() };
    check_json("record-with-level", &told);
}

#[test]
fn a_removed_group_that_may_be_taken_up_keeps_its_form() {
    let mut state = State::default();
    let armed = Command::FenceArmed {
        group: group_name(0),
        epoch: Epoch(0),
        fence: Fence { min_replicas: 1, max_lag_s: 2 },
        replicas: 2,
        at: at(),
    };
    state.apply(LogIndex(1), &configure(0));
    state.apply(LogIndex(2), &armed);
    let keep = Keep { policy: PromotionPolicy::Strict, fence: state.groups[&group_name(0)].fence, down: vec![redis(3)] };
    let remove = Command::RemoveGroup { group: group_name(0), at: at(), keep: Some(keep), asked: None };
    check_json("command-remove-and-keep", &remove);
    state.apply(LogIndex(3), &remove);
    check_json("state-removed", &state);
    let Command::ConfigureGroup { name, master, settings, replicas, epoch, origin, at, .. } = configure(0) else { unreachable!() };
    let take_up = Command::ConfigureGroup { name, master, settings, replicas, epoch, origin, at, takes_up: Some(LogIndex(3)), asked: None };
    check_json("command-take-up", &take_up);
    state.apply(LogIndex(4), &take_up);
    assert!(state.groups[&group_name(0)].fence.is_some() && state.removed.is_empty());
    assert_eq!((remove.level(), take_up.level(), configure(0).level()), (2, 2, 1), "a release that does not know them is not given them");
}

#[test]
fn the_state_keeps_its_form() {
    check_json("state", &state());
}

/// A state that was written before secrets were sealed: it lacks what says when they were set.
#[test]
fn a_state_of_before_is_read() {
    let text = std::fs::read_to_string(path("state-before-sealing.json")).unwrap();
    let mut expected = state();
    for group in expected.groups.values_mut() {
        let group = std::sync::Arc::make_mut(group);
        (group.secrets_set, group.created) = (LogIndex(0), LogIndex(0));
    }
    assert_eq!(serde_json::from_str::<State>(&text).unwrap(), expected);
}

/// A state that was written before groups said which entry began them.
#[test]
fn a_state_without_the_ages_of_groups_is_read() {
    let text = std::fs::read_to_string(path("state-before-created.json")).unwrap();
    let mut expected = state();
    for group in expected.groups.values_mut() {
        std::sync::Arc::make_mut(group).created = LogIndex(0);
    }
    assert_eq!(serde_json::from_str::<State>(&text).unwrap(), expected);
}

#[test]
fn the_adoption_of_a_server_keeps_its_form() {
    let adopts = Some(RunId::new("c".repeat(40)).unwrap());
    check_json("adopted-replica-named", &Command::ReplicaNamed { group: group_name(0), replica: redis(4), adopts, at: at(), asked: None });
}

#[test]
fn each_ground_of_a_vote_keeps_its_form() {
    use Evidence::{Busy, Closed, Loading, LostHistory, Refused, Silent, Unresolved, WrongRole};
    check_json("evidence", &vec![Silent, Refused, Closed, Busy, Unresolved, WrongRole, Loading, LostHistory]);
}

#[test]
fn what_a_name_and_a_refusal_brought_keeps_its_form() {
    use Evidence::{Elsewhere, Emptied, Error};
    check_json("evidence-of-addresses", &vec![Elsewhere, Error, Emptied]);
    let replid = ReplId::new("d".repeat(40)).unwrap();
    let reasons = vec![
        Ineligible::TakesNoOrders { why: "NOPERM".to_owned() },
        Ineligible::OutOfSync { replid, down_s: Some(7) },
        Ineligible::NoHistory,
    ];
    check_json("ineligible-of-rights", &reasons);
}

/// Numbers the commands. A new one does not compile until it has a number, and does not pass until it has a sample.
fn place(command: &Command) -> usize {
    match command {
        Command::ConfigureGroup { .. } => 0,
        Command::SetOptions { .. } => 1,
        Command::RemoveGroup { .. } => 2,
        Command::ResetGroup { .. } => 3,
        Command::MasterSeen { .. } => 4,
        Command::ReplicaSeen { .. } => 5,
        Command::ReplicaForgotten { .. } => 6,
        Command::VoteDown { .. } => 7,
        Command::VoteUp { .. } => 8,
        Command::VotesExpired { .. } => 9,
        Command::FailoverRequested { .. } => 10,
        Command::Promote { .. } => 11,
        Command::Promoted { .. } => 12,
        Command::ReplicaFollows { .. } => 13,
        Command::FailoverDone { .. } => 14,
        Command::FailoverAborted { .. } => 15,
        Command::FailoverBlocked { .. } => 16,
        Command::SentinelJoined { .. } => 17,
        Command::SentinelLeft { .. } => 18,
        Command::SetParameters { .. } => 19,
        Command::FenceArmed { .. } => 20,
        Command::FenceLoosened { .. } => 21,
        Command::FenceCovered { .. } => 22,
        Command::FenceDropped { .. } => 23,
        Command::Shadow { entry, .. } => match entry {
            ShadowEntry::TakeOver { .. } => 24,
            ShadowEntry::StandDown { .. } => 25,
            ShadowEntry::Decided { .. } => 26,
            ShadowEntry::Blocked { .. } => 27,
            ShadowEntry::StockSaid { .. } => 28,
            ShadowEntry::MasterMoved { .. } => 29,
        },
        Command::SecretsSealed { .. } => 30,
        Command::ReplicaRetired { .. } => 31,
        Command::ReplicaNamed { .. } => 32,
    }
}

fn members() -> BTreeMap<NodeId, BasicNode> {
    (1..=3).map(|id| (NodeId(id), BasicNode::new(format!("10.0.0.{id}:27379")))).collect()
}

fn at() -> WallTime {
    WallTime(1_700_000_000_000_000)
}

fn redis(host: u8) -> Addr {
    Addr::new(format!("10.0.0.{host}"), 6379).expect("an address")
}

fn identity() -> Identity {
    let (run_id, replid) = (RunId::new("a".repeat(40)).expect("an id"), ReplId::new("b".repeat(40)).expect("an id"));
    Identity { run_id, replid, replid2: Some(ReplId::new("c".repeat(40)).expect("an id")), second_offset: Some(1234) }
}

fn testimony() -> DownEvidence {
    let witness = ReplicaLinkReport { replica: redis(2), link_up: false, last_io_s: Some(3) };
    DownEvidence { evidence: Evidence::Refused, silent_ms: 5003, limit_ms: 5000, replicas: vec![witness] }
}

fn choice() -> Choice {
    let good = Candidate {
        addr: redis(2),
        run_id: Some(identity().run_id),
        priority: Some(100),
        offset: Some(4096),
        detached: true,
        ineligible: None,
    };
    let bad = Candidate { addr: redis(3), run_id: None, priority: None, offset: None, detached: false, ineligible: Some(Ineligible::Down) };
    let candidates = vec![good, bad];
    Choice {
        chosen: redis(2),
        candidates,
        reason: ChosenFor::Offset,
        master_offset: Some(4100),
        estimated_loss_bytes: Some(4),
        basis: FencingProof::Drained,
        arms: Some(fence()),
        by_hand: false,
    }
}

const fn fence() -> Fence {
    Fence { min_replicas: 1, max_lag_s: 2 }
}

fn record() -> SentinelRecord {
    SentinelRecord {
        sentinel_id: SentinelId::new("0123456789abcdef0123456789abcdef01234567").expect("an id"),
        incarnation: Incarnation::new("0123456789abcdef0123456789abcdef").expect("an id"),
        resp: Addr::new("10.0.0.1", 26379).expect("an address"),
        grpc: Addr::new("10.0.0.1", 28379).expect("an address"),
        raft: Addr::new("::1", 27379).expect("an address"),
        shadow: false,
        key_ids: None,
        level: None,
    }
}

fn setting_changes() -> Vec<SettingChange> {
    vec![
        SettingChange::Quorum(2),
        SettingChange::DownAfterMs(5000),
        SettingChange::CrashDownAfterMs(300),
        SettingChange::FailoverTimeoutMs(60_000),
        SettingChange::ParallelSyncs(1),
        SettingChange::MasterRebootDownAfterMs(0),
        SettingChange::AuthUser(Some("sentinel".to_owned())),
        SettingChange::AuthPass(Some(StoredSecret::new("secret"))),
        SettingChange::PromotionPolicy(PromotionPolicy::Strict),
        SettingChange::FenceMaxLagS(3),
        SettingChange::ReplicaForgetAfterMs(86_400_000),
        SettingChange::NotificationScript(Some("/bin/notify".to_owned())),
        SettingChange::ClientReconfigScript(None),
        SettingChange::NotificationWebhook(Some(WebhookUrl::new("https://hooks.example.com/x").unwrap().into())),
        SettingChange::RenameCommand { command: "CONFIG".to_owned(), to: "hidden".to_owned() },
    ]
}

fn reasons() -> Vec<(Addr, Ineligible)> {
    let all = [
        Ineligible::Down,
        Ineligible::NoReport,
        Ineligible::Credentials,
        Ineligible::PriorityZero,
        Ineligible::NotAReplica,
        Ineligible::Loading,
        Ineligible::Syncing,
        Ineligible::NeverSynced,
        Ineligible::ForeignHistory { replid: identity().replid },
        Ineligible::Restarted,
        Ineligible::NeverInSync,
        Ineligible::PlaceLost,
        Ineligible::Attached,
        Ineligible::TooFew { have: 1, need: 2 },
        Ineligible::Behind { ahead: redis(3), behind_bytes: 14 },
        Ineligible::Unarmable { why: "NOPERM".to_owned() },
        Ineligible::NotFenced,
        Ineligible::StockWatches,
        Ineligible::OwnFileSaysShadow,
        Ineligible::StaleData { link_down_ms: 70_000, limit_ms: 60_000 },
    ];
    all.into_iter().zip(2..).map(|(reason, host)| (redis(host), reason)).collect()
}

/// One of each, in an order that makes a history: each but the last few changes the state.
fn commands() -> Vec<Command> {
    let (group, epoch, at, voter, by) = (group_name(0), Epoch(0), at(), NodeId(1), NodeId(1));
    let id = FailoverId { epoch: Epoch(1), started: LogIndex(11) };
    vec![
        configure(0),
        Command::SetOptions { group: group.clone(), changes: setting_changes(), at, asked: None },
        Command::MasterSeen { group: group.clone(), epoch, identity: identity(), at },
        Command::ReplicaSeen { group: group.clone(), epoch, replica: redis(4), identity: Some(identity()), tenure: None, at },
        Command::ReplicaForgotten { group: group.clone(), replica: redis(4), at, asked: None },
        Command::ResetGroup { group: group.clone(), down: vec![redis(9)], at, asked: None },
        Command::FenceArmed { group: group.clone(), epoch, fence: fence(), replicas: 2, at },
        Command::FenceLoosened { group: group.clone(), epoch, held: Fence::OFF, at },
        Command::FenceCovered { group: group.clone(), epoch, covered: 1, replicas: 2, at },
        Command::VoteDown { group: group.clone(), epoch, voter, testimony: testimony(), at },
        Command::VoteUp { group: group.clone(), epoch, voter, at },
        Command::FailoverRequested {
            group: group.clone(),
            epoch,
            by,
            manner: FailoverMode::Coordinated,
            target: Some(redis(2)),
            at,
            asked: None,
        },
        Command::FailoverBlocked { group: group.clone(), id, reasons: reasons(), at },
        Command::Promote { group: group.clone(), id, choice: choice(), by, at },
        Command::Promoted { group: group.clone(), id, identity: identity(), at },
        Command::ReplicaFollows { group: group.clone(), id, replica: redis(3), at },
        Command::FailoverDone { group: group.clone(), id, left: vec![redis(1)], at },
        Command::SentinelJoined { id: NodeId(1), record: record() },
        Command::FailoverAborted { group: group.clone(), id, reason: AbortReason::MasterReturned, at },
        Command::VotesExpired { voter: NodeId(3), silent_ms: 10_000, at },
        Command::RemoveGroup { group: group_name(9), at, keep: None, asked: None },
        Command::SentinelLeft { id: NodeId(9) },
        Command::FenceDropped { group: group.clone(), epoch, at },
        Command::SetParameters { sentinel: NodeId(1), changes: parameter_changes(), at, asked: None },
        shadow(0, ShadowEntry::StandDown { by }),
        shadow(0, ShadowEntry::TakeOver { by, despite_stock: true }),
        shadow(0, ShadowEntry::StockSaid { epoch, word: StockWord::Down, from: redis(9), by }),
        shadow(0, ShadowEntry::Decided { id, choice: choice(), by }),
        shadow(0, ShadowEntry::Blocked { id, reasons: reasons() }),
        shadow(0, ShadowEntry::MasterMoved { epoch, to: redis(2), identity: identity() }),
        secrets_sealed(),
    ]
}

/// Those that came after the state was first written down, which is to stay as it was.
fn newer_commands() -> Vec<Command> {
    let (epoch, at) = (Epoch(0), at());
    vec![
        Command::ReplicaNamed { group: group_name(9), replica: redis(4), adopts: None, at, asked: None },
        Command::ReplicaRetired {
            group: group_name(9),
            epoch,
            replica: redis(4),
            why: Retirement::Moved { to: redis(3) },
            covered: 1,
            replicas: 2,
            at,
        },
    ]
}

/// For a group that is not there: what it does to one is tried elsewhere.
fn secrets_sealed() -> Command {
    let sealed = |bytes: &[u8]| Sealed::new("0123456789abcdef", bytes).unwrap();
    Command::SecretsSealed {
        group: group_name(9),
        seen: LogIndex(7),
        auth_pass: Some(StoredSecret::Sealed(sealed(&[1, 2, 255]))),
        notification_webhook: Some(StoredWebhook::Sealed { shown: "https://hooks.example.com".to_owned(), url: sealed(&[3]) }),
        at: at(),
    }
}

/// A state with something in every corner: a finished failover, one that waits, one in progress, a standing vote, a removed group.
fn state() -> State {
    let mut state = State::default();
    let mut next = 0..;
    let mut apply = |state: &mut State, command: &Command| {
        let index = LogIndex(next.next().unwrap());
        state.apply(index, command);
        index
    };
    // Secrets that are sealed anew came later, and leave no trace in a group that is not there.
    for command in commands().iter().filter(|command| !matches!(command, Command::SecretsSealed { .. })) {
        apply(&mut state, command);
    }
    state.apply_membership(LogIndex(20), (1..=3).map(NodeId).collect());
    apply(&mut state, &Command::SentinelLeft { id: NodeId(9) });
    let (at, by) = (at(), NodeId(2));
    for number in 1..=3 {
        apply(&mut state, &configure(number));
    }
    apply(&mut state, &Command::RemoveGroup { group: group_name(3), at, keep: None, asked: None });
    for voter in [1, 2] {
        let vote = Command::VoteDown { group: group_name(1), epoch: Epoch(0), voter: NodeId(voter), testimony: testimony(), at };
        apply(&mut state, &vote);
    }
    let started = apply(
        &mut state,
        &Command::FailoverRequested {
            group: group_name(2),
            epoch: Epoch(0),
            by,
            manner: FailoverMode::Plain,
            target: None,
            at,
            asked: None,
        },
    );
    let id = FailoverId { epoch: Epoch(1), started };
    apply(&mut state, &Command::Promote { group: group_name(2), id, choice: choice(), by, at });
    apply(&mut state, &Command::Promoted { group: group_name(2), id, identity: identity(), at });
    apply(&mut state, &Command::ReplicaFollows { group: group_name(2), id, replica: redis(3), at });
    shadow_two_outages(&mut |command| apply(&mut state, command));
    state
}

#[test]
fn the_state_has_something_in_every_corner() {
    let state = state();
    let group = |number| state.groups.get(&group_name(number)).unwrap();
    assert!(matches!(group(1).failover.as_ref().unwrap().phase, Phase::Choosing), "a failover that waits");
    assert!(matches!(group(2).failover.as_ref().unwrap().phase, Phase::Following { .. }), "a failover in progress");
    assert!(group(0).failover.is_none() && group(0).history[0].ended.is_some(), "a finished failover");
    assert!(!group(1).ballot.votes().is_empty() && !group(0).replicas.is_empty());
    let rest = (state.retired.len(), state.sentinels.len(), state.voters.len(), state.changes.is_empty());
    assert_eq!(rest, (1, 1, 3, false));
    let group = group(4);
    assert!(group.in_shadow() && group.incidents.len() == 2, "one outage is over and one is not: {:#?}", group.incidents);
}

fn shadow(group: u64, entry: ShadowEntry) -> Command {
    Command::Shadow { group: group_name(group), entry, at: at(), asked: None }
}

/// A group in shadow, with an outage that is over and one that is not.
fn shadow_two_outages(apply: &mut dyn FnMut(&Command) -> LogIndex) {
    let (at, by) = (at(), NodeId(2));
    apply(&configure(4));
    apply(&shadow(4, ShadowEntry::StandDown { by }));
    for epoch in [Epoch(0), Epoch(1)] {
        let vote = |voter| Command::VoteDown { group: group_name(4), epoch, voter: NodeId(voter), testimony: testimony(), at };
        apply(&vote(1));
        let started = apply(&vote(2));
        let id = FailoverId { epoch: epoch.next(), started };
        apply(&shadow(4, ShadowEntry::Blocked { id, reasons: reasons() }));
        let words = [
            StockWord::Down,
            StockWord::Tried,
            StockWord::Aborted("-failover-abort-not-elected".to_owned()),
            StockWord::Up,
            StockWord::Chosen(redis(2)),
        ];
        for word in words {
            apply(&shadow(4, ShadowEntry::StockSaid { epoch, word, from: redis(9), by }));
        }
        if epoch == Epoch(0) {
            apply(&shadow(4, ShadowEntry::Decided { id, choice: choice(), by }));
            apply(&shadow(4, ShadowEntry::StockSaid { epoch, word: StockWord::Switched(redis(2)), from: redis(9), by }));
            apply(&shadow(4, ShadowEntry::MasterMoved { epoch, to: redis(2), identity: identity() }));
        }
    }
}

fn parameter_changes() -> Vec<ParameterChange> {
    vec![
        ParameterChange::ResolveHostnames(true),
        ParameterChange::AnnounceHostnames(false),
        ParameterChange::AnnounceIp(Some("10.0.0.9".to_owned())),
        ParameterChange::AnnounceIp(None),
        ParameterChange::AnnouncePort(7),
    ]
}

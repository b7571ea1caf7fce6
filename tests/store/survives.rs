//! Whatever can be built can be written down, sent and read again: every command, what comes of it, and the state that it leads to.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use raft_sentinel::base::parameters::ParameterChange;
use raft_sentinel::base::settings::{PromotionPolicy, SettingChange};
use raft_sentinel::base::{
    Addr, Epoch, Fence, GroupName, GroupSettings, Incarnation, LogIndex, NodeId, ReplId, RunId, Sealed, SentinelId, StoredSecret,
    StoredWebhook, WallTime, WebhookUrl,
};
use raft_sentinel::machine::ballot::ReplicaLinkReport;
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{
    AbortReason, Asker, Candidate, Choice, ChosenFor, Command, DownEvidence, Evidence, FailoverId, FailoverMode, FencingProof, Identity,
    Ineligible, Outcome, Retirement, SentinelRecord, ShadowEntry, State, StockWord, Tenure,
};
use raft_sentinel::raft::check_readable;
use raft_sentinel::raft::types::Entry;
use raft_sentinel::store::{decode, encode};

use super::common::log_id;

fn addr() -> BoxedStrategy<Addr> {
    let host = prop_oneof![
        4 => Just("10.0.0.1".to_owned()),
        4 => Just("10.0.0.2".to_owned()),
        1 => Just("::1".to_owned()),
        1 => "[a-z0-9_.][a-z0-9_.-]{0,60}",
        1 => "[0-9a-f]{0,4}:[0-9a-f]{0,4}:[0-9a-f:.]{0,20}",
    ];
    let built = (host, prop_oneof![Just(6379_u16), any::<u16>()]).prop_filter_map("no address", |(host, port)| Addr::new(host, port).ok());
    prop_oneof![9 => built, 1 => (".{0,40}", any::<u16>()).prop_map(|(host, port)| Addr::opaque(&host, port))].boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), "[ -~]{0,30}", ".{0,30}", Just("\u{0}\u{1b}[31m\"\\\n\u{2028}".to_owned())].boxed()
}

fn name() -> BoxedStrategy<GroupName> {
    prop_oneof![6 => Just("m".to_owned()), 1 => "[^\\s,]{1,100}"].prop_filter_map("no name", |text| GroupName::new(text).ok()).boxed()
}

fn identity() -> BoxedStrategy<Identity> {
    ("[!-~]{1,40}", "[0-9a-f]{40}", option::of("[0-9a-f]{40}"), any::<Option<u64>>())
        .prop_map(|(run_id, replid, replid2, second_offset)| Identity {
            run_id: RunId::new(run_id).unwrap(),
            replid: ReplId::new(replid).unwrap(),
            replid2: replid2.map(|id| ReplId::new(id).unwrap()),
            second_offset,
        })
        .boxed()
}

fn tenure() -> impl Strategy<Value = Tenure> {
    prop_oneof![Just(Tenure::Counted), Just(Tenure::Guest), Just(Tenure::Away)]
}

fn retirement() -> BoxedStrategy<Retirement> {
    use Retirement::{Away, Gone, Left, Moved, Replaced, Unconfirmed};
    prop_oneof![
        Just(Unconfirmed),
        Just(Left),
        Just(Away),
        Just(Gone),
        addr().prop_map(|to| Moved { to }),
        addr().prop_map(|by| Replaced { by })
    ]
    .boxed()
}

fn fence() -> BoxedStrategy<Fence> {
    (0_u32..5, any::<u32>()).prop_map(|(min_replicas, max_lag_s)| Fence { min_replicas, max_lag_s }).boxed()
}

fn id() -> BoxedStrategy<FailoverId> {
    (0_u64..4, any::<u64>()).prop_map(|(epoch, started)| FailoverId { epoch: Epoch(epoch), started: LogIndex(started) }).boxed()
}

fn ineligible() -> BoxedStrategy<Ineligible> {
    prop_oneof![
        Just(Ineligible::Down),
        Just(Ineligible::Restarted),
        "[0-9a-f]{40}".prop_map(|id| Ineligible::ForeignHistory { replid: ReplId::new(id).unwrap() }),
        any::<(u32, u32)>().prop_map(|(have, need)| Ineligible::TooFew { have, need }),
        (addr(), any::<u64>()).prop_map(|(ahead, behind_bytes)| Ineligible::Behind { ahead, behind_bytes }),
        text().prop_map(|why| Ineligible::Unarmable { why }),
        any::<(u64, u64)>().prop_map(|(link_down_ms, limit_ms)| Ineligible::StaleData { link_down_ms, limit_ms }),
    ]
    .boxed()
}

fn choice() -> BoxedStrategy<Choice> {
    let row = (addr(), any::<Option<u32>>(), any::<Option<u64>>(), any::<bool>(), option::of(ineligible())).prop_map(
        |(addr, priority, offset, detached, ineligible)| Candidate { addr, run_id: None, priority, offset, detached, ineligible },
    );
    let basis = prop_oneof![
        Just(FencingProof::Unfenced),
        Just(FencingProof::Gone),
        any::<u64>().prop_map(|offset| FencingProof::HandedOver { offset })
    ];
    let numbers = any::<(Option<u64>, Option<u64>)>();
    (addr(), vec(row, 0..5), basis, numbers, option::of(fence()))
        .prop_map(|(chosen, candidates, basis, numbers, arms)| Choice {
            chosen,
            candidates,
            reason: ChosenFor::Offset,
            master_offset: numbers.0,
            estimated_loss_bytes: numbers.1,
            basis,
            arms,
            by_hand: false,
        })
        .boxed()
}

fn sealed() -> BoxedStrategy<Sealed> {
    ("[0-9a-f]{16}", vec(any::<u8>(), 0..60)).prop_map(|(key, bytes)| Sealed::new(key, &bytes).unwrap()).boxed()
}

fn password() -> BoxedStrategy<StoredSecret> {
    prop_oneof![text().prop_map(StoredSecret::new), sealed().prop_map(StoredSecret::Sealed)].boxed()
}

fn webhook() -> BoxedStrategy<StoredWebhook> {
    let clear = Just(StoredWebhook::from(WebhookUrl::new("https://h/T?x=1").unwrap()));
    prop_oneof![clear, (text(), sealed()).prop_map(|(shown, url)| StoredWebhook::Sealed { shown, url })].boxed()
}

fn setting() -> BoxedStrategy<SettingChange> {
    prop_oneof![
        any::<u32>().prop_map(SettingChange::Quorum),
        any::<u64>().prop_map(SettingChange::DownAfterMs),
        any::<u64>().prop_map(SettingChange::ReplicaForgetAfterMs),
        any::<u32>().prop_map(SettingChange::FenceMaxLagS),
        any::<bool>().prop_map(SettingChange::ReplicasFixed),
        any::<u32>().prop_map(SettingChange::MaxReplicas),
        option::of(text()).prop_map(SettingChange::AuthUser),
        option::of(password()).prop_map(SettingChange::AuthPass),
        Just(SettingChange::PromotionPolicy(PromotionPolicy::Strict)),
        option::of(text()).prop_map(SettingChange::NotificationScript),
        option::of(text()).prop_map(SettingChange::ClientReconfigScript),
        option::of(webhook()).prop_map(SettingChange::NotificationWebhook),
        (text(), text()).prop_map(|(command, to)| SettingChange::RenameCommand { command, to }),
    ]
    .boxed()
}

fn settings() -> BoxedStrategy<GroupSettings> {
    vec(setting(), 0..6)
        .prop_map(|changes| {
            let mut settings = GroupSettings::default();
            changes.iter().for_each(|change| drop(settings.change(change)));
            settings
        })
        .boxed()
}

fn testimony() -> BoxedStrategy<DownEvidence> {
    let witness = (addr(), any::<bool>(), any::<Option<u64>>());
    (any::<u64>(), vec(witness, 0..3))
        .prop_map(|(silent_ms, replicas)| DownEvidence {
            evidence: Evidence::Refused,
            silent_ms,
            limit_ms: 1,
            replicas: replicas.into_iter().map(|(replica, link_up, last_io_s)| ReplicaLinkReport { replica, link_up, last_io_s }).collect(),
        })
        .boxed()
}

fn shadow() -> BoxedStrategy<ShadowEntry> {
    let word = prop_oneof![Just(StockWord::Down), text().prop_map(StockWord::Aborted), addr().prop_map(StockWord::Switched)];
    prop_oneof![
        any::<bool>().prop_map(|despite_stock| ShadowEntry::TakeOver { by: NodeId(1), despite_stock }),
        Just(ShadowEntry::StandDown { by: NodeId(1) }),
        (id(), choice()).prop_map(|(id, choice)| ShadowEntry::Decided { id, choice, by: NodeId(1) }),
        (id(), vec((addr(), ineligible()), 0..3)).prop_map(|(id, reasons)| ShadowEntry::Blocked { id, reasons }),
        (word, addr()).prop_map(|(word, from)| ShadowEntry::StockSaid { epoch: Epoch(0), word, from, by: NodeId(1) }),
        (addr(), identity()).prop_map(|(to, identity)| ShadowEntry::MasterMoved { epoch: Epoch(0), to, identity }),
    ]
    .boxed()
}

fn command() -> BoxedStrategy<Command> {
    let at = WallTime(7);
    let epoch = || (0_u64..3).prop_map(Epoch);
    let of_groups = prop_oneof![
        4 => (name(), addr(), settings(), vec(addr(), 0..4), epoch()).prop_map(move |(name, master, settings, replicas, epoch)| {
            Command::ConfigureGroup { name, master, settings, replicas, epoch, origin: Origin::Operator, at, takes_up: None, asked: None }
        }),
        2 => (name(), vec(setting(), 0..4)).prop_map(move |(group, changes)| Command::SetOptions { group, changes, at, asked: None }),
        1 => name().prop_map(move |group| Command::RemoveGroup { group, at, keep: None, asked: None }),
        1 => (name(), any::<u64>(), option::of(password()), option::of(webhook())).prop_map(move |(group, seen, auth_pass, webhook)| {
            Command::SecretsSealed { group, seen: LogIndex(seen), auth_pass, notification_webhook: webhook, at }
        }),
        1 => (name(), vec(addr(), 0..3)).prop_map(move |(group, down)| Command::ResetGroup { group, down, at, asked: None }),
        2 => (name(), epoch(), identity()).prop_map(move |(group, epoch, identity)| Command::MasterSeen { group, epoch, identity, at }),
        4 => (name(), epoch(), addr(), option::of(identity()), option::of(tenure()))
            .prop_map(move |(group, epoch, replica, identity, tenure)| Command::ReplicaSeen { group, epoch, replica, identity, tenure, at }),
        2 => (name(), epoch(), addr(), retirement(), 0_u32..3, 0_u32..4).prop_map(move |(group, epoch, replica, why, covered, replicas)| {
            Command::ReplicaRetired { group, epoch, replica, why, covered, replicas, at }
        }),
        1 => (name(), addr()).prop_map(move |(group, replica)| Command::ReplicaNamed { group, replica, adopts: None, at, asked: None }),
        1 => (name(), addr()).prop_map(move |(group, replica)| Command::ReplicaForgotten { group, replica, at, asked: None }),
        2 => (name(), epoch(), fence(), 0_u32..4)
            .prop_map(move |(group, epoch, fence, replicas)| Command::FenceArmed { group, epoch, fence, replicas, at }),
        3 => (name(), epoch(), 1_u64..4, testimony()).prop_map(move |(group, epoch, voter, testimony)| {
            Command::VoteDown { group, epoch, voter: NodeId(voter), testimony, at }
        }),
        2 => (name(), epoch(), option::of(addr())).prop_map(move |(group, epoch, target)| {
            Command::FailoverRequested { group, epoch, by: NodeId(1), manner: FailoverMode::Force, target, at, asked: None }
        }),
    ]
    .boxed();
    let of_failovers = prop_oneof![
        (name(), id(), choice()).prop_map(move |(group, id, choice)| Command::Promote { group, id, choice, by: NodeId(1), at }),
        (name(), id(), identity()).prop_map(move |(group, id, identity)| Command::Promoted { group, id, identity, at }),
        (name(), id(), addr()).prop_map(move |(group, id, replica)| Command::ReplicaFollows { group, id, replica, at }),
        (name(), id(), vec(addr(), 0..3)).prop_map(move |(group, id, left)| Command::FailoverDone { group, id, left, at }),
        (name(), id()).prop_map(move |(group, id)| Command::FailoverAborted { group, id, reason: AbortReason::NotDrained, at }),
        (name(), id(), vec((addr(), ineligible()), 0..4)).prop_map(move |(group, id, reasons)| Command::FailoverBlocked {
            group,
            id,
            reasons,
            at
        }),
        (name(), shadow()).prop_map(move |(group, entry)| Command::Shadow { group, entry, at, asked: None }),
    ]
    .boxed();
    let parameter = prop_oneof![
        any::<bool>().prop_map(ParameterChange::ResolveHostnames),
        option::of(text()).prop_map(ParameterChange::AnnounceIp),
        any::<u16>().prop_map(ParameterChange::AnnouncePort),
    ];
    let keys = option::of(vec("[0-9a-f]{16}", 0..3));
    let record = (addr(), addr(), addr(), any::<bool>(), keys).prop_map(|(resp, grpc, raft, shadow, key_ids)| SentinelRecord {
        level: key_ids.as_ref().map(|_| 1),
        sentinel_id: SentinelId::of_bytes([7; 20]),
        incarnation: Incarnation::of_bytes([7; 16]),
        resp,
        grpc,
        raft,
        shadow,
        key_ids,
    });
    let of_sentinels = prop_oneof![
        vec(parameter, 0..4).prop_map(move |changes| Command::SetParameters { sentinel: NodeId(1), changes, at, asked: None }),
        (any::<u64>(), record).prop_map(|(id, record)| Command::SentinelJoined { id: NodeId(id), record }),
        any::<u64>().prop_map(|id| Command::SentinelLeft { id: NodeId(id) }),
        (any::<u64>(), any::<u64>()).prop_map(move |(voter, silent_ms)| Command::VotesExpired { voter: NodeId(voter), silent_ms, at }),
    ]
    .boxed();
    let asker = (text(), text(), text(), any::<u64>(), option::of(text())).prop_map(|(user, from, port, sentinel, words)| {
        let asker = Asker::new(&user, &from, &port, NodeId(sentinel));
        words.map_or(asker.clone(), |words| asker.saying(&words))
    });
    let command = prop_oneof![4 => of_groups, 2 => of_failovers, 1 => of_sentinels];
    (command, option::of(asker)).prop_map(|(command, asker)| asker.map_or(command.clone(), |asker| command.asked_by(asker))).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn commands_outcomes_and_states_are_read_back_as_what_they_were(commands in vec(command(), 1..40)) {
        let mut state = State::default();
        state.apply_membership(LogIndex(1), BTreeSet::from([NodeId(1), NodeId(2), NodeId(3)]));
        for (place, command) in commands.iter().enumerate() {
            let index = place as u64 + 2;
            prop_assert!(check_readable(command).is_ok(), "{command:?} is not proposed");
            let entry = Entry { log_id: log_id(1, index), payload: EntryPayload::Normal(command.clone()) };
            let kept: Entry = decode(&encode(&entry).unwrap()).unwrap();
            prop_assert_eq!(format!("{:?}", kept), format!("{:?}", entry));
            let EntryPayload::Normal(read) = kept.payload else { panic!("another payload") };
            let mut same = state.clone();
            let (outcome, _) = state.apply(LogIndex(index), command);
            prop_assert_eq!(&same.apply(LogIndex(index), &read).0, &outcome);
            prop_assert_eq!(&same, &state);
            let told: Outcome = serde_json::from_slice(&serde_json::to_vec(&outcome).unwrap()).unwrap();
            prop_assert_eq!(told, outcome);
        }
        let kept: State = decode(&encode(&state).unwrap()).unwrap();
        prop_assert_eq!(kept, state);
    }
}

/// As release 0.1 wrote it for a replica that announced `[`: to release 0.1 itself this was damage.
#[test]
fn an_entry_with_what_is_no_address_is_read_and_what_is_read_can_be_kept() {
    let command = serde_json::json!({ "replica-seen": { "group": "m", "epoch": 0, "replica": "[:33150", "identity": null, "at": 7 } });
    let entry = serde_json::json!({ "log_id": log_id(1, 2), "payload": { "Normal": command } });
    let kept: Entry = decode(&encode(&entry).unwrap()).expect("it is read");
    let EntryPayload::Normal(command) = kept.payload else { panic!("another payload") };
    assert!(check_readable(&command).is_ok());
    let mut state = State::default();
    let name = GroupName::new("m").unwrap();
    let configure = Command::ConfigureGroup {
        name: name.clone(),
        master: Addr::new("10.0.0.1", 6379).unwrap(),
        settings: GroupSettings::default(),
        replicas: vec![],
        epoch: Epoch(0),
        origin: Origin::Operator,
        at: WallTime(1),
        takes_up: None,
        asked: None,
    };
    state.apply(LogIndex(1), &configure);
    assert_eq!(state.apply(LogIndex(2), &command).0, Outcome::Done);
    let read: State = decode(&encode(&state).unwrap()).unwrap();
    assert_eq!(read, state);
    let replicas: BTreeMap<&str, bool> = read.groups[&name].replicas.keys().map(|addr| (addr.host(), addr.is_opaque())).collect();
    assert_eq!(replicas, BTreeMap::from([("?", true)]));
}

//! Random entries in random order: the invariants hold, refusals change nothing, and the state survives being written down.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use raft_sentinel::base::settings::{PromotionPolicy, SettingChange};
use raft_sentinel::base::{Addr, Epoch, Fence, GroupName, GroupSettings, LogIndex, NodeId, ReplId, RunId, WallTime};
use raft_sentinel::machine::ChosenFor;
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{
    AbortReason, Candidate, Choice, Command, DownEvidence, Event, Evidence, FailoverId, FailoverMode, FencingProof, Identity, Keep,
    Outcome, Removed, ShadowEntry, State, StockWord, invariants,
};

/// What to do next, in terms that make sense in any state.
#[derive(Clone, Debug)]
enum Move {
    Monitor { origin: bool, quorum: u32 },
    Remove,
    Replica { node: u8 },
    Vote { voter: u64, down: bool, epoch_shift: u64 },
    Expire { voter: u64 },
    Request { manner: FailoverMode, target: Option<u8> },
    Policy(PromotionPolicy),
    Arm { min: u32, off_by: u32 },
    Loosen { min: u32 },
    Cover { covered: u32 },
    DropFence,
    Promote { node: u8, old_attempt: bool, detached: u8 },
    Promoted { old_attempt: bool },
    Follows { node: u8 },
    Finish,
    Abort,
    Forget { node: u8 },
    Reset { node: u8 },
    Voters { bits: u8 },
    Blank,
    TakeOver { despite_stock: bool },
    StandDown,
    Verdict { node: u8 },
    StockSays { word: StockWord, epoch_shift: u64 },
    Moved { node: u8, epoch_shift: u64 },
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        1 => (any::<bool>(), 0_u32..4).prop_map(|(origin, quorum)| Move::Monitor { origin, quorum }),
        1 => Just(Move::Remove),
        6 => (0_u8..4).prop_map(|node| Move::Replica { node }),
        12 => (1_u64..5, any::<bool>(), 0_u64..3).prop_map(|(voter, down, epoch_shift)| Move::Vote { voter, down, epoch_shift }),
        2 => (1_u64..5).prop_map(|voter| Move::Expire { voter }),
        2 => (manners(), proptest::option::of(0_u8..4)).prop_map(|(manner, target)| Move::Request { manner, target }),
        2 => policies().prop_map(Move::Policy),
        4 => (0_u32..4, 0_u32..2).prop_map(|(min, off_by)| Move::Arm { min, off_by }),
        1 => (0_u32..3).prop_map(|min| Move::Loosen { min }),
        2 => (0_u32..4).prop_map(|covered| Move::Cover { covered }),
        1 => Just(Move::DropFence),
        8 => (0_u8..4, any::<bool>(), 0_u8..4)
            .prop_map(|(node, old_attempt, detached)| Move::Promote { node, old_attempt, detached }),
        6 => any::<bool>().prop_map(|old_attempt| Move::Promoted { old_attempt }),
        3 => (0_u8..4).prop_map(|node| Move::Follows { node }),
        3 => Just(Move::Finish),
        1 => Just(Move::Abort),
        1 => (0_u8..4).prop_map(|node| Move::Forget { node }),
        1 => (0_u8..4).prop_map(|node| Move::Reset { node }),
        1 => any::<u8>().prop_map(|bits| Move::Voters { bits }),
        1 => Just(Move::Blank),
        1 => any::<bool>().prop_map(|despite_stock| Move::TakeOver { despite_stock }),
        2 => Just(Move::StandDown),
        4 => (0_u8..4).prop_map(|node| Move::Verdict { node }),
        6 => (words(), 0_u64..2).prop_map(|(word, epoch_shift)| Move::StockSays { word, epoch_shift }),
        4 => (0_u8..4, 0_u64..2).prop_map(|(node, epoch_shift)| Move::Moved { node, epoch_shift }),
    ]
}

fn words() -> impl Strategy<Value = StockWord> {
    prop_oneof![
        Just(StockWord::Down),
        Just(StockWord::Up),
        Just(StockWord::Tried),
        Just(StockWord::Aborted("-failover-abort-not-elected".to_owned())),
        (0_u8..4).prop_map(|number| StockWord::Chosen(node(number))),
        (0_u8..4).prop_map(|number| StockWord::Switched(node(number))),
    ]
}

fn choice(number: u8) -> Choice {
    let row = Candidate { addr: node(number), run_id: None, priority: Some(1), offset: Some(1), detached: false, ineligible: None };
    Choice {
        chosen: node(number),
        candidates: vec![row],
        reason: ChosenFor::OnlyCandidate,
        master_offset: None,
        estimated_loss_bytes: None,
        basis: FencingProof::Unfenced,
        arms: None,
        by_hand: false,
    }
}

fn manners() -> impl Strategy<Value = FailoverMode> {
    prop_oneof![Just(FailoverMode::Plain), Just(FailoverMode::Coordinated), Just(FailoverMode::Force)]
}

fn policies() -> impl Strategy<Value = PromotionPolicy> {
    prop_oneof![Just(PromotionPolicy::Auto), Just(PromotionPolicy::Strict), Just(PromotionPolicy::Available)]
}

fn node(number: u8) -> Addr {
    Addr::new(format!("node-{number}"), 6379).expect("an address")
}

fn shadow(group: GroupName, entry: ShadowEntry, at: WallTime) -> Command {
    Command::Shadow { group, entry, at, asked: None }
}

/// Applies one move; returns what came of it.
fn make(state: &mut State, index: LogIndex, step: &Move, attempts: &mut Vec<FailoverId>) -> (Outcome, Vec<Event>) {
    let group = GroupName::new("m").expect("a name");
    let at = WallTime(index.0);
    let known = state.groups.get(&group).cloned();
    let epoch = known.as_ref().map_or(Epoch(0), |group| group.epoch);
    let running = known.as_ref().and_then(|group| group.failover.as_ref()).map(|failover| failover.id);
    attempts.extend(running.filter(|id| attempts.last() != Some(id)));
    let id = |old: bool| {
        let pick = if old { attempts.first() } else { attempts.last() };
        pick.copied().unwrap_or(FailoverId { epoch: Epoch(1), started: LogIndex(0) })
    };
    let identity =
        Identity { run_id: RunId::new("r").expect("an id"), replid: ReplId::new("h").expect("an id"), replid2: None, second_offset: None };
    let command = match step.clone() {
        Move::Voters { bits } => {
            let voters: BTreeSet<NodeId> = (1..5).filter(|id| bits & (1 << id) != 0).map(NodeId).collect();
            let events = state.apply_membership(index, voters);
            return (Outcome::Done, events.into_iter().map(|logged| logged.event).collect());
        }
        Move::Blank => {
            state.apply_blank(index);
            return (Outcome::Unchanged, vec![]);
        }
        Move::Monitor { origin, quorum } => Command::ConfigureGroup {
            takes_up: state.removed.get(&group).map(Removed::entry),
            name: group,
            master: node(0),
            settings: GroupSettings { quorum, ..GroupSettings::default() },
            replicas: vec![],
            epoch: Epoch(0),
            origin: if origin { Origin::Operator } else { Origin::File },
            at,
            asked: None,
        },
        Move::Remove => {
            let settings = known.as_ref().map(|group| (group.settings.promotion_policy, group.fence));
            let keep = settings.map(|(policy, fence)| Keep { policy, fence, down: vec![node(1)] });
            Command::RemoveGroup { group, at, keep, asked: None }
        }
        Move::Replica { node: number } => {
            Command::ReplicaSeen { group, epoch, replica: node(number), identity: Some(identity), tenure: None, at }
        }
        Move::Vote { voter, down, epoch_shift } => {
            let (voter, epoch) = (NodeId(voter), Epoch((epoch.0 + epoch_shift).saturating_sub(epoch_shift / 2)));
            let testimony = DownEvidence { evidence: Evidence::Silent, silent_ms: 1, limit_ms: 1, replicas: vec![] };
            if down { Command::VoteDown { group, epoch, voter, testimony, at } } else { Command::VoteUp { group, epoch, voter, at } }
        }
        Move::Expire { voter } => Command::VotesExpired { voter: NodeId(voter), silent_ms: 1, at },
        Move::Request { manner, target } => {
            Command::FailoverRequested { group, epoch, by: NodeId(1), manner, target: target.map(node), at, asked: None }
        }
        Move::Policy(policy) => Command::SetOptions { group, changes: vec![SettingChange::PromotionPolicy(policy)], at, asked: None },
        Move::Arm { min, off_by } => {
            let replicas = known.as_ref().map_or(0, |group| group.known_replicas()) + off_by;
            Command::FenceArmed { group, epoch, fence: Fence { min_replicas: min, max_lag_s: 2 }, replicas, at }
        }
        Move::Loosen { min } => Command::FenceLoosened { group, epoch, held: Fence { min_replicas: min, max_lag_s: 3 }, at },
        Move::Cover { covered } => {
            let replicas = known.as_ref().map_or(0, |group| group.known_replicas());
            Command::FenceCovered { group, epoch, covered, replicas, at }
        }
        Move::DropFence => Command::FenceDropped { group, epoch, at },
        Move::Promote { node: number, old_attempt, detached } => {
            let row = |number, detached| Candidate {
                addr: node(number),
                run_id: None,
                priority: Some(1),
                offset: Some(1),
                detached,
                ineligible: None,
            };
            let others = (0_u8..4).filter(|other| *other != number).take(usize::from(detached)).map(|other| row(other, true));
            let choice = Choice {
                chosen: node(number),
                candidates: std::iter::once(row(number, detached > 0)).chain(others).collect(),
                reason: ChosenFor::OnlyCandidate,
                master_offset: None,
                estimated_loss_bytes: None,
                basis: FencingProof::LagWindow,
                arms: known.as_ref().and_then(|group| group.promotion_fence()),
                by_hand: false,
            };
            Command::Promote { group, id: id(old_attempt), choice, by: NodeId(1), at }
        }
        Move::Promoted { old_attempt } => Command::Promoted { group, id: id(old_attempt), identity, at },
        Move::Follows { node: number } => Command::ReplicaFollows { group, id: id(false), replica: node(number), at },
        Move::Finish => Command::FailoverDone { group, id: id(false), left: vec![], at },
        Move::Abort => Command::FailoverAborted { group, id: id(false), reason: AbortReason::NoGoodReplica, at },
        Move::Forget { node: number } => Command::ReplicaForgotten { group, replica: node(number), at, asked: None },
        Move::TakeOver { despite_stock } => shadow(group, ShadowEntry::TakeOver { by: NodeId(1), despite_stock }, at),
        Move::StandDown => shadow(group, ShadowEntry::StandDown { by: NodeId(1) }, at),
        Move::Verdict { node } => shadow(group, ShadowEntry::Decided { id: id(false), choice: choice(node), by: NodeId(1) }, at),
        Move::StockSays { word, epoch_shift } => {
            let epoch = Epoch(epoch.0.saturating_sub(epoch_shift));
            shadow(group, ShadowEntry::StockSaid { epoch, word, from: node(9), by: NodeId(1) }, at)
        }
        Move::Moved { node: number, epoch_shift } => {
            let epoch = Epoch(epoch.0.saturating_sub(epoch_shift));
            shadow(group, ShadowEntry::MasterMoved { epoch, to: node(number), identity }, at)
        }
        Move::Reset { node: number } => Command::ResetGroup { group, down: vec![node(number)], at, asked: None },
    };
    let written = serde_json::to_string(&command).expect("a command can be written down");
    let read: Command = serde_json::from_str(&written).expect("and read");
    assert_eq!(read, command);
    let (outcome, events) = state.apply(index, &read);
    (outcome, events.into_iter().map(|logged| logged.event).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn invariants_hold_after_every_entry(steps in proptest::collection::vec(moves(), 1..120)) {
        let mut state = State::default();
        let mut attempts = Vec::new();
        let first = [Move::Voters { bits: 0b1110 }, Move::Monitor { origin: true, quorum: 2 }, Move::Replica { node: 1 }, Move::Replica { node: 2 }];
        let mut announced: Option<Addr> = None;
        for (place, step) in first.iter().chain(&steps).enumerate() {
            let before = state.clone();
            let index = LogIndex(place as u64 + 1);
            let (outcome, events) = make(&mut state, index, step, &mut attempts);
            if let Err(violation) = invariants::check_step(&before, &state) {
                panic!("{violation} after {step:?}");
            }
            if let Outcome::Refused(_) = outcome {
                prop_assert_eq!(&State { applied: before.applied, ..state.clone() }, &before);
                prop_assert!(events.is_empty());
            }
            // Clients are told of each change once, and never of one that is none.
            for event in events {
                match event {
                    Event::GroupAdded { master, .. } => announced = Some(master),
                    Event::GroupRemoved { .. } => announced = None,
                    Event::SwitchMaster { from, to, .. } => {
                        prop_assert_eq!(announced.as_ref(), Some(&from));
                        prop_assert_ne!(&from, &to);
                        announced = Some(to);
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(state.groups.values().next().map(|group| group.announced.clone()), announced.clone());
        }
        let written = serde_json::to_string(&state).expect("a state can be written down");
        let read: State = serde_json::from_str(&written).expect("and read");
        prop_assert_eq!(read, state);
    }
}

#[test]
fn a_copy_of_the_state_does_not_change_with_it() {
    let mut state = State::default();
    let mut attempts = Vec::new();
    make(&mut state, LogIndex(1), &Move::Monitor { origin: true, quorum: 2 }, &mut attempts);
    let copy = state.clone();
    let group = Arc::clone(state.groups.values().next().expect("a group"));
    make(&mut state, LogIndex(2), &Move::Replica { node: 1 }, &mut attempts);
    assert!(group.replicas.is_empty() && copy.groups.values().all(|group| group.replicas.is_empty()));
}

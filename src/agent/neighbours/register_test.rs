use super::register::{News, Register};
use crate::base::{Addr, Epoch, GroupName, GroupSettings, Hello, Incarnation, LogIndex, Mono, NoChannel, NodeId, SentinelId, WallTime};
use crate::machine::command::Origin;
use crate::machine::{Command, SentinelRecord, State};

fn group() -> GroupName {
    GroupName::new("mymaster").expect("it is a name")
}

fn at(port: u16) -> Addr {
    Addr::new("127.0.0.1", port)
}

fn id(digit: u8) -> SentinelId {
    SentinelId::new(format!("{digit:040}"))
}

fn joined(state: &mut State, digit: u8) {
    let record = SentinelRecord {
        sentinel_id: id(digit),
        incarnation: Incarnation::new("i"),
        resp: at(26379),
        grpc: at(28379),
        raft: at(27379),
        shadow: false,
    };
    let index = LogIndex(state.applied.0 + 1);
    state.apply(index, &Command::SentinelJoined { id: NodeId(digit.into()), record });
}

/// Sentinel 1 is ours; the master listens on 6379, its replica on 6380.
fn state() -> State {
    let mut state = State::default();
    joined(&mut state, 1);
    let command = Command::ConfigureGroup {
        name: group(),
        master: at(6379),
        settings: GroupSettings::default(),
        replicas: vec![at(6380)],
        epoch: Epoch(0),
        origin: Origin::Operator,
        at: WallTime::default(),
        asked: None,
    };
    let index = LogIndex(state.applied.0 + 1);
    state.apply(index, &command);
    state
}

fn hello(digit: u8, name: &str, master: u16) -> Hello {
    Hello { sender: at(26380), sentinel: id(digit), current_epoch: Epoch(9), group: name.to_owned(), master: at(master), epoch: Epoch(9) }
}

fn came(news: &[News]) -> bool {
    matches!(news, [News::Came(..)])
}

fn believed(register: &Register) -> usize {
    register.shown().get(&group()).map_or(0, |neighbours| neighbours.foreign.len())
}

#[test]
fn a_stranger_is_believed_when_heard_again_told_of_once_a_minute_and_forgotten_when_silent() {
    let (state, mut register) = (state(), Register::default());
    let mut hear = |ms| register.hear(Some(&group()), &hello(7, "theirs", 1), &state, Mono::from_ms(ms));
    assert_eq!(hear(0), []);
    assert_eq!(hear(999), []);
    assert!(came(&hear(1000)));
    assert_eq!(hear(3000), []);
    assert!(matches!(hear(61_000)[..], [News::Stays(..)]));
    assert_eq!(believed(&register), 1);
    assert_eq!(register.tidy(&state, Mono::from_ms(75_999)), []);
    assert!(matches!(register.tidy(&state, Mono::from_ms(76_000))[..], [News::Went(..)]));
    assert_eq!(believed(&register), 0);
}

#[test]
fn sentinels_of_this_cluster_are_no_strangers_nor_is_one_that_joins_late() {
    let (mut state, mut register) = (state(), Register::default());
    for ms in [0, 5000] {
        assert_eq!(register.hear(Some(&group()), &hello(1, "mymaster", 6379), &state, Mono::from_ms(ms)), []);
    }
    assert_eq!(register.hear(Some(&group()), &hello(2, "mymaster", 6379), &state, Mono::from_ms(0)), []);
    joined(&mut state, 2);
    assert_eq!(register.hear(Some(&group()), &hello(2, "mymaster", 6379), &state, Mono::from_ms(2000)), []);
    assert_eq!(register.tidy(&state, Mono::from_ms(2000)), [], "what was never told of is never taken back");
}

#[test]
fn a_hello_on_our_own_port_concerns_the_groups_that_it_speaks_of() {
    let state = state();
    for (name, master, concerns) in [("mymaster", 1, true), ("theirs", 6379, true), ("theirs", 6380, true), ("theirs", 1, false)] {
        let mut register = Register::default();
        register.hear(None, &hello(7, name, master), &state, Mono::from_ms(0));
        assert_eq!(came(&register.hear(None, &hello(7, name, master), &state, Mono::from_ms(1000))), concerns, "{name} at {master}");
    }
}

#[test]
fn made_up_ids_take_a_bounded_place_and_do_not_crowd_out_real_ones() {
    let (state, mut register) = (state(), Register::default());
    for ms in [0, 1000] {
        register.hear(Some(&group()), &hello(255, "mymaster", 6379), &state, Mono::from_ms(ms));
    }
    for digit in 2..200 {
        assert_eq!(register.hear(Some(&group()), &hello(digit, "mymaster", 6379), &state, Mono::from_ms(2000)), []);
    }
    assert_eq!(believed(&register), 1);
    let later: Vec<bool> =
        (2..200).map(|digit| came(&register.hear(Some(&group()), &hello(digit, "x", 1), &state, Mono::from_ms(3000)))).collect();
    assert!(later.iter().filter(|came| **came).count() < 64);
    assert!(believed(&register) <= 64);
}

#[test]
fn a_refused_channel_is_shown_at_once_a_lost_one_after_a_while() {
    let (state, mut register) = (state(), Register::default());
    let trouble = |refused| Err(NoChannel { refused, why: "x".to_owned() });
    register.note_ears(&group(), &at(6379), trouble(false), Mono::from_ms(0));
    register.note_ears(&group(), &at(6380), trouble(true), Mono::from_ms(0));
    register.note_ears(&group(), &at(9), trouble(true), Mono::from_ms(0));
    register.tidy(&state, Mono::from_ms(0));
    let deaf =
        |register: &Register, port, ms| register.shown().get(&group()).is_some_and(|shown| shown.is_deaf_to(&at(port), Mono::from_ms(ms)));
    assert!(!deaf(&register, 6379, 4000) && deaf(&register, 6379, 6000));
    assert!(deaf(&register, 6380, 0));
    assert!(!deaf(&register, 9, 6000), "it is no data node of the group");
    register.note_ears(&group(), &at(6379), trouble(false), Mono::from_ms(5000));
    assert!(deaf(&register, 6379, 6000), "another failed attempt is no fresh start");
    register.note_ears(&group(), &at(6379), Ok(()), Mono::from_ms(6000));
    assert!(!deaf(&register, 6379, 20_000));
}

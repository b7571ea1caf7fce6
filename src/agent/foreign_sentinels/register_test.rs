use std::sync::Arc;

use super::call::AnswerProof;
use super::register::{News, Register};
use crate::base::{
    Addr, Epoch, ForeignPlaces, GroupName, GroupSettings, Hello, Incarnation, LogIndex, Mono, NoChannel, NodeId, SentinelId, WallTime,
};
use crate::machine::command::Origin;
use crate::machine::{Command, SentinelRecord, State};

fn group() -> GroupName {
    GroupName::new("mymaster").expect("it is a name")
}

fn at(port: u16) -> Addr {
    Addr::new("127.0.0.1", port).expect("an address")
}

fn id(digit: u8) -> SentinelId {
    SentinelId::new(format!("{digit:040}")).expect("an id")
}

fn joined(state: &mut State, digit: u8) {
    let record = SentinelRecord {
        sentinel_id: id(digit),
        incarnation: Incarnation::new("i").expect("an id"),
        resp: at(26379),
        grpc: at(28379),
        raft: at(27379),
        shadow: false,
        key_ids: None,
        level: None,
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
        takes_up: None,
        asked: None,
    };
    let index = LogIndex(state.applied.0 + 1);
    state.apply(index, &command);
    state
}

fn hello_from(sender: Addr, digit: u8) -> Hello {
    Hello { sender, sentinel: id(digit), current_epoch: Epoch(9), group: "theirs".to_owned(), master: at(1), epoch: Epoch(9) }
}

fn hello(digit: u8) -> Hello {
    hello_from(at(26380), digit)
}

/// A register, a state, and the answer to every call.
struct HelloObservation {
    register: Register,
    state: State,
    proof: AnswerProof,
    calls: usize,
}

impl HelloObservation {
    fn with(proof: AnswerProof) -> Self {
        Self { register: Register::default(), state: state(), proof, calls: 0 }
    }

    /// Hears it on the master, makes the calls that are due, and says what came of all that.
    fn hear(&mut self, hello: &Hello, ms: u64) -> Vec<News> {
        let now = Mono::from_ms(ms);
        let mut news: Vec<News> = self.register.hear(&group(), &at(6379), hello, &self.state, now).into_iter().collect();
        for (addr, named) in self.register.due_calls(now) {
            self.calls += 1;
            let proofs = named.into_iter().map(|(named, _, _)| (named, self.proof.clone())).collect();
            news.extend(self.register.answered(&addr, proofs, now));
        }
        news.extend(self.register.tidy(&self.state, now));
        news.retain(|news| !matches!(news, News::Unproven { .. }));
        news
    }

    fn believed(&self) -> usize {
        self.register.shown().get(&group()).map_or(0, |neighbours| neighbours.foreign.len())
    }
}

fn came(news: &[News]) -> bool {
    matches!(news, [News::Came(..)])
}

#[test]
fn a_stranger_is_believed_when_proved_and_heard_again_told_of_once_a_minute_and_forgotten_when_silent() {
    let mut heard = HelloObservation::with(AnswerProof::Watches);
    assert_eq!(heard.hear(&hello(7), 0), []);
    assert_eq!(heard.hear(&hello(7), 999), []);
    assert!(came(&heard.hear(&hello(7), 1000)));
    for second in 2..61 {
        assert_eq!(heard.hear(&hello(7), second * 1000), []);
    }
    assert!(matches!(heard.hear(&hello(7), 61_000)[..], [News::Stays(..)]));
    assert_eq!(heard.believed(), 1);
    let mut tidy = |ms| heard.register.tidy(&heard.state, Mono::from_ms(ms));
    assert_eq!(tidy(75_999), []);
    assert!(matches!(tidy(76_000)[..], [News::Went(..)]));
    assert_eq!(heard.believed(), 0);
}

#[test]
fn hellos_alone_prove_nothing_however_many_there_are() {
    for proof in [AnswerProof::Silent("refuses connections".into()), AnswerProof::Refuted("is no sentinel".into())] {
        let mut heard = HelloObservation::with(proof);
        for ms in (0..120_000).step_by(100) {
            assert_eq!(heard.hear(&hello(7), ms), []);
        }
        assert_eq!(heard.believed(), 0);
        assert!(heard.calls < 10, "{} calls", heard.calls);
    }
}

#[test]
fn who_no_longer_proves_it_is_no_longer_believed_whatever_is_said_in_its_name() {
    let mut heard = HelloObservation::with(AnswerProof::Watches);
    heard.hear(&hello(7), 0);
    assert!(came(&heard.hear(&hello(7), 2000)));
    heard.proof = AnswerProof::Silent("refuses connections".into());
    let gone = (3..60).find(|second| matches!(heard.hear(&hello(7), second * 1000)[..], [News::Went(..)]));
    assert_eq!(gone, Some(20), "proved at 0, and never again");
    heard.proof = AnswerProof::Watches;
    let back = (21..200).find(|second| came(&heard.hear(&hello(7), second * 1000)));
    assert!(back.is_some_and(|second| second < 90), "{back:?}");
    heard.proof = AnswerProof::Refuted("watches another master".into());
    let gone = (back.unwrap_or(0) + 1..300).find(|second| matches!(heard.hear(&hello(7), second * 1000)[..], [News::Went(..)]));
    assert!(gone.zip(back).is_some_and(|(gone, back)| gone - back <= 6), "an answer that says otherwise counts at once: {gone:?} {back:?}");
}

#[test]
fn what_is_said_in_the_name_of_one_that_is_proved_moves_it_nowhere() {
    let mut heard = HelloObservation::with(AnswerProof::Watches);
    heard.hear(&hello(7), 0);
    heard.hear(&hello(7), 2000);
    let forged = hello_from(Addr::new("127.0.0.1", 1).expect("an address"), 7);
    for second in 3..40 {
        heard.hear(&hello(7), second * 1000);
        assert_eq!(heard.hear(&forged, second * 1000 + 500), []);
    }
    let shown = heard.register.shown();
    let foreign = shown.get(&group()).and_then(|neighbours| neighbours.foreign.get(&id(7)));
    assert_eq!(foreign.map(|foreign| foreign.hello.sender.clone()), Some(at(26380)));
}

#[test]
fn one_that_wants_a_password_is_believed_and_told_so() {
    let mut heard = HelloObservation::with(AnswerProof::Locked);
    heard.hear(&hello(7), 0);
    let news = heard.hear(&hello(7), 2000);
    assert!(matches!(&news[..], [News::Came(_, foreign)] if foreign.locked), "{news:?}");
}

#[test]
fn a_member_under_another_id_is_no_stranger_whatever_a_call_would_prove() {
    let mut heard = HelloObservation::with(AnswerProof::Locked);
    let spelled = |host: &str| hello_from(Addr::new(host, 26379).expect("an address"), 7);
    for ms in [0, 2000, 4000] {
        for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert_eq!(heard.hear(&spelled(host), ms), []);
        }
    }
    assert_eq!((heard.calls, heard.believed()), (0, 0));
}

#[test]
fn an_address_that_the_file_does_not_let_a_hello_name_is_not_called() {
    let listed = ForeignPlaces { listed: Some(Vec::new()), ..ForeignPlaces::default() };
    let mut heard = HelloObservation { register: Register::new(Arc::new(listed)), ..HelloObservation::with(AnswerProof::Watches) };
    let mut elsewhere = HelloObservation::with(AnswerProof::Watches);
    for ms in [0, 2000, 4000] {
        heard.hear(&hello(7), ms);
        elsewhere.hear(&hello_from(Addr::new("169.254.169.254", 80).expect("an address"), 7), ms);
    }
    assert_eq!((heard.calls, heard.believed(), elsewhere.calls, elsewhere.believed()), (0, 0, 0, 0));
}

#[test]
fn sentinels_of_this_cluster_are_no_strangers_nor_is_one_that_joins_late() {
    let mut heard = HelloObservation::with(AnswerProof::Watches);
    for ms in [0, 5000] {
        assert_eq!(heard.hear(&hello(1), ms), []);
    }
    assert_eq!(heard.hear(&hello(2), 0), []);
    joined(&mut heard.state, 2);
    assert_eq!(heard.hear(&hello(2), 2000), [], "what was never told of is never taken back");
}

#[test]
fn made_up_ids_take_a_bounded_place_and_do_not_crowd_out_real_ones() {
    let mut heard = HelloObservation::with(AnswerProof::Watches);
    heard.hear(&hello(255), 0);
    heard.hear(&hello(255), 1000);
    heard.proof = AnswerProof::Silent("refuses connections".into());
    for digit in 2..200 {
        assert_eq!(heard.hear(&hello(digit), 2000), []);
    }
    assert_eq!(heard.believed(), 1);
    let later: usize = (2..200).map(|digit| usize::from(came(&heard.hear(&hello(digit), 3000)))).sum();
    assert_eq!((later, heard.believed()), (0, 1));
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

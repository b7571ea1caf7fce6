//! The checks on histories made by hand, where it is plain what they must say.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::answers::{Reign, check};
use crate::clients::Ack;
use crate::readers::Answer;
use crate::verdict::{Decided, Story, check_epochs};

const A: u16 = 1;
const B: u16 = 2;

struct Clock(Instant);

impl Clock {
    fn at(&self, ms: u64) -> Instant {
        self.0 + Duration::from_millis(ms)
    }

    fn reign(&self, epoch: u64, port: u16, decided_ms: u64) -> Reign {
        Reign { epoch, port, decided: (epoch > 0).then(|| self.at(decided_ms)) }
    }

    fn answer(&self, reader: usize, (from, to): (u64, u64), port: u16, epoch: Option<u64>) -> Answer {
        Answer { reader, asked: self.at(from), answered: self.at(to), port, epoch }
    }

    fn ack(&self, port: u16, (from, to): (u64, u64)) -> Ack {
        Ack { client: usize::from(port), number: from, port, sent: self.at(from), acked: self.at(to), confirmed: false }
    }

    /// Master A until B is decided on at 100; faults from 50 to 500.
    fn story(&self, acks: Vec<Ack>, suspended: Vec<(u16, Instant, Instant)>) -> Story {
        let reigns = vec![self.reign(0, A, 0), self.reign(1, B, 100)];
        let followers = BTreeSet::from([usize::from(A), usize::from(B)]);
        Story { reigns, acks, followers, faults: vec![(self.at(50), self.at(500))], suspended }
    }
}

fn clock() -> Clock {
    Clock(Instant::now())
}

#[test]
fn answers_that_change_once_fit() {
    let clock = clock();
    let reigns = [clock.reign(0, A, 0), clock.reign(1, B, 100)];
    // While one is being answered by a sentinel that knows, another one may still hear the old master.
    let answers = [
        clock.answer(0, (10, 20), A, None),
        clock.answer(0, (110, 130), B, None),
        clock.answer(1, (115, 140), A, None),
        clock.answer(1, (150, 160), B, Some(1)),
    ];
    assert!(check(&reigns, &answers).is_ok());
}

#[test]
fn an_answer_older_than_one_that_was_complete_does_not_fit() {
    let clock = clock();
    let reigns = [clock.reign(0, A, 0), clock.reign(1, B, 100)];
    let mut answers = vec![
        clock.answer(0, (10, 20), A, None),
        clock.answer(0, (110, 130), B, None),
        clock.answer(1, (131, 140), A, None),
        clock.answer(2, (200, 210), B, None),
    ];
    let misfit = check(&reigns, &answers).expect_err("reader 1 heard what had been overtaken");
    assert_eq!((misfit.answer.reader, misfit.answer.port, misfit.of), (1, A, 4));
    answers.remove(2);
    assert!(check(&reigns, &answers).is_ok());
}

#[test]
fn an_answer_before_the_decision_does_not_fit() {
    let clock = clock();
    let reigns = [clock.reign(0, A, 0), clock.reign(1, B, 100)];
    assert!(check(&reigns, &[clock.answer(0, (80, 99), B, None)]).is_err());
    assert!(check(&reigns, &[clock.answer(0, (80, 101), B, None)]).is_ok());
}

#[test]
fn a_server_that_is_master_again_is_another_master() {
    let clock = clock();
    let reigns = [clock.reign(0, A, 0), clock.reign(1, B, 100), clock.reign(2, A, 200)];
    let seen = clock.answer(0, (110, 130), B, Some(1));
    assert!(check(&reigns, &[seen, clock.answer(1, (210, 220), A, Some(2))]).is_ok());
    assert!(check(&reigns, &[seen, clock.answer(1, (210, 220), A, Some(0))]).is_err(), "an answer of the first epoch is stale");
    assert!(check(&reigns, &[seen, clock.answer(1, (150, 160), A, None)]).is_err(), "and so is this one, whatever it meant");
}

/// Epochs without a gap: the register does not go from 0 to 2.
#[test]
fn a_missing_decision_does_not_fit() {
    let clock = clock();
    let reigns = [clock.reign(0, A, 0), clock.reign(2, B, 100)];
    assert!(check(&reigns, &[clock.answer(0, (110, 130), B, None)]).is_err());
}

#[test]
fn epochs_are_one_sequence_for_all() {
    let clock = clock();
    let decided = |epoch, port, revision| Decided { reign: clock.reign(epoch, port, 0), revision, at_us: revision };
    let history = vec![decided(1, B, 10), decided(2, A, 20)];
    assert!(check_epochs(&[history.clone(), history.clone()], A).is_ok());
    assert!(check_epochs(&[history.clone(), history.clone()], B).is_err(), "it leads elsewhere");
    assert!(check_epochs(&[history, vec![decided(1, B, 10)]], A).is_err(), "one lacks a decision");
    assert!(check_epochs(&[vec![decided(1, B, 10), decided(3, A, 20)]], A).is_err(), "a gap");
    assert!(check_epochs(&[vec![decided(1, B, 20), decided(2, A, 10)]], A).is_err(), "the log says another order");
}

#[test]
fn a_write_on_the_old_master_strays_after_the_first_one_on_the_new() {
    let clock = clock();
    let acks = |late| vec![clock.ack(A, (10, 12)), clock.ack(A, (120, 122)), clock.ack(B, (140, 150)), clock.ack(A, late)];
    let strays = |late| clock.story(acks(late), Vec::new()).strays().len();
    assert_eq!(strays((151, 152)), 1, "for certain");
    assert_eq!(strays((149, 152)), 0, "it may have been done before");
}

#[test]
fn nobody_takes_writes_before_it_is_decided_on() {
    let clock = clock();
    let story = clock.story(vec![clock.ack(A, (10, 12)), clock.ack(B, (30, 32)), clock.ack(B, (140, 150))], Vec::new());
    let strays = story.strays();
    assert_eq!((strays.len(), strays[0].ack.port), (1, B));
}

#[test]
fn a_suspended_server_does_nothing() {
    let clock = clock();
    let acks = vec![clock.ack(A, (10, 12)), clock.ack(B, (140, 150)), clock.ack(A, (60, 401))];
    let stopped = vec![(A, clock.at(55), clock.at(400))];
    assert_eq!(clock.story(acks.clone(), stopped).strays().len(), 1, "it was done when the server went on");
    assert_eq!(clock.story(acks, Vec::new()).strays().len(), 0, "or soon after it was sent");
}

#[test]
fn times_are_counted_from_the_fault_and_from_the_heal() {
    let clock = clock();
    let acks = vec![clock.ack(A, (10, 12)), clock.ack(B, (140, 150)), clock.ack(B, (480, 502)), clock.ack(B, (503, 505))];
    let story = clock.story(acks, Vec::new());
    let ms = Duration::from_millis;
    assert_eq!((story.gap(), story.back(), story.decided()), (ms(352), Some(ms(5)), Some(ms(50))));
}

#[test]
fn what_strays_during_a_fault_is_told_from_what_redis_leaves_behind() {
    let clock = clock();
    let during = |late| {
        let story = clock.story(vec![clock.ack(A, (10, 12)), clock.ack(B, (140, 150)), clock.ack(A, late)], Vec::new());
        story.strays().iter().map(|stray| stray.during_fault).collect::<Vec<_>>()
    };
    assert_eq!(during((499, 501)), [true]);
    assert_eq!(during((501, 502)), [false]);
}

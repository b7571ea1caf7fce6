//! The queue of scripts: bounds, order, retries.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use proptest::prelude::*;

use super::queue::{Limits, Queue, RunEnd, RunStanding, RunVerdict};
use crate::base::Mono;

const GOOD: RunEnd = RunEnd { signal: 0, code: 0 };
const AGAIN: RunEnd = RunEnd { signal: 0, code: 1 };
const KILLED: RunEnd = RunEnd { signal: 9, code: 0 };
const BAD: RunEnd = RunEnd { signal: 0, code: 3 };

fn queue(queued: usize, at_once: usize) -> Queue {
    Queue::new(Limits { queued, at_once, ..Limits::default() })
}

fn script(name: usize) -> Vec<String> {
    vec![name.to_string()]
}

#[test]
fn oldest_first_and_no_more_at_once_than_allowed() {
    let mut queue = queue(256, 2);
    (0..3).for_each(|name| assert_eq!(queue.add(script(name), Mono(0)), None));
    let (first, argv) = queue.start(Mono(0)).unwrap();
    assert_eq!(argv, script(0));
    assert_eq!(queue.start(Mono(0)).unwrap().1, script(1));
    assert_eq!((queue.start(Mono(0)), queue.wake_at(), queue.running(), queue.len()), (None, None, 2, 3));
    assert_eq!(queue.ended(first, GOOD, Mono(0)), RunVerdict::Done);
    assert_eq!(queue.wake_at(), Some(Mono(0)));
    assert_eq!(queue.start(Mono(0)).unwrap().1, script(2));
}

#[test]
fn the_oldest_that_does_not_run_makes_room() {
    let mut queue = queue(3, 1);
    (0..3).for_each(|name| assert_eq!(queue.add(script(name), Mono(0)), None));
    queue.start(Mono(0)).unwrap();
    assert_eq!(queue.add(script(3), Mono(0)), Some(script(1)));
    let names: Vec<String> = queue.pending(Mono(0)).into_iter().flat_map(|pending| pending.argv).collect();
    assert_eq!(names, ["0", "2", "3"]);
}

#[test]
fn one_and_signals_ask_for_another_run_at_doubling_pauses() {
    for end in [AGAIN, KILLED] {
        let mut queue = queue(256, 16);
        queue.add(script(0), Mono(0));
        let mut now = Mono(0);
        for run in 1..=10_u32 {
            let (ticket, _) = queue.start(now).unwrap();
            queue.started(ticket, 77);
            assert_eq!(queue.pending(now.plus_ms(5))[0].standing, RunStanding::Running { pid: Some(77), for_ms: 5 });
            let verdict = queue.ended(ticket, end, now);
            if run == 10 {
                assert_eq!((verdict, queue.len()), (RunVerdict::Failed, 0));
                break;
            }
            let in_ms = 30_000 << (run - 1);
            assert_eq!(verdict, RunVerdict::Again { in_ms });
            assert_eq!(queue.pending(now)[0].runs, run);
            assert_eq!(queue.pending(now)[0].standing, RunStanding::Scheduled { in_ms });
            now = now.plus_ms(in_ms);
            assert_eq!(queue.wake_at(), Some(now));
            assert_eq!(queue.start(Mono(now.0 - 1)), None);
        }
    }
}

#[test]
fn other_codes_are_final() {
    let mut queue = queue(256, 16);
    for (end, verdict) in [(BAD, RunVerdict::Failed), (RunEnd::CANNOT_EXECUTE, RunVerdict::Failed), (GOOD, RunVerdict::Done)] {
        queue.add(script(0), Mono(0));
        let (ticket, _) = queue.start(Mono(0)).unwrap();
        assert_eq!((queue.ended(ticket, end, Mono(0)), queue.len()), (verdict, 0));
    }
}

#[test]
fn pauses_do_not_overflow() {
    let mut queue = Queue::new(Limits { runs: u32::MAX, ..Limits::default() });
    queue.add(script(0), Mono(0));
    for _ in 0..100 {
        let (ticket, _) = queue.start(Mono(u64::MAX)).unwrap();
        queue.ended(ticket, AGAIN, Mono(0));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add,
    Start,
    RunEnd(usize, RunEnd),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Add),
        4 => Just(Step::Start),
        3 => (0..8_usize, prop_oneof![Just(GOOD), Just(AGAIN), Just(KILLED), Just(BAD)]).prop_map(|(which, end)| Step::RunEnd(which, end)),
        2 => (0..100_000_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: the bounds hold, what runs is never dropped, and every script leaves once: done, given up or dropped.
    #[test]
    fn bounds_hold_and_nothing_is_lost(steps in prop::collection::vec(step(), 1..200)) {
        let limits = Limits { queued: 6, at_once: 3, runs: 3, ..Limits::default() };
        let mut queue = Queue::new(limits);
        let (mut now, mut added, mut gone, mut running) = (Mono(0), 0, 0, Vec::new());
        for step in steps {
            match step {
                Step::Add => {
                    added += 1;
                    gone += usize::from(queue.add(script(added), now).is_some());
                }
                Step::Start => running.extend(queue.start(now).map(|(ticket, _)| ticket)),
                Step::RunEnd(which, end) if which < running.len() => {
                    let verdict = queue.ended(running.remove(which), end, now);
                    gone += usize::from(!matches!(verdict, RunVerdict::Again { .. }));
                }
                Step::RunEnd(..) => {}
                Step::Wait(ms) => now = now.plus_ms(ms),
            }
            prop_assert!(queue.len() <= limits.queued && queue.running() <= limits.at_once);
            prop_assert_eq!(queue.running(), running.len());
            prop_assert_eq!(queue.len() + gone, added);
            let due = queue.wake_at().is_some_and(|at| at <= now);
            let room = queue.running() < limits.at_once;
            let waiting = queue.pending(now).iter().any(|pending| pending.standing == RunStanding::Scheduled { in_ms: 0 });
            prop_assert!(!due || room);
            prop_assert!(!due || waiting);
        }
    }
}

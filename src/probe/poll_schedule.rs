//! The questions of one monitor's link, by when they are due. Pure: moments are arguments.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A reply that is due, in the order of the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// To AUTH or CLIENT SETNAME: ignored, as in stock. What they mean shows in the next reply.
    Greeting,
    /// To PING.
    Ping,
    /// To INFO.
    Info,
    /// To CONFIG GET, which shows the fence.
    Fence,
}

/// The periods, in force for the next thing that is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Periods {
    pub(super) ping: Duration,
    pub(super) info: Duration,
    /// Whether each INFO in its turn is followed by a question for the fence.
    pub(super) fence: bool,
}

/// The questions of one link. At most one PING and one INFO are open at any time, so a server that hangs collects no more.
#[derive(Debug)]
pub(super) struct PollSchedule {
    due: VecDeque<Query>,
    pinged_at: Option<Instant>,
    asked_info_at: Option<Instant>,
    look: bool,
    heard_at: Instant,
}

impl PollSchedule {
    /// A link that was made at this moment, with so many greetings sent on it.
    pub(super) fn new(now: Instant, greetings: usize) -> Self {
        Self {
            due: std::iter::repeat_n(Query::Greeting, greetings).collect(),
            pinged_at: None,
            asked_info_at: None,
            look: false,
            heard_at: now,
        }
    }

    /// The questions to ask now, noted as asked.
    pub(super) fn ask(&mut self, now: Instant, periods: Periods) -> Vec<Query> {
        let mut questions = Vec::new();
        if self.next_ping(periods).is_some_and(|at| at.is_none_or(|at| at <= now)) {
            self.pinged_at = Some(now);
            questions.push(Query::Ping);
        }
        if self.next_info(periods).is_some_and(|at| at.is_none_or(|at| at <= now)) {
            let out_of_turn = std::mem::take(&mut self.look) && self.asked_info_at.is_some_and(|at| now < at + periods.info);
            self.asked_info_at = Some(now);
            questions.push(Query::Info);
            if periods.fence && !out_of_turn && !self.due.contains(&Query::Fence) {
                questions.push(Query::Fence);
            }
        }
        if self.due.is_empty() && !questions.is_empty() {
            // Silence begins with the question, not with the pause before it.
            self.heard_at = now;
        }
        self.due.extend(&questions);
        questions
    }

    /// INFO is wanted now; if one is open, a further one right after it, since that one may tell of an earlier moment.
    pub(super) const fn look(&mut self) {
        self.look = true;
    }

    /// A reply came; which question it belongs to, if any.
    pub(super) fn heard(&mut self, now: Instant) -> Option<Query> {
        self.heard_at = now;
        self.due.pop_front()
    }

    /// Since when the server owes an answer, without having said anything.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        (!self.due.is_empty()).then_some(self.heard_at)
    }

    /// When there is something to do if nothing comes: a question to ask, or silence over the limit.
    pub(super) fn wake_at(&self, periods: Periods, silence: Duration) -> Instant {
        let questions = [self.next_ping(periods), self.next_info(periods)].into_iter().flatten().map(|at| at.unwrap_or(self.heard_at));
        // With nothing open there is a question to come, with something open there may be silence.
        questions.fold(self.silent_since().map_or(self.heard_at + periods.ping, |since| since + silence), Instant::min)
    }

    /// None: not before the open one is answered. Some(none): at once.
    fn next_ping(&self, periods: Periods) -> Option<Option<Instant>> {
        (!self.due.contains(&Query::Ping)).then(|| self.pinged_at.map(|at| at + periods.ping))
    }

    fn next_info(&self, periods: Periods) -> Option<Option<Instant>> {
        let next = if self.look { None } else { self.asked_info_at.map(|at| at + periods.info) };
        (!self.due.contains(&Query::Info)).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIODS: Periods = Periods { ping: Duration::from_millis(100), info: Duration::from_millis(1000), fence: false };

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_silent_server_is_asked_once() {
        let start = Instant::now();
        let mut schedule = PollSchedule::new(start, 1);
        assert_eq!(schedule.ask(start, PERIODS), [Query::Ping, Query::Info]);
        for later in [100, 1000, 100_000] {
            assert_eq!(schedule.ask(ms(start, later), PERIODS), [], "nothing more while both are open");
        }
        assert_eq!(schedule.wake_at(PERIODS, Duration::from_millis(500)), ms(start, 500));
        assert_eq!(schedule.silent_since(), Some(start));
    }

    #[test]
    fn the_period_counts_from_question_to_question() {
        let start = Instant::now();
        let mut schedule = PollSchedule::new(start, 0);
        schedule.ask(start, PERIODS);
        assert_eq!(schedule.heard(ms(start, 30)), Some(Query::Ping));
        assert_eq!(schedule.heard(ms(start, 31)), Some(Query::Info));
        assert_eq!(schedule.silent_since(), None);
        assert_eq!(schedule.wake_at(PERIODS, Duration::from_millis(500)), ms(start, 100));
        assert_eq!(schedule.ask(ms(start, 99), PERIODS), []);
        assert_eq!(schedule.ask(ms(start, 100), PERIODS), [Query::Ping]);
        assert_eq!(schedule.silent_since(), Some(ms(start, 100)), "the pause before the question is no silence");
        assert_eq!(schedule.heard(ms(start, 350)), Some(Query::Ping));
        assert_eq!(schedule.ask(ms(start, 350), PERIODS), [Query::Ping], "a late answer is followed by the overdue question");
    }

    #[test]
    fn a_look_during_an_open_info_asks_again_after_it() {
        let start = Instant::now();
        let mut schedule = PollSchedule::new(start, 0);
        schedule.ask(start, PERIODS);
        schedule.look();
        schedule.look();
        schedule.heard(start);
        assert_eq!(schedule.ask(start, PERIODS), []);
        schedule.heard(start);
        assert_eq!(schedule.ask(start, PERIODS), [Query::Info]);
        schedule.heard(start);
        assert_eq!(schedule.ask(start, PERIODS), [], "two looks are one question");
        assert_eq!(schedule.heard(start), None, "nobody asked");
    }
}

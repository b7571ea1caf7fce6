//! Whether answers are linearizable: whether there is one order of all answers and decisions, true to real time, in which each
//! answer names the master of the last decision before it. Left to a checker that is made for that question.

use std::fmt;
use std::time::Instant;

use todc_utils::linearizability::history::Action;
use todc_utils::{History, Specification, WGLChecker};

use crate::readers::Answer;

/// From its decision on, this is the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reign {
    pub(crate) epoch: u64,
    pub(crate) port: u16,
    /// Not before this moment; none for the first master, who was there before us.
    pub(crate) decided: Option<Instant>,
}

/// The register that all sentinels together claim to be.
struct Register;

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// The master of the next epoch.
    Decide { epoch: u64, port: u16 },
    /// An answer.
    Read { port: u16, epoch: Option<u64> },
}

impl Specification for Register {
    /// The epoch of the master and its port; nobody at first.
    type State = Option<(u64, u16)>;
    type Operation = Operation;

    fn init() -> Self::State {
        None
    }

    fn apply(operation: &Operation, state: &Self::State) -> (bool, Self::State) {
        match (*operation, *state) {
            (Operation::Decide { epoch, port }, None) => (true, Some((epoch, port))),
            (Operation::Decide { epoch, port }, Some((current, _))) if epoch == current + 1 => (true, Some((epoch, port))),
            (Operation::Read { port, epoch }, Some((current, master))) => (port == master && epoch.is_none_or(|e| e == current), *state),
            (Operation::Decide { .. }, Some(_)) | (Operation::Read { .. }, None) => (false, *state),
        }
    }
}

/// An answer that fits nowhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Misfit {
    /// All answers before this one (by the time when they were given) fit together; with it they do not.
    pub(crate) answer: Answer,
    /// How many answers were looked at.
    pub(crate) of: usize,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { reader, port, epoch, asked, .. } = self.answer;
        let ago = asked.elapsed().as_secs_f64();
        write!(
            f,
            "of {} answers one does not fit: reader {reader}, asking {ago:.3} s before now, was told {port} (epoch {epoch:?})",
            self.of
        )
    }
}

/// Holds the answers against the decisions, which are given in the order of their epochs.
///
/// # Errors
/// With the first answer that fits nowhere.
pub(crate) fn check(reigns: &[Reign], answers: &[Answer]) -> Result<(), Misfit> {
    let mut answers = answers.to_vec();
    answers.sort_by_key(|answer| answer.answered);
    if linearizable(reigns, &answers) {
        return Ok(());
    }
    // The shortest beginning that cannot be ordered ends with the answer to show.
    let (mut good, mut bad) = (0, answers.len());
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        *(if linearizable(reigns, &answers[..middle]) { &mut good } else { &mut bad }) = middle;
    }
    Err(Misfit { answer: answers[bad - 1], of: answers.len() })
}

fn linearizable(reigns: &[Reign], answers: &[Answer]) -> bool {
    WGLChecker::<Register>::is_linearizable(History::from_actions(actions(reigns, answers)))
}

/// Calls and responses by time. A decision may take effect at any moment after it was proposed, so its response is the last thing.
fn actions(reigns: &[Reign], answers: &[Answer]) -> Vec<(usize, Action<Operation>)> {
    let readers = answers.iter().map(|answer| answer.reader + 1).max().unwrap_or(0);
    let decide = |reign: &Reign| Operation::Decide { epoch: reign.epoch, port: reign.port };
    let decisions = || (readers..).zip(reigns);
    // At one moment: calls come first, which allows more and never less.
    let mut timed: Vec<(Option<Instant>, bool, usize, Action<Operation>)> =
        decisions().map(|(process, reign)| (reign.decided, false, process, Action::Call(decide(reign)))).collect();
    for answer in answers {
        let read = Operation::Read { port: answer.port, epoch: answer.epoch };
        timed.push((Some(answer.asked), false, answer.reader, Action::Call(read)));
        timed.push((Some(answer.answered), true, answer.reader, Action::Response(read)));
    }
    timed.sort_by_key(|(at, is_response, process, _)| (*at, *is_response, *process));
    let ends = decisions().map(|(process, reign)| (process, Action::Response(decide(reign))));
    timed.into_iter().map(|(_, _, process, action)| (process, action)).chain(ends).collect()
}

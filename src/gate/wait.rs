//! Asking again and again until there is a decision, and saying why there is none yet.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ask::{AskOutcome, ask};
use super::command::{Gate, Otherwise};
use super::data::{self, DataFound};
use super::decide::{GateAnswer, GateVerdict, Rules, StartRole, WaitReason, Who, decide};
use super::settings::Settings;
use super::whoami::Names;
use super::{Ended, Start, say};
use crate::ctl::client;

/// The first pause between two questions; each further one is longer by half.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest one.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Waits until the sentinels' answer says as what to start.
pub(super) fn until_decided(gate: &Gate, settings: &Settings) -> Result<Start, Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Ended::Refused(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let no_signals = |error| Ended::Refused(format!("cannot listen for signals: {error}"));
        // Said explicitly: for the first process of a container a signal without a handler means nothing.
        let mut term = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let access = client::Route::new(&gate.tls, &gate.login, &gate.sentinel).map_err(|error| Ended::Refused(format!("{error:#}")))?;
        let mut waiting = Waiting::new(gate, settings, access);
        tokio::select! {
            decided = waiting.decided() => return decided,
            () = heard(&mut term) => {}
            () = heard(&mut interrupt) => {}
            () = run_out(gate.timeout) => return Err(Ended::GaveUp(waiting.reason())),
        }
        Err(Ended::Stopped)
    })
}

async fn heard(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn run_out(timeout_s: Option<u64>) {
    match timeout_s {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

struct Waiting<'a> {
    gate: &'a Gate,
    settings: &'a Settings,
    names: Names,
    /// How the sentinels are reached.
    access: client::Route,
    begun: Instant,
    /// Which sentinel is asked first.
    first: usize,
    /// Why there was no decision the last time.
    last: Option<WaitReason>,
}

/// What came of one question.
enum WaitStep {
    Start(Start),
    Wait(WaitReason),
}

impl<'a> Waiting<'a> {
    fn new(gate: &'a Gate, settings: &'a Settings, access: client::Route) -> Self {
        Self { gate, settings, names: Names::new(gate.own.clone(), settings), access, begun: Instant::now(), first: 0, last: None }
    }

    fn reason(&self) -> String {
        self.last.as_ref().map_or_else(|| "no sentinel has answered yet".to_owned(), ToString::to_string)
    }

    async fn decided(&mut self) -> Result<Start, Ended> {
        let mut pause = FIRST_PAUSE;
        loop {
            let reason = match self.step().await? {
                WaitStep::Start(start) => return Ok(start),
                WaitStep::Wait(reason) => reason,
            };
            let known = self.last.as_ref().is_some_and(|last| last.is_like(&reason));
            if !known {
                say(&format_args!("waiting: {reason}"));
                pause = FIRST_PAUSE;
            }
            self.last = Some(reason);
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
        }
    }

    async fn step(&mut self) -> Result<WaitStep, Ended> {
        // Taken before the question: a report that is younger than this was made after this node began to start.
        let begun_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let group = &self.gate.group;
        let (number, answer) = match ask(&self.access, &self.gate.sentinel, self.first, group).await {
            AskOutcome::GateAnswer(number, answer) => (number, answer),
            AskOutcome::UnknownGroup if self.gate.if_unknown == Otherwise::Start => {
                say(&format_args!(
                    "the sentinels monitor no group '{group}': starting {} as it is configured",
                    self.gate.program().display()
                ));
                return Ok(WaitStep::Start(Start::AsGiven));
            }
            AskOutcome::UnknownGroup => return Ok(WaitStep::Wait(WaitReason::UnknownGroup(group.clone()))),
            AskOutcome::Nothing(tried) => return Ok(WaitStep::Wait(WaitReason::NoAnswer(tried))),
        };
        let who = self.names.who(&answer.master, answer.replicas.iter().map(|replica| &replica.addr)).await;
        // Only a master needs its data to begin with; and an operator may put them back while we wait.
        let found = if who == Who::Master { data::look(self.settings).map_err(|error| Ended::Refused(error.to_string()))? } else { none() };
        let rules = Rules { without_absent_replicas: self.gate.if_replica_down == Otherwise::Start };
        match decide(&answer, &who, &found, rules, begun_ms) {
            GateVerdict::Start(role) => {
                self.say_start(&answer, &who, &found, &role);
                Ok(WaitStep::Start(Start::As(role)))
            }
            GateVerdict::Wait(reason) => {
                // Another sentinel may see a replica that this one does not.
                let unseen = usize::from(matches!(reason, WaitReason::Unseen { .. }));
                self.first = (number + unseen) % self.gate.sentinel.len();
                Ok(WaitStep::Wait(reason))
            }
        }
    }

    fn say_start(&self, answer: &GateAnswer, who: &Who, found: &DataFound, role: &StartRole) {
        let (program, group, settings) = (self.gate.program(), &self.gate.group, self.settings);
        let grounds = format!("epoch {} of {group}, told by sentinel {}", answer.epoch, answer.told_by);
        match (role, who) {
            (StartRole::Master, _) => say(&format_args!("starting {} as the master ({grounds}): {found}", program.display())),
            (StartRole::Compared, _) => say(&format_args!(
                "starting {} as a replica of nobody ({grounds}): this node is the recorded master, and {found}, the end of which may be missing. The \
                 sentinels compare it with its replicas and make one of them all the master",
                program.display()
            )),
            (StartRole::ReplicaOf(master), Who::Newcomer) => say(&format_args!(
                "starting {} as a new replica of {master} ({grounds}): no data node on record is this one ({settings}); if one is, say which with \
                 --self HOST:PORT",
                program.display()
            )),
            (StartRole::ReplicaOf(master), _) => say(&format_args!("starting {} as a replica of {master} ({grounds})", program.display())),
        }
    }
}

fn none() -> DataFound {
    DataFound::Nothing { why: "not looked at".to_owned() }
}

//! Questions and acts over a [`Link`], with typed answers.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::act::{self, Act, ActReport, Step, StepCommand, StepReply};
use super::guard::Permission;
use super::info;
use super::link::Link;
use super::wire::{Reply, excerpt};
use crate::base::observation::{InvalidReply, LinkLoss, NodeReport, ValidReply};
use crate::base::{FenceSight, Standing};

/// Why there is no answer to a question or an act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There is no link that works: certainly nothing was done.
    #[error("there is no working link to the server ({}); nothing was done", phrase(.0))]
    NoLink(LinkLoss),
    /// The act was no longer permitted when the link was ready: certainly nothing was done.
    #[error("{0}; nothing was done")]
    NotPermitted(String),
    /// The server is not what it was when the act was decided: certainly nothing was done.
    #[error("{why}; nothing was done")]
    Changed {
        /// How it differs.
        why: String,
        /// What it is.
        report: Box<NodeReport>,
    },
    /// The link ended before the answer: it may have been done, or may still be. Look, and repeat.
    #[error("the link ended before the answer ({}); the server may have done it all the same", phrase(.0))]
    Lost(LinkLoss),
    /// The server refuses our credentials, or does not let this user do it.
    #[error("the server refuses our credentials ({0}); check auth-user, auth-pass and what the ACL of that user allows")]
    Credentials(String),
    /// The server refuses it for another reason, such as LOADING or BUSY.
    #[error("the server refuses it: {0}")]
    Refused(String),
    /// The server did something, but its answer cannot be understood.
    #[error("the server's answer cannot be understood: {0}")]
    Garbled(String),
}

/// Why there is no link, for people.
pub fn phrase(loss: &LinkLoss) -> &str {
    match loss {
        LinkLoss::Refused => "connection refused",
        LinkLoss::Closed => "connection closed by the server",
        LinkLoss::TimedOut => "no answer in time",
        LinkLoss::Local(lack) => lack.as_str(),
        LinkLoss::Unresolved(text) | LinkLoss::Credentials(text) | LinkLoss::Other(text) => text,
    }
}

/// What a reply to PING is worth: stock's rule, by the first letters of a status or an error.
pub fn weigh_ping(reply: &Reply) -> Result<ValidReply, InvalidReply> {
    let text = match reply {
        Reply::Status(text) | Reply::Error(text) => text.as_str(),
        Reply::Bulk(text) => return Err(InvalidReply::Other(excerpt(text))),
        Reply::Number(_) | Reply::Nil | Reply::Array(_) => return Err(InvalidReply::Other("not a status".to_owned())),
    };
    match text {
        _ if text.starts_with("PONG") => Ok(ValidReply::Pong),
        _ if text.starts_with("LOADING") => Ok(ValidReply::Loading),
        _ if text.starts_with("MASTERDOWN") => Ok(ValidReply::MasterDown),
        _ if text.starts_with("BUSY ") => Err(InvalidReply::Busy),
        _ if is_about_credentials(text) => Err(InvalidReply::Credentials(excerpt(text))),
        _ => Err(InvalidReply::Other(excerpt(text))),
    }
}

/// What a reply to INFO says.
///
/// # Errors
/// Why there is no report in it.
pub fn read_info(reply: &Reply) -> Result<NodeReport, AskError> {
    match reply {
        Reply::Bulk(text) | Reply::Status(text) => info::parse(text).map_err(|bad| AskError::Garbled(bad.to_string())),
        Reply::Error(text) => Err(refusal(text)),
        Reply::Number(_) | Reply::Nil | Reply::Array(_) => Err(AskError::Garbled("INFO is not answered with a text".to_owned())),
    }
}

/// What a reply to `CONFIG GET min-replicas-*` says.
pub fn read_fence(reply: &Reply) -> FenceSight {
    match reply {
        Reply::Array(pairs) => match act::read_fence(pairs) {
            Some(fence) => FenceSight::Holds(fence),
            None => FenceSight::Unknown("the server does not know min-replicas-to-write".to_owned()),
        },
        Reply::Error(text) | Reply::Status(text) => FenceSight::Unknown(excerpt(text)),
        Reply::Bulk(_) | Reply::Number(_) | Reply::Nil => FenceSight::Unknown("CONFIG GET is not answered with a list".to_owned()),
    }
}

fn is_about_credentials(error: &str) -> bool {
    ["NOAUTH", "WRONGPASS", "NOPERM"].iter().any(|code| error.starts_with(code))
}

fn refusal(error: &str) -> AskError {
    if is_about_credentials(error) { AskError::Credentials(excerpt(error)) } else { AskError::Refused(excerpt(error)) }
}

impl Link {
    /// PING.
    ///
    /// # Errors
    /// The end of the link, or silence for longer than `limit`. The link is of no use then.
    pub async fn ping(&mut self, limit: Duration) -> Result<Result<ValidReply, InvalidReply>, LinkLoss> {
        let replies = self.exchange(&[self.access().command("PING", &[])], Instant::now() + limit).await?;
        Ok(weigh_ping(replies.first().unwrap_or(&Reply::Nil)))
    }

    /// INFO.
    ///
    /// # Errors
    /// [`AskError`]; after [`AskError::Lost`] the link is of no use.
    pub async fn info(&mut self, limit: Duration) -> Result<NodeReport, AskError> {
        let replies = self.exchange(&[self.access().command("INFO", &[])], Instant::now() + limit).await.map_err(AskError::Lost)?;
        read_info(replies.first().unwrap_or(&Reply::Nil))
    }

    /// Does something to the server and reports what it is afterwards.
    ///
    /// The server begins the transaction while `permission` is confirmed, so that the question costs no time of its own; before that it says what
    /// it is, which is compared with what it was when the act was decided, where that matters. A last look at the
    /// permission comes right before the commands and EXEC are sent. A server that does not know REPLICAOF is asked with the old name. Steps
    /// that the act can do without are left out if the server refuses them, and reported.
    ///
    /// # Errors
    /// [`AskError`]; after [`AskError::Lost`] and [`AskError::NoLink`] the link is of no use.
    pub async fn act(&mut self, act: &Act, limit: Duration, permission: &mut dyn Permission) -> Result<ActReport, AskError> {
        let deadline = Instant::now() + limit;
        if let (Some(meant), Some(there), None) = (permission.process(), self.process(), permission.judged())
            && meant != there
        {
            let why = format!(
                "the process there is {there}, and it was {meant} when this was ordered: it restarted, or the address leads elsewhere"
            );
            return Err(AskError::NoLink(LinkLoss::Other(why)));
        }
        let mut names = self.access().replicaof();
        if self.dialect().uses_other_name() {
            names.reverse();
        }
        let [name, other_name] = names;
        let mut attempt = ActAttempt { commands: act.commands(self.access(), &name), refused: Vec::new(), other_name: Some(other_name) };
        loop {
            let in_transaction = self.begin(act, deadline, permission).await?;
            let mut commands: Vec<_> = attempt.commands.iter().map(|command| command.words.clone()).collect();
            if in_transaction {
                commands.push(self.access().command("EXEC", &[]));
            }
            let mut replies = self.exchange(&commands, deadline).await.map_err(AskError::Lost)?;
            let before = attempt.other_name.is_some();
            if !in_transaction {
                if replies.iter().any(|reply| matches!(reply, Reply::Status(status) if status == "QUEUED")) {
                    return Err(AskError::NoLink(LinkLoss::Other("it is in a transaction that was not begun here".to_owned())));
                }
                if !attempt.takes_other_name(&replies) {
                    return attempt.report(replies);
                }
            } else {
                match replies.pop().unwrap_or(Reply::Nil) {
                    Reply::Array(replies) => return attempt.report(replies),
                    Reply::Error(error) => {
                        // The transaction stays open: the link is given up, and the next one does without.
                        let stuck = is_refused(&error) && replies.iter().all(|reply| reply.error().is_none());
                        self.dialect().speak_one_by_one(stuck);
                        attempt.adapt(&replies, &error)?;
                    }
                    last => return attempt.report(vec![last]),
                }
            }
            if before && attempt.other_name.is_none() {
                self.dialect().use_other_name(!self.dialect().uses_other_name());
            }
        }
    }

    /// Gets as far as it goes without effect: the permission holds, and the server queues what comes next. Returns whether it does: a server that
    /// refuses MULTI carries out each command by itself.
    async fn begin(&mut self, act: &Act, deadline: Instant, permission: &mut dyn Permission) -> Result<bool, AskError> {
        let too_late = || "it was not confirmed in time that it may be done".to_owned();
        let judged = permission.judged().cloned();
        let info = judged.as_ref().map(|_| self.access().command("INFO", &[]));
        let multi = (act.is_transaction() && !self.dialect().is_one_by_one()).then(|| self.access().command("MULTI", &[]));
        let begins = multi.is_some();
        let first: Vec<_> = info.into_iter().chain(multi).collect();
        let (opened, confirmed) = tokio::join!(self.exchange(&first, deadline), timeout_at(deadline, permission.confirm()));
        let mut opened = opened.map_err(AskError::NoLink)?;
        let in_transaction = begins && matches!(opened.pop(), Some(Reply::Status(_)));
        // A server that cannot say what it is (busy, say) answers the act itself.
        let seen = judged.and_then(|judged| Some((judged, read_info(opened.first()?).ok()?)));
        if let Some((judged, report)) = seen
            && let Some(why) = judged.change(&Standing::of(&report))
        {
            if in_transaction {
                self.leave_transaction(&why, deadline).await?;
            }
            return Err(AskError::Changed { why, report: Box::new(report) });
        }
        let mut permitted = confirmed.unwrap_or_else(|_| Err(too_late()));
        // The server may have taken longer to answer than the confirmation is good for.
        while permitted.is_ok() && !permission.holds() {
            permitted = timeout_at(deadline, permission.confirm()).await.unwrap_or_else(|_| Err(too_late()));
        }
        match permitted {
            Ok(()) => Ok(in_transaction),
            Err(why) => {
                if in_transaction {
                    self.leave_transaction(&why, deadline).await?;
                }
                Err(AskError::NotPermitted(why))
            }
        }
    }

    /// Whatever comes over a link that cannot leave its transaction is queued and never done: such a link is given up, which ends the transaction as well.
    async fn leave_transaction(&mut self, why: &str, deadline: Instant) -> Result<(), AskError> {
        let left = self.exchange(&[self.access().command("DISCARD", &[])], deadline).await.map_err(AskError::NoLink)?;
        match left.first() {
            Some(Reply::Status(_)) => Ok(()),
            _ => Err(AskError::NoLink(LinkLoss::Other(format!("{why}; the server does not let this user DISCARD, so the link is closed")))),
        }
    }

    /// Sends commands and waits for as many replies.
    pub(super) async fn exchange(&mut self, commands: &[Vec<String>], deadline: Instant) -> Result<Vec<Reply>, LinkLoss> {
        self.send(commands).await?;
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(timeout_at(deadline, self.next()).await.map_err(|_| LinkLoss::TimedOut)??);
        }
        Ok(replies)
    }
}

/// One try of an act. Each further try has fewer steps or another name, so there are few.
struct ActAttempt {
    commands: Vec<StepCommand>,
    refused: Vec<StepReply>,
    /// The other name of REPLICAOF, until it is used.
    other_name: Option<String>,
}

impl ActAttempt {
    /// EXEC failed, so nothing was done: drops the optional steps that the server would not queue, or gives up.
    fn adapt(&mut self, queued: &[Reply], exec_error: &str) -> Result<(), AskError> {
        let mut changed = false;
        let mut kept = Vec::with_capacity(self.commands.len());
        for (mut command, reply) in std::mem::take(&mut self.commands).into_iter().zip(queued) {
            if let Reply::Error(error) = reply {
                changed = true;
                if command.optional {
                    self.refused.push(StepReply { step: command.step, result: Err(excerpt(error)) });
                    continue;
                }
                if !(is_refused(error) && self.use_other_name(&mut command)) {
                    return Err(refusal(error));
                }
            }
            kept.push(command);
        }
        self.commands = kept;
        if changed { Ok(()) } else { Err(refusal(exec_error)) }
    }

    /// Words REPLICAOF by its other name; false if that is not what the command says, or was done before.
    fn use_other_name(&mut self, command: &mut StepCommand) -> bool {
        let name = if command.step == Step::ReplicaOf { self.other_name.take() } else { None };
        let Some((word, name)) = command.words.first_mut().zip(name) else { return false };
        *word = name;
        true
    }

    /// The commands went one by one: whether REPLICAOF was refused, and goes by its other name now.
    fn takes_other_name(&mut self, replies: &[Reply]) -> bool {
        let refused = |(command, reply): (&StepCommand, &Reply)| command.step == Step::ReplicaOf && reply.error().is_some_and(is_refused);
        let Some(at) = self.commands.iter().zip(replies).position(refused) else { return false };
        let mut command = self.commands[at].clone();
        let changed = self.use_other_name(&mut command);
        self.commands[at] = command;
        changed
    }

    /// The steps were answered. One that failed and that the act cannot do without means that the act was not done.
    fn report(self, replies: Vec<Reply>) -> Result<ActReport, AskError> {
        if replies.len() != self.commands.len() {
            return Err(AskError::Garbled(format!("{} steps were answered with {} replies", self.commands.len(), replies.len())));
        }
        let mandatory: Vec<Step> = self.commands.iter().filter(|command| !command.optional).map(|command| command.step).collect();
        let report = ActReport::of(self.commands.iter().map(|command| command.step), replies, self.refused);
        let failed = report.steps.iter().find_map(|reply| reply.result.as_ref().err().filter(|_| mandatory.contains(&reply.step)));
        match failed {
            Some(error) => Err(refusal(error)),
            None => Ok(report),
        }
    }
}

/// Whether an error says that the command is not for this user: forbidden, or not known there.
pub(super) fn is_refused(error: &str) -> bool {
    let lower = error.to_ascii_lowercase();
    // EXEC words it as the reason why the transaction is discarded.
    error.contains("NOPERM ") || lower.contains("unknown command") || lower.contains("unknown subcommand")
}

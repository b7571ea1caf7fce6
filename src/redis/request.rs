//! Questions and acts over a [`Link`], with typed answers.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::act::{Act, ActReport, Step, StepReply};
use super::info;
use super::link::Link;
use super::wire::{Reply, excerpt};
use crate::base::observation::{InvalidReply, LinkLoss, NodeReport, ValidReply};

/// Why there is no answer to a question or an act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There is no link: certainly nothing was done.
    #[error("there is no link to the server ({}); nothing was sent", phrase(.0))]
    NoLink(LinkLoss),
    /// The link ended before the answer: it may have been done, or may still be. Look, and repeat.
    #[error("the link ended before the answer ({}); the server may have done it all the same", phrase(.0))]
    Lost(LinkLoss),
    /// The server refuses our credentials, or does not let this user do it.
    #[error("the server refuses our credentials ({0}); check auth-user and auth-pass")]
    Credentials(String),
    /// The server refuses it for another reason, such as LOADING or BUSY.
    #[error("the server refuses it: {0}")]
    Refused(String),
    /// The server did something, but its answer cannot be understood.
    #[error("the server's answer cannot be understood: {0}")]
    Garbled(String),
}

fn phrase(loss: &LinkLoss) -> &str {
    match loss {
        LinkLoss::Refused => "connection refused",
        LinkLoss::Closed => "connection closed by the server",
        LinkLoss::TimedOut => "no answer in time",
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
    /// A server that does not know REPLICAOF is asked with the old name. Steps that the act can do without are left out if
    /// the server refuses them, and reported.
    ///
    /// # Errors
    /// [`AskError`]; after [`AskError::Lost`] the link is of no use.
    pub async fn act(&mut self, act: &Act, limit: Duration) -> Result<ActReport, AskError> {
        let deadline = Instant::now() + limit;
        let mut attempt = Attempt { steps: act.steps(), replicaof: self.access().replicaof(), refused: Vec::new() };
        loop {
            let commands = attempt.commands(act, self);
            let mut replies = self.exchange(&commands, deadline).await.map_err(AskError::Lost)?;
            let last = replies.pop().unwrap_or(Reply::Nil);
            match last {
                Reply::Array(replies) if act.is_transaction() => return attempt.report(replies),
                Reply::Error(error) if act.is_transaction() => match replies.first() {
                    Some(Reply::Status(_)) => attempt.adapt(&replies[1..], &error)?,
                    // MULTI was refused, so each command ran, or was refused, by itself.
                    _ => return attempt.report(replies.split_off(1)),
                },
                last => return attempt.report(vec![last]),
            }
        }
    }

    /// Sends commands and waits for as many replies.
    async fn exchange(&mut self, commands: &[Vec<String>], deadline: Instant) -> Result<Vec<Reply>, LinkLoss> {
        self.send(commands).await?;
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(timeout_at(deadline, self.next()).await.map_err(|_| LinkLoss::TimedOut)??);
        }
        Ok(replies)
    }
}

/// One try of a transaction. Each further try has fewer steps or another name, so there are few.
struct Attempt {
    steps: Vec<Step>,
    replicaof: String,
    refused: Vec<StepReply>,
}

impl Attempt {
    fn commands(&self, act: &Act, link: &Link) -> Vec<Vec<String>> {
        let access = link.access();
        let steps = self.steps.iter().map(|step| match step {
            Step::ReplicaOf => std::iter::once(self.replicaof.clone()).chain(step.words(act, access).split_off(1)).collect(),
            other => other.words(act, access),
        });
        if !act.is_transaction() {
            return steps.collect();
        }
        std::iter::once(access.command("MULTI", &[])).chain(steps).chain([access.command("EXEC", &[])]).collect()
    }

    /// EXEC failed, so nothing was done: drops the optional steps that the server would not queue, or gives up.
    fn adapt(&mut self, queued: &[Reply], exec_error: &str) -> Result<(), AskError> {
        let mut kept = Vec::with_capacity(self.steps.len());
        let mut changed = false;
        for (&step, reply) in self.steps.iter().zip(queued) {
            match reply {
                Reply::Error(error) if step.optional() => {
                    changed = true;
                    self.refused.push(StepReply { step, result: Err(excerpt(error)) });
                }
                Reply::Error(error) if step == Step::ReplicaOf && self.replicaof == "REPLICAOF" && is_unknown(error) => {
                    changed = true;
                    self.replicaof = "SLAVEOF".to_owned();
                    kept.push(step);
                }
                Reply::Error(error) => return Err(refusal(error)),
                _ => kept.push(step),
            }
        }
        self.steps = kept;
        if changed { Ok(()) } else { Err(refusal(exec_error)) }
    }

    /// EXEC answered. A must-have step that failed in it means that the act was not done.
    fn report(self, replies: Vec<Reply>) -> Result<ActReport, AskError> {
        if replies.len() != self.steps.len() {
            return Err(AskError::Garbled(format!("{} steps were answered with {} replies", self.steps.len(), replies.len())));
        }
        let report = ActReport::of(&self.steps, replies, self.refused);
        let failed = report.steps.iter().find(|reply| !reply.step.optional() && reply.result.is_err());
        match failed.map(|reply| &reply.result) {
            Some(Err(error)) => Err(refusal(error)),
            Some(Ok(())) | None => Ok(report),
        }
    }
}

fn is_unknown(error: &str) -> bool {
    error.to_ascii_lowercase().contains("unknown command")
}

//! Putting a command into the log: here when this sentinel leads, else through the one that does.

use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use tokio::time::{Instant, timeout_at};

use super::calls::CallError;
use super::config::{PROPOSE_WITHIN, ms};
use super::core::Core;
use super::error::ProposeError;
use super::sealing::seal;
use super::status::{Committed, Leadership};
use super::{levels, wire};
use crate::base::{LogIndex, NodeId, limits};
use crate::machine::Command;
use crate::proto::peer;
use crate::proto::peer::propose_reply::Result as Reply;

/// Between two attempts that certainly proposed nothing.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// One attempt.
enum ProposalAttempt {
    Done(Committed),
    /// Certainly nothing was proposed; why.
    Nothing(String),
    /// For good.
    Failed(ProposeError),
}

/// Proposes, and waits until it is applied here.
pub(super) async fn propose(core: &Core, command: Command) -> Result<Committed, ProposeError> {
    let begun = Instant::now();
    let deadline = begun + PROPOSE_WITHIN;
    let command = seal(core, command)?;
    let document = proposable(&command)?;
    levels::check(core, &command).map_err(ProposeError::NotUnderstood)?;
    loop {
        let attempt = match *core.leadership.borrow() {
            Leadership::Leading { .. } => Some(None),
            Leadership::Following { leader } => Some(Some(leader)),
            Leadership::Unknown => None,
        };
        let attempt = match attempt {
            Some(None) => here(core, command.clone(), begun, deadline).await,
            Some(Some(leader)) => through(core, leader, &document, begun, deadline).await,
            None => ProposalAttempt::Nothing("no leader is known".to_owned()),
        };
        let why = match attempt {
            ProposalAttempt::Done(committed) => return await_applied(core, committed, begun, deadline).await,
            ProposalAttempt::Failed(error) => return Err(error),
            ProposalAttempt::Nothing(why) => why,
        };
        if core.stop.is_cancelled() {
            return Err(ProposeError::Stopped("it is stopping".to_owned()));
        }
        if let Some(failure) = core.failure() {
            return Err(ProposeError::Stopped(failure));
        }
        if Instant::now() + RETRY_AFTER >= deadline {
            return Err(ProposeError::NoLeader(why));
        }
        await_change(core).await;
    }
}

/// The same, but not through another leader: what a leader has concluded from its own view is void once it no longer leads. A process that was
/// stopped right before would otherwise have it committed by its successor, who sees other things by now.
pub(super) async fn propose_leading(core: &Core, command: Command) -> Result<Committed, ProposeError> {
    let begun = Instant::now();
    let deadline = begun + PROPOSE_WITHIN;
    proposable(&command)?;
    levels::check(core, &command).map_err(ProposeError::NotUnderstood)?;
    if !matches!(*core.leadership.borrow(), Leadership::Leading { .. }) {
        return Err(ProposeError::NoLeader("this sentinel no longer leads".to_owned()));
    }
    match here(core, command, begun, deadline).await {
        ProposalAttempt::Done(committed) => await_applied(core, committed, begun, deadline).await,
        ProposalAttempt::Nothing(why) => Err(ProposeError::NoLeader(why)),
        ProposalAttempt::Failed(error) => Err(error),
    }
}

/// The document of a command that may become an entry: not too large, and read back as what it is.
pub(super) fn proposable(command: &Command) -> Result<peer::Command, ProposeError> {
    let document = wire::readable_command(command).map_err(|problem| {
        tracing::error!(entry = command.name(), %problem, "a change that could not be read back is not proposed; please report this");
        ProposeError::Unreadable(problem.to_string())
    })?;
    let bytes = document.body.len();
    if bytes > limits::COMMAND_BYTES {
        return Err(ProposeError::TooLarge { bytes, limit: limits::COMMAND_BYTES });
    }
    Ok(document)
}

/// Whether a command may become an entry, as far as its form goes.
///
/// # Errors
/// Why it is refused before it is proposed.
pub fn check_readable(command: &Command) -> Result<(), ProposeError> {
    proposable(command).map(drop)
}

/// For a peer that takes this sentinel for the leader. Never passed on: the peer asks again when it knows better.
pub(super) async fn for_peer(core: &Core, command: Command, within_ms: u64) -> Reply {
    let begun = Instant::now();
    let within = Duration::from_millis(within_ms.min(ms(PROPOSE_WITHIN)));
    let leadership = *core.leadership.borrow();
    if let Leadership::Following { .. } | Leadership::Unknown = leadership {
        let leader = match leadership {
            Leadership::Following { leader } => leader.0,
            Leadership::Leading { .. } | Leadership::Unknown => 0,
        };
        return Reply::NotLeading(peer::NotLeading { leader });
    }
    // The peer may have no secret file.
    let Ok(command) = seal(core, command) else { return Reply::NotLeading(peer::NotLeading { leader: 0 }) };
    // Read from the peer's document, it may be written down differently here (another release).
    if let Err(problem) = proposable(&command) {
        return Reply::Refused(problem.to_string());
    }
    if let Err(problem) = levels::check(core, &command) {
        return Reply::Refused(problem);
    }
    match here(core, command, begun, begun + within).await {
        ProposalAttempt::Done(committed) => {
            Reply::Committed(peer::Committed { index: committed.index.0, outcome: Some(wire::outcome_to_wire(&committed.outcome)) })
        }
        ProposalAttempt::Nothing(_) => Reply::NotLeading(peer::NotLeading { leader: 0 }),
        ProposalAttempt::Failed(ProposeError::Stopped(reason)) => Reply::Stopped(reason),
        ProposalAttempt::Failed(
            ProposeError::Unknown { .. }
            | ProposeError::NoLeader(_)
            | ProposeError::TooLarge { .. }
            | ProposeError::NotUnderstood(_)
            | ProposeError::Unreadable(_),
        ) => Reply::Unknown(peer::OutcomeUnknown { waited_ms: ms(begun.elapsed()) }),
    }
}

async fn here(core: &Core, command: Command, begun: Instant, deadline: Instant) -> ProposalAttempt {
    if core.handing.is_under_way() {
        return ProposalAttempt::Nothing("leadership is being handed over".to_owned());
    }
    match timeout_at(deadline, core.consensus.client_write(command)).await {
        Ok(Ok(written)) => ProposalAttempt::Done(Committed { index: LogIndex(written.log_id.index), outcome: written.data }),
        // openraft says this before it appends, or when it has deleted the entry. Of five, another that holds a deleted entry may still
        // commit it in a later term, and the repeated proposal is then a second one: commands are made so that this does no harm.
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => ProposalAttempt::Nothing("the leader has changed".to_owned()),
        Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
            ProposalAttempt::Failed(ProposeError::Stopped(error.to_string()))
        }
        // Once handed to openraft, an entry may have reached the log before it stopped.
        Ok(Err(RaftError::Fatal(_))) | Err(_) => ProposalAttempt::Failed(unknown(begun)),
    }
}

async fn through(core: &Core, leader: NodeId, document: &peer::Command, begun: Instant, deadline: Instant) -> ProposalAttempt {
    let within = deadline.saturating_duration_since(Instant::now());
    let asked: Result<peer::ProposeReply, CallError> = core
        .calls
        .call(leader, within, |mut client, envelope| {
            let command = Some(document.clone());
            let request = peer::ProposeRequest { envelope: Some(envelope), command, within_ms: ms(within) };
            async move { client.propose(request).await }
        })
        .await;
    match asked {
        Ok(reply) => answered(reply, begun),
        Err(error @ (CallError::NotSent { .. } | CallError::Refused { .. })) => ProposalAttempt::Nothing(error.to_string()),
        Err(CallError::NoAnswer { .. }) => ProposalAttempt::Failed(unknown(begun)),
    }
}

fn answered(reply: peer::ProposeReply, begun: Instant) -> ProposalAttempt {
    match reply.result {
        Some(Reply::Committed(committed)) => match wire::outcome_from_wire(committed.outcome) {
            Ok(outcome) => ProposalAttempt::Done(Committed { index: LogIndex(committed.index), outcome }),
            Err(problem) => {
                tracing::error!(%problem, "the outcome of a proposal cannot be read");
                ProposalAttempt::Failed(unknown(begun))
            }
        },
        Some(Reply::NotLeading(_)) => ProposalAttempt::Nothing("the leader has changed".to_owned()),
        Some(Reply::Refused(problem)) => ProposalAttempt::Failed(ProposeError::Unreadable(problem)),
        Some(Reply::Stopped(_) | Reply::Unknown(_)) | None => ProposalAttempt::Failed(unknown(begun)),
    }
}

async fn await_applied(core: &Core, committed: Committed, begun: Instant, deadline: Instant) -> Result<Committed, ProposeError> {
    match timeout_at(deadline, core.applied(committed.index)).await {
        Ok(Ok(_)) => Ok(committed),
        Ok(Err(stopped)) => Err(ProposeError::Stopped(stopped.to_string())),
        Err(_) => Err(unknown(begun)),
    }
}

/// A moment, or less when somebody else leads.
async fn await_change(core: &Core) {
    let mut leadership = core.leadership.subscribe();
    let _ = tokio::time::timeout(RETRY_AFTER, leadership.changed()).await;
}

fn unknown(begun: Instant) -> ProposeError {
    ProposeError::Unknown { waited_ms: ms(begun.elapsed()) }
}

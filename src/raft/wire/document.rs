//! Commands and outcomes: JSON documents whose form has a number.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Malformed, required};
use crate::base::limits;
use crate::machine::{Command, Outcome};
use crate::proto::peer;

/// The only form so far: the serde form of the machine's types, as JSON.
const FORMAT: u32 = 1;

pub(in crate::raft) fn command_to_wire(command: &Command) -> peer::Command {
    peer::Command { format: FORMAT, body: body_of(command) }
}

pub(in crate::raft) fn command_from_wire(command: Option<peer::Command>) -> Result<Command, Malformed> {
    let command = required(command, "the command")?;
    if command.body.len() > limits::COMMAND_BYTES {
        return Err(Malformed(format!("a command of {} bytes, {} are allowed", command.body.len(), limits::COMMAND_BYTES)));
    }
    parsed("command", command.format, &command.body)
}

pub(in crate::raft) fn outcome_to_wire(outcome: &Outcome) -> peer::Outcome {
    peer::Outcome { format: FORMAT, body: body_of(outcome) }
}

pub(in crate::raft) fn outcome_from_wire(outcome: Option<peer::Outcome>) -> Result<Outcome, Malformed> {
    let outcome = required(outcome, "the outcome")?;
    parsed("outcome", outcome.format, &outcome.body)
}

fn body_of<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("the machine's types have no maps with keys that JSON cannot write")
}

fn parsed<T: DeserializeOwned>(what: &str, format: u32, body: &[u8]) -> Result<T, Malformed> {
    if format != FORMAT {
        return Err(Malformed(format!("a {what} in form {format}; this release reads form {FORMAT}: upgrade this sentinel")));
    }
    serde_json::from_slice(body).map_err(|problem| Malformed(format!("a {what} that cannot be read: {problem}")))
}

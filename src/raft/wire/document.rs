//! Commands and outcomes: JSON documents whose form has a number.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::levels;
use super::{Malformed, required};
use crate::base::limits;
use crate::machine::{Command, Outcome};
use crate::proto::peer;
use crate::store;

/// The only form so far: the serde form of the machine's types, as JSON.
const FORMAT: u32 = 1;

pub(in crate::raft) fn command_to_wire(command: &Command) -> peer::Command {
    peer::Command { format: FORMAT, body: body_of(command) }
}

/// The document of a command that is about to be put into the log.
///
/// # Errors
/// That it does not come out of the document as it went in. Such an entry would be malformed to every follower, and damage to every restart.
pub(in crate::raft) fn readable_command(command: &Command) -> Result<peer::Command, Unfaithful> {
    Ok(peer::Command { format: FORMAT, body: read_back(command)? })
}

/// A value that would not be read back as what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::raft) struct Unfaithful(String);

/// The body of a document, once it was seen to hold the value.
fn read_back<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> Result<Vec<u8>, Unfaithful> {
    let body = serde_json::to_vec(value).map_err(|problem| Unfaithful(format!("it cannot be written down: {problem}")))?;
    match serde_json::from_slice::<T>(&body) {
        Ok(read) if read == *value => Ok(body),
        Ok(_) => Err(Unfaithful("it would be read back as something else".to_owned())),
        Err(problem) => Err(Unfaithful(format!("it could not be read back: {problem}"))),
    }
}

pub(in crate::raft) fn command_from_wire(command: Option<peer::Command>) -> Result<Command, Malformed> {
    let command = required(command, "the command")?;
    if command.body.len() > limits::COMMAND_BYTES {
        return Err(Malformed(format!("a command of {} bytes, {} are allowed", command.body.len(), limits::COMMAND_BYTES)));
    }
    let understood: Command = parsed("command", command.format, &command.body)?;
    if levels::of(&understood) > levels::own() {
        return Err(not_understood("command", &"a later level"));
    }
    Ok(understood)
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
        return Err(Malformed(format!(
            "a {what} in form {format}, and this release reads form {FORMAT}: install the newer release here, nothing is lost"
        )));
    }
    store::whole(body).map_err(|problem| not_understood(what, &problem))
}

fn not_understood(what: &str, problem: &dyn std::fmt::Display) -> Malformed {
    Malformed(format!(
        "a {what} that this release does not understand ({problem}): install the release of the sender here, or a newer one; nothing is lost"
    ))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// What [`crate::base::Addr`] was: any text goes in, not every text comes out.
    #[derive(PartialEq, Serialize, Deserialize)]
    #[serde(into = "String", try_from = "String")]
    struct Loose(String);

    impl From<Loose> for String {
        fn from(loose: Loose) -> Self {
            loose.0
        }
    }

    impl Clone for Loose {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    impl TryFrom<String> for Loose {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            if text.contains('[') { Err("no '[' here".to_owned()) } else { Ok(Self(text.to_lowercase())) }
        }
    }

    #[test]
    fn what_does_not_come_out_as_it_went_in_is_not_written_down() {
        assert!(read_back(&Loose("a".to_owned())).is_ok());
        let problem = |text: &str| read_back(&Loose(text.to_owned())).expect_err(text).to_string();
        assert!(problem("A").contains("something else"));
        assert!(problem("[").contains("no '[' here"));
    }
}

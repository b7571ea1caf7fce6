//! Which other names of commands a server is trusted with.
//!
//! A name that is a command by itself is never sent for another one (`base::commands`). Of the names that are left each server is asked,
//! where it answers COMMAND INFO, which command it is over there; and every answer to a renamed command must look like the original's. A
//! name that fails is not used on that server again: it is spoken to by the commands' own names, and the operator is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::wire::Reply;
use crate::base::Addr;
use crate::base::commands::{check_rename, is_same_command};

/// A stock name and the name in use.
type Rename = (String, String);

/// What is known of the names, on all servers of a group. Cheap to clone; all clones are one ledger, and equal to each other.
#[derive(Clone, Debug, Default)]
pub struct RenameTrust {
    ledger: Arc<Mutex<Ledger>>,
    /// The server at the other end of the link that has this clone.
    server: Option<Addr>,
}

#[derive(Debug, Default)]
struct Ledger {
    proven: BTreeMap<Addr, BTreeSet<Rename>>,
    refused: BTreeMap<Addr, BTreeSet<Rename>>,
    /// Told as what no server is trusted with.
    never: BTreeSet<Rename>,
    untold: Vec<RefusedRename>,
}

/// A name that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRename {
    /// The server.
    pub server: Addr,
    /// The command's own name.
    pub command: String,
    /// The name that is not used for it.
    pub to: String,
    /// The reason: goes on from "known there as NAME ".
    pub why: String,
}

impl PartialEq for RenameTrust {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RenameTrust {}

impl RenameTrust {
    /// The same ledger, for a link to this server.
    pub(super) fn at(&self, server: &Addr) -> Self {
        Self { ledger: Arc::clone(&self.ledger), server: Some(server.clone()) }
    }

    /// Whether the name may be sent for the command.
    pub(super) fn allows(&self, command: &str, to: &str) -> bool {
        if check_rename(command, to).is_err() {
            return false;
        }
        let Some(server) = &self.server else { return true };
        !self.ledger().refused.get(server).is_some_and(|refused| refused.contains(&rename(command, to)))
    }

    /// The names that this server was not seen to know yet. Those that were refused are asked for again on each new link: the server, or its
    /// names, may be others now.
    pub(super) fn unproven(&self, renames: &BTreeMap<String, String>) -> Vec<Rename> {
        let Some(server) = &self.server else { return Vec::new() };
        let possible = renames.iter().filter(|(command, to)| check_rename(command, to).is_ok());
        let ledger = self.ledger();
        let proven = |rename: &Rename| ledger.proven.get(server).is_some_and(|proven| proven.contains(rename));
        possible.map(|(command, to)| rename(command, to)).filter(|rename| !proven(rename)).collect()
    }

    /// Takes what COMMAND INFO says of these names.
    pub(super) fn learn(&self, asked: Vec<Rename>, answer: &Reply) {
        let Reply::Array(told) = answer else { return };
        for ((command, to), told) in asked.into_iter().zip(told) {
            let Reply::Array(row) = told else { continue };
            let Some(Reply::Bulk(original)) = row.first() else { continue };
            if is_same_command(original, &command) {
                self.prove((command, to));
            } else {
                let why = format!(
                    "is its command {}",
                    original.to_ascii_uppercase().escape_debug().to_string().chars().take(40).collect::<String>()
                );
                self.refuse(&command, &to, why);
            }
        }
    }

    fn prove(&self, rename: Rename) {
        let Some(server) = &self.server else { return };
        let mut ledger = self.ledger();
        if let Some(refused) = ledger.refused.get_mut(server) {
            refused.remove(&rename);
        }
        ledger.proven.entry(server.clone()).or_default().insert(rename);
    }

    /// The name is not used on this server again, unless the server itself says that it is right.
    pub(super) fn refuse(&self, command: &str, to: &str, why: String) {
        let Some(server) = &self.server else { return };
        let mut ledger = self.ledger();
        if let Some(proven) = ledger.proven.get_mut(server) {
            proven.remove(&rename(command, to));
        }
        if ledger.refused.entry(server.clone()).or_default().insert(rename(command, to)) {
            ledger.untold.push(RefusedRename { server: server.clone(), command: command.to_owned(), to: to.to_owned(), why });
        }
    }

    /// What was refused since this was asked last; names that are commands by themselves included, once.
    pub fn take_refused(&self) -> Vec<RefusedRename> {
        std::mem::take(&mut self.ledger().untold)
    }

    /// Notes the names of a group's settings that are never used anywhere. `master` stands for all its servers.
    pub fn check(&self, renames: &BTreeMap<String, String>, master: &Addr) {
        for (command, to) in renames {
            let Err(bad) = check_rename(command, to) else { continue };
            let mut ledger = self.ledger();
            if ledger.never.insert(rename(command, to)) {
                let (server, command, to, why) = (master.clone(), command.clone(), to.clone(), format!("cannot be its name: {bad}"));
                ledger.untold.push(RefusedRename { server, command, to, why });
            }
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rename(command: &str, to: &str) -> Rename {
    (command.to_owned(), to.to_owned())
}

/// Holds the answers on a link against what was sent there by other names.
#[derive(Debug, Default)]
pub(super) struct NameCheck {
    /// What was sent and is not answered yet, in order.
    sent: VecDeque<Sent>,
    /// What of it waits for EXEC.
    queued: Vec<Sent>,
    /// Whether the link subscribed, so that the server speaks unasked.
    subscribed: bool,
}

impl NameCheck {
    pub(super) fn note_sent(&mut self, words: &[String], renames: &BTreeMap<String, String>) {
        if !self.subscribed {
            self.sent.push_back(Sent::of(words, renames));
        }
    }

    /// Takes the next answer. The error is for the end of the link.
    pub(super) fn check(&mut self, reply: &Reply, trust: &RenameTrust) -> Result<(), String> {
        let Some(sent) = self.sent.pop_front() else { return Ok(()) };
        match reply {
            Reply::Status(text) if text == "QUEUED" => self.queued.push(sent),
            Reply::Array(replies) if sent.is("EXEC") => {
                self.queued.drain(..).zip(replies).try_for_each(|(queued, reply)| queued.check(reply, trust))?;
            }
            reply => {
                if sent.is("EXEC") || sent.is("MULTI") {
                    self.queued.clear();
                }
                sent.check(reply, trust)?;
                if sent.is("SUBSCRIBE") && matches!(reply, Reply::Array(_)) {
                    self.subscribed = true;
                    self.sent.clear();
                }
            }
        }
        Ok(())
    }
}

/// A command that was sent and not answered yet.
#[derive(Clone, Debug)]
struct Sent {
    /// Its own name.
    command: String,
    /// The name that was sent; none if that was its own.
    to: Option<String>,
    /// Its first argument, in upper case.
    argument: String,
}

impl Sent {
    fn of(words: &[String], renames: &BTreeMap<String, String>) -> Self {
        let sent = words.first().map_or("", String::as_str);
        let renamed = renames.iter().find(|(_, to)| *to == sent);
        let command = renamed.map_or_else(|| sent.to_ascii_uppercase(), |(command, _)| command.clone());
        let argument = words.get(1).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        Self { command, to: renamed.map(|(_, to)| to.clone()), argument }
    }

    fn is(&self, command: &str) -> bool {
        self.command == command
    }

    /// Refuses the name if the answer is not what the command answers; the text is for the end of the link.
    fn check(&self, reply: &Reply, trust: &RenameTrust) -> Result<(), String> {
        let Some(to) = self.to.as_ref().filter(|_| !fits(&self.command, &self.argument, reply)) else { return Ok(()) };
        let why = format!("does not answer as {} does", self.command);
        trust.refuse(&self.command, to, why.clone());
        Err(format!("{}, known there as '{}', {why}; the name is not used any more", self.command, to.escape_debug()))
    }
}

/// Whether a server may answer a command like this. An error is every command's answer.
fn fits(command: &str, argument: &str, reply: &Reply) -> bool {
    let is = |expected: &[&str]| matches!(reply, Reply::Status(text) if expected.contains(&text.as_str()));
    if matches!(reply, Reply::Error(_)) {
        return true;
    }
    match (command, argument) {
        ("PING", _) => is(&["PONG"]),
        ("INFO", _) => matches!(reply, Reply::Bulk(text) | Reply::Status(text) if text.contains("run_id:")),
        ("CLIENT", "KILL") | ("PUBLISH", _) => matches!(reply, Reply::Number(_)),
        ("REPLICAOF" | "SLAVEOF", _) => matches!(reply, Reply::Status(text) if text.starts_with("OK")),
        ("CONFIG", "GET") => matches!(reply, Reply::Array(_)),
        ("EXEC", _) => matches!(reply, Reply::Array(_) | Reply::Nil),
        ("SUBSCRIBE", _) => matches!(reply, Reply::Array(words) if matches!(words.first(), Some(Reply::Bulk(kind)) if kind == "subscribe")),
        ("AUTH" | "CLIENT" | "CONFIG" | "MULTI" | "SCRIPT", _) => is(&["OK"]),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Reply {
        Reply::Status(text.to_owned())
    }

    fn renames() -> BTreeMap<String, String> {
        [("PING", "MYPING"), ("INFO", "FLUSHALL")].map(|(command, to)| (command.to_owned(), to.to_owned())).into()
    }

    #[test]
    fn a_name_that_is_a_command_is_never_sent_and_told_once() {
        let (trust, master) = (RenameTrust::default(), Addr::new("127.0.0.1", 6379).expect("an address"));
        assert!(trust.allows("PING", "MYPING") && !trust.allows("INFO", "FLUSHALL"));
        trust.check(&renames(), &master);
        trust.check(&renames(), &master);
        let told = trust.take_refused();
        assert_eq!(told.iter().map(|told| (told.command.as_str(), told.to.as_str())).collect::<Vec<_>>(), [("INFO", "FLUSHALL")]);
        assert!(trust.take_refused().is_empty());
    }

    #[test]
    fn a_server_says_which_command_a_name_is() {
        let trust = RenameTrust::default();
        let (one, other) =
            (trust.at(&Addr::new("127.0.0.1", 1).expect("an address")), trust.at(&Addr::new("127.0.0.1", 2).expect("an address")));
        let row = |name: &str| Reply::Array(vec![Reply::Array(vec![Reply::Bulk(name.to_owned())])]);
        assert_eq!(one.unproven(&renames()), [rename("PING", "MYPING")]);
        one.learn(one.unproven(&renames()), &row("ping"));
        assert!(one.unproven(&renames()).is_empty());
        other.learn(other.unproven(&renames()), &row("flushall"));
        assert!(one.allows("PING", "MYPING") && !other.allows("PING", "MYPING"), "each server is by itself");
        assert_eq!(trust.take_refused().len(), 1);
        other.learn(other.unproven(&renames()), &row("ping"));
        assert!(other.allows("PING", "MYPING"), "a server that has it right by now");
        other.learn(vec![rename("PING", "P2")], &Reply::Error("NOPERM".to_owned()));
        assert!(other.allows("PING", "P2"), "a server that does not tell is believed until its answers say otherwise");
    }

    #[test]
    fn an_answer_of_another_shape_ends_the_use_of_a_name() {
        let trust = RenameTrust::default().at(&Addr::new("127.0.0.1", 1).expect("an address"));
        let ping = Sent::of(&["MYPING".to_owned()], &renames());
        assert_eq!(ping.check(&status("PONG"), &trust), Ok(()));
        assert_eq!(ping.check(&Reply::Error("LOADING".to_owned()), &trust), Ok(()));
        assert!(trust.allows("PING", "MYPING"));
        assert!(ping.check(&status("OK"), &trust).is_err());
        assert!(!trust.allows("PING", "MYPING"));
        let own = Sent::of(&["PING".to_owned()], &renames());
        assert_eq!(own.check(&status("OK"), &trust), Ok(()), "what a command answers by its own name is not judged here");
    }
}

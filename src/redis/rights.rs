//! The orders that may have to be given, tried without effect: what a server refuses is known before it is needed.
//!
//! A server looks at the rights of a user when it queues a command of a transaction, and a transaction that is never executed changes
//! nothing. So no right beyond those that acts need is asked for (ACL DRYRUN would need one, and Redis 7). Every command that is tried fails,
//! or does nothing, even on a server that would carry it out at once; where transactions are refused, only such are sent that fail by their
//! arguments.

use std::time::Duration;

use tokio::time::Instant;

use super::link::Link;
use super::request::is_refused;
use super::wire::{Reply, excerpt};
use crate::base::observation::LinkLoss;
use crate::base::{Order, Refusals};

/// An argument that no command takes.
const NONSENSE: &str = "raft-sentinel-tries-its-rights";

/// How far transactions go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transactions {
    /// They are carried out.
    Work,
    /// One was begun, and cannot be ended.
    Stuck,
    /// None can be begun.
    Refused,
}

impl Link {
    /// Tries what acts need. The end of the link ends the transaction; nothing is known where the answer is none (the server is busy, or loads its
    /// data).
    ///
    /// # Errors
    /// The end of the link, or silence for longer than `limit`.
    pub async fn try_rights(mut self, limit: Duration) -> Result<Option<Refusals>, LinkLoss> {
        let deadline = Instant::now() + limit;
        let mut refusals = Refusals::default();
        let (multi, exec) = (self.access().command("MULTI", &[]), self.access().command("EXEC", &[]));
        let ends = self.exchange(&[multi.clone(), exec], deadline).await?;
        let transactions = match &ends[..] {
            [Reply::Status(_), Reply::Array(_)] => Transactions::Work,
            [Reply::Status(_), Reply::Error(error)] if is_refused(error) => Transactions::Stuck,
            [Reply::Error(error), _] if is_refused(error) => Transactions::Refused,
            _ => return Ok(None),
        };
        if let Some(error) = ends.iter().find_map(|reply| reply.error().filter(|error| is_refused(error))) {
            refusals.note(Order::Transaction, excerpt(error));
        }
        if transactions != Transactions::Refused {
            // A refused EXEC ends the transaction (Redis 6.2 and newer), or leaves it open.
            match &self.exchange(&[multi], deadline).await?[..] {
                [Reply::Status(_)] => {}
                [Reply::Error(error)] if error.contains("nested") => {}
                _ => return Ok(None),
            }
        }
        let orders = self.orders(transactions != Transactions::Refused);
        let commands: Vec<_> = orders.iter().map(|(_, words)| words.clone()).collect();
        let replies = self.exchange(&commands, deadline).await?;
        if replies.iter().any(|reply| reply.error().is_some_and(is_transient)) {
            return Ok(None);
        }
        for ((order, _), reply) in orders.iter().zip(&replies) {
            if let Some(error) = reply.error().filter(|error| is_refused(error)) {
                refusals.note(*order, excerpt(error));
            }
        }
        let mut other_name = false;
        if refusals.of(Order::Role).is_some() {
            let [_, second] = self.access().replicaof();
            let under_it = self.exchange(&[role(second)], deadline).await?;
            other_name = !under_it.first().and_then(Reply::error).is_some_and(is_refused);
            if other_name {
                refusals.lift(Order::Role);
            }
        }
        self.dialect().use_other_name(other_name);
        self.dialect().speak_one_by_one(transactions == Transactions::Stuck);
        Ok(Some(refusals))
    }

    /// What is tried. `queued`: nothing of it is carried out.
    fn orders(&self, queued: bool) -> Vec<(Order, Vec<String>)> {
        let [first, _] = self.access().replicaof();
        let named = |order, name: &str, arguments: &[&str]| (order, self.access().command(name, arguments));
        let mut orders = vec![
            (Order::Role, role(first)),
            named(Order::ConfigGet, "CONFIG", &["GET", "min-replicas-*"]),
            named(Order::ConfigSet, "CONFIG", &["SET", "min-replicas-to-write", NONSENSE]),
            named(Order::ClientKill, "CLIENT", &["KILL", "ID", &i64::MAX.to_string()]),
            named(Order::ClientPause, "CLIENT", &["PAUSE", NONSENSE, "WRITE"]),
        ];
        if queued {
            orders.push(named(Order::ConfigRewrite, "CONFIG", &["REWRITE"]));
            orders.push(named(Order::ScriptKill, "SCRIPT", &["KILL"]));
        }
        orders
    }
}

/// REPLICAOF by one of its names, to a port that is none.
fn role(name: String) -> Vec<String> {
    vec![name, NONSENSE.to_owned(), NONSENSE.to_owned()]
}

/// Whether a server that refuses it now may take it in a moment.
fn is_transient(error: &str) -> bool {
    ["LOADING", "BUSY", "MASTERDOWN", "NOAUTH", "WRONGPASS"].iter().any(|code| error.starts_with(code))
}

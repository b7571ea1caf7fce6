//! What we do to a server: each act is a few commands in one transaction, with an INFO at its end.
//!
//! The INFO shows what the commands made of the server, in the same round trip (a server that has taken `REPLICAOF NO ONE`
//! in a transaction says `role:master` in it). So an act is believed because it was observed, not because it was answered.
//! Every act may be repeated.

use super::access::Access;
use super::info::{self, BadInfo};
use super::wire::{Reply, excerpt};
use crate::base::Addr;
use crate::base::observation::NodeReport;

/// What happens to the clients of a server whose master changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// They stay: right for a replica that only follows someone else, and for one that is detached.
    Keep,
    /// They are cut off, so that they ask again who the master is: right for a change of role.
    Kill,
}

/// The server's own dead-man's switch: how many replicas must have acknowledged lately for it to take writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// `min-replicas-to-write`; 0 is off.
    pub min_replicas: u32,
    /// `min-replicas-max-lag`.
    pub max_lag_s: u32,
}

/// One thing to do to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Be a master, and still be one after a restart. Its clients are cut off, since they read from a replica until now.
    Promote,
    /// Be a replica of this address, and still be one after a restart.
    Follow {
        /// The master to follow.
        master: Addr,
        /// What happens to its clients.
        clients: Clients,
    },
    /// Take no writes without these replicas, and say what is in force.
    Arm(Fence),
    /// End the script that keeps it busy. Refused by the server if the script has written, or if there is none.
    KillScript,
}

/// One command of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// REPLICAOF
    ReplicaOf,
    /// CONFIG REWRITE; fails harmlessly on a server without a configuration file.
    ConfigRewrite,
    /// CLIENT KILL TYPE normal
    KillClients,
    /// CLIENT KILL TYPE pubsub
    KillSubscribers,
    /// CONFIG SET min-replicas-max-lag
    SetMaxLag,
    /// CONFIG SET min-replicas-to-write
    SetMinReplicas,
    /// CONFIG GET min-replicas-*
    GetFence,
    /// SCRIPT KILL
    KillScript,
    /// INFO
    Info,
}

impl Step {
    /// Whether the act can go without it. A server that refuses such a step (CONFIG or CLIENT renamed away or forbidden) is
    /// asked again without it: a promotion must not fail for want of a CONFIG REWRITE.
    pub(super) const fn optional(self) -> bool {
        match self {
            Self::ConfigRewrite | Self::KillClients | Self::KillSubscribers => true,
            Self::ReplicaOf | Self::SetMaxLag | Self::SetMinReplicas | Self::GetFence | Self::KillScript | Self::Info => false,
        }
    }
}

/// A step and its command over there.
#[derive(Clone, Debug)]
pub(super) struct StepCommand {
    pub(super) step: Step,
    pub(super) words: Vec<String>,
}

impl Act {
    /// Its commands in order, by their names over there.
    pub(super) fn commands(&self, access: &Access) -> Vec<StepCommand> {
        let step = |step, name: &str, arguments: &[&str]| StepCommand { step, words: access.command(name, arguments) };
        let replicaof = |host: &str, port: &str| StepCommand {
            step: Step::ReplicaOf,
            words: vec![access.replicaof(), host.to_owned(), port.to_owned()],
        };
        let rewrite = step(Step::ConfigRewrite, "CONFIG", &["REWRITE"]);
        let info = step(Step::Info, "INFO", &[]);
        let kill = |clients| match clients {
            Clients::Keep => vec![],
            Clients::Kill => vec![
                step(Step::KillClients, "CLIENT", &["KILL", "TYPE", "normal"]),
                step(Step::KillSubscribers, "CLIENT", &["KILL", "TYPE", "pubsub"]),
            ],
        };
        match self {
            Self::Promote => [vec![replicaof("NO", "ONE"), rewrite], kill(Clients::Kill), vec![info]].concat(),
            Self::Follow { master, clients } => {
                [vec![replicaof(&master.host, &master.port.to_string()), rewrite], kill(*clients), vec![info]].concat()
            }
            Self::Arm(fence) => vec![
                step(Step::SetMaxLag, "CONFIG", &["SET", "min-replicas-max-lag", &fence.max_lag_s.to_string()]),
                step(Step::SetMinReplicas, "CONFIG", &["SET", "min-replicas-to-write", &fence.min_replicas.to_string()]),
                step(Step::GetFence, "CONFIG", &["GET", "min-replicas-*"]),
                rewrite,
                info,
            ],
            Self::KillScript => vec![step(Step::KillScript, "SCRIPT", &["KILL"])],
        }
    }

    /// Whether its commands go as one transaction. One command needs none, and a busy server takes SCRIPT KILL only by itself.
    pub(super) const fn is_transaction(&self) -> bool {
        match self {
            Self::Promote | Self::Follow { .. } | Self::Arm(_) => true,
            Self::KillScript => false,
        }
    }
}

/// What a server said to one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReply {
    /// The step.
    pub step: Step,
    /// Done, or the server's error.
    pub result: Result<(), String>,
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActReport {
    /// What the server said, step by step.
    pub steps: Vec<StepReply>,
    /// What the server is now, read after the other steps in the same transaction; none if the act has no INFO.
    pub report: Option<Result<Box<NodeReport>, BadInfo>>,
    /// The fence that is in force, if the act reads it.
    pub fence: Option<Fence>,
}

impl ActReport {
    /// The report, if there is a readable one.
    pub fn node(&self) -> Option<&NodeReport> {
        self.report.as_ref().and_then(|report| report.as_ref().ok()).map(AsRef::as_ref)
    }

    /// Puts steps and replies together. `refused` are optional steps that were left out, with the server's reason.
    pub(super) fn of(steps: impl Iterator<Item = Step>, replies: Vec<Reply>, refused: Vec<StepReply>) -> Self {
        let mut act = Self { steps: refused, report: None, fence: None };
        for (step, reply) in steps.zip(replies) {
            act.note(step, reply);
        }
        act
    }

    fn note(&mut self, step: Step, reply: Reply) {
        let result = match reply {
            Reply::Error(text) => Err(excerpt(&text)),
            Reply::Bulk(text) if step == Step::Info => {
                self.report = Some(info::parse(&text).map(Box::new));
                Ok(())
            }
            Reply::Array(pairs) if step == Step::GetFence => {
                self.fence = fence_in(&pairs);
                Ok(())
            }
            Reply::Status(_) | Reply::Number(_) | Reply::Bulk(_) | Reply::Nil | Reply::Array(_) => Ok(()),
        };
        self.steps.push(StepReply { step, result });
    }
}

/// Reads CONFIG GET: names and values in turn.
fn fence_in(pairs: &[Reply]) -> Option<Fence> {
    let value = |name: &str| {
        pairs.chunks_exact(2).find_map(|pair| match pair {
            [Reply::Bulk(key), Reply::Bulk(value)] if key == name => value.parse().ok(),
            _ => None,
        })
    };
    Some(Fence { min_replicas: value("min-replicas-to-write")?, max_lag_s: value("min-replicas-max-lag")? })
}

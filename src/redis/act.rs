//! What we do to a server: each act is a few commands in one transaction, with an INFO at its end.
//!
//! The INFO shows what the commands made of the server, in the same round trip (a server that has taken `REPLICAOF NO ONE`
//! in a transaction says `role:master` in it). So an act is believed because it was observed, not because it was answered.
//! Every act may be repeated.

use super::access::ServerAccess;
use super::info::{self, BadInfo};
use super::wire::{Reply, excerpt};
use crate::base::observation::NodeReport;
use crate::base::{Addr, Fence};

/// The connections that are closed when the master of a server changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// None: right for a replica that only follows someone else. (Stock closes them here, too. Ours were closed when the replica was
    /// detached, and the hellos of all sentinels go over such connections.) Right as well for a master whose writes were paused, which closed
    /// them: those that have come since wait for the end of the pause.
    Keep,
    /// Ordinary clients and subscribers, so that they ask again who the master is: right for a change of role. What a sentinel that led
    /// before has written to one, and the server has not read, is not carried out afterwards.
    Kill,
}

/// One thing to do to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Be a master, and still be one after a restart. Its clients are cut off, since they read from a replica until now.
    Promote {
        /// What it must hold from its first moment as a master; without it, it does not become one.
        fence: Option<Fence>,
    },
    /// Be a replica of this address, and still be one after a restart.
    Follow {
        /// The master to follow.
        master: Addr,
        /// What happens to its clients.
        clients: Clients,
    },
    /// Leave the master and stay a replica, of nobody, also after a restart. It keeps its place in the history.
    ///
    /// Every other connection to it is closed: what a sentinel that led before has written to one, and the server has not read,
    /// must not be carried out afterwards. Stock cuts the clients of a replica that changes its master, too.
    Detach {
        /// What it is to hold when it becomes a master.
        fence: Option<Fence>,
    },
    /// Be a master that takes no writes, as a source of data for another replica.
    ServeCatchUp,
    /// Take no writes without these replicas, and say what is in force.
    Arm(Fence),
    /// Keep whoever wants to write waiting, for so long at most.
    ///
    /// Ordinary connections are closed. Clients that ask the sentinels wait there; clients that come back to this address wait here with their next
    /// write, as long as the server is a master and has its replicas. Nothing that a sentinel which led before has written is carried out later.
    Pause {
        /// After this many milliseconds the server goes on by itself.
        ms: u64,
    },
    /// Go on with the writes that were paused.
    Unpause,
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
    /// CLIENT PAUSE ... WRITE
    Pause,
    /// CLIENT UNPAUSE
    Unpause,
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

/// A step and its command over there.
#[derive(Clone, Debug)]
pub(super) struct StepCommand {
    pub(super) step: Step,
    pub(super) words: Vec<String>,
    /// Whether the act can go without it. A server that refuses such a step (CONFIG or CLIENT renamed away or forbidden) is
    /// asked again without it: a promotion must not fail for want of a CONFIG REWRITE.
    pub(super) optional: bool,
}

impl StepCommand {
    fn or_not(self) -> Self {
        Self { optional: true, ..self }
    }
}

impl Act {
    /// Its commands in order, by their names over there; `replicaof` is the one that is used for REPLICAOF.
    pub(super) fn commands(&self, access: &ServerAccess, replicaof: &str) -> Vec<StepCommand> {
        let step = |step, name: &str, arguments: &[&str]| StepCommand { step, words: access.command(name, arguments), optional: false };
        let replicaof = |host: &str, port: &str| {
            let words = [replicaof, host, port].map(ToOwned::to_owned).to_vec();
            StepCommand { step: Step::ReplicaOf, words, optional: false }
        };
        let follow = |master: &Addr| replicaof(master.host(), &master.port().to_string());
        let rewrite = step(Step::ConfigRewrite, "CONFIG", &["REWRITE"]).or_not();
        let info = step(Step::Info, "INFO", &[]);
        let kill_normal = step(Step::KillClients, "CLIENT", &["KILL", "TYPE", "normal"]).or_not();
        // Closes no connection: ids are given from 1 on. It shows whether the server would, before that is needed.
        let kill_nobody = step(Step::KillClients, "CLIENT", &["KILL", "ID", &i64::MAX.to_string()]).or_not();
        let kill_all = || vec![kill_normal.clone(), step(Step::KillSubscribers, "CLIENT", &["KILL", "TYPE", "pubsub"]).or_not()];
        let unpause = step(Step::Unpause, "CLIENT", &["UNPAUSE"]).or_not();
        let hold = |fence: &Fence| {
            vec![
                step(Step::SetMaxLag, "CONFIG", &["SET", "min-replicas-max-lag", &fence.max_lag_s.to_string()]),
                step(Step::SetMinReplicas, "CONFIG", &["SET", "min-replicas-to-write", &fence.min_replicas.to_string()]),
            ]
        };
        let held = step(Step::GetFence, "CONFIG", &["GET", "min-replicas-*"]);
        match self {
            Self::Promote { fence } => {
                let hold = fence.iter().flat_map(hold).collect();
                [hold, vec![replicaof("NO", "ONE"), rewrite], kill_all(), vec![unpause, info]].concat()
            }
            Self::Follow { master, clients } => {
                // Who waited for the end of a pause is gone, and a replica that holds back what it is asked keeps nobody's writes safe.
                let kill = match clients {
                    Clients::Kill => [kill_all(), vec![unpause]].concat(),
                    Clients::Keep => vec![],
                };
                [vec![follow(master), rewrite], kill, vec![info]].concat()
            }
            Self::Detach { fence } => {
                let hold = fence.iter().flat_map(hold).map(StepCommand::or_not).collect();
                [hold, vec![follow(&Addr::nobody()), rewrite, kill_normal, held.or_not(), info]].concat()
            }
            Self::ServeCatchUp => [hold(&Fence::NO_WRITES), vec![replicaof("NO", "ONE"), kill_normal, held.or_not(), info]].concat(),
            Self::Arm(fence) => [hold(fence), vec![held, rewrite, kill_nobody, info]].concat(),
            Self::Pause { ms } => vec![step(Step::Pause, "CLIENT", &["PAUSE", &ms.to_string(), "WRITE"]), kill_normal, info],
            Self::Unpause => vec![step(Step::Unpause, "CLIENT", &["UNPAUSE"]), info],
            Self::KillScript => vec![step(Step::KillScript, "SCRIPT", &["KILL"])],
        }
    }

    /// Whether its commands go as one transaction. One command needs none, and a busy server takes SCRIPT KILL only by itself.
    pub(super) const fn is_transaction(&self) -> bool {
        !matches!(self, Self::KillScript)
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

    /// Whether connections were closed, if that was among the steps: the first refusal, if there is one.
    pub fn killed(&self) -> Option<Result<(), String>> {
        let mut kills =
            self.steps.iter().filter(|step| matches!(step.step, Step::KillClients | Step::KillSubscribers)).map(|step| &step.result);
        let first = kills.next()?;
        Some(std::iter::once(first).chain(kills).find(|result| result.is_err()).unwrap_or(first).clone())
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
                self.fence = read_fence(&pairs);
                Ok(())
            }
            Reply::Status(_) | Reply::Number(_) | Reply::Bulk(_) | Reply::Nil | Reply::Array(_) => Ok(()),
        };
        self.steps.push(StepReply { step, result });
    }
}

/// Reads CONFIG GET, names and values in turn: what is in force.
pub(super) fn read_fence(pairs: &[Reply]) -> Option<Fence> {
    let value = |name: &str| {
        pairs.chunks_exact(2).find_map(|pair| match pair {
            [Reply::Bulk(key), Reply::Bulk(value)] if key == name => value.parse().ok(),
            _ => None,
        })
    };
    let (min_replicas, max_lag_s) = (value("min-replicas-to-write")?, value("min-replicas-max-lag")?);
    // With a lag of 0 Redis takes every write, whatever the other number is.
    Some(Fence { min_replicas: if max_lag_s == 0 { 0 } else { min_replicas }, max_lag_s })
}

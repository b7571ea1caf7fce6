//! What is compared: stock Redis Sentinel, and raft-sentinel by each of its promotion policies.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::kit::{Cluster, Flavour, GROUP, History, Plan};

/// A group is armed about a second after it has formed.
const ARMED_LIMIT: Duration = Duration::from_secs(30);
/// `min-replicas-max-lag` by the policy strict, which is also its default.
pub(crate) const MAX_LAG_S: u64 = 2;

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    /// Debian's redis-sentinel.
    Stock,
    /// raft-sentinel with the promotion policy available.
    Available,
    /// raft-sentinel with the promotion policy strict.
    Strict,
}

impl Side {
    pub(crate) const ALL: [Self; 3] = [Self::Stock, Self::Available, Self::Strict];
    /// Those that keep a log of what they did.
    pub(crate) const OURS: [Self; 2] = [Self::Available, Self::Strict];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stock => "redis-sentinel",
            Self::Available => "ours, available",
            Self::Strict => "ours, strict",
        }
    }

    pub(crate) const fn is_ours(self) -> bool {
        match self {
            Self::Stock => false,
            Self::Available | Self::Strict => true,
        }
    }

    /// Starts what a round needs, and waits until it is as it will be.
    pub(crate) fn start(self, down_after_ms: u64) -> Cluster {
        let flavour = if self.is_ours() { Flavour::Ours } else { Flavour::Stock };
        let plan = Plan { down_after_ms, failover_timeout_ms: 60_000, ..Plan::new(flavour) };
        match self {
            Self::Stock => plan.start(),
            Self::Available => plan.with_policy("available").start(),
            Self::Strict => {
                let mut plan = plan.with_policy("strict");
                plan.lines.push(format!("sentinel fence-max-lag {GROUP} {MAX_LAG_S}"));
                let cluster = plan.start();
                wait_until_armed(&cluster);
                cluster
            }
        }
    }
}

fn wait_until_armed(cluster: &Cluster) {
    let mut asked = History::of(cluster.sentinels[0].ports.grpc);
    cluster.timeline.wait_for("promotions are fenced", ARMED_LIMIT, || match asked.master(GROUP)?.wait_replicas {
        0 => Err("not armed yet".to_owned()),
        _ => Ok(()),
    });
}

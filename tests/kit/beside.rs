//! Our sentinels beside a deployment of stock ones, in shadow: what an operator sets up before a migration.

use raft_sentinel::proto::sentinel as proto;

use super::GROUP;
use super::cluster::Cluster;
use super::grpc::Grpc;
use super::program::{self, Ended};
use super::sentinel::{Flavour, Orders, Ports, Sentinel, our_binary};
use super::timeline::Timeline;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Three of our sentinels that watch the servers of somebody else's deployment.
#[derive(Debug)]
pub struct Beside {
    /// The sentinels; number n is at n - 1.
    pub sentinels: Vec<Sentinel>,
    timeline: Timeline,
}

impl Beside {
    /// Starts them with these lines besides `sentinel monitor`, and these arguments.
    pub fn start(deployment: &Cluster, lines: &[&str], args: &[&str]) -> Self {
        let master = deployment.master();
        let peers: Vec<Ports> = (0..3).map(|_| Ports::free()).collect();
        let lines: Vec<String> = std::iter::once(format!("sentinel monitor {GROUP} 127.0.0.1 {master} 2"))
            .chain(lines.iter().map(|line| (*line).to_owned()))
            .collect();
        let root = deployment.scratch.path().join("ours");
        let order = |id| Orders {
            id,
            peers: peers.clone(),
            lines: lines.clone(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..Orders::default()
        };
        let start = |id| Sentinel::start(Flavour::Ours, &root, &deployment.timeline, &order(id));
        Self { sentinels: (1..=3).map(start).collect(), timeline: deployment.timeline.clone() }
    }

    /// Their ports of the SENTINEL protocol.
    pub fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|sentinel| sentinel.ports.resp).collect()
    }

    /// How one of them sees the group.
    ///
    /// # Errors
    /// When it does not answer, or does not know the group yet.
    pub fn view(&self, sentinel: &Sentinel) -> Result<proto::GroupView, String> {
        let status = sentinel.history().status()?;
        status.groups.into_iter().find(|view| view.group == GROUP).ok_or_else(|| "it does not know the group yet".to_owned())
    }

    /// The master as one of them has it recorded.
    ///
    /// # Errors
    /// When it does not answer, or does not know the group yet.
    pub fn recorded(&self, sentinel: &Sentinel) -> Result<proto::Master, String> {
        self.view(sentinel)?.master.ok_or_else(|| "no master".to_owned())
    }

    /// Waits until `is` holds in the eyes of each of them.
    pub fn wait_for(&self, what: &str, is: impl Fn(&proto::GroupView) -> bool) {
        self.timeline.wait_for(what, LIMIT, || {
            for sentinel in &self.sentinels {
                let view = self.view(sentinel)?;
                if !is(&view) {
                    return Err(format!("sentinel {}: {view:#?}", sentinel.id));
                }
            }
            Ok(())
        });
    }

    /// Waits until each of them knows the replicas, and hears the events of so many sentinels of others.
    pub fn wait_until_it_listens(&self, replicas: usize, others: usize) {
        self.wait_for("our sentinels know the servers and hear the others", |view| {
            let heard = view.foreign_sentinels.iter().filter(|foreign| foreign.subscription == "listening").count();
            let healthy = view.nodes.iter().filter(|node| node.health() == proto::Health::Up && !node.run_id.is_empty()).count();
            heard == others && healthy == replicas + 1
        });
    }

    /// What is remembered of outages, newest first.
    ///
    /// # Errors
    /// What the sentinel, or the way to it, says.
    pub fn incidents(&self, sentinel: &Sentinel) -> Result<Vec<proto::Incident>, String> {
        let grpc = Grpc::of(sentinel.ports.grpc);
        let request = proto::ShadowReportRequest { group: GROUP.to_owned(), consistency: 0 };
        let answer = grpc.wait(grpc.sentinel().shadow_report(request)).map_err(|status| status.to_string())?;
        Ok(answer.into_inner().groups.into_iter().flat_map(|group| group.incidents).collect())
    }

    /// Waits until one outage is remembered, and over, and all sentinels tell it alike.
    pub fn wait_for_comparison(&self, is_whole: impl Fn(&proto::Incident) -> bool) -> proto::Incident {
        self.timeline.wait_for("one outage is compared", LIMIT, || {
            let told: Vec<_> = self.sentinels.iter().map(|sentinel| self.incidents(sentinel)).collect::<Result<_, _>>()?;
            match &told[0][..] {
                [incident] if incident.closed.is_some() && is_whole(incident) && told.iter().all(|other| *other == told[0]) => {
                    Ok(incident.clone())
                }
                _ => Err(format!("{told:#?}")),
            }
        })
    }

    /// Runs an operator's command.
    pub fn operator(&self, words: &[&str]) -> Ended {
        let addr: Vec<String> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.ports.grpc)).collect();
        let addr = addr.join(",");
        let words: Vec<&str> = words.iter().copied().chain(["--addr", &addr]).collect();
        self.timeline.note(format!("raft-sentinel {}", words.join(" ")));
        program::run(&our_binary().display().to_string(), &words, LIMIT)
    }
}

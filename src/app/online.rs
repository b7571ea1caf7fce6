//! What the data nodes of a configuration say of themselves, before it is served: `raft-sentinel check --online`. Nothing is changed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::observation::{NodeReport, RoleReport};
use crate::base::settings::PromotionPolicy;
use crate::base::{Addr, GroupSeed, Order, Refusals};
use crate::conf::Config;
use crate::redis::{AskError, Dialer, Link, ServerAccess, request};
use crate::tls::ClientTls;

/// How long one server may take for each answer.
const LIMIT: Duration = Duration::from_secs(3);

/// What was found, line by line, and whether a failover could go well.
#[derive(Default)]
struct OnlineFindings {
    lines: Vec<String>,
    wrong: bool,
}

impl OnlineFindings {
    fn error(&mut self, group: &GroupSeed, text: &str) {
        self.wrong = true;
        self.lines.push(format!("error: {}: {text}", group.name));
    }

    fn note(&mut self, group: &GroupSeed, text: &str) {
        self.lines.push(format!("note: {}: {text}", group.name));
    }
}

/// Asks the servers of all groups, each group once. Returns whether all is well, and what to show.
pub fn ask_servers<'a>(configs: impl Iterator<Item = &'a Config>) -> (bool, Vec<String>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return (false, vec![format!("error: cannot start the runtime: {error}")]),
    };
    let mut findings = OnlineFindings::default();
    let mut asked = BTreeSet::new();
    for config in configs {
        let tls = config.tls_replication.then(|| ClientTls::load("connections to the data nodes", &config.tls)).transpose();
        let tls = match tls {
            Ok(tls) => tls,
            // It has been told by the check of the files.
            Err(_) => continue,
        };
        for group in config.groups.iter().filter(|group| asked.insert((group.name.clone(), group.master.clone()))) {
            let access = ServerAccess::of(&group.settings, "raft-sentinel-check").over(tls.clone());
            runtime.block_on(ask_group(group, &access, &mut findings));
        }
    }
    (!findings.wrong, findings.lines)
}

async fn ask_group(group: &GroupSeed, access: &ServerAccess, findings: &mut OnlineFindings) {
    let master = &group.master;
    let mut others: BTreeSet<Addr> = group.replicas.iter().cloned().collect();
    match ask(master, access).await {
        Err(why) => findings.error(group, &format!("the master {master} {why}")),
        Ok((report, refusals)) => {
            match &report.role {
                RoleReport::Master { replicas, misnamed, .. } => {
                    let count = replicas.len() + misnamed.len();
                    findings
                        .lines
                        .push(format!("OK: {}: {master} is a master, version {}, with {count} replicas", group.name, report.version));
                    others.extend(replicas.iter().map(|listed| listed.addr.clone()));
                    for named in misnamed {
                        findings.error(
                            group,
                            &format!("a replica of {master} announces '{named}', which is not an address (replica-announce-ip)"),
                        );
                    }
                }
                RoleReport::Replica(replica) => {
                    findings.error(group, &format!("{master} is a replica of {}: 'sentinel monitor' names the master", replica.master));
                }
            }
            judge(group, master, &report, refusals.as_ref(), findings);
        }
    }
    for addr in others.iter().filter(|addr| *addr != master) {
        match ask(addr, access).await {
            Err(why) => findings.error(group, &format!("the replica {addr} {why}")),
            Ok((report, refusals)) => judge(group, addr, &report, refusals.as_ref(), findings),
        }
    }
}

async fn ask(addr: &Addr, access: &ServerAccess) -> Result<(NodeReport, Option<Refusals>), String> {
    let unlinked = |loss| format!("does not answer: {}", request::phrase(&loss));
    let mut link = Link::open(&mut Dialer::new(addr.clone()), access.clone(), LIMIT).await.map_err(unlinked)?;
    let report = link.info(LIMIT).await.map_err(|error| match error {
        AskError::Lost(loss) | AskError::NoLink(loss) => unlinked(loss),
        other => format!("does not say what it is: {other}"),
    })?;
    let refusals = link.try_rights(LIMIT).await.map_err(unlinked)?;
    Ok((report, refusals))
}

/// What would not work with this server.
fn judge(group: &GroupSeed, addr: &Addr, report: &NodeReport, refusals: Option<&Refusals>, findings: &mut OnlineFindings) {
    let strict = group.settings.promotion_policy == PromotionPolicy::Strict;
    for (order, words) in refusals.into_iter().flat_map(Refusals::iter) {
        let (name, follows, rights) = (order.name(), order.consequence(), order.rights());
        let text = format!("{addr} refuses {name} ({words}), so that {follows}; allow {rights} to the user of the sentinels");
        if order == Order::Role || (strict && order.is_for_fence()) { findings.error(group, &text) } else { findings.note(group, &text) }
    }
    if report.raw.lines().any(|line| line.trim_end() == "config_file:") {
        findings.note(
            group,
            &format!("{addr} was started without a configuration file: after a restart it is what its command line says, without a fence"),
        );
    }
    if report.replid.is_unknown() {
        let text = format!("{addr} tells no replication history (Redis 4 or newer does): the policy strict promotes nobody");
        if strict { findings.error(group, &text) } else { findings.note(group, &text) }
    }
}

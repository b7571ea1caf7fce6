//! Groups in shadow: the report, and the ways in and out.

use std::io::Write;

use serde_json::{Value, json};

use super::command::Target;
use super::json::{all, at, basis, choice, master, moment, obstacle, vote};
use super::{ask, change, client, show, tables, words};
use crate::proto::admin as admin_pb;
use crate::proto::sentinel as pb;

type Out<'a> = &'a mut (dyn Write + Send);

pub(super) async fn report(target: &Target, group: Option<String>, stale: bool, out: Out<'_>) -> anyhow::Result<()> {
    let request = pb::ShadowReportRequest { group: group.unwrap_or_default(), consistency: ask::consistency(stale) };
    let call = async |channel: client::Line| ask::client_of(channel).shadow_report(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    show(target, out, || json_report(&answer), || text_report(&answer))
}

pub(super) async fn take_over(target: &Target, group: String, despite_others: bool, out: Out<'_>) -> anyhow::Result<()> {
    let request = admin_pb::TakeOverRequest { group: group.clone(), despite_others };
    let call = async |channel: client::Line| change::client_of(channel).take_over(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    let text = || match answer.changed {
        true => format!("This cluster leads {group} from now on (log entry {}). How it goes: raft-sentinel status", answer.revision),
        false => format!("This cluster leads {group} already."),
    };
    show(target, out, || json!({ "group": group, "revision": answer.revision, "changed": answer.changed }), text)
}

pub(super) async fn stand_down(target: &Target, group: String, out: Out<'_>) -> anyhow::Result<()> {
    let request = admin_pb::StandDownRequest { group: group.clone() };
    let call = async |channel: client::Line| change::client_of(channel).stand_down(request.clone()).await;
    let (_, answer) = client::ask(target, client::ASK_LIMIT, call).await?;
    let text = || match answer.changed {
        true => format!(
            "{group} is in shadow from now on (log entry {}): nothing is carried out, and nobody fails it over until other sentinels do",
            answer.revision
        ),
        false => format!("{group} is in shadow already."),
    };
    show(target, out, || json!({ "group": group, "revision": answer.revision, "changed": answer.changed }), text)
}

fn text_report(answer: &pb::ShadowReportResponse) -> String {
    let told: Vec<String> = answer.groups.iter().map(group).collect();
    let told = if told.is_empty() { "No group is or was in shadow.".to_owned() } else { told.join("\n\n") };
    format!("{told}\n\n{}", tables::basis(answer.answer.as_ref()))
}

fn group(group: &pb::ShadowGroup) -> String {
    let master = group.master.clone().unwrap_or_default();
    let mut lines = vec![format!(
        "{} is at {} (epoch {}): {}",
        master.group,
        words::address(master.address.as_ref()),
        master.epoch,
        words::duty(&master)
    )];
    if master.duty() == pb::Duty::Shadow && master.configured_policy() != pb::PromotionPolicy::Available {
        lines.push(format!(
            "Its policy is {}: in shadow no replica is detached and no fence is set, so the choice is by what is seen, and what a strict \
             failover would take on top (detaching; up to fence-max-lag and 2 s where the old master is not known to be gone) is not in it.",
            words::policy(master.configured_policy())
        ));
    }
    let (mut same, mut others) = (0, 0);
    for incident in group.incidents.iter().filter(|incident| incident.difference() != pb::Difference::Open) {
        if incident.difference() == pb::Difference::SameChoice { same += 1 } else { others += 1 }
    }
    lines.push(format!("{} outages are remembered: {same} with the same choice, {others} with a difference.", group.incidents.len()));
    lines.extend(group.incidents.iter().map(|incident| format!("\n{}", self::incident(incident))));
    lines.join("\n")
}

/// One outage, both sides.
fn incident(incident: &pb::Incident) -> String {
    let opened = incident.opened.unwrap_or_default();
    let (ours, stock) = (incident.ours.clone().unwrap_or_default(), incident.stock.clone().unwrap_or_default());
    let mut lines = vec![format!(
        "{}  {} (epoch {}): {}",
        words::moment(opened.at_us),
        words::address(incident.master.as_ref()),
        incident.epoch,
        words::difference(incident.difference())
    )];
    let votes = ours.votes.clone().unwrap_or_default();
    let down = ours.down.map_or_else(|| "never objectively down".to_owned(), |at| format!("objectively down at {}", time(&at)));
    lines.push(format!("  ours      {down}; {} of {} votes needed", votes.votes.len(), votes.quorum));
    lines.extend(votes.votes.iter().map(tables::vote));
    if let (Some(choice), Some(decided)) = (&ours.choice, &ours.decided) {
        lines.push(format!("  would     promote {} at {}", words::address(choice.chosen.as_ref()), time(decided)));
        lines.extend(tables::choice(choice));
    }
    lines.extend(ours.blocked.iter().map(|why| format!("  blocked   {}: {}", words::address(why.replica.as_ref()), why.reason)));
    lines.extend(ours.up.map(|at| format!("  up again  at {}", time(&at))));
    let said = [&stock.down, &stock.tried, &stock.chosen, &stock.aborted, &stock.switched, &stock.up];
    let said: Vec<String> = said.into_iter().flatten().map(event).collect();
    lines.push(if said.is_empty() { "  stock     said nothing".to_owned() } else { format!("  stock     {}", said[0]) });
    lines.extend(said.iter().skip(1).map(|said| format!("            {said}")));
    if let Some(to) = &incident.moved_to {
        lines.push(format!("  outcome   the servers followed {}", words::address(Some(to))));
    }
    lines.push(format!("  compared  {}", compared(incident)));
    lines.join("\n")
}

fn event(event: &pb::StockEvent) -> String {
    let node = event.node.as_ref().map(|node| format!(" {}", words::address(Some(node)))).unwrap_or_default();
    let at = event.at.map(|at| time(&at)).unwrap_or_default();
    format!("{}{node} at {at}, by {} (heard by sentinel {})", event.name, words::address(event.from.as_ref()), event.heard_by)
}

/// In words: which way the two differ, and by how much.
fn compared(incident: &pb::Incident) -> String {
    let lead = match incident.ours_earlier_ms {
        None => String::new(),
        Some(ms) if ms >= 0 => format!("; ours was decided {ms} ms before stock's"),
        Some(ms) => format!("; ours was decided {} ms after stock's", -ms),
    };
    let sentence = match incident.difference() {
        pb::Difference::Open => "the outage is not over",
        pb::Difference::SameChoice => "both chose the same replica",
        pb::Difference::OtherChoice => "each chose another replica",
        pb::Difference::OnlyStock => "stock Sentinel changed the master; this cluster had not decided by then",
        pb::Difference::OnlyOurs => "this cluster would have changed the master; stock Sentinel did not",
        pb::Difference::Neither => "neither changed the master",
        pb::Difference::Unspecified => "-",
    };
    format!("{sentence}{lead}")
}

fn time(moment: &pb::Moment) -> String {
    words::moment(moment.at_us)
}

fn json_report(answer: &pb::ShadowReportResponse) -> Value {
    let group =
        |group: &pb::ShadowGroup| json!({ "master": group.master.as_ref().map(master), "incidents": all(&group.incidents, json_incident) });
    json!({ "groups": all(&answer.groups, group), "answer": answer.answer.as_ref().map(basis) })
}

fn json_incident(incident: &pb::Incident) -> Value {
    let (ours, stock) = (incident.ours.clone().unwrap_or_default(), incident.stock.clone().unwrap_or_default());
    let votes = ours.votes.clone().unwrap_or_default();
    let said = |event: &Option<pb::StockEvent>| event.as_ref().map(json_event);
    json!({
        "epoch": incident.epoch, "master": at(incident.master.as_ref()), "difference": words::difference_key(incident.difference()),
        "opened": incident.opened.as_ref().map(moment), "closed": incident.closed.as_ref().map(moment),
        "ours_earlier_ms": incident.ours_earlier_ms, "moved_to": at(incident.moved_to.as_ref()),
        "ours": {
            "quorum": votes.quorum, "votes": all(&votes.votes, vote), "down": ours.down.as_ref().map(moment),
            "up": ours.up.as_ref().map(moment), "choice": ours.choice.as_ref().map(choice), "decided": ours.decided.as_ref().map(moment),
            "blocked": all(&ours.blocked, obstacle),
        },
        "stock": {
            "down": said(&stock.down), "up": said(&stock.up), "tried": said(&stock.tried), "chosen": said(&stock.chosen),
            "aborted": said(&stock.aborted), "switched": said(&stock.switched),
        },
    })
}

fn json_event(event: &pb::StockEvent) -> Value {
    json!({
        "name": event.name, "node": at(event.node.as_ref()), "from": at(event.from.as_ref()), "heard_by": event.heard_by,
        "at": event.at.as_ref().map(moment),
    })
}

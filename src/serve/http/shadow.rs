//! What is measured of groups in shadow, and of those whose leader holds back.

use std::collections::BTreeMap;

use super::counters::Failovers;
use super::families::Family;
use super::scrape::{big, flag, number};
use crate::base::{GroupName, Mono};
use crate::machine::Difference;
use crate::serve::grpc::Context;

pub(super) fn families(ctx: &Context, counts: &BTreeMap<GroupName, Failovers>, now: Mono) -> Vec<Family> {
    let state = ctx.agreement.state();
    let mut shadow = Family::gauge("group_shadow", "1 if the group is in shadow: what is decided is not carried out");
    let mut held =
        Family::gauge("group_held_back", "1 if this sentinel would do nothing because of others, though the group is not in shadow");
    let mut heard = Family::gauge("shadow_stock_subscriptions", "Stock sentinels whose events are heard here, of a group in shadow");
    let mut compared = Family::counter("shadow_incidents", "Outages in shadow that are over, by how our decision and stock's compare");
    for (name, group) in &state.groups {
        let label = [("group", name.as_str())];
        shadow.add(label, flag(group.in_shadow()));
        let holds_back = ctx.board.group(name).is_some_and(|view| view.held_back().is_some());
        held.add(label, flag(holds_back));
        if group.in_shadow() {
            let neighbours = ctx.board.neighbours(name);
            let stands = |id| ctx.board.subscription(name, id).is_some_and(|subscription| subscription.fares.is_ok());
            let others = neighbours.others(&state.former, now);
            heard.add(label, number(others.filter(|foreign| stands(&foreign.hello.sentinel)).count()));
        }
        let counted = counts.get(name).copied().unwrap_or_default().compared;
        if group.in_shadow() || !group.incidents.is_empty() {
            for (difference, count) in Difference::ENDS.iter().zip(counted) {
                compared.add([("group", name.as_str()), ("outcome", difference.as_str())], big(count));
            }
        }
    }
    vec![shadow, held, heard, compared]
}

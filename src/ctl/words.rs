//! Small phrases for people.

use crate::base::WallTime;
use crate::proto::admin;
use crate::proto::sentinel as pb;

pub(super) fn address(address: Option<&pb::Address>) -> String {
    address.map_or_else(|| "-".to_owned(), |at| authority(&at.host, at.port))
}

pub(super) fn admin_address(address: Option<&admin::Address>) -> String {
    address.map_or_else(|| "-".to_owned(), |at| authority(&at.host, at.port))
}

fn authority(host: &str, port: u32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Date and time in UTC. The proleptic Gregorian calendar, counted in days from 0000-03-01 so that the leap day comes last.
pub(super) fn moment(at_us: u64) -> String {
    let days = at_us / 86_400_000_000 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {}", WallTime(at_us))
}

pub(super) fn micros(us: u64) -> String {
    match us {
        0..1000 => format!("{us} us"),
        1000..1_000_000 => format!("{}.{} ms", us / 1000, us / 100 % 10),
        _ => format!("{}.{:02} s", us / 1_000_000, us / 10_000 % 100),
    }
}

pub(super) fn millis(ms: u64) -> String {
    micros(ms.saturating_mul(1000))
}

pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

pub(super) const fn health(health: pb::Health) -> &'static str {
    match health {
        pb::Health::Unspecified => "not looked at yet",
        pb::Health::Up => "up",
        pb::Health::Down => "DOWN",
        pb::Health::CannotJudge => "cannot judge",
    }
}

pub(super) const fn role(role: pb::Role) -> &'static str {
    match role {
        pb::Role::Unspecified => "-",
        pb::Role::Master => "master",
        pb::Role::Replica => "replica",
    }
}

pub(super) const fn link(link: pb::LinkStatus) -> &'static str {
    match link {
        pb::LinkStatus::Unspecified => "-",
        pb::LinkStatus::Up => "up",
        pb::LinkStatus::Down => "down",
        pb::LinkStatus::Syncing => "syncing",
    }
}

pub(super) const fn policy(policy: pb::PromotionPolicy) -> &'static str {
    match policy {
        pb::PromotionPolicy::Unspecified => "-",
        pb::PromotionPolicy::Auto => "auto",
        pb::PromotionPolicy::Strict => "strict",
        pb::PromotionPolicy::Available => "available",
    }
}

pub(super) const fn phase(phase: pb::FailoverPhase) -> &'static str {
    match phase {
        pb::FailoverPhase::Unspecified => "-",
        pb::FailoverPhase::Choosing => "choosing",
        pb::FailoverPhase::Detaching => "detaching",
        pb::FailoverPhase::Draining => "draining",
        pb::FailoverPhase::Promoting => "promoting",
        pb::FailoverPhase::Following => "following",
    }
}

pub(super) const fn manner(manner: pb::FailoverManner) -> &'static str {
    match manner {
        pb::FailoverManner::Unspecified => "-",
        pb::FailoverManner::Plain => "plain",
        pb::FailoverManner::Coordinated => "coordinated",
        pb::FailoverManner::Force => "force",
    }
}

pub(super) const fn decision_basis(basis: pb::DecisionBasis) -> &'static str {
    match basis {
        pb::DecisionBasis::Unspecified => "-",
        pb::DecisionBasis::Unfenced => "not fenced (policy available)",
        pb::DecisionBasis::Gone => "its process is gone",
        pb::DecisionBasis::SeenOut => "seen out of writes",
        pb::DecisionBasis::LagWindow => "out of writes since its fence has run out",
        pb::DecisionBasis::Drained => "paused, and drained to the last write",
        pb::DecisionBasis::HandedOver => "paused, drained to the last write, and made a replica itself",
        pb::DecisionBasis::ByHand => "gave up its place to one that was made the master by hand",
        pb::DecisionBasis::Forced => "FORCED by an operator, who accepted a loss",
    }
}

pub(super) const fn switchover(outcome: admin::switchover_response::Outcome) -> &'static str {
    use admin::switchover_response::Outcome;
    match outcome {
        Outcome::Unspecified => "-",
        Outcome::Switched => "switched",
        Outcome::Aborted => "aborted",
        Outcome::UnderWay => "under way",
        Outcome::Superseded => "superseded",
    }
}

/// What a server holds of a fence, in Redis's words.
pub(super) fn held(fence: pb::HeldFence) -> String {
    if fence.min_replicas == 0 { "none".to_owned() } else { format!("{} within {} s", fence.min_replicas, fence.max_lag_s) }
}

pub(super) const fn evidence(evidence: pb::Evidence) -> &'static str {
    match evidence {
        pb::Evidence::Unspecified => "-",
        pb::Evidence::Silent => "no valid reply",
        pb::Evidence::Refused => "connection refused",
        pb::Evidence::Closed => "connection closed",
        pb::Evidence::Busy => "busy with a script",
        pb::Evidence::Unresolved => "name does not resolve",
        pb::Evidence::WrongRole => "reports the role of a replica",
        pb::Evidence::LostHistory => "restarted, and may lack what its replicas hold",
        pb::Evidence::Loading => "restarted and still loading",
        pb::Evidence::Elsewhere => "another server answers at its address",
        pb::Evidence::Error => "answers PING with an error",
        pb::Evidence::Emptied => "restarted without its data",
    }
}

pub(super) const fn ending(kind: pb::ending::Kind) -> &'static str {
    match kind {
        pb::ending::Kind::Unspecified => "-",
        pb::ending::Kind::Completed => "completed",
        pb::ending::Kind::Aborted => "aborted",
        pb::ending::Kind::Superseded => "superseded",
    }
}

/// Whether what is decided is carried out, as a sentence.
pub(super) fn duty(master: &pb::Master) -> String {
    let since = master.duty_since.map(|since| format!(" since {}", moment(since.at_us))).unwrap_or_default();
    match master.duty() {
        pb::Duty::Unspecified => "-".to_owned(),
        pb::Duty::Acts => "this cluster leads it".to_owned(),
        pb::Duty::Shadow => format!("IN SHADOW{since}: watched and decided about, and nothing is carried out"),
        pb::Duty::TookOver => format!("taken over by this cluster{since}"),
        pb::Duty::TookOverDespiteOthers => format!("taken over by this cluster{since}, whoever else watches it"),
    }
}

/// The same for programs.
pub(super) const fn duty_key(duty: pb::Duty) -> &'static str {
    match duty {
        pb::Duty::Unspecified => "-",
        pb::Duty::Acts => "acts",
        pb::Duty::Shadow => "shadow",
        pb::Duty::TookOver => "took_over",
        pb::Duty::TookOverDespiteOthers => "took_over_despite_others",
    }
}

pub(super) const fn outlook_key(outlook: pb::Outlook) -> &'static str {
    match outlook {
        pb::Outlook::Unspecified => "unknown",
        pb::Outlook::Yes => "yes",
        pb::Outlook::Partly => "partly",
        pb::Outlook::No => "no",
        pb::Outlook::UnderWay => "under_way",
    }
}

/// How two decisions compare, for people.
pub(super) const fn difference(difference: pb::Difference) -> &'static str {
    match difference {
        pb::Difference::Unspecified => "-",
        pb::Difference::Open => "not over",
        pb::Difference::SameChoice => "SAME CHOICE",
        pb::Difference::OtherChoice => "OTHER CHOICE",
        pb::Difference::OnlyStock => "ONLY STOCK FAILED OVER",
        pb::Difference::OnlyOurs => "ONLY OURS WOULD HAVE FAILED OVER",
        pb::Difference::Neither => "neither failed over",
    }
}

/// The same for programs.
pub(super) const fn difference_key(difference: pb::Difference) -> &'static str {
    match difference {
        pb::Difference::Unspecified => "-",
        pb::Difference::Open => "open",
        pb::Difference::SameChoice => "same_choice",
        pb::Difference::OtherChoice => "other_choice",
        pb::Difference::OnlyStock => "only_stock",
        pb::Difference::OnlyOurs => "only_ours",
        pb::Difference::Neither => "neither",
    }
}

/// One line about a group that a person can act on.
pub(super) fn at_a_glance(group: &pb::GroupView) -> String {
    let master = group.master.clone().unwrap_or_default();
    let (readiness, fence) = (master.readiness.clone().unwrap_or_default(), master.fence.clone().unwrap_or_default());
    let why = readiness.reasons.join("; ");
    let outlook = if !group.held_back.is_empty() {
        format!("HELD BACK, nothing would be done here: {}", group.held_back)
    } else if master.duty() == pb::Duty::Shadow {
        "in shadow, others would fail over".to_owned()
    } else {
        match readiness.outlook() {
            pb::Outlook::Unspecified => "not looked at yet".to_owned(),
            pb::Outlook::UnderWay => "a failover is under way".to_owned(),
            pb::Outlook::Yes => format!("would fail over now, to {}", address(readiness.next.as_ref())),
            pb::Outlook::Partly => format!("would fail over now, to {}, but {why}", address(readiness.next.as_ref())),
            pb::Outlook::No => format!("WOULD NOT FAIL OVER NOW: {why}"),
        }
    };
    let down = if master.objectively_down { "the master is DOWN; " } else { "" };
    let fence = if fence.problem.is_empty() { String::new() } else { format!("; fence: {}", fence.problem) };
    format!("{} at {}: {down}{outlook}{fence}", group.group, address(master.address.as_ref()))
}

/// How the states of the others compared with this one's.
pub(super) fn states(members: &[pb::Member]) -> String {
    let compared = |differs: bool| {
        let those = members.iter().filter(move |member| member.state_differs == differs);
        those
            .filter_map(|member| Some(format!("sentinel {} at entry {}", member.id, member.state_compared_index?)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (same, other) = (compared(false), compared(true));
    let same = if same.is_empty() { String::new() } else { format!("\nIts state was that of {same}") };
    let other =
        if other.is_empty() { String::new() } else { format!("\nITS STATE WAS NOT THAT OF {other}: one of them answers what is not true") };
    same + &other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_in_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(moment(1_709_164_799_999_000), "2024-02-28 23:59:59.999Z");
        assert_eq!(moment(1_709_164_800_000_000), "2024-02-29 00:00:00.000Z");
        assert_eq!(moment(1_795_298_645_250_000), "2026-11-21 22:04:05.250Z");
    }

    #[test]
    fn spans_keep_three_digits_or_so() {
        assert_eq!(micros(950), "950 us");
        assert_eq!(micros(3_450), "3.4 ms");
        assert_eq!(micros(1_234_567), "1.23 s");
    }
}

//! When a data node is down in this sentinel's eyes, and on what grounds.

use super::view::{Link, NodeView};
use crate::base::observation::{LinkLoss, Role};
use crate::base::{GroupSettings, Mono};
use crate::machine::Evidence;

/// How long a master may report the role of a replica, beyond the group's limit, before that counts
/// against it: time for repair, which takes two looks.
const WRONG_ROLE_GRACE_MS: u64 = 2000;

/// What is held of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Up,
    /// It has not answered lately; it will be down at `deadline` if it stays silent.
    Late {
        /// When its limit runs out.
        deadline: Mono,
    },
    /// It is down.
    Down(DownReport),
    /// It refuses our credentials, or this host cannot ask it: neither up nor down.
    CannotJudge,
}

/// On what grounds a node is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownReport {
    /// Why.
    pub evidence: Evidence,
    /// For how long that has been so.
    pub for_ms: u64,
    /// The limit that ran out.
    pub limit_ms: u64,
}

/// What to hold it against.
#[derive(Clone, Copy, Debug)]
pub struct Standard<'a> {
    /// The group's settings.
    pub settings: &'a GroupSettings,
    /// Since when the node has been the recorded master, for this sentinel; none for a replica.
    pub master_since: Option<Mono>,
}

/// Judges a node at `now`.
///
/// Like stock, silence counts from the last valid reply, and only while an answer is due (a PING is
/// unanswered, or there is no link to send one on). Unlike stock, the verdict is due at the
/// very moment the limit runs out, and that moment is part of the verdict.
pub fn judge_node(node: &NodeView, standard: Standard<'_>, now: Mono) -> Verdict {
    if node.cannot_judge.is_some() {
        return Verdict::CannotJudge;
    }
    [judge_silence(node, standard, now), judge_role(node, standard, now), judge_loading(node, standard, now)]
        .into_iter()
        .reduce(graver)
        .unwrap_or(Verdict::Up)
}

fn graver(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (down @ Verdict::Down(_), _) | (_, down @ Verdict::Down(_)) => down,
        (Verdict::Late { deadline: a }, Verdict::Late { deadline: b }) => Verdict::Late { deadline: a.min(b) },
        (late @ Verdict::Late { .. }, _) | (_, late @ Verdict::Late { .. }) => late,
        (a, _) => a,
    }
}

pub(super) fn due(since: Mono, limit_ms: u64, evidence: Evidence, now: Mono) -> Verdict {
    let deadline = since.plus_ms(limit_ms);
    if now >= deadline { Verdict::Down(DownReport { evidence, for_ms: now.ms_since(since), limit_ms }) } else { Verdict::Late { deadline } }
}

fn judge_silence(node: &NodeView, standard: Standard<'_>, now: Mono) -> Verdict {
    let invalid = node.last_reply > node.last_valid;
    let evidence = match &node.link {
        Link::Up { .. } | Link::Untried if invalid && node.error.is_some() => Evidence::Error,
        Link::Up { .. } | Link::Untried if invalid => Evidence::Busy,
        Link::Up { .. } | Link::Untried => Evidence::Silent,
        Link::Down { loss, .. } => match loss {
            LinkLoss::Refused => Evidence::Refused,
            LinkLoss::Closed => Evidence::Closed,
            LinkLoss::Unresolved(_) => Evidence::Unresolved,
            // The last two are never judged: see `cannot_judge`.
            LinkLoss::TimedOut | LinkLoss::Other(_) | LinkLoss::Credentials(_) | LinkLoss::Local(_) => Evidence::Silent,
        },
    };
    let answer_due = invalid || node.waiting_since.is_some() || !matches!(node.link, Link::Up { .. });
    if answer_due {
        graver(due(node.counts_from, standard.settings.down_after_ms, evidence, now), judge_crash(node, standard, now))
    } else {
        Verdict::Up
    }
}

/// The shorter limit counts from the loss of the link. Until then the server was there, and its last reply may by itself be
/// older than this limit, so that the first refused attempt of a server that merely restarts would be its death.
fn judge_crash(node: &NodeView, standard: Standard<'_>, now: Mono) -> Verdict {
    match (&node.link, standard.settings.crash_down_after_ms) {
        (Link::Down { loss: LinkLoss::Refused, since }, crash_ms @ 1..) => {
            due((*since).max(node.counts_from), crash_ms, Evidence::Refused, now)
        }
        _ => Verdict::Up,
    }
}

fn judge_role(node: &NodeView, standard: Standard<'_>, now: Mono) -> Verdict {
    match (standard.master_since, node.role()) {
        (Some(master_since), Some(Role::Replica)) => {
            let since = node.role_since.max(master_since);
            due(since, standard.settings.down_after_ms.saturating_add(WRONG_ROLE_GRACE_MS), Evidence::WrongRole, now)
        }
        (Some(_) | None, _) => Verdict::Up,
    }
}

fn judge_loading(node: &NodeView, standard: Standard<'_>, now: Mono) -> Verdict {
    match (standard.master_since, node.loading_since, standard.settings.master_reboot_down_after_ms) {
        (Some(_), Some(since), limit_ms @ 1..) => due(since, limit_ms, Evidence::Loading, now),
        _ => Verdict::Up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::observation::{InvalidReply, LocalLack, Observed, ValidReply};

    fn settings() -> GroupSettings {
        GroupSettings { down_after_ms: 1000, ..GroupSettings::default() }
    }

    fn at(ms: u64) -> Mono {
        Mono::from_ms(ms)
    }

    fn node(sights: &[(u64, Observed)]) -> NodeView {
        let mut node = NodeView::new(at(0));
        for (ms, sight) in sights {
            node.note(sight.clone(), at(*ms));
        }
        node
    }

    fn judge(node: &NodeView, settings: &GroupSettings, ms: u64) -> Verdict {
        judge_node(node, Standard { settings, master_since: Some(at(0)) }, at(ms))
    }

    fn evidence(verdict: &Verdict) -> Option<Evidence> {
        match verdict {
            Verdict::Down(grounds) => Some(grounds.evidence),
            Verdict::Up | Verdict::Late { .. } | Verdict::CannotJudge => None,
        }
    }

    #[test]
    fn silence_counts_from_the_last_valid_reply_to_the_millisecond() {
        let node = node(&[(0, Observed::Linked), (500, Observed::Valid(ValidReply::Pong)), (600, Observed::Pinged)]);
        assert_eq!(judge(&node, &settings(), 1499), Verdict::Late { deadline: at(1500) });
        let down = Verdict::Down(DownReport { evidence: Evidence::Silent, for_ms: 1000, limit_ms: 1000 });
        assert_eq!(judge(&node, &settings(), 1500), down);
    }

    #[test]
    fn an_error_is_told_as_what_it_is_and_not_as_a_script() {
        let answered = |reply| [(0, Observed::Linked), (500, Observed::Valid(ValidReply::Pong)), (600, Observed::Invalid(reply))];
        let misconf = node(&answered(InvalidReply::Other("MISCONF Redis is configured to save".to_owned())));
        assert_eq!(evidence(&judge(&misconf, &settings(), 1500)), Some(Evidence::Error));
        assert!(misconf.answers().is_some_and(|said| said.contains("MISCONF")) && !misconf.busy);
        let busy = node(&answered(InvalidReply::Busy));
        assert_eq!(evidence(&judge(&busy, &settings(), 1500)), Some(Evidence::Busy));
    }

    #[test]
    fn a_link_without_an_unanswered_ping_is_no_silence() {
        let node = node(&[(0, Observed::Linked), (500, Observed::Valid(ValidReply::Pong))]);
        assert_eq!(judge(&node, &settings(), 60_000), Verdict::Up);
    }

    #[test]
    fn the_crash_limit_applies_only_while_the_port_refuses() {
        let settings = GroupSettings { crash_down_after_ms: 100, ..settings() };
        let mut node =
            node(&[(0, Observed::Linked), (500, Observed::Valid(ValidReply::Pong)), (510, Observed::Unlinked(LinkLoss::Closed))]);
        assert_eq!(judge(&node, &settings, 700), Verdict::Late { deadline: at(1500) });
        node.note(Observed::Unlinked(LinkLoss::Refused), at(701));
        assert_eq!(evidence(&judge(&node, &settings, 702)), Some(Evidence::Refused));
        node.note(Observed::Unlinked(LinkLoss::TimedOut), at(703));
        assert_eq!(judge(&node, &settings, 704), Verdict::Late { deadline: at(1500) });
    }

    #[test]
    fn the_crash_limit_counts_from_the_loss_of_the_link() {
        let settings = GroupSettings { down_after_ms: 5000, crash_down_after_ms: 200, ..settings() };
        let loss = [(900, Observed::Unlinked(LinkLoss::Closed)), (901, Observed::Unlinked(LinkLoss::Refused))];
        let mut node = node(&[&[(0, Observed::Linked), (500, Observed::Valid(ValidReply::Pong))], &loss[..]].concat());
        assert_eq!(judge(&node, &settings, 902), Verdict::Late { deadline: at(1100) });
        assert_eq!(evidence(&judge(&node, &settings, 1100)), Some(Evidence::Refused));
        // Late by 50 ms ourselves: that is not the server's.
        node.excuse_silence(50, at(1090));
        assert_eq!(judge(&node, &settings, 1100), Verdict::Late { deadline: at(1150) });
    }

    #[test]
    fn refused_credentials_are_neither_up_nor_down() {
        let refused = LinkLoss::Credentials("WRONGPASS".to_owned());
        let mut node = node(&[(0, Observed::Unlinked(refused))]);
        assert_eq!(judge(&node, &settings(), 90_000), Verdict::CannotJudge);
        // The server dies: from its last answer on, silence counts.
        node.note(Observed::Unlinked(LinkLoss::Credentials("WRONGPASS".to_owned())), at(90_000));
        node.note(Observed::Unlinked(LinkLoss::Refused), at(90_100));
        assert_eq!(judge(&node, &settings(), 90_200), Verdict::Late { deadline: at(91_000) });
        assert_eq!(evidence(&judge(&node, &settings(), 91_000)), Some(Evidence::Refused));
    }

    #[test]
    fn what_this_host_lacks_is_no_fact_about_another() {
        let lack = Observed::Unlinked(LinkLoss::Local(LocalLack::Descriptors));
        let settings = GroupSettings { crash_down_after_ms: 100, ..settings() };
        let lost = [
            (0, Observed::Linked),
            (500, Observed::Valid(ValidReply::Pong)),
            (600, Observed::Unlinked(LinkLoss::Closed)),
            (610, lack.clone()),
        ];
        let mut node = node(&lost);
        assert_eq!(judge(&node, &settings, 90_000), Verdict::CannotJudge, "however long the lack lasts");
        // It ends after 80 s: those do not count, what was before does.
        node.note(Observed::Unlinked(LinkLoss::Refused), at(80_610));
        assert_eq!(judge(&node, &settings, 80_611), Verdict::Late { deadline: at(80_700) }, "110 ms of silence, refused for 10");
        assert_eq!(evidence(&judge(&node, &settings, 80_700)), Some(Evidence::Refused));
        // A lack that comes and goes delays by no more than it lasts.
        node.note(lack, at(80_650));
        node.note(Observed::Unlinked(LinkLoss::Refused), at(80_660));
        assert_eq!(judge(&node, &settings, 80_661), Verdict::Late { deadline: at(80_710) });
    }

    #[test]
    fn time_in_which_we_slept_is_no_silence() {
        let mut node = node(&[(0, Observed::Linked), (500, Observed::Valid(ValidReply::Pong)), (600, Observed::Pinged)]);
        // Asleep from 900 on: 400 ms of silence are what we were awake for.
        node.forgive_silence(8100, 500, at(9000));
        assert_eq!(judge(&node, &settings(), 9001), Verdict::Late { deadline: at(9600) });
        // However long the silence was before, we look for some time more.
        node.forgive_silence(2000, 500, at(12_000));
        assert_eq!(judge(&node, &settings(), 12_001), Verdict::Late { deadline: at(12_500) });
    }

    #[test]
    fn busy_with_a_script_is_down_with_that_evidence() {
        let busy = Observed::Invalid(crate::base::observation::InvalidReply::Busy);
        let node = node(&[(0, Observed::Linked), (100, Observed::Valid(ValidReply::Pong)), (200, busy)]);
        assert_eq!(evidence(&judge(&node, &settings(), 1100)), Some(Evidence::Busy));
    }

    #[test]
    fn loading_is_life_unless_a_limit_is_set() {
        let loading = |ms| (ms, Observed::Valid(ValidReply::Loading));
        let node = node(&[(0, Observed::Linked), loading(100), loading(5000)]);
        assert_eq!(judge(&node, &settings(), 5001), Verdict::Up);
        let limited = GroupSettings { master_reboot_down_after_ms: 3000, ..settings() };
        assert_eq!(evidence(&judge(&node, &limited, 5001)), Some(Evidence::Loading));
    }
}

//! The fence of a group in a phrase, for all who answer.

use crate::base::settings::PromotionPolicy;
use crate::judge::GroupView;
use crate::machine::Group;

/// Why it is not in force, or what is wrong with it all the same; none if it is, and nothing is.
pub(in crate::serve) fn complaint(group: &Group, view: Option<&GroupView>) -> Option<String> {
    let seen = view.and_then(|view| view.fence_problem.clone());
    if group.is_armed() {
        return seen;
    }
    let wanted = group.wanted_fence().is_some();
    let unwanted = match group.settings.promotion_policy {
        PromotionPolicy::Available => "the policy is available",
        PromotionPolicy::Auto => "fewer than two replicas are known",
        PromotionPolicy::Strict => "no replica is known",
    };
    Some(seen.unwrap_or_else(|| if wanted { "it is not armed yet" } else { unwanted }.to_owned()))
}

//! What an event calls for, by the settings of its group.

use crate::base::{NodeId, ScriptKind, StoredWebhook};
use crate::events::{Spoken, Switch};
use crate::machine::Group;

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HookDue {
    /// Scripts to run: path and arguments.
    pub(super) scripts: Vec<(ScriptKind, Vec<String>)>,
    /// Where to post it.
    pub(super) webhook: Option<StoredWebhook>,
}

/// What `spoken`, an event about `group`, calls for on the sentinel `me`.
pub(super) fn due(spoken: &Spoken, group: &Group, me: NodeId) -> HookDue {
    if !spoken.calls_out() {
        return HookDue::default();
    }
    let settings = &group.settings;
    // A file of a stock sentinel brings its scripts along, and that sentinel still runs them: they may move addresses.
    let runs = !group.in_shadow();
    let notification = settings.notification_script.as_ref().map(|path| (ScriptKind::Notification, notification(path, spoken)));
    let reconfig = settings.client_reconfig_script.as_ref().zip(spoken.switch.as_ref());
    let reconfig = reconfig.map(|(path, switch)| (ScriptKind::ClientReconfig, client_reconfig(path, group, switch, me)));
    HookDue { scripts: notification.into_iter().chain(reconfig).filter(|_| runs).collect(), webhook: settings.notification_webhook.clone() }
}

fn notification(path: &str, spoken: &Spoken) -> Vec<String> {
    vec![path.to_owned(), spoken.channel.to_owned(), spoken.payload.clone()]
}

fn client_reconfig(path: &str, group: &Group, switch: &Switch, me: NodeId) -> Vec<String> {
    let (from, to) = (&switch.from, &switch.to);
    let role = if decided_by(group, switch) == Some(me) { "leader" } else { "observer" };
    let ports = [from.port(), to.port()].map(|port| port.to_string());
    [path, group.name.as_str(), role, "start", from.host(), &ports[0], to.host(), &ports[1]].map(ToOwned::to_owned).into()
}

/// The sentinel that took the decision. The log says who, so exactly one sentinel is the leader of a switch, whoever leads
/// by the time the others hear of it.
fn decided_by(group: &Group, switch: &Switch) -> Option<NodeId> {
    let decision = group.history.iter().rev().find(|decision| decision.id.epoch == switch.epoch && decision.choice.is_some())?;
    decision.choice.as_ref().map(|(_, by)| *by)
}

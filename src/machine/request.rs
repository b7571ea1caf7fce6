//! Who asked for what: the changes that clients asked for, as the log keeps them.
//!
//! The asker is put into the command by the sentinel that was asked, and goes with it to the leader. No secret is kept: options that hold one are named only.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cause::FailoverMode;
use super::command::Command;
use super::failover::Stamp;
use super::shadow::ShadowEntry;
use crate::base::parameters::ParameterChange;
use crate::base::settings::SettingChange;
use crate::base::{GroupName, NodeId, WallTime, limits};

/// Characters that are kept of a user's name, an address or a port's name.
const NAME_CHARS: usize = 64;
/// Characters that are kept of what was asked.
const WORDS_CHARS: usize = 200;

/// Who asked for a command, if a client did.
pub type Asked = Option<Arc<Asker>>;

/// A client that asks for a change. Short and printable by construction, whatever the client calls itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AskerText")]
pub struct Asker {
    user: String,
    from: String,
    port: String,
    sentinel: NodeId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

/// An asker as it was written down, perhaps by another release: cut again, so that nothing longer is ever kept.
#[derive(Deserialize)]
struct AskerText {
    user: String,
    from: String,
    port: String,
    sentinel: NodeId,
    #[serde(default)]
    words: Option<String>,
}

impl From<AskerText> for Asker {
    fn from(written: AskerText) -> Self {
        let asker = Self::new(&written.user, &written.from, &written.port, written.sentinel);
        Self { words: written.words.map(|words| kept(&words, WORDS_CHARS)), ..asker }
    }
}

impl Asker {
    /// The client of this user, at this address, that came to this port of this sentinel.
    pub fn new(user: &str, from: &str, port: &str, sentinel: NodeId) -> Self {
        let name = |text| kept(text, NAME_CHARS);
        Self { user: name(user), from: name(from), port: name(port), sentinel, words: None }
    }

    /// With the words of what was asked, where the command does not say it.
    #[must_use]
    pub fn saying(self, words: &str) -> Self {
        Self { words: Some(kept(words, WORDS_CHARS)), ..self }
    }

    pub(super) const fn has_words(&self) -> bool {
        self.words.is_some()
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The client's address.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The kind of port it came to.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// The sentinel that was asked.
    pub const fn sentinel(&self) -> NodeId {
        self.sentinel
    }
}

impl Command {
    /// The same command, asked for by this client. It changes nothing where the command is none that clients ask for.
    #[must_use]
    pub fn asked_by(mut self, who: Asker) -> Self {
        if let Some(asked) = self.asked_mut() {
            *asked = Some(Arc::new(who));
        }
        self
    }

    const fn asked_mut(&mut self) -> Option<&mut Asked> {
        match self {
            Self::ConfigureGroup { asked, .. }
            | Self::SetOptions { asked, .. }
            | Self::RemoveGroup { asked, .. }
            | Self::ResetGroup { asked, .. }
            | Self::ReplicaNamed { asked, .. }
            | Self::ReplicaForgotten { asked, .. }
            | Self::FailoverRequested { asked, .. }
            | Self::SetParameters { asked, .. }
            | Self::Shadow { asked, entry: ShadowEntry::TakeOver { .. } | ShadowEntry::StandDown { .. }, .. } => Some(asked),
            _ => None,
        }
    }

    /// Who asked for it, about which group, and when.
    pub(super) const fn asked(&self) -> Option<(&Arc<Asker>, Option<&GroupName>, WallTime)> {
        let (asked, group, at) = match self {
            Self::ConfigureGroup { asked, name, at, .. } => (asked, Some(name), at),
            Self::SetOptions { asked, group, at, .. }
            | Self::RemoveGroup { asked, group, at, .. }
            | Self::ResetGroup { asked, group, at, .. }
            | Self::ReplicaNamed { asked, group, at, .. }
            | Self::ReplicaForgotten { asked, group, at, .. }
            | Self::FailoverRequested { asked, group, at, .. }
            | Self::Shadow { asked, group, at, .. } => (asked, Some(group), at),
            Self::SetParameters { asked, at, .. } => (asked, None, at),
            _ => return None,
        };
        match asked {
            Some(asked) => Some((asked, group, *at)),
            None => None,
        }
    }
}

/// A text that is short and has nothing in it that could break a line, or pretend to be another. What is kept stays the same when it is kept again.
fn kept(text: &str, chars: usize) -> String {
    text.chars().take(chars).map(|c| if is_shown(c) { c } else { '?' }).collect()
}

fn is_shown(c: char) -> bool {
    // Escaped for debugging: controls, and what turns the direction of a line or has no width.
    c == '\'' || c == '"' || c == '\\' || c.escape_debug().len() == 1
}

/// One change that a client asked for, and that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its entry, and when it was asked for.
    pub stamp: Stamp,
    /// The group, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// What was asked.
    pub what: String,
    /// Who asked.
    pub by: Arc<Asker>,
}

/// The newest requests, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Requests(VecDeque<Arc<Request>>);

impl Requests {
    /// The newest requests, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Request> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, request: Request) {
        self.0.push_back(Arc::new(request));
        while self.0.len() > limits::REQUESTS {
            self.0.pop_front();
        }
    }
}

/// What a command asks for, in words.
pub(super) fn words(command: &Command, asker: &Asker) -> String {
    if let Some(words) = &asker.words {
        return words.clone();
    }
    let text = match command {
        Command::ConfigureGroup { master, settings, .. } => format!("monitor {master}, quorum {}", settings.quorum),
        Command::SetOptions { changes, .. } => format!("set {}", listed(changes.iter().map(setting))),
        Command::ResetGroup { down, .. } => format!("reset: {} replicas that are down", down.len()),
        Command::ReplicaNamed { replica, adopts: Some(process), .. } => format!("adopt {replica}, process {process}"),
        Command::ReplicaNamed { replica, .. } => format!("known-replica {replica}"),
        Command::ReplicaForgotten { replica, .. } => format!("forget {replica}"),
        Command::FailoverRequested { manner, target, .. } => {
            let how = match manner {
                FailoverMode::Plain => "",
                FailoverMode::Coordinated => " coordinated",
                FailoverMode::Force => " force",
            };
            let to = target.as_ref().map(|target| format!(" to {target}")).unwrap_or_default();
            format!("failover{how}{to}")
        }
        Command::SetParameters { changes, .. } => format!("config set {}", listed(changes.iter().map(parameter))),
        Command::Shadow { entry: ShadowEntry::TakeOver { despite_stock: true, .. }, .. } => "take-over despite other sentinels".to_owned(),
        other => other.name().to_owned(),
    };
    kept(&text, WORDS_CHARS)
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn setting(change: &SettingChange) -> String {
    match change {
        // A password and a token in a URL are named only.
        SettingChange::AuthPass(_) | SettingChange::NotificationWebhook(_) => change.option().to_owned(),
        _ => format!("{} {}", change.option(), change.shown_value()),
    }
}

fn parameter(change: &ParameterChange) -> String {
    match change {
        ParameterChange::ResolveHostnames(yes) => format!("resolve-hostnames {}", yes_no(*yes)),
        ParameterChange::AnnounceHostnames(yes) => format!("announce-hostnames {}", yes_no(*yes)),
        ParameterChange::AnnounceIp(host) => format!("announce-ip {}", host.as_deref().unwrap_or("\"\"")),
        ParameterChange::AnnouncePort(port) => format!("announce-port {port}"),
    }
}

const fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn asker() -> Asker {
        Asker::new("ops", "10.0.0.1:50000", "sentinel", NodeId(2))
    }

    #[test]
    fn whatever_a_client_calls_itself_is_kept_short_and_printable_and_stays_so() {
        let wild = format!("a\n\u{202e}b'\"\\é{}", "x".repeat(1000));
        let asker = Asker::new(&wild, &wild, &wild, NodeId(1)).saying(&wild);
        assert!(asker.user().starts_with("a??b'\"\\éx") && asker.user().chars().count() == NAME_CHARS, "{}", asker.user());
        let written = serde_json::to_string(&asker).expect("it is written");
        assert_eq!(serde_json::from_str::<Asker>(&written).expect("it is read"), asker);
        let longer = written.replace("xxx", "yyyyyyyy\\n");
        assert!(serde_json::from_str::<Asker>(&longer).expect("it is read").user().chars().count() <= NAME_CHARS);
    }

    #[test]
    fn changes_that_were_made_are_remembered_up_to_a_bound() {
        use crate::base::{Addr, Epoch, GroupSettings, LogIndex};
        use crate::machine::State;
        use crate::machine::command::Origin;
        let (mut state, name) = (State::default(), GroupName::new("m").expect("a name"));
        let mut index = 0;
        let mut apply = |state: &mut State, command: Command| {
            index += 1;
            state.apply(LogIndex(index), &command);
        };
        let (at, quorum) = (WallTime(7), |quorum| vec![SettingChange::Quorum(quorum)]);
        let set = |quorum_is| Command::SetOptions { group: name.clone(), changes: quorum(quorum_is), at, asked: None };
        // Nobody asked; refused; made; so already.
        let master = Addr::new("10.0.0.1", 6379).expect("an address");
        let configure = Command::ConfigureGroup {
            name: name.clone(),
            master,
            settings: GroupSettings::default(),
            replicas: Vec::new(),
            epoch: Epoch(0),
            origin: Origin::File,
            at,
            takes_up: None,
            asked: None,
        };
        apply(&mut state, set(5).asked_by(asker()));
        apply(&mut state, configure);
        assert!(state.requests.is_empty());
        apply(&mut state, set(5).asked_by(asker()));
        apply(&mut state, set(5).asked_by(asker()));
        let seen: Vec<_> = state.requests.iter().map(|request| (request.stamp.index.0, request.what.as_str())).collect();
        assert_eq!(seen, [(3, "set quorum 5")]);
        for number in 0..2 * u32::try_from(limits::REQUESTS).expect("it is small") {
            apply(&mut state, set(number % 2 + 1).asked_by(asker()));
        }
        assert_eq!(state.requests.iter().count(), limits::REQUESTS);
        apply(&mut state, Command::RemoveGroup { group: name.clone(), at, keep: None, asked: None }.asked_by(asker()));
        assert_eq!(state.requests.iter().next_back().map(|request| request.what.as_str()), Some("remove-group"));
    }

    #[test]
    fn no_secret_is_among_the_words() {
        let changes = vec![
            SettingChange::Quorum(3),
            SettingChange::AuthPass(Some(Secret::new("hunter2").into())),
            SettingChange::RenameCommand { command: "CONFIG".to_owned(), to: "x".to_owned() },
        ];
        let group = GroupName::new("m").expect("a name");
        let command = Command::SetOptions { group, changes, at: WallTime(1), asked: None };
        assert_eq!(words(&command, &asker()), "set quorum 3, auth-pass, rename-command CONFIG x");
    }
}

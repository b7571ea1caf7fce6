//! One sentinel's hooks, and events to tell them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_sentinel::base::settings::SettingChange;
use raft_sentinel::base::{
    Addr, CallRules, ClusterId, Epoch, GroupName, GroupSettings, LogIndex, NodeId, ReplId, RunId, SentinelId, WallTime, WebhookUrl,
};
use raft_sentinel::clock::Clock;
use raft_sentinel::events::{FeedItem, Hub, Level, Origin, Spoken, Switch};
use raft_sentinel::hooks::{Hooks, Limits, OwnFile, SenderIdentity, Sources, script, webhook};
use raft_sentinel::machine::choice::ChosenFor;
use raft_sentinel::machine::command::Origin as From;
use raft_sentinel::machine::{Candidate, Choice, Command as Entry, DownEvidence, Evidence, FencingProof, Identity, Outcome, State};
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Whatever a test waits for comes within this time, or never.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) hooks: Hooks,
    pub(crate) hub: Hub,
    pub(crate) dir: TempDir,
    state: Arc<Mutex<Arc<State>>>,
    said: broadcast::Receiver<Arc<FeedItem>>,
    cancel: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

pub(crate) fn group() -> GroupName {
    GroupName::new("mymaster").unwrap()
}

pub(crate) fn addr(port: u16) -> Addr {
    Addr::new("127.0.0.1", port).expect("an address")
}

/// Short pauses, and the counts of production.
pub(crate) fn quick() -> Limits {
    Limits {
        scripts: script::Limits { retry_ms: 10, run_ms: 10_000, ..script::Limits::default() },
        webhooks: webhook::Limits { retry_ms: 10, attempt_ms: 5_000, ..webhook::Limits::default() },
    }
}

impl World {
    pub(crate) fn start(limits: Limits) -> Self {
        Self::start_as(NodeId(1), limits, None)
    }

    pub(crate) fn start_as(me: NodeId, limits: Limits, history_until: Option<WallTime>) -> Self {
        let (dir, clock, hub) = (tempfile::tempdir().unwrap(), Clock::default(), Hub::default());
        let state = Arc::new(Mutex::new(Arc::new(state())));
        let rules = CallRules { own_only: false, webhook_places: Some(vec!["127.0.0.1".parse().unwrap()]), ..CallRules::default() };
        let hooks = Hooks::new(limits, OwnFile { rules: Arc::new(rules), ..OwnFile::default() }, clock, dir.path().to_owned(), hub.clone());
        let (cancel, read) = (CancellationToken::new(), Arc::clone(&state));
        let teller = SenderIdentity {
            cluster: ClusterId::new("prod").expect("an id"),
            node: me,
            sentinel: SentinelId::new("1".repeat(40)).expect("an id"),
        };
        let state_now = Box::new(move || Arc::clone(&read.lock().unwrap()));
        let sources = Sources { news: hub.listen(), state: state_now, clock, teller, history_until };
        tokio::spawn(hooks.clone().run(sources, cancel.clone()));
        Self { said: hub.listen(), hooks, hub, dir, state, cancel }
    }

    /// Applies a command that must change the state.
    pub(crate) fn done(&self, command: &Entry) {
        let mut shared = self.state.lock().unwrap();
        let mut state = State::clone(&shared);
        let (outcome, _) = state.apply(LogIndex(state.applied.0 + 1), command);
        assert_eq!(outcome, Outcome::Done, "{command:?}");
        *shared = Arc::new(state);
    }

    pub(crate) fn set(&self, change: SettingChange) {
        self.done(&Entry::SetOptions { group: group(), changes: vec![change], at: WallTime(0), asked: None });
    }

    pub(crate) fn set_webhook(&self, url: &str) {
        self.set(SettingChange::NotificationWebhook(Some(WebhookUrl::new(url).unwrap().into())));
    }

    /// Writes a shell script into the working directory and makes it the notification script.
    pub(crate) fn notify_with(&self, body: &str) {
        write_script(&self.dir.path().join("notify.sh"), body);
        self.set(SettingChange::NotificationScript(Some("notify.sh".to_owned())));
    }

    /// A warning about the group, which is what scripts and webhooks are told of.
    pub(crate) fn warn(&self, channel: &'static str, payload: &str) {
        self.hub.say(event(channel, payload));
    }

    /// A failover, decided by this sentinel, up to the moment when clients are sent to the new master.
    pub(crate) fn fail_over(&self, by: NodeId) -> Spoken {
        for voter in [1, 2] {
            let testimony = DownEvidence { evidence: Evidence::Refused, silent_ms: 1000, limit_ms: 1000, replicas: vec![] };
            self.done(&Entry::VoteDown { group: group(), epoch: Epoch(4), voter: NodeId(voter), testimony, at: WallTime(0) });
        }
        let id = self.state.lock().unwrap().groups[&group()].failover.as_ref().unwrap().id;
        let candidates =
            vec![Candidate { addr: addr(6380), run_id: None, priority: None, offset: None, detached: false, ineligible: None }];
        let choice = Choice {
            chosen: addr(6380),
            candidates,
            reason: ChosenFor::RunId,
            master_offset: None,
            estimated_loss_bytes: None,
            basis: FencingProof::Unfenced,
            arms: None,
            by_hand: false,
        };
        self.done(&Entry::Promote { group: group(), id, choice, by, at: WallTime(0) });
        let identity = Identity {
            run_id: RunId::new("b").expect("an id"),
            replid: ReplId::new("f").expect("an id"),
            replid2: None,
            second_offset: None,
        };
        self.done(&Entry::Promoted { group: group(), id, identity, at: WallTime(0) });
        let switch = Switch { epoch: Epoch(5), from: addr(6379), to: addr(6380) };
        Spoken { switch: Some(switch), ..event("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6380") }
    }

    /// The next event that the hooks said of themselves.
    pub(crate) async fn said(&mut self) -> (&'static str, String) {
        let next = async {
            loop {
                if let FeedItem::Event(spoken) = &*self.said.recv().await.unwrap()
                    && spoken.group.is_none()
                {
                    return (spoken.channel, spoken.payload.clone());
                }
            }
        };
        tokio::time::timeout(SOON, next).await.expect("the hooks say something")
    }

    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(file)).unwrap_or_default()
    }
}

pub(crate) fn event(channel: &'static str, payload: &str) -> Spoken {
    let origin = Origin::Agreed { index: LogIndex(77), at: WallTime(1_700_000_000_123_456) };
    let (payload, group) = (payload.to_owned(), Some(group()));
    Spoken { channel, payload, level: Level::Warning, group, published: true, origin, switch: None }
}

/// Through another process: one that is forked here by another test would inherit the open file, which could not be executed meanwhile.
pub(crate) fn write_script(path: &Path, body: &str) {
    let script = format!("#!/bin/sh\n{body}\n");
    let write = "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let done = Command::new("/bin/sh").args(["-c", write]).arg(path).arg(script).status().unwrap();
    assert!(done.success(), "{}", path.display());
}

fn state() -> State {
    let mut state = State::default();
    state.apply_membership(LogIndex(1), (1..=3).map(NodeId).collect::<BTreeSet<_>>());
    let configure = Entry::ConfigureGroup {
        name: group(),
        master: addr(6379),
        settings: GroupSettings { quorum: 2, ..GroupSettings::default() },
        replicas: vec![addr(6380)],
        epoch: Epoch(4),
        origin: From::Operator,
        at: WallTime(0),
        takes_up: None,
        asked: None,
    };
    state.apply(LogIndex(2), &configure);
    state
}

/// Looks again and again until it is so.
pub(crate) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let look = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, look).await.unwrap_or_else(|_| panic!("not so within {SOON:?}: {what}"));
}

//! Secrets that are sealed anew take the place of what their proposer saw, and of nothing else.

use raft_sentinel::base::settings::SettingChange;
use raft_sentinel::base::{Addr, Epoch, GroupName, GroupSettings, LogIndex, Sealed, StoredSecret, StoredWebhook, WallTime, WebhookUrl};
use raft_sentinel::machine::command::Origin;
use raft_sentinel::machine::{Command, Outcome, State};

fn name() -> GroupName {
    GroupName::new("mymaster").expect("it is a name")
}

fn sealed(byte: u8) -> StoredSecret {
    StoredSecret::Sealed(Sealed::new("0123456789abcdef", &[byte]).expect("it is sealed text"))
}

struct World(State);

impl World {
    fn with_password(pass: StoredSecret) -> Self {
        let mut world = Self(State::default());
        world.apply(&Command::SentinelLeft { id: raft_sentinel::base::NodeId(9) });
        world.monitor(pass);
        world
    }

    fn monitor(&mut self, pass: StoredSecret) {
        let settings = GroupSettings { auth_pass: Some(pass), ..GroupSettings::default() };
        let (master, origin, at) = (Addr::new("127.0.0.1", 6379).expect("an address"), Origin::Operator, WallTime(0));
        let command = Command::ConfigureGroup {
            name: name(),
            master,
            settings,
            replicas: Vec::new(),
            epoch: Epoch(0),
            origin,
            at,
            takes_up: None,
            asked: None,
        };
        assert_eq!(self.apply(&command), Outcome::Done);
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        self.0.apply(LogIndex(self.0.applied.0 + 1), command).0
    }

    fn set(&mut self, change: SettingChange) -> Outcome {
        self.apply(&Command::SetOptions { group: name(), changes: vec![change], at: WallTime(0), asked: None })
    }

    /// Sealed by one that had seen everything up to `seen`.
    fn seal(&mut self, seen: LogIndex, auth_pass: Option<StoredSecret>, notification_webhook: Option<StoredWebhook>) -> Outcome {
        self.apply(&Command::SecretsSealed { group: name(), seen, auth_pass, notification_webhook, at: WallTime(0) })
    }

    fn password(&self) -> Option<StoredSecret> {
        self.0.groups.get(&name()).and_then(|group| group.settings.auth_pass.clone())
    }
}

#[test]
fn what_was_seen_is_replaced_once() {
    let mut world = World::with_password(StoredSecret::new("clear"));
    let seen = world.0.applied;
    assert_eq!(world.seal(seen, Some(sealed(1)), None), Outcome::Done);
    assert_eq!(world.password(), Some(sealed(1)));
    assert_eq!(world.seal(seen, Some(sealed(1)), None), Outcome::Unchanged);
}

#[test]
fn what_was_set_since_stays() {
    let mut world = World::with_password(StoredSecret::new("clear"));
    let seen = world.0.applied;
    world.set(SettingChange::AuthPass(Some(sealed(2))));
    assert_eq!(world.seal(seen, Some(sealed(1)), None), Outcome::Unchanged);
    assert_eq!(world.password(), Some(sealed(2)));
    world.set(SettingChange::ParallelSyncs(7));
    let seen = LogIndex(world.0.applied.0 - 1);
    assert_eq!(world.seal(seen, Some(sealed(3)), None), Outcome::Done, "another setting is none of its business");
}

#[test]
fn a_group_that_was_monitored_again_is_another_one() {
    let mut world = World::with_password(StoredSecret::new("clear"));
    let seen = world.0.applied;
    world.apply(&Command::RemoveGroup { group: name(), at: WallTime(0), keep: None, asked: None });
    assert!(matches!(world.seal(seen, Some(sealed(1)), None), Outcome::Refused(_)));
    world.monitor(StoredSecret::new("another"));
    assert_eq!(world.seal(seen, Some(sealed(1)), None), Outcome::Unchanged);
    assert_eq!(world.password(), Some(StoredSecret::new("another")));
}

#[test]
fn what_is_not_there_is_not_made() {
    let mut world = World::with_password(StoredSecret::new("clear"));
    world.set(SettingChange::AuthPass(None));
    let url = StoredWebhook::from(WebhookUrl::new("http://h/").expect("it is a URL"));
    let seen = world.0.applied;
    assert_eq!(world.seal(seen, Some(sealed(1)), Some(url)), Outcome::Unchanged);
    assert_eq!(world.password(), None);
}

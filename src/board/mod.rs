//! The notice board: what this sentinel sees, hung up by `agent`, read by `serve`.
//!
//! It holds the latest [`GroupView`] of each group and what is heard around it ([`Neighbours`]), and spreads [`Notice`]s of what
//! changed in this sentinel's own eyes.
//! Nothing on it is agreed upon by the cluster; that is `machine::State`.

mod neighbours;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast;

use crate::base::{Addr, GroupName, SentinelId, limits};
use crate::judge::GroupView;

pub use neighbours::{Channel, Foreign, Neighbours, Subscription, Trouble};

/// Something that changed in this sentinel's own eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The group.
    pub group: GroupName,
    /// The data node; the recorded master where it is about the group.
    pub node: Addr,
    /// What changed.
    pub what: NoticeKind,
}

/// What can change in this sentinel's own eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The node is down (`+sdown`).
    Down,
    /// The node is up again (`-sdown`).
    Up,
    /// The role it reports changed (`+role-change` when `expected`, else `-role-change`).
    RoleChanged {
        /// Whether it now reports a master's role.
        to_master: bool,
        /// Whether that is the recorded role.
        expected: bool,
    },
    /// A data node that was a master by mistake was told to be a replica (`+convert-to-slave`).
    Demoted,
    /// A replica that followed another address was pointed at the master (`+fix-slave-config`).
    Repointed,
    /// This sentinel holds back (`+held-back`), or no longer does (`-held-back`).
    HeldBack {
        /// Why.
        why: String,
        /// Whether it does.
        holds: bool,
    },
    /// Something has been wrong with the group's fence for a while (`+fence-problem`).
    FenceProblem {
        /// What, for people.
        why: String,
    },
    /// Nothing is wrong with the group's fence any more (`-fence-problem`).
    FenceWell,
    /// A server of others is at an address of the group, and is left as it is; or it is gone.
    ForeignServer {
        /// Whose it is, and what can be done, for people; none where it is gone.
        why: Option<String>,
    },
    /// The loss of the master would not be made good as it should be, for a while now (`+failover-unready`).
    Unready {
        /// Why, for people.
        why: String,
    },
    /// It would be, again (`-failover-unready`).
    Ready,
    /// A command is known there by a name that cannot be right; it is sent by its own name (`+rename-refused`).
    RenameRefused {
        /// The command, the name, and the reason, for people.
        what: String,
    },
    /// It was pointed at the new master of the failover that is under way.
    PointedAtNewMaster,
    /// A sentinel that is not of this cluster watches the same data nodes (`+foreign-sentinel`), or no longer does (`-foreign-sentinel`).
    Foreign {
        /// Its public id.
        id: SentinelId,
        /// Where it says that it listens.
        addr: Addr,
        /// Whether it came, or went.
        present: bool,
    },
}

type Subscriptions = BTreeMap<(GroupName, SentinelId), Arc<Subscription>>;

/// The board. Cheap to clone; all clones are one board.
#[derive(Clone, Debug)]
pub struct Board {
    groups: Arc<RwLock<BTreeMap<GroupName, Arc<GroupView>>>>,
    notices: broadcast::Sender<Arc<Notice>>,
    neighbours: Arc<RwLock<BTreeMap<GroupName, Arc<Neighbours>>>>,
    malformed_hellos: Arc<AtomicU64>,
    subscriptions: Arc<RwLock<Subscriptions>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            groups: Arc::default(),
            notices: broadcast::Sender::new(limits::EVENTS_WAITING),
            neighbours: Arc::default(),
            malformed_hellos: Arc::default(),
            subscriptions: Arc::default(),
        }
    }
}

impl Board {
    /// The latest view of a group; none before the first look at it.
    pub fn group(&self, name: &GroupName) -> Option<Arc<GroupView>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Replaces the view of a group.
    pub fn show(&self, name: &GroupName, view: GroupView) {
        self.groups.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::new(view));
    }

    /// Takes a group down that is no longer monitored.
    pub fn hide(&self, name: &GroupName) {
        self.groups.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// What is heard around a group.
    pub fn neighbours(&self, name: &GroupName) -> Arc<Neighbours> {
        self.neighbours.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    /// Replaces what is heard around all groups.
    pub fn show_neighbours(&self, all: BTreeMap<GroupName, Arc<Neighbours>>) {
        *self.neighbours.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// How the subscription to a stock sentinel fares; none if there is to be none.
    pub fn subscription(&self, group: &GroupName, sentinel: &SentinelId) -> Option<Arc<Subscription>> {
        self.subscriptions.read().unwrap_or_else(PoisonError::into_inner).get(&(group.clone(), sentinel.clone())).cloned()
    }

    /// Replaces that; true if it was another.
    pub fn show_subscription(&self, group: &GroupName, sentinel: &SentinelId, now: Option<Arc<Subscription>>) -> bool {
        let mut all = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let key = (group.clone(), sentinel.clone());
        let before = match now.clone() {
            Some(now) => all.insert(key, now),
            None => all.remove(&key),
        };
        before != now
    }

    /// Counts a message on a hello channel that was no hello.
    pub fn count_malformed_hello(&self) {
        self.malformed_hellos.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages on hello channels that were no hello.
    pub fn malformed_hellos(&self) -> u64 {
        self.malformed_hellos.load(Ordering::Relaxed)
    }

    /// Spreads a notice to those who listen.
    pub fn notify(&self, notice: Notice) {
        // An error means that nobody listens, which is fine.
        let _ = self.notices.send(Arc::new(notice));
    }

    /// Listens for notices from now on.
    pub fn notices(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }
}

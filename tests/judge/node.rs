//! A made-up data node: it does as it is told, unless it is stubborn.

use raft_sentinel::base::observation::Role;
use raft_sentinel::base::{Addr, Fence};
use raft_sentinel::judge::Ask;

/// A made-up data node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) alive: bool,
    pub(crate) refuses_credentials: bool,
    /// Its host is cut off: it lives, and nobody hears of it.
    pub(crate) silent: bool,
    /// It answers PING, and is slow to answer more.
    pub(crate) slow: bool,
    /// It does not get what its master writes.
    pub(crate) lags: bool,
    pub(crate) follows: Option<Addr>,
    pub(crate) offset: u64,
    pub(crate) history: &'static str,
    pub(crate) run: u32,
    pub(crate) priority: u32,
    /// What it holds of the fence; none where it refuses CONFIG.
    pub(crate) fence: Option<Fence>,
    /// Changes of role that it was made to carry out.
    pub(crate) obeyed: Vec<Ask>,
    /// It receives its first copy.
    pub(crate) copying: bool,
    /// Does not carry out what it is asked.
    pub(crate) stubborn: bool,
    /// Those that follow it, acknowledge, and listen on no port.
    pub(crate) hangers_on: u32,
    /// A script keeps it busy: it says so, and nothing else.
    pub(crate) busy: bool,
    /// It has no key.
    pub(crate) empty: bool,
    /// It was started without a configuration file.
    pub(crate) fileless: bool,
    /// It cannot write its file.
    pub(crate) unwritable: bool,
}

impl Node {
    pub(crate) fn new(run: u32) -> Self {
        Self {
            alive: true,
            refuses_credentials: false,
            silent: false,
            slow: false,
            lags: false,
            follows: None,
            offset: 100,
            history: "h",
            run,
            priority: 100,
            fence: Some(Fence::OFF),
            obeyed: Vec::new(),
            copying: false,
            stubborn: false,
            hangers_on: 0,
            busy: false,
            empty: false,
            fileless: false,
            unwritable: false,
        }
    }

    /// Whether it can be reached.
    pub(crate) const fn is_there(&self) -> bool {
        self.alive && !self.silent
    }

    pub(crate) fn role(&self) -> Role {
        if self.follows.is_none() { Role::Master } else { Role::Replica }
    }
}

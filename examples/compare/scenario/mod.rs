//! The scenarios: what happens, told as one function each. They are data to everybody else.

mod drill;
mod network;
mod process;

use crate::act::Act;

/// One scenario.
pub(crate) struct Scenario {
    /// Its name on the command line.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What happens, for people.
    pub(crate) what: &'static str,
    /// Whether it cuts connections between hosts, which needs hosts of their own.
    pub(crate) cuts: bool,
    /// How often it is run unless somebody says otherwise.
    pub(crate) runs: u32,
    pub(crate) needs: Needs,
    pub(crate) play: fn(&mut Act<'_>) -> anyhow::Result<()>,
}

/// What differs from the usual deployment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) groups: usize,
    pub(crate) together: bool,
    pub(crate) priorities: [u32; 2],
}

const USUAL: Needs = Needs { groups: 1, together: false, priorities: [100, 100] };

/// All of them, in the order in which they are run and told.
pub(crate) const ALL: [Scenario; 12] = [
    Scenario {
        id: "crash",
        title: "The master crashes",
        what: "SIGKILL to the master. A second after applications write again, it is started again, empty, and takes itself for a master.",
        cuts: false,
        runs: 3,
        needs: USUAL,
        play: process::crash,
    },
    Scenario {
        id: "hang",
        title: "The master hangs",
        what: "SIGSTOP to the master: connections stay open and nobody answers. A second after applications write again, SIGCONT.",
        cuts: false,
        runs: 3,
        needs: USUAL,
        play: process::hang,
    },
    Scenario {
        id: "cut-off",
        title: "The master's host is cut off",
        what: "For eight seconds nothing passes between the master's host and all others, silently. A client beside the master goes on writing to it.",
        cuts: true,
        runs: 2,
        needs: USUAL,
        play: network::cut_off,
    },
    Scenario {
        id: "cut-off-minority",
        title: "The master is cut off together with a sentinel",
        what: "As before, but one of the three sentinels lives on the master's host, and goes on answering whoever is cut off with it.",
        cuts: true,
        runs: 2,
        needs: Needs { together: true, ..USUAL },
        play: network::cut_off,
    },
    Scenario {
        id: "one-way",
        title: "One-way cut",
        what: "For eight seconds what the master's host sends is lost; what is sent to it arrives. A client beside the master goes on writing to it.",
        cuts: true,
        runs: 1,
        needs: USUAL,
        play: network::one_way,
    },
    Scenario {
        id: "leader-killed",
        title: "The leading sentinel dies in its failover",
        what: "SIGKILL to the master; the sentinel that leads the failover ends before it has chosen a replica (SENTINEL SIMULATE-FAILURE crash-after-election).",
        cuts: false,
        runs: 1,
        needs: USUAL,
        play: drill::leader_killed,
    },
    Scenario {
        id: "preferred-behind",
        title: "The preferred replica is far behind",
        what: "The replica with the better priority has not replicated for four seconds, the other one has everything. Then SIGKILL to the master.",
        cuts: false,
        runs: 2,
        needs: Needs { priorities: [10, 100], ..USUAL },
        play: process::preferred_behind,
    },
    Scenario {
        id: "restarted-empty",
        title: "The master is restarted empty",
        what: "SIGKILL to the master, and it is back at once, without data, long before anybody takes it for down.",
        cuts: false,
        runs: 3,
        needs: USUAL,
        play: process::restarted_empty,
    },
    Scenario {
        id: "planned",
        title: "Planned change under load",
        what: "SENTINEL FAILOVER while clients write.",
        cuts: false,
        runs: 3,
        needs: USUAL,
        play: drill::planned,
    },
    Scenario {
        id: "flapping",
        title: "Flapping link",
        what: "The master's host loses its link eight times, each time for 0.8 of the limit (down-after-milliseconds), with 0.6 of it in between.",
        cuts: true,
        runs: 1,
        needs: USUAL,
        play: network::flapping,
    },
    Scenario {
        id: "sentinels-lost",
        title: "Two of three sentinels are lost",
        what: "SIGKILL to two sentinels; the master is well. Two seconds later all clients lose their connections and look for the master anew; after six seconds the sentinels are back.",
        cuts: false,
        runs: 1,
        needs: USUAL,
        play: drill::sentinels_lost,
    },
    Scenario {
        id: "twenty",
        title: "Twenty masters are lost at once",
        what: "Three sentinels watch twenty masters with two replicas each. SIGKILL to all twenty masters. Figures are of all groups.",
        cuts: false,
        runs: 1,
        needs: Needs { groups: 20, ..USUAL },
        play: process::all_at_once,
    },
];

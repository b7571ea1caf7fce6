//! Faults placed, not drawn: one failover of a small group, and one fault before every event of it that the fault can make a difference to.
//!
//! The messages of the undisturbed failover take fixed times, so that it is the same again each time. A fault that concerns some places commutes with
//! the events of all others: to place it before each event of its own places is to place it at every boundary between two events.

use std::time::Instant;

use crate::base::settings::PromotionPolicy;
use crate::base::{Epoch, WallTime};
use crate::breach::Breach;
use crate::check::Violation;
use crate::machine::{Command, FailoverMode};
use crate::net::{Event, Msg, Place};
use crate::run::Run;
use crate::setup::{Adversary, Keeps, Setup, Terms};
use crate::storm::Trouble;

const SENTINELS: usize = 3;
const NODES: usize = 3;
/// The failover, undisturbed, ends after far fewer.
const MANY: u64 = 20_000;
/// What a fault leaves behind is given so long before all is healed.
const AFTERMATH: u64 = 3_500_000;
/// A second fault is placed before so many of the events that follow the first one.
const NEAR: u64 = 40;

/// Why there is a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// The master is killed.
    Killed,
    /// The master is cut off from all but one client, without a word.
    CutOff,
    /// An operator asks for a planned change.
    Planned,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Killed, Self::CutOff, Self::Planned];
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A sentinel crashes, and is back a second later.
    SentinelCrashes(usize),
    /// A sentinel stalls for so many milliseconds.
    SentinelStalls(usize, u64),
    /// This sentinel leads from now on.
    Leads(usize),
    /// A data node crashes, and is back after half a second with this of its data.
    NodeCrashes(usize, Keeps),
    /// What goes from one place to another, and back if so, is cut off for so many milliseconds.
    Cut(usize, usize, bool, u64),
    /// The cut that began it all heals.
    Heals,
    /// The answer to an act is lost with its connection.
    AnswerLost,
}

impl Fault {
    /// Every kind of fault, for every place that it may happen to.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Heals, Self::AnswerLost];
        for sentinel in 0..SENTINELS {
            all.extend([Self::SentinelCrashes(sentinel), Self::SentinelStalls(sentinel, 100), Self::SentinelStalls(sentinel, 5000)]);
            all.push(Self::Leads(sentinel));
        }
        for node in 0..NODES {
            all.extend([Self::NodeCrashes(node, Keeps::Data), Self::NodeCrashes(node, Keeps::Nothing)]);
        }
        for a in 0..NODES + SENTINELS {
            for b in (0..NODES + SENTINELS).filter(|b| *b != a) {
                let ways: &[bool] = if a < b { &[false, true] } else { &[false] };
                all.extend(ways.iter().flat_map(|both| [Self::Cut(a, b, *both, 200), Self::Cut(a, b, *both, 3000)]));
            }
        }
        all
    }

    const fn lasts(self) -> u64 {
        match self {
            Self::SentinelCrashes(_) => 1_000_000,
            Self::NodeCrashes(..) => 500_000,
            Self::SentinelStalls(_, ms) | Self::Cut(.., ms) => ms * 1000,
            Self::Leads(_) | Self::Heals | Self::AnswerLost => 0,
        }
    }
}

/// What was played.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Schedules with their faults in their places.
    pub placements: u64,
    /// Boundaries between the events of the undisturbed failover.
    pub boundaries: u64,
    /// The first promise that was not kept, and where.
    pub found: Option<(Vec<(u64, Fault)>, Violation)>,
}

/// Plays every fault at every boundary; `part` of so many, to be played beside the others.
pub fn singles(case: Case, breach: Option<Breach>, part: (u64, u64)) -> Tally {
    let (mut base, mut tally, faults) = (Run::placed(case, breach, false), Tally::default(), Fault::all());
    while tally.found.is_none() && base.in_failover(tally.boundaries) {
        if tally.boundaries % part.1 == part.0 {
            for fault in faults.iter().filter(|fault| base.matters(case, **fault)) {
                let mut run = base.clone();
                run.strike(*fault);
                tally.placements += 1;
                if let Some(violation) = run.outlive() {
                    tally.found.get_or_insert((vec![(tally.boundaries, *fault)], violation));
                }
            }
        }
        base.advance();
        tally.boundaries += 1;
    }
    tally
}

/// Plays pairs of faults, the second soon after the first, in a fixed order until the time is over. The first ones of successive pairs are far apart.
pub fn pairs(case: Case, part: (u64, u64), until: Instant) -> Tally {
    let (faults, mut tally) = (Fault::all(), Tally::default());
    let mut nth = 0;
    for stride in (0..16).map(|nth: u64| nth * 7 % 16) {
        let (mut base, mut boundary) = (Run::placed(case, None, false), 0);
        while base.in_failover(boundary) {
            for fault in faults.iter().filter(|fault| base.matters(case, **fault)) {
                nth += 1;
                if nth % 16 != stride || (nth / 16) % part.1 != part.0 {
                    continue;
                }
                let mut run = base.clone();
                run.strike(*fault);
                for later in 1..=NEAR {
                    for second in faults.iter().filter(|second| run.matters(case, **second)) {
                        if Instant::now() >= until || tally.found.is_some() {
                            return tally;
                        }
                        let mut both = run.clone();
                        both.strike(*second);
                        tally.placements += 1;
                        tally.found = both.outlive().map(|violation| (vec![(boundary, *fault), (boundary + later, *second)], violation));
                    }
                    run.advance();
                }
            }
            base.advance();
            boundary += 1;
        }
        tally.boundaries = boundary;
    }
    tally
}

/// The story of one placement.
pub fn story(case: Case, breach: Option<Breach>, faults: &[(u64, Fault)]) -> Vec<String> {
    let mut run = Run::placed(case, breach, true);
    let mut boundary = 0;
    for (at, fault) in faults {
        // The boundary after a fault is the one before the next event.
        while boundary < *at {
            run.advance();
            boundary += 1;
        }
        run.tell(|| format!("+++ {fault:?}"));
        run.strike(*fault);
        boundary += 1;
    }
    run.outlive();
    run.story.unwrap_or_default()
}

impl Run {
    /// The failover of `case` has just begun.
    fn placed(case: Case, breach: Option<Breach>, told: bool) -> Self {
        let terms = Terms { nodes: NODES, policy: PromotionPolicy::Strict, max_lag_s: 2, down_after_ms: 600, keeps: Keeps::Data };
        let adversary = Adversary::PROMISED;
        let setup = Setup { seed: 1, groups: vec![terms], sentinels: SENTINELS, adversary, storm_ms: 0, exact: true, breach };
        let mut run = Self::begin(setup, told);
        match case {
            Case::Killed => run.crash(0, false),
            Case::CutOff => run.cut_off(true),
            Case::Planned => {
                let (group, epoch, at) = (run.teams[0].name.clone(), Epoch(0), WallTime(run.net.now));
                let (by, manner) = (Self::number(0), FailoverMode::Coordinated);
                run.order(0, &Command::FailoverRequested { group, epoch, by, manner, target: None, at, asked: None });
            }
        }
        run
    }

    /// The first master, and all but the last client.
    fn cut_off(&mut self, off: bool) {
        for other in 1..self.places() - 1 {
            for (from, to) in [(0, other), (other, 0)] {
                if off {
                    self.net.cut(from, to);
                } else {
                    self.net.heal(from, to, &mut self.dice);
                }
            }
        }
    }

    fn in_failover(&self, events: u64) -> bool {
        let group = self.group(0);
        assert!(events < MANY, "the undisturbed failover does not end");
        self.violation.is_none() && (group.epoch == Epoch(0) || group.failover.is_some())
    }

    fn advance(&mut self) {
        if let Some(event) = self.net.next() {
            self.happen(event);
        }
    }

    /// Whether the fault can make a difference to the next event.
    fn matters(&self, case: Case, fault: Fault) -> bool {
        let Some(next) = self.net.peek() else { return false };
        let (sentinel, node) = (|at: usize| self.place_of_sentinel(at), |at: usize| at);
        let is_about = |place: Place| match next {
            Event::Deliver { from, to, .. } => *from == place || *to == place,
            Event::Cron { node, .. } | Event::SendCopy { node, .. } | Event::PauseEnds { node } => *node == place,
            Event::Wake { sentinel, .. } | Event::EyeTurn { sentinel, .. } | Event::ActLimit { sentinel, .. } => {
                self.place_of_sentinel(*sentinel) == place
            }
            Event::ClientTurn { .. } | Event::Trouble(_) => false,
            // The log is everybody's.
            _ => place >= NODES,
        };
        match fault {
            Fault::SentinelCrashes(at) | Fault::SentinelStalls(at, _) => is_about(sentinel(at)),
            Fault::Leads(at) => self.leader != Some(at) && (0..SENTINELS).any(|at| is_about(sentinel(at))),
            Fault::NodeCrashes(at, _) => self.nodes[at].runs() && is_about(node(at)),
            Fault::Cut(a, b, both, _) => match next {
                Event::Deliver { from, to, .. } => (*from, *to) == (a, b) || (both && (*from, *to) == (b, a)),
                _ => a >= NODES && b >= NODES && is_about(a),
            },
            Fault::Heals => case == Case::CutOff,
            Fault::AnswerLost => matches!(next, Event::Deliver { msg: Msg::Acted { .. }, .. }),
        }
    }

    fn strike(&mut self, fault: Fault) {
        let lasts = fault.lasts();
        match fault {
            Fault::SentinelCrashes(at) => {
                if self.sentinels[at].up {
                    self.crash_sentinel(at);
                    self.net.after(lasts, Event::Trouble(Trouble::RestartSentinel(at)));
                }
            }
            Fault::SentinelStalls(at, _) => self.sentinels[at].stalled_until = self.net.now + lasts,
            Fault::Leads(at) => {
                self.depose();
                self.crown(at);
            }
            Fault::NodeCrashes(at, keeps) => {
                self.nodes[at].keeps = keeps;
                self.crash(at, false);
                self.net.after(lasts, Event::Trouble(Trouble::RestartNode(at)));
            }
            Fault::Cut(a, b, both, _) => {
                let pairs: Vec<(Place, Place)> = if both { vec![(a, b), (b, a)] } else { vec![(a, b)] };
                pairs.iter().for_each(|(from, to)| self.net.cut(*from, *to));
                self.net.after(lasts, Event::Trouble(Trouble::Heal(pairs)));
            }
            Fault::Heals => self.cut_off(false),
            Fault::AnswerLost => {
                if let Some(Event::Deliver { from, to, conn, nth, .. }) = self.net.next() {
                    self.happen(Event::Deliver { from, to, conn, nth, msg: Msg::Closed });
                }
            }
        }
        self.healed_at = self.healed_at.max(self.net.now + lasts + AFTERMATH);
    }

    /// Goes on to the end: some time with what is wrong, then without.
    fn outlive(&mut self) -> Option<Violation> {
        self.net.at(self.healed_at, Event::Trouble(Trouble::Calm));
        self.finish();
        self.violation.take()
    }
}

//! The 13 tunables of SENTINEL DEBUG, in stock's order. They last as long as this process.

use crate::base::GroupSettings;
use crate::base::paces::{HELLO_PERIOD_MS, Pace};
use crate::base::settings::{INFO_PERIOD_MS, PING_PERIOD_MAX_MS};

/// What is done with a tunable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// How often data nodes are asked and spoken to: can be quickened.
    Pace(Pace),
    /// `down-after-milliseconds` of masters that are monitored from now on.
    DownAfter,
    /// `failover-timeout` of masters that are monitored from now on.
    FailoverTimeout,
    /// How long a script may run.
    ScriptRuntime,
    /// The pause before a script runs again.
    ScriptRetry,
    /// Kept and shown: there is no such timer here.
    None,
}

const ROWS: [(&str, Meaning); 13] = [
    ("INFO-PERIOD", Meaning::Pace(Pace::Info)),
    ("PING-PERIOD", Meaning::Pace(Pace::Ping)),
    ("ASK-PERIOD", Meaning::None),
    ("PUBLISH-PERIOD", Meaning::Pace(Pace::Hello)),
    ("DEFAULT-DOWN-AFTER", Meaning::DownAfter),
    ("DEFAULT-FAILOVER-TIMEOUT", Meaning::FailoverTimeout),
    ("TILT-TRIGGER", Meaning::None),
    ("TILT-PERIOD", Meaning::None),
    ("SLAVE-RECONF-TIMEOUT", Meaning::None),
    ("MIN-LINK-RECONNECT-PERIOD", Meaning::None),
    ("ELECTION-TIMEOUT", Meaning::None),
    ("SCRIPT-MAX-RUNTIME", Meaning::ScriptRuntime),
    ("SCRIPT-RETRY-DELAY", Meaning::ScriptRetry),
];

/// Which of the tunables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tunable(usize);

impl Tunable {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..ROWS.len()).map(Self)
    }

    /// The one of that name, in any case.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::all().find(|tunable| tunable.name().as_bytes().eq_ignore_ascii_case(name))
    }

    pub(crate) const fn name(self) -> &'static str {
        ROWS[self.0].0
    }

    pub(crate) const fn meaning(self) -> Meaning {
        ROWS[self.0].1
    }
}

/// Their values in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunables([u64; ROWS.len()]);

impl Default for Tunables {
    fn default() -> Self {
        let GroupSettings { down_after_ms, failover_timeout_ms, .. } = GroupSettings::default();
        Self([
            INFO_PERIOD_MS,
            PING_PERIOD_MAX_MS,
            1000,
            HELLO_PERIOD_MS,
            down_after_ms,
            failover_timeout_ms,
            2000,
            30_000,
            10_000,
            15_000,
            10_000,
            60_000,
            30_000,
        ])
    }
}

impl Tunables {
    pub(crate) const fn ms(&self, tunable: Tunable) -> u64 {
        self.0[tunable.0]
    }

    /// Keeps a value, as far as it is taken.
    pub(crate) fn set_ms(&mut self, tunable: Tunable, ms: u64) {
        self.0[tunable.0] = match tunable.meaning() {
            Meaning::Pace(pace) => ms.clamp(*pace.range_ms().start(), *pace.range_ms().end()),
            Meaning::DownAfter | Meaning::FailoverTimeout | Meaning::ScriptRuntime | Meaning::ScriptRetry | Meaning::None => ms,
        };
    }

    /// The value of the tunable with this meaning.
    pub(crate) fn of(&self, meaning: Meaning) -> u64 {
        Tunable::all().find(|tunable| tunable.meaning() == meaning).map_or(0, |tunable| self.ms(tunable))
    }
}

//! When operators are called for: what is wrong is told once it has lasted, and told again when it changes or ends.

use crate::base::Mono;

/// For how long something must be wrong before operators are called for. Longer than arming takes, and than a failover does.
const AFTER_MS: u64 = 5000;

/// What is wrong, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    /// Since when something has been.
    since: Mono,
    why: String,
    /// Since when it has been this.
    of_this: Mono,
}

/// What is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Nothing new, before this moment at least.
    Nothing(Option<Mono>),
    /// Something has been wrong for long enough.
    Wrong(String),
    /// All is well again.
    Well,
}

/// Takes in what is wrong at `now`; `told` is what operators know of.
pub(super) fn note(trouble: &mut Option<Alarm>, told: &mut Option<String>, why: Option<String>, now: Mono) -> Call {
    let Some(why) = why else {
        *trouble = None;
        return if told.take().is_some() { Call::Well } else { Call::Nothing(None) };
    };
    let known = trouble.take();
    let since = known.as_ref().map_or(now, |known| known.since);
    let of_this = known.filter(|known| known.why == why).map_or(now, |known| known.of_this);
    // What is wrong may change while it is; each is told of once it stays.
    let due = if told.is_none() { since } else { of_this }.plus_ms(AFTER_MS);
    *trouble = Some(Alarm { since, why: why.clone(), of_this });
    if told.as_ref() == Some(&why) {
        return Call::Nothing(None);
    }
    if now < due {
        return Call::Nothing(Some(due));
    }
    *told = Some(why.clone());
    Call::Wrong(why)
}

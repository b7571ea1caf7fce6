//! For drills and test harnesses: SENTINEL SIMULATE-FAILURE and SENTINEL DEBUG. They concern this sentinel alone.

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::number::integer;
use super::super::super::reply::{Answer, Reply};
use super::super::echoed;
use crate::base::settings::{INFO_PERIOD_MS, PING_PERIOD_MAX_MS};
use crate::simulate::Place;

/// What is set is what stands before `help`, if that is said: by itself it switches all off, as in stock Sentinel, which has no other word for
/// that. All words are read before the switch is set; stock clears it first, also where a word is wrong.
pub(super) fn simulate_failure(client: &mut Client, words: &[Bytes]) -> Answer {
    let help = words[2..].iter().position(|word| word.eq_ignore_ascii_case(b"help"));
    let named = |word: &Bytes| Place::ALL.into_iter().find(|place| place.as_str().as_bytes().eq_ignore_ascii_case(word));
    let places: Option<Vec<Place>> = words[2..].iter().take(help.unwrap_or(usize::MAX)).map(named).collect();
    let places = places.ok_or_else(|| Reply::error("ERR Unknown failure simulation specified"))?;
    match places.len() {
        0 => tracing::info!("client {} switches simulated failures off (SENTINEL SIMULATE-FAILURE)", client.entry.peer),
        _ => tracing::warn!("client {} asks this sentinel to fail in its next failover (SENTINEL SIMULATE-FAILURE)", client.entry.peer),
    }
    let named: Vec<&str> = places.iter().map(|place| place.as_str()).collect();
    client.record(&format!("simulate-failure {}", if named.is_empty() { "off".to_owned() } else { named.join(" ") }));
    client.context().simulation.set(&places);
    Ok(if help.is_some() { Reply::array(Place::ALL.map(|place| Reply::text(place.as_str()))) } else { Reply::OK })
}

/// Stock's tunables that have a meaning here, in its order, and whether they can be set.
const TUNABLES: [(&str, bool); 4] =
    [("INFO-PERIOD", false), ("PING-PERIOD", false), ("DEFAULT-DOWN-AFTER", true), ("DEFAULT-FAILOVER-TIMEOUT", true)];
/// Stock's other tunables.
const NOT_HERE: [&str; 9] = [
    "ASK-PERIOD",
    "PUBLISH-PERIOD",
    "TILT-TRIGGER",
    "TILT-PERIOD",
    "SLAVE-RECONF-TIMEOUT",
    "MIN-LINK-RECONNECT-PERIOD",
    "ELECTION-TIMEOUT",
    "SCRIPT-MAX-RUNTIME",
    "SCRIPT-RETRY-DELAY",
];

pub(super) fn debug(client: &mut Client, words: &[Bytes]) -> Answer {
    let live = &client.context().live;
    if words.len() == 2 {
        let facts = live.facts();
        let values = [INFO_PERIOD_MS, PING_PERIOD_MAX_MS, facts.default_down_after_ms, facts.default_failover_timeout_ms];
        let pairs = TUNABLES.into_iter().zip(values).map(|((name, _), ms)| (Reply::text(name), Reply::bulk(ms.to_string())));
        return Ok(Reply::Map(pairs.collect()));
    }
    let changes = words[2..].chunks(2).map(tunable).collect::<Result<Vec<_>, _>>()?;
    let said: Vec<String> = changes.iter().map(|(name, ms)| format!("{name} {ms}")).collect();
    client.record(&format!("debug {}", said.join(" ")));
    live.change(|facts| {
        for (name, ms) in changes {
            if name == "DEFAULT-DOWN-AFTER" {
                facts.default_down_after_ms = ms;
            } else {
                facts.default_failover_timeout_ms = ms;
            }
        }
    });
    Ok(Reply::OK)
}

/// One pair: a tunable that can be set, and its value.
fn tunable(pair: &[Bytes]) -> Result<(&'static str, u64), Reply> {
    let shown = echoed(&pair[0], 128);
    let named = |name: &str| name.as_bytes().eq_ignore_ascii_case(&pair[0]);
    let unknown = || Reply::error(format!("ERR Unknown option or number of arguments for SENTINEL DEBUG '{shown}'"));
    let known =
        TUNABLES.into_iter().find(|(name, _)| named(name)).or_else(|| NOT_HERE.into_iter().find(|name| named(name)).map(|n| (n, false)));
    let ((name, settable), value) = known.zip(pair.get(1)).ok_or_else(unknown)?;
    let invalid = || Reply::error(format!("ERR Invalid argument '{}' for SENTINEL DEBUG '{shown}'", echoed(value, 128)));
    let ms = integer(value).and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0).ok_or_else(invalid)?;
    if settable {
        return Ok((name, ms));
    }
    Err(Reply::error(format!("ERR '{shown}' cannot be changed here; SENTINEL DEBUG sets DEFAULT-DOWN-AFTER and DEFAULT-FAILOVER-TIMEOUT")))
}

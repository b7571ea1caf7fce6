//! For drills and test harnesses: SENTINEL SIMULATE-FAILURE and SENTINEL DEBUG. They concern this sentinel alone.

use bytes::Bytes;

use super::super::super::client::Client;
use super::super::super::context::RespContext;
use super::super::super::number::integer;
use super::super::super::reply::{Answer, Reply};
use super::super::super::tunables::{Meaning, Tunable};
use super::super::echoed;
use crate::base::paces::Pace;
use crate::simulate::Place;

/// The longest span that a tunable may be set to: a year.
const LONGEST_MS: u64 = 365 * 86_400_000;

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

pub(super) fn debug(client: &mut Client, words: &[Bytes]) -> Answer {
    let live = &client.context().live;
    if words.len() == 2 {
        let values = live.facts().tunables;
        let pair = |tunable: Tunable| (Reply::text(tunable.name()), Reply::bulk(values.ms(tunable).to_string()));
        return Ok(Reply::Map(Tunable::all().map(pair).collect()));
    }
    let changes = words[2..].chunks(2).map(tunable).collect::<Result<Vec<_>, _>>()?;
    let said: Vec<String> = changes.iter().map(|(tunable, ms)| format!("{} {ms}", tunable.name())).collect();
    client.record(&format!("debug {}", said.join(" ")));
    live.change(|facts| changes.into_iter().for_each(|(tunable, ms)| facts.tunables.set_ms(tunable, ms)));
    put_into_effect(client.context());
    Ok(Reply::OK)
}

/// New masters take their defaults from the values themselves.
fn put_into_effect(context: &RespContext) {
    let values = context.live.facts().tunables;
    context.hooks.set_script_times(values.of(Meaning::ScriptRuntime), values.of(Meaning::ScriptRetry));
    for pace in [Pace::Info, Pace::Ping, Pace::Hello] {
        context.paces.set_ms(pace, values.of(Meaning::Pace(pace)));
    }
}

/// One pair: a tunable and its value.
fn tunable(pair: &[Bytes]) -> Result<(Tunable, u64), Reply> {
    let shown = echoed(&pair[0], 128);
    let unknown = || Reply::error(format!("ERR Unknown option or number of arguments for SENTINEL DEBUG '{shown}'"));
    let (tunable, value) = Tunable::named(&pair[0]).zip(pair.get(1)).ok_or_else(unknown)?;
    let invalid = || Reply::error(format!("ERR Invalid argument '{}' for SENTINEL DEBUG '{shown}'", echoed(value, 128)));
    let ms = integer(value).and_then(|ms| u64::try_from(ms).ok()).filter(|ms| (1..=LONGEST_MS).contains(ms)).ok_or_else(invalid)?;
    Ok((tunable, ms))
}

//! The events that sentinels publish, as any subscriber sees them.

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::feed::Line;
use crate::kit::{Conn, Reply, Sentinel};
use crate::paint::Tone;

const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// What all sentinels publish because they agree on it is shown once.
static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Reports the sentinel's events until it ends.
pub(crate) fn follow(sentinel: &Sentinel, reporter: Sender<Line>) -> anyhow::Result<()> {
    let name = format!("sentinel {}", sentinel.id);
    let subscribe = || {
        let mut conn = Conn::open(sentinel.ports.resp, CONNECT_LIMIT)?;
        conn.ask(&["PSUBSCRIBE", "*"])?;
        conn.set_read_limit(None)?;
        std::io::Result::Ok(conn)
    };
    let mut conn = subscribe().with_context(|| format!("subscribe to the events of {name}"))?;
    thread::spawn(move || {
        while let Ok(message) = conn.read() {
            if let Some(line) = line(&name, &message)
                && reporter.send(line).is_err()
            {
                return;
            }
        }
    });
    Ok(())
}

fn line(name: &str, message: &Reply) -> Option<Line> {
    let now = SystemTime::now();
    let [_, _, channel, payload] = message.items() else { return None };
    let (channel, payload) = (channel.text()?, payload.text()?);
    // A replica's or sentinel's text ends with the master it belongs to, which everybody knows here.
    let subject = payload.split(" @ ").next().unwrap_or_default();
    let text = format!("{channel} {subject}");
    let own_view = ["+sdown", "-sdown"].contains(&channel.as_str());
    let news = own_view || TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone());
    let tone = if channel == "+switch-master" { Tone::Strong } else { Tone::Plain };
    news.then(|| Line::new(now, name, text).tone(tone))
}

//! `raft-sentinel watch`: every change of a master, from whichever sentinel can be reached, without gaps.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::command::Target;
use super::{client, words};
use crate::base::Addr;
use crate::proto::sentinel::sentinel_client::SentinelClient;
use crate::proto::sentinel::watch_masters_response::Event;
use crate::proto::sentinel::{MasterChange, MasterSnapshot, WatchMastersRequest};

/// A watch that is silent for longer is dead: sentinels speak every five seconds and a bounded wait.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// Between two rounds over all sentinels, when none can be watched.
const ROUND_PAUSE: Duration = Duration::from_secs(1);

type Out<'a> = &'a mut (dyn Write + Send);

/// Where a watch stands, whichever sentinel it is on.
struct WatchReader<'a> {
    groups: Vec<String>,
    after: Option<u64>,
    json: bool,
    access: client::Route,
    out: Out<'a>,
}

pub(super) async fn run(target: &Target, group: Option<String>, after: Option<u64>, out: Out<'_>) -> anyhow::Result<()> {
    let access = client::Route::new(&target.tls, &target.login, &target.addr)?;
    let mut reader = WatchReader { groups: group.into_iter().collect(), after, json: target.json, access, out };
    for addr in target.addr.iter().cycle() {
        let ended = reader.follow(addr).await?;
        reader.note(&format!("{addr}: {}; trying the next sentinel", client::phrase(&ended)), "moved")?;
        if target.addr.last() == Some(addr) {
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }
    bail!("no address was given")
}

impl WatchReader<'_> {
    /// Follows one sentinel's watch to its end. What no other sentinel could do better is an error.
    async fn follow(&mut self, addr: &Addr) -> anyhow::Result<Status> {
        let ended = match self.read(addr).await? {
            Ok(()) => Status::unavailable("the watch ended"),
            Err(status) => status,
        };
        match ended.code() {
            Code::NotFound | Code::InvalidArgument | Code::Unauthenticated | Code::PermissionDenied => {
                bail!("{addr}: {}", client::phrase(&ended))
            }
            Code::OutOfRange => {
                self.note(ended.message(), "compacted")?;
                self.after = None;
            }
            _ => {}
        }
        Ok(ended)
    }

    async fn read(&mut self, addr: &Addr) -> anyhow::Result<Result<(), Status>> {
        let request = WatchMastersRequest { groups: self.groups.clone(), after_revision: self.after, ..Default::default() };
        let channel = match self.access.connect(addr, None).await {
            Ok(channel) => channel,
            Err(status) => return Ok(Err(status)),
        };
        let mut sentinel = SentinelClient::new(channel).max_decoding_message_size(client::ANSWER_BYTES);
        let silent = |_| Status::unavailable("the sentinel is silent");
        let opened = tokio::time::timeout(SILENCE_LIMIT, sentinel.watch_masters(request)).await.map_err(silent).flatten();
        let mut stream = match opened {
            Ok(response) => response.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        loop {
            match tokio::time::timeout(SILENCE_LIMIT, stream.message()).await.map_err(silent).flatten() {
                Ok(Some(message)) => self.take(message.event)?,
                Ok(None) => return Ok(Ok(())),
                Err(status) => return Ok(Err(status)),
            }
        }
    }

    fn take(&mut self, event: Option<Event>) -> anyhow::Result<()> {
        let revision = match event {
            Some(Event::Snapshot(snapshot)) => {
                self.show_snapshot(&snapshot)?;
                snapshot.revision
            }
            Some(Event::Change(change)) => {
                self.show_change(&change)?;
                change.revision
            }
            Some(Event::Progress(progress)) => progress.revision,
            Some(Event::Unconfirmed(unconfirmed)) => {
                self.note(&unconfirmed.reason, "unconfirmed")?;
                unconfirmed.revision
            }
            // A newer sentinel may say more than we know.
            None => return Ok(()),
        };
        self.after = Some(revision);
        Ok(())
    }

    fn show_snapshot(&mut self, snapshot: &MasterSnapshot) -> anyhow::Result<()> {
        for master in &snapshot.masters {
            let at = words::address(master.address.as_ref());
            let fields =
                json!({ "event": "master", "group": master.group, "master": at, "epoch": master.epoch, "revision": master.revision });
            self.line(fields, &format!("{}  {} is at {at} (epoch {})", words::moment(master.decided_at_us), master.group, master.epoch))?;
        }
        Ok(())
    }

    fn show_change(&mut self, change: &MasterChange) -> anyhow::Result<()> {
        let at = change.master.as_ref().map(|master| words::address(Some(master)));
        let fields = json!({
            "event": "change", "group": change.group, "master": at, "epoch": change.epoch,
            "revision": change.revision, "decided_at_us": change.decided_at_us,
        });
        let moment = words::moment(change.decided_at_us);
        let text = match at {
            Some(at) => format!("{moment}  {} moved to {at} (epoch {}, revision {})", change.group, change.epoch, change.revision),
            None => format!("{moment}  {} is no longer monitored (revision {})", change.group, change.revision),
        };
        self.line(fields, &text)
    }

    fn note(&mut self, text: &str, event: &str) -> anyhow::Result<()> {
        self.line(json!({ "event": event, "text": text }), &format!("({text})"))
    }

    fn line(&mut self, fields: Value, text: &str) -> anyhow::Result<()> {
        if self.json {
            writeln!(self.out, "{fields}")?
        } else {
            writeln!(self.out, "{text}")?
        }
        self.out.flush()?;
        Ok(())
    }
}

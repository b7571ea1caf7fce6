//! Replication between data nodes, by the rules of Redis 7: who may go on from where, who needs a full copy, who counts.

use crate::data::{Attached, Power, Snapshot, Target, Upstream, Waiting, addr};
use crate::net::{Conn, Event, Msg, Place};
use crate::run::Run;
use crate::setup::Keeps;

/// An entry of the stream that only moves it on.
pub(crate) const FILLER: u32 = 0;
/// What a write adds beside its own entry: none is as short as three PINGs.
pub(crate) const WRITE_TAIL: [u32; 3] = [FILLER; 3];
/// An entry that asks replicas for their acknowledgement.
pub(crate) const GETACK: u32 = 1;

impl Run {
    /// REPLICAOF: `None` is NO ONE.
    pub(crate) fn follow(&mut self, at: usize, target: Option<Target>) {
        if self.nodes[at].follows == target {
            return;
        }
        let now = self.net.now;
        let upstream = self.nodes[at].upstream;
        self.leave_upstream(at, upstream);
        self.replids += 1;
        let fresh = self.replids;
        let node = &mut self.nodes[at];
        let was_master = node.is_master();
        node.upstream = Upstream::None { since: now };
        node.waiting.clear();
        node.follows = target;
        node.amnesiac = false;
        if target.is_none() {
            node.former = Some((node.replid, node.offset));
            node.replid = fresh;
            node.placed = true;
            self.drop_replicas(at);
        } else {
            if was_master {
                node.placed = true;
            }
            self.connect_upstream(at);
        }
    }

    pub(crate) fn leave_upstream(&mut self, at: usize, upstream: Upstream) {
        if let (
            Upstream::Connecting { conn, .. } | Upstream::Copying { conn, .. } | Upstream::Up { conn, .. },
            Some(Target::Node(master)),
        ) = (upstream, self.nodes[at].follows)
        {
            self.send(at, master, conn, Msg::ReplicaLeaves);
        }
    }

    fn drop_replicas(&mut self, at: usize) {
        for replica in std::mem::take(&mut self.nodes[at].attached) {
            self.send(at, replica.node, replica.conn, Msg::MasterLeaves);
        }
        let now = self.net.now;
        self.nodes[at].count_good(now);
    }

    pub(crate) fn connect_upstream(&mut self, at: usize) {
        let Some(Target::Node(master)) = self.nodes[at].follows else { return };
        let (now, conn) = (self.net.now, self.net.new_conn());
        self.nodes[at].upstream = Upstream::Connecting { conn, since: now };
        self.send(at, master, conn, Msg::Hello);
    }

    fn lose_upstream(&mut self, at: usize) {
        self.nodes[at].upstream = Upstream::None { since: self.net.now };
    }

    fn is_upstream(&self, at: usize, conn: Conn) -> bool {
        match self.nodes[at].upstream {
            Upstream::None { .. } => false,
            Upstream::Connecting { conn: known, .. } | Upstream::Copying { conn: known, .. } | Upstream::Up { conn: known, .. } => {
                known == conn
            }
        }
    }

    pub(crate) fn replicate(&mut self, at: usize, from: Place, conn: Conn, msg: Msg) {
        match msg {
            // The round trips before PSYNC: whoever has given up by then does not send it.
            Msg::Hello => self.send(at, from, conn, Msg::Welcome),
            Msg::Psync { replid, offset } => self.attach(at, from, conn, replid, offset),
            Msg::Ack { offset } => self.note_ack(at, from, conn, offset),
            Msg::ReplicaLeaves => {
                let now = self.net.now;
                let node = &mut self.nodes[at];
                let before = node.attached.len();
                node.attached.retain(|attached| attached.conn != conn);
                if node.attached.len() != before {
                    node.count_good(now);
                }
            }
            _ if !self.is_upstream(at, conn) => {
                if matches!(msg, Msg::Stream(_) | Msg::Continue { .. } | Msg::FullBegins | Msg::FullCopy { .. }) {
                    self.send(at, from, conn, Msg::ReplicaLeaves);
                }
            }
            Msg::Welcome => {
                let node = &self.nodes[at];
                let msg = Msg::Psync { replid: node.placed.then_some(node.replid), offset: node.offset };
                self.send(at, from, conn, msg);
            }
            Msg::Continue { replid, entries } => {
                let now = self.net.now;
                let node = &mut self.nodes[at];
                node.upstream = Upstream::Up { conn, last_io: now };
                if node.replid != replid {
                    node.former = Some((node.replid, node.offset));
                    node.replid = replid;
                    self.drop_replicas(at);
                }
                self.append(at, &entries);
            }
            Msg::FullBegins => {
                let now = self.net.now;
                self.nodes[at].upstream = Upstream::Copying { conn, last_io: now };
                self.nodes[at].placed = false;
                self.drop_replicas(at);
            }
            Msg::FullCopy { replid, offset, log } => {
                let now = self.net.now;
                let node = &mut self.nodes[at];
                node.upstream = Upstream::Up { conn, last_io: now };
                (node.log, node.offset, node.replid, node.former, node.placed) = (log, offset, replid, None, true);
                node.backlog_from = offset + 1;
                self.tell(|| format!("{} has a full copy", addr(at).host()));
                self.acknowledge(at);
            }
            Msg::Stream(entries) => {
                let now = self.net.now;
                if let Upstream::Up { last_io, .. } = &mut self.nodes[at].upstream {
                    *last_io = now;
                }
                self.append(at, &entries);
            }
            Msg::MasterLeaves | Msg::Refused => {
                let was_up = self.nodes[at].linked();
                self.lose_upstream(at);
                // An established link that breaks is made anew at once, a refused one in the next second.
                if was_up {
                    self.connect_upstream(at);
                }
            }
            Msg::NoMasterLink => self.lose_upstream(at),
            _ => {}
        }
    }

    /// PSYNC.
    fn attach(&mut self, at: usize, from: Place, conn: Conn, replid: Option<u32>, offset: u64) {
        if !self.nodes[at].is_master() && !self.nodes[at].linked() {
            self.send(at, from, conn, Msg::NoMasterLink);
            return;
        }
        let now = self.net.now;
        let life = self.nodes[at].life;
        let node = &mut self.nodes[at];
        let known = replid
            .is_some_and(|replid| replid == node.replid || node.former.is_some_and(|(former, until)| former == replid && offset <= until));
        let partial = known && offset + 1 >= node.backlog_from && offset <= node.offset;
        let attached = Attached { conn, node: from, streaming: partial, online: partial, acked_at: now, acked: 0 };
        node.attached.push(attached);
        if partial {
            let missing = usize::try_from(node.offset - offset).expect("a short history");
            let entries = node.log[node.log.len() - missing..].to_vec();
            let replid = node.replid;
            node.count_good(now);
            self.send(at, from, conn, Msg::Continue { replid, entries });
        } else {
            self.send(at, from, conn, Msg::FullBegins);
            let takes = self.dice.between(5_000, 900_000);
            self.net.after(takes, Event::SendCopy { node: at, life, conn });
        }
    }

    pub(crate) fn send_copy(&mut self, at: usize, life: u32, conn: Conn) {
        let node = &mut self.nodes[at];
        if node.life != life || node.power != Power::Up {
            return;
        }
        let Some(attached) = node.attached.iter_mut().find(|attached| attached.conn == conn) else { return };
        attached.streaming = true;
        let to = attached.node;
        let msg = Msg::FullCopy { replid: node.replid, offset: node.offset, log: node.log.clone() };
        self.send(at, to, conn, msg);
    }

    /// Adds to what a node holds, and passes it on.
    pub(crate) fn append(&mut self, at: usize, entries: &[u32]) {
        if entries.is_empty() {
            return;
        }
        let node = &mut self.nodes[at];
        node.log.extend_from_slice(entries);
        node.offset += entries.len() as u64;
        let to: Vec<(usize, Conn)> =
            node.attached.iter().filter(|attached| attached.streaming).map(|attached| (attached.node, attached.conn)).collect();
        for (replica, conn) in to {
            self.send(at, replica, conn, Msg::Stream(entries.to_vec()));
        }
        if entries.contains(&GETACK) && !self.nodes[at].is_master() {
            self.acknowledge(at);
        }
    }

    fn acknowledge(&mut self, at: usize) {
        if let (Upstream::Up { conn, .. }, Some(Target::Node(master))) = (self.nodes[at].upstream, self.nodes[at].follows) {
            let offset = self.nodes[at].offset;
            self.send(at, master, conn, Msg::Ack { offset });
        }
    }

    fn note_ack(&mut self, at: usize, from: Place, conn: Conn, offset: u64) {
        let now = self.net.now;
        let node = &mut self.nodes[at];
        let Some(attached) = node.attached.iter_mut().find(|attached| attached.conn == conn) else {
            self.send(at, from, conn, Msg::MasterLeaves);
            return;
        };
        attached.acked = attached.acked.max(offset);
        attached.acked_at = now;
        if attached.streaming && !std::mem::replace(&mut attached.online, true) {
            node.count_good(now);
        }
        let (done, waiting): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut node.waiting)
            .into_iter()
            .partition(|wait| node.attached.iter().filter(|attached| attached.acked >= wait.offset).count() >= wait.replicas as usize);
        node.waiting = waiting;
        for wait in done {
            // Who is not known to be a replica keeps nothing for anybody: that is for operators to prevent, and is told.
            if self.known_holders(at, wait.offset) >= wait.replicas {
                self.confirm_write(at, wait.id, wait.replicas);
            }
        }
    }

    /// What a server does once a second.
    pub(crate) fn cron(&mut self, at: usize, life: u32) {
        let now = self.net.now;
        let node = &mut self.nodes[at];
        if node.life != life || node.power != Power::Up {
            return;
        }
        if node.frozen {
            node.cron_missed = true;
            return;
        }
        node.crons += 1;
        let late = if self.dice.chance(10) { self.dice.between(0, 100_000) } else { self.dice.between(0, 2_000) };
        self.net.after(1_000_000 + late, Event::Cron { node: at, life });
        let node = &mut self.nodes[at];
        let timeout = node.timeout_s * 1_000_000;
        node.waiting.retain(|wait| wait.until > now);
        if node.keeps == Keeps::Snapshot && node.crons.is_multiple_of(4) {
            node.snapshot = Some(Snapshot { log: node.log.clone(), offset: node.offset, replid: node.replid });
        }
        match node.upstream {
            Upstream::None { .. } => self.connect_upstream(at),
            Upstream::Connecting { since, .. } if now - since > 2_000_000 => self.give_up_upstream(at),
            Upstream::Copying { last_io, .. } | Upstream::Up { last_io, .. } if now - last_io > timeout => self.give_up_upstream(at),
            Upstream::Connecting { .. } | Upstream::Copying { .. } => {}
            Upstream::Up { .. } => self.acknowledge(at),
        }
        let node = &mut self.nodes[at];
        let silent: Vec<Attached> =
            node.attached.iter().filter(|attached| attached.streaming && now - attached.acked_at > timeout).copied().collect();
        node.attached.retain(|attached| !silent.iter().any(|gone| gone.conn == attached.conn));
        for gone in silent {
            self.send(at, gone.node, gone.conn, Msg::MasterLeaves);
        }
        let node = &mut self.nodes[at];
        node.count_good(now);
        if node.is_master() && node.crons.is_multiple_of(5) && !node.attached.is_empty() {
            self.append(at, &[FILLER]);
        }
    }

    fn give_up_upstream(&mut self, at: usize) {
        let upstream = self.nodes[at].upstream;
        self.leave_upstream(at, upstream);
        self.lose_upstream(at);
        self.connect_upstream(at);
    }
}

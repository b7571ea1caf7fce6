//! Who writes: on whatever node each client believes to be the master, plain or confirmed by WAIT.

use crate::breach::Breach;
use crate::data::{Waiting, addr};
use crate::net::{Event, Msg, Place};
use crate::replication::{GETACK, WRITE_TAIL};
use crate::run::Run;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Its group.
    pub(crate) team: usize,
    /// Where it writes.
    pub(crate) master: usize,
    /// The k for WAIT that it was told last.
    pub(crate) wait: u32,
    /// Asks who the master is only every now and then.
    pub(crate) stubborn: bool,
}

impl Run {
    pub(crate) fn client_turn(&mut self, client: usize) {
        let pause = if self.calm { self.dice.between(200_000, 400_000) } else { self.dice.between(30_000, 250_000) };
        self.net.after(pause, Event::ClientTurn { client });
        let asks = if self.clients[client].stubborn { 5 } else { 50 };
        if self.dice.chance(asks) || self.calm {
            let group = self.group(self.clients[client].team);
            let told = self.node_at(&group.announced);
            let wait = group.wait_replicas();
            let client = &mut self.clients[client];
            client.master = told.unwrap_or(client.master);
            client.wait = wait;
        }
        let moved = self.teams[self.clients[client].team].nodes.clone().find(|node| self.nodes[*node].by_hand);
        let at = if let Some(moved) = moved.filter(|_| self.dice.chance(70)) {
            moved
        } else if self.dice.chance(4) {
            let nodes = self.teams[self.clients[client].team].nodes.clone();
            self.dice.between(nodes.start as u64, nodes.end as u64 - 1) as usize
        } else {
            self.clients[client].master
        };
        let mut wait = if self.dice.chance(50) { self.clients[client].wait } else { 0 };
        if self.setup.breach == Some(Breach::WaitForFewer) {
            wait = wait.saturating_sub(1);
        }
        self.writes += 1;
        let (id, conn, place) = (self.writes, self.net.new_conn(), self.place_of_client(client));
        self.send(place, at, conn, Msg::Write { id, wait });
    }

    pub(crate) fn take_write(&mut self, at: usize, from: Place, id: u32, wait: u32) {
        let now = self.net.now;
        let node = &mut self.nodes[at];
        if !node.is_master() {
            return;
        }
        if now < node.paused_until {
            node.postponed.push((from, id, wait));
            return;
        }
        if !node.takes_writes() {
            return;
        }
        self.note_write(at, id);
        let [a, b, c] = WRITE_TAIL;
        self.append(at, &[id, a, b, c]);
        if wait > 0 {
            let until = now + 3_000_000;
            let offset = self.nodes[at].offset;
            self.nodes[at].waiting.push(Waiting { id, offset, replicas: wait, until });
            self.append(at, &[GETACK]);
        } else if self.setup.breach == Some(Breach::WaitForFewer) {
            self.confirm_write(at, id, 0);
        }
        self.tell(|| format!("{} takes write {id} (WAIT {wait})", addr(at).host()));
    }

    /// A pause ended: what waited is carried out as far as it may.
    pub(crate) fn resume_writes(&mut self, at: usize) {
        if !self.nodes[at].runs() || self.net.now < self.nodes[at].paused_until {
            return;
        }
        for (from, id, wait) in std::mem::take(&mut self.nodes[at].postponed) {
            self.take_write(at, from, id, wait);
        }
    }
}

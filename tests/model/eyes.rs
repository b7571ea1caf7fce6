//! The eyes of a sentinel: a link to each data node, and what comes through it.

use crate::base::observation::{LinkLoss, Observed};
use crate::data::name;
use crate::hands::Hand;
use crate::net::{Conn, Event, Msg};
use crate::run::Run;

/// Silence after which another link is tried, and the limit of an attempt to connect.
const SILENCE: u64 = 500_000;
const INFO_PERIOD: u64 = 1_000_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Eye {
    /// The link, and since when it is tried or up.
    conn: Option<(Conn, u64)>,
    up: bool,
    /// Since when an answer is due.
    pending: Option<u64>,
    informed: u64,
    look: bool,
    /// It is not one of the group's nodes.
    unwanted: bool,
}

impl Run {
    /// Whom a sentinel looks at follows from the record as it knows it.
    pub(crate) fn keep_eyes(&mut self, sentinel: usize) {
        for node in 0..self.nodes.len() {
            let group = self.group_at(sentinel, self.nodes[node].team);
            let wanted = group.data_nodes().any(|addr| addr.host() == name(node));
            if self.sentinels[sentinel].eyes[node].unwanted == wanted {
                self.sentinels[sentinel].eyes[node] = Eye { unwanted: !wanted, ..Eye::default() };
                self.sentinels[sentinel].hands[node] = Hand::default();
            }
        }
    }

    pub(crate) fn eye_turn(&mut self, sentinel: usize, node: usize) {
        let period = self.teams[self.nodes[node].team].terms.down_after_ms * 1000 * 2 / 5;
        let jitter = self.dice.between(0, 3_000);
        self.net.after(period + jitter, Event::EyeTurn { sentinel, node });
        if !self.sentinels[sentinel].up || self.sentinels[sentinel].eyes[node].unwanted {
            return;
        }
        self.ready_hand(sentinel, node);
        let now = self.net.now;
        let eye = &self.sentinels[sentinel].eyes[node];
        match (eye.conn, eye.up, eye.pending) {
            (None, ..) => self.connect_eye(sentinel, node),
            (Some((conn, since)), false, _) if now - since >= SILENCE => self.lose_eye(sentinel, node, conn, LinkLoss::TimedOut),
            (Some((conn, _)), true, Some(since)) if now - since >= SILENCE => {
                let (from, to) = (self.place_of_sentinel(sentinel), node);
                self.net.send(from, to, conn, Msg::Closed, &mut self.dice);
                self.lose_eye(sentinel, node, conn, LinkLoss::TimedOut);
            }
            (Some(_), true, None) => self.ask_eye(sentinel, node),
            (Some(_), ..) => {}
        }
    }

    fn connect_eye(&mut self, sentinel: usize, node: usize) {
        let (now, conn) = (self.net.now, self.net.new_conn());
        self.sentinels[sentinel].eyes[node].conn = Some((conn, now));
        let from = self.place_of_sentinel(sentinel);
        self.send(from, node, conn, Msg::Connect);
    }

    fn ask_eye(&mut self, sentinel: usize, node: usize) {
        let now = self.net.now;
        let eye = &mut self.sentinels[sentinel].eyes[node];
        let Some((conn, _)) = eye.conn.filter(|_| eye.up) else { return };
        let regular = now - eye.informed >= INFO_PERIOD;
        let info = regular || std::mem::take(&mut eye.look);
        if regular {
            eye.informed = now;
        }
        eye.pending = Some(now);
        let from = self.place_of_sentinel(sentinel);
        self.send(from, node, conn, Msg::Ping { info, fence: regular });
        self.see(sentinel, node, Observed::Pinged);
    }

    pub(crate) fn look(&mut self, sentinel: usize, node: usize) {
        let eye = &mut self.sentinels[sentinel].eyes[node];
        eye.look = true;
        if eye.up && eye.pending.is_none() {
            let now = self.net.now;
            let Some((conn, _)) = eye.conn else { return };
            eye.look = false;
            eye.pending = Some(now);
            let from = self.place_of_sentinel(sentinel);
            self.send(from, node, conn, Msg::Ping { info: true, fence: false });
        }
    }

    fn lose_eye(&mut self, sentinel: usize, node: usize, conn: Conn, loss: LinkLoss) {
        let eye = &mut self.sentinels[sentinel].eyes[node];
        if eye.conn.is_none_or(|(known, _)| known != conn) {
            return;
        }
        let again = loss == LinkLoss::Closed;
        *eye = Eye { informed: 0, ..Eye::default() };
        self.see(sentinel, node, Observed::Unlinked(loss));
        if again && self.sentinels[sentinel].eyes[node].conn.is_none() {
            self.connect_eye(sentinel, node);
        }
    }

    /// A message of a data node; it is returned if it is not for the eyes.
    pub(crate) fn eye_hears(&mut self, sentinel: usize, node: usize, conn: Conn, msg: Msg) -> Option<Msg> {
        if self.sentinels[sentinel].eyes[node].conn.is_none_or(|(known, _)| known != conn) {
            return Some(msg);
        }
        match msg {
            Msg::Connected => {
                let now = self.net.now;
                let eye = &mut self.sentinels[sentinel].eyes[node];
                (eye.up, eye.conn) = (true, Some((conn, now)));
                eye.informed = 0;
                self.see(sentinel, node, Observed::Linked);
                if self.sentinels[sentinel].eyes[node].pending.is_none() {
                    self.ask_eye(sentinel, node);
                }
            }
            Msg::Refused => self.lose_eye(sentinel, node, conn, LinkLoss::Refused),
            Msg::Closed => self.lose_eye(sentinel, node, conn, LinkLoss::Closed),
            Msg::Pong(sights) => {
                self.sentinels[sentinel].eyes[node].pending = None;
                for sight in sights {
                    self.see(sentinel, node, sight);
                }
                let eye = &self.sentinels[sentinel].eyes[node];
                if eye.look && eye.pending.is_none() {
                    self.look(sentinel, node);
                }
            }
            _ => {}
        }
        None
    }
}

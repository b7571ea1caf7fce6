//! The hands of a sentinel: a link to each data node for acts, one after the other, each within a second and only by one who leads.

use std::collections::VecDeque;

use crate::base::observation::Observed;
use crate::base::{Addr, Standing};
use crate::breach::Breach;
use crate::check::Promise;
use crate::judge::{Ask, Input, Permit};
use crate::net::{Conn, Event, Msg};
use crate::run::Run;

const ACT_LIMIT: u64 = 1_000_000;

/// What a judge asks of a node.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) ask: Ask,
    pub(crate) permit: Permit,
    pub(crate) judged: Option<Standing>,
}

#[derive(Clone, Debug)]
pub(crate) struct Act {
    id: u64,
    ask: Ask,
    permit: Permit,
    /// What the node is compared with before it is sent; none where that has been done, or does not matter.
    judged: Option<Standing>,
    confirmed: bool,
    sent: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Hand {
    conn: Option<Conn>,
    up: bool,
    waiting: VecDeque<Act>,
    busy: Option<Act>,
}

impl Run {
    pub(crate) fn begin_act(&mut self, sentinel: usize, team: usize, node: Addr, wanted: Wanted) {
        let Wanted { ask, permit, judged } = wanted;
        let Some(node) = self.node_at(&node) else { return };
        if !self.is_of(team, node, &ask) {
            let (name, host) = (self.teams[team].name.clone(), crate::data::name(node));
            self.violate(Promise::Apart, format!("{host} is asked to {ask:?} by the judge of group {name}, to which it does not belong"));
        }
        self.acts += 1;
        let (id, life) = (self.acts, self.sentinels[sentinel].life);
        self.tell(|| format!("  sentinel {} wants {} of {}", sentinel + 1, ask.name(), crate::data::addr(node).host()));
        self.sentinels[sentinel].hands[node].waiting.push_back(Act { id, judged, ask, permit, confirmed: false, sent: false });
        let confirming = if self.dice.chance(90) { self.dice.between(200, 4_000) } else { self.dice.between(4_000, 200_000) };
        self.net.after(confirming, Event::Confirmed { sentinel, life, id });
        self.net.after(ACT_LIMIT, Event::ActLimit { sentinel, node, life, id });
    }

    /// The question whether it leads has been answered: the act goes out now, or never.
    pub(crate) fn confirm_act(&mut self, sentinel: usize, life: u32, id: u64) {
        if self.sentinels[sentinel].life != life || !self.sentinels[sentinel].up {
            return;
        }
        let of_act = |act: &Act| act.id == id;
        let of_hand = |hand: &Hand| hand.waiting.iter().chain(&hand.busy).any(of_act);
        let Some(node) = self.sentinels[sentinel].hands.iter().position(of_hand) else { return };
        let hand = &mut self.sentinels[sentinel].hands[node];
        let act = hand.waiting.iter_mut().chain(&mut hand.busy).find(|act| act.id == id).expect("found above");
        let permit = act.permit;
        if self.permits(sentinel, node, permit) {
            let hand = &mut self.sentinels[sentinel].hands[node];
            hand.waiting.iter_mut().chain(&mut hand.busy).filter(|act| act.id == id).for_each(|act| act.confirmed = true);
        } else {
            self.drop_act(sentinel, node, id);
        }
        self.go_on(sentinel, node);
    }

    fn permits(&self, sentinel: usize, node: usize, permit: Permit) -> bool {
        let team = self.nodes[node].team;
        if self.is_gone_at(sentinel, team) {
            return false;
        }
        let current = Permit::of(self.group_at(sentinel, team));
        self.setup.breach == Some(Breach::ActWithoutPermit) || (self.certainly_leads(sentinel) && current == permit)
    }

    /// An act that has not been sent ends.
    fn drop_act(&mut self, sentinel: usize, node: usize, id: u64) {
        let hand = &mut self.sentinels[sentinel].hands[node];
        let at = hand.waiting.iter().position(|act| act.id == id);
        let dropped = at.and_then(|at| hand.waiting.remove(at)).or_else(|| hand.busy.take_if(|act| act.id == id));
        if let Some(act) = dropped {
            self.end_act(sentinel, node, act.ask, false);
        }
    }

    fn end_act(&mut self, sentinel: usize, node: usize, ask: Ask, well: bool) {
        self.step(sentinel, self.nodes[node].team, Input::Asked { node: crate::data::addr(node), ask, well });
    }

    /// The next act is sent, over a fresh link if there is none.
    fn go_on(&mut self, sentinel: usize, node: usize) {
        let from = self.place_of_sentinel(sentinel);
        let hand = &mut self.sentinels[sentinel].hands[node];
        if hand.busy.is_some() {
            return self.send_act(sentinel, node);
        }
        let Some(next) = hand.waiting.iter().position(|act| act.confirmed || (hand.up && act.judged.is_some())) else { return };
        match hand.conn {
            Some(conn) if hand.up => {
                let act = hand.waiting.remove(next).expect("found above");
                let looks = act.judged.is_some();
                hand.busy = Some(act);
                if looks {
                    self.send(from, node, conn, Msg::Ping { info: true, fence: false });
                } else {
                    self.send_act(sentinel, node);
                }
            }
            Some(_) => {}
            None => self.open_hand(sentinel, node),
        }
    }

    /// The act at hand is sent if it is confirmed, and the node is what it was when it was judged.
    fn send_act(&mut self, sentinel: usize, node: usize) {
        let (from, sent) = (self.place_of_sentinel(sentinel), self.net.now);
        let hand = &self.sentinels[sentinel].hands[node];
        let (Some(act), Some(conn)) = (&hand.busy, hand.conn) else { return };
        if act.sent || !act.confirmed || act.judged.is_some() {
            return;
        }
        let (id, ask) = (act.id, act.ask.clone());
        if !self.permits(sentinel, node, act.permit) {
            self.drop_act(sentinel, node, id);
            return self.go_on(sentinel, node);
        }
        self.sentinels[sentinel].hands[node].busy.as_mut().expect("seen above").sent = true;
        self.send(from, node, conn, Msg::Act { id, ask, sent });
    }

    /// The node says what it is, before the act at hand is sent.
    fn compare(&mut self, sentinel: usize, node: usize, sights: Vec<Observed>) {
        let report = sights.iter().find_map(|sight| if let Observed::Report(report) = sight { Some(report) } else { None });
        let hand = &mut self.sentinels[sentinel].hands[node];
        let (Some(act), Some(report)) = (&mut hand.busy, report) else { return };
        let id = act.id;
        let judged = act.judged.take();
        if judged.is_some_and(|judged| judged != Standing::of(report)) {
            self.see(sentinel, node, Observed::Report(report.clone()));
            self.drop_act(sentinel, node, id);
        }
        self.go_on(sentinel, node);
    }

    fn open_hand(&mut self, sentinel: usize, node: usize) {
        let conn = self.net.new_conn();
        let hand = &mut self.sentinels[sentinel].hands[node];
        (hand.conn, hand.up) = (Some(conn), false);
        let from = self.place_of_sentinel(sentinel);
        self.send(from, node, conn, Msg::Connect);
    }

    /// A link is kept ready.
    pub(crate) fn ready_hand(&mut self, sentinel: usize, node: usize) {
        let hand = &self.sentinels[sentinel].hands[node];
        let stuck = hand.conn.is_some() && !hand.up && hand.waiting.is_empty() && self.dice.chance(50);
        if hand.conn.is_none() || stuck {
            self.open_hand(sentinel, node);
        }
    }

    pub(crate) fn act_limit(&mut self, sentinel: usize, node: usize, life: u32, id: u64) {
        if self.sentinels[sentinel].life != life || !self.sentinels[sentinel].up {
            return;
        }
        let hand = &mut self.sentinels[sentinel].hands[node];
        if hand.busy.as_ref().is_some_and(|act| act.id == id) {
            // What it has written stays written: the system goes on delivering it after the end of the link.
            let (act, conn) = (hand.busy.take().expect("seen"), hand.conn.take());
            hand.up = false;
            if let Some(conn) = conn {
                let from = self.place_of_sentinel(sentinel);
                self.send(from, node, conn, Msg::Closed);
            }
            self.end_act(sentinel, node, act.ask, false);
            self.go_on(sentinel, node);
        } else if let Some(at) = hand.waiting.iter().position(|act| act.id == id) {
            let act = hand.waiting.remove(at).expect("found");
            if !hand.up {
                hand.conn = None;
            }
            self.end_act(sentinel, node, act.ask, false);
        }
    }

    pub(crate) fn hand_hears(&mut self, sentinel: usize, node: usize, conn: Conn, msg: Msg) {
        let hand = &mut self.sentinels[sentinel].hands[node];
        if hand.conn != Some(conn) {
            return;
        }
        match msg {
            Msg::Connected => {
                hand.up = true;
                self.go_on(sentinel, node);
            }
            Msg::Refused | Msg::Closed => {
                (hand.conn, hand.up) = (None, false);
                let lost = hand.busy.take().or_else(|| {
                    let refused = matches!(msg, Msg::Refused);
                    let at = hand.waiting.iter().position(|act| act.confirmed && refused)?;
                    hand.waiting.remove(at)
                });
                if let Some(act) = lost {
                    self.end_act(sentinel, node, act.ask, false);
                }
                self.go_on(sentinel, node);
            }
            Msg::Pong(sights) => self.compare(sentinel, node, sights),
            Msg::Acted { id, sights } => {
                let Some(act) = hand.busy.take_if(|act| act.id == id) else { return };
                for sight in sights {
                    self.see(sentinel, node, sight);
                }
                self.end_act(sentinel, node, act.ask, true);
                self.go_on(sentinel, node);
            }
            _ => {}
        }
    }
}

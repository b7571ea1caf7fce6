//! What subscribers hear of a failover, from its leader in stock and from any of ours.

use crate::kit::{Cluster, Conn, Reply};
use crate::known::{How, KNOWN_EVENTS};
use crate::labels::Labels;
use crate::situations::Pair;

/// They depend on when somebody looks, in stock as well; or are told by the one who acts, which of ours may be any.
/// Those of the fence are ours, and come whenever it is tended.
const WHENEVER: [&str; 13] = [
    "+sdown",
    "-sdown",
    "-odown",
    "+reboot",
    "+role-change",
    "-role-change",
    "+convert-to-slave",
    "+slave-reconf-sent",
    "+fence-armed",
    "-fence-armed",
    "+fence-problem",
    "-fence-problem",
    // On a busy machine a replica may be asked in vain for a moment.
    "+failover-blocked",
];

/// A subscription to everything, on each sentinel.
pub(crate) struct Listeners {
    stock: Vec<Conn>,
    ours: Vec<Conn>,
}

/// What was told, one event a line.
pub(crate) struct Heard {
    stock: Vec<String>,
    ours: Vec<String>,
}

impl Listeners {
    pub(crate) fn of(pair: &Pair) -> Self {
        let all = |cluster: &Cluster| {
            let listen = |sentinel: &crate::kit::Sentinel| {
                let mut conn = sentinel.conn().unwrap();
                conn.ask(&["PSUBSCRIBE", "*"]).unwrap();
                conn
            };
            cluster.sentinels.iter().map(listen).collect::<Vec<_>>()
        };
        Self { stock: all(&pair.stock), ours: all(&pair.ours) }
    }

    /// Listens until the switch of `old` to the recorded masters has been told, with all replicas of the new master.
    pub(crate) fn heard(self, pair: &Pair, old: (u16, u16)) -> Heard {
        let stock = self.stock.into_iter().map(|conn| told(conn, &labels(&pair.stock, old.0, pair.masters.0)));
        let leads = |events: &Vec<String>| events.iter().any(|event| event.starts_with("+elected-leader "));
        let stock = stock.collect::<Vec<_>>().into_iter().find(leads).expect("one of stock's led the failover");
        let ours: Vec<Vec<String>> = self.ours.into_iter().map(|conn| told(conn, &labels(&pair.ours, old.1, pair.masters.1))).collect();
        let of_all = |events: &[String]| events.iter().filter(|event| !whenever(event)).cloned().collect::<Vec<_>>();
        for other in &ours[1..] {
            assert_eq!(of_all(other), of_all(&ours[0]), "our sentinels tell one story");
        }
        Heard { stock, ours: ours.into_iter().next().unwrap() }
    }
}

fn labels(cluster: &Cluster, old: u16, new: u16) -> Labels {
    let mut labels = Labels::new(cluster, new);
    labels.name(old, "<old>");
    labels
}

/// Reads until both the end of the failover and the old master as a replica have been told.
fn told(mut conn: Conn, labels: &Labels) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    let over = |events: &[String]| {
        let has = |start: &str| events.iter().any(|event| event.starts_with(start));
        let leads = has("+elected-leader ");
        has("+slave slave 127.0.0.1:<old>") && (has("+failover-end ") || !leads)
    };
    conn.set_read_limit(Some(std::time::Duration::from_secs(30))).unwrap();
    while !over(&events) {
        let message = conn.read().unwrap_or_else(|error| panic!("{error} after {events:#?}"));
        let words: Vec<String> = message.items().iter().filter_map(Reply::text).collect();
        let [_, _, channel, payload] = words.as_slice() else { panic!("{message}") };
        events.push(line(channel, &labels.apply(payload)));
    }
    events
}

/// Numbers of epochs and of votes are left out.
fn line(channel: &str, payload: &str) -> String {
    match channel {
        "+new-epoch" => format!("{channel} #"),
        "+vote-for-leader" => format!("{channel} <id> #"),
        "+odown" => format!("{channel} {} #quorum #/#", payload.split(" #").next().unwrap_or_default()),
        _ => format!("{channel} {payload}"),
    }
}

fn channel(event: &str) -> &str {
    event.split(' ').next().unwrap_or_default()
}

fn whenever(event: &str) -> bool {
    WHENEVER.contains(&channel(event))
}

fn is_known(event: &str, how: How) -> bool {
    KNOWN_EVENTS.iter().any(|row| row.channel == channel(event) && row.how == how)
}

/// Fails for whatever is not in the table, and for rows of the table that were not needed.
pub(crate) fn judge(heard: &Heard) {
    let steady = |events: &[String]| {
        let mut once: Vec<String> = Vec::new();
        events.iter().filter(|event| !whenever(event)).for_each(|event| {
            if !once.contains(event) {
                once.push(event.clone());
            }
        });
        once
    };
    let (stock, ours) = (steady(&heard.stock), steady(&heard.ours));
    let only = |these: &[String], those: &[String]| these.iter().filter(|event| !those.contains(event)).cloned().collect::<Vec<_>>();
    let (stock_only, ours_only) = (only(&stock, &ours), only(&ours, &stock));
    let story = format!("-- stock\n{}\n-- ours\n{}", heard.stock.join("\n"), heard.ours.join("\n"));
    for (events, how) in [(&stock_only, How::StockOnly), (&ours_only, How::OursOnly)] {
        let unknown: Vec<&String> = events.iter().filter(|event| !is_known(event, how)).collect();
        assert!(unknown.is_empty(), "{how:?}: {unknown:#?}\n{story}");
        let rows = KNOWN_EVENTS.iter().filter(|row| row.how == how);
        let stale: Vec<&str> = rows.map(|row| row.channel).filter(|name| !events.iter().any(|event| channel(event) == *name)).collect();
        assert!(stale.is_empty(), "{how:?} no longer: {stale:?}\n{story}");
    }
    let order = |events: &[String], others: &[String]| events.iter().filter(|event| others.contains(event)).cloned().collect::<Vec<_>>();
    assert_eq!(order(&stock, &ours), order(&ours, &stock), "the order differs\n{story}");
}

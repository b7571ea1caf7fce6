//! Stock Sentinel's events, as far as they belong to a decision about a master. Pure.

use crate::base::Addr;
use crate::machine::StockWord;

/// The channels that are listened to.
pub(super) const CHANNELS: [&str; 9] = [
    "+odown",
    "-odown",
    "+try-failover",
    "+selected-slave",
    "-failover-abort-no-good-slave",
    "-failover-abort-not-elected",
    "-failover-abort-slave-timeout",
    "-failover-abort-master-is-back",
    "+switch-master",
];

/// Reads one event about the master that is known there as `name`; none if it is about another, or not one of ours.
/// Addresses are as they were said.
pub(super) fn read(channel: &str, text: &str, name: &str) -> Option<StockWord> {
    let words: Vec<&str> = text.split(' ').collect();
    match (channel, &words[..]) {
        ("+switch-master", [known, _, _, host, port]) if *known == name => Some(StockWord::Switched(addr(host, port)?)),
        ("+selected-slave", ["slave", _, host, port, "@", known, ..]) if *known == name => Some(StockWord::Chosen(addr(host, port)?)),
        (_, ["master", known, ..]) if *known == name => match channel {
            "+odown" => Some(StockWord::Down),
            "-odown" => Some(StockWord::Up),
            "+try-failover" => Some(StockWord::Tried),
            _ if channel.starts_with("-failover-abort-") => Some(StockWord::Aborted(channel.to_owned())),
            _ => None,
        },
        _ => None,
    }
}

fn addr(host: &str, port: &str) -> Option<Addr> {
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Addr::new(host, port).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_sentinels_events_are_read_as_it_writes_them() {
        let at = |port| Addr::new("127.0.0.1", port).expect("an address");
        for (channel, text, word) in [
            ("+odown", "master mymaster 127.0.0.1 6379 #quorum 2/2", StockWord::Down),
            ("-odown", "master mymaster 127.0.0.1 6379", StockWord::Up),
            ("+try-failover", "master mymaster 127.0.0.1 6379", StockWord::Tried),
            ("+selected-slave", "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379", StockWord::Chosen(at(6380))),
            ("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6381", StockWord::Switched(at(6381))),
            (
                "-failover-abort-no-good-slave",
                "master mymaster 127.0.0.1 6379",
                StockWord::Aborted("-failover-abort-no-good-slave".to_owned()),
            ),
        ] {
            assert_eq!(read(channel, text, "mymaster"), Some(word), "{channel}");
            assert_eq!(read(channel, text, "other"), None, "{channel} is about another master");
        }
    }

    #[test]
    fn what_it_does_not_write_is_not_read() {
        for (channel, text) in [
            ("+odown", ""),
            ("+odown", "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379"),
            ("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1"),
            ("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 0"),
            ("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 x"),
            ("+sdown", "master mymaster 127.0.0.1 6379"),
        ] {
            assert_eq!(read(channel, text, "mymaster"), None, "{channel} {text}");
        }
    }
}

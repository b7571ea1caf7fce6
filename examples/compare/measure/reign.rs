//! When a data node took writes, and when it became a master.

use super::spans::Span;
use crate::record::{Look, Seen};

/// The spans in which it took writes: from a look that saw it to the last one in a row that did.
pub(super) fn accepting(looks: &[Look]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut open = false;
    for look in looks {
        let accepts = look.seen == Seen::Accepts;
        match spans.last_mut() {
            Some(span) if open && accepts => span.to = look.at,
            _ if accepts => spans.push(Span { from: look.at, to: look.at }),
            _ => {}
        }
        open = accepts;
    }
    spans
}

/// How often it was a master after it had been a replica.
pub(super) fn promotions(looks: &[Look]) -> usize {
    let roles = looks.iter().filter_map(|look| match look.seen {
        Seen::Accepts | Seen::Refuses => Some(true),
        Seen::Replica => Some(false),
        Seen::Silent => None,
    });
    let roles: Vec<bool> = roles.collect();
    roles.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Seen::{Accepts, Refuses, Replica, Silent};

    fn looks(seen: &[Seen]) -> Vec<Look> {
        (1..).zip(seen).map(|(number, seen)| Look { at: number * 10, seen: *seen }).collect()
    }

    #[test]
    fn it_takes_writes_from_look_to_look() {
        let found = accepting(&looks(&[Accepts, Accepts, Silent, Refuses, Accepts, Replica, Accepts, Accepts, Accepts]));
        assert_eq!(found, [Span { from: 10, to: 20 }, Span { from: 50, to: 50 }, Span { from: 70, to: 90 }]);
    }

    #[test]
    fn only_a_replica_is_promoted() {
        assert_eq!(promotions(&looks(&[Accepts, Silent, Accepts, Refuses])), 0, "a master that came back");
        assert_eq!(promotions(&looks(&[Replica, Silent, Refuses, Accepts, Replica, Accepts])), 2);
    }
}

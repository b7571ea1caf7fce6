//! For how long the application could not write, and how long it took to find a master that was there.

use super::spans::Span;
use crate::clock::Us;
use crate::record::ClientLog;

/// A pause from which on it counts as an outage of its own, when there are several. Busy machines make shorter ones all the time.
const OUTAGE: Us = 200_000;

/// Time without an acknowledgement in the gaps that end after `fault`, whole, up to `end`: the longest, or all that last [`OUTAGE`] or more, whichever is longer.
pub(super) fn unavailable(acks: &[Us], fault: Us, end: Us) -> Us {
    let before = acks.iter().rev().find(|at| **at <= fault).copied().unwrap_or(fault);
    let after = acks.iter().copied().filter(|at| *at > fault && *at < end);
    let moments: Vec<Us> = std::iter::once(before).chain(after).chain([end]).collect();
    let gaps = || moments.windows(2).map(|pair| pair[1] - pair[0]);
    let all = gaps().filter(|gap| *gap >= OUTAGE).sum();
    gaps().max().unwrap_or(0).max(all)
}

/// From the moment that another node than the first took writes to the client's first write there, after `fault`. If none ever
/// took over: from the first connection that the client lost to its next write; none if it lost none, or did not write again.
pub(super) fn reconnect(client: &ClientLog, reigns: &[Vec<Span>], fault: Us) -> Option<Us> {
    let later = |(node, spans): (usize, &Vec<Span>)| spans.iter().find(|span| span.from > fault).map(|span| (span.from, node));
    match reigns.iter().enumerate().skip(1).filter_map(later).min() {
        Some((ready, node)) => {
            let first = client.acks.iter().find(|ack| ack.at > fault && ack.node == node)?;
            // The look that saw it may be a little later than the write.
            Some(first.at.saturating_sub(ready))
        }
        None => {
            let lost = *client.left.iter().find(|at| **at > fault)?;
            let next = client.acks.iter().find(|ack| ack.at > lost)?;
            Some(next.at - lost)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::record::{Ack, Habit};

    #[test]
    fn the_gap_around_the_fault_counts_whole() {
        assert_eq!(unavailable(&[5_000, 10_000, 900_000, 905_000], 20_000, 910_000), 890_000);
    }

    #[test]
    fn a_client_that_never_writes_again_is_out_until_the_end() {
        assert_eq!(unavailable(&[5_000, 10_000], 20_000, 3_000_000), 2_990_000);
        assert_eq!(unavailable(&[], 20_000, 3_000_000), 2_980_000);
    }

    #[test]
    fn several_outages_add_up_and_hiccups_do_not() {
        let acks = [10_000, 310_000, 430_000, 730_000, 740_000];
        assert_eq!(unavailable(&acks, 20_000, 745_000), 300_000 + 300_000);
        assert_eq!(unavailable(&[10_000, 20_000, 40_000], 10_000, 45_000), 20_000, "without an outage it is the longest pause");
    }

    fn client(acks: &[(Us, usize)], left: &[Us]) -> ClientLog {
        let acks = (1..).zip(acks).map(|(number, (at, node))| Ack { at: *at, number, node: *node, confirmed: false }).collect();
        ClientLog { habit: Habit::Follows, waits: false, acks, left: left.to_vec(), lost: BTreeSet::new() }
    }

    #[test]
    fn a_reconnect_is_counted_from_the_moment_the_new_master_is_ready() {
        let reigns = [vec![Span { from: 0, to: 100 }], vec![], vec![Span { from: 300, to: 900 }]];
        assert_eq!(reconnect(&client(&[(50, 0), (340, 2), (350, 2)], &[120]), &reigns, 100), Some(40));
        assert_eq!(reconnect(&client(&[(50, 0), (290, 2)], &[120]), &reigns, 100), Some(0), "the look came after the write");
        assert_eq!(reconnect(&client(&[(50, 0)], &[120]), &reigns, 100), None);
    }

    #[test]
    fn without_a_promotion_it_is_counted_from_the_loss() {
        let reigns = [vec![Span { from: 0, to: 900 }], vec![], vec![]];
        assert_eq!(reconnect(&client(&[(50, 0), (400, 0)], &[60, 150, 200]), &reigns, 100), Some(250));
        assert_eq!(reconnect(&client(&[(50, 0), (400, 0)], &[]), &reigns, 100), None);
    }
}

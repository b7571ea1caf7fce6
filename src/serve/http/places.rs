//! The metrics of connections: who stands at each port, and what is left of the descriptors.

use super::families::Family;
use super::scrape::{big, number};
use crate::admission::Port;

/// The metrics of all ports for clients.
pub(super) fn families(ports: &[(&'static str, Port)]) -> Vec<Family> {
    let mut open = Family::gauge("connections", "Connections of clients, by port");
    let mut places = Family::gauge("connection_places", "Connections that the port may have at the same time");
    let mut refused = Family::counter("connections_refused", "Connections that got no place at the port, since this process started");
    let mut evicted = Family::counter(
        "connections_evicted",
        "Connections that were closed for newer ones before they had shown that they are of use, since this process started",
    );
    for (name, port) in ports {
        let (counts, labels) = (port.counts(), [("port", *name)]);
        open.add(labels, number(counts.open));
        places.add(labels, number(port.shares().places));
        refused.add(labels, big(counts.refused));
        evicted.add(labels, big(counts.evicted));
    }
    let descriptors = ports.iter().find_map(|(_, port)| port.descriptors());
    let limit = descriptors.map(|descriptors| number(descriptors.limit()));
    let reserve = descriptors.map(|descriptors| number(descriptors.reserve()));
    vec![
        open,
        places,
        refused,
        evicted,
        Family::gauge("open_files_limit", "Files and connections that this process may have open").with_some(limit),
        Family::gauge("open_files_reserved", "Of them, kept from clients for data nodes, peers and operators").with_some(reserve),
    ]
}

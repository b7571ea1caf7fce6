use super::super::descriptors::Need;
use super::*;

fn ip(last: u8) -> Source {
    Source::of_ip(IpAddr::from([10, 0, 0, last]))
}

fn peers(shares: Shares) -> Port {
    Port::for_peers("a port", shares)
}

const SMALL: Shares = Shares { places: 8, per_source: 4, here: 8, unproven: 6, unproven_per_source: 3 };

#[test]
fn one_source_leaves_places_for_others() {
    let port = peers(SMALL);
    let proven = |source| port.enter(source).inspect(Place::prove);
    let held: Vec<_> = (0..4).map(|_| proven(ip(1)).expect("a place")).collect();
    assert_eq!(proven(ip(1)).err(), Some(Refused::Source));
    let others: Vec<_> = (0..4).map(|_| proven(ip(2)).expect("a place")).collect();
    assert_eq!(proven(ip(3)).err(), Some(Refused::Port));
    drop((held, others));
    assert_eq!(port.counts(), Counts { open: 0, unproven: 0, refused: 2, evicted: 0 });
    assert!(port.0.book().sources.is_empty() && port.0.book().leaving.is_empty(), "nothing is kept of sources that left");
}

#[test]
fn who_finishes_what_it_begins_gets_in_among_any_number_that_do_not() {
    let port = peers(SMALL);
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(port.enter(ip(1)).expect("a newcomer is never turned away by silent ones"));
        // Whoever has to go, goes.
        silent.retain(|place: &Place| !place.out().is_cancelled());
    }
    assert_eq!(port.counts(), Counts { open: 3, unproven: 3, refused: 0, evicted: 997 });
    let member = port.enter(ip(1)).expect("a place");
    member.prove();
    for _ in 0..100 {
        silent.push(port.enter(ip(1)).expect("a place"));
        silent.retain(|place| !place.out().is_cancelled());
    }
    assert!(!member.out().is_cancelled(), "what was proven stays");
}

#[test]
fn the_most_crowded_source_makes_room() {
    let port = peers(Shares { unproven_per_source: 4, ..SMALL });
    let crowd: Vec<_> = (0..4).map(|_| port.enter(ip(1)).expect("a place")).collect();
    let modest: Vec<_> = (0..3).map(|_| port.enter(ip(2)).expect("a place")).collect();
    assert_eq!(crowd.iter().filter(|place| place.out().is_cancelled()).count(), 1, "its oldest one");
    assert!(crowd[0].out().is_cancelled());
    assert!(modest.iter().all(|place| !place.out().is_cancelled()));
}

#[test]
fn members_have_places_that_strangers_cannot_take() {
    let port = peers(SMALL);
    port.know(&[IpAddr::from([10, 0, 0, 9])]);
    let proven = |n| port.enter(ip(n)).inspect(Place::prove).expect("a place");
    let _strangers: Vec<_> = (1..=2).flat_map(|n| (0..4).map(move |_| n)).map(proven).collect();
    assert_eq!(port.enter(ip(3)).err(), Some(Refused::Port));
    assert!(port.enter(ip(9)).is_ok(), "a member comes in");
}

#[test]
fn a_handshake_of_a_member_is_not_given_up_for_strangers() {
    let port = peers(SMALL);
    port.know(&[IpAddr::from([10, 0, 0, 200])]);
    let member = port.enter(ip(200)).expect("a place");
    let mut strangers = Vec::new();
    for n in 0..100 {
        strangers.push(port.enter(ip(n)).expect("a place"));
        strangers.retain(|place: &Place| !place.out().is_cancelled());
    }
    assert!(!member.out().is_cancelled(), "each stranger came from an address of his own, and was as crowded as the member");
}

#[test]
fn all_ports_for_clients_share_the_descriptors() {
    let need = Need::default();
    let descriptors = Descriptors::with_limit(need.reserve() + 3, need);
    let resp = Port::for_clients("one", SMALL, descriptors.clone());
    let grpc = Port::for_clients("two", SMALL, descriptors);
    let held: Vec<_> = (0..3).map(|_| resp.enter(ip(1)).expect("a place")).collect();
    assert_eq!(grpc.enter(ip(2)).err(), Some(Refused::Descriptors));
    assert!(grpc.enter(Source::Here).is_ok(), "an operator on this host comes in");
    drop(held);
    assert!(grpc.enter(ip(2)).is_ok());
}

#[test]
fn shares_fit_each_other() {
    for places in [1, 2, 10, 64, 1024, 10_000] {
        for per_source in [1, places / 4, places] {
            let shares = Shares::new(places, per_source);
            assert!(shares.per_source >= 1 && shares.per_source <= shares.here && shares.here <= places.max(1), "{shares:?}");
            assert!(shares.unproven <= places && shares.unproven_per_source <= shares.per_source, "{shares:?}");
        }
    }
    assert_eq!(Shares::new(10, 10).here, 10, "a small deployment is not divided");
}

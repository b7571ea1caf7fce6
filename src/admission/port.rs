//! The places of one port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::descriptors::{ClientDescriptor, Descriptors};
use super::source::Source;

/// How the places of one port are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Connections at the same time.
    pub places: usize,
    /// Of them, from one source.
    pub per_source: usize,
    /// Of them, from this host.
    pub here: usize,
    /// Of them, unproven ones.
    pub unproven: usize,
    /// Of the unproven ones, from one source.
    pub unproven_per_source: usize,
}

impl Shares {
    /// So many places, so many for one source. This host gets seven of eight: its clients are the operator's own, and often many.
    /// Half of a share may be unproven, and never so few that an idle client of a small deployment is in danger.
    pub fn new(places: usize, per_source: usize) -> Self {
        let half = |share: usize| (share / 2).max(64).min(share);
        let per_source = per_source.clamp(1, places.max(1));
        let here = (places / 8 * 7).max(64).min(places).max(per_source);
        Self { places, per_source, here, unproven: half(places), unproven_per_source: half(per_source) }
    }

    /// The shares of the port for peers: members need a few connections each, and have places of their own.
    pub const fn for_peers() -> Self {
        Self { places: 128, per_source: 64, here: 128, unproven: 64, unproven_per_source: 64 }
    }

    fn of(&self, source: Source) -> usize {
        if source == Source::Here { self.here } else { self.per_source }
    }
}

/// Why a connection gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All places of the port are taken.
    Port,
    /// All places of the source are taken.
    Source,
    /// The descriptors that clients may use are taken.
    Descriptors,
}

impl Refused {
    /// For people.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Port => "all places of the port are taken",
            Self::Source => "all places of that address are taken",
            Self::Descriptors => "the rest of the descriptors is kept for probes, peers and operators",
        }
    }
}

/// The connections of one port. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Port(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    shares: Shares,
    /// None where the port is not for clients.
    descriptors: Option<Descriptors>,
    book: Mutex<Book>,
    refused: AtomicU64,
    evicted: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    last: u64,
    open: usize,
    unproven: usize,
    sources: BTreeMap<Source, Stand>,
    /// Connections that had to go, and have not gone yet.
    leaving: BTreeSet<u64>,
    /// Sources that strangers cannot crowd out.
    known: Vec<Source>,
}

/// One source.
#[derive(Debug, Default)]
struct Stand {
    open: usize,
    /// The oldest first.
    unproven: BTreeMap<u64, CancellationToken>,
}

/// The numbers of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections now.
    pub open: usize,
    /// Of them, unproven ones.
    pub unproven: usize,
    /// Connections that got no place, so far.
    pub refused: u64,
    /// Unproven connections that had to go for newer ones, so far.
    pub evicted: u64,
}

impl Port {
    /// A port for clients, who use the descriptors that are not kept for others.
    pub fn for_clients(name: &'static str, shares: Shares, descriptors: Descriptors) -> Self {
        Self::new(name, shares, Some(descriptors))
    }

    /// The port for peers, whose descriptors are kept for them.
    pub fn for_peers(name: &'static str, shares: Shares) -> Self {
        Self::new(name, shares, None)
    }

    fn new(name: &'static str, shares: Shares, descriptors: Option<Descriptors>) -> Self {
        let (refused, evicted) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { name, shares, descriptors, book: Mutex::default(), refused, evicted }))
    }

    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The descriptors that its connections share with those of other ports; none at the port for peers.
    pub fn descriptors(&self) -> Option<&Descriptors> {
        self.0.descriptors.as_ref()
    }

    /// How its places are shared.
    pub fn shares(&self) -> &Shares {
        &self.0.shares
    }

    /// These addresses have places of their own from now on, beside those of the port.
    pub fn know(&self, addresses: &[IpAddr]) {
        self.0.book().known = addresses.iter().map(|ip| Source::of_ip(*ip)).collect();
    }

    /// Whether a source is one of those.
    pub fn knows(&self, source: Source) -> bool {
        self.0.book().known.contains(&source)
    }

    /// The numbers.
    pub fn counts(&self) -> Counts {
        let book = self.0.book();
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { open: book.open, unproven: book.unproven, refused: number(&self.0.refused), evicted: number(&self.0.evicted) }
    }

    /// A place for a connection that has come, unproven; an older unproven one may have to go for it.
    ///
    /// # Errors
    /// [`Refused`]: all places are taken by connections that may stay.
    pub fn enter(&self, source: Source) -> Result<Place, Refused> {
        self.0.enter(source).inspect_err(|_| _ = self.0.refused.fetch_add(1, Ordering::Relaxed)).map(|(ticket, out, taken)| Place {
            port: Arc::clone(&self.0),
            source,
            ticket,
            out,
            proven: AtomicBool::new(false),
            _taken: taken,
        })
    }
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, source: Source) -> Result<(u64, CancellationToken, Option<ClientDescriptor>), Refused> {
        let (mut book, shares) = (self.book(), &self.shares);
        let known = book.known.contains(&source);
        let (open, silent) = book.sources.get(&source).map_or((0, 0), |stand| (stand.open, stand.unproven.len()));
        if book.open >= shares.places && !known && book.unproven == 0 {
            return Err(Refused::Port);
        }
        if open >= shares.of(source) && silent == 0 {
            return Err(Refused::Source);
        }
        let taken = match &self.descriptors {
            None => None,
            Some(descriptors) => match descriptors.take(source == Source::Here, false) {
                Some(taken) => Some(taken),
                None => {
                    let crowded = book.most_crowded().filter(|_| book.unproven > 0).ok_or(Refused::Descriptors)?;
                    self.evict(&mut book, crowded);
                    Some(descriptors.take(source == Source::Here, true).ok_or(Refused::Descriptors)?)
                }
            },
        };
        if silent >= shares.unproven_per_source || open >= shares.of(source) {
            self.evict(&mut book, source);
        } else if (book.unproven >= shares.unproven || (book.open >= shares.places && !known))
            && let Some(crowded) = book.most_crowded()
        {
            self.evict(&mut book, crowded);
        }
        book.last += 1;
        book.open += 1;
        book.unproven += 1;
        let (ticket, out) = (book.last, CancellationToken::new());
        let stand = book.sources.entry(source).or_default();
        stand.open += 1;
        stand.unproven.insert(ticket, out.clone());
        Ok((ticket, out, taken))
    }

    /// The oldest unproven connection of a source has to go. Its place is free at once, its descriptor when it has gone.
    fn evict(&self, book: &mut Book, source: Source) {
        if let Some((ticket, out)) = book.sources.get_mut(&source).and_then(|stand| stand.unproven.pop_first()) {
            book.unproven -= 1;
            book.leave(source);
            book.leaving.insert(ticket);
            self.evicted.fetch_add(1, Ordering::Relaxed);
            out.cancel();
        }
    }
}

impl Book {
    /// One connection of a source less.
    fn leave(&mut self, source: Source) {
        self.open -= 1;
        if let Some(stand) = self.sources.get_mut(&source) {
            stand.open -= 1;
            if stand.open == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// The source with the most unproven connections; one of those that strangers cannot crowd out only where there is no other.
    fn most_crowded(&self) -> Option<Source> {
        let crowded =
            |(source, stand): &(&Source, &Stand)| (!stand.unproven.is_empty() && !self.known.contains(source), stand.unproven.len());
        self.sources.iter().max_by_key(crowded).map(|(source, _)| *source)
    }
}

/// The place of one connection; given up when dropped.
#[derive(Debug)]
pub struct Place {
    port: Arc<Inner>,
    source: Source,
    ticket: u64,
    out: CancellationToken,
    proven: AtomicBool,
    _taken: Option<ClientDescriptor>,
}

impl Place {
    /// The connection has shown that it is of use, and may stay.
    pub fn prove(&self) {
        if !self.proven.swap(true, Ordering::Relaxed) {
            self.leave_unproven(&mut self.port.book());
        }
    }

    /// Cancelled when this connection, still unproven, has to go for a newer one.
    pub const fn out(&self) -> &CancellationToken {
        &self.out
    }

    /// Whether it has shown that it is of use.
    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Where the connection comes from.
    pub const fn source(&self) -> Source {
        self.source
    }

    fn leave_unproven(&self, book: &mut Book) {
        if book.sources.get_mut(&self.source).is_some_and(|stand| stand.unproven.remove(&self.ticket).is_some()) {
            book.unproven -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.port.book();
        if !book.leaving.remove(&self.ticket) {
            self.leave_unproven(&mut book);
            book.leave(self.source);
        }
    }
}

#[cfg(test)]
#[path = "port_test.rs"]
mod tests;

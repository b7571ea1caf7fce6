//! Where the members live: hosts of their own, or all of them on this one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::Context;

use super::{Spec, TRIO};
use crate::kit::net::{Host, Net};
use crate::kit::ports::free_port;

const CLIENT: &str = "client";

/// The network under a stage.
#[derive(Debug)]
pub(crate) struct Ground {
    net: Option<Net>,
    together: bool,
}

/// Where a member or a client lives. Copies mean the same place.
#[derive(Clone, Debug)]
pub(crate) struct Place(Option<Host>);

impl Ground {
    /// Whether hosts of their own can be made here; the error says what is in the way.
    pub(crate) fn can_have_hosts() -> Result<(), String> {
        Net::new(&["probe"]).map(drop).map_err(|e| e.to_string())
    }

    pub(super) fn lay(spec: &Spec) -> anyhow::Result<Self> {
        let names: Vec<String> =
            (1..=TRIO).flat_map(|number| [data_host(number), sentinel_host(number)]).chain([CLIENT.to_owned()]).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let net = spec.with_network.then(|| Net::new(&names)).transpose().context("make a network of hosts")?;
        Ok(Self { net, together: spec.together })
    }

    /// The host of data nodes number `number`, from 0, of every group.
    pub(crate) fn of_data(&self, number: usize) -> Place {
        self.place(&data_host(number + 1))
    }

    /// The host of a sentinel.
    pub(crate) fn of_sentinel(&self, number: usize) -> Place {
        if self.together { self.of_data(number) } else { self.place(&sentinel_host(number + 1)) }
    }

    /// Where applications are.
    pub(crate) fn of_clients(&self) -> Place {
        self.place(CLIENT)
    }

    /// Where everybody can be reached from at all times.
    pub(crate) fn watcher(&self) -> Place {
        Place(self.net.as_ref().map(|net| net.observer().clone()))
    }

    /// Cuts the host of the first data nodes off from all others, silently.
    pub(crate) fn cut_off_the_master(&self) -> anyhow::Result<()> {
        Ok(self.net()?.isolate(&data_host(1))?)
    }

    /// From now on nobody hears the host of the first data nodes; it hears everybody.
    pub(crate) fn silence_the_master(&self) -> anyhow::Result<()> {
        Ok(self.net()?.silence(&data_host(1))?)
    }

    /// Takes all cuts back.
    pub(crate) fn heal(&self) -> anyhow::Result<()> {
        Ok(self.net()?.heal()?)
    }

    fn net(&self) -> anyhow::Result<&Net> {
        self.net.as_ref().context("this scenario needs a network of hosts")
    }

    fn place(&self, name: &str) -> Place {
        Place(self.net.as_ref().map(|net| net.host(name).clone()))
    }
}

impl Place {
    /// Its address.
    pub(crate) fn ip(&self) -> IpAddr {
        IpAddr::V4(self.0.as_ref().map_or(Ipv4Addr::LOCALHOST, Host::ip))
    }

    /// A port for somebody who lives here: the usual one where the host is its own, else a free one.
    pub(crate) fn port(&self, usual: u16) -> u16 {
        if self.0.is_some() { usual } else { free_port() }
    }

    /// How a program is run here: the program to start, and its first arguments.
    pub(super) fn command_line(&self, program: &Path) -> (String, Vec<String>) {
        let program = program.display().to_string();
        match &self.0 {
            None => (program, Vec::new()),
            Some(host) => {
                let [enter, arguments @ ..] = host.prefix();
                (enter, arguments.into_iter().chain([program]).collect())
            }
        }
    }

    /// Starts a thread here.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.0 {
            Some(host) => host.spawn(work),
            None => thread::spawn(work),
        }
    }

    /// Does something here and waits for it.
    pub(crate) fn do_there<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match &self.0 {
            None => work(),
            Some(_) => self.spawn(work).join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked)),
        }
    }
}

fn data_host(number: usize) -> String {
    format!("data-{number}")
}

fn sentinel_host(number: usize) -> String {
    format!("sentinel-{number}")
}

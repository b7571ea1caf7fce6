//! A network of hosts on one machine, which can be cut: each host is a Linux network namespace with an address of its own.
//!
//! ```text
//!   host "a" 10.0.0.1 ── veth ──┐
//!   host "b" 10.0.0.2 ── veth ──┤ router: forwards, or drops what a cut forbids
//!   observer 10.0.0.3 ── veth ──┘
//! ```
//!
//! The router is a namespace as well, so nothing of the machine's own network is touched or reachable. A cut is a routing rule of the
//! router that discards packets by source and destination: silent (no RST, no ICMP), one way or both, and needing nothing of the
//! kernel but policy routing. The observer is an ordinary host that no cut concerns: whoever judges sits there.
//!
//! The namespaces have no names. They are held by open files of this process and by the processes in them, so they are gone with
//! those, however this process ends, and there is nothing to clean up after a crash. To look inside while it runs: `nsenter
//! --net=PATH`, with the path that [`Host::path`] gives.
//!
//! Needs root and the program `ip`. It knows nothing of the other parts of the kit, so that anybody may include this one file.
#![allow(dead_code, unreachable_pub, reason = "compiled into several binaries, none of which needs all of it")]

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The name of the host that is never cut off.
pub const OBSERVER: &str = "observer";

const MOST_HOSTS: usize = 100;
/// The router's address on each of its links.
const GATEWAY: &str = "169.254.0.1";
/// Makes a router of a namespace. A path that is closed one way must not make the other way suspicious.
const FORWARD: &str = "cd /proc/sys/net/ipv4 && set_to() { read -r now <$2; [ \"$now\" = $1 ] || echo $1 >$2; } && set_to 1 ip_forward && \
                       for link in conf/*; do set_to 0 $link/rp_filter; done";
/// Rules are looked at in this order: the observer's, cuts, and then the kernel's own.
const OBSERVER_RULE: u32 = 10;
const CUT_RULE: u32 = 20;

/// What could not be done, and what may help.
#[derive(Clone, Debug)]
pub struct NetError(String);

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NetError {}

/// A host of a [`Net`]. Copies mean the same host, and keep it in being.
#[derive(Clone, Debug)]
pub struct Host {
    name: Arc<str>,
    ip: Ipv4Addr,
    namespace: Arc<File>,
}

impl Host {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address. It also has a loopback interface of its own.
    pub const fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// A file that stands for its namespace, as `nsenter --net=` and `ip link set ... netns` want it.
    pub fn path(&self) -> String {
        path_of(&self.namespace)
    }

    /// A command line that runs `program` in this host: what to put before the program's own arguments.
    pub fn prefix(&self) -> [String; 3] {
        ["nsenter".to_owned(), format!("--net={}", self.path()), "--".to_owned()]
    }

    /// Will run `program` in this host. The process has the id of the child, as if it had been started directly.
    pub fn command(&self, program: &str) -> Command {
        let [enter, arguments @ ..] = self.prefix();
        let mut command = Command::new(enter);
        command.args(arguments).arg(program);
        command
    }

    /// Moves the calling thread into this host: sockets that it opens from now on, and threads that it starts, belong here.
    ///
    /// # Errors
    /// Without the right to (root).
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// Starts a thread in this host.
    ///
    /// # Panics
    /// In that thread, if it may not enter the host.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let host = self.clone();
        let enter_and_work = move || {
            host.enter().unwrap_or_else(|e| panic!("enter the namespace of {}: {e}", host.name));
            work()
        };
        thread::Builder::new().name(format!("in {}", self.name)).spawn(enter_and_work).expect("a thread can be started")
    }
}

/// Packets that the router discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cut {
    from: Option<Ipv4Addr>,
    to: Option<Ipv4Addr>,
}

/// The network. It ends with this value and with the last process in it.
#[derive(Debug)]
pub struct Net {
    router: File,
    /// The observer is the last one.
    hosts: Vec<Host>,
    cuts: Mutex<BTreeSet<Cut>>,
}

impl Net {
    /// A network of hosts with these names, and of the observer; everybody reaches everybody.
    ///
    /// # Errors
    /// Without root, without the program `ip`, or where the kernel lacks namespaces.
    pub fn new(names: &[&str]) -> Result<Self, NetError> {
        if names.len() > MOST_HOSTS || names.contains(&OBSERVER) {
            return Err(NetError(format!("make a network: at most {MOST_HOSTS} hosts, none of them called {OBSERVER}")));
        }
        let router = namespace()?;
        let hosts = (1..).zip(names.iter().chain([&OBSERVER])).map(|(number, name)| host(number, name)).collect::<Result<Vec<_>, _>>()?;
        let net = Self { router, hosts, cuts: Mutex::default() };
        net.connect()?;
        Ok(net)
    }

    /// The host with this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| &*host.name == name).unwrap_or_else(|| panic!("the network has no host {name}"))
    }

    /// All hosts but the observer, in the order in which they were named.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts[..self.hosts.len() - 1]
    }

    /// The host that reaches everybody always.
    pub fn observer(&self) -> &Host {
        &self.hosts[self.hosts.len() - 1]
    }

    /// From now on nothing passes between the two, silently.
    ///
    /// # Errors
    /// When the router does not take the rules.
    pub fn cut(&self, one: &str, other: &str) -> Result<(), NetError> {
        let (one, other) = (Some(self.host(one).ip), Some(self.host(other).ip));
        self.add(&[Cut { from: one, to: other }, Cut { from: other, to: one }])
    }

    /// From now on nothing passes from the one to the other, silently; the way back stays open.
    ///
    /// # Errors
    /// When the router does not take the rule.
    pub fn cut_one_way(&self, from: &str, to: &str) -> Result<(), NetError> {
        self.add(&[Cut { from: Some(self.host(from).ip), to: Some(self.host(to).ip) }])
    }

    /// From now on nothing passes between any of these and any of those, silently; all in one moment.
    ///
    /// # Errors
    /// When the router does not take the rules.
    pub fn separate(&self, these: &[&str], those: &[&str]) -> Result<(), NetError> {
        let pairs = these.iter().flat_map(|one| those.iter().map(|other| (Some(self.host(one).ip), Some(self.host(other).ip))));
        let cuts: Vec<Cut> = pairs.flat_map(|(one, other)| [Cut { from: one, to: other }, Cut { from: other, to: one }]).collect();
        self.add(&cuts)
    }

    /// From now on the host neither reaches nor hears anybody but the observer.
    ///
    /// # Errors
    /// When the router does not take the rules.
    pub fn isolate(&self, host: &str) -> Result<(), NetError> {
        let ip = Some(self.host(host).ip);
        self.add(&[Cut { from: ip, to: None }, Cut { from: None, to: ip }])
    }

    /// From now on the host hears nobody but the observer; what it says arrives.
    ///
    /// # Errors
    /// When the router does not take the rule.
    pub fn deafen(&self, host: &str) -> Result<(), NetError> {
        self.add(&[Cut { from: None, to: Some(self.host(host).ip) }])
    }

    /// From now on nobody but the observer hears the host; what is said to it arrives.
    ///
    /// # Errors
    /// When the router does not take the rule.
    pub fn silence(&self, host: &str) -> Result<(), NetError> {
        self.add(&[Cut { from: Some(self.host(host).ip), to: None }])
    }

    /// Takes back that nothing passes from the one to the other, as said of these two; what forbids it otherwise stays.
    ///
    /// # Errors
    /// When the router does not take it.
    pub fn heal_one_way(&self, from: &str, to: &str) -> Result<(), NetError> {
        let cut = Cut { from: Some(self.host(from).ip), to: Some(self.host(to).ip) };
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        if cuts.contains(&cut) {
            batch(&self.router, &cut.line("del"))?;
            cuts.remove(&cut);
        }
        Ok(())
    }

    /// Takes all cuts back.
    ///
    /// # Errors
    /// When the router does not take it.
    pub fn heal(&self) -> Result<(), NetError> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = cuts.iter().map(|cut| cut.line("del")).collect();
        batch(&self.router, &lines)?;
        cuts.clear();
        Ok(())
    }

    fn add(&self, wanted: &[Cut]) -> Result<(), NetError> {
        let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let new: BTreeSet<Cut> = wanted.iter().filter(|cut| !cuts.contains(cut)).copied().collect();
        let lines: String = new.iter().map(|cut| cut.line("add")).collect();
        batch(&self.router, &lines)?;
        cuts.extend(new);
        Ok(())
    }

    /// Lays the cables, lets the router forward, and lets the observer through.
    fn connect(&self) -> Result<(), NetError> {
        let mut lines = String::from("link set lo up\n");
        for (number, host) in (1..).zip(&self.hosts) {
            let (ip, path) = (host.ip, host.path());
            let _ = write!(lines, "link add h{number} type veth peer name eth0 netns {path}\naddr add {GATEWAY}/32 dev h{number}\n");
            let _ = write!(lines, "link set h{number} up\nroute add {ip}/32 dev h{number}\n");
        }
        let observer = self.observer().ip;
        for side in ["from", "to"] {
            let _ = writeln!(lines, "rule add {side} {observer} lookup main priority {OBSERVER_RULE}");
        }
        batch(&self.router, &lines)?;
        for host in &self.hosts {
            let ip = host.ip;
            let lines = format!(
                "link set lo up\naddr add {ip}/32 dev eth0\nlink set eth0 up\nroute add default via {GATEWAY} dev eth0 onlink src {ip}\n"
            );
            batch(&host.namespace, &lines)?;
        }
        run(&self.router, "sh", &["-c", FORWARD], "").map_err(|e| NetError(format!("let the router forward (is /proc/sys writable?): {e}")))
    }
}

impl Cut {
    fn line(&self, verb: &str) -> String {
        let mut line = format!("rule {verb}");
        for (side, ip) in [("from", self.from), ("to", self.to)] {
            let _ = ip.map(|ip| write!(line, " {side} {ip}"));
        }
        line + &format!(" priority {CUT_RULE} blackhole\n")
    }
}

fn host(number: u8, name: &str) -> Result<Host, NetError> {
    Ok(Host { name: name.into(), ip: Ipv4Addr::new(10, 0, 0, number), namespace: Arc::new(namespace()?) })
}

/// A new namespace, held by a file.
fn namespace() -> Result<File, NetError> {
    // This process must stay where it is, and only a thread of its own could go elsewhere; so a child makes the namespace and stays
    // in it until the file is open.
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "echo made; read -r _"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed =
        |what: String| NetError(format!("make a network namespace: {what} (this needs root and the program unshare of util-linux)"));
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let mut made = [0; 5];
    let heard = child.stdout.take().map(|mut out| out.read_exact(&mut made));
    let file = File::open(format!("/proc/{}/ns/net", child.id()));
    // Its standard input is closed here, which ends it.
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    match heard {
        Some(Ok(())) => file.map_err(|e| failed(e.to_string())),
        Some(Err(_)) | None => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

fn path_of(namespace: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd())
}

/// Lets `ip` do all these lines, or as many as it can.
fn batch(namespace: &File, lines: &str) -> Result<(), NetError> {
    if lines.is_empty() {
        return Ok(());
    }
    run(namespace, "ip", &["-batch", "-"], lines)
}

fn run(namespace: &File, program: &str, args: &[&str], input: &str) -> Result<(), NetError> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", path_of(namespace))).arg("--").arg(program).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed =
        |what: &str| NetError(format!("{program} {}: {what}\n{input}(to install it: sh scripts/need iproute2 util-linux)", args.join(" ")));
    let mut child = command.spawn().map_err(|e| failed(&e.to_string()))?;
    let fed = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|e| failed(&e.to_string()))?;
    match fed {
        Ok(()) if output.status.success() => Ok(()),
        _ => Err(failed(String::from_utf8_lossy(&output.stderr).trim())),
    }
}

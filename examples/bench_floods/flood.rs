//! The floods.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::ValueEnum;

use crate::kit::{Cluster, Flavour, Plan, http2::unfinished_requests, ports::free_port};

/// What leans on the sentinels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flood {
    /// Nothing: what the others are compared with.
    Quiet,
    /// 20 strangers with pipelined PING.
    Ping20,
    /// 60 of them.
    Ping60,
    /// 200 of them.
    Ping200,
    /// 100 clients with COMMAND DOCS.
    Docs100,
    /// 1,100 idle connections at each port of each sentinel.
    Idle,
    /// 28,000 gRPC requests that are begun and not ended; ours only.
    Streams,
    /// 100 HTTP connections whose header drips, at each sentinel; ours only.
    Headers,
    /// Connections to the port for peers that say nothing, 200 a second at each sentinel; ours only.
    HalfOpen,
    /// 100 groups whose master is dead.
    Dead100,
}

/// Threads that lean until they are dropped.
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _held: Vec<TcpStream>,
}

impl Flood {
    /// All, in the order in which they are played.
    pub(crate) const ALL: [Self; 10] = [
        Self::Quiet,
        Self::Ping20,
        Self::Ping60,
        Self::Ping200,
        Self::Docs100,
        Self::Idle,
        Self::Streams,
        Self::Headers,
        Self::HalfOpen,
        Self::Dead100,
    ];

    /// Its name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Ping20 => "20 strangers, pipelined PING",
            Self::Ping60 => "60 strangers, pipelined PING",
            Self::Ping200 => "200 strangers, pipelined PING",
            Self::Docs100 => "100 clients, COMMAND DOCS",
            Self::Idle => "1,100 idle connections a port",
            Self::Streams => "28,000 unfinished gRPC requests",
            Self::Headers => "300 dripping HTTP headers",
            Self::HalfOpen => "600 half-open handshakes a second",
            Self::Dead100 => "100 groups with dead masters",
        }
    }

    /// Whether there is a door for it.
    pub(crate) fn fits(self, flavour: Flavour) -> bool {
        flavour == Flavour::Ours || !matches!(self, Self::Streams | Self::Headers | Self::HalfOpen)
    }

    /// Adds what has to be in the files of the sentinels.
    pub(crate) fn prepare(self, mut plan: Plan) -> Plan {
        if self == Self::Dead100 {
            for number in 0..100 {
                let port = free_port();
                plan.lines.push(format!("sentinel monitor dead-{number} 127.0.0.1 {port} 2"));
                plan.lines.push(format!("sentinel down-after-milliseconds dead-{number} 1000"));
            }
        }
        plan
    }

    /// Begins it.
    pub(crate) fn begin(self, cluster: &Cluster) -> Crowd {
        let ports = || cluster.sentinels.iter().map(|sentinel| sentinel.ports);
        let resp: Vec<SocketAddr> = ports().map(|ports| ports.resp_addr()).collect();
        let ours = cluster.plan.flavour == Flavour::Ours;
        match self {
            Self::Quiet | Self::Dead100 => Crowd::of(0, |_| Box::new(|| {}), Vec::new()),
            Self::Ping20 => pipelining(20, &resp, b"PING\r\n"),
            Self::Ping60 => pipelining(60, &resp, b"PING\r\n"),
            Self::Ping200 => pipelining(200, &resp, b"PING\r\n"),
            Self::Docs100 => pipelining(100, &resp, b"COMMAND DOCS\r\n"),
            Self::Idle => {
                let doors = ports().flat_map(|ports| {
                    let own = [ports.grpc_addr(), (ports.ip, ports.http).into(), (ports.ip, ports.raft).into()];
                    std::iter::once(ports.resp_addr()).chain(own.into_iter().filter(move |_| ours))
                });
                let held = doors.flat_map(|addr| (0..1100).filter_map(move |_| connect(addr))).collect();
                Crowd::of(0, |_| Box::new(|| {}), held)
            }
            Self::Streams => {
                let bytes = unfinished_requests(100);
                let begin = |addr| {
                    let mut stream = connect(addr)?;
                    stream.write_all(&bytes).ok().map(|()| stream)
                };
                let held = ports().flat_map(|ports| (0..94).filter_map(move |_| begin(ports.grpc_addr())).collect::<Vec<_>>());
                Crowd::of(0, |_| Box::new(|| {}), held.collect())
            }
            Self::Headers => {
                let begin = |addr| {
                    let mut stream = connect(addr)?;
                    stream.write_all(b"GET /metrics HTTP/1.1\r\nx: ").ok().map(|()| stream)
                };
                let doors: Vec<SocketAddr> = ports().map(|ports| (ports.ip, ports.http).into()).collect();
                Crowd::of(
                    doors.len(),
                    |number| {
                        let mut open: Vec<Option<TcpStream>> = (0..100).map(|_| None).collect();
                        let addr = doors[number];
                        Box::new(move || {
                            for place in &mut open {
                                let alive = place.as_mut().is_some_and(|stream| stream.write_all(b"a").is_ok());
                                if !alive {
                                    *place = begin(addr);
                                }
                            }
                            std::thread::sleep(Duration::from_millis(500));
                        })
                    },
                    Vec::new(),
                )
            }
            Self::HalfOpen => {
                let doors: Vec<SocketAddr> = ports().map(|ports| (ports.ip, ports.raft).into()).collect();
                Crowd::of(
                    doors.len(),
                    |number| {
                        let (addr, mut open) = (doors[number], std::collections::VecDeque::new());
                        Box::new(move || {
                            open.extend(connect(addr));
                            if open.len() > 500 {
                                open.pop_front();
                            }
                            std::thread::sleep(Duration::from_millis(5));
                        })
                    },
                    Vec::new(),
                )
            }
        }
    }
}

impl Crowd {
    fn of(count: usize, mut lean: impl FnMut(usize) -> Box<dyn FnMut() + Send>, held: Vec<TcpStream>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let one = |number| {
            let (stop, mut lean) = (Arc::clone(&stop), lean(number));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    lean();
                }
            })
        };
        Self { threads: (0..count).map(one).collect(), stop: Arc::clone(&stop), _held: held }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| _ = thread.join());
    }
}

fn connect(addr: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(2))).ok()?;
    Some(stream)
}

/// Strangers that send 64 requests at once, read what comes, and send again.
fn pipelining(count: usize, addrs: &[SocketAddr], request: &'static [u8]) -> Crowd {
    Crowd::of(
        count,
        |number| {
            let (addr, batch, mut stream, mut chunk) = (addrs[number % addrs.len()], request.repeat(64), None, vec![0; 65_536]);
            Box::new(move || {
                stream = stream.take().or_else(|| connect(addr));
                let went =
                    stream.as_mut().is_some_and(|stream| stream.write_all(&batch).is_ok() && matches!(stream.read(&mut chunk), Ok(1..)));
                if !went {
                    stream = None;
                    std::thread::sleep(Duration::from_millis(10));
                }
            })
        },
        Vec::new(),
    )
}

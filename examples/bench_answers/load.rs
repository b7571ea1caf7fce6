//! The load: connections that ask again as soon as they are answered.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::cpu;
use crate::kit::GROUP;
use crate::target::{Role, Target};

/// An answer that takes longer is none.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: u16,
    pub(crate) pipeline: u16,
    pub(crate) span: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) role: Role,
    pub(crate) load: Load,
    pub(crate) answers: u64,
    /// Replies that said that there is no quorum.
    pub(crate) refused: u64,
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Processor time of the sentinel that was asked.
    pub(crate) cpu: Option<Duration>,
    /// Processor time of its trio.
    pub(crate) trio_cpu: Option<Duration>,
    /// The part of the time that the asking thread was busy.
    pub(crate) asking: Option<f64>,
}

/// One connection's tally.
#[derive(Debug, Default)]
struct Tally {
    answers: u64,
    refused: u64,
    waits: Vec<Duration>,
}

/// Asks one sentinel, from this thread.
pub(crate) fn run(target: &Target, load: Load) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, ask(target, load)).with_context(|| format!("asking {} on port {}", target.role.name(), target.port))
}

async fn ask(target: &Target, load: Load) -> anyhow::Result<Run> {
    let request: Rc<[u8]> = request().repeat(usize::from(load.pipeline)).into();
    let mut clients = Vec::new();
    for _ in 0..load.connections {
        clients.push(Client::connect(target.port).await?);
    }
    let cpu_of_trio = || target.trio.iter().map(|pid| cpu::used_by(*pid)).sum::<Option<Duration>>();
    let (cpu, trio_cpu, here) = (cpu::used_by(target.pid), cpu_of_trio(), cpu::used_here());
    let begun = Instant::now();
    let end = begun + load.span;
    let tasks: Vec<_> =
        clients.into_iter().map(|client| tokio::task::spawn_local(client.ask_until(end, request.clone(), load.pipeline))).collect();
    let mut total = Tally::default();
    for task in tasks {
        total.add(task.await??);
    }
    let took = begun.elapsed();
    let since = |before: Option<Duration>, now: Option<Duration>| Some(now?.saturating_sub(before?));
    let (cpu, trio_cpu) = (since(cpu, cpu::used_by(target.pid)), since(trio_cpu, cpu_of_trio()));
    let asking = since(here, cpu::used_here()).map(|busy| busy.as_secs_f64() / took.as_secs_f64());
    total.waits.sort_unstable();
    let (Some(p50), Some(p99)) = (total.percentile(50), total.percentile(99)) else { bail!("not one answer within {took:?}") };
    Ok(Run { role: target.role, load, answers: total.answers, refused: total.refused, took, p50, p99, cpu, trio_cpu, asking })
}

/// One connection.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    async fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    async fn ask_until(mut self, end: Instant, request: Rc<[u8]>, pipeline: u16) -> io::Result<Tally> {
        let mut tally = Tally::default();
        loop {
            let sent = Instant::now();
            if sent >= end {
                return Ok(tally);
            }
            let batch = tokio::time::timeout(ANSWER_LIMIT, self.batch(&request, pipeline)).await;
            let refused = batch.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {ANSWER_LIMIT:?}")))??;
            tally.refused += refused;
            tally.answers += u64::from(pipeline) - refused;
            tally.waits.push(sent.elapsed());
        }
    }

    /// Asks once and reads all replies; how many of them were refusals.
    async fn batch(&mut self, request: &[u8], pipeline: u16) -> io::Result<u64> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let (mut at, mut refused) = (0, 0);
        for _ in 0..pipeline {
            let (end, answered) = loop {
                if let Some(reply) = reply(&self.received[at..])? {
                    break reply;
                }
                if self.stream.read_buf(&mut self.received).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            };
            at += end;
            refused += u64::from(!answered);
        }
        Ok(refused)
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.refused += other.refused;
        self.waits.extend(other.waits);
    }

    /// Of the sorted waits.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        self.waits.get(self.waits.len().checked_sub(1)? * percent / 100).copied()
    }
}

fn request() -> Vec<u8> {
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP];
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    request.into_bytes()
}

/// The first reply in `bytes`: where it ends, and whether it is an answer rather than `-NOQUORUM`. None until it is whole.
fn reply(bytes: &[u8]) -> io::Result<Option<(usize, bool)>> {
    match bytes.first() {
        None => Ok(None),
        // An address: an array of two bulk strings is five lines.
        Some(b'*') if bytes.starts_with(&b"*2\r\n"[..bytes.len().min(4)]) => Ok(lines(bytes, 5).map(|end| (end, true))),
        Some(b'-') if bytes.starts_with(&b"-NOQUORUM "[..bytes.len().min(10)]) => Ok(lines(bytes, 1).map(|end| (end, false))),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("no address: {}", String::from_utf8_lossy(bytes).trim_end()))),
    }
}

/// Where the first `count` lines end.
fn lines(bytes: &[u8], count: usize) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at + 1).nth(count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_once_they_are_whole() {
        let address = b"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n";
        for cut in 0..address.len() {
            assert!(matches!(reply(&address[..cut]), Ok(None)), "{cut} bytes were taken for a reply");
        }
        assert!(matches!(reply(&address.repeat(2)), Ok(Some((end, true))) if end == address.len()));
        assert!(matches!(reply(b"-NOQUORUM no leader\r\n*2"), Ok(Some((21, false)))));
        assert!(reply(b"*-1\r\n").is_err(), "an unknown master is no answer");
        assert!(reply(b"-ERR no\r\n").is_err());
    }
}

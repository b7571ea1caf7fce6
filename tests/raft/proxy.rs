//! A network that can be cut: every sentinel is reached through a proxy, which learns who calls from the envelopes that pass by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use raft_sentinel::base::Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Caller not known yet.
const NOBODY: u64 = 0;

/// All proxies, and which ways are cut. Bytes on a cut way are held back, as by a network that loses packets, until it heals.
#[derive(Clone)]
pub(crate) struct Net {
    cuts: watch::Sender<BTreeSet<(u64, u64)>>,
    names: Arc<Mutex<Vec<Name>>>,
    routes: Arc<Mutex<BTreeMap<u64, Addr>>>,
    passed: Arc<AtomicU64>,
}

/// A text that only this node sends.
struct Name {
    text: Vec<u8>,
    node: u64,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self { cuts: watch::Sender::new(BTreeSet::new()), names: Arc::default(), routes: Arc::default(), passed: Arc::default() }
    }

    /// Whoever sends this text is that node.
    pub(crate) fn learn(&self, text: &str, node: u64) {
        self.names.lock().unwrap().push(Name { text: text.as_bytes().to_vec(), node });
    }

    /// Nothing passes between these two any more.
    pub(crate) fn cut(&self, a: u64, b: u64) {
        self.cuts.send_modify(|cuts| cuts.extend([(a, b), (b, a)]));
    }

    /// How many bytes have passed in all.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.cuts.send_modify(BTreeSet::clear);
    }

    /// The node listens here from now on.
    pub(crate) fn route(&self, node: u64, to: Addr) {
        self.routes.lock().unwrap().insert(node, to);
    }

    /// Opens a proxy in front of `target`, wherever that listens at the time.
    pub(crate) async fn proxy(&self, target: u64) -> Addr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = Addr::new("127.0.0.1", listener.local_addr().unwrap().port()).expect("an address");
        let net = self.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let net = net.clone();
                tokio::spawn(async move {
                    let to = net.routes.lock().unwrap().get(&target).map(Addr::authority);
                    let Some(to) = to else { return };
                    if let Ok(callee) = TcpStream::connect(to).await {
                        net.join(caller, callee, target).await;
                    }
                });
            }
        });
        addr
    }

    async fn join(&self, caller: TcpStream, callee: TcpStream, target: u64) {
        caller.set_nodelay(true).unwrap();
        callee.set_nodelay(true).unwrap();
        let from = Arc::new(AtomicU64::new(NOBODY));
        let (caller_read, caller_write) = caller.into_split();
        let (callee_read, callee_write) = callee.into_split();
        let there = self.clone().pump(caller_read, callee_write, from.clone(), target, true);
        let back = self.clone().pump(callee_read, caller_write, from, target, false);
        tokio::select! { () = there => {}, () = back => {} }
    }

    async fn pump(self, mut read: OwnedReadHalf, mut write: OwnedWriteHalf, from: Arc<AtomicU64>, target: u64, there: bool) {
        let mut cuts = self.cuts.subscribe();
        let (mut piece, mut tail) = (vec![0; 64 * 1024], Vec::new());
        while let Ok(n) = read.read(&mut piece).await {
            if n == 0 {
                break;
            }
            if there && from.load(Ordering::Relaxed) == NOBODY {
                tail.extend_from_slice(&piece[..n]);
                from.store(self.who(&tail, target), Ordering::Relaxed);
            }
            self.passed.fetch_add(n as u64, Ordering::Relaxed);
            let caller = from.load(Ordering::Relaxed);
            let way = if there { (caller, target) } else { (target, caller) };
            if cuts.wait_for(|cuts| !cuts.contains(&way)).await.is_err() || write.write_all(&piece[..n]).await.is_err() {
                break;
            }
        }
    }

    /// An envelope names the caller and the one it calls.
    fn who(&self, sent: &[u8], target: u64) -> u64 {
        let names = self.names.lock().unwrap();
        let mut others = names.iter().filter(|name| name.node != target);
        let found = others.find(|name| sent.windows(name.text.len()).any(|window| window == name.text));
        found.map_or(NOBODY, |name| name.node)
    }
}

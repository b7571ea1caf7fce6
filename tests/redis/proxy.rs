//! A network between us and a server that can lose what is on its way.

use raft_sentinel::base::Addr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a server until they are frozen.
pub(crate) struct Proxy {
    pub(crate) addr: Addr,
    freezes: watch::Sender<u32>,
}

impl Proxy {
    pub(crate) async fn to(server: Addr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback works");
        let addr = Addr::new("127.0.0.1", listener.local_addr().expect("it is bound").port()).expect("an address");
        let (freezes, frozen) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(server.authority()).await else { continue };
                let mut frozen = frozen.clone();
                frozen.mark_unchanged();
                tokio::spawn(forward(near, far, frozen));
            }
        });
        Self { addr, freezes }
    }

    /// From now on the connections that exist lead nowhere, and nobody is told. New ones work.
    pub(crate) fn freeze(&self) {
        self.freezes.send_modify(|count| *count += 1);
    }
}

async fn forward(mut near: TcpStream, mut far: TcpStream, mut frozen: watch::Receiver<u32>) {
    let stuck = tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => false,
        changed = frozen.changed() => changed.is_ok(),
    };
    if stuck {
        std::future::pending::<()>().await;
    }
}

/// An address that drops what is sent to it: a listener whose queue is full, held by the connections in it.
pub(crate) async fn black_hole() -> (Addr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback works");
    let listener = socket.listen(1).expect("it listens");
    let at = listener.local_addr().expect("it is bound");
    let mut fillers = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(std::time::Duration::from_millis(200), TcpStream::connect(at)).await {
        fillers.push(stream);
    }
    (Addr::new("127.0.0.1", at.port()).expect("an address"), listener, fillers)
}

//! A connection that speaks bytes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
const MARK: &str = "the-end-of-it";

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
}

impl Wire {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Waits for exactly these bytes.
    pub(crate) async fn expect(&mut self, expected: &str) {
        let mut seen = vec![0; expected.len()];
        let mut at = 0;
        while at < seen.len() {
            let read = timeout(DEADLINE, self.stream.read(&mut seen[at..])).await;
            let read = read.unwrap_or_else(|_| panic!("after {:?} nothing more came", String::from_utf8_lossy(&seen[..at]))).unwrap();
            assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&seen[..at]));
            at += read;
            let so_far = String::from_utf8_lossy(&seen[..at]);
            assert!(expected.starts_with(&*so_far), "expected {expected:?}, got {so_far:?}");
        }
    }

    /// What comes until the other side closes.
    pub(crate) async fn until_closed(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = timeout(DEADLINE, self.stream.read_to_end(&mut bytes)).await.expect("closed in time");
        // A reset after the last bytes is a close, too.
        drop(read);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All bytes that an inline request is answered with.
    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\nPING {MARK}\r\n")).await;
        let tails = [format!("*2\r\n$4\r\npong\r\n${}\r\n{MARK}\r\n", MARK.len()), format!("${}\r\n{MARK}\r\n", MARK.len())];
        let mut text = String::new();
        loop {
            if let Some(answer) = tails.iter().find_map(|tail| text.strip_suffix(tail.as_str())) {
                return answer.to_owned();
            }
            let mut bytes = [0; 4096];
            let read = timeout(DEADLINE, self.stream.read(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("{line}: no end after {text:?}")).unwrap_or(0);
            if read == 0 {
                return text + "(closed)";
            }
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
}

//! Servers that misbehave: each connection gets the same bytes, and then what `after` says.

use std::time::Duration;

use raft_sentinel::base::Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy)]
pub(crate) enum After {
    /// Close.
    Close,
    /// Say nothing more.
    Silence,
    /// Go on with this for ever.
    Flood(&'static [u8]),
    /// Answer each command with the same bytes again.
    Again,
}

/// Starts one; it ends with the test's runtime.
pub(crate) async fn fake(bytes: &'static [u8], after: After) -> Addr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback works");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, bytes, after));
        }
    });
    Addr::new("127.0.0.1", port).expect("an address")
}

async fn serve(mut stream: TcpStream, bytes: &'static [u8], after: After) -> std::io::Result<()> {
    let mut inbox = [0; 4096];
    let mut pending = Vec::new();
    loop {
        let length = stream.read(&mut inbox).await?;
        if length == 0 {
            return Ok(());
        }
        pending.extend_from_slice(&inbox[..length]);
        match after {
            After::Again => {
                // Each command begins with its number of words.
                let commands = pending.iter().filter(|&&byte| byte == b'*').count();
                pending.clear();
                stream.write_all(&bytes.repeat(commands)).await?;
            }
            After::Close => return stream.write_all(bytes).await,
            After::Silence => {
                stream.write_all(bytes).await?;
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            After::Flood(more) => {
                stream.write_all(bytes).await?;
                loop {
                    stream.write_all(more).await?;
                }
            }
        }
    }
}

//! One command link: sends commands, reads replies in order, notices the end. Never reconnects by itself.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::access::Access;
use super::dial::{Dialer, loss_of};
use super::wire::{self, Reply};
use crate::base::observation::LinkLoss;

/// Bytes asked of the system at once; an INFO is about 5 KB.
const READ_BYTES: usize = 16 * 1024;
/// How long the system may refuse to take a command. It has room for thousands, so this ends only links that are dead.
const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// A link. Whoever holds it keeps count of the replies that are due, and so bounds what is sent to a silent server.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    inbox: BytesMut,
    access: Access,
}

impl Link {
    /// A link over a fresh connection; nothing is sent yet.
    pub fn new(stream: TcpStream, access: Access) -> Self {
        Self { stream, inbox: BytesMut::new(), access }
    }

    /// Connects, says who we are, and waits until the server has answered that and a PING, in whatever way.
    ///
    /// A server that hangs gets no further than this, so that no command piles up in its queue of connections.
    ///
    /// # Errors
    /// Why there is no link. Refused credentials are *not* an error here: a server without a password refuses AUTH and
    /// serves all the same. One that does want others says so to the next command.
    pub async fn open(dialer: &mut Dialer, access: Access, limit: Duration) -> Result<Self, LinkLoss> {
        let deadline = Instant::now() + limit;
        let mut link = Self::new(dialer.dial(limit).await?, access);
        let greetings = link.introduce().await?;
        link.send(&[link.access.command("PING", &[])]).await?;
        for _ in 0..=greetings {
            timeout_at(deadline, link.next()).await.map_err(|_| LinkLoss::TimedOut)??;
        }
        Ok(link)
    }

    /// Our own address, as this link has it.
    ///
    /// # Errors
    /// The end of the link.
    pub fn local_host(&self) -> Result<String, LinkLoss> {
        self.stream.local_addr().map(|addr| addr.ip().to_canonical().to_string()).map_err(|error| loss_of(&error))
    }

    /// How to get in.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// Sends AUTH and CLIENT SETNAME, as far as there is something to say; returns how many replies are due for it.
    ///
    /// # Errors
    /// The end of the link.
    pub async fn introduce(&mut self) -> Result<usize, LinkLoss> {
        let commands: Vec<_> = self.access.auth().into_iter().chain(self.access.set_name()).collect();
        self.send(&commands).await?;
        Ok(commands.len())
    }

    /// Sends commands in one go, without waiting for replies.
    ///
    /// # Errors
    /// The end of the link.
    pub async fn send(&mut self, commands: &[Vec<String>]) -> Result<(), LinkLoss> {
        let mut bytes = Vec::new();
        for words in commands {
            wire::encode(words, &mut bytes);
        }
        let written = timeout(WRITE_LIMIT, self.stream.write_all(&bytes)).await;
        written.map_err(|_| LinkLoss::TimedOut)?.map_err(|error| loss_of(&error))
    }

    /// The next reply. Losing the future loses nothing: it may be dropped and asked again.
    ///
    /// # Errors
    /// The end of the link, which is noticed as soon as the system knows of it.
    pub async fn next(&mut self) -> Result<Reply, LinkLoss> {
        loop {
            if let Some(reply) = wire::decode(&mut self.inbox).map_err(|bad| LinkLoss::Other(bad.to_string()))? {
                return Ok(reply);
            }
            self.inbox.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => return Err(LinkLoss::Closed),
                Ok(_) => {}
                Err(error) => return Err(loss_of(&error)),
            }
        }
    }
}

//! One command link: sends commands, reads replies in order, notices the end. Never reconnects by itself.

use std::io::Error;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::access::ServerAccess;
use super::dial::{Dialer, loss_of};
use super::dialect::Dialect;
use super::info;
use super::renames::NameCheck;
use super::stream::Stream;
use super::wire::{self, BadWire, Bounds, Reply, excerpt};
use crate::base::RunId;
use crate::base::observation::LinkLoss;

/// Bytes asked of the system at once; an INFO is about 5 KB.
const READ_BYTES: usize = 16 * 1024;
/// How long the system may refuse to take a command. It has room for thousands, so this ends only links that are dead.
const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// How long the words of a server that has closed are waited for: they have arrived, or never will.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What an answer to COMMAND INFO may be: each command has arrays for its flags, keys and subcommands.
const COMMAND_INFO: Bounds = Bounds { elements: 512, bytes: 512 * 1024, depth: 16 };

/// A link. Whoever holds it keeps count of the replies that are due, and so bounds what is sent to a silent server.
#[derive(Debug)]
pub struct Link {
    stream: Stream,
    inbox: BytesMut,
    access: ServerAccess,
    /// Whether the server has said anything on it.
    heard: bool,
    /// What was sent to a server with other names of commands; none for one without.
    names: Option<Box<NameCheck>>,
    /// How acts are worded.
    dialect: Dialect,
    /// The process at the other end, where it was asked for.
    process: Option<RunId>,
}

impl Link {
    /// A link over a fresh connection, encrypted if the access says so; nothing is sent yet.
    ///
    /// # Errors
    /// Why there is no connection. A certificate that is not good is [`LinkLoss::Credentials`]: there is a server.
    pub async fn connect(dialer: &mut Dialer, access: ServerAccess, limit: Duration) -> Result<Self, LinkLoss> {
        let deadline = Instant::now() + limit;
        if let Some(why) = &access.locked {
            return Err(LinkLoss::Credentials(why.clone()));
        }
        let tcp = dialer.dial(limit).await?;
        let stream = match &access.tls {
            None => Stream::Plain(tcp),
            Some(tls) => {
                let encrypted = timeout_at(deadline, tls.connect(dialer.addr().host(), tcp)).await;
                Stream::Tls(Box::new(encrypted.map_err(|_| LinkLoss::TimedOut)?.map_err(|error| loss_of(&error))?))
            }
        };
        let access = ServerAccess { renames: access.renames.at(dialer.addr()), ..access };
        let names = (!access.rename_commands.is_empty()).then(Box::default);
        let dialect = Dialect::default();
        let mut link = Self { stream, inbox: BytesMut::new(), access, heard: false, names, dialect, process: None };
        timeout_at(deadline, link.prove_names()).await.map_err(|_| LinkLoss::TimedOut)??;
        Ok(link)
    }

    /// Asks the server which commands our names for them are over there, before one of them is sent. A server that refuses to tell is
    /// judged by its answers alone.
    async fn prove_names(&mut self) -> Result<(), LinkLoss> {
        let names = self.access.renames.unproven(&self.access.rename_commands);
        if names.is_empty() || self.access.rename_commands.contains_key("COMMAND") {
            return Ok(());
        }
        let words = ["COMMAND", "INFO"].into_iter().chain(names.iter().map(|(_, to)| to.as_str())).map(ToOwned::to_owned).collect();
        let commands: Vec<_> = self.access.auth().into_iter().chain([words]).collect();
        self.send(&commands).await?;
        let mut answer = Reply::Nil;
        for _ in commands {
            answer = self.next_within(COMMAND_INFO).await?;
        }
        self.access.renames.learn(names, &answer);
        Ok(())
    }

    /// From here on, what is written reaches the server's system within `limit`, or never.
    ///
    /// Left to itself the system repeats what was lost for many minutes, even after the link was given up or its owner was stopped: a
    /// command could be carried out long after what permitted it has ended.
    ///
    /// # Errors
    /// As the system words it.
    pub fn deliver_within(&self, limit: Duration) -> Result<(), LinkLoss> {
        let socket = socket2::SockRef::from(self.stream.tcp());
        let bounded = socket.set_tcp_user_timeout(Some(limit)).and_then(|()| socket.set_linger(Some(Duration::ZERO)));
        bounded.map_err(|error| LinkLoss::Other(format!("the delivery of commands cannot be bounded: {error}")))
    }

    /// The address at the other end, for a server that is known by name.
    pub fn peer_ip(&self) -> Option<String> {
        self.stream.tcp().peer_addr().ok().map(|peer| peer.ip().to_canonical().to_string())
    }

    /// Connects, says who we are, and waits until the server has answered that and a PING, in whatever way.
    ///
    /// A server that hangs gets no further than this, so that no command piles up in its queue of connections.
    ///
    /// # Errors
    /// Why there is no link. Refused credentials are *not* an error here: a server without a password refuses AUTH and
    /// serves all the same. One that does want others says so to the next command.
    pub async fn open(dialer: &mut Dialer, access: ServerAccess, limit: Duration) -> Result<Self, LinkLoss> {
        let deadline = Instant::now() + limit;
        let mut link = Self::connect(dialer, access, limit).await?;
        let greetings = link.introduce().await?;
        link.send(&[link.access.command("PING", &[])]).await?;
        for _ in 0..=greetings {
            timeout_at(deadline, link.next()).await.map_err(|_| LinkLoss::TimedOut)??;
        }
        Ok(link)
    }

    /// The same for acts: it is known which process is at the other end, if the server says so.
    ///
    /// # Errors
    /// Why there is no link.
    pub async fn open_for_acts(dialer: &mut Dialer, access: ServerAccess, limit: Duration) -> Result<Self, LinkLoss> {
        let deadline = Instant::now() + limit;
        let mut link = Self::connect(dialer, access, limit).await?;
        let greetings = link.introduce().await?;
        link.send(&[link.access.command("PING", &[]), link.access.command("INFO", &["server"])]).await?;
        for _ in 0..greetings + 2 {
            let reply = timeout_at(deadline, link.next()).await.map_err(|_| LinkLoss::TimedOut)??;
            link.process = info::process(&reply);
        }
        Ok(link)
    }

    /// The process at the other end, if it is known.
    pub const fn process(&self) -> Option<&RunId> {
        self.process.as_ref()
    }

    /// Our own address, as this link has it.
    ///
    /// # Errors
    /// The end of the link.
    pub fn local_host(&self) -> Result<String, LinkLoss> {
        self.stream.tcp().local_addr().map(|addr| addr.ip().to_canonical().to_string()).map_err(|error| loss_of(&error))
    }

    /// Words acts as the server was found to want them, and learns more of that.
    pub fn speak(&mut self, dialect: &Dialect) {
        self.dialect = dialect.clone();
    }

    /// How acts are worded.
    pub(super) const fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// How to get in.
    pub const fn access(&self) -> &ServerAccess {
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
            if let Some(names) = &mut self.names {
                names.note_sent(words, &self.access.rename_commands);
            }
        }
        let written = timeout(WRITE_LIMIT, async {
            self.stream.write_all(&bytes).await?;
            // What is encrypted may wait in a buffer of ours.
            self.stream.flush().await
        })
        .await;
        let Err(error) = written.map_err(|_| LinkLoss::TimedOut)? else { return Ok(()) };
        let loss = self.loss(&error);
        // A server that closes at once may have said why before.
        match timeout(LAST_WORDS, self.next()).await {
            Ok(Err(refusal @ LinkLoss::Credentials(_))) => Err(refusal),
            Ok(_) | Err(_) => Err(loss),
        }
    }

    /// The next reply. Losing the future loses nothing: it may be dropped and asked again.
    ///
    /// # Errors
    /// The end of the link, which is noticed as soon as the system knows of it.
    pub async fn next(&mut self) -> Result<Reply, LinkLoss> {
        self.next_by(wire::decode).await
    }

    /// The same from a server that is no data node, and whose replies have other bounds.
    ///
    /// # Errors
    /// The end of the link.
    pub async fn next_within(&mut self, bounds: Bounds) -> Result<Reply, LinkLoss> {
        self.next_by(|inbox| wire::decode_within(inbox, bounds)).await
    }

    async fn next_by(&mut self, decode: impl Fn(&mut BytesMut) -> Result<Option<Reply>, BadWire>) -> Result<Reply, LinkLoss> {
        loop {
            if let Some(reply) = decode(&mut self.inbox).map_err(|bad| LinkLoss::Other(bad.to_string()))? {
                if let Some(refusal) = reply.error().filter(|error| error.starts_with("DENIED")) {
                    // Protected mode: the server lives, lets nobody in from here, and closes.
                    return Err(LinkLoss::Credentials(excerpt(refusal)));
                }
                if let Some(names) = &mut self.names {
                    names.check(&reply, &self.access.renames).map_err(LinkLoss::Other)?;
                }
                return Ok(reply);
            }
            self.inbox.reserve(READ_BYTES);
            match self.stream.read_buf(&mut self.inbox).await {
                Ok(0) => return Err(self.closed()),
                Ok(_) => self.heard = true,
                Err(error) => return Err(self.loss(&error)),
            }
        }
    }

    fn loss(&self, error: &Error) -> LinkLoss {
        match loss_of(error) {
            LinkLoss::Closed => self.closed(),
            loss => loss,
        }
    }

    /// A server that does not like our certificate says so after the handshake (TLS 1.3), and its words may be lost with the
    /// connection. Whoever has just shown a good certificate is there, so this is no sign of death.
    fn closed(&self) -> LinkLoss {
        match &self.stream {
            Stream::Tls(_) if !self.heard => {
                LinkLoss::Credentials("closed right after the TLS handshake; does the server want another client certificate?".to_owned())
            }
            Stream::Tls(_) | Stream::Plain(_) => LinkLoss::Closed,
        }
    }
}

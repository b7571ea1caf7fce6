//! A small blocking RESP client with time limits: enough to ask servers and sentinels anything. What RESP3 adds is shown
//! as RESP2 would: maps are flat arrays, sets and pushes are arrays.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+text`.
    Status(String),
    /// `-text`.
    Error(String),
    /// `:number`.
    Integer(i64),
    /// `$`: bytes, shown as text.
    Bulk(String),
    /// `*`: replies.
    Array(Vec<Reply>),
    /// `$-1` or `*-1`.
    Nil,
}

impl Reply {
    /// The text of a status, a bulk string or an integer.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Status(text) | Self::Bulk(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Error(_) | Self::Array(_) | Self::Nil => None,
        }
    }

    /// The number of an integer reply.
    pub fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The elements of an array; none for anything else.
    pub fn items(&self) -> &[Self] {
        if let Self::Array(items) = self { items } else { &[] }
    }

    /// The value of `name` in a flat array of names and values (how RESP2 shows a map).
    pub fn field(&self, name: &str) -> Option<String> {
        self.items().chunks_exact(2).find(|pair| pair[0].text().as_deref() == Some(name)).and_then(|pair| pair[1].text())
    }

    /// Whether it is `+OK`.
    pub fn is_ok(&self) -> bool {
        *self == Self::Status("OK".to_owned())
    }

    /// The text of an error reply.
    pub fn error(&self) -> Option<&str> {
        if let Self::Error(text) = self { Some(text) } else { None }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(text) | Self::Bulk(text) => f.write_str(text),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Nil => f.write_str("nil"),
            Self::Array(items) => f.debug_list().entries(items.iter().map(ToString::to_string)).finish(),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Conn {
    stream: BufReader<TcpStream>,
}

impl Conn {
    /// Connects to a port on the loopback interface; `limit` bounds the connect and each read and write.
    ///
    /// # Errors
    /// When nobody listens there, or not in time.
    pub fn open(port: u16, limit: Duration) -> io::Result<Self> {
        Self::open_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)
    }

    /// The same for any address.
    ///
    /// # Errors
    /// When nobody listens there, or not in time.
    pub fn open_at(addr: SocketAddr, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, limit)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one request and reads its reply.
    ///
    /// # Errors
    /// When the connection fails or the reply does not come in time. An error *reply* is `Ok`.
    pub fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.send(words)?;
        self.read()
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        self.stream.get_mut().write_all(&request)
    }

    /// Reads one reply, or one message of a subscription.
    ///
    /// # Errors
    /// When the connection fails, the reply does not come in time, or is no RESP that a sentinel speaks.
    pub fn read(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| bad("an empty line"))?;
        match kind {
            "+" => Ok(Reply::Status(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            ":" => number(rest).map(Reply::Integer),
            "$" => usize::try_from(number(rest)?).map_or(Ok(Reply::Nil), |size| self.bulk(size)),
            "*" | ">" | "~" => usize::try_from(number(rest)?).map_or(Ok(Reply::Nil), |count| self.array(count)),
            "%" => usize::try_from(number(rest)?).map_or(Ok(Reply::Nil), |pairs| self.array(2 * pairs)),
            "_" => Ok(Reply::Nil),
            _ => Err(bad(&line)),
        }
    }

    /// Bounds the next reads; none waits for ever.
    ///
    /// # Errors
    /// When the socket refuses it.
    pub fn set_read_limit(&self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(limit)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.strip_suffix("\r\n").map(ToOwned::to_owned).ok_or_else(|| bad(&line))
    }

    fn bulk(&mut self, size: usize) -> io::Result<Reply> {
        let mut bytes = vec![0; size + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(size);
        Ok(Reply::Bulk(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn array(&mut self, count: usize) -> io::Result<Reply> {
        (0..count).map(|_| self.read()).collect::<io::Result<_>>().map(Reply::Array)
    }
}

/// Opens a connection for one request.
///
/// # Errors
/// As [`Conn::open`] and [`Conn::ask`].
pub fn ask_once(port: u16, words: &[&str]) -> io::Result<Reply> {
    Conn::open(port, Duration::from_secs(2))?.ask(words)
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| bad(text))
}

fn bad(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {line:?}"))
}

//! What can be answered, before it is known in which version of the protocol.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;

/// A value for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+text`.
    Simple(Cow<'static, str>),
    /// `-CODE text`.
    Error(Cow<'static, str>),
    /// `:n`.
    Int(i64),
    /// A text or bytes of known length.
    Bulk(Bytes),
    /// A text for people (`=txt:` in RESP3, a bulk in RESP2).
    Verbatim(String),
    /// No value.
    Null,
    /// No array (in RESP2 another thing than no value).
    NullArray,
    /// An array.
    Array(Vec<Reply>),
    /// Pairs in order (a flat array in RESP2).
    Map(Vec<(Reply, Reply)>),
    /// Different values (an array in RESP2).
    Set(Vec<Reply>),
    /// Something that was not asked for just now (an array in RESP2).
    Push(Vec<Reply>),
    /// Several replies to one request, or none.
    Sequence(Vec<Reply>),
    /// A large reply that never changes.
    Prepared(&'static Prepared),
}

/// A large reply that never changes: it is made and encoded once for each version of the protocol, so that asking for it again and
/// again costs little more than asking for anything else.
#[derive(Debug)]
pub(crate) struct Prepared {
    make: fn() -> Reply,
    encoded: [OnceLock<Bytes>; 2],
}

impl Prepared {
    /// The reply that `make` makes.
    pub(crate) const fn new(make: fn() -> Reply) -> Self {
        Self { make, encoded: [const { OnceLock::new() }; 2] }
    }

    /// The reply itself.
    #[cfg(test)]
    pub(crate) fn make(&self) -> Reply {
        (self.make)()
    }

    /// Its bytes in one version of the protocol, which `encode` makes the first time.
    pub(crate) fn bytes(&self, three: bool, encode: impl FnOnce(&Reply) -> Bytes) -> &Bytes {
        self.encoded[usize::from(three)].get_or_init(|| encode(&(self.make)()))
    }
}

/// There is one of each.
impl PartialEq for Prepared {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Prepared {}

/// What a handler returns: a reply, or one that says why there is none. Both are sent alike; the split is for `?`.
pub(crate) type Answer = Result<Reply, Reply>;

impl Reply {
    /// `+OK`.
    pub(crate) const OK: Self = Self::Simple(Cow::Borrowed("OK"));
    /// No reply at all.
    pub(crate) const NOTHING: Self = Self::Sequence(Vec::new());

    /// `-ERR text` (or another code, if the text begins with one).
    pub(crate) fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(text.into())
    }

    /// A bulk string.
    pub(crate) fn bulk(text: impl Into<String>) -> Self {
        Self::Bulk(Bytes::from(text.into()))
    }

    /// A bulk string of a fixed text.
    pub(crate) const fn text(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// An array of whatever makes replies.
    pub(crate) fn array(items: impl IntoIterator<Item = Self>) -> Self {
        Self::Array(items.into_iter().collect())
    }
}

//! What can be answered, before it is known in which version of the protocol.

use std::borrow::Cow;

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
}

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

//! Settings that are one word of a few.

/// `loglevel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// A lot.
    Verbose,
    /// What an operator wants to read.
    #[default]
    Notice,
    /// Only what needs attention.
    Warning,
    /// No line at all.
    Nothing,
}

impl LogLevel {
    /// Every level, the most talkative first.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Verbose, Self::Notice, Self::Warning, Self::Nothing];

    /// Stock's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Verbose => "verbose",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Nothing => "nothing",
        }
    }

    /// The level of that word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(word))
    }
}

/// `sentinel no-quorum-reply`: the answer to a client that looks for a master while no quorum of sentinels confirms one.
///
/// Client libraries differ in which answer makes them ask the next sentinel. A null reply and an empty list do with most; an error is final
/// for redis-py, redis-rb 4 and the Perl client, and so is a null reply for predis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoQuorumReply {
    /// As if the name were not known: a null reply to GET-MASTER-ADDR-BY-NAME, an empty list to MASTERS.
    #[default]
    Nil,
    /// `-NOQUORUM` and the reason.
    Error,
    /// None: the connection is closed.
    Close,
}

impl NoQuorumReply {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Nil, Self::Error, Self::Close];

    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Error => "error",
            Self::Close => "close",
        }
    }

    /// The one of that word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reply| reply.as_str().eq_ignore_ascii_case(word))
    }
}

//! What a server refuses to the user of the sentinels, known before it is needed.

/// An order that a server may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// `REPLICAOF`, or `SLAVEOF` where that is what is allowed: to be a master, or a replica.
    Role,
    /// `CONFIG SET`, for the fence.
    ConfigSet,
    /// `CONFIG GET`, for the fence.
    ConfigGet,
    /// `CONFIG REWRITE`.
    ConfigRewrite,
    /// `CLIENT KILL`.
    ClientKill,
    /// `CLIENT PAUSE`.
    ClientPause,
    /// `SCRIPT KILL`.
    ScriptKill,
    /// `MULTI` and `EXEC`.
    Transaction,
}

impl Order {
    /// The commands, as people call them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Role => "REPLICAOF and SLAVEOF",
            Self::ConfigSet => "CONFIG SET",
            Self::ConfigGet => "CONFIG GET",
            Self::ConfigRewrite => "CONFIG REWRITE",
            Self::ClientKill => "CLIENT KILL",
            Self::ClientPause => "CLIENT PAUSE",
            Self::ScriptKill => "SCRIPT KILL",
            Self::Transaction => "MULTI or EXEC",
        }
    }

    /// What follows from a refusal.
    pub const fn consequence(self) -> &'static str {
        match self {
            Self::Role => "it can be made neither a master nor a replica",
            Self::ConfigSet | Self::ConfigGet => "it cannot be made to hold a fence",
            Self::ConfigRewrite => "after a restart it has the role that its file gives it",
            Self::ClientKill => "its clients stay connected when it is no longer the master",
            Self::ClientPause => "a planned change cannot hold its writes back",
            Self::ScriptKill => "a script that keeps it busy is not ended",
            Self::Transaction => "what it is told may take effect in part",
        }
    }

    /// What to add to the user's ACL.
    pub const fn rights(self) -> &'static str {
        match self {
            Self::Role => "+replicaof or +slaveof",
            Self::ConfigSet => "+config|set",
            Self::ConfigGet => "+config|get",
            Self::ConfigRewrite => "+config|rewrite",
            Self::ClientKill => "+client|kill",
            Self::ClientPause => "+client|pause",
            Self::ScriptKill => "+script|kill",
            Self::Transaction => "+multi +exec",
        }
    }

    /// Whether it is needed for the fence alone.
    pub const fn is_for_fence(self) -> bool {
        matches!(self, Self::ConfigSet | Self::ConfigGet | Self::ClientPause)
    }
}

/// What a server refuses to the user of the sentinels: each order with the server's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals(Vec<(Order, String)>);

impl Refusals {
    /// Nothing is refused, as far as is known.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The server's words, if it refuses an order.
    pub fn of(&self, order: Order) -> Option<&str> {
        self.0.iter().find(|(refused, _)| *refused == order).map(|(_, words)| words.as_str())
    }

    /// Notes the refusal of an order; the first words count.
    pub fn note(&mut self, order: Order, words: String) {
        if self.of(order).is_none() {
            self.0.push((order, words));
        }
    }

    /// The order was carried out.
    pub fn lift(&mut self, order: Order) {
        self.0.retain(|(refused, _)| *refused != order);
    }

    /// Whether nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The refused orders with the server's words.
    pub fn iter(&self) -> impl Iterator<Item = (Order, &str)> {
        self.0.iter().map(|(order, words)| (*order, words.as_str()))
    }
}

impl FromIterator<(Order, String)> for Refusals {
    fn from_iter<I: IntoIterator<Item = (Order, String)>>(refused: I) -> Self {
        let mut all = Self::default();
        refused.into_iter().for_each(|(order, words)| all.note(order, words));
        all
    }
}

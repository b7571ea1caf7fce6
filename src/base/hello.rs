//! Hello messages: what sentinels say to each other over the servers that they watch. Their text only, not what it is worth.
//!
//! Stock Sentinel reads them leniently (a number that is none is 0) and obeys them. Here they are read strictly: what is
//! not written as stock Sentinel writes it is no hello.

use std::fmt;
use std::str::FromStr;

use super::{Addr, Epoch, GroupName, SentinelId, limits};

/// The channel of hello messages on every data node.
pub const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// Characters in a sentinel's public id.
const ID_CHARS: usize = 40;

/// One hello message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Where the sender speaks the SENTINEL protocol.
    pub sender: Addr,
    /// The sender's public id.
    pub sentinel: SentinelId,
    /// The largest epoch that the sender knows.
    pub current_epoch: Epoch,
    /// The name by which the sender knows the master. Not a [`GroupName`]: other sentinels may use names that we refuse.
    pub group: String,
    /// The master, as the sender believes.
    pub master: Addr,
    /// The epoch of that master.
    pub epoch: Epoch,
}

/// Why a text is no hello.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHello {
    /// Longer than any hello is.
    #[error("it has more than {} bytes", limits::HELLO_BYTES)]
    TooLong,
    /// Another number of fields than eight.
    #[error("it has {0} fields instead of 8")]
    Fields(usize),
    /// A field that cannot be what it should be.
    #[error("its field '{0}' cannot be one")]
    Field(&'static str),
}

impl FromStr for Hello {
    type Err = BadHello;

    fn from_str(text: &str) -> Result<Self, BadHello> {
        if text.len() > limits::HELLO_BYTES {
            return Err(BadHello::TooLong);
        }
        let fields: Vec<&str> = text.split(',').collect();
        let [ip, port, id, current_epoch, group, master_ip, master_port, epoch] = fields[..] else {
            return Err(BadHello::Fields(fields.len()));
        };
        Ok(Self {
            sender: Addr::new(ip, number(port, "port")?).map_err(|_| BadHello::Field("ip"))?,
            sentinel: sentinel_id(id)?,
            current_epoch: Epoch(number(current_epoch, "current epoch")?),
            group: name(group)?,
            master: Addr::new(master_ip, number(master_port, "master port")?).map_err(|_| BadHello::Field("master ip"))?,
            epoch: Epoch(number(epoch, "master epoch")?),
        })
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender, sentinel, current_epoch, group, master, epoch } = self;
        write!(f, "{},{},{sentinel},{current_epoch},{group},{},{},{epoch}", sender.host(), sender.port(), master.host(), master.port())
    }
}

/// As it is printed, so without signs, blanks or leading zeros.
fn number<T: FromStr + ToString>(text: &str, field: &'static str) -> Result<T, BadHello> {
    text.parse().ok().filter(|number: &T| number.to_string() == text).ok_or(BadHello::Field(field))
}

fn sentinel_id(text: &str) -> Result<SentinelId, BadHello> {
    let fits = text.len() == ID_CHARS && text.chars().all(|c| c.is_ascii_alphanumeric());
    SentinelId::new(text).ok().filter(|_| fits).ok_or(BadHello::Field("sentinel id"))
}

fn name(text: &str) -> Result<String, BadHello> {
    let fits = !text.is_empty() && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(BadHello::Field("master name")) }
}

/// What this sentinel says of a group. Where it is reached may depend on the link over which it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloTemplate {
    /// `sentinel announce-ip`; without it the link's own address is said.
    pub announce_ip: Option<String>,
    /// The port of the SENTINEL protocol, as announced.
    pub port: u16,
    /// This sentinel.
    pub sentinel: SentinelId,
    /// The largest epoch that it knows.
    pub current_epoch: Epoch,
    /// The group.
    pub group: GroupName,
    /// Its recorded master.
    pub master: Addr,
    /// The epoch of that master.
    pub epoch: Epoch,
}

impl HelloTemplate {
    /// The message, over a link whose own address is `local_host`; none where that is no address.
    pub fn hello(&self, local_host: &str) -> Option<Hello> {
        Some(Hello {
            sender: Addr::new(self.announce_ip.as_deref().unwrap_or(local_host), self.port).ok()?,
            sentinel: self.sentinel.clone(),
            current_epoch: self.current_epoch,
            group: self.group.to_string(),
            master: self.master.clone(),
            epoch: self.epoch,
        })
    }

    /// Whether the two name the same master by the same decision.
    pub fn agrees(&self, other: &Self) -> bool {
        (&self.group, &self.master, self.epoch) == (&other.group, &other.master, other.epoch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STOCK: &str = "127.0.0.1,26379,0123456789abcdef0123456789abcdef01234567,7,mymaster,10.0.0.1,6379,5";

    fn with(field: usize, value: &str) -> String {
        let mut fields: Vec<&str> = STOCK.split(',').collect();
        fields[field] = value;
        fields.join(",")
    }

    #[test]
    fn a_message_of_stock_sentinel_is_read() {
        let hello: Hello = STOCK.parse().expect("it is one");
        assert_eq!(hello.sender, Addr::new("127.0.0.1", 26379).expect("an address"));
        assert_eq!(hello.sentinel.as_str(), "0123456789abcdef0123456789abcdef01234567");
        assert_eq!((hello.current_epoch, hello.epoch), (Epoch(7), Epoch(5)));
        assert_eq!((hello.group.as_str(), hello.master), ("mymaster", Addr::new("10.0.0.1", 6379).expect("an address")));
        assert!(with(4, "my master").parse::<Hello>().is_ok(), "stock Sentinel takes any name");
        assert!(with(0, "::1").parse::<Hello>().is_ok());
    }

    #[test]
    fn what_stock_sentinel_would_read_as_something_else_is_refused() {
        for number in ["", " 7", "+7", "-7", "07", "7x", "18446744073709551616"] {
            for (field, name) in [(1, "port"), (3, "current epoch"), (6, "master port"), (7, "master epoch")] {
                assert_eq!(with(field, number).parse::<Hello>(), Err(BadHello::Field(name)), "{number:?}");
            }
        }
        assert_eq!(with(1, "65536").parse::<Hello>(), Err(BadHello::Field("port")));
        assert_eq!(with(2, "short").parse::<Hello>(), Err(BadHello::Field("sentinel id")));
        assert_eq!(with(0, "1 2").parse::<Hello>(), Err(BadHello::Field("ip")));
        assert_eq!(with(4, "a\nb").parse::<Hello>(), Err(BadHello::Field("master name")));
        assert_eq!(with(4, "a,b").parse::<Hello>(), Err(BadHello::Fields(9)));
        assert_eq!("".parse::<Hello>(), Err(BadHello::Fields(1)));
        assert_eq!(with(4, &"n".repeat(2000)).parse::<Hello>(), Err(BadHello::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_said_again(text in prop_oneof![".{0,200}", "([0-9a-f.:]{0,42},){7}[0-9]{0,21}"]) {
            if let Ok(hello) = text.parse::<Hello>() {
                prop_assert_eq!(hello.to_string(), text);
            }
        }

        #[test]
        fn every_hello_survives_a_round_trip(
            ip in "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}", port: u16, id in "[0-9a-f]{40}", current: u64, group in "[^,\\pC]{1,60}",
            master in "[a-z0-9.][a-z0-9.-]{0,59}", master_port: u16, epoch: u64,
        ) {
            let hello = Hello {
                sender: Addr::new(ip, port).expect("an address"), sentinel: SentinelId::new(id).expect("an id"), current_epoch: Epoch(current), group,
                master: Addr::new(master, master_port).expect("an address"), epoch: Epoch(epoch),
            };
            prop_assert_eq!(hello.to_string().parse::<Hello>(), Ok(hello));
        }

        #[test]
        fn a_damaged_hello_is_never_read_as_another_number_of_fields(at in 0..STOCK.len(), with in any::<char>()) {
            let damaged: String = STOCK.char_indices().map(|(i, c)| if i == at { with } else { c }).collect();
            if damaged.parse::<Hello>().is_ok() {
                prop_assert_eq!(damaged.matches(',').count(), 7);
            }
        }
    }
}

//! The messages of `proto/` from the words of `machine` and `judge`, and back where clients say something.
//!
//! Pure: nothing is asked, nothing is awaited.

pub(super) mod decisions;
pub(super) mod masters;
pub(super) mod members;
pub(super) mod nodes;
pub(super) mod options;
pub(super) mod requests;
pub(super) mod shadow;

use crate::base::Addr;
use crate::machine::Stamp;
use crate::proto::sentinel as pb;

fn address(addr: &Addr) -> pb::Address {
    pb::Address { host: addr.host().to_owned(), port: u32::from(addr.port()) }
}

const fn moment(stamp: Stamp) -> pb::Moment {
    pb::Moment { index: stamp.index.0, at_us: stamp.at.0 }
}

fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

//! Facts about groups in shadow, as events. Stock Sentinel has none of these.

use super::wording::{Wording, master, replica};
use crate::base::{Addr, GroupName};
use crate::machine::ShadowEvent;

pub(super) fn worded(group: &GroupName, event: &ShadowEvent) -> Vec<Wording> {
    let wording = match event {
        ShadowEvent::StoodDown { master: addr } => Wording::warning("+shadow", master(group, addr)),
        ShadowEvent::TookOver { master: addr, despite_stock } => {
            let despite = if *despite_stock { " #despite other sentinels" } else { "" };
            Wording::warning("-shadow", format!("{}{despite}", master(group, addr)))
        }
        ShadowEvent::WouldPromote { master: addr, chosen } => Wording::warning("+shadow-decided", replica(group, chosen, addr)),
        ShadowEvent::WouldBeBlocked { master: addr } => Wording::warning("+shadow-blocked", master(group, addr)),
        ShadowEvent::StockSaid { master: addr, from, word } => {
            let named = word.addr().map(|addr| format!(" {} {}", addr.host(), addr.port())).unwrap_or_default();
            Wording::notice("+shadow-stock", format!("{} #{}{named} by {} {}", master(group, addr), word.event(), from.host(), from.port()))
        }
        ShadowEvent::Followed { from, to } => Wording::notice("+shadow-followed", replica(group, to, from)),
        ShadowEvent::Compared { epoch, master: addr, difference, ours, stock } => {
            let shown =
                |addr: &Option<Addr>| addr.as_ref().map_or_else(|| "-".to_owned(), |addr| format!("{} {}", addr.host(), addr.port()));
            let text =
                format!("{} #{} epoch {epoch} ours {} stock {}", master(group, addr), difference.as_str(), shown(ours), shown(stock));
            Wording::warning("+shadow-compared", text)
        }
    };
    vec![wording]
}

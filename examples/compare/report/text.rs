//! Small things that every picture needs.

use crate::product::Product;

/// Text as HTML and SVG want it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The name of a product in the style sheet.
pub(super) fn key_of(product: Product) -> String {
    match product {
        Product::RedisSentinel => "p-redis",
        Product::ValkeySentinel => "p-valkey",
        Product::Available => "p-available",
        Product::Strict => "p-strict",
    }
    .to_owned()
}

/// The product's colour and name, as HTML.
pub(super) fn swatch(product: Product) -> String {
    format!("<span class=\"product {}\"></span>{}", key_of(product), product.name())
}

//! What pictures are drawn with: the frame, lines from top to bottom, and words. Places are in the units of the frame.

use std::fmt::Write as _;

use super::text::escaped;

/// The beginning of a picture; `class` may be empty.
pub(super) fn begin(class: &str, (width, height): (f64, f64), name: &str) -> String {
    format!("<svg class=\"{class}\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"{}\">", escaped(name))
}

/// A line straight down.
pub(super) fn line(svg: &mut String, class: &str, x: f64, (top, bottom): (f64, f64)) {
    let _ = write!(svg, "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>");
}

/// Words at a place.
pub(super) fn words(svg: &mut String, class: &str, (x, y): (f64, f64), what: &str) {
    let _ = write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(what));
}

/// How many there are, as a length.
#[expect(clippy::cast_precision_loss, reason = "a handful of rows or bars")]
pub(super) const fn as_f64(number: usize) -> f64 {
    number as f64
}

//! What this sentinel believes of one group, and what it wants done about it.
//!
//! Pure, like `machine`: the moment is an argument, effects are values.
//! Driven by `agent`; its [`view`] is read by `serve`.

pub mod view;

pub use view::{GroupView, Link, NodeView};

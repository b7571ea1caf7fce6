//! What people get: lines on the terminal, JSON, a table for a Markdown file, and a page.

mod chart;
mod glance;
mod markdown;
mod numbers;
mod page;
mod story;
mod svg;
mod terminal;
mod text;

pub(crate) use markdown::with_table;
pub(crate) use page::page;
pub(crate) use terminal::{print_head, print_table};

use crate::results::Results;

/// The results as JSON.
pub(crate) fn json(results: &Results) -> anyhow::Result<String> {
    Ok(serde_json::to_string(results)? + "\n")
}

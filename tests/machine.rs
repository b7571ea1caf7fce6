//! The replicated state machine, told as stories and tried with random entries.

#[path = "machine/properties.rs"]
mod properties;
#[path = "machine/secrets.rs"]
mod secrets;
#[path = "machine/story.rs"]
mod story;

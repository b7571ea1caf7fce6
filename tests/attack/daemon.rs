//! Signals, log files that are moved away, pipes that nobody reads.

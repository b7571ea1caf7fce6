//! Names and addresses that no log entry may hold.

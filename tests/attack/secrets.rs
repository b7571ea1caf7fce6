//! Passwords, searched for in every file and on every surface.

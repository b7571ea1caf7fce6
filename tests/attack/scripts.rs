//! Commands that run on the hosts of the sentinels, and commands that are renamed.

//! The port for peers, called by a stranger.

//! Hello messages of those who may only publish.

//! Replicas that come and go, claim what cannot be, or were never there.

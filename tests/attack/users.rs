//! gRPC and HTTP without, and with too few, rights.

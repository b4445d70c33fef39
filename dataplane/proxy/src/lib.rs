//! One flow's life, sans-IO: two TCP halves, two TLS halves, policy and inspection.

#![forbid(unsafe_code)]

//! The data path in one thread over in-memory ports: what it costs, without a driver, a kernel or a second core.

#![forbid(unsafe_code)]

pub mod lockstep;

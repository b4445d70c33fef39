//! Scripted segments: what goes in, what has to come out.

mod blind;
mod ecn;
mod handshake;
mod hostile;
mod loss;
mod matrix;
mod pair;
mod path_mtu;
mod receiving;
mod repetition;
mod sending;
mod settled;
mod support;
mod teardown;
mod time_wait;
mod trains;

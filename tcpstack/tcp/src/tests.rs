//! Scripted segments: what goes in, what has to come out.

mod blind;
mod handshake;
mod hostile;
mod loss;
mod matrix;
mod receiving;
mod sending;
mod support;
mod teardown;

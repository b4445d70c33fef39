//! What scenarios draw from a seed.

use core::time::Duration;

use sluice_packet::{Instant, SeqNum};
use sluice_tcp::{Config, CongestionAlgorithm, Opening};

use crate::random::Random;

/// When runs start.
pub const START: Instant = Instant::from_secs(1);
/// Virtual time after which a run has failed.
pub const LIMIT: Duration = Duration::from_secs(4 * 3_600);

/// How an engine is set up. It never gives up: under 30 % loss both ways even a sound host does now and then, and here
/// only a hang counts.
pub fn config(random: &mut Random) -> Config {
    Config {
        recv_buffer_bytes_max: random.pick(&[4_096, 20_000, 65_536, 1_048_576]),
        send_buffer_bytes_max: random.pick(&[4_096, 65_536, 1_048_576]),
        congestion: random.pick(&[CongestionAlgorithm::Cubic, CongestionAlgorithm::NewReno]),
        user_timeout: LIMIT,
        open_timeout: LIMIT,
        ..Config::default()
    }
}

/// What an engine offers in its SYN.
pub fn opening(random: &mut Random) -> Opening {
    Opening {
        iss: sequence(random),
        path_mss: random.pick(&[536, 1_200, 1_440, 1_460]),
        mss_default: 536,
        window_scale: random.pick(&[None, Some(0), Some(3), Some(7), Some(14)]),
        sack: random.chance(800),
        ecn: false,
        timestamps: random.chance(700).then(|| sequence(random).0),
    }
}

/// Any sequence number.
pub fn sequence(random: &mut Random) -> SeqNum {
    SeqNum(u32::try_from(random.below(1 << 32)).unwrap_or(0))
}

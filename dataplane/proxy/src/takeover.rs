//! From what was observed of two real ends to two halves that stand in for them.

use sluice_flow::{Half as RecordedHalf, Recorded};
use sluice_packet::{Instant, Side};
use sluice_tcp::{Config, Connection, Takeover, TimestampClock};

use crate::limits::{
    ETHERNET_MTU, GIVE_UP_TIMEOUT, RECEIVE_BUFFER_BYTES_MAX, SEND_BUFFER_BYTES_MAX,
};
use crate::session::Half;

/// The half that talks to the client and the one that talks to the origin, each born ESTABLISHED in the other end's name.
pub(crate) fn halves(recorded: &Recorded, client_side: Side, now: Instant) -> (Half, Half) {
    (
        half(&recorded.toward_originator, client_side, now),
        half(&recorded.toward_responder, client_side.other(), now),
    )
}

fn half(recorded: &RecordedHalf, side: Side, now: Instant) -> Half {
    let config = Config {
        recv_buffer_bytes_max: RECEIVE_BUFFER_BYTES_MAX,
        send_buffer_bytes_max: SEND_BUFFER_BYTES_MAX,
        user_timeout: GIVE_UP_TIMEOUT,
        ..Config::default()
    };
    let takeover = Takeover {
        send_next: recorded.send_next,
        receive_next: recorded.receive_next,
        send_window: recorded.send_window,
        peer_mss: recorded.peer_mss,
        send_scale: recorded.send_scale,
        receive_scale: recorded.receive_scale,
        sack: recorded.sack,
        ecn: recorded.ecn,
        timestamps: recorded.timestamps.map(|clock| TimestampClock {
            value: clock.value,
            at: clock.at,
            echo_recent: clock.echo_recent,
        }),
        path_mss: recorded.path.mss_limit(ETHERNET_MTU),
    };
    Half::new(
        Connection::established(takeover, &config, now),
        recorded.path,
        side,
    )
}

//! From what was observed of two real ends to two halves that stand in for them.

use sluice_flow::{Half as RecordedHalf, Recorded};
use sluice_packet::{Instant, Side};
use sluice_tcp::{Config, Connection, Takeover, TimestampClock};

use crate::identity::Place;
use crate::limits::{GIVE_UP_TIMEOUT, RECEIVE_BUFFER_BYTES_MAX, SEND_BUFFER_BYTES_MAX};
use crate::mtu::PortMtus;
use crate::session::Half;

/// The half that talks to the client and the one that talks to the origin, each born ESTABLISHED in the other end's name.
pub(crate) fn halves(
    recorded: &Recorded,
    place: Place,
    mtus: &PortMtus,
    now: Instant,
) -> (Half, Half) {
    let half = |recorded: &RecordedHalf, client: bool| {
        let side = place.side_of(client);
        let mtu = mtus.of(place.segment, side);
        half(recorded, (side, place.is_lower(client)), mtu, now)
    };
    (
        half(&recorded.toward_originator, true),
        half(&recorded.toward_responder, false),
    )
}

fn half(recorded: &RecordedHalf, end: (Side, bool), mtu: u16, now: Instant) -> Half {
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
        round_trip: recorded.round_trip,
        path_mss: recorded.path.mss_limit(mtu),
        path_mss_min: if recorded.path.source().is_ipv4() {
            sluice_tcp::limits::PATH_MSS_IPV4_BYTES_MIN
        } else {
            sluice_tcp::limits::PATH_MSS_IPV6_BYTES_MIN
        },
    };
    Half::new(
        Connection::established(takeover, &config, now),
        &recorded.path,
        end,
    )
}

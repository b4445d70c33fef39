//! Every state against every kind of segment.

use sluice_packet::{TcpFlags, Timestamps};

use super::support::{FIN_ACK, OURS, Script, with_timestamps};
use crate::{Config, Connection, Opening};

/// Brings a fresh connection into a state; sequence numbers as they stand then.
type Path = fn(&mut Script);

const SYN_ACK: TcpFlags = TcpFlags::from_bits(0x12);

fn connect(script: &mut Script) {
    let opening = Opening {
        iss: OURS,
        path_mss: 1_000,
        mss_default: 536,
        window_scale: None,
        sack: true,
        ecn: false,
        timestamps: Some(70_000),
    };
    script.connection = Connection::connect(opening, &Config::default(), script.now);
    script.drain();
}

/// Name, way into it, the peer's next sequence number, and what it has acknowledged.
const STATES: [(&str, Path, i32, i32); 10] = [
    ("syn-sent", connect, 0, 0),
    (
        "syn-received",
        |script| {
            connect(script);
            script.feed(TcpFlags::SYN, 0, 0, b"");
        },
        1,
        0,
    ),
    ("established", |_| {}, 0, 0),
    ("fin-wait-1", |script| script.connection.finish(), 0, 0),
    (
        "fin-wait-2",
        |script| {
            script.connection.finish();
            script.drain();
            script.ack(1);
        },
        0,
        1,
    ),
    ("close-wait", |script| script.feed(FIN_ACK, 0, 0, b""), 1, 0),
    (
        "closing",
        |script| {
            script.connection.finish();
            script.drain();
            script.feed(FIN_ACK, 0, 0, b"");
        },
        1,
        0,
    ),
    (
        "last-ack",
        |script| {
            script.feed(FIN_ACK, 0, 0, b"");
            script.connection.finish();
        },
        1,
        0,
    ),
    (
        "time-wait",
        |script| {
            script.connection.finish();
            script.drain();
            script.feed(FIN_ACK, 0, 1, b"");
        },
        1,
        1,
    ),
    ("closed", |script| script.connection.abort(), 0, 0),
];

type Event = fn(&mut Script, i32, i32);

const EVENTS: [(&str, Event); 21] = [
    ("syn", |script, seq, ack| {
        script.feed(TcpFlags::SYN, seq, ack, b"");
    }),
    ("syn+ack", |script, seq, ack| {
        script.feed(SYN_ACK, seq, ack + 1, b"");
    }),
    ("ack", |script, seq, ack| {
        script.feed(TcpFlags::ACK, seq, ack, b"");
    }),
    ("ack-of-last", |script, seq, _| {
        script.feed(TcpFlags::ACK, seq, 1, b"");
    }),
    ("ack-beyond", |script, seq, _| {
        script.feed(TcpFlags::ACK, seq, 1_000, b"");
    }),
    ("ack-too-old", |script, seq, _| {
        script.feed(TcpFlags::ACK, seq, -70_000, b"");
    }),
    ("data", |script, seq, ack| {
        script.feed(TcpFlags::ACK, seq, ack, b"data");
    }),
    ("data-ahead", |script, seq, ack| {
        script.feed(TcpFlags::ACK, seq + 9, ack, b"data");
    }),
    ("data-beyond", |script, seq, ack| {
        script.feed(TcpFlags::ACK, seq + 2_000_000, ack, b"data");
    }),
    ("data-stale", |script, seq, ack| {
        script.feed(TcpFlags::ACK, seq - 50, ack, b"stale");
    }),
    ("data-no-ack", |script, seq, ack| {
        script.feed(TcpFlags::NONE, seq, ack, b"data");
    }),
    ("fin", |script, seq, ack| {
        script.feed(FIN_ACK, seq, ack, b"");
    }),
    ("fin+ack-of-last", |script, seq, _| {
        script.feed(FIN_ACK, seq, 1, b"");
    }),
    ("rst-exact", |script, seq, ack| {
        script.feed(TcpFlags::RST, seq, ack, b"");
    }),
    ("rst+ack", |script, seq, _| {
        script.feed(TcpFlags::RST | TcpFlags::ACK, seq, 1, b"");
    }),
    ("rst-in-window", |script, seq, ack| {
        script.feed(TcpFlags::RST, seq + 9, ack, b"");
    }),
    ("rst-outside", |script, seq, ack| {
        script.feed(TcpFlags::RST, seq - 9, ack, b"");
    }),
    ("old-timestamp", |script, seq, ack| {
        script.timestamp = Some(OLD);
        script.feed(TcpFlags::ACK, seq, ack, b"data");
    }),
    ("close", |script, _, _| script.connection.finish()),
    ("abort", |script, _, _| script.connection.abort()),
    ("timeout", |script, _, _| {
        if let Some(at) = script.connection.next_timeout() {
            script.now = at;
            script.connection.on_timeout(at);
        }
    }),
];

const RECENT: Timestamps = Timestamps {
    value: 5_000,
    echo: 70_000,
};
const OLD: Timestamps = Timestamps {
    value: 4_999,
    echo: 70_000,
};

#[test]
fn p100_state_by_event() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.5
    //= type=test
    //# Respond with "ok" and delete the TCB, enter CLOSED state, and return.
    let mut table = String::new();
    for (state, path, seq, ack) in STATES {
        for (event, apply) in EVENTS {
            let mut script = Script::of(with_timestamps(), Config::default());
            script.timestamp = Some(RECENT);
            // The peer's latest timestamp is known.
            script.feed(TcpFlags::ACK, 0, 0, b"");
            path(&mut script);
            script.drain();
            apply(&mut script, seq, ack);
            let answers: Vec<String> = script
                .drain()
                .iter()
                .map(|seen| format!("{} seq {} ack {}", seen.flags, seen.seq, seen.ack))
                .collect();
            let delivered = script.connection.received().len();
            table.push_str(&format!(
                "{state:<12} {event:<15} -> {:<12} read {delivered} sent [{}]{}\n",
                format!("{:?}", script.connection.state()),
                answers.join("; "),
                script
                    .connection
                    .closed_by()
                    .map_or(String::new(), |reason| format!(" {reason:?}")),
            ));
        }
    }
    insta::assert_snapshot!(table);
}

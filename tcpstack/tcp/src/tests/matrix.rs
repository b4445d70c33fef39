//! Every state against every kind of segment.

use sluice_packet::TcpFlags;

use super::support::{FIN_ACK, Script};

/// Brings a fresh connection into a state; sequence numbers as they stand then.
type Path = fn(&mut Script);

const STATES: [(&str, Path, i32, i32); 7] = [
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
];

type Event = fn(&mut Script, i32, i32);

const EVENTS: [(&str, Event); 11] = [
    ("data", |script, seq, ack| {
        script.feed(TcpFlags::ACK, seq, ack, b"data");
    }),
    ("fin", |script, seq, ack| {
        script.feed(FIN_ACK, seq, ack, b"");
    }),
    ("ack-of-fin", |script, seq, _| {
        script.feed(TcpFlags::ACK, seq, 1, b"");
    }),
    ("fin+ack-of-fin", |script, seq, _| {
        script.feed(FIN_ACK, seq, 1, b"");
    }),
    ("ack-beyond", |script, seq, _| {
        script.feed(TcpFlags::ACK, seq, 1_000, b"");
    }),
    ("rst-exact", |script, seq, ack| {
        script.feed(TcpFlags::RST, seq, ack, b"");
    }),
    ("rst-in-window", |script, seq, ack| {
        script.feed(TcpFlags::RST, seq + 9, ack, b"");
    }),
    ("syn", |script, seq, ack| {
        script.feed(TcpFlags::SYN, seq, ack, b"");
    }),
    ("stale-data", |script, seq, ack| {
        script.feed(TcpFlags::ACK, seq - 50, ack, b"stale");
    }),
    ("finish", |script, _, _| script.connection.finish()),
    ("abort", |script, _, _| script.connection.abort()),
];

#[test]
fn p100_state_by_event() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.5
    //= type=test
    //# CLOSING STATE, LAST-ACK STATE, TIME-WAIT STATE: Respond with "ok" and delete the TCB; enter the CLOSED state
    let mut table = String::new();
    for (state, path, seq, ack) in STATES {
        for (event, apply) in EVENTS {
            let mut script = Script::new();
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

use clap::{Parser, Subcommand};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Flows(FlowsOptions),
    Sessions(SessionsOptions),
    Memory(MemoryOptions),
}

fn report(words: &str) -> serde_json::Value {
    let words = ["bench"].into_iter().chain(words.split(' '));
    let report = match Line::try_parse_from(words).unwrap().what {
        What::Flows(options) => serde_json::to_value(options.run().unwrap()),
        What::Sessions(options) => serde_json::to_value(options.run().unwrap()),
        // Nothing counts here; the table is checked all the same.
        What::Memory(options) => serde_json::to_value(options.run(&|| 0).unwrap()),
    };
    report.unwrap()
}

#[test]
fn every_kind_of_flow_is_there_and_passes() {
    for kind in ["uninspected", "bypassed", "observed", "flood", "taken"] {
        for single in ["", " --single"] {
            let words = format!(
                "flows --kind {kind} --flows 3,40 --capacity 64 --rounds 2 --bursts 20{single}"
            );
            let figures = &report(&words)["ns_per_packet"];
            for flows in 0..2 {
                let rounds = figures[flows].as_array().unwrap();
                assert_eq!(rounds.len(), 2, "{words}");
                assert!(
                    rounds.iter().all(|ns| ns.as_f64().unwrap() > 0.0),
                    "{words}"
                );
            }
        }
    }
}

#[test]
fn connections_requests_and_bytes_arrive() {
    let report = report("sessions --rounds 2 --connections 3 --requests 5 --bulk-mib 1");
    for figure in ["us_per_connection", "us_per_request", "us_per_mib"] {
        assert_eq!(report[figure].as_array().unwrap().len(), 2, "{report}");
    }
    // MSS 1460 less timestamps: a MiB of records does not fit into fewer.
    assert!(
        report["packets_per_mib"][0].as_f64().unwrap() > 724.0,
        "{report}"
    );
}

#[test]
fn p98_nothing_is_sent_twice_where_nothing_is_lost() {
    let report = report("sessions --rounds 2 --connections 100 --requests 50 --bulk-mib 2");
    assert_eq!(report["retransmits"], 0, "{report}");
}

#[test]
fn observed_and_taken_flows_share_a_table() {
    let report = report("memory --observed 50 --taken 8");
    assert_eq!(
        (&report["observed"], &report["taken"]),
        (&50.into(), &8.into())
    );
}

//! Every target: its corpus, then mutations of it. `SLUICE_FUZZ_CASES` multiplies how many, `SLUICE_FUZZ_SEED` says which.

use sluice_fuzz::{TARGETS, find};

const FILE_BYTES_MAX: usize = 4 * 1024;
const CORPUS_BYTES_MAX: usize = 1024 * 1024;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn fuzz(name: &str) {
    let target = find(name).expect("a target of this name");
    let replayed = target.replay().expect("its corpus holds");
    assert!(replayed > 0, "corpus/{name} is empty");
    let cases = target.cases * number("SLUICE_FUZZ_CASES", 1);
    target
        .mutate(number("SLUICE_FUZZ_SEED", 1), cases)
        .expect("its mutations hold");
}

macro_rules! targets {
    ($($test:ident $name:literal;)+) => {
        $(#[test]
        fn $test() {
            fuzz($name);
        })+

        #[test]
        fn every_target_is_run() {
            let run = [$($name),+];
            let all: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, run);
        }
    };
}

targets! {
    no_input_parses_as_a_frame_that_is_written_otherwise "packet";
    no_input_reads_as_options_that_are_written_otherwise "options";
    any_segments_deliver_the_stream_and_nothing_else "segments";
    any_segments_that_are_disregarded_teach_the_observer_nothing "observer";
    any_fragments_are_given_on_whole_or_not_at_all "reassembler";
    any_bytes_read_as_the_same_hello_however_they_are_cut "hello";
    no_input_opens_that_the_peer_did_not_seal "records";
    whatever_is_forged_from_hostile_certificates_can_be_read "certificate";
    any_bytes_that_decode_as_an_event_encode_again "event";
    any_bytes_that_decode_as_a_snapshot_encode_again "snapshot";
    any_bytes_as_documents_give_a_configuration_or_problems_with_their_lines "documents";
    any_bytes_of_plaintext_are_named_the_same_however_they_are_cut "plaintext";
}

#[test]
fn the_corpora_are_small() {
    let mut total = 0;
    for target in TARGETS {
        for (name, bytes) in target.corpus() {
            assert!(bytes.len() <= FILE_BYTES_MAX, "{}/{name}", target.name);
            total += bytes.len();
        }
    }
    assert!(total <= CORPUS_BYTES_MAX, "{total} bytes");
}

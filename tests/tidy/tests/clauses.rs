//! Every clause of an RFC that the TCP engine quotes is named in a test.

use sluice_tidy::{Clauses, Source, Tree};

const ROOM: &str = "tcpstack/tcp/";

#[test]
fn every_clause_that_is_implemented_is_named_in_its_test() {
    let tree = Tree::read().unwrap();
    let sources = tree
        .sources
        .iter()
        .filter(|source| source.path.starts_with(ROOM));
    let clauses = Clauses::of(sources);
    assert!(clauses.implemented.len() > 60, "the engine quotes RFCs");
    let untested: Vec<String> = clauses
        .untested()
        .map(|(path, clause)| format!("{path}: {} {}", clause.url, clause.quote))
        .collect();
    assert!(
        untested.is_empty(),
        "quote these in the tests that prove them, with `//= type=test` between address and quotation:\n{}",
        untested.join("\n")
    );
}

#[test]
fn a_clause_counts_as_tested_by_its_address_and_first_line() {
    let source = |text: &str| Source {
        path: "a.rs".to_owned(),
        text: text.to_owned(),
    };
    let sources = [
        source(
            "    //= https://rfc/1\n    //# one\n    //# two\n    //= https://rfc/1\n    //# three\n",
        ),
        source(
            "//= https://rfc/1\n//= type=test\n//# one\n//= https://rfc/2\n//= type=test\n//# three\n",
        ),
    ];
    let clauses = Clauses::of(sources.iter());
    let untested: Vec<&str> = clauses
        .untested()
        .map(|(_, clause)| clause.quote.as_str())
        .collect();
    assert_eq!(untested, ["three"]);
}

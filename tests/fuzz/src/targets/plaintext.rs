//! Decrypted bytes: the protocol is named the same however they are cut.

use sluice_inspect::{Direction, Inspector};

/// The first byte says what was negotiated and where to cut; a NUL NUL parts what the client said from what it was answered.
pub(crate) fn run(bytes: &[u8]) {
    let Some((&kind, said)) = bytes.split_first() else {
        return;
    };
    let alpn: Option<&[u8]> = match kind & 3 {
        0 => None,
        1 => Some(b"http/1.1"),
        2 => Some(b"h2"),
        _ => Some(b"other"),
    };
    let cut = said
        .windows(2)
        .position(|pair| pair == [0, 0])
        .unwrap_or(said.len());
    let (question, answer) = said.split_at(cut);
    let named = |size: usize| {
        let mut inspector = Inspector::new(alpn);
        for (direction, bytes) in [
            (Direction::ToOrigin, question),
            (Direction::ToClient, answer),
        ] {
            for part in bytes.chunks(size) {
                inspector.on_plaintext(direction, part);
            }
        }
        inspector.application()
    };
    let whole = named(usize::MAX);
    assert_eq!(named(1), whole);
    assert_eq!(named(usize::from(kind >> 2) + 1), whole);
}

//! A client's first bytes: read the same however they are cut, in bounded memory.

use sluice_tls::limits::CLIENT_HELLO_BYTES_MAX;
use sluice_tls::{ClientHelloReader, HelloProgress};

/// The first byte says where to cut; the rest is the stream.
pub(crate) fn run(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else {
        return;
    };
    let whole = ClientHelloReader::new().feed(stream);
    for size in [1, usize::from(cut).max(1)] {
        let mut reader = ClientHelloReader::new();
        let mut progress = HelloProgress::NeedMore;
        for part in stream.chunks(size) {
            progress = reader.feed(part);
        }
        assert_eq!(progress, whole, "in parts of {size}");
        assert!(reader.memory_bytes() <= 2 * CLIENT_HELLO_BYTES_MAX);
    }
    if let HelloProgress::Complete(hello) = whole {
        // It names a host or none: never half of one.
        assert!(
            hello
                .sni
                .is_none_or(|name| !name.is_empty() && name.len() <= 255)
        );
    }
}

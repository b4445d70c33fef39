//! Flights with bytes changed: refused, never crashed on.

use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};

use super::HOST;
use super::peers::*;
use crate::testing::{Inbox, NOW, Site, origin_parameters, p256};
use crate::{Blame, OriginHandshake, TlsContext, VersionRange};

#[test]
fn a_changed_byte_of_the_origins_flight_never_ends_in_a_session() {
    let site = Site::new(HOST, &p256());
    let context = TlsContext::new().unwrap();
    for range in [VersionRange::TLS12, VersionRange::TLS13] {
        let parameters = origin_parameters(Some(HOST), &[], &site.trust, range);
        for index in (0..900).step_by(13) {
            let mut origin = OriginHandshake::new(&context, &parameters).unwrap();
            let mut server = client(&context, &site, None);
            let (mut hello, mut flight) = (Vec::new(), Vec::new());
            origin.advance(&mut [], &mut hello, NOW).unwrap();
            server.advance(&mut hello, &mut flight, NOW).unwrap();
            let Some(byte) = flight.get_mut(index) else {
                break;
            };
            *byte ^= 0x10;
            let mut back = Vec::new();
            if let Ok(progress) = origin.advance(&mut flight, &mut back, NOW) {
                // TLS 1.2: what was changed may only show in the Finished that the server refuses.
                let end = server.advance(&mut back, &mut Vec::new(), NOW);
                assert!(
                    !progress.done && !matches!(end, Ok(progress) if progress.done),
                    "byte {index}"
                );
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    /// rustls must not panic on anything: a panic takes the data plane down.
    #[test]
    fn mutated_flights_never_panic_and_are_the_peers_fault(
        flips in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 1u8..), 1..5),
        tls13: bool,
        fragment in 32usize..400,
        cut in 1usize..2000,
    ) {
        thread_local! { static SITE: (Site, TlsContext) = (Site::new(HOST, &p256()), TlsContext::new().unwrap()); }
        SITE.with(|(site, context)| {
            let version = if tls13 { &TLS13 } else { &TLS12 };
            let mut plain = plain_server(site, &aws_lc_rs::default_provider(), &[version], |config| {
                config.max_fragment_size = Some(fragment);
            });
            let parameters = origin_parameters(Some(HOST), &[], &site.trust, VersionRange::TLS12_AND_13);
            let mut origin = OriginHandshake::new(context, &parameters).unwrap();
            let (mut hello, mut inbox) = (Vec::new(), Inbox::default());
            origin.advance(&mut [], &mut hello, NOW).unwrap();
            plain.read_tls(&mut hello.as_slice()).unwrap();
            plain.process_new_packets().unwrap();
            while plain.wants_write() {
                plain.write_tls(&mut inbox.wire).unwrap();
            }
            for (index, flip) in flips {
                let at = index.index(inbox.wire.len());
                inbox.wire[at] ^= flip;
            }
            let mut output = Vec::new();
            while inbox.deliver(cut) {
                match origin.advance(&mut inbox.input, &mut output, NOW) {
                    Ok(progress) if progress.done => break,
                    Ok(progress) => {
                        inbox.input.drain(..progress.consumed);
                    }
                    Err(error) => {
                        assert_eq!(error.blame, Blame::Peer, "{error}");
                        return;
                    }
                }
            }
        });
    }

    #[test]
    fn mutated_hellos_never_panic(
        flips in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 1u8..), 0..5),
        record in 1usize..400,
        cut in 1usize..2000,
    ) {
        thread_local! { static SITE: (Site, TlsContext) = (Site::new(HOST, &p256()), TlsContext::new().unwrap()); }
        SITE.with(|(site, context)| {
            let hello = hello_of(site);
            let mut wire: Vec<u8> = hello[5..]
                .chunks(record)
                .flat_map(|part| [&[22, 3, 1][..], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat())
                .collect();
            for (index, flip) in flips {
                let at = index.index(wire.len());
                wire[at] ^= flip;
            }
            let mut inbox = Inbox { wire, ..Inbox::default() };
            let mut handshake = client(context, site, None);
            let mut output = Vec::new();
            while inbox.deliver(cut) {
                match handshake.advance(&mut inbox.input, &mut output, NOW) {
                    Ok(progress) => {
                        inbox.input.drain(..progress.consumed);
                    }
                    Err(error) => {
                        assert_eq!(error.blame, Blame::Peer, "{error}");
                        return;
                    }
                }
            }
        });
    }
}

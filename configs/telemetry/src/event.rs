//! What crosses the event ring: one postcard-encoded event per record.

use serde::{Deserialize, Serialize};

use crate::limits::{DETAIL_BYTES_MAX, EVENT_BYTES_MAX};
use crate::{FlowRecord, SystemRecord};

/// An event from the data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A flow was decided and ended.
    Flow(Box<FlowRecord>),
    /// Something happened to the appliance.
    System(SystemRecord),
}

/// Why bytes are not an event, or an event not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The encoded event is longer than the limit.
    #[error("the event is {bytes} bytes long, more than the {EVENT_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The bytes do not decode.
    #[error(
        "the bytes are not an event of this version; both processes must be of the same release"
    )]
    Malformed,
    /// The event does not encode.
    #[error("the event cannot be encoded")]
    Unencodable,
}

impl Event {
    /// The event as bytes for the ring, at most [`EVENT_BYTES_MAX`]. A longer detail is cut.
    ///
    /// # Errors
    /// [`EventError::TooLong`] when names alone go over the limit.
    pub fn encode(&self) -> Result<Vec<u8>, EventError> {
        let bytes = match self {
            Self::Flow(record)
                if record
                    .detail
                    .as_ref()
                    .is_some_and(|d| d.len() > DETAIL_BYTES_MAX) =>
            {
                let mut cut = record.clone();
                if let Some(detail) = &mut cut.detail {
                    detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
                }
                postcard::to_stdvec(&Self::Flow(cut))
            }
            _ => postcard::to_stdvec(self),
        }
        .map_err(|_| EventError::Unencodable)?;
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLong { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// The event in `bytes`. Arbitrary bytes give an error, never a panic.
    ///
    /// # Errors
    /// When the bytes are too many, do not decode, or go on after the event.
    pub fn decode(bytes: &[u8]) -> Result<Self, EventError> {
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(EventError::TooLong { bytes: bytes.len() });
        }
        match postcard::take_from_bytes(bytes) {
            Ok((event, [])) => Ok(event),
            Ok(_) | Err(_) => Err(EventError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::eve::tests::record;
    use crate::{LoadState, SystemEvent, Verdict};

    #[test]
    fn reads_what_it_writes() {
        let flow = Event::Flow(Box::new(record()));
        assert_eq!(Event::decode(&flow.encode().unwrap()), Ok(flow));
        let system = Event::System(SystemRecord {
            unix_us: 1,
            core: Some(3),
            event: SystemEvent::SessionLoad {
                before: LoadState::Normal,
                state: LoadState::Reached,
                sessions: 7,
                limit: 7,
                over_limit: Verdict::Bypass,
            },
        });
        assert_eq!(Event::decode(&system.encode().unwrap()), Ok(system));
    }

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let mut long = record();
        long.detail = Some("é".repeat(DETAIL_BYTES_MAX));
        let bytes = Event::Flow(Box::new(long)).encode().unwrap();
        let Ok(Event::Flow(read)) = Event::decode(&bytes) else {
            panic!("no flow record")
        };
        assert_eq!(read.detail.map(|d| d.len()), Some(DETAIL_BYTES_MAX));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let mut long = record();
        long.profile = "x".repeat(EVENT_BYTES_MAX);
        assert!(matches!(
            Event::Flow(Box::new(long)).encode(),
            Err(EventError::TooLong { .. })
        ));
        assert!(matches!(
            Event::decode(&vec![0; EVENT_BYTES_MAX + 1]),
            Err(EventError::TooLong { .. })
        ));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = Event::Flow(Box::new(record())).encode().unwrap();
        bytes.push(0);
        assert_eq!(Event::decode(&bytes), Err(EventError::Malformed));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Event::decode(&bytes);
        }

        #[test]
        fn a_damaged_event_never_panics(at in 0usize..200, value in any::<u8>()) {
            let mut bytes = Event::Flow(Box::new(record())).encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = Event::decode(&bytes);
        }
    }
}

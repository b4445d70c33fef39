//! What a client says before its stream: the ClientHello of a name that policy bypasses, or something that is none.

use core::time::Duration;
use std::sync::LazyLock;

/// Bytes before a stream, and whether their sender pauses within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preface {
    /// Nothing.
    #[default]
    None,
    /// A line of something that is not TLS.
    Plain,
    /// A whole ClientHello for [`BYPASSED_NAME`].
    Hello,
    /// The same, with a pause that outlasts the hold: the flow is taken over before it is decided.
    HaltingHello,
}

/// The name in the ClientHello.
pub const BYPASSED_NAME: &str = "login.bank.test";

/// Where the halting hello pauses.
const PAUSE_AT_BYTES: u64 = 40;
/// Longer than an incomplete ClientHello is held.
const PAUSE: Duration = Duration::from_millis(400);

static HELLO: LazyLock<Vec<u8>> = LazyLock::new(hello);

impl Preface {
    /// What is said.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::None => &[],
            Self::Plain => b"SSH-2.0-sim\r\n",
            Self::Hello | Self::HaltingHello => &HELLO,
        }
    }

    /// Bytes said.
    #[must_use]
    pub fn len(self) -> u64 {
        u64::try_from(self.bytes().len()).unwrap_or(0)
    }

    /// Nothing is said.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::None
    }

    /// After how many bytes its sender pauses, and how long.
    pub(crate) fn pause(self) -> (u64, Duration) {
        match self {
            Self::HaltingHello => (PAUSE_AT_BYTES, PAUSE),
            Self::None | Self::Plain | Self::Hello => (0, Duration::ZERO),
        }
    }
}

/// RFC 8446 section 4.1.2, one record.
fn hello() -> Vec<u8> {
    let name = BYPASSED_NAME.as_bytes();
    let server_name = length16(&[&[0], length16(name).as_slice()].concat());
    let extensions = [
        extension(0, &server_name),
        extension(10, &length16(&[0, 29])),
        extension(13, &length16(&[4, 3])),
        extension(43, &[2, 3, 4]),
        extension(
            51,
            &length16(&[[0, 29, 0, 32].as_slice(), &[5; 32]].concat()),
        ),
    ]
    .concat();
    let body = [
        [3, 3].as_slice(),
        &[7; 32],
        &[0],
        &length16(&[0x13, 0x01]),
        &[1, 0],
        &length16(&extensions),
    ]
    .concat();
    let message = [[1, 0].as_slice(), &length16(&body)].concat();
    [[22, 3, 1].as_slice(), &length16(&message)].concat()
}

fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
    [[0, kind].as_slice(), &length16(value)].concat()
}

fn length16(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [len.to_be_bytes().as_slice(), bytes].concat()
}

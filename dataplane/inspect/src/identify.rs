//! Naming the application protocol of a flow from its ALPN and its first plaintext bytes.

use sluice_telemetry::Application;

use crate::limits::IDENTIFY_BYTES_MAX;

/// The HTTP/2 connection preface, RFC 9113 section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Which way plaintext travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the origin.
    ToOrigin,
    /// From the origin to the client.
    ToClient,
}

/// The inspection state of one flow.
///
/// Holds at most [`IDENTIFY_BYTES_MAX`] bytes per direction, and none once the protocol is settled.
#[derive(Debug)]
pub struct Inspector {
    application: Application,
    settled: bool,
    to_origin: Prefix,
    to_client: Prefix,
}

impl Inspector {
    /// A flow on which both legs agreed on `alpn` (RFC 7301 protocol id), or on none.
    #[must_use]
    pub fn new(alpn: Option<&[u8]>) -> Self {
        let (application, settled) = match alpn {
            Some(b"h2") => (Application::Http2, true),
            // An HTTP/1.1 connection can still become a WebSocket: RFC 6455 section 4.
            Some(b"http/1.1" | b"http/1.0") => (Application::Http1, false),
            Some(b"imap") => (Application::Imap, true),
            Some(b"pop3") => (Application::Pop3, true),
            Some(_) => (Application::Other, true),
            None => (Application::Unknown, false),
        };
        Self {
            application,
            settled,
            to_origin: Prefix::default(),
            to_client: Prefix::default(),
        }
    }

    /// The next plaintext bytes of one direction, in order.
    pub fn on_plaintext(&mut self, direction: Direction, bytes: &[u8]) {
        if self.settled {
            return;
        }
        match direction {
            Direction::ToOrigin => self.to_origin.extend(bytes),
            Direction::ToClient => self.to_client.extend(bytes),
        }
        self.identify();
    }

    /// The protocol as far as it is known.
    #[must_use]
    pub fn application(&self) -> Application {
        self.application
    }

    fn identify(&mut self) {
        if let Some(found) = settle(self.to_origin.bytes(), self.to_client.bytes()) {
            self.settle(found);
            return;
        }
        if looks_like_http1_request(self.to_origin.bytes()) {
            self.application = Application::Http1;
        }
        if self.to_origin.is_full() && self.to_client.is_full() {
            let named = match self.application {
                Application::Unknown => Application::Other,
                known => known,
            };
            self.settle(named);
        }
    }

    fn settle(&mut self, application: Application) {
        self.application = application;
        self.settled = true;
        self.to_origin = Prefix::default();
        self.to_client = Prefix::default();
    }
}

/// The protocol, where the bytes seen so far leave no doubt.
fn settle(to_origin: &[u8], to_client: &[u8]) -> Option<Application> {
    if to_origin.starts_with(HTTP2_PREFACE) {
        return Some(Application::Http2);
    }
    if to_client.starts_with(b"* OK") || to_client.starts_with(b"* PREAUTH") {
        return Some(Application::Imap);
    }
    if to_client.starts_with(b"+OK") {
        return Some(Application::Pop3);
    }
    if looks_like_http1_request(to_origin) && to_client.starts_with(b"HTTP/1.") {
        let head = header_block(to_client)?;
        let upgraded = status_code(to_client) == Some(b"101") && names_websocket(head);
        return Some(if upgraded {
            Application::WebSocket
        } else {
            Application::Http1
        });
    }
    None
}

/// An HTTP/1.x request line begins with a token and a space: RFC 9112 section 3.
fn looks_like_http1_request(bytes: &[u8]) -> bool {
    let Some(space) = bytes.iter().position(|byte| *byte == b' ') else {
        return false;
    };
    // As long as it may become HTTP/2's preface it is nothing else.
    const PREFACE: &[u8] = b"PRI * HTTP/2";
    let begun = bytes.get(..PREFACE.len()).unwrap_or(bytes);
    let method = bytes.get(..space).unwrap_or_default();
    let target = bytes.get(space + 1);
    (1..=20).contains(&method.len())
        && method
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
        && matches!(target, Some(b'/' | b'*' | b'h' | b'H'))
        && !PREFACE.starts_with(begun)
}

/// The status line and header fields, once they are whole or the prefix is full.
fn header_block(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    match end {
        Some(end) => bytes.get(..end),
        None if bytes.len() >= IDENTIFY_BYTES_MAX => Some(bytes),
        None => None,
    }
}

fn status_code(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(9..12)
}

fn names_websocket(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        let lower = line.to_ascii_lowercase();
        lower.starts_with(b"upgrade:") && lower.windows(9).any(|window| window == b"websocket")
    })
}

/// The first bytes of one direction.
#[derive(Debug, Default)]
struct Prefix(Vec<u8>);

impl Prefix {
    fn extend(&mut self, bytes: &[u8]) {
        let room = IDENTIFY_BYTES_MAX - self.0.len();
        self.0.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn is_full(&self) -> bool {
        self.0.len() == IDENTIFY_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify(
        alpn: Option<&[u8]>,
        to_origin: &[u8],
        to_client: &[u8],
        step: usize,
    ) -> Application {
        let mut inspector = Inspector::new(alpn);
        for chunk in to_origin.chunks(step) {
            inspector.on_plaintext(Direction::ToOrigin, chunk);
        }
        for chunk in to_client.chunks(step) {
            inspector.on_plaintext(Direction::ToClient, chunk);
        }
        inspector.application()
    }

    #[test]
    fn protocols_are_named_however_the_bytes_are_cut() {
        let websocket = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";
        let cases: [(&[u8], &[u8], Application); 6] = [
            (
                b"GET / HTTP/1.1\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
                Application::Http1,
            ),
            (HTTP2_PREFACE, b"", Application::Http2),
            (
                b"GET /chat HTTP/1.1\r\n\r\n",
                websocket,
                Application::WebSocket,
            ),
            (b"a1 NOOP\r\n", b"* OK ready\r\n", Application::Imap),
            (b"USER me\r\n", b"+OK ready\r\n", Application::Pop3),
            (b"\x00\x01", b"\x02", Application::Unknown),
        ];
        for (to_origin, to_client, expected) in cases {
            for step in [1, 2, 7, 1000] {
                assert_eq!(
                    identify(None, to_origin, to_client, step),
                    expected,
                    "step {step}"
                );
            }
        }
    }

    #[test]
    fn alpn_settles_what_it_names() {
        assert_eq!(
            Inspector::new(Some(b"h2")).application(),
            Application::Http2
        );
        assert_eq!(
            Inspector::new(Some(b"acme-tls/1")).application(),
            Application::Other
        );
        let upgrade = b"HTTP/1.1 101 x\r\nupgrade: websocket\r\n\r\n";
        assert_eq!(
            identify(Some(b"http/1.1"), b"GET / HTTP/1.1\r\n\r\n", upgrade, 5),
            Application::WebSocket
        );
    }

    #[test]
    fn an_unknown_protocol_is_settled_as_other_within_the_bound() {
        let noise = [0x80; 4 * IDENTIFY_BYTES_MAX];
        let mut inspector = Inspector::new(None);
        inspector.on_plaintext(Direction::ToOrigin, &noise);
        inspector.on_plaintext(Direction::ToClient, &noise);
        assert_eq!(inspector.application(), Application::Other);
        assert!(inspector.to_origin.bytes().is_empty() && inspector.to_client.bytes().is_empty());
    }
}

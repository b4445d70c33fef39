//! A real end: the workspace's TCP opened as any TCP, and rustls on it.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::{
    ClientConfig, ClientConnection, Connection as Tls, RootCertStore, ServerConfig,
    ServerConnection,
};
use rustls_pki_types::ServerName;
use sluice_packet::{
    Frame, Instant, PathTemplate, SeqNum, TcpFlags, TestBuf, VlanStack, emit, parse,
};
use sluice_tcp::{Config, Connection, Opening, StateName};

use super::appliance::{Appliance, SetupError};
use super::craft::{Craft, SEGMENT};
use super::sink::Sink;

/// The name that clients ask for.
pub(crate) const SITE: &str = "site-a.test";

/// Plaintext is written as long as this much of a send buffer is free: a record and its surroundings.
const RECORD_ROOM_BYTES: usize = 20_000;
const CHUNK: [u8; 16_384] = [b'b'; 16_384];

/// TLS 1.3 clients and origins of one appliance.
pub(crate) struct Peers {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// One end of one connection.
pub(crate) struct End {
    tcp: Option<Connection>,
    tls: Tls,
    path: Option<PathTemplate>,
    iss: SeqNum,
    /// Plaintext that is still to be written.
    pub(crate) owed: usize,
    /// Plaintext that has come.
    pub(crate) heard: usize,
    /// Close when nothing is owed.
    pub(crate) closing: bool,
    closed: bool,
    ciphertext: Vec<u8>,
}

impl Peers {
    pub(crate) fn new(appliance: &Appliance) -> Result<Self, SetupError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for own in &appliance.trusted().chain {
            roots.add(own.clone())?;
        }
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        client.time_provider = Arc::new(Fixed);
        let site = appliance.site();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(site.chain.clone(), site.key())?;
        Ok(Self {
            client: Arc::new(client),
            server: Arc::new(server),
        })
    }

    pub(crate) fn client(&self, flow: u32, name: &str, now: Instant) -> Result<End, SetupError> {
        let (client, server) = Craft::ends(flow, 443);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| SetupError::Traffic(error.to_string()))?;
        let tls = ClientConnection::new(Arc::clone(&self.client), name)?;
        let path = PathTemplate::new(
            [2, 0, 0, 0, 0, 1],
            [2, 0, 0, 0, 0, 2],
            VlanStack::UNTAGGED,
            client,
            server,
        );
        let iss = SeqNum(flow.wrapping_mul(7_919));
        let tcp = Connection::connect(opening(iss), &config(), now);
        Ok(End::new(Some(tcp), tls.into(), Some(path), iss))
    }

    pub(crate) fn server(&self) -> Result<End, SetupError> {
        let tls = ServerConnection::new(Arc::clone(&self.server))?;
        Ok(End::new(None, tls.into(), None, SeqNum(77_000)))
    }
}

impl End {
    fn new(tcp: Option<Connection>, tls: Tls, path: Option<PathTemplate>, iss: SeqNum) -> Self {
        Self {
            tcp,
            tls,
            path,
            iss,
            owed: 0,
            heard: 0,
            closing: false,
            closed: false,
            ciphertext: Vec::new(),
        }
    }

    /// The client's first flight.
    pub(crate) fn first_flight(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A vector takes everything.
        let _written = self.tls.write_tls(&mut bytes);
        bytes
    }

    pub(crate) fn handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Both FINs have passed.
    pub(crate) fn over(&self) -> bool {
        let over =
            |tcp: &Connection| matches!(tcp.state(), StateName::Closed | StateName::TimeWait);
        self.closed && self.tcp.as_ref().is_none_or(over)
    }

    pub(crate) fn receive(&mut self, frame: &[u8], now: Instant) {
        let Frame::Tcp(tcp) = parse(SEGMENT, frame) else {
            return;
        };
        let segment = tcp.segment(frame);
        match &mut self.tcp {
            Some(connection) => connection.on_segment(now, &segment),
            None if segment.flags.contains(TcpFlags::SYN) => {
                let opening = opening(self.iss);
                self.tcp = Some(Connection::accept(&segment, opening, &config(), now));
                self.path = Some(PathTemplate::from_frame(&tcp, frame).reversed());
            }
            None => {}
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.tcp.as_ref().and_then(Connection::next_timeout)
    }

    /// Reads, writes, and puts what may go into buffers of `sink`.
    pub(crate) fn transmit(
        &mut self,
        now: Instant,
        sink: &mut Sink,
        frames: &mut Vec<TestBuf>,
    ) -> Result<(), SetupError> {
        let Some(path) = self.path else { return Ok(()) };
        if let Some(tcp) = &mut self.tcp
            && tcp.next_timeout().is_some_and(|due| due <= now)
        {
            tcp.on_timeout(now);
        }
        self.advance()?;
        let Some(tcp) = &mut self.tcp else {
            return Ok(());
        };
        while let Some(outgoing) = tcp.poll_transmit(now) {
            let mut packet = sink.buffer();
            packet.0.resize(2048, 0);
            let written = emit(&mut packet.0, &path, &outgoing.segment, outgoing.rest);
            packet.0.truncate(written.unwrap_or(0));
            frames.push(packet);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), SetupError> {
        let Some(tcp) = &mut self.tcp else {
            return Ok(());
        };
        while !tcp.received().is_empty() {
            let mut input = &tcp.received()[..];
            let before = input.len();
            let read = self.tls.read_tls(&mut input).unwrap_or(0);
            let used = before - input.len();
            tcp.consume(used);
            let mut waiting = self.tls.process_new_packets()?.plaintext_bytes_to_read();
            let mut scratch = [0; 16_384];
            while waiting > 0 {
                let got = self.tls.reader().read(&mut scratch).unwrap_or(0);
                if got == 0 {
                    break;
                }
                self.heard += got;
                waiting = waiting.saturating_sub(got);
            }
            if read == 0 {
                break;
            }
        }
        let handshaking = self.tls.is_handshaking();
        loop {
            while self.tls.wants_write() {
                // A vector takes everything.
                let _written = self.tls.write_tls(&mut self.ciphertext);
            }
            let taken = tcp.send(&self.ciphertext);
            self.ciphertext.drain(..taken);
            let room = self.ciphertext.is_empty() && tcp.send_space() > RECORD_ROOM_BYTES;
            if handshaking || self.owed == 0 || !room {
                break;
            }
            let chunk = CHUNK.get(..self.owed).unwrap_or(&CHUNK);
            self.owed -= self.tls.writer().write(chunk).unwrap_or(0);
        }
        let asked = self.closing || tcp.peer_finished();
        if asked && self.owed == 0 && !handshaking && !self.closed {
            self.closed = true;
            self.tls.send_close_notify();
            while self.tls.wants_write() {
                let _written = self.tls.write_tls(&mut self.ciphertext);
            }
            let taken = tcp.send(&self.ciphertext);
            self.ciphertext.drain(..taken);
            tcp.finish();
        }
        Ok(())
    }
}

/// Acknowledgements are delayed little, so that a connection is soon at rest.
fn config() -> Config {
    Config {
        delayed_ack: Duration::from_millis(1),
        ..Config::default()
    }
}

fn opening(iss: SeqNum) -> Opening {
    Opening {
        iss,
        path_mss: 1460,
        mss_default: 536,
        window_scale: Some(7),
        sack: true,
        timestamps: Some(5_000),
        ecn: false,
    }
}

/// The ends' clock stands where the appliance's begins.
#[derive(Debug)]
struct Fixed;

impl rustls::time_provider::TimeProvider for Fixed {
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        let now = super::appliance::at(Instant::ZERO);
        let since_epoch = Duration::from_secs(now.unix_s());
        Some(rustls_pki_types::UnixTime::since_unix_epoch(since_epoch))
    }
}

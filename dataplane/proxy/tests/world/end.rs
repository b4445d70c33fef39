//! One real end: TCP, and an application on it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use sluice_packet::{
    Encapsulation, Frame, Instant, PathTemplate, SeqNum, Side, TcpFlags, TcpSegment, VlanStack,
    emit, parse,
};
use sluice_tcp::{Config, Connection, Opening};

use super::SEGMENT;
use super::certificates::{Ca, Issued};
use super::script::written;

/// What an end says and hears.
pub enum App {
    /// A TLS client that sends `request` and finishes when `reply_bytes` have come.
    TlsClient {
        connection: Box<ClientConnection>,
        request: Vec<u8>,
        sent: usize,
        reply_bytes: usize,
        closed: bool,
    },
    /// A TLS server that answers every `request_bytes` received with `reply`.
    TlsServer {
        config: Arc<ServerConfig>,
        connection: Option<Box<ServerConnection>>,
        request_bytes: usize,
        reply: Vec<u8>,
        queued: usize,
        answered: bool,
    },
    /// Chunks written as separate segments; everything heard is kept.
    Raw { chunks: Vec<Vec<u8>>, finish: bool },
}

pub struct End {
    tcp: Option<Connection>,
    path: Option<PathTemplate>,
    pub app: App,
    /// Plaintext, or raw bytes, that this end received.
    pub heard: Vec<u8>,
    /// Why TLS failed at this end.
    pub error: Option<rustls::Error>,
    /// The server's certificate as this client saw it.
    pub peer_certificate: Option<Vec<u8>>,
    pub saw_close_notify: bool,
    iss: SeqNum,
    /// What it asks for when it opens.
    pub window_scale: u8,
    /// Whether it offers to take notice of congestion marks, or agrees to.
    pub ecn: bool,
    /// The largest segment that it takes and sends, options not counted.
    pub path_mss: u16,
    /// Bytes of TLS output per TCP segment, until the handshake is done.
    pub write_max: usize,
    /// Its TCP goes on while its application does nothing.
    pub asleep: bool,
    held_back: Vec<u8>,
}

impl App {
    pub fn client(
        root: &Ca,
        name: &str,
        alpn: &[&str],
        request: &[u8],
        reply_bytes: usize,
    ) -> Self {
        Self::client_versions(root, name, alpn, request, reply_bytes, rustls::ALL_VERSIONS)
    }

    pub fn client_versions(
        root: &Ca,
        name: &str,
        alpn: &[&str],
        request: &[u8],
        reply_bytes: usize,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root.issued.chain[0].clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.time_provider = Arc::new(FixedTime);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = Box::new(ClientConnection::new(Arc::new(config), name).unwrap());
        Self::TlsClient {
            connection,
            request: request.to_vec(),
            sent: 0,
            reply_bytes,
            closed: false,
        }
    }

    pub fn server(issued: &Issued, alpn: &[&str], request_bytes: usize, reply: &[u8]) -> Self {
        Self::server_config(
            server_config(issued, alpn, rustls::ALL_VERSIONS),
            request_bytes,
            reply,
        )
    }

    pub fn server_config(config: ServerConfig, request_bytes: usize, reply: &[u8]) -> Self {
        let config = Arc::new(config);
        Self::TlsServer {
            config,
            connection: None,
            request_bytes,
            reply: reply.to_vec(),
            queued: 0,
            answered: false,
        }
    }

    /// What a TLS client says first.
    pub fn first_flight(self) -> Vec<u8> {
        let Self::TlsClient { mut connection, .. } = self else {
            panic!("a TLS client speaks first");
        };
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).unwrap();
        bytes
    }

    pub fn raw(chunks: &[&[u8]]) -> Self {
        Self::Raw {
            chunks: chunks.iter().map(|chunk| chunk.to_vec()).rev().collect(),
            finish: false,
        }
    }
}

pub fn server_config(
    issued: &Issued,
    alpn: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(issued.chain.clone(), issued.key())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// The world's clock does not move certificates out of their validity.
#[derive(Debug)]
struct FixedTime;

impl rustls::time_provider::TimeProvider for FixedTime {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(
            std::time::Duration::from_secs(super::START_UNIX_S),
        ))
    }
}

fn opening(iss: SeqNum, (window_scale, ecn): (u8, bool), path_mss: u16) -> Opening {
    Opening {
        iss,
        path_mss,
        mss_default: 536,
        window_scale: Some(window_scale),
        sack: true,
        ecn,
        timestamps: Some(5000),
    }
}

pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const ORIGIN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

impl End {
    pub fn client(source: &str, destination: &str, app: App) -> Self {
        let mut end = Self::server(app);
        end.iss = SeqNum(0xffff_ff00);
        end.aim(source, destination);
        end.open(Instant::from_secs(1));
        end
    }

    pub fn open(&mut self, now: Instant) {
        self.tcp = Some(Connection::connect(
            opening(self.iss, (self.window_scale, self.ecn), self.path_mss),
            &Config::default(),
            now,
        ));
    }

    pub fn server(app: App) -> Self {
        Self {
            tcp: None,
            path: None,
            app,
            heard: Vec::new(),
            error: None,
            peer_certificate: None,
            saw_close_notify: false,
            iss: SeqNum(0x7fff_0000),
            window_scale: 7,
            ecn: false,
            path_mss: 1460,
            write_max: usize::MAX,
            asleep: false,
            held_back: Vec::new(),
        }
    }

    pub fn tcp(&mut self) -> Option<&mut Connection> {
        self.tcp.as_mut()
    }

    pub fn receive(&mut self, frame: &[u8], now: Instant) {
        let Frame::Tcp(tcp) = parse(SEGMENT, frame) else {
            return;
        };
        assert!(
            tcp.checksum_ok(frame),
            "the appliance writes right checksums"
        );
        let segment = tcp.segment(frame);
        match &mut self.tcp {
            Some(connection) => connection.on_segment(now, &segment),
            None if segment.flags.syn() => {
                self.tcp = Some(Connection::accept(
                    &segment,
                    opening(self.iss, (self.window_scale, self.ecn), self.path_mss),
                    &Config::default(),
                    now,
                ));
                self.path = Some(PathTemplate::from_frame(&tcp, frame).reversed());
            }
            None => {}
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.tcp.as_ref().and_then(Connection::next_timeout)
    }

    pub fn transmit(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let Some(path) = self.path else { return frames };
        if let Some(tcp) = &mut self.tcp
            && tcp.next_timeout().is_some_and(|at| at <= now)
        {
            tcp.on_timeout(now);
        }
        // Raw chunks go out one segment each.
        loop {
            let more = !self.asleep && self.advance();
            let Some(tcp) = &mut self.tcp else {
                return frames;
            };
            while let Some(outgoing) = tcp.poll_transmit(now) {
                let mut frame = vec![0; 9216];
                let len = emit(&mut frame, &path, &outgoing.segment, outgoing.rest).unwrap();
                frame.truncate(len);
                frames.push(frame);
            }
            if !more {
                return frames;
            }
        }
    }

    /// Lets the application read and write. True when it has more to write at once.
    fn advance(&mut self) -> bool {
        let Some(tcp) = &mut self.tcp else {
            return false;
        };
        match &mut self.app {
            App::Raw { chunks, finish } => {
                let got = tcp.received().to_vec();
                tcp.consume(got.len());
                self.heard.extend_from_slice(&got);
                if tcp.send_space() == 0 {
                    return false;
                }
                if let Some(chunk) = chunks.pop() {
                    tcp.send(&chunk);
                    return !chunks.is_empty();
                }
                if *finish {
                    tcp.finish();
                }
                false
            }
            App::TlsClient {
                connection,
                request,
                sent,
                reply_bytes,
                closed,
            } => {
                let finished = pump(
                    tcp,
                    connection,
                    &mut self.heard,
                    &mut self.error,
                    &mut self.saw_close_notify,
                );
                if !connection.is_handshaking() && *sent < request.len() {
                    *sent += connection.writer().write(&request[*sent..]).unwrap();
                }
                if self.peer_certificate.is_none() {
                    self.peer_certificate = connection
                        .peer_certificates()
                        .map(|chain| chain[0].to_vec());
                }
                if !*closed && !connection.is_handshaking() && self.heard.len() >= *reply_bytes {
                    connection.send_close_notify();
                    *closed = true;
                }
                flush(tcp, connection, &mut self.held_back, self.write_max);
                if !self.held_back.is_empty() && tcp.send_space() > 0 {
                    return true;
                }
                if (*closed && !connection.wants_write()) || finished {
                    tcp.finish();
                }
                false
            }
            App::TlsServer {
                config,
                connection,
                request_bytes,
                reply,
                queued,
                answered,
            } => {
                let connection = connection.get_or_insert_with(|| {
                    Box::new(ServerConnection::new(Arc::clone(config)).unwrap())
                });
                let finished = pump(
                    tcp,
                    connection,
                    &mut self.heard,
                    &mut self.error,
                    &mut self.saw_close_notify,
                );
                if self.heard.len() >= *request_bytes
                    && !connection.is_handshaking()
                    && *queued < reply.len()
                {
                    *queued += connection.writer().write(&reply[*queued..]).unwrap();
                    *answered = *queued == reply.len();
                }
                if finished {
                    connection.send_close_notify();
                }
                flush(tcp, connection, &mut self.held_back, usize::MAX);
                if finished && !connection.wants_write() {
                    tcp.finish();
                }
                false
            }
        }
    }
}

/// Reads everything there is. True when the peer has finished.
fn pump<D>(
    tcp: &mut Connection,
    tls: &mut rustls::ConnectionCommon<D>,
    heard: &mut Vec<u8>,
    error: &mut Option<rustls::Error>,
    saw_close_notify: &mut bool,
) -> bool {
    while !tcp.received().is_empty() && error.is_none() {
        let mut input = &tcp.received()[..];
        let before = input.len();
        let read = tls.read_tls(&mut input).unwrap_or(0);
        let used = before - input.len();
        tcp.consume(used);
        match tls.process_new_packets() {
            Ok(state) => {
                *saw_close_notify |= state.peer_has_closed();
                let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
                if !plaintext.is_empty() {
                    tls.reader().read_exact(&mut plaintext).unwrap();
                    heard.extend_from_slice(&plaintext);
                }
            }
            Err(wrong) => *error = Some(wrong),
        }
        if read == 0 {
            break;
        }
    }
    tcp.peer_finished() || *saw_close_notify || error.is_some()
}

fn flush<D>(
    tcp: &mut Connection,
    tls: &mut rustls::ConnectionCommon<D>,
    held_back: &mut Vec<u8>,
    write_max: usize,
) {
    while tls.wants_write() && tcp.send_space() > 20_000 {
        tls.write_tls(held_back).unwrap();
    }
    let count = held_back.len().min(write_max).min(tcp.send_space());
    let taken = tcp.send(&held_back[..count]);
    held_back.drain(..taken);
}

impl End {
    /// Sets where a client that has sent nothing yet comes from and goes to.
    pub fn aim(&mut self, source: &str, destination: &str) {
        let (source, destination): (SocketAddr, SocketAddr) =
            (source.parse().unwrap(), destination.parse().unwrap());
        self.path = Some(PathTemplate::new(
            CLIENT_MAC,
            ORIGIN_MAC,
            VlanStack::UNTAGGED,
            source,
            destination,
        ));
    }

    /// Lets what this end sends go through a tunnel.
    pub fn tunnel(&mut self, outer: Encapsulation) {
        self.path = self.path.map(|path| path.within(Some(outer)));
    }

    /// A segment that the connection itself would not send.
    pub fn stray(&self, seq: u32, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
        let path = self.path.unwrap();
        self.stray_from(&path.source().to_string(), seq, flags, payload)
    }

    pub fn stray_from(&self, source: &str, seq: u32, flags: TcpFlags, payload: &[u8]) -> Vec<u8> {
        let destination = self.path.unwrap().destination().to_string();
        let segment = TcpSegment {
            seq: SeqNum(seq),
            flags,
            window: 1000,
            payload,
            ..TcpSegment::default()
        };
        written((source, &destination), Side::A, &segment)
    }

    pub fn abort(&mut self) {
        self.tcp.as_mut().unwrap().abort();
    }
}

/// An untagged IPv4 frame with a TCP MD5 signature option (RFC 2385) put in.
pub fn with_md5_option(frame: &[u8]) -> Vec<u8> {
    let mut option = vec![19, 18];
    option.extend_from_slice(&[0x5a; 16]);
    with_options(frame, &option)
}

/// An untagged IPv4 frame with further TCP options put in front of those it has. They are padded to words.
pub fn with_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    const IP: usize = 14;
    const TCP: usize = IP + 20;
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), 1);
    let mut written = frame[..TCP + 20].to_vec();
    written.extend_from_slice(&options);
    written.extend_from_slice(&frame[TCP + 20..]);
    let length = u16::try_from(written.len() - IP).unwrap();
    written[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
    let words = u8::try_from(options.len() / 4).unwrap();
    written[TCP + 12] += words << 4;
    written[IP + 10..IP + 12].fill(0);
    let header = internet_checksum(&written[IP..TCP], 0);
    written[IP + 10..IP + 12].copy_from_slice(&header.to_be_bytes());
    written[TCP + 16..TCP + 18].fill(0);
    let pseudo = internet_sum(&written[IP + 12..TCP], 0) + 6 + u32::from(length) - 20;
    let checksum = internet_checksum(&written[TCP..], pseudo);
    written[TCP + 16..TCP + 18].copy_from_slice(&checksum.to_be_bytes());
    written
}

/// RFC 1071.
fn internet_sum(bytes: &[u8], start: u32) -> u32 {
    bytes.chunks(2).fold(start, |sum, pair| {
        sum + u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]))
    })
}

pub fn internet_checksum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = internet_sum(bytes, start);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

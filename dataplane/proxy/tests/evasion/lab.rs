//! An attacker of packets on one side, a reference receiver on the other, the appliance between.

use std::net::SocketAddrV4;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use sluice_packet::{Side, TcpFlags};
use sluice_telemetry::{Counter, DecisionCode, SessionPhase, Verdict};
use sluice_tls::{ClientHelloReader, HelloProgress};

use super::craft::Craft;
use super::defrag::Defrag;
use super::receiver::{ORIGIN_ISS, Profile, Receiver};
use super::world::{App, PROFILE, Pki, Settings, World};

/// The stream wraps inside the ClientHello.
pub const CLIENT_ISS: u32 = 0xffff_ff80;
/// The client's clock.
pub const CLIENT_TIME: u32 = 100_000;
const CLIENT: &str = "10.1.0.1:40000";

pub static PKI: LazyLock<Arc<Pki>> = LazyLock::new(|| Arc::new(Pki::new()));

/// Which proxy the flow meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A client proxy: what policy excepts by name, and what is not TLS, passes.
    Outbound,
    /// A server proxy: nothing passes uninspected.
    Inbound,
}

impl Way {
    fn server(self) -> SocketAddrV4 {
        match self {
            Self::Outbound => "10.2.0.1:443",
            Self::Inbound => "10.2.0.8:8443",
        }
        .parse()
        .unwrap()
    }
}

/// What a client may say first: a ClientHello for a name, or something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub name: Option<&'static str>,
    pub bytes: Vec<u8>,
}

/// A name that is inspected.
pub const INSPECTED: &str = "www.good.test";
/// A name that passes, and is as long.
pub const EXCEPTED: &str = "www.bank.test";

pub fn hello(name: &'static str) -> Said {
    let mut roots = RootCertStore::empty();
    roots
        .add(PKI.trusted.issued.chain[0].clone())
        .expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), server).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    Said {
        name: Some(name),
        bytes,
    }
}

/// A ClientHello that is inspected and one that is excepted, as long as each other, which contradict each other wherever 40
/// bytes of them overlap. A client shuffles its extensions, so two of them may agree for a while by chance; and of two that
/// agree where they overlap a third can be made which is neither.
pub fn contradicting_hellos() -> (Said, Said) {
    let drawn = core::iter::repeat_with(|| (hello(INSPECTED), hello(EXCEPTED)));
    let contradicts = |(good, bank): &(Said, Said)| {
        assert_eq!(good.bytes.len(), bank.bytes.len());
        let mut both = good.bytes.chunks(40).zip(bank.bytes.chunks(40));
        both.by_ref().take(3).all(|(good, bank)| good != bank)
    };
    drawn.take(1_000).find(contradicts).unwrap()
}

/// As many bytes that are not TLS.
pub fn cleartext(len: usize) -> Said {
    let mut bytes = b"GET / HTTP/1.1\r\nHost: www.good.test\r\n".to_vec();
    bytes.resize(len, b'x');
    Said { name: None, bytes }
}

/// How a flow stands after an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Undecided,
    Inspected,
    /// Passed for what it says.
    Bypassed(DecisionCode),
    /// Passed unread, because its handshake could not be taken over.
    Unseen(DecisionCode),
    Blocked(DecisionCode),
}

impl Outcome {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Inspected => "inspected",
            Self::Bypassed(code) | Self::Unseen(code) | Self::Blocked(code) => code.name(),
        }
    }
}

pub struct Run {
    pub world: World,
    pub receiver: Receiver,
    defrag: Defrag,
    pub client: SocketAddrV4,
    pub server: SocketAddrV4,
    /// What the appliance or the receiver sent to the client.
    pub to_client: Vec<Craft>,
    /// The server is played by [`Run::answer`].
    pub mute: bool,
    /// Every frame that left toward the origin.
    pub to_origin: Vec<Vec<u8>>,
}

impl Run {
    pub fn new(way: Way, profile: Profile) -> Self {
        Self::with(way, profile, &Settings::default())
    }

    pub fn with(way: Way, profile: Profile, settings: &Settings) -> Self {
        let nobody = || App::raw(&[]);
        Self {
            world: World::with(settings, &PKI, nobody(), nobody()),
            receiver: Receiver::new(profile),
            defrag: Defrag::default(),
            client: CLIENT.parse().unwrap(),
            server: way.server(),
            to_client: Vec::new(),
            mute: false,
            to_origin: Vec::new(),
        }
    }

    /// With a handshake behind it.
    pub fn connected(way: Way, profile: Profile) -> Self {
        let mut run = Self::new(way, profile);
        run.connect();
        run
    }

    pub fn connect(&mut self) {
        self.send(&self.syn());
        self.send(&self.ack());
    }

    pub fn syn(&self) -> Craft {
        let mut syn = Craft::new(self.client, self.server);
        syn.seq = CLIENT_ISS;
        syn.flags = TcpFlags::SYN;
        syn.options = vec![2, 4, 5, 0xb4, 4, 2, 8, 10];
        syn.options.extend_from_slice(&CLIENT_TIME.to_be_bytes());
        syn.options.extend_from_slice(&[0; 4]);
        syn
    }

    pub fn ack(&self) -> Craft {
        let mut ack = Craft::new(self.client, self.server);
        ack.seq = CLIENT_ISS.wrapping_add(1);
        ack.ack = ORIGIN_ISS + 1;
        ack.options = vec![1, 1, 8, 10];
        ack.options
            .extend_from_slice(&(CLIENT_TIME + 10).to_be_bytes());
        ack.options.extend_from_slice(&900_000_u32.to_be_bytes());
        ack
    }

    /// The stream's first bytes, as one segment of whatever size.
    pub fn data(&self, bytes: &[u8]) -> Craft {
        let mut data = self.ack().saying(bytes);
        data.flags = TcpFlags::ACK | TcpFlags::PSH;
        data
    }

    pub fn send(&mut self, segment: &Craft) {
        self.inject(segment.frame());
    }

    pub fn send_all(&mut self, segments: &[Craft]) {
        for segment in segments {
            self.send(segment);
        }
    }

    /// A segment of a server that writes its own.
    pub fn answer(&mut self, segment: &Craft) {
        self.world.inject(Side::B, segment.frame());
        self.settle();
    }

    pub fn inject(&mut self, frame: Vec<u8>) {
        self.world.inject(Side::A, frame);
        self.settle();
    }

    /// Time in which nobody sends anything new.
    pub fn wait(&mut self, time: Duration) {
        const TICK: Duration = Duration::from_millis(50);
        for _ in 0..time.as_millis() / TICK.as_millis() {
            self.world.pass(TICK);
            self.settle();
        }
    }

    fn settle(&mut self) {
        for _ in 0..64 {
            let (forged, leaving) = self.world.step();
            if !forged && leaving.is_empty() {
                return;
            }
            for (side, frame) in leaving {
                if side == Side::A {
                    self.to_client.extend(Craft::read(&frame));
                    continue;
                }
                let whole = self.defrag.on_frame(&frame, &self.receiver.profile);
                let answer = whole.and_then(|whole| self.receiver.on_frame(&whole));
                self.to_origin.push(frame);
                if let Some(answer) = answer
                    && !self.mute
                {
                    self.world.inject(Side::B, answer.frame());
                }
            }
        }
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.world.count(counter)
    }

    /// What became of the flow, and whether the receiver's application was given what inspection saw: `said` is everything
    /// that the client said anywhere.
    ///
    /// # Errors
    /// Says what was delivered that inspection did not see.
    pub fn judge(&self, said: &[&Said]) -> Result<Outcome, String> {
        let delivered = &self.receiver.delivered;
        let events = &self.world.out.events;
        let codes: Vec<_> = events.iter().map(|event| event.code).collect();
        let blocked = codes
            .iter()
            .copied()
            .find(|code| code.verdict() == Verdict::Block);
        let now = self.world.now().mono;
        let session = self.world.worker.sessions(8, now).into_iter().find(|flow| {
            !matches!(
                flow.phase,
                SessionPhase::Observed | SessionPhase::Held | SessionPhase::Blocked
            )
        });
        let logged = events.iter().map(|event| (event.code, event.sni.clone()));
        // Taken over to collect a ClientHello and spliced since: logged when it ends.
        let spliced = session
            .iter()
            .filter_map(|flow| Some((flow.code?, flow.sni.clone())));
        let mut decided = logged.chain(spliced);
        if let Some((code, name)) = decided.find(|(code, _)| code.verdict() == Verdict::Bypass) {
            return match code {
                DecisionCode::BypassIrregularHandshake | DecisionCode::BypassTcpSignature => {
                    Ok(Outcome::Unseen(code))
                }
                _ => passed_as_read(delivered, code, name.as_deref(), said)
                    .map(|()| blocked.map_or(Outcome::Bypassed(code), Outcome::Blocked)),
            };
        }
        // Not even where no receiver takes it; but what is on a source route is bound for somebody else.
        let left: Vec<_> = self
            .to_origin
            .iter()
            .filter_map(|frame| Craft::read(frame))
            .filter(|segment| !segment.ip_options.starts_with(&[131, 7, 4]))
            .collect();
        let leaks = |said: &&Said| {
            let random = said.bytes.get(11..43).unwrap_or(&said.bytes);
            let found = |window: &[u8]| window == random;
            left.iter()
                .any(|segment| segment.payload.windows(random.len()).any(found))
        };
        if said.iter().any(leaks) {
            return Err(format!("{codes:?}, and the client's own bytes came out"));
        }
        let mut reader = ClientHelloReader::new();
        let reached = match reader.feed(delivered) {
            HelloProgress::Complete(hello) => hello.sni,
            HelloProgress::NeedMore => None,
            other => return Err(format!("{codes:?}, {other:?} was delivered")),
        };
        if let Some(session) = session
            && session.sni.is_some()
        {
            if reached.is_some() && reached != session.sni {
                return Err(format!("{:?} was read, {reached:?} delivered", session.sni));
            }
            return Ok(blocked.map_or(Outcome::Inspected, Outcome::Blocked));
        }
        if !delivered.is_empty() {
            return Err(format!("{codes:?}, and {} bytes", delivered.len()));
        }
        Ok(blocked.map_or(Outcome::Undecided, Outcome::Blocked))
    }
}

/// What passed for what it says has to be what said it.
fn passed_as_read(
    delivered: &[u8],
    code: DecisionCode,
    name: Option<&str>,
    said: &[&Said],
) -> Result<(), String> {
    if code == DecisionCode::BypassNotTls {
        // The first byte decides; what follows is nobody's business as long as that is what was delivered.
        return match ClientHelloReader::new().feed(delivered) {
            HelloProgress::NotTls => Ok(()),
            _ if delivered.is_empty() => Ok(()),
            HelloProgress::Complete(hello) => {
                Err(format!("{code}, and {:?} was delivered", hello.sni))
            }
            reading => Err(format!("{code}, and {reading:?} was delivered")),
        };
    }
    let seen = said
        .iter()
        .find(|said| said.name == name)
        .ok_or_else(|| format!("policy read {name:?}"))?;
    let len = delivered.len().min(seen.bytes.len());
    if delivered[..len] == seen.bytes[..len] {
        Ok(())
    } else {
        Err(format!("{code}, and something else was delivered"))
    }
}

/// Settings under which a flow that cannot be looked into does not pass.
pub fn strict() -> Settings {
    const PROXY: &str = "name = \"web\"\n";
    assert!(PROFILE.contains(PROXY));
    let strict = format!("{PROXY}irregular_handshake = \"block\"\n");
    Settings {
        profile: PROFILE.replacen(PROXY, &strict, 1),
        ..Settings::default()
    }
}

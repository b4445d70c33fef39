//! A TCP that shares no code with the engine: smoltcp's sockets.

use core::time::Duration;
use std::collections::VecDeque;

use sluice_packet::{Instant, PathTemplate};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::application::Application;
use crate::endpoint::Endpoint;

/// A smoltcp interface with one socket.
pub struct Independent {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    wire: Wire,
    path: PathTemplate,
    application: Application,
    finished: bool,
    was_open: bool,
}

impl Independent {
    /// A socket that sends along `path`; it opens the connection if `opens`, else waits for it. `buffer_bytes` each way.
    #[must_use]
    pub fn new(
        opens: bool,
        buffer_bytes: usize,
        mtu: usize,
        path: PathTemplate,
        application: Application,
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut wire = Wire {
            received: VecDeque::new(),
            sent: VecDeque::new(),
            mtu,
        };
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(own_mac(&path))));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, clock(now));
        interface.update_ip_addrs(|addresses| {
            // One address of a table that has room for it.
            let _ = addresses.push(IpCidr::new(IpAddress::from(path.source().ip()), 24));
        });
        let buffer = || SocketBuffer::new(vec![0; buffer_bytes]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::new());
        let (source, destination) = (path.source(), path.destination());
        if opens {
            let refused = socket
                .connect(interface.context(), destination, source.port())
                .is_err();
            debug_assert!(!refused, "a fresh socket connects");
        } else {
            let refused = socket.listen(source.port()).is_err();
            debug_assert!(!refused, "a fresh socket listens");
        }
        let handle = sockets.add(socket);
        Self {
            interface,
            sockets,
            handle,
            wire,
            path,
            application,
            finished: false,
            was_open: false,
        }
    }

    /// The socket's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.sockets.get::<Socket<'_>>(self.handle).state()
    }

    fn run_application(&mut self, now: Instant) {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        while socket.can_recv() {
            let application = &mut self.application;
            let count = socket
                .recv(|bytes| {
                    let count = application.read(now, bytes);
                    (count, count)
                })
                .unwrap_or(0);
            if count == 0 {
                break;
            }
        }
        self.was_open |= socket.may_send();
        let peer_finished = self.was_open && !socket.may_recv();
        // The socket drops what is unread when its TIME-WAIT ends: a slow reader closes only after its last byte.
        let read_enough = !self.application.reads_slowly() || self.application.received_all();
        let mut finishes = self.was_open
            && read_enough
            && !self.finished
            && self.application.wants_to_finish(peer_finished);
        while socket.can_send() && !self.application.rests(now) {
            let space = socket.send_capacity() - socket.send_queue();
            let piece = self.application.produce(now, space);
            let taken = socket.send_slice(&piece).unwrap_or(0);
            self.application.give_back(piece.len() - taken);
            if taken == 0 {
                break;
            }
        }
        finishes |= self.was_open
            && read_enough
            && !self.finished
            && self.application.wants_to_finish(peer_finished);
        if finishes {
            socket.close();
            self.finished = true;
        }
    }
}

impl Endpoint for Independent {
    fn on_frame(&mut self, _now: Instant, frame: &[u8]) {
        self.wire.received.push_back(frame.to_vec());
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Vec<u8>)) {
        for _ in 0..2 {
            self.interface
                .poll(clock(now), &mut self.wire, &mut self.sockets);
            self.run_application(now);
            self.interface
                .poll(clock(now), &mut self.wire, &mut self.sockets);
            while let Some(frame) = self.wire.sent.pop_front() {
                match answer_to_arp(&frame, peer_mac(&self.path)) {
                    Some(answer) => self.wire.received.push_back(answer),
                    None => send(frame),
                }
            }
        }
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        let interface = self.interface.poll_at(clock(now), &self.sockets).map(|at| {
            let at = Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0));
            // "At once" right after it ran means that it waits for something else.
            if at <= now {
                now + Duration::from_millis(1)
            } else {
                at
            }
        });
        interface
            .into_iter()
            .chain(self.application.wakes_at(now))
            .min()
    }

    fn is_done(&self) -> bool {
        self.was_open && matches!(self.state(), State::Closed | State::TimeWait)
    }

    fn is_broken(&self) -> bool {
        self.is_done() && !self.finished
    }

    fn application(&self) -> &Application {
        &self.application
    }

    fn describe(&self) -> String {
        format!(
            "independent: {:?}, received {}",
            self.state(),
            self.application.received()
        )
    }
}

/// Frames that the interface may send in one turn.
const FRAMES_PER_TURN_MAX: usize = 20_000;

/// The queues between the interface and the network.
struct Wire {
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    mtu: usize,
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _timestamp: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _timestamp: smoltcp::time::Instant) -> Option<Sending<'_>> {
        // More in one turn than any window admits: the network's flood check then says so.
        (self.sent.len() < FRAMES_PER_TURN_MAX).then_some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Sending<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.push_back(frame);
        result
    }
}

fn clock(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.micros()).unwrap_or(i64::MAX))
}

fn own_mac(path: &PathTemplate) -> [u8; 6] {
    mac(path, 6)
}

fn peer_mac(path: &PathTemplate) -> [u8; 6] {
    mac(path, 0)
}

fn mac(path: &PathTemplate, offset: usize) -> [u8; 6] {
    let header = path.link().header();
    header
        .get(offset..offset + 6)
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default()
}

/// The answer to an ARP request for the peer: the network itself knows only TCP.
fn answer_to_arp(frame: &[u8], peer: [u8; 6]) -> Option<Vec<u8>> {
    let (asker, sender_ip, target_ip) =
        (frame.get(22..28)?, frame.get(28..32)?, frame.get(38..42)?);
    if frame.get(12..14)? != [0x08, 0x06] || frame.get(20..22)? != [0, 1] {
        return None;
    }
    let head = frame.get(12..20)?;
    Some(
        [
            asker,
            &peer,
            head,
            &[0, 2],
            &peer,
            target_ip,
            asker,
            sender_ip,
        ]
        .concat(),
    )
}

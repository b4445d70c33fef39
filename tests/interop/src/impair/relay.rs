//! Frames between two descriptors, each read and write being one frame: a tap, a packet socket, a datagram socket.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};

use super::fate::Direction;
use super::line::{Counts, Line};
use super::spec::Impairments;
use crate::limits::{FRAME_BYTES_MAX, FRAMES_AT_ONCE_MAX, RELAY_LOOK};

/// The two ends of the link.
#[derive(Debug)]
pub struct Ports<A, B> {
    /// The near end; its frames go [`Direction::Out`].
    pub near: A,
    /// The far end.
    pub far: B,
    /// The only station behind the near end: frames from the far end to another one are none of this link's.
    pub station: Option<[u8; 6]>,
}

/// Relays until `ended` is set; returns what became of the frames, out and back. Both descriptors are non-blocking.
///
/// # Errors
/// When a descriptor cannot be read any more. A frame that a port does not take is counted.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the relay's own loop, which reads the clock"
)]
pub fn relay<A: AsFd, B: AsFd>(
    ports: &Ports<A, B>,
    link: Impairments,
    seed: u64,
    ended: &AtomicBool,
) -> io::Result<(Counts, Counts)> {
    let start = Instant::now();
    let mut out = Line::new(link, seed, Direction::Out);
    let mut back = Line::new(link, seed, Direction::Back);
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    while !ended.load(Ordering::Relaxed) {
        let now = start.elapsed();
        let due = [&out, &back].into_iter().filter_map(Line::next_due).min();
        let wait = due.map_or(RELAY_LOOK, |due| due.saturating_sub(now).min(RELAY_LOOK));
        wait_for_frames(ports, wait)?;
        take(&ports.near, &mut out, None, &mut buffer, || start.elapsed())?;
        take(&ports.far, &mut back, ports.station, &mut buffer, || {
            start.elapsed()
        })?;
        give(&ports.far, &mut out, start.elapsed());
        give(&ports.near, &mut back, start.elapsed());
    }
    Ok((out.counts, back.counts))
}

fn wait_for_frames<A: AsFd, B: AsFd>(ports: &Ports<A, B>, wait: Duration) -> io::Result<()> {
    let mut ready = [
        PollFd::new(&ports.near, PollFlags::IN),
        PollFd::new(&ports.far, PollFlags::IN),
    ];
    let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
    match poll(&mut ready, Some(&wait)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what has come, a bounded number of frames.
fn take(
    port: impl AsFd,
    line: &mut Line,
    station: Option<[u8; 6]>,
    buffer: &mut [u8],
    now: impl Fn() -> Duration,
) -> io::Result<()> {
    for _ in 0..FRAMES_AT_ONCE_MAX {
        match read(&port, &mut *buffer) {
            Ok(length) => {
                let frame = buffer.get(..length).unwrap_or_default();
                if concerns(frame, station) {
                    line.push(now(), frame);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => break,
            // A link that is down for a while tells so once.
            Err(Errno::NETDOWN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes what is due.
fn give(port: impl AsFd, line: &mut Line, now: Duration) {
    while let Some(frame) = line.pop(now) {
        match write(&port, &frame) {
            Ok(_) => line.counts.went += 1,
            Err(_) => line.counts.refused += 1,
        }
    }
}

/// Whether a frame is for the station, or for many.
fn concerns(frame: &[u8], station: Option<[u8; 6]>) -> bool {
    let Some(station) = station else {
        return true;
    };
    match frame.get(..6) {
        Some(to) => to == station || to.first().is_some_and(|byte| byte & 1 == 1),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn p99_the_relay_carries_frames_both_ways_until_it_is_ended() {
        let (client, near) = UnixDatagram::pair().unwrap();
        let (origin, far) = UnixDatagram::pair().unwrap();
        for socket in [&near, &far] {
            socket.set_nonblocking(true).unwrap();
        }
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let station = [2, 0, 0, 0, 0, 1];
        let relaying = thread::spawn(move || {
            let ports = Ports {
                near,
                far,
                station: Some(station),
            };
            relay(&ports, "loss=50%,delay=1ms".parse().unwrap(), 3, &stop)
        });
        let frame = |to: [u8; 6], body: u8| [&to[..], &[body; 54]].concat();
        for number in 0..50 {
            client.send(&frame([2, 0, 0, 0, 0, 2], number)).unwrap();
            origin.send(&frame(station, number)).unwrap();
            // Somebody else's.
            origin.send(&frame([2, 0, 0, 0, 0, 3], number)).unwrap();
        }
        let received = |socket: &UnixDatagram| {
            let patience = Some(Duration::from_millis(300));
            socket.set_read_timeout(patience).unwrap();
            let mut buffer = [0; 100];
            let mut frames = 0;
            while socket.recv(&mut buffer).is_ok() {
                frames += 1;
            }
            frames
        };
        let (there, here) = (received(&origin), received(&client));
        ended.store(true, Ordering::Relaxed);
        let (out, back) = relaying.join().unwrap().unwrap();
        assert_eq!((out.came, back.came), (50, 50));
        assert_eq!((out.went, back.went), (there, here));
        assert!((10..40).contains(&there) && (10..40).contains(&here));
    }
}

//! The send sequence space and the bytes that wait for their acknowledgement.

use sluice_packet::limits::DEFAULT_MSS_IPV4_BYTES;
use sluice_packet::{Instant, SeqNum, TcpSegment};

use crate::buffer::Buffer;
use crate::config::Config;
use crate::limits;
use crate::sequence::{ahead, length, size};

#[derive(Debug)]
#[repr(C)]
pub(crate) struct SendSpace {
    /// SND.UNA.
    una: SeqNum,
    /// SND.NXT.
    next: SeqNum,
    /// One past the highest number ever sent; beyond `next` only by a zero-window probe.
    max: SeqNum,
    /// SND.WND, in bytes.
    window: u32,
    /// Largest window the peer ever offered.
    window_max: u32,
    wl1: SeqNum,
    wl2: SeqNum,
    /// Sequence number of the buffer's first byte.
    base: SeqNum,
    buffer: Buffer,
    last_sent_at: Instant,
    buffer_bytes_max: u32,
    /// Text that was queued when the connection ended.
    lost: u32,
    peer_mss: u16,
    path_mss: u16,
    path_mss_min: u16,
    option_bytes: u16,
    scale: u8,
    syn_due: bool,
    finished: bool,
    /// Text may be sent: both ends are synchronised.
    open: bool,
    /// Nothing was sent since everything that was sent was settled.
    all_settled: bool,
}

impl SendSpace {
    /// Before our SYN went out.
    pub(crate) fn unopened(iss: SeqNum, path_mss: u16, config: &Config, now: Instant) -> Self {
        Self {
            una: iss,
            next: iss,
            max: iss,
            window: 0,
            window_max: 0,
            wl1: SeqNum(0),
            wl2: iss,
            scale: 0,
            peer_mss: DEFAULT_MSS_IPV4_BYTES,
            path_mss,
            path_mss_min: limits::PATH_MSS_IPV4_BYTES_MIN,
            option_bytes: 0,
            buffer: Buffer::default(),
            buffer_bytes_max: length(config.send_buffer_bytes_max),
            lost: 0,
            base: iss + 1,
            syn_due: true,
            finished: false,
            open: false,
            all_settled: false,
            last_sent_at: now,
        }
    }

    /// After a SYN was sent and acknowledged, by whoever opened the connection.
    pub(crate) fn opened(
        next: SeqNum,
        window: u32,
        wl1: SeqNum,
        path_mss: u16,
        config: &Config,
        now: Instant,
    ) -> Self {
        Self {
            una: next,
            next,
            max: next,
            window,
            window_max: window,
            wl1,
            wl2: next,
            base: next,
            syn_due: false,
            open: true,
            ..Self::unopened(next, path_mss, config, now)
        }
    }

    pub(crate) fn set_peer(&mut self, peer_mss: u16, scale: u8, timestamps: bool) {
        self.peer_mss = peer_mss;
        self.scale = scale.min(limits::WINDOW_SHIFT_MAX);
        self.option_bytes = if timestamps {
            limits::TIMESTAMPS_OPTION_BYTES
        } else {
            0
        };
    }

    pub(crate) fn set_path_mss(&mut self, path_mss: u16) {
        self.path_mss = path_mss;
    }

    pub(crate) fn path_mss(&self) -> u16 {
        self.path_mss
    }

    /// Below this the path's MSS never gets.
    pub(crate) fn set_path_mss_min(&mut self, path_mss_min: u16) {
        self.path_mss_min = path_mss_min;
    }

    pub(crate) fn path_mss_min(&self) -> u16 {
        self.path_mss_min
    }

    /// Bytes of options in every segment.
    pub(crate) fn option_bytes(&self) -> u32 {
        u32::from(self.option_bytes)
    }

    pub(crate) fn una(&self) -> SeqNum {
        self.una
    }

    pub(crate) fn next(&self) -> SeqNum {
        self.next
    }

    pub(crate) fn max(&self) -> SeqNum {
        self.max
    }

    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Everything that was sent is acknowledged, and nothing is left of how it went.
    pub(crate) fn is_settled(&self) -> bool {
        self.all_settled
    }

    /// Whether everything that was sent is settled, until something is sent again.
    pub(crate) fn settle(&mut self, settled: bool) {
        self.all_settled = settled;
    }

    /// Everything that was sent is acknowledged, but for a probe beyond SND.NXT.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.una == self.next
    }

    pub(crate) fn syn_due(&self) -> bool {
        self.syn_due
    }

    pub(crate) fn last_sent_at(&self) -> Instant {
        self.last_sent_at
    }

    /// The oldest acknowledgement that is not absurd (RFC 5961 section 5.2).
    pub(crate) fn oldest_ack(&self) -> SeqNum {
        self.una - self.window_max
    }

    /// Payload of a full-sized segment, before a SACK option.
    pub(crate) fn mss(&self) -> u32 {
        self.mss_on(self.path_mss)
    }

    /// The same on a path of another size.
    pub(crate) fn mss_on(&self, path_mss: u16) -> u32 {
        //= https://www.rfc-editor.org/rfc/rfc6691#section-2
        //# When calculating the value to put in the TCP MSS option, the MTU value SHOULD be decreased by only the size of the
        //# fixed IP and TCP headers
        // So whoever sends options makes room for them in its own segments.
        let mss = self.peer_mss.min(path_mss).max(limits::MSS_BYTES_MIN);
        u32::from(mss - self.option_bytes)
    }

    /// Text queued and never sent.
    pub(crate) fn unsent(&self) -> u32 {
        ahead(self.next, self.end_of_text())
    }

    /// The FIN has its turn once the text before it is sent.
    pub(crate) fn fin_due(&self) -> bool {
        self.finished && self.next.le(self.end_of_text())
    }

    /// Room in the peer's window beyond what was sent.
    pub(crate) fn room(&self) -> u32 {
        ahead(self.next, self.una + self.window)
    }

    /// Whether a window-limited segment of `count` bytes is worth sending.
    pub(crate) fn worthwhile(&self, count: u32, full: u32) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1
        //# (1) if a maximum-sized segment can be sent, i.e., if: min(D,U) >= Eff.snd.MSS;
        //# (2) or if the data is pushed and all queued data can be sent now, i.e., if: [SND.NXT = SND.UNA and] PUSHed and
        //# D <= U (the bracketed condition is imposed by the Nagle algorithm);
        //# (3) or if at least a fraction Fs of the maximum window can be sent, i.e., if: [SND.NXT = SND.UNA and]
        //# min(D,U) >= Fs * Max(SND.WND);
        count >= full || count >= self.unsent() || count >= (self.window_max / 2).max(1)
    }

    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    pub(crate) fn fin_acknowledged(&self) -> bool {
        self.finished && self.una.gt(self.end_of_text())
    }

    pub(crate) fn text_acknowledged(&self) -> bool {
        self.una.ge(self.end_of_text())
    }

    pub(crate) fn all_acknowledged(&self) -> bool {
        self.buffer.is_empty() && (!self.finished || self.fin_acknowledged())
    }

    pub(crate) fn space(&self) -> usize {
        if self.finished {
            0
        } else {
            size(self.buffer_bytes_max).saturating_sub(self.buffer.len())
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.space());
        self.buffer.push(bytes.get(..count).unwrap_or(&[]));
        count
    }

    pub(crate) fn reserve(&mut self, count: usize) -> Option<&mut [u8]> {
        (count <= self.space()).then(|| self.buffer.spare_mut(count))
    }

    pub(crate) fn commit(&mut self, count: usize) {
        let count = count.min(self.space());
        self.buffer.commit(count);
    }

    /// `count` queued bytes from sequence number `seq` on.
    pub(crate) fn text(&self, seq: SeqNum, count: u32) -> &[u8] {
        self.buffer.range(size(ahead(self.base, seq)), size(count))
    }

    /// Our SYN went out.
    pub(crate) fn syn_sent(&mut self, now: Instant) {
        self.syn_due = false;
        self.sent(1, now);
    }

    /// `count` sequence numbers went out for the first time.
    pub(crate) fn sent(&mut self, count: u32, now: Instant) {
        self.all_settled = false;
        self.next += count;
        self.max = self.max.max(self.next);
        self.last_sent_at = now;
    }

    /// A probe of one sequence number went out beyond the peer's window.
    pub(crate) fn probed(&mut self, now: Instant) {
        self.all_settled = false;
        self.max = self.max.max(self.next + 1);
        self.last_sent_at = now;
    }

    /// Both ends are synchronised.
    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// Takes an acknowledgement beyond SND.UNA.
    pub(crate) fn advance(&mut self, ack: SeqNum) {
        self.una = ack;
        self.next = self.next.max(ack);
        let text = ahead(self.base, ack.min(self.end_of_text()));
        self.buffer.consume(size(text));
        self.base += text;
    }

    /// Takes the window of the peer's SYN.
    pub(crate) fn start_window(&mut self, syn: &TcpSegment<'_>) {
        self.window = u32::from(syn.window);
        self.window_max = self.window;
        self.wl1 = syn.seq;
        self.wl2 = self.una;
    }

    /// Takes the window of an acceptable segment. True when it changed.
    pub(crate) fn update_window(&mut self, segment: &TcpSegment<'_>) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND, set SND.WL1 <-
        //# SEG.SEQ, and set SND.WL2 <- SEG.ACK.
        let newer =
            self.wl1.lt(segment.seq) || (self.wl1 == segment.seq && self.wl2.le(segment.ack));
        // What acknowledges more than anything before was sent after it, even if it carries old text once more: the window
        // before it, counted from the new SND.UNA, would reach further than the peer ever offered.
        let newer = newer || self.wl2.lt(segment.ack);
        if !newer || segment.ack.lt(self.una) {
            return false;
        }
        let shift = if segment.flags.syn() { 0 } else { self.scale };
        let window = u32::from(segment.window) << shift;
        let changed = window != self.window;
        self.window = window;
        self.window_max = self.window_max.max(window);
        self.wl1 = self.wl1.max(segment.seq);
        self.wl2 = segment.ack;
        changed
    }

    /// The field that says `window` bytes, or a few less, in a segment without SYN.
    pub(crate) fn field_of(&self, window: u16) -> u16 {
        window >> self.scale
    }

    /// Whether the peer's window is the one that this field of a segment says.
    pub(crate) fn offers(&self, field: u16) -> bool {
        u32::from(field) << self.scale == self.window
    }

    /// Takes the number of a segment that repeats the window of the one before it.
    pub(crate) fn repeat_window(&mut self, segment: &TcpSegment<'_>) {
        if self.wl1.lt(segment.seq) {
            self.wl1 = segment.seq;
            self.wl2 = segment.ack;
        }
    }

    /// Text queued and not acknowledged, or that was when the connection ended.
    pub(crate) fn unacknowledged(&self) -> u32 {
        self.lost + length(self.buffer.len())
    }

    /// Forgets what is queued: the connection is over.
    pub(crate) fn clear(&mut self) {
        self.lost += length(self.buffer.len());
        self.buffer = Buffer::default();
        self.open = false;
        self.syn_due = false;
        self.base = self.next;
    }

    pub(crate) fn release(&mut self) {
        self.buffer.release();
    }

    pub(crate) fn allocated(&self) -> usize {
        self.buffer.allocated()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    fn end_of_text(&self) -> SeqNum {
        self.base + length(self.buffer.len())
    }
}

//! A flow that was taken over to collect its ClientHello and then decided to be bypassed: its bytes pass unread.

use super::half::Half;

/// How far each direction has come.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    to_origin_finished: bool,
    to_client_finished: bool,
}

impl Splice {
    /// Moves whatever can move, both ways. Returns how many bytes went to the origin and to the client.
    pub(crate) fn pump(&mut self, client: &mut Half, origin: &mut Half) -> [u64; 2] {
        [
            pass(client, origin, &mut self.to_origin_finished),
            pass(origin, client, &mut self.to_client_finished),
        ]
    }

    pub(crate) fn finished(&self) -> bool {
        self.to_origin_finished && self.to_client_finished
    }
}

fn pass(from: &mut Half, to: &mut Half, finished: &mut bool) -> u64 {
    let taken = to.tcp.send(from.tcp.received());
    from.tcp.consume(taken);
    if !*finished && from.drained() {
        to.tcp.finish();
        *finished = true;
    }
    taken as u64
}

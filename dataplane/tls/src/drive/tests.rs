//! Both handshakes: against each other, against plain rustls, cut to pieces, and failing.

mod agreed;
mod certificates;
mod failing;
mod mutated;
mod openssl;
mod peers;
mod pieces;

const HOST: &str = "site.example";

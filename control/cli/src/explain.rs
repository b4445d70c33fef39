//! explain.

use core::net::IpAddr;

use sluice_api::{Explain, Explained, Reply, Request};

use crate::outcome::{Failure, Outcome};
use crate::table::clean;
use crate::{Ask, args};

pub(crate) fn explain(args: args::Explain, ask: &Ask) -> Result<Outcome, Failure> {
    // An address is no server name: a client that connects to one asks for none.
    let address: Option<IpAddr> = args.host.parse().ok();
    let request = Explain {
        host: address.is_none().then_some(args.host),
        client: args.client,
        server: args.server.or(address),
        port: args.port,
        segment: args.segment,
        vlan: args.vlan,
    };
    let Reply::Explained(explained) = ask.call(&Request::Explain(request))? else {
        return Err(Failure::unexpected());
    };
    Outcome::of(steps(&explained), &explained)
}

fn steps(explained: &Explained) -> String {
    let mut text: String = explained
        .steps
        .iter()
        .enumerate()
        .map(|(at, step)| format!("{}. {}\n", at + 1, clean(&step.text)))
        .collect();
    text.push_str(&match (explained.verdict, explained.code) {
        (Some(verdict), Some(code)) => format!("=> {verdict}: {code} ({})", code.number()),
        _ => "=> forwarded at layer 2, not tracked".to_owned(),
    });
    text.push_str(&format!(", under generation {}\n", explained.generation));
    text
}

//! The appliance between real clients and real servers. One test holds the lab at a time.

#[cfg(test)]
mod back_pressure;
#[cfg(test)]
mod blocked;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod bypassed;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod commanded;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod fallback;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod fragments;
#[cfg(test)]
mod hello;
#[cfg(test)]
mod impaired;
#[cfg(test)]
mod layer2;
#[cfg(test)]
mod leaf;
#[cfg(test)]
mod links;
#[cfg(test)]
mod load;
#[cfg(test)]
mod mtu;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tunnels;

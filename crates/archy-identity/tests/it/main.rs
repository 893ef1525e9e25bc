//! Linked signers end to end: a real relay over WebSockets on loopback, and a signer of another
//! implementation behind it.

#[cfg(test)]
mod bunker;
#[cfg(test)]
mod links;
#[cfg(test)]
mod pairing;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod relays;
#[cfg(test)]
mod stand;

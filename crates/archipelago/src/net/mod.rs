//! Listeners: unix socket, HTTPS, plain HTTP; certificates; limits.

pub mod activation;
pub mod authority;
pub mod certs;
pub mod mdns;
mod peer;
pub mod redirect;
pub mod serve;
pub mod trust;
pub mod unix;

use std::net::IpAddr;

pub use peer::Peer;

/// The host's name as it is now; it may change while the daemon runs.
#[must_use]
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}

/// Every address of this host's interfaces.
#[must_use]
pub fn addresses() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    interfaces.filter_map(address).collect()
}

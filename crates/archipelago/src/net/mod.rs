//! Listeners: unix socket, HTTPS, plain HTTP; certificates; limits.

pub mod activation;
pub mod certs;
mod peer;
pub mod redirect;
pub mod serve;
pub mod unix;

use std::net::IpAddr;

pub use peer::Peer;

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

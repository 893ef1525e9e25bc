//! Networks and published ports of a container.

use std::net::{IpAddr, Ipv4Addr};

use archy_manifest::model::{NetworkMode, Port, PortAuth, Protocol, Service};
use archy_manifest::names;
use archy_types::ServiceName;

use super::value;
use crate::error::RenderError;
use crate::escape::Value;
use crate::input::RenderInput;

/// True when the service is on the app's own network.
pub(super) fn on_app_network(input: &RenderInput<'_>, service: &Service) -> bool {
    match service.network {
        NetworkMode::App => true,
        NetworkMode::Shared => input.manifest.services.len() > 1,
        NetworkMode::Pasta | NetworkMode::None => false,
    }
}

/// Values of `Network=`.
///
/// On the app's own network the service's name is an alias, so that services reach each other by
/// the names in the manifest; on the shared network it would clash with other apps' names.
pub(super) fn networks(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<Vec<Value>, RenderError> {
    let mut texts = Vec::new();
    if on_app_network(input, service) {
        let own = names::container(input.manifest, name);
        let chief = (own != name.as_str()).then(|| name.to_string());
        let aliases = chief.into_iter().chain(service.aliases.iter().cloned());
        texts.push(with_aliases(&names::network(&input.manifest.id), aliases));
    }
    match service.network {
        NetworkMode::App => {}
        NetworkMode::Shared => {
            texts.push(with_aliases(names::SHARED_NETWORK, service.aliases.iter().cloned()));
        }
        NetworkMode::Pasta => texts.push("pasta".to_owned()),
        NetworkMode::None => texts.push("none".to_owned()),
    }
    texts.iter().map(|text| value(name.as_str(), "network", Value::raw(text))).collect()
}

fn with_aliases(network: &str, aliases: impl Iterator<Item = String>) -> String {
    let options: Vec<String> = aliases.map(|alias| format!("alias={alias}")).collect();
    if options.is_empty() {
        format!("{network}.network")
    } else {
        format!("{network}.network:{}", options.join(","))
    }
}

/// The host's port: the one chosen instead of the manifest's, else the manifest's.
fn host_port(input: &RenderInput<'_>, port: &Port) -> u16 {
    *input.port_overrides.get(&(port.host, port.protocol)).unwrap_or(&port.host)
}

/// The address that a port is published on: as written, else by its policy; none means all.
///
/// Only `auth: none` reaches other machines by itself; all others are fronted by the gate or local.
fn address(port: &Port) -> Option<IpAddr> {
    match (port.bind, port.auth) {
        (Some(address), _) => Some(address),
        (None, Some(PortAuth::None)) => None,
        (None, _) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }
}

/// Values of `PublishPort=`.
pub(super) fn published(input: &RenderInput<'_>, service: &Service) -> Vec<String> {
    let text = |port: &Port| {
        let address = match address(port) {
            None => String::new(),
            Some(IpAddr::V4(address)) => format!("{address}:"),
            Some(IpAddr::V6(address)) => format!("[{address}]:"),
        };
        let protocol = match port.protocol {
            Protocol::Tcp => "",
            Protocol::Udp => "/udp",
        };
        format!("{address}{}:{}{protocol}", host_port(input, port), port.container)
    };
    if service.network == NetworkMode::None {
        return Vec::new();
    }
    service.ports.iter().map(text).collect()
}

/// Sockets that must be free on the host before the container starts: pasta frees a TCP port only
/// after the stop has returned.
pub(super) fn awaited_sockets(input: &RenderInput<'_>, service: &Service) -> Vec<String> {
    if service.network != NetworkMode::Pasta {
        return Vec::new();
    }
    let tcp = service.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    tcp.map(|port| {
        let address = address(port).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        std::net::SocketAddr::new(address, host_port(input, port)).to_string()
    })
    .collect()
}

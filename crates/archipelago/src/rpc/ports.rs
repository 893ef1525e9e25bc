//! Host ports that the owner chose instead of those of a manifest.

use std::collections::BTreeMap;

use archy_api::package::PortChoice;
use archy_api::state;
use archy_manifest::Manifest;
use archy_manifest::model::Protocol;
use archy_types::UserError;

/// Adds the ports that were chosen before, as far as nothing else is chosen now and the manifest
/// still declares them.
pub(super) fn remember(
    manifest: &Manifest,
    before: &BTreeMap<(u16, Protocol), u16>,
    chosen: &mut BTreeMap<(u16, Protocol), u16>,
) {
    let ports = manifest.services.values().flat_map(|service| &service.ports);
    for key in ports.map(|port| (port.host, port.protocol)) {
        if let Some(port) = before.get(&key) {
            chosen.entry(key).or_insert(*port);
        }
    }
}

/// What the owner chose.
///
/// # Errors
/// `port-choice-invalid`.
pub(super) fn chosen(
    manifest: &Manifest,
    choices: Vec<PortChoice>,
) -> Result<BTreeMap<(u16, Protocol), u16>, UserError> {
    let choice = |choice: PortChoice| {
        let protocol = match choice.protocol {
            state::Protocol::Tcp => Protocol::Tcp,
            state::Protocol::Udp => Protocol::Udp,
        };
        let declared = manifest
            .services
            .values()
            .flat_map(|service| &service.ports)
            .any(|port| port.host == choice.declared && port.protocol == protocol);
        if !declared || choice.host == 0 {
            let message =
                format!("Invalid port: {} for {} is not possible.", choice.host, choice.declared);
            return Err(UserError::new("port-choice-invalid", message)
                .hint("Name a host port of the manifest, and a port from 1 to 65535."));
        }
        Ok(((choice.declared, protocol), choice.host))
    };
    choices.into_iter().map(choice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_ports_count_where_nothing_else_is_chosen() {
        let text = "app:\n  id: blog\n  name: Blog\n  version: 1.0.0\n  services:\n    main:\n      \
                    image: registry.example/blog:1\n      ports:\n        \
                    - { host: 8080, container: 80, auth: none, auth_rationale: A test. }\n        \
                    - { host: 8081, container: 81, auth: none, auth_rationale: A test. }\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let key = |port| (port, Protocol::Tcp);
        // the last one is of a port that the manifest has no more
        let before = BTreeMap::from([(key(8080), 9000), (key(8081), 9001), (key(7000), 9002)]);
        let mut ports = BTreeMap::from([(key(8081), 9999)]);
        remember(&manifest, &before, &mut ports);
        assert_eq!(ports, BTreeMap::from([(key(8080), 9000), (key(8081), 9999)]));
    }
}

//! What an app needs of the node, and what it may do beyond what every app may.

use archy_api::package::{Needs, Right, RightKind};
use archy_manifest::Manifest;
use archy_manifest::model::{MountSource, NetworkMode, PortAuth, RequirementTarget, Service};
use archy_manifest::template::Placeholder;

/// What it needs of the node.
pub(super) fn needs(manifest: &Manifest) -> Needs {
    let must = manifest.requires.iter().filter(|wanted| !wanted.optional);
    Needs {
        memory_bytes: manifest.services.values().map(|one| one.resources.memory_bytes).sum(),
        storage_bytes: manifest.storage_bytes,
        architectures: manifest.architectures.iter().cloned().collect(),
        apps: must
            .map(|wanted| match &wanted.target {
                RequirementTarget::App(id) => id.to_string(),
                RequirementTarget::Role(role) => role.clone(),
            })
            .collect(),
    }
}

/// Its rights, each once, the widest first.
pub(super) fn of(manifest: &Manifest) -> Vec<Right> {
    let mut found = Vec::new();
    let mut add = |kind, what: Option<String>, why: Option<&String>| {
        found.push(Right { kind, what, why: why.cloned() });
    };
    for service in manifest.services.values() {
        of_service(service, &mut add);
    }
    for door in manifest.interfaces.values() {
        if door.nostr.is_some() {
            add(RightKind::Signer, None, None);
        }
        if door.identity_header.is_some() {
            add(RightKind::Visitor, None, None);
        }
    }
    found.sort();
    found.dedup();
    found
}

fn of_service(service: &Service, add: &mut impl FnMut(RightKind, Option<String>, Option<&String>)) {
    let security = &service.security;
    if !security.no_new_privileges {
        add(RightKind::NewPrivileges, None, None);
    }
    for capability in &security.capabilities {
        let why = security.capabilities_rationale.as_ref();
        add(RightKind::Capability, Some(capability.clone()), why);
    }
    for device in &service.devices {
        add(RightKind::Device, Some(device.clone()), None);
    }
    match service.network {
        NetworkMode::Pasta => add(RightKind::HostNetwork, None, None),
        NetworkMode::Shared => add(RightKind::SharedNetwork, None, None),
        NetworkMode::App | NetworkMode::None => {}
    }
    for port in &service.ports {
        let free = matches!(port.auth, Some(PortAuth::Open | PortAuth::None));
        if free && !port.bind.is_some_and(|address| address.is_loopback()) {
            let why = port.auth_rationale.as_ref();
            add(RightKind::OpenPort, Some(port.host.to_string()), why);
        }
    }
    for mount in &service.mounts {
        if let MountSource::Role(role) = &mount.source {
            add(RightKind::RoleData, Some(role.clone()), None);
        }
    }
    let mut filled = service.derived_env.values().flat_map(|value| value.placeholders());
    if filled.any(|one| *one == Placeholder::NodeIdentityPubkeys) {
        add(RightKind::IdentityKeys, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(more: &str) -> Manifest {
        let text = format!(
            "app:\n  id: one\n  name: One\n  version: 1.0.0\n  description: One.\n  services:\n    \
             main:\n      image: registry.example/one:1\n      resources: {{ memory: 64Mi }}\n{more}"
        );
        let parsed = archy_manifest::parse(text.as_bytes());
        parsed.manifest.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
    }

    #[test]
    fn an_app_that_asks_for_nothing_has_no_rights() {
        let plain = manifest("");
        assert_eq!(of(&plain), []);
        assert_eq!(needs(&plain).memory_bytes, 64 << 20);
    }

    #[test]
    fn rights_are_told_with_what_they_are_about_and_why() {
        let wide = manifest(
            "      network: pasta\n      ports:\n        - { host: 18002, container: 80, auth: none, \
             auth_rationale: A public page. }\n        - { host: 18003, container: 81, auth: gated }\n",
        );
        let port = Right {
            kind: RightKind::OpenPort,
            what: Some("18002".to_owned()),
            why: Some("A public page.".to_owned()),
        };
        let network = Right { kind: RightKind::HostNetwork, what: None, why: None };
        assert_eq!(of(&wide), [network, port]);
    }
}

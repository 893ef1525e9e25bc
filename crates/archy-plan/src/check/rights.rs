//! Rights that a new manifest asks for and the old one did not.

use std::net::IpAddr;

use archy_manifest::Manifest;
use archy_manifest::model::{MountSource, NetworkMode, Port, PortAuth, Service};

use super::check;
use crate::step::{Check, Severity};

/// What `new` may do that `old` may not, one warning for each.
#[must_use]
pub fn rights_diff(old: &Manifest, new: &Manifest) -> Vec<Check> {
    let mut found = Vec::new();
    for (name, service) in &new.services {
        let before = old.services.get(name);
        let mut widened = |text: String| {
            let message = format!("The service {name} {text}.");
            found.push(
                check(Severity::Warning, "rights-widened", message)
                    .mend("Go on only if you trust the publisher with it."),
            );
        };
        capabilities(before, service, &mut widened);
        security(before, service, &mut widened);
        network(before, service, &mut widened);
        for device in &service.devices {
            if before.is_none_or(|before| !before.devices.contains(device)) {
                widened(format!("uses the device {device}, which it did not"));
            }
        }
        for mount in &service.mounts {
            let had = before.is_some_and(|b| b.mounts.iter().any(|m| m.source == mount.source));
            if let (MountSource::Role(role), false) = (&mount.source, had) {
                widened(format!(
                    "reads what the app that fills the role {role} gives out, which it did not"
                ));
            }
        }
        for port in &service.ports {
            ports(before, port, &mut widened);
        }
    }
    found
}

fn capabilities(before: Option<&Service>, after: &Service, widened: &mut impl FnMut(String)) {
    for capability in &after.security.capabilities {
        if before.is_none_or(|before| !before.security.capabilities.contains(capability)) {
            let why = after.security.capabilities_rationale.as_deref();
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            widened(format!("asks for the capability {capability}{why}, which it did not have"));
        }
    }
}

fn security(before: Option<&Service>, after: &Service, widened: &mut impl FnMut(String)) {
    let had = |has: fn(&Service) -> bool| before.is_none_or(has);
    if had(|service| service.security.no_new_privileges) && !after.security.no_new_privileges {
        widened("may gain new privileges".to_owned());
    }
    let was_readonly = before.is_some_and(|before| before.security.readonly_root);
    if was_readonly && !after.security.readonly_root {
        widened("may now write to its own root file system".to_owned());
    }
}

/// How far a network reaches.
const fn reach(mode: &NetworkMode) -> (u8, &'static str) {
    match mode {
        NetworkMode::None => (0, "no network"),
        NetworkMode::App => (1, "the app's own network"),
        NetworkMode::Shared => (2, "the network that all apps share"),
        NetworkMode::Pasta => (3, "the host's network addresses"),
    }
}

fn network(before: Option<&Service>, after: &Service, widened: &mut impl FnMut(String)) {
    let old = before.map_or(reach(&NetworkMode::App), |before| reach(&before.network));
    let new = reach(&after.network);
    if new.0 > old.0 {
        widened(format!("reaches {}, where it was {}", new.1, old.1));
    }
}

/// How freely a port may be reached.
const fn freedom(auth: Option<PortAuth>) -> u8 {
    match auth {
        Some(PortAuth::Local) => 0,
        None | Some(PortAuth::Gated | PortAuth::Session) => 1,
        Some(PortAuth::Open) => 2,
        Some(PortAuth::None) => 3,
    }
}

fn ports(before: Option<&Service>, after: &Port, widened: &mut impl FnMut(String)) {
    let same = |port: &&Port| port.container == after.container && port.protocol == after.protocol;
    let old = before.and_then(|before| before.ports.iter().find(same));
    let was = old.map_or(freedom(None), |old| freedom(old.auth));
    if freedom(after.auth) > was && freedom(after.auth) > 1 {
        let why = after.auth_rationale.as_deref();
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        widened(format!("lets everybody pass its port {}{why}, unasked", after.host));
    }
    let local = |address: Option<IpAddr>| address.is_some_and(|address| address.is_loopback());
    if old.is_some_and(|old| local(old.bind)) && after.bind.is_some() && !local(after.bind) {
        widened(format!("publishes its port {} beyond this host", after.host));
    }
}

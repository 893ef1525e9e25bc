//! Networks: modes, names, external ones.

use crate::draft::{Draft, Svc, is_dns_name};
use crate::value::{Map, Value};

use super::Project;

/// Reads `network_mode`.
pub(super) fn mode(draft: &mut Draft<'_>, svc: &mut Svc, text: &str, place: &str) {
    match text {
        "bridge" | "default" | "" => {}
        "none" => svc.container.network = Some("none".to_owned()),
        "host" => {
            // judged when the door is known
            svc.host_network = true;
        }
        "pasta" | "slirp4netns" | "private" => {}
        other if other.starts_with("service:") || other.starts_with("container:") => {
            let message = format!("the network of another container: {other}");
            draft.find("host-namespace", place, message);
        }
        other => {
            draft.find("external-network", place, format!("{other} is a network of its own"));
            svc.shared = true;
        }
    }
}

/// Reads `networks`: names with aliases and addresses.
pub(super) fn networks(
    draft: &mut Draft<'_>,
    svc: &mut Svc,
    project: &Project,
    value: &Value,
    place: &str,
) {
    let nothing = Value::Null;
    let all: Map = match value {
        Value::Map(map) => map.clone(),
        list => list
            .items()
            .iter()
            .filter_map(Value::as_text)
            .map(|name| (name.to_owned(), Value::Null))
            .collect(),
    };
    for (name, options) in &all {
        let declared = project.networks.get(name).unwrap_or(&nothing);
        if declared.get("external").is_some_and(|e| e.is_true() || e.as_map().is_some()) {
            draft.find("external-network", place, format!("{name} belongs to other apps"));
            svc.shared = true;
        }
        for alias in options.get("aliases").map(Value::items).unwrap_or_default() {
            if let Some(alias) = alias.as_text().and_then(|text| draft.plain(text, place)) {
                svc.names.push(alias);
            }
        }
        for key in options.as_map().into_iter().flat_map(Map::keys) {
            match key.as_str() {
                "aliases" => {}
                "ipv4_address" | "ipv6_address" | "link_local_ips" | "priority" | "mac_address"
                | "gw_priority" | "interface_name" => {
                    draft.find(
                        "dropped-key",
                        place,
                        "addresses are the node's to give; names are kept",
                    );
                }
                other if other.starts_with("x-") => {}
                other => draft.find("unknown-key", place, format!("`{other}` of a network")),
            }
        }
    }
    if all.len() > 1 {
        draft.find("dropped-key", place, "the services of an app share one network");
    }
}

/// What the networks themselves say.
pub(super) fn declared(draft: &mut Draft<'_>, project: &Project) {
    for (name, options) in &project.networks {
        let place = format!("networks.{name}");
        let driver = options.text_of("driver").unwrap_or("bridge");
        if !matches!(driver, "bridge" | "default" | "overlay") {
            let message = format!("the driver {driver}; the app gets a bridge");
            draft.find("unsupported-key", &place, message);
        }
        let said = ["ipam", "internal", "driver_opts", "enable_ipv6", "labels", "attachable"];
        for key in said.iter().filter(|key| options.get(key).is_some_and(|v| !v.is_empty())) {
            draft.find(
                "dropped-key",
                &place,
                format!("`{key}`: each app has a network of its own"),
            );
        }
    }
}

/// Names for hosts.
pub(super) fn extra_hosts(draft: &mut Draft<'_>, value: &Value, place: &str) {
    let entries: Vec<(String, String)> = match value {
        Value::Map(map) => map.iter().map(|(name, v)| (name.clone(), v.brief())).collect(),
        list => list
            .items()
            .iter()
            .filter_map(Value::as_text)
            .filter_map(|text| text.split_once(['=', ':']))
            .map(|(name, address)| (name.to_owned(), address.to_owned()))
            .collect(),
    };
    for (name, address) in entries {
        if name.contains("DEVICE_DOMAIN_NAME") {
            draft.find("replaced-host", place, "the node's own name is for its resolver to know");
        } else if name == "host.docker.internal" || name == "host.containers.internal" {
            draft.find("extra-host", place, format!("{name} is there anyway"));
        } else if address.contains("host-gateway") || address.contains("HOST_IP") {
            let message = format!("{name} stands for the host; use host.containers.internal");
            draft.find("replaced-host", place, message);
        } else {
            let message = format!("the name {name} for {}", crate::report::shorten(&address));
            draft.find("unsupported-key", place, message);
        }
    }
}

/// A name that the app may know a service by.
pub(super) fn name(draft: &mut Draft<'_>, svc: &mut Svc, text: &str, place: &str) {
    let expr = draft.expr(text, place);
    match expr.as_text() {
        Some(name) if !name.is_empty() => svc.names.push(name.to_owned()),
        _ => draft.find("dropped-key", place, "a container's own name is the node's to give"),
    }
}

/// The aliases of a service: its names that are DNS names.
pub(crate) fn aliases(svc: &Svc, original: &str, container: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in std::iter::once(original).chain(svc.names.iter().map(String::as_str)) {
        let known = name == svc.name || name == container || out.iter().any(|known| known == name);
        if is_dns_name(name) && !known {
            out.push(name.to_owned());
        }
    }
    out
}

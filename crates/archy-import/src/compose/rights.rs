//! Rights: capabilities, devices, namespaces, protections.

use archy_manifest::schema::Security;
use archy_manifest::{PLAIN_CAPABILITIES, WEIGHTY_CAPABILITIES};

use crate::draft::{Draft, Svc};
use crate::expr::Atom;
use crate::value::{Map, Value};

/// What engines grant to a container by default and what stays within it here as well.
pub(super) const DEFAULTS: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Why a manifest has weighty capabilities.
const RATIONALE: &str = "Asked for by the app this manifest was imported from.";

/// Reads what a service may do.
pub(super) fn rights(draft: &mut Draft<'_>, svc: &mut Svc, service: &Map, place: &str) {
    let mut security = Security {
        readonly_root: service.get("read_only").is_some_and(Value::is_true),
        ..Security::default()
    };
    for name in list(service, "cap_drop") {
        svc.dropped.push(name);
    }
    for name in list(service, "cap_add") {
        let here = format!("{place}.cap_add");
        if DEFAULTS.contains(&name.as_str()) || name == "AUDIT_WRITE" {
            security.capabilities.push(name);
        } else if WEIGHTY_CAPABILITIES.contains(&name.as_str()) {
            security.capabilities.push(name);
            security.capabilities_rationale = Some(RATIONALE.to_owned());
        } else if name == "SYS_MODULE" {
            draft.find("kernel-module", &here, "SYS_MODULE is left out");
        } else {
            let message = format!("{name} reaches beyond the container");
            draft.find("refused-capability", &here, message);
        }
    }
    svc.container.security = Some(security);
    protections(draft, service, place);
    namespaces(draft, service, place);
    for value in service.get("devices").map(Value::items).unwrap_or_default() {
        let here = format!("{place}.devices");
        let text = value
            .as_text()
            .map(str::to_owned)
            .or_else(|| Some(format!("{}:{}", value.text_of("source")?, value.text_of("target")?)));
        let Some(text) = text.and_then(|text| named(draft, &text, &here)) else { continue };
        let mut parts = text.split(':');
        let device = parts.next().unwrap_or_default();
        let target = parts.next().unwrap_or(device);
        self::device(draft, svc, device, target, &here);
    }
    groups(draft, service, place);
    gpus(draft, svc, service, place);
}

fn list(service: &Map, key: &str) -> Vec<String> {
    let items = service.get(key).map(Value::items).unwrap_or_default();
    items
        .iter()
        .filter_map(Value::as_text)
        .map(|name| {
            let upper = name.trim().to_ascii_uppercase();
            upper.strip_prefix("CAP_").map_or(upper.clone(), str::to_owned)
        })
        .collect()
}

fn protections(draft: &mut Draft<'_>, service: &Map, place: &str) {
    let place = format!("{place}.security_opt");
    for item in service.get("security_opt").map(Value::items).unwrap_or_default() {
        let Some(text) = item.as_text() else { continue };
        let (key, value) = text.split_once([':', '=']).unwrap_or((text, "true"));
        match (key, value) {
            ("no-new-privileges", _) => {
                draft.find("dropped-key", &place, "no new privileges, which is so anyway");
            }
            ("apparmor" | "seccomp" | "label" | "systempaths", "unconfined" | "disable") => {
                draft.find("refused-protection", &place, format!("{text} takes a protection away"));
            }
            _ => draft.find("unsupported-key", &place, format!("{text} is not possible")),
        }
    }
}

fn namespaces(draft: &mut Draft<'_>, service: &Map, place: &str) {
    for key in ["pid", "ipc", "uts", "userns_mode", "cgroup"] {
        let Some(text) = service.get(key).and_then(Value::as_text) else { continue };
        let here = format!("{place}.{key}");
        match (key, text) {
            (_, "private" | "shareable" | "none" | "") | ("userns_mode" | "cgroup", _) => {
                draft.find("dropped-key", &here, "the container has namespaces of its own");
            }
            _ => draft.find("host-namespace", &here, format!("{key}: {text}")),
        }
    }
}

/// Adds a device, when it is on the list.
pub(super) fn device(
    draft: &mut Draft<'_>,
    svc: &mut Svc,
    device: &str,
    target: &str,
    place: &str,
) {
    if !archy_manifest::device_allowed(device) {
        return draft.find("refused-device", place, format!("{device} is not on the list"));
    }
    if target != device {
        let message = format!("{device} has the same path in the container, not {target}");
        draft.find("refused-device", place, message);
    }
    if !svc.container.devices.iter().any(|known| known == device) {
        svc.container.devices.push(device.to_owned());
    }
}

fn groups(draft: &mut Draft<'_>, service: &Map, place: &str) {
    let groups = service.get("group_add").map(Value::items).unwrap_or_default();
    if !groups.is_empty() {
        let names: Vec<_> = groups.iter().map(Value::brief).collect();
        draft.find("supplementary-group", &format!("{place}.group_add"), names.join(", "));
    }
    if let Some(sysctls) = service.get("sysctls").filter(|value| !value.is_empty()) {
        let names: Vec<_> = super::keyed(sysctls).keys().cloned().collect();
        draft.find("sysctl", &format!("{place}.sysctls"), names.join(", "));
    }
}

/// The text of a device; where the owner has to name it, that of the container stands in.
fn named(draft: &mut Draft<'_>, text: &str, place: &str) -> Option<String> {
    let expr = draft.expr(text, place);
    if let [Atom::Setting { key, .. }, Atom::Text(rest)] = expr.atoms()
        && let Some(device) = rest.strip_prefix(':').filter(|rest| rest.starts_with("/dev/"))
    {
        let message = format!("{key} names the device of the host; {device} stands in");
        draft.find("unset-variable", place, message);
        return Some(device.to_owned());
    }
    draft.plain_expr(&expr, place)
}

/// A GPU that the engine hands over by itself becomes a named device.
fn gpus(draft: &mut Draft<'_>, svc: &mut Svc, service: &Map, place: &str) {
    let runtime = service.get("runtime").and_then(Value::as_text).unwrap_or_default();
    let known = matches!(runtime, "" | "runc" | "crun" | "nvidia");
    if !known {
        let message = format!("the runtime {runtime}");
        draft.find("unsupported-key", &format!("{place}.runtime"), message);
    }
    let reserved = service.get("deploy").and_then(|d| d.get("resources")?.get("reservations"));
    let reserved = reserved.and_then(|r| r.get("devices")).map(Value::items).unwrap_or_default();
    let driver = reserved.iter().find_map(|device| device.text_of("driver")).unwrap_or("nvidia");
    let wanted = runtime == "nvidia"
        || !reserved.is_empty()
        || service.get("gpus").is_some_and(|value| !value.is_empty());
    if !wanted {
        return;
    }
    let vendor = match driver {
        "amd" | "amdgpu" | "rocm" => "amd",
        "intel" | "i915" | "xe" => "intel",
        _ => "nvidia",
    };
    let device = format!("{vendor}.com/gpu=all");
    draft.find("gpu", place, format!("becomes the device {device}"));
    if !svc.container.devices.contains(&device) {
        svc.container.devices.push(device);
    }
}

/// All privileges: what a manifest can declare is declared, unless something shows that the service
/// needs more than that.
pub(super) fn privileged(draft: &mut Draft<'_>, svc: &mut Svc, place: &str) {
    let needs = [
        "engine-socket",
        "host-path",
        "refused-device",
        "host-namespace",
        "refused-protection",
        "refused-capability",
    ];
    let image = svc.container.image.as_deref().unwrap_or_default();
    let words = svc.command.iter().chain(svc.entrypoint.iter().flatten());
    let engine = image.contains("dind")
        || words.filter_map(|word| word.as_text()).any(|word| word.contains("dockerd"));
    let more = draft.findings.any(&needs, place) || svc.host_network || engine;
    if more {
        let message = "all privileges; the container gets none of them";
        return draft.find("privileged", &format!("{place}.privileged"), message);
    }
    let Some(security) = svc.container.security.as_mut() else { return };
    let all = PLAIN_CAPABILITIES.iter().chain(WEIGHTY_CAPABILITIES);
    security.capabilities = all.map(|name| (*name).to_owned()).collect();
    security.capabilities_rationale = Some(RATIONALE.to_owned());
    let message = "all privileges; every capability of manifests is declared";
    draft.find("privileges-declared", &format!("{place}.privileged"), message);
}

/// Declares what the engine of the source grants by default to a container that starts as root.
pub(super) fn defaults(draft: &mut Draft<'_>, svc: &mut Svc, place: &str) {
    let user = svc.container.user.as_deref().unwrap_or("root");
    let root = matches!(user.split(':').next(), Some("root" | "0"));
    let all_dropped = svc.dropped.iter().any(|name| name == "ALL");
    let low = svc.container.ports.iter().any(|port| port.container < 1024);
    let Some(security) = svc.container.security.as_mut() else { return };
    let granted: Vec<&str> = match (root, all_dropped) {
        (_, true) => Vec::new(),
        (true, false) => DEFAULTS.to_vec(),
        (false, false) if low => vec!["NET_BIND_SERVICE"],
        (false, false) => Vec::new(),
    };
    for name in granted {
        if !svc.dropped.iter().any(|known| known == name)
            && !security.capabilities.iter().any(|known| known == name)
        {
            security.capabilities.push(name.to_owned());
        }
    }
    security.capabilities.sort();
    if !security.capabilities.is_empty() {
        draft.find(
            "rights",
            place,
            "the capabilities that the engine grants by default are declared",
        );
    }
}

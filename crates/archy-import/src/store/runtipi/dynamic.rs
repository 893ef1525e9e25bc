//! The store's own JSON form of a compose file becomes a compose document.

use super::Doors;
use crate::draft::Draft;
use crate::value::{Map, Value};

/// Keys with the same meaning under another name.
const RENAMED: &[(&str, &str)] = &[
    ("image", "image"),
    ("command", "command"),
    ("entrypoint", "entrypoint"),
    ("user", "user"),
    ("tty", "tty"),
    ("stdinOpen", "stdin_open"),
    ("readOnly", "read_only"),
    ("privileged", "privileged"),
    ("capAdd", "cap_add"),
    ("capDrop", "cap_drop"),
    ("devices", "devices"),
    ("networkMode", "network_mode"),
    ("extraHosts", "extra_hosts"),
    ("shmSize", "shm_size"),
    ("deploy", "deploy"),
    ("hostname", "hostname"),
    ("workingDir", "working_dir"),
    ("stopSignal", "stop_signal"),
    ("stopGracePeriod", "stop_grace_period"),
    ("securityOpt", "security_opt"),
    ("pid", "pid"),
    ("sysctls", "sysctls"),
    ("dns", "dns"),
    ("logging", "logging"),
    ("ulimits", "ulimits"),
    ("extraLabels", "labels"),
    ("init", "init"),
    ("restart", "restart"),
    ("profiles", "profiles"),
    ("groupAdd", "group_add"),
    ("expose", "expose"),
    ("memLimit", "mem_limit"),
    ("cpus", "cpus"),
    ("runtime", "runtime"),
    ("ipc", "ipc"),
    ("macAddress", "mac_address"),
    ("domainname", "domainname"),
    ("addToMainNetwork", "x-main-network"),
];

/// The compose document, and what each service says of its door.
pub(super) fn compose(draft: &mut Draft<'_>, root: &Value) -> (Value, Doors) {
    let mut services = Map::new();
    let mut doors = Doors::new();
    for (index, written) in
        root.get("services").map(Value::items).unwrap_or_default().iter().enumerate()
    {
        let fallback = format!("service-{index}");
        let name = written.text_of("name").unwrap_or(&fallback).to_owned();
        let place = format!("services.{name}");
        let port = written.text_of("internalPort").map(str::to_owned);
        let port = port.and_then(|text| draft.plain(&text, &place)?.parse::<u16>().ok());
        doors.push((name.clone(), written.get("isMain").is_some_and(Value::is_true), port));
        services.insert(name, Value::Map(service(draft, written, &place)));
    }
    for (key, value) in root.as_map().into_iter().flatten() {
        match key.as_str() {
            "services" | "schemaVersion" | "$schema" => {}
            "overrides" => {
                let message = "what differs by architecture is left out";
                draft.find("architecture", "docker-compose.json overrides", message);
            }
            _ => draft.find("unknown-key", &format!("docker-compose.json {key}"), value.brief()),
        }
    }
    let mut out = Map::new();
    out.insert("services".to_owned(), Value::Map(services));
    (Value::Map(out), doors)
}

fn service(draft: &mut Draft<'_>, written: &Value, place: &str) -> Map {
    let mut out = Map::new();
    let mut ports = Vec::new();
    for (key, value) in written.as_map().into_iter().flatten() {
        if let Some((_, name)) = RENAMED.iter().find(|(known, _)| known == key) {
            out.insert((*name).to_owned(), value.clone());
            continue;
        }
        match key.as_str() {
            "name" | "isMain" | "internalPort" => {}
            "environment" => _ = out.insert("environment".to_owned(), environment(value)),
            "volumes" => {
                let all = value.items().iter().filter_map(volume).collect();
                out.insert("volumes".to_owned(), Value::List(all));
            }
            "dependsOn" => _ = out.insert("depends_on".to_owned(), value.clone()),
            "healthCheck" => _ = out.insert("healthcheck".to_owned(), health(value)),
            "addPorts" => ports.extend(value.items().iter().flat_map(port)),
            _ => draft.find("unknown-key", &format!("{place}.{key}"), value.brief()),
        }
    }
    if !ports.is_empty() {
        out.insert("ports".to_owned(), Value::List(ports));
    }
    out
}

/// A mapping, or a list of `{key, value}`.
fn environment(value: &Value) -> Value {
    match value {
        Value::List(items) => Value::Map(
            items
                .iter()
                .filter_map(|item| {
                    let value = item.get("value").cloned().unwrap_or_else(|| Value::text(""));
                    Some((item.text_of("key")?.to_owned(), value))
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

fn volume(value: &Value) -> Option<Value> {
    if value.as_text().is_some() {
        return Some(value.clone());
    }
    let (source, target) = (value.text_of("hostPath")?, value.text_of("containerPath")?);
    let read_only = value.get("readOnly").is_some_and(Value::is_true);
    Some(Value::text(format!("{source}:{target}{}", if read_only { ":ro" } else { "" })))
}

fn health(value: &Value) -> Value {
    let names = [
        ("test", "test"),
        ("interval", "interval"),
        ("timeout", "timeout"),
        ("retries", "retries"),
        ("startPeriod", "start_period"),
        ("startInterval", "start_interval"),
    ];
    let all = names
        .iter()
        .filter_map(|(from, to)| Some(((*to).to_owned(), value.get(from)?.clone())))
        .collect();
    Value::Map(all)
}

/// A port for each transport it is open on; TCP when none is named.
fn port(value: &Value) -> Vec<Value> {
    let is = |key: &str| value.get(key).is_some_and(Value::is_true);
    let (Some(host), Some(container)) = (value.text_of("hostPort"), value.text_of("containerPort"))
    else {
        return Vec::new();
    };
    let address =
        value.text_of("interface").map(|address| format!("{address}:")).unwrap_or_default();
    let mut out = Vec::new();
    for (on, protocol) in [(is("tcp") || !is("udp"), "tcp"), (is("udp"), "udp")] {
        if on {
            out.push(Value::text(format!("{address}{host}:{container}/{protocol}")));
        }
    }
    out
}

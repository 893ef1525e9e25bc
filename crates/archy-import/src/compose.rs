//! Compose files: what a project holds once merge keys, overrides, `include`, `extends` and profiles
//! are worked out. Source: compose specification.

use indexmap::IndexMap;

use crate::draft::Draft;
use crate::source::{self, Files};
use crate::value::{self, Map, Value};

mod env;
mod health;
mod lists;
mod mounts;
mod network;
mod ports;
mod resources;
mod rights;
mod service;

pub(crate) use env::{EnvValue, parse_env};
pub(crate) use network::aliases;
pub(crate) use service::{convert, is_runnable, names};

/// Longest chain of `extends` and `include`.
const MAX_CHAIN: usize = 16;
/// Files that compose reads on top of the first by itself.
const OVERRIDES: &[&str] = &[
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];
/// Lists that grow when a service is extended; other lists are replaced.
const GROWING: &[&str] = &[
    "ports",
    "expose",
    "external_links",
    "dns",
    "dns_search",
    "tmpfs",
    "volumes",
    "devices",
    "cap_add",
    "cap_drop",
    "security_opt",
    "secrets",
    "configs",
    "env_file",
    "group_add",
    "links",
    "profiles",
];
/// Keys whose lists mean the same as mappings.
const KEYED: &[&str] = &["environment", "labels", "extra_hosts", "sysctls", "annotations", "args"];

/// A project.
#[derive(Debug, Default)]
pub(crate) struct Project {
    pub(crate) services: IndexMap<String, Map>,
    pub(crate) volumes: Map,
    pub(crate) networks: Map,
    pub(crate) secrets: Map,
    pub(crate) configs: Map,
    pub(crate) name: Option<String>,
}

/// Reads the project of an app's compose file.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn load(draft: &mut Draft<'_>) -> Result<Project, String> {
    let files = &draft.source.files;
    let (name, bytes) = source::compose_file(files).ok_or("there is no compose file")?;
    let mut root = value::read(bytes).map_err(|why| format!("{name}: {why}"))?;
    for over in OVERRIDES.iter().filter(|over| **over != name) {
        if let Some(bytes) = files.get(*over) {
            let over = value::read(bytes).map_err(|why| format!("{over}: {why}"))?;
            root = merge("", root, over);
        }
    }
    from_value(draft, root)
}

/// Makes a project of a compose document.
///
/// # Errors
/// Why it is none.
pub(crate) fn from_value(draft: &mut Draft<'_>, root: Value) -> Result<Project, String> {
    let mut root = root;
    let includes = root.get("include").cloned().unwrap_or_default();
    for (index, entry) in includes.items().iter().enumerate().take(MAX_CHAIN) {
        let paths = entry.get("path").cloned().unwrap_or_else(|| entry.clone());
        for path in paths.items().iter().filter_map(Value::as_text) {
            draft.read.extend(source::clean(path));
            match read_beside(&draft.source.files, path) {
                Some(Ok(included)) => root = merge("", included, root),
                Some(Err(why)) => return Err(format!("{path}: {why}")),
                None => {
                    let message = format!("{path} is included and not in the package");
                    draft.find("missing-part", &format!("include[{index}]"), message);
                }
            }
        }
    }
    let Value::Map(top) = root else { return Err("the file is no mapping".to_owned()) };
    for key in top.keys() {
        let known =
            ["name", "version", "services", "volumes", "networks", "secrets", "configs", "include"];
        if !known.contains(&key.as_str()) && !key.starts_with("x-") {
            draft.find("unknown-key", key, format!("`{key}` is no part of a compose file"));
        }
    }
    let part = |key: &str| top.get(key).and_then(Value::as_map).cloned().unwrap_or_default();
    let all = part("services");
    let mut project = Project {
        services: IndexMap::new(),
        volumes: part("volumes"),
        networks: part("networks"),
        secrets: part("secrets"),
        configs: part("configs"),
        name: top.get("name").and_then(Value::as_text).map(str::to_owned),
    };
    for (name, value) in &all {
        let Value::Map(written) = value else {
            draft.find("unreadable", &format!("services.{name}"), "the service is no mapping");
            continue;
        };
        let service = extended(draft, written, &all, name, 0);
        if is_on(draft, name, &service) {
            project.services.insert(name.clone(), service);
        }
    }
    Ok(project)
}

/// A service with what it extends.
fn extended(draft: &mut Draft<'_>, written: &Map, all: &Map, name: &str, depth: usize) -> Map {
    let mut own = written.clone();
    let Some(extends) = own.shift_remove("extends") else { return own };
    let place = format!("services.{name}.extends");
    if depth >= MAX_CHAIN {
        draft.find("unreadable", &place, "services extend each other without end");
        return own;
    }
    let wanted = extends.text_of("service").or_else(|| extends.as_text()).unwrap_or_default();
    let from_file = extends.text_of("file");
    draft.read.extend(from_file.and_then(source::clean));
    let others = match from_file.map(|file| (file, read_beside(&draft.source.files, file))) {
        None => Some(all.clone()),
        Some((_, Some(Ok(other)))) => {
            Some(other.get("services").and_then(Value::as_map).cloned().unwrap_or_default())
        }
        Some((file, _)) => {
            draft.find("missing-part", &place, format!("{file} is extended and cannot be read"));
            None
        }
    };
    let base = others.as_ref().and_then(|others| others.get(wanted)?.as_map().cloned());
    match (base, others) {
        (Some(base), Some(others)) => {
            let base = extended(draft, &base, &others, name, depth + 1);
            match merge("", Value::Map(base), Value::Map(own)) {
                Value::Map(merged) => merged,
                _ => Map::new(),
            }
        }
        (None, Some(_)) => {
            draft.find("unreadable", &place, format!("there is no service {wanted} to extend"));
            own
        }
        _ => own,
    }
}

fn is_on(draft: &mut Draft<'_>, name: &str, service: &Map) -> bool {
    let place = format!("services.{name}");
    let profiles = service.get("profiles").map(Value::items).unwrap_or_default();
    if !profiles.is_empty() {
        let list: Vec<_> = profiles.iter().map(Value::brief).collect();
        let message = format!("belongs to the profile {}, which is off", list.join(", "));
        draft.find("profile", &place, message);
        return false;
    }
    let copies = |value: &Value| value.get("replicas").and_then(Value::as_text).map(str::to_owned);
    let copies = service.get("deploy").and_then(copies);
    let scale = service.get("scale").and_then(Value::as_text).map(str::to_owned);
    match copies.or(scale).as_deref() {
        Some("0") => {
            draft.find("profile", &place, "has no copies, so it is left out");
            return false;
        }
        Some(count) if count != "1" => {
            draft.find("replicas", &place, format!("has {count} copies"));
        }
        _ => {}
    }
    true
}

/// A YAML file of the package.
fn read_beside(files: &Files, path: &str) -> Option<Result<Value, String>> {
    let path = source::clean(path)?;
    files.get(&path).map(|bytes| value::read(bytes))
}

/// Merges two documents as compose does: the later one wins, mappings are merged, some lists grow.
fn merge(key: &str, base: Value, over: Value) -> Value {
    match (base, over) {
        (base, Value::Null) => base,
        (Value::Map(mut base), Value::Map(over)) => {
            for (key, value) in over {
                let merged = match base.shift_remove(&key) {
                    Some(old) => merge(&key, old, value),
                    None => value,
                };
                base.insert(key, merged);
            }
            Value::Map(base)
        }
        (base, over) if KEYED.contains(&key) => {
            let (mut all, over) = (keyed(&base), keyed(&over));
            all.extend(over);
            Value::Map(all)
        }
        (Value::List(mut base), Value::List(over)) if GROWING.contains(&key) => {
            for item in over {
                if !base.contains(&item) {
                    base.push(item);
                }
            }
            Value::List(base)
        }
        (_, over) => over,
    }
}

/// A mapping, or a list of `KEY=value`; an entry without `=` has no value.
pub(crate) fn keyed(value: &Value) -> Map {
    match value {
        Value::Map(map) => map.clone(),
        Value::List(items) => items
            .iter()
            .filter_map(Value::as_text)
            .map(|text| match text.split_once('=') {
                Some((key, value)) => (key.trim().to_owned(), Value::text(value)),
                None => (text.trim().to_owned(), Value::Null),
            })
            .collect(),
        _ => Map::new(),
    }
}

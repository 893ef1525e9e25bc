//! Stores: what their descriptions and variables mean.

use archy_manifest::schema::{Architecture, Upstream};
use serde_json::Value as Json;

use crate::ImportError;
use crate::compose::{self, Project};
use crate::draft::{Draft, label};
use crate::expr::Atom;
use crate::finish::{self, Door};
use crate::source::{Kind, Source};
use crate::value::Value;

mod casaos;
mod exports;
mod plain;
mod runtipi;
mod umbrel;

/// What the apps of a store say of each other.
#[derive(Debug, Default)]
pub struct Store {
    umbrel: umbrel::Index,
}

impl Store {
    /// Looks at all apps of a store.
    #[must_use]
    pub fn new(sources: &[Source]) -> Self {
        Self { umbrel: umbrel::Index::new(sources) }
    }
}

/// Imports an app by its kind.
pub(crate) fn import(source: &Source, store: &Store) -> Result<Finished, ImportError> {
    match source.kind {
        Kind::Compose => plain::import(source),
        Kind::Umbrel => umbrel::import(source, &store.umbrel),
        Kind::Runtipi => runtipi::import(source),
        Kind::Casaos => casaos::import(source),
    }
}

/// What is left of a draft once its store's variables are no longer needed.
pub(crate) struct Finished {
    pub(crate) app: archy_manifest::schema::App,
    pub(crate) findings: crate::report::Findings,
    pub(crate) package: crate::source::Files,
}

/// The last steps, alike for all stores.
fn complete(mut draft: Draft<'_>, door: Option<Door>) -> Result<Finished, ImportError> {
    for svc in draft.services.values_mut() {
        let words = svc.command.iter().chain(svc.entrypoint.iter().flatten());
        let reaches = |atom: &Atom| matches!(atom, Atom::Place(name) if name.starts_with("role:"));
        svc.shared |= svc.env.values().chain(words).flat_map(|e| e.atoms()).any(reaches);
    }
    host_networks(&mut draft);
    leftovers(&mut draft);
    finish::finish(&mut draft);
    if draft.app.services.is_empty() && draft.findings.codes().all(|code| code != "no-image") {
        return Err(ImportError::Empty);
    }
    finish::settle(&mut draft, door);
    Ok(Finished { app: draft.app, findings: draft.findings, package: draft.package })
}

/// Files that a store or compose reads.
const DESCRIPTIONS: &[&str] = &[
    "config.json",
    "docker-compose.json",
    "umbrel-app.yml",
    "umbrel-app.yaml",
    "exports.sh",
    ".env",
];
/// Most names of files in one finding.
const MAX_NAMES: usize = 8;

/// Reports the files of the package that nothing uses: scripts of the host, pictures, texts.
fn leftovers(draft: &mut Draft<'_>) {
    let compose = crate::source::compose_file(&draft.source.files).map(|(name, _)| name.to_owned());
    let (mut scripts, mut others) = (Vec::new(), Vec::new());
    for name in draft.source.files.keys() {
        let known = DESCRIPTIONS.contains(&name.as_str())
            || crate::source::COMPOSE_NAMES.contains(&name.as_str())
            || compose.as_ref() == Some(name)
            || name.contains(".override.")
            || draft.read.contains(name)
            || draft.package.contains_key(name)
            || matches!(crate::source::file_name(name), ".gitkeep" | ".keep" | ".gitignore");
        if known {
            continue;
        }
        let script = name.starts_with("hooks/") || name.ends_with(".sh");
        if script { scripts.push(name.clone()) } else { others.push(name.clone()) }
    }
    for (code, mut names) in [("hook", scripts), ("metadata", others)] {
        let more = names.len().saturating_sub(MAX_NAMES);
        names.truncate(MAX_NAMES);
        if !names.is_empty() {
            let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
            draft.find(code, "package", format!("not used: {}{rest}", names.join(", ")));
        }
    }
}

/// Judges services on the host's network: those that list their ports all the same need no more.
fn host_networks(draft: &mut Draft<'_>) {
    let mut found: Vec<(String, &'static str, String)> = Vec::new();
    for (name, svc) in draft.services.iter_mut().filter(|(_, svc)| svc.host_network) {
        let place = format!("services.{name}.network_mode");
        let security = svc.container.security.as_ref();
        let reaches = security.is_some_and(|security| {
            security.capabilities.iter().any(|name| name == "NET_ADMIN" || name == "NET_RAW")
        });
        let listed = !svc.container.ports.is_empty();
        if listed && !reaches {
            let text = "the app gets a network of its own; it finds no other devices by broadcast";
            found.push((place, "own-network", text.to_owned()));
        } else {
            let text =
                "the app gets a network of its own, and publishes what is known of its ports";
            found.push((place, "host-network", text.to_owned()));
        }
    }
    for (place, code, text) in found {
        draft.find(code, &place, text);
    }
}

/// The project of a source.
fn project(draft: &mut Draft<'_>) -> Result<Project, ImportError> {
    compose::load(draft).map_err(ImportError::Unreadable)
}

/// Sets id, name and version, each within a manifest's bounds.
fn identity(draft: &mut Draft<'_>, id: &str, name: Option<&str>, version: Option<&str>) {
    let mut label = label(id);
    label.truncate(30);
    let label = label.trim_matches('-');
    draft.app.id = if label.is_empty() { "app".to_owned() } else { label.to_owned() };
    let name = name.map(one_line).filter(|name| !name.is_empty());
    draft.app.name = name.unwrap_or_else(|| draft.app.id.clone()).chars().take(100).collect();
    let version = version.map(one_line).filter(|version| !version.is_empty());
    draft.app.version = version.unwrap_or_else(|| "1".to_owned()).chars().take(64).collect();
}

/// The version of the main service's image, where the store names none.
fn image_version(draft: &mut Draft<'_>) {
    let image = draft.services.values().find(|svc| svc.name == "main");
    let image = image.or_else(|| draft.services.values().next());
    let tag = image.and_then(|svc| {
        let image = svc.container.image.as_deref()?.split('@').next()?;
        image.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag.to_owned())
    });
    if let Some(tag) = tag {
        draft.app.version = tag.chars().take(64).collect();
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text for people: without white space at its ends and of lines.
fn prose(text: &str) -> Option<String> {
    let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
    let text = lines.join("\n");
    let clean: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    (!clean.is_empty()).then_some(clean)
}

/// Keeps data for stores in the metadata.
fn metadata(draft: &mut Draft<'_>, key: &str, value: Option<&Value>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return };
    let json = match value {
        Value::Scalar { text, .. } => Json::from(text.trim()),
        list => list.items().iter().filter_map(Value::as_text).map(Json::from).collect(),
    };
    draft.app.metadata.insert(key.to_owned(), json);
}

/// Where new versions appear, when it is on GitHub.
fn upstream(draft: &mut Draft<'_>, address: Option<&str>) {
    let parts = address.and_then(|address| address.split_once("github.com/"));
    let Some((_, rest)) = parts else { return };
    let mut parts = rest.split(['/', '#', '?']).filter(|part| !part.is_empty());
    if let (Some(owner), Some(name)) = (parts.next(), parts.next()) {
        let name = name.strip_suffix(".git").unwrap_or(name);
        draft.app.upstream =
            Some(Upstream { kind: "github".to_owned(), repo: format!("{owner}/{name}") });
    }
}

/// Architectures by the names that stores use.
fn architectures(draft: &mut Draft<'_>, value: Option<&Value>) {
    for text in value.map(Value::items).unwrap_or_default().iter().filter_map(Value::as_text) {
        let known = match text.trim() {
            "amd64" | "x86_64" | "x86-64" | "x64" => Architecture::Amd64,
            "arm64" | "aarch64" | "arm64v8" => Architecture::Arm64,
            "riscv64" => Architecture::Riscv64,
            other => {
                draft.find("architecture", "architectures", format!("no node is {other}"));
                continue;
            }
        };
        if !draft.app.architectures.contains(&known) {
            draft.app.architectures.push(known);
        }
    }
}

/// Reports the keys of a description: what becomes metadata, what is left out, what is unknown.
fn keys(draft: &mut Draft<'_>, value: &Value, place: &str, used: &[&str], left: &[&str]) {
    let mut out: Vec<&str> = Vec::new();
    for (key, value) in value.as_map().into_iter().flatten() {
        if used.contains(&key.as_str()) || value.is_empty() || key.starts_with('$') {
            continue;
        }
        match left.contains(&key.as_str()) {
            true => out.push(key),
            false => draft.find("unknown-key", &format!("{place}.{key}"), value.brief()),
        }
    }
    if !out.is_empty() {
        draft.find("metadata", place, format!("left out: {}", out.join(", ")));
    }
}

/// Container ports that are rarely a website.
const NO_WEBSITE: &[u16] = &[
    21, 22, 25, 53, 110, 123, 143, 161, 389, 465, 514, 587, 636, 853, 993, 995, 1194, 1883, 3306,
    3389, 3478, 5060, 5222, 5353, 5432, 5672, 6379, 6881, 8883, 9735, 10009, 11211, 25565, 27017,
    50001, 51413, 51820,
];
/// Container ports that mostly are.
const WEBSITE: &[u16] =
    &[80, 8080, 3000, 8000, 5000, 8888, 9000, 8081, 8096, 8123, 4000, 3001, 5173, 7860, 8443, 443];

/// The port of a service that looks most like a website: container and host port.
fn website(ports: &[archy_manifest::schema::Port]) -> Option<(u16, u16)> {
    use archy_manifest::schema::{AuthMode, Transport};
    let open = |port: &&archy_manifest::schema::Port| {
        port.protocol != Some(Transport::Udp) && port.auth != Some(AuthMode::Local)
    };
    let rank = |port: &&archy_manifest::schema::Port| {
        WEBSITE.iter().position(|known| *known == port.container).unwrap_or(WEBSITE.len())
    };
    let found = ports
        .iter()
        .filter(open)
        .filter(|p| !NO_WEBSITE.contains(&p.container))
        .min_by_key(rank)?;
    Some((found.container, found.host.unwrap_or(found.container)))
}

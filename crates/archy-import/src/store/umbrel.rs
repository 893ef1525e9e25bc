//! `umbrel-app.yml` beside a compose file. The door is the `app_proxy` service; variables come from
//! the platform (`APP_DATA_DIR`, `APP_PASSWORD`, `APP_SEED`, …), from the `exports.sh` of the app and
//! of those it depends on, and from a table of well-known ones.

use std::collections::BTreeMap;

use archy_manifest::schema::{Backup, Provide};

use super::exports::{self, Export};
use super::{complete, identity, keys, metadata, project, prose, upstream};
use crate::ImportError;
use crate::compose::{self, Project};
use crate::draft::{Draft, label};
use crate::finish::Door;
use crate::source::{Kind, Source};
use crate::value::{self, Map, Value};

mod variables;

use variables::Variables;

/// The service that stands for the store's own proxy.
const PROXY: &str = "app_proxy";
/// Well-known exports.
const TABLE: &str = include_str!("../../data/umbrel.yml");
/// Keys of the description that are used here.
const USED: &[&str] = &[
    "id",
    "name",
    "version",
    "tagline",
    "description",
    "category",
    "developer",
    "website",
    "repo",
    "support",
    "port",
    "path",
    "dependencies",
    "implements",
    "backupIgnore",
    "defaultUsername",
    "defaultPassword",
    "deterministicPassword",
    "gallery",
    "icon",
    "torOnly",
    "disabled",
];
/// Keys of the description without a meaning here.
const LEFT: &[&str] = &[
    "manifestVersion",
    "releaseNotes",
    "widgets",
    "submitter",
    "submission",
    "permissions",
    "optimizedForUmbrelHome",
    "installSize",
    "requiresAuth",
    "defaultShell",
    "hooks",
];

/// What the apps of a store say of each other.
#[derive(Debug, Default)]
pub(crate) struct Index {
    apps: BTreeMap<String, Entry>,
}

/// What one app of the store says.
#[derive(Debug, Default, Clone)]
struct Entry {
    port: Option<String>,
    implements: Vec<String>,
    exports: BTreeMap<String, Export>,
    wanted: bool,
}

/// A well-known app.
#[derive(Debug, Default, Clone)]
struct Known {
    role: String,
    variables: BTreeMap<String, String>,
}

impl Known {
    /// The directory that it gives out to others.
    fn given(&self) -> Option<&str> {
        self.variables.values().find_map(|value| value.strip_prefix("@data "))
    }
}

impl Index {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let mut apps: BTreeMap<String, Entry> = BTreeMap::new();
        let mut wanted: Vec<String> = Vec::new();
        for source in sources.iter().filter(|source| source.kind == Kind::Umbrel) {
            let Some(config) = description(source).and_then(|found| found.ok()) else { continue };
            let id = config.text_of("id").unwrap_or(&source.name).to_owned();
            wanted.extend(texts(&config, "dependencies"));
            apps.insert(id, entry(source, &config));
        }
        for id in wanted {
            if let Some(entry) = apps.get_mut(&id) {
                entry.wanted = true;
            }
        }
        Self { apps }
    }
}

fn entry(source: &Source, config: &Value) -> Entry {
    let script = source.files.get("exports.sh").map(|bytes| String::from_utf8_lossy(bytes));
    Entry {
        port: config.text_of("port").map(str::to_owned),
        implements: texts(config, "implements"),
        exports: script.map(|script| exports::parse(&script)).unwrap_or_default(),
        wanted: false,
    }
}

fn description(source: &Source) -> Option<Result<Value, String>> {
    let names = ["umbrel-app.yml", "umbrel-app.yaml"];
    names.iter().find_map(|name| source.files.get(*name)).map(|bytes| value::read(bytes))
}

fn texts(config: &Value, key: &str) -> Vec<String> {
    let items = config.get(key).map(Value::items).unwrap_or_default();
    items.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// The table of well-known apps.
fn table() -> BTreeMap<String, Known> {
    let table = value::read(TABLE.as_bytes()).unwrap_or_default();
    let app = |value: &Value| Known {
        role: value.text_of("role").unwrap_or_default().to_owned(),
        variables: value
            .get("variables")
            .and_then(Value::as_map)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_text()?.to_owned())))
            .collect(),
    };
    table.as_map().into_iter().flatten().map(|(id, value)| (id.clone(), app(value))).collect()
}

pub(super) fn import(source: &Source, index: &Index) -> Result<super::Finished, ImportError> {
    let config = description(source)
        .transpose()
        .map_err(|why| ImportError::Unreadable(format!("umbrel-app.yml: {why}")))?
        .unwrap_or_default();
    let id = config.text_of("id").unwrap_or(&source.name).to_owned();
    let variables = Variables::new(source, &config, &id, index);
    let mut draft = Draft::new(source, &variables);
    let name = config.text_of("name").unwrap_or(&id).to_owned();
    identity(&mut draft, &id, Some(&name), config.text_of("version"));
    draft.owner = Some("1000:1000".to_owned());
    describe(&mut draft, &config);
    let mut project = project(&mut draft)?;
    let proxy = project.services.shift_remove(PROXY);
    sidecars(&mut draft, &mut project);
    let host = proxy.as_ref().and_then(|proxy| proxy_host(&draft, &project, proxy, &id));
    variables.pin(&project);
    let node = variables.node(&project);
    let main = node.clone().or_else(|| host.clone()).or_else(|| only(&project));
    draft.names = compose::names(&project, main.as_deref());
    compose::convert(&mut draft, &project);
    for (name, svc) in &mut draft.services {
        svc.names.push(format!("{id}_{name}_1"));
        svc.names.push(format!("{id}-{name}-1"));
        svc.shared |= node.as_deref() == Some(name);
    }
    variables.give(&mut draft);
    relations(&mut draft, &variables, &config, index);
    variables.neighbours(&mut draft);
    let door = match &proxy {
        Some(proxy) => proxied(&mut draft, proxy, host, &config),
        None => direct(&draft, &config),
    };
    complete(draft, door)
}

/// The store's Tor service beside an app only gives it an onion address; a role takes its place.
fn sidecars(draft: &mut Draft<'_>, project: &mut Project) {
    let tor = |service: &Map| {
        let volumes = service.get("volumes").map(Value::items).unwrap_or_default();
        volumes.iter().any(|volume| volume.brief().contains("TOR_DATA_DIR"))
    };
    let names: Vec<String> = project
        .services
        .iter()
        .filter(|(_, service)| tor(service))
        .map(|(name, _)| name.clone())
        .collect();
    if names.len() == project.services.len() {
        return;
    }
    for name in names {
        project.services.shift_remove(&name);
        let message = "the service that gives the app an onion address is left out";
        draft.find("tor", &format!("services.{name}"), message);
    }
}

fn only(project: &Project) -> Option<String> {
    let named = ["server", "web", "app", "main"];
    let known = named.iter().find(|name| project.services.contains_key(**name));
    known.map(|name| (*name).to_owned()).or_else(|| project.services.keys().next().cloned())
}

/// The service that the proxy asks.
fn proxy_host(draft: &Draft<'_>, project: &Project, proxy: &Map, id: &str) -> Option<String> {
    let env = compose::keyed(proxy.get("environment").unwrap_or(&Value::Null));
    let host = env.get("APP_HOST")?.as_text()?.to_owned();
    let pinned = host.trim_matches(['$', '{', '}', '"']);
    let _ = draft;
    let by_address = project.services.iter().find(|(_, service)| {
        addresses(service)
            .iter()
            .any(|address| address.trim_matches(['$', '{', '}', '"']) == pinned)
    });
    if let Some((name, _)) = by_address {
        return Some(name.clone());
    }
    let bare =
        host.strip_prefix(&format!("{id}_")).or_else(|| host.strip_prefix(&format!("{id}-")));
    let bare = bare.and_then(|rest| rest.strip_suffix("_1").or_else(|| rest.strip_suffix("-1")));
    let by_name = |name: &str| project.services.contains_key(name).then(|| name.to_owned());
    bare.and_then(by_name).or_else(|| by_name(&host)).or_else(|| {
        let named = |service: &Map| {
            ["container_name", "hostname"]
                .iter()
                .any(|key| service.get(*key).and_then(Value::as_text) == Some(host.as_str()))
        };
        let on_host = |service: &Map| service.get("network_mode").is_some();
        let mut all = project.services.iter();
        all.clone()
            .find(|(_, service)| named(service))
            .or_else(|| all.find(|(_, service)| on_host(service)))
            .map(|(name, _)| name.clone())
    })
}

/// Addresses that a service has on its networks, as written.
fn addresses(service: &Map) -> Vec<String> {
    let networks = service.get("networks").and_then(Value::as_map);
    let all = networks.into_iter().flat_map(Map::values);
    all.filter_map(|options| options.text_of("ipv4_address")).map(str::to_owned).collect()
}

fn proxied(
    draft: &mut Draft<'_>,
    proxy: &Map,
    host: Option<String>,
    config: &Value,
) -> Option<Door> {
    let place = format!("services.{PROXY}.environment");
    let env = compose::keyed(proxy.get("environment").unwrap_or(&Value::Null));
    let mut plain = |key: &str| {
        let text = env.get(key)?.as_text()?.to_owned();
        draft.plain(&text, &place)
    };
    let port = plain("APP_PORT").and_then(|text| text.trim().parse::<u16>().ok());
    let open = plain("PROXY_AUTH_ADD").is_some_and(|text| text.trim() == "false");
    let allowed = plain("PROXY_AUTH_WHITELIST").unwrap_or_default();
    let refused = plain("PROXY_AUTH_BLACKLIST").unwrap_or_default();
    for key in env.keys() {
        let known = [
            "APP_HOST",
            "APP_PORT",
            "PROXY_AUTH_ADD",
            "PROXY_AUTH_WHITELIST",
            "PROXY_AUTH_BLACKLIST",
        ];
        if !known.contains(&key.as_str()) {
            draft.find(
                "dropped-key",
                &place,
                format!("{key}: the node's gate has ways of its own"),
            );
        }
    }
    let all = allowed.split(',').any(|path| matches!(path.trim(), "*" | "/*"));
    let open = open || (all && refused.is_empty());
    if open {
        draft.find("gate", &place, "the source has no sign-in in front of the app");
    } else {
        draft.find("gate", &place, "the gate asks for the dashboard's sign-in");
        if !allowed.is_empty() {
            let message =
                format!("these paths are open in the source: {allowed}; here all are gated");
            draft.find("gate-path", &place, message);
        }
    }
    let Some(service) = host else {
        draft.find("unpublished-ui", &place, "the proxy asks a host that is no service here");
        return None;
    };
    let container = port?;
    let written = config.text_of("port").and_then(|text| text.parse::<u16>().ok());
    let why = "The source has no sign-in of its own in front of this app, which has one itself.";
    Some(Door {
        service,
        container,
        host: written.filter(|port| *port > 0).unwrap_or(container),
        path: config.text_of("path").filter(|path| !path.is_empty()).map(str::to_owned),
        protocol: None,
        open: open.then(|| why.to_owned()),
    })
}

/// Without a proxy the app publishes its door itself.
fn direct(draft: &Draft<'_>, config: &Value) -> Option<Door> {
    let host = config.text_of("port")?.parse::<u16>().ok().filter(|port| *port > 0)?;
    let path = config.text_of("path").filter(|path| !path.is_empty()).map(str::to_owned);
    for (name, svc) in &draft.services {
        if let Some(port) = svc.container.ports.iter().find(|port| port.host == Some(host)) {
            let service = name.clone();
            return Some(Door {
                service,
                container: port.container,
                host,
                path,
                ..Door::default()
            });
        }
    }
    let (name, _) = draft.services.iter().find(|(_, svc)| svc.host_network)?;
    Some(Door { service: name.clone(), container: host, host, path, ..Door::default() })
}

fn describe(draft: &mut Draft<'_>, config: &Value) {
    let tagline = config.text_of("tagline").and_then(prose);
    draft.app.description =
        config.text_of("description").and_then(prose).or_else(|| tagline.clone());
    if let Some(tagline) = tagline {
        draft.app.metadata.insert("tagline".to_owned(), tagline.into());
    }
    draft.app.category = config.text_of("category").map(label).filter(|c| !c.is_empty());
    for (key, name) in [
        ("developer", "author"),
        ("website", "website"),
        ("repo", "repo"),
        ("support", "support"),
        ("icon", "icon"),
        ("gallery", "screenshots"),
        ("defaultUsername", "default_username"),
    ] {
        metadata(draft, name, config.get(key));
    }
    upstream(draft, config.text_of("repo"));
    let password = config.text_of("defaultPassword").unwrap_or_default();
    if !password.is_empty() && !password.starts_with('$') {
        draft.find(
            "default-password",
            "umbrel-app.yml defaultPassword",
            "look whether the app asks to change it",
        );
    }
    if config.get("torOnly").is_some_and(Value::is_true) {
        draft.find("tor", "umbrel-app.yml torOnly", "the source shows the app over Tor only");
    }
    if config.get("disabled").is_some_and(Value::is_true) {
        draft.find("metadata", "umbrel-app.yml", "the store no longer offers the app");
    }
    let ignored: Vec<String> = texts(config, "backupIgnore")
        .iter()
        .filter_map(|path| crate::source::clean(path))
        .filter(|path| !path.is_empty() && !path.contains([':', ',', '\\']))
        .collect();
    if !ignored.is_empty() {
        draft.app.backup = Some(Backup { include: Vec::new(), exclude: ignored });
    }
    keys(draft, config, "umbrel-app.yml", USED, LEFT);
}

/// Roles: an app that others depend on fills one; a dependency asks for it.
fn relations(draft: &mut Draft<'_>, variables: &Variables<'_>, config: &Value, index: &Index) {
    let id = &variables.id;
    let mut provided: Vec<String> = Vec::new();
    let entry = index.apps.get(id);
    if variables.table.contains_key(id) || entry.is_some_and(|entry| entry.wanted) {
        provided.push(variables.role(id));
    }
    provided.extend(texts(config, "implements").iter().map(|other| variables.role(other)));
    for role in provided {
        if !role.is_empty() && !draft.app.provides.iter().any(|known| known.role == role) {
            draft.app.provides.push(Provide { role, version: None });
        }
    }
    for wanted in texts(config, "dependencies") {
        if wanted != *id {
            draft.require(&variables.role(&wanted));
        }
    }
}

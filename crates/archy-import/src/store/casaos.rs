//! A compose file with `x-casaos`: titles, door and descriptions stand in that block, data below
//! `/DATA`.

use super::{
    architectures, complete, identity, image_version, keys, metadata, project, prose, upstream,
    website,
};
use crate::ImportError;
use crate::compose::{self, Project};
use crate::draft::{Draft, Known, Vars, label};
use crate::expr::{Expr, Root};
use crate::finish::Door;
use crate::source::{self, Source};
use crate::value::{Map, Value};

/// Keys of the block that are used here.
const USED: &[&str] = &[
    "architectures",
    "main",
    "author",
    "category",
    "description",
    "developer",
    "icon",
    "tagline",
    "title",
    "index",
    "port_map",
    "scheme",
    "screenshot_link",
    "version",
    "website",
    "repo",
    "support",
    "docs",
    "tips",
];
/// Keys of the block without a meaning here.
const LEFT: &[&str] = &[
    "id",
    "thumbnail",
    "hostname",
    "update_at",
    "release_notes",
    "store_app_id",
    "is_uncontrolled",
    "envs",
    "ports",
    "volumes",
    "image",
    "cap_add",
    "network_mode",
    "gpu",
    "name",
    "custom",
    "before_install",
    "community",
    "min_memory",
    "min_disk",
    "web_ui",
    "privileged_reason",
];

/// The variables that CasaOS sets.
struct Variables {
    project: String,
}

impl Vars for Variables {
    fn get(&self, draft: &mut Draft<'_>, name: &str) -> Known {
        Known::Value(match name {
            "AppID" | "APP_ID" => Expr::text(self.project.clone()),
            "PUID" | "PGID" | "UID" | "GID" => Expr::text("1000"),
            "TZ" => draft.time_zone(),
            "default_username" => Expr::text("casaos"),
            "default_pwd" => {
                draft.find("generated-secret", name, "the store's default password is generated");
                Expr::secret(
                    draft.secret("default-password", archy_manifest::model::SecretKind::Hex16),
                )
            }
            _ => return Known::Unset,
        })
    }

    fn path(&self, _draft: &Draft<'_>, path: &str) -> Option<(Root, String)> {
        let rest = path.strip_prefix("/DATA")?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let mut parts = rest.trim_start_matches('/').splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("AppData"), Some(_), rest) => {
                Some((Root::Own, rest.unwrap_or_default().to_owned()))
            }
            (Some(_), _, _) => Some((Root::Shared, rest.trim_matches('/').to_lowercase())),
            (None, _, _) => Some((Root::Shared, String::new())),
        }
    }
}

pub(super) fn import(source: &Source) -> Result<super::Finished, ImportError> {
    let bytes = source::compose_file(&source.files).map(|(_, bytes)| bytes).unwrap_or_default();
    let root = crate::value::read(bytes).unwrap_or_default();
    let name = root.text_of("name").unwrap_or(&source.name).to_owned();
    let variables = Variables { project: name.clone() };
    let mut draft = Draft::new(source, &variables);
    let block = root.get("x-casaos").cloned().unwrap_or_default();
    let title = block.get("title").and_then(localized);
    let version = block.text_of("version").map(str::to_owned);
    identity(&mut draft, &name, title.as_deref().or(Some(&source.name)), version.as_deref());
    let project = project(&mut draft)?;
    let main = main(&project, &block);
    draft.names = compose::names(&project, main.as_deref());
    compose::convert(&mut draft, &project);
    if version.is_none() {
        image_version(&mut draft);
    }
    describe(&mut draft, &block);
    for (name, service) in &project.services {
        descriptions(&mut draft, name, service);
    }
    let door = door(&mut draft, &block, main.as_deref());
    complete(draft, door)
}

/// A text in English, else in whatever language there is.
fn localized(value: &Value) -> Option<String> {
    match value {
        Value::Scalar { text, .. } => prose(text),
        Value::Map(map) => {
            let languages = ["en_US", "en_us", "en_GB", "en", "custom"];
            let english = languages.iter().find_map(|key| map.get(*key));
            english.or_else(|| map.values().next()).and_then(Value::as_text).and_then(prose)
        }
        _ => None,
    }
}

fn main(project: &Project, block: &Value) -> Option<String> {
    let named = block.text_of("main").map(str::to_owned);
    named
        .filter(|name| project.services.contains_key(name))
        .or_else(|| project.services.keys().next().cloned())
}

fn describe(draft: &mut Draft<'_>, block: &Value) {
    let text = |key: &str| block.get(key).and_then(localized);
    let tagline = text("tagline");
    draft.app.description = text("description").or_else(|| tagline.clone());
    draft.app.category = block.text_of("category").map(label).filter(|c| !c.is_empty());
    for key in ["author", "developer", "icon", "website", "support", "docs", "screenshot_link"] {
        metadata(draft, key, block.get(key));
    }
    if let Some(tagline) = tagline {
        draft.app.metadata.insert("tagline".to_owned(), tagline.into());
    }
    let tips =
        block.get("tips").and_then(|tips| localized(tips.get("before_install").unwrap_or(tips)));
    if let Some(tips) = tips {
        draft.app.metadata.insert("tips".to_owned(), tips.into());
    }
    let repo = block.text_of("repo").map(str::to_owned);
    metadata(draft, "repo", block.get("repo"));
    upstream(draft, repo.as_deref());
    architectures(draft, block.get("architectures"));
    keys(draft, block, "x-casaos", USED, LEFT);
}

/// What a service's block says of its variables goes to the settings.
fn descriptions(draft: &mut Draft<'_>, name: &str, service: &Map) {
    let Some(block) = service.get("x-casaos") else { return };
    let place = format!("services.{name}.x-casaos");
    let mut idle = false;
    for entry in block.get("envs").map(Value::items).unwrap_or_default() {
        let Some(variable) = entry.text_of("container") else { continue };
        let Some(text) = entry.get("description").and_then(localized) else { continue };
        let setting = draft.app.config.get_mut(variable);
        match setting {
            Some(setting) if setting.help.is_none() => setting.help = Some(text),
            Some(_) => {}
            None => idle = true,
        }
    }
    if idle {
        draft.find("metadata", &place, "descriptions of variables with fixed values are left out");
    }
    if ["ports", "volumes"].iter().any(|key| block.get(key).is_some_and(|v| !v.is_empty())) {
        draft.find("metadata", &place, "descriptions of ports and volumes are left out");
    }
}

fn door(draft: &mut Draft<'_>, block: &Value, main: Option<&str>) -> Option<Door> {
    let host = block.text_of("port_map").and_then(|text| draft.plain(text, "x-casaos.port_map"));
    let host = host.and_then(|text| text.trim().parse::<u16>().ok()).filter(|port| *port > 0);
    let secure = block.text_of("scheme") == Some("https");
    let path = block.text_of("index").map(str::to_owned);
    let make = |service: &str, container: u16, host: u16| Door {
        service: service.to_owned(),
        container,
        host,
        path: path.clone(),
        protocol: secure.then(|| "https".to_owned()),
        open: None,
    };
    let Some(host) = host else {
        let main = main.and_then(|main| draft.services.get_key_value(main));
        let (name, svc) = main.or_else(|| draft.services.first())?;
        let (container, host) = website(&svc.container.ports)?;
        return Some(make(name, container, host));
    };
    let udp = Some(archy_manifest::schema::Transport::Udp);
    for (name, svc) in &draft.services {
        let port = svc.container.ports.iter().find(|p| p.host == Some(host) && p.protocol != udp);
        if let Some(port) = port {
            return Some(make(name, port.container, host));
        }
    }
    // on the host's network the port of the container is the host's
    let shared = draft.services.iter().find(|(_, svc)| svc.host_network);
    if let Some((name, _)) = shared {
        return Some(make(name, host, host));
    }
    let message = format!("no service publishes the port {host}");
    draft.find("unpublished-ui", "x-casaos.port_map", message);
    None
}

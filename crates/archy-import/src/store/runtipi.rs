//! `config.json` with form fields beside a compose file, in YAML or in the store's own JSON form
//! ("dynamic compose", schema versions 1 and 2).

use archy_manifest::model::SecretKind;
use archy_manifest::schema::{Setting, SettingType};
use serde_json::Value as Json;

use super::{architectures, complete, identity, keys, metadata, prose, upstream, website};
use crate::ImportError;
use crate::compose::{self, Project};
use crate::draft::{Draft, Known, Vars, label};
use crate::expr::{Atom, Expr, Root};
use crate::finish::Door;
use crate::source::Source;
use crate::value::{self, Map, Value};

mod dynamic;

/// Keys of `config.json` that are used here.
const USED: &[&str] = &[
    "name",
    "port",
    "id",
    "version",
    "description",
    "short_desc",
    "author",
    "source",
    "website",
    "categories",
    "form_fields",
    "supported_architectures",
    "uid",
    "gid",
    "https",
    "no_gui",
    "url_suffix",
    "available",
    "deprecated",
    "generate_vapid_keys",
];
/// Keys of `config.json` without a meaning here.
const LEFT: &[&str] = &[
    "exposable",
    "dynamic_config",
    "tipi_version",
    "min_tipi_version",
    "created_at",
    "updated_at",
    "force_expose",
    "force_pull",
    "urn",
    "requirements",
    "hidden",
    "nextTipiVersion",
];

/// The variables that Runtipi sets: its own, then the form's.
struct Variables {
    id: String,
    port: Option<u16>,
    fields: Vec<Value>,
    vapid: bool,
}

impl Vars for Variables {
    fn shared(&self, path: &str) -> Option<(Root, String)> {
        let media = path == "media" || path.starts_with("media/");
        (media || path.is_empty()).then(|| (Root::Shared, path.to_owned()))
    }

    fn get(&self, draft: &mut Draft<'_>, name: &str) -> Known {
        let port = || self.port.map(|port| port.to_string()).unwrap_or_default();
        Known::Value(match name {
            "APP_DATA_DIR" => Expr::atom(Atom::Dir(Root::Own)),
            "ROOT_FOLDER_HOST" | "STORAGE_PATH" | "RUNTIPI_MEDIA_PATH" => {
                Expr::atom(Atom::Dir(Root::Shared))
            }
            "APP_PORT" if self.port.is_some() => Expr::text(port()),
            "APP_ID" => Expr::text(self.id.clone()),
            "APP_HOST" => Expr::place("PUBLIC_HOST"),
            "INTERNAL_IP" => Expr::place("HOST_IP"),
            "LOCAL_DOMAIN" => Expr::place("HOST_MDNS"),
            "APP_DOMAIN" | "APP_LOCAL_DOMAIN" => {
                let mut domain = Expr::place("PUBLIC_HOST");
                domain.push(Atom::Text(format!(":{}", port())));
                domain
            }
            "APP_PROTOCOL" => Expr::text("http"),
            "APP_EXPOSED" => Expr::text("false"),
            "TZ" => draft.time_zone(),
            "NETWORK_INTERFACE" => Expr::text("0.0.0.0"),
            "PUID" | "PGID" | "UID" | "GID" => Expr::text("1000"),
            "DNS_IP" => Expr::text("9.9.9.9"),
            "VAPID_PUBLIC_KEY" | "VAPID_PRIVATE_KEY" if self.vapid => return Known::Missing,
            _ => match self.fields.iter().find(|f| f.text_of("env_variable") == Some(name)) {
                Some(field) => field_value(draft, name, field),
                None => return Known::Unset,
            },
        })
    }
}

pub(super) fn import(source: &Source) -> Result<super::Finished, ImportError> {
    let config = source.files.get("config.json").map(|bytes| value::read(bytes));
    let config = config
        .transpose()
        .map_err(|why| ImportError::Unreadable(format!("config.json: {why}")))?
        .unwrap_or_default();
    let port = config.text_of("port").and_then(|text| text.parse::<u16>().ok());
    let id = config.text_of("id").unwrap_or(&source.name).to_owned();
    let variables = Variables {
        id: id.clone(),
        port: port.filter(|port| *port > 0),
        fields: config.get("form_fields").map(Value::items).unwrap_or_default().to_vec(),
        vapid: config.get("generate_vapid_keys").is_some_and(Value::is_true),
    };
    let mut draft = Draft::new(source, &variables);
    let name = config.text_of("name").unwrap_or(&id).to_owned();
    identity(&mut draft, &id, Some(&name), config.text_of("version"));
    let number = |key: &str| config.text_of(key).and_then(|text| text.parse::<u32>().ok());
    let (uid, gid) = (number("uid").unwrap_or(1000), number("gid").unwrap_or(1000));
    draft.owner = Some(format!("{}:{}", uid.min(65_535), gid.min(65_535)));
    describe(&mut draft, &config);
    let (project, doors) = load(&mut draft)?;
    let main = main(&project, &doors, &id);
    draft.names = compose::names(&project, main.as_deref());
    compose::convert(&mut draft, &project);
    let door = door(&mut draft, &config, main.as_deref(), &doors, variables.port);
    complete(draft, door)
}

/// A service's own door: its name, main or not, the port in the container.
type Doors = Vec<(String, bool, Option<u16>)>;

/// The project, from the JSON form when it is there and the YAML has no marks of the store.
fn load(draft: &mut Draft<'_>) -> Result<(Project, Doors), ImportError> {
    let json = draft.source.files.get("docker-compose.json").cloned();
    let yaml = crate::source::compose_file(&draft.source.files);
    let marked = yaml.is_some_and(|(_, bytes)| {
        value::read(bytes).is_ok_and(|root| {
            let services =
                root.get("services").and_then(Value::as_map).cloned().unwrap_or_default();
            services.values().any(|service| service.get("x-runtipi").is_some())
        })
    });
    if let Some(json) = json.filter(|_| !marked) {
        let root = value::read(&json)
            .map_err(|why| ImportError::Unreadable(format!("docker-compose.json: {why}")))?;
        let (root, doors) = dynamic::compose(draft, &root);
        let project = compose::from_value(draft, root).map_err(ImportError::Unreadable)?;
        return Ok((project, doors));
    }
    let project = super::project(draft)?;
    let mut doors = Doors::new();
    for (name, service) in &project.services {
        let Some(block) = service.get("x-runtipi") else { continue };
        let port = block.text_of("internal_port").map(str::to_owned);
        let port = port.and_then(|text| draft.plain(&text, "x-runtipi")?.parse().ok());
        doors.push((name.clone(), block.get("is_main").is_some_and(Value::is_true), port));
        let place = format!("services.{name}.x-runtipi");
        keys(draft, block, &place, &["internal_port", "is_main"], &["extra_labels", "expose"]);
    }
    Ok((project, doors))
}

fn main(project: &Project, doors: &Doors, id: &str) -> Option<String> {
    let marked = doors.iter().find(|(_, main, _)| *main).map(|(name, ..)| name.clone());
    let labelled = |service: &Map| {
        let labels = service.get("labels").map(compose_labels).unwrap_or_default();
        labels.iter().any(|(key, _)| key.starts_with("traefik.http"))
    };
    marked
        .or_else(|| project.services.contains_key(id).then(|| id.to_owned()))
        .or_else(|| {
            project.services.iter().find(|(_, s)| labelled(s)).map(|(name, _)| name.clone())
        })
        .or_else(|| project.services.keys().next().cloned())
}

fn compose_labels(value: &Value) -> Vec<(String, String)> {
    let all = crate::compose::keyed(value);
    all.into_iter().map(|(key, value)| (key, value.brief())).collect()
}

fn door(
    draft: &mut Draft<'_>,
    config: &Value,
    main: Option<&str>,
    doors: &Doors,
    port: Option<u16>,
) -> Option<Door> {
    if config.get("no_gui").is_some_and(Value::is_true) {
        return None;
    }
    let main = main?;
    let inside = doors.iter().find(|(name, ..)| name == main).and_then(|(_, _, port)| *port);
    let svc = draft.services.get(main)?;
    let published = svc.container.ports.iter().find(|p| p.host == port && port.is_some());
    let container = inside.or_else(|| published.map(|port| port.container));
    let (container, host) = match (container, port) {
        (Some(container), port) => (container, port.unwrap_or(container)),
        (None, Some(port)) if svc.host_network => (port, port),
        _ => website(&svc.container.ports)?,
    };
    let secure = config.get("https").is_some_and(Value::is_true);
    Some(Door {
        service: main.to_owned(),
        container,
        host,
        path: config.text_of("url_suffix").map(str::to_owned),
        protocol: secure.then(|| "https".to_owned()),
        open: None,
    })
}

fn describe(draft: &mut Draft<'_>, config: &Value) {
    let short = config.text_of("short_desc").and_then(prose);
    draft.app.description = config.text_of("description").and_then(prose).or_else(|| short.clone());
    if let Some(short) = short {
        draft.app.metadata.insert("tagline".to_owned(), short.into());
    }
    let categories = config.get("categories").map(Value::items).unwrap_or_default();
    let category = categories.first().and_then(Value::as_text).map(label);
    draft.app.category = category.filter(|category| !category.is_empty());
    metadata(draft, "tags", config.get("categories"));
    metadata(draft, "author", config.get("author"));
    metadata(draft, "website", config.get("website"));
    metadata(draft, "repo", config.get("source"));
    upstream(draft, config.text_of("source"));
    architectures(draft, config.get("supported_architectures"));
    let off = config.get("available").is_some_and(|v| !v.is_true());
    if off || config.get("deprecated").is_some_and(Value::is_true) {
        draft.find("metadata", "config.json", "the store no longer offers the app");
    }
    keys(draft, config, "config.json", USED, LEFT);
}

/// The value of a form field: a generated secret, or a setting.
fn field_value(draft: &mut Draft<'_>, name: &str, field: &Value) -> Expr {
    let kind = field.text_of("type").unwrap_or("text");
    let place = format!("config.json form_fields {name}");
    let number = |key: &str| field.text_of(key).and_then(|text| text.parse::<f64>().ok());
    if kind == "random" {
        let base64 = field.text_of("encoding") == Some("base64");
        let long = number("min").or_else(|| number("max")).is_some_and(|n| n > 32.0);
        let kind = match (base64, long) {
            (true, _) => SecretKind::Base64,
            (false, true) => SecretKind::Hex32,
            (false, false) => SecretKind::Hex16,
        };
        draft.find("generated-secret", &place, "generated on each node");
        return Expr::secret(draft.secret(name, kind));
    }
    draft.find("setting", &place, format!("a field of type {kind}"));
    let label = field.text_of("label").and_then(prose);
    let hint = field.text_of("hint").and_then(prose);
    let placeholder = field.text_of("placeholder").and_then(prose);
    let help = match (hint, placeholder) {
        (Some(hint), Some(example)) => Some(format!("{hint} For example: {example}")),
        (hint, example) => hint.or_else(|| example.map(|text| format!("For example: {text}"))),
    };
    let options = field.get("options").map(Value::items).unwrap_or_default();
    let choices: Vec<String> = options
        .iter()
        .filter_map(|option| option.text_of("value").or_else(|| option.as_text()))
        .map(str::to_owned)
        .collect();
    let mut setting = Setting {
        label,
        help,
        required: field.get("required").is_some_and(Value::is_true),
        choices,
        ..Setting::default()
    };
    setting.kind = Some(match kind {
        _ if !setting.choices.is_empty() => SettingType::Choice,
        "password" => SettingType::Secret,
        "number" => SettingType::Number,
        "boolean" => SettingType::Boolean,
        _ => SettingType::Text,
    });
    limits(draft, &mut setting, field, &place);
    default(draft, &mut setting, field, &place);
    draft.setting(name, setting)
}

fn limits(draft: &mut Draft<'_>, setting: &mut Setting, field: &Value, place: &str) {
    let number = |key: &str| field.text_of(key).and_then(|text| text.parse::<f64>().ok());
    let length = |key: &str| field.text_of(key).and_then(|text| text.parse::<u32>().ok());
    match setting.kind {
        Some(SettingType::Number) => (setting.min, setting.max) = (number("min"), number("max")),
        Some(SettingType::Text) => {
            (setting.min_length, setting.max_length) = (length("min"), length("max"));
        }
        _ => {}
    }
    if let (Some(least), Some(most)) = (setting.min_length, setting.max_length)
        && least > most
    {
        setting.max_length = None;
    }
    if let Some(regex) = field.text_of("regex").filter(|regex| !regex.is_empty()) {
        let plain = !regex.contains(['\\', '(', '{', '|']);
        match archy_manifest::pattern::Pattern::parse(regex) {
            Ok(_) if plain && setting.kind == Some(SettingType::Text) => {
                setting.pattern = Some(regex.to_owned());
            }
            _ => draft.find("metadata", place, "its pattern is left out"),
        }
    }
}

fn default(draft: &mut Draft<'_>, setting: &mut Setting, field: &Value, place: &str) {
    let Some(text) = field.text_of("default") else { return };
    let value: Option<Json> = match setting.kind {
        Some(SettingType::Secret) => {
            draft.find("default-password", place, "its default is left out; the owner is asked");
            setting.required = true;
            None
        }
        Some(SettingType::Boolean) => Some(value::is_true(text).into()),
        Some(SettingType::Number) => text.parse::<i64>().ok().map(Json::from).or_else(|| {
            text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Json::Number)
        }),
        Some(SettingType::Choice) => {
            if !setting.choices.iter().any(|choice| choice == text) {
                setting.choices.push(text.to_owned());
            }
            Some(text.into())
        }
        _ => {
            let length = text.chars().count();
            let fits = |bound: Option<u32>, low: bool| {
                bound
                    .and_then(|b| usize::try_from(b).ok())
                    .is_none_or(|bound| if low { length >= bound } else { length <= bound })
            };
            if !fits(setting.min_length, true) || !fits(setting.max_length, false) {
                (setting.min_length, setting.max_length) = (None, None);
            }
            let pattern = setting.pattern.as_deref();
            let pattern = pattern.and_then(|p| archy_manifest::pattern::Pattern::parse(p).ok());
            if pattern.is_some_and(|pattern| !pattern.matches(text)) {
                setting.pattern = None;
            }
            Some(text.into())
        }
    };
    setting.default = value;
    if let (Some(Json::Number(number)), Some(SettingType::Number)) =
        (&setting.default, setting.kind)
    {
        let number = number.as_f64().unwrap_or_default();
        if setting.min.is_some_and(|min| number < min)
            || setting.max.is_some_and(|max| number > max)
        {
            (setting.min, setting.max) = (None, None);
        }
    }
}

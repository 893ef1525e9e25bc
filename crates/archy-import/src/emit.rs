//! The manifest as text: keys in the order that people read them, nothing that is a default.

use archy_manifest::model::{DependsOn, SecretKind};
use archy_manifest::schema::{
    App, AuthMode, Container, DerivedEnv, Env, Health, Mount, MountType, Port, Resources,
    SecretEnv, Security, Setting, SettingType, Transport, Ulimit,
};

use crate::value::{Map, Value};

/// Largest document that stays in one piece of memory in [`number`]s: sizes with a unit.
const UNITS: [(u64, &str); 3] = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];

/// The text of a manifest.
pub(crate) fn manifest(app: &App, head: &str) -> String {
    let mut root = Map::new();
    root.insert("app".to_owned(), self::app(app));
    let mut out = String::new();
    for line in head.lines() {
        out.push_str(&format!("# {line}\n"));
    }
    write(&mut out, &Value::Map(root), 0);
    out
}

/// Builds a mapping without its empty parts.
#[derive(Default)]
struct Builder(Map);

impl Builder {
    fn put(&mut self, key: &str, value: Value) {
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value);
        }
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        self.put(key, text.map_or(Value::Null, Value::text));
    }

    fn list(&mut self, key: &str, items: &[String]) {
        self.put(key, Value::List(items.iter().map(Value::text).collect()));
    }

    fn flag(&mut self, key: &str, on: bool) {
        if on {
            self.put(key, raw("true"));
        }
    }

    fn done(self) -> Value {
        Value::Map(self.0)
    }
}

/// A scalar that is written without quotes.
fn raw(text: impl Into<String>) -> Value {
    Value::Scalar { text: text.into(), plain: true }
}

fn number(number: impl Into<u64>) -> Value {
    raw(number.into().to_string())
}

fn size(bytes: u64) -> Value {
    let unit = UNITS.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    raw(unit.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit)))
}

fn pairs<'m>(map: impl IntoIterator<Item = (&'m String, &'m String)>) -> Value {
    Value::Map(map.into_iter().map(|(key, text)| (key.clone(), Value::text(text))).collect())
}

fn app(app: &App) -> Value {
    let mut out = Builder::default();
    out.text("id", Some(&app.id));
    out.text("name", Some(&app.name));
    out.text("version", Some(&app.version));
    out.text("description", app.description.as_deref());
    out.text("category", app.category.as_deref());
    if let Some(upstream) = &app.upstream {
        let mut inner = Builder::default();
        inner.text("kind", Some(&upstream.kind));
        inner.text("repo", Some(&upstream.repo));
        out.put("upstream", inner.done());
    }
    let services = app.services.iter().map(|(name, c)| (name.clone(), container(c)));
    out.put("services", Value::Map(services.collect()));
    let volumes = app.named_volumes.keys().map(|name| (name.clone(), Value::Map(Map::new())));
    out.put("named_volumes", Value::Map(volumes.collect()));
    let config = app.config.iter().map(|(key, s)| (key.clone(), setting(s)));
    out.put("config", Value::Map(config.collect()));
    let secrets = app.secrets.iter().map(|(name, kind)| (name.clone(), Value::text(secret(*kind))));
    out.put("secrets", Value::Map(secrets.collect()));
    out.put("files", Value::List(app.files.iter().map(file).collect()));
    relations(&mut out, app);
    out.put("interfaces", interfaces(app));
    if let Some(backup) = &app.backup {
        let mut inner = Builder::default();
        inner.list("include", &backup.include);
        inner.list("exclude", &backup.exclude);
        out.put("backup", inner.done());
    }
    let architectures: Vec<_> = app.architectures.iter().map(|a| raw(a.as_str())).collect();
    out.put("architectures", Value::List(architectures));
    out.put("metadata", json(&serde_json::Value::Object(app.metadata.clone())));
    out.done()
}

fn file(file: &archy_manifest::schema::File) -> Value {
    let mut out = Builder::default();
    out.text("path", Some(&file.path));
    out.0.insert("content".to_owned(), Value::text(&file.content));
    out.flag("overwrite", file.overwrite);
    out.text("mode", file.mode.as_deref());
    out.done()
}

fn relations(out: &mut Builder, app: &App) {
    let provides = app.provides.iter().map(|provide| {
        let mut inner = Builder::default();
        inner.text("role", Some(&provide.role));
        inner.text("version", provide.version.as_deref());
        inner.done()
    });
    out.put("provides", Value::List(provides.collect()));
    let requires = app.requires.iter().map(|require| {
        let mut inner = Builder::default();
        inner.text("app", require.app.as_deref());
        inner.text("role", require.role.as_deref());
        inner.flag("optional", require.optional);
        inner.done()
    });
    out.put("requires", Value::List(requires.collect()));
}

fn interfaces(app: &App) -> Value {
    let all = app.interfaces.iter().map(|(name, interface)| {
        let mut out = Builder::default();
        out.text("name", interface.name.as_deref());
        out.put("port", number(interface.port));
        out.text("protocol", interface.protocol.as_deref().filter(|p| *p != "http"));
        out.text("path", interface.path.as_deref());
        (name.clone(), out.done())
    });
    Value::Map(all.collect())
}

fn container(container: &Container) -> Value {
    let mut out = Builder::default();
    out.text("image", container.image.as_deref());
    if let Some(build) = &container.build {
        let mut inner = Builder::default();
        inner.text("context", build.context.as_deref());
        inner.text("containerfile", build.containerfile.as_deref());
        inner.put("args", pairs(&build.args));
        out.put("build", inner.done());
    }
    out.flag("oneshot", container.oneshot);
    out.text("user", container.user.as_deref());
    out.text("data_uid", container.data_uid.as_deref());
    out.list("entrypoint", container.entrypoint.as_deref().unwrap_or_default());
    out.list("command", &container.command);
    out.text("working_dir", container.working_dir.as_deref());
    if let Some(Env::Map(env)) = &container.env {
        out.put("env", pairs(env));
    }
    if let Some(DerivedEnv::Map(env)) = &container.derived_env {
        out.put("derived_env", pairs(env));
    }
    if let Some(SecretEnv::Map(env)) = &container.secret_env {
        out.put("secret_env", pairs(env));
    }
    out.put("secret_files", pairs(&container.secret_files));
    out.text("network", container.network.as_deref());
    out.list("aliases", &container.aliases);
    out.put("ports", Value::List(container.ports.iter().map(port).collect()));
    out.put("volumes", Value::List(container.volumes.iter().map(mount).collect()));
    out.list("devices", &container.devices);
    out.put("health", container.health.as_ref().map_or(Value::Null, health));
    let depends = container.depends_on.iter().map(|(name, on)| {
        let word = match on {
            DependsOn::Started => "started",
            DependsOn::Healthy => "healthy",
            DependsOn::Completed => "completed",
            DependsOn::Ready => "ready",
        };
        (name.clone(), raw(word))
    });
    out.put("depends_on", Value::Map(depends.collect()));
    out.put("resources", container.resources.as_ref().map_or(Value::Null, resources));
    out.put("security", container.security.as_ref().map_or(Value::Null, security));
    out.flag("init", container.init);
    out.put("labels", pairs(&container.labels));
    if let Some(grace) = container.stop_grace_secs {
        out.put("stop_grace_secs", number(grace.0));
    }
    out.text("stop_signal", container.stop_signal.as_deref());
    out.done()
}

fn port(port: &Port) -> Value {
    let mut out = Builder::default();
    out.put("host", port.host.map_or(Value::Null, number));
    out.put("container", number(port.container));
    if port.protocol == Some(Transport::Udp) {
        out.put("protocol", raw("udp"));
    }
    out.text("bind", port.bind.as_deref());
    let auth = port.auth.map(|auth| match auth {
        AuthMode::Gated => "gated",
        AuthMode::Open => "open",
        AuthMode::None => "none",
        AuthMode::Local => "local",
        AuthMode::Session => "session",
    });
    out.put("auth", auth.map_or(Value::Null, raw));
    out.text("auth_rationale", port.auth_rationale.as_deref());
    out.done()
}

fn mount(mount: &Mount) -> Value {
    let mut out = Builder::default();
    let kind = match mount.kind {
        None | Some(MountType::Bind) => "bind",
        Some(MountType::Volume) => "volume",
        Some(MountType::File) => "file",
        Some(MountType::Package) => "package",
        Some(MountType::Role) => "role",
        Some(MountType::Tmpfs) => "tmpfs",
    };
    out.put("type", raw(kind));
    out.text("source", mount.source.as_deref());
    out.text("target", Some(&mount.target));
    out.flag("read_only", mount.read_only == Some(true));
    out.text("owner", mount.owner.as_deref());
    out.put("size", mount.size.map_or(Value::Null, |s| size(s.0)));
    out.text("mode", mount.mode.as_deref());
    out.done()
}

fn health(health: &Health) -> Value {
    let mut out = Builder::default();
    out.put("type", raw("exec"));
    out.list("command", &health.command);
    let mut seconds = |key: &str, value: Option<archy_manifest::schema::Seconds>| {
        if let Some(value) = value {
            out.put(key, raw(format!("{}s", value.0)));
        }
    };
    seconds("interval", health.interval);
    seconds("timeout", health.timeout);
    seconds("start_period", health.start_period);
    out.put("retries", health.retries.map_or(Value::Null, number));
    out.done()
}

fn resources(resources: &Resources) -> Value {
    let mut out = Builder::default();
    out.put("memory", resources.memory.map_or(Value::Null, |s| size(s.0)));
    out.put("cpus", resources.cpus.map_or(Value::Null, |cpus| raw(cpus.to_string())));
    out.put("pids", resources.pids.map_or(Value::Null, number));
    out.put("log_size", resources.log_size.map_or(Value::Null, |s| size(s.0)));
    out.put("shm_size", resources.shm_size.map_or(Value::Null, |s| size(s.0)));
    let limits = resources.ulimits.iter().map(|(name, limit)| {
        let value = match limit {
            Ulimit::Both(both) => number(*both),
            Ulimit::Pair(pair) => {
                let mut inner = Builder::default();
                inner.put("soft", number(pair.soft));
                inner.put("hard", number(pair.hard));
                inner.done()
            }
        };
        (name.clone(), value)
    });
    out.put("ulimits", Value::Map(limits.collect()));
    out.done()
}

fn security(security: &Security) -> Value {
    let mut out = Builder::default();
    out.list("capabilities", &security.capabilities);
    out.text("capabilities_rationale", security.capabilities_rationale.as_deref());
    out.flag("readonly_root", security.readonly_root);
    out.done()
}

fn setting(setting: &Setting) -> Value {
    let mut out = Builder::default();
    let kind = match setting.kind {
        None | Some(SettingType::Text) => "text",
        Some(SettingType::Number) => "number",
        Some(SettingType::Boolean) => "boolean",
        Some(SettingType::Choice) => "choice",
        Some(SettingType::Secret) => "secret",
        Some(SettingType::Port) => "port",
        Some(SettingType::Path) => "path",
    };
    out.put("type", raw(kind));
    out.text("label", setting.label.as_deref());
    out.text("help", setting.help.as_deref());
    out.put("default", setting.default.as_ref().map_or(Value::Null, json));
    out.flag("required", setting.required);
    out.list("choices", &setting.choices);
    out.put("min", setting.min.map_or(Value::Null, |n| raw(n.to_string())));
    out.put("max", setting.max.map_or(Value::Null, |n| raw(n.to_string())));
    out.flag("integer", setting.integer);
    out.put("min_length", setting.min_length.map_or(Value::Null, number));
    out.put("max_length", setting.max_length.map_or(Value::Null, number));
    out.text("pattern", setting.pattern.as_deref());
    let targets = setting.targets.iter().map(|target| {
        let mut inner = Builder::default();
        inner.text("service", target.service.as_deref());
        inner.text("env", target.env.as_deref());
        inner.text("file", target.file.as_deref());
        inner.done()
    });
    out.put("targets", Value::List(targets.collect()));
    out.done()
}

const fn secret(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::Hex16 => "hex16",
        SecretKind::Hex32 => "hex32",
        SecretKind::Base64 => "base64",
        SecretKind::Bcrypt => "bcrypt",
        SecretKind::Supplied => "supplied",
    }
}

fn json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::Null,
        Json::Bool(yes) => raw(yes.to_string()),
        Json::Number(number) => raw(number.to_string()),
        Json::String(text) => Value::text(text),
        Json::Array(items) => Value::List(items.iter().map(json).collect()),
        Json::Object(map) => Value::Map(map.iter().map(|(k, v)| (k.clone(), json(v))).collect()),
    }
}

/// Writes a collection, each line indented.
fn write(out: &mut String, value: &Value, indent: usize) {
    let margin = " ".repeat(indent);
    match value {
        Value::Map(map) => {
            for (key, value) in map {
                out.push_str(&format!("{margin}{}:", scalar(key, false, 0)));
                below(out, value, indent);
            }
        }
        Value::List(items) => {
            for item in items {
                let mut inner = String::new();
                match item {
                    Value::Map(map) if !map.is_empty() => {
                        write(&mut inner, item, indent + 2);
                        let rest = inner.get(indent + 2..).unwrap_or_default();
                        out.push_str(&format!("{margin}- {rest}"));
                    }
                    other => {
                        out.push_str(&format!("{margin}-"));
                        below(out, other, indent);
                    }
                }
            }
        }
        scalar => below(out, scalar, indent),
    }
}

/// Writes a value after `key:` or `-`.
fn below(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str(" null\n"),
        Value::Scalar { text, plain } => {
            out.push_str(&format!(" {}\n", scalar(text, *plain, indent + 2)));
        }
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(map) if map.is_empty() => out.push_str(" {}\n"),
        collection => {
            out.push('\n');
            write(out, collection, indent + 2);
        }
    }
}

/// A scalar: as it stands, in quotes, or as a block of lines.
fn scalar(text: &str, plain: bool, indent: usize) -> String {
    if plain || is_plain(text) {
        return text.to_owned();
    }
    let visible =
        |c: char| !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    let lines = text.trim_end_matches('\n');
    let block = indent > 0
        && lines.contains('\n')
        && text.len() - lines.len() <= 1
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|c| visible(c) || c == '\n');
    if block {
        let margin = " ".repeat(indent);
        let mut out = String::from(if text.ends_with('\n') { "|" } else { "|-" });
        for line in lines.split('\n') {
            out.push('\n');
            if !line.is_empty() {
                out.push_str(&margin);
                out.push_str(line);
            }
        }
        return out;
    }
    // JSON's strings are YAML's, but for characters that YAML wants escaped
    let json = serde_json::Value::from(text).to_string();
    json.chars()
        .map(|c| if visible(c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
        .collect()
}

/// True for a text that YAML reads as that text without quotes.
fn is_plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-./@+=,() ".contains(c);
    let start = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_' | '.'));
    let lower = text.to_ascii_lowercase();
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", ".inf", ".nan"];
    start
        && text.len() <= 200
        && text.chars().all(|c| word(c) || c == ':')
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !text.starts_with("...")
        && !reserved.contains(&lower.as_str())
        && text.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "plain",
            "true",
            "1.10",
            "",
            " x",
            "a: b",
            "a #b",
            "- a",
            "{{x}}",
            "line\nline",
            "line\n\n  two\n",
            "tab\there",
            "quote\"s",
            "é\u{2028}x",
            "\n",
            "a\n\n",
            "null",
            "0x1",
            "*a",
            "!x",
            "'",
            "1e3",
            "x:",
            "http://a:80/b",
            "12:34",
        ] {
            let mut inner = Map::new();
            inner.insert("k".to_owned(), Value::text(text));
            let list = Value::List(vec![Value::Map(inner.clone()), Value::text(text)]);
            let mut map = inner;
            map.insert("l".to_owned(), list);
            let mut out = String::new();
            write(&mut out, &Value::Map(map), 0);
            let back = crate::value::read(out.as_bytes()).unwrap();
            let items = back.get("l").unwrap().items();
            for found in [back.text_of("k"), items[0].text_of("k"), items[1].as_text()] {
                assert_eq!(found, Some(text), "{out}");
            }
        }
    }
}

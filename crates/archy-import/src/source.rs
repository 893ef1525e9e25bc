//! What is handed in: files by relative path. One app, or a whole store.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::value::{self, Value};

/// Files by their path relative to the imported directory, with `/` between parts.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Names of compose files, the first one wins.
pub const COMPOSE_NAMES: &[&str] =
    &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A compose file of its own.
    Compose,
    /// `umbrel-app.yml` beside a compose file.
    Umbrel,
    /// `config.json` beside a compose file, in YAML or JSON.
    Runtipi,
    /// A compose file with `x-casaos`.
    Casaos,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Compose, Self::Umbrel, Self::Runtipi, Self::Casaos];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Umbrel => "umbrel",
            Self::Runtipi => "runtipi",
            Self::Casaos => "casaos",
        }
    }
}

/// One app as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path of its directory, relative to what was handed in; empty when it is that itself.
    pub path: String,
    /// Name of its directory.
    pub name: String,
    /// Kind.
    pub kind: Kind,
    /// Its files, relative to its directory.
    pub files: Files,
}

/// Finds the apps in what was handed in: directories with a compose file, or with the description
/// of a store. `name` stands for the directory itself; `kind` forces a kind.
#[must_use]
pub fn find(files: &Files, name: &str, kind: Option<Kind>) -> Vec<Source> {
    let mut dirs: Vec<&str> =
        files.keys().filter(|path| is_mark(file_name(path))).map(|path| parent(path)).collect();
    dirs.sort_unstable();
    dirs.dedup();
    if dirs.is_empty() && compose_file(files).is_some() {
        dirs.push("");
    }
    let roots: Vec<&str> =
        dirs.iter().copied().filter(|dir| !dirs.iter().any(|outer| is_below(dir, outer))).collect();
    let mut sources = Vec::new();
    for root in roots {
        let own: Files = files
            .iter()
            .filter_map(|(path, bytes)| Some((relative(path, root)?.to_owned(), bytes.clone())))
            .collect();
        let Some(kind) = kind.or_else(|| guess(&own)) else { continue };
        let name = if root.is_empty() { name } else { file_name(root) };
        sources.push(Source { path: root.to_owned(), name: name.to_owned(), kind, files: own });
    }
    sources
}

/// The kind of an app, by its files.
#[must_use]
pub fn guess(files: &Files) -> Option<Kind> {
    if files.contains_key("umbrel-app.yml") || files.contains_key("umbrel-app.yaml") {
        return Some(Kind::Umbrel);
    }
    let config = files.get("config.json").and_then(|bytes| value::read(bytes).ok());
    let ours = |config: &Value| {
        ["tipi_version", "dynamic_config", "form_fields", "min_tipi_version"]
            .iter()
            .any(|key| config.get(key).is_some())
    };
    if config.as_ref().is_some_and(ours) || files.contains_key("docker-compose.json") {
        return Some(Kind::Runtipi);
    }
    let (_, bytes) = compose_file(files)?;
    // one that cannot be read is reported by the import
    let compose = value::read(bytes).unwrap_or_default();
    let casaos = |value: &Value| value.get("x-casaos").is_some();
    let services = compose.get("services").and_then(Value::as_map);
    if casaos(&compose) || services.is_some_and(|all| all.values().any(casaos)) {
        return Some(Kind::Casaos);
    }
    let runtipi = |value: &Value| value.get("x-runtipi").is_some();
    if runtipi(&compose) || services.is_some_and(|all| all.values().any(runtipi)) {
        return Some(Kind::Runtipi);
    }
    Some(Kind::Compose)
}

/// The compose file of an app: one of the usual names, or the only YAML file.
#[must_use]
pub fn compose_file(files: &Files) -> Option<(&str, &[u8])> {
    let usual = COMPOSE_NAMES.iter().find_map(|name| files.get_key_value(*name));
    let only = || {
        let mut found = files.iter().filter(|(path, _)| {
            !path.contains('/') && (path.ends_with(".yml") || path.ends_with(".yaml"))
        });
        found.next().filter(|_| found.next().is_none())
    };
    usual.or_else(only).map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
}

fn is_mark(name: &str) -> bool {
    COMPOSE_NAMES.contains(&name)
        || matches!(name, "umbrel-app.yml" | "umbrel-app.yaml" | "docker-compose.json")
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn relative<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    if root.is_empty() {
        return Some(path);
    }
    path.strip_prefix(root)?.strip_prefix('/')
}

fn is_below(path: &str, outer: &str) -> bool {
    path != outer && relative(path, outer).is_some()
}

/// A path without `.`, `..` and empty parts; nothing when it leaves its root.
pub(crate) fn clean(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn kinds() {
        for (list, kind) in [
            (&[("compose.yaml", "services: {}")][..], Kind::Compose),
            (&[("docker-compose.yml", ""), ("umbrel-app.yml", "")], Kind::Umbrel),
            (
                &[("docker-compose.yml", ""), ("config.json", "{\"tipi_version\": 1}")],
                Kind::Runtipi,
            ),
            (&[("docker-compose.json", "{}"), ("config.json", "{}")], Kind::Runtipi),
            (&[("docker-compose.yml", "services: {a: {x-casaos: {}}}")], Kind::Casaos),
            (&[("compose.yml", "x-casaos: {}")], Kind::Casaos),
            (&[("only.yml", "services: {}")], Kind::Compose),
        ] {
            assert_eq!(guess(&files(list)), Some(kind), "{list:?}");
        }
        assert_eq!(guess(&files(&[("readme.md", "")])), None);
    }

    #[test]
    fn a_store() {
        let found = find(
            &files(&[
                ("a/docker-compose.yml", "services: {}"),
                ("a/sub/docker-compose.yml", "services: {}"),
                ("a/data/x.conf", ""),
                ("apps/b/compose.yaml", "services: {}"),
                ("readme.md", ""),
            ]),
            "store",
            None,
        );
        let seen: Vec<_> = found.iter().map(|s| (s.path.as_str(), s.files.len())).collect();
        assert_eq!(seen, [("a", 3), ("apps/b", 1)]);
        let one = find(&files(&[("compose.yaml", "")]), "one", None);
        assert_eq!(one.first().map(|s| s.name.as_str()), Some("one"));
    }

    #[test]
    fn paths() {
        for (path, cleaned) in
            [("./a//b/", Some("a/b")), ("a/../b", Some("b")), ("../b", None), ("", Some(""))]
        {
            assert_eq!(clean(path).as_deref(), cleaned, "{path}");
        }
    }
}

//! How a file that is there differs from the one that should be.

use std::collections::BTreeMap;

use archy_manifest::model::{FileTemplate, Service, SettingKind};
use archy_manifest::template::{Part, Placeholder};
use archy_quadlet::render::{LABEL_GENERATION, LABEL_MANIFEST};
use archy_types::Digest;
use similar::TextDiff;

use crate::desired::DesiredApp;
use crate::observed::FileState;

/// Difference of a unit file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drift {
    /// The text is as it should be.
    Same,
    /// There is no file.
    Missing,
    /// Only lines differ that a running container does not depend on.
    Inert,
    /// Only figures of the node differ that change all the time; they are written with the next
    /// start.
    Figure,
    /// Only values differ that an app takes over with its next start (addresses of the node).
    Later,
    /// A running container is not what it should be.
    Real,
}

/// Compares a unit file with the wanted text. `kind` tells how a difference of a variable counts:
/// [`Drift::Figure`], [`Drift::Later`] or [`Drift::Real`].
pub(crate) fn unit_file(old: Option<&str>, new: &str, kind: impl Fn(&str) -> Drift) -> Drift {
    let Some(old) = old else { return Drift::Missing };
    if old == new {
        return Drift::Same;
    }
    if significant(old).eq(significant(new)) {
        return Drift::Inert;
    }
    let figure = |name: &str| kind(name) == Drift::Figure;
    // all other lines as well: a figure alone is no reason to write
    let exact = |text| lines(text).map(|line| mask(line, figure));
    if exact(old).eq(exact(new)) {
        return Drift::Figure;
    }
    let masked = |text| significant(text).map(|line| mask(line, |name| kind(name) != Drift::Real));
    if masked(old).eq(masked(new)) { Drift::Later } else { Drift::Real }
}

/// A variable that is taken over later counts by its name alone.
fn mask<'a>(line: Line<'a>, later: impl Fn(&str) -> bool) -> Line<'a> {
    match variable(line.text) {
        Some(name) if later(name) => Line { text: name, rest: "" },
        _ => line,
    }
}

/// A line without what a running container does not depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line<'a> {
    text: &'a str,
    rest: &'a str,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().map(|line| Line { text: line, rest: "" })
}

fn significant(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().map(str::trim_end).filter(|line| !inert(line)).map(|line| {
        for key in [LABEL_GENERATION, LABEL_MANIFEST] {
            if let Some(at) = line.find(key)
                && line[at + key.len()..].starts_with('=')
            {
                let (text, value) = line.split_at(at + key.len());
                let end = value.find([' ', '"', '\'']).unwrap_or(value.len());
                return Line { text, rest: &value[end..] };
            }
        }
        Line { text: line, rest: "" }
    })
}

fn inert(line: &str) -> bool {
    line.is_empty()
        || line.starts_with(['#', ';'])
        || line == "[Install]"
        || line.starts_with("WantedBy=")
        || line.starts_with("Description=")
        // an order among starts
        || line.starts_with("After=")
        // how many of them there may be: systemd's own business
        || line.starts_with("StartLimit")
}

/// The variable that a line `Environment=` sets.
fn variable(line: &str) -> Option<&str> {
    let text = line.strip_prefix("Environment=")?.trim_start_matches(['"', '\'']);
    text.split_once('=').map(|(name, _)| name)
}

/// How a difference of a service's variable counts. Addresses and figures of the node are resolved
/// at each start, and a change of them alone does not restart an app.
pub(crate) fn of_variable(service: &Service, variable: &str) -> Drift {
    let Some(template) = service.derived_env.get(variable) else { return Drift::Real };
    let of_placeholder = |placeholder: &Placeholder| match placeholder {
        Placeholder::DiskGb => Some(Drift::Figure),
        Placeholder::HostIp
        | Placeholder::HostMdns
        | Placeholder::PublicHost
        | Placeholder::NodeIdentityPubkeys
        | Placeholder::NodeNostrPubkey => Some(Drift::Later),
        _ => None,
    };
    let kinds = || template.placeholders().filter_map(of_placeholder);
    if kinds().any(|kind| kind == Drift::Later) {
        Drift::Later
    } else {
        kinds().next().unwrap_or(Drift::Real)
    }
}

/// The unified difference of two texts.
pub(crate) fn diff(file_name: &str, old: &str, new: &str) -> String {
    let (from, to) = (format!("a/{file_name}"), format!("b/{file_name}"));
    TextDiff::from_lines(old, new).unified_diff().context_radius(2).header(&from, &to).to_string()
}

/// Difference of a file made from a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileDrift {
    /// It is there, and stays as it is.
    Same,
    /// It is not there.
    Missing,
    /// Its content differs from the template's.
    Changed,
    /// Its content differs from the template's; that may be due to what the node fills in alone
    /// (its addresses), which is taken over with the next start.
    Later,
    /// Its content cannot be told here; it is written anew before each start.
    AtStart,
}

/// What the node fills in for placeholders.
type Values = BTreeMap<Placeholder, String>;

/// Compares a file with its template, as far as the content can be told without secrets and
/// without what only the node knows at the moment of a start.
pub(crate) fn file(
    app: &DesiredApp,
    values: &Values,
    file: &FileTemplate,
    seen: Option<&FileState>,
) -> FileDrift {
    let hash = match seen {
        None => return FileDrift::Missing,
        Some(FileState::Directory) => return FileDrift::Same,
        Some(FileState::File { hash }) => hash,
    };
    if !file.overwrite {
        return FileDrift::Same;
    }
    // a file that could not be read has no digest
    if hash.len() != 64 {
        return FileDrift::AtStart;
    }
    match content(app, values, file) {
        None => FileDrift::AtStart,
        Some(content) if Digest::of(content.as_bytes()).hex() == *hash => FileDrift::Same,
        Some(_) if file.content.placeholders().any(|p| !is_setting(p)) => FileDrift::Later,
        Some(_) => FileDrift::Changed,
    }
}

/// What the owner chooses, and what is known for sure.
const fn is_setting(placeholder: &Placeholder) -> bool {
    matches!(placeholder, Placeholder::Config(_) | Placeholder::Port(_))
}

/// True when a choice of the owner is part of the file.
pub(crate) fn has_setting(file: &FileTemplate) -> bool {
    file.content.placeholders().any(is_setting)
}

fn content(app: &DesiredApp, values: &Values, file: &FileTemplate) -> Option<String> {
    let mut text = String::new();
    for part in file.content.parts() {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Placeholder(Placeholder::Config(key)) => text.push_str(&setting(app, key)?),
            Part::Placeholder(Placeholder::Secret(_)) => return None,
            Part::Placeholder(Placeholder::Port(port)) => {
                text.push_str(&app.host_port(*port)?.to_string());
            }
            Part::Placeholder(placeholder) => text.push_str(values.get(placeholder)?),
        }
    }
    Some(text)
}

/// The text of a setting: the owner's choice, else the default, else nothing. None for a secret one.
#[must_use]
pub fn setting(app: &DesiredApp, key: &str) -> Option<String> {
    let setting = app.manifest.config.get(key)?;
    if setting.kind == SettingKind::Secret {
        return None;
    }
    let chosen = app.settings.get(key).filter(|value| !value.is_null());
    match chosen.or(setting.default.as_ref()) {
        None | Some(serde_json::Value::Null) => Some(String::new()),
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(serde_json::Value::Bool(yes)) => Some(yes.to_string()),
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        Some(_) => None,
    }
}

//! What is tested: an app's manifest with all that follows from it.

use archy_manifest::model::{ImageSource, MountSource, SettingKind};
use archy_manifest::schema::{Document, Env, Seconds};
use archy_manifest::{Manifest, parse_document};
use archy_types::Digest;
use serde_json::Value;

use crate::own_test::OwnTest;

/// How long a version that the gate makes must stay healthy, where the manifest says nothing.
const SOAK_SECS: u32 = 5;
/// Variable that makes the next version's containers others.
const MARK: &str = "ARCHY_GATE";

/// Why an app cannot be tested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The manifest is not valid.
    #[error("the manifest is not valid:\n{0}")]
    Manifest(String),
    /// The next version is not one of this app.
    #[error("the next version is {0}")]
    Next(String),
}

/// One app.
#[derive(Debug, Clone)]
pub struct AppSpec {
    /// Text of the manifest.
    pub text: String,
    /// Its digest, as the daemon has it.
    pub digest: String,
    /// The manifest.
    pub manifest: Manifest,
    /// The author's own steps.
    pub own: OwnTest,
    /// Text of the next version's manifest.
    pub next: String,
    /// Files of the package by their path below the manifest; only where the manifest needs them.
    pub files: Vec<(String, Vec<u8>)>,
    /// The package's directory on the node, where it is already there.
    pub directory: Option<String>,
}

impl AppSpec {
    /// An app from its manifest; without a next version one is made.
    ///
    /// # Errors
    /// A manifest is not valid, or the next one is another app's.
    pub fn new(text: String, own: OwnTest, next: Option<String>) -> Result<Self, SpecError> {
        let manifest = parse(&text)?;
        let next = match next {
            Some(next) => next,
            None => successor(&text, &manifest)?,
        };
        let after = parse(&next)?;
        if after.id != manifest.id {
            return Err(SpecError::Next(format!("of another app, {}", after.id)));
        }
        if Digest::of(next.as_bytes()) == Digest::of(text.as_bytes()) {
            return Err(SpecError::Next("the same manifest".to_owned()));
        }
        let digest = Digest::of(text.as_bytes()).to_string();
        Ok(Self { text, digest, manifest, own, next, files: Vec::new(), directory: None })
    }

    /// The app's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.manifest.id.as_str()
    }

    /// It needs files beside its manifest.
    #[must_use]
    pub fn needs_files(&self) -> bool {
        let mut services = self.manifest.services.values();
        services.any(|service| {
            matches!(service.source, ImageSource::Build { .. })
                || service.mounts.iter().any(|m| matches!(m.source, MountSource::Package(_)))
        })
    }

    /// Longest stop of its services, in seconds.
    #[must_use]
    pub fn grace_secs(&self) -> u32 {
        self.manifest.services.values().map(|service| service.stop_grace_secs).max().unwrap_or(10)
    }

    /// A setting with another value than its default.
    #[must_use]
    pub fn other_setting(&self) -> Option<(String, Value)> {
        self.manifest.config.iter().find_map(|(key, setting)| {
            let value = other_value(&setting.kind, setting.default.as_ref())?;
            Some((key.clone(), value))
        })
    }
}

fn parse(text: &str) -> Result<Manifest, SpecError> {
    Manifest::parse(text.as_bytes())
        .map_err(|findings| SpecError::Manifest(findings.render("manifest")))
}

/// A value that fits a setting and is not its default.
fn other_value(kind: &SettingKind, default: Option<&Value>) -> Option<Value> {
    let candidates: Vec<Value> = match kind {
        SettingKind::Text { .. } => {
            let before = default.and_then(Value::as_str).unwrap_or_default();
            let more = format!("{before}2");
            let cut: String = before.chars().skip(1).collect();
            vec![more.into(), cut.into(), "gate".into(), "a".into()]
        }
        SettingKind::Number { min, max, .. } => {
            let before = default.and_then(Value::as_i64).unwrap_or(0);
            let whole = |bound: Option<f64>| {
                let text = bound.map(|bound| format!("{bound:.0}"));
                text.and_then(|text| text.parse::<i64>().ok())
            };
            let near = [Some(before + 1), Some(before - 1), whole(*min), whole(*max)];
            near.into_iter().flatten().map(Value::from).collect()
        }
        SettingKind::Boolean => vec![true.into(), false.into()],
        SettingKind::Choice(choices) => choices.iter().cloned().map(Value::from).collect(),
        // a changed port or path changes where things are, and a secret cannot be put back
        SettingKind::Secret | SettingKind::Port | SettingKind::Path => Vec::new(),
    };
    candidates.into_iter().find(|value| Some(value) != default && kind.check(value).is_ok())
}

/// The next version of an app: a version that is one higher, and a variable more in each container, so that all of
/// them are replaced.
fn successor(text: &str, manifest: &Manifest) -> Result<String, SpecError> {
    let (document, findings) = parse_document(text.as_bytes());
    let mut document = document.ok_or_else(|| SpecError::Manifest(findings.render("manifest")))?;
    let app = &mut document.app;
    app.version = raised(&manifest.version);
    let mut update = app.update.take().unwrap_or_default();
    update.soak = update.soak.or(Some(Seconds(SOAK_SECS)));
    app.update = Some(update);
    for container in app.services.values_mut() {
        mark(&mut container.env);
    }
    if app.container.is_some() {
        mark(&mut app.env);
    }
    render(&document)
}

fn mark(env: &mut Option<Env>) {
    match env {
        Some(Env::List(list)) => list.push(format!("{MARK}=next")),
        Some(Env::Map(map)) => {
            map.insert(MARK.to_owned(), "next".to_owned());
        }
        None => *env = Some(Env::List(vec![format!("{MARK}=next")])),
    }
}

/// JSON without what was not written: readers take absence for the default.
fn render(document: &Document) -> Result<String, SpecError> {
    let mut value = serde_json::to_value(document)
        .map_err(|error| SpecError::Next(format!("not to be written: {error}")))?;
    prune(&mut value);
    Ok(value.to_string())
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, item| match item {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// `1.2.3` becomes `1.2.4`; what does not end in a number gets one.
fn raised(version: &str) -> String {
    let digits = version.len() - version.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (head, tail) = version.split_at(version.len() - digits);
    match tail.parse::<u64>() {
        Ok(number) => format!("{head}{}", number.saturating_add(1)),
        Err(_) => format!("{version}.1"),
    }
}

#[cfg(test)]
mod tests;

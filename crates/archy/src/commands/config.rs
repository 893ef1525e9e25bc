//! `archy config`.

use std::collections::BTreeMap;

use archy_api::method::{PackageConfigGet, PackageConfigSet};
use archy_api::package::{AppParams, ConfigResult, SetConfigParams, Setting, SettingKind};
use clap::Subcommand;
use serde_json::Value;

use super::lifecycle::{self, Words};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::settings;
use crate::ui::{Paint, Style, Table};

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show settings; secrets are never shown
    Get(Get),
    /// Change settings and restart the app if needed
    Set(Set),
}

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// The app
    app: String,
    /// Only the value of this setting
    key: Option<String>,
}

/// Arguments of `set`.
#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    /// The app
    app: String,
    /// Settings, as KEY=VALUE; KEY=@PATH reads it from a file, KEY=@- from standard input
    #[arg(value_name = "KEY=VALUE", required_unless_present = "unset")]
    settings: Vec<String>,
    /// Put a setting back to its default
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CommandError> {
    match command {
        Command::Get(args) => get(context, args).await,
        Command::Set(args) => set(context, args).await,
    }
}

async fn get(context: &Context, args: Get) -> Result<(), CommandError> {
    let config = context.client.call::<PackageConfigGet>(AppParams { id: args.app }).await?;
    let Some(key) = args.key else {
        return context.ui.result(&config, |paint| table(&config, paint));
    };
    let setting = config
        .settings
        .iter()
        .find(|setting| setting.key == key)
        .ok_or_else(|| unknown(&config, &key))?;
    context.ui.result(setting, |_| value(setting))
}

async fn set(context: &Context, args: Set) -> Result<(), CommandError> {
    let id = AppParams { id: args.app.clone() };
    let config = context.client.call::<PackageConfigGet>(id).await?;
    let kinds: BTreeMap<&str, SettingKind> =
        config.settings.iter().map(|setting| (setting.key.as_str(), setting.kind)).collect();
    for text in &args.settings {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if kinds.get(key) == Some(&SettingKind::Secret) && !value.starts_with('@') {
            context.ui.warn(&format!(
                "other users can see {key} in the process list; give it as {key}=@- instead"
            ));
        }
    }
    let mut settings = settings::collect(&args.settings, |key| kinds.get(key).copied())?;
    settings.extend(args.unset.into_iter().map(|key| (key, Value::Null)));
    if let Some(key) = settings.keys().find(|key| !kinds.contains_key(key.as_str())) {
        return Err(unknown(&config, key));
    }
    let params = SetConfigParams { id: args.app, settings };
    let answer = context.client.call::<PackageConfigSet>(params).await?;
    let words = Words {
        done: "has its new settings",
        going: "is being changed",
        already: "has these settings already",
    };
    let line = lifecycle::end(context, &answer, words).await?;
    context.ui.result(&answer, |paint| paint.paint(Style::Good, &line))
}

fn unknown(config: &ConfigResult, key: &str) -> CommandError {
    let keys: Vec<_> = config.settings.iter().map(|setting| setting.key.as_str()).collect();
    let error = CommandError::new(
        Kind::NotFound,
        "setting-unknown",
        format!("{} has no setting {key}.", config.package_id),
    );
    match keys.is_empty() {
        true => error.hint("It has no settings at all."),
        false => error.hint(format!("It has {}.", keys.join(", "))),
    }
}

fn table(config: &ConfigResult, paint: &Paint) -> String {
    if config.settings.is_empty() {
        return format!("{} has no settings.", config.package_id);
    }
    let mut table = Table::new(&["SETTING", "VALUE", "FROM", "MEANING"]);
    for setting in &config.settings {
        let from = if setting.is_set { "owner" } else { "default" };
        table.row(vec![
            (setting.key.clone(), None),
            (value(setting), Some(Style::Accent)),
            (from.to_owned(), Some(Style::Faint)),
            (limits(setting), None),
        ]);
    }
    table.render(paint)
}

fn value(setting: &Setting) -> String {
    if setting.kind == SettingKind::Secret {
        return if setting.is_set { "(secret)" } else { "-" }.to_owned();
    }
    match setting.value.as_ref().or(setting.default.as_ref()) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn limits(setting: &Setting) -> String {
    let range = match (setting.min, setting.max) {
        (Some(min), Some(max)) => format!(" ({min} to {max})"),
        (Some(min), None) => format!(" (at least {min})"),
        (None, Some(max)) => format!(" (at most {max})"),
        (None, None) if !setting.choices.is_empty() => {
            format!(" ({})", setting.choices.join(", "))
        }
        (None, None) => String::new(),
    };
    format!("{}{range}", setting.label)
}

//! `archy list`.

use archy_api::NoParams;
use archy_api::method::{PackageAvailable, ServerGetState};
use archy_api::package::AvailableResult;
use archy_api::state::{PackageData, PackageState, StateData};
use archy_types::Health;
use serde_json::json;

use super::install::address;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Paint, Style, Table};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// List what can be installed by its id, instead of what is installed
    #[arg(long)]
    available: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    if args.available {
        let available = context.client.call::<PackageAvailable>(NoParams {}).await?;
        for broken in &available.broken {
            context.ui.warn(&format!("{}: {}", broken.name, broken.error.message));
        }
        return context.ui.result(&available, |paint| offered(&available, paint));
    }
    let state = context.client.call::<ServerGetState>(NoParams {}).await?;
    if let Some(cause) = &state.data.stale_because {
        context.ui.warn(&format!("this is old: {}", cause.text));
    }
    let rows: Vec<_> = state
        .data
        .package_data
        .iter()
        .map(|(id, package)| {
            json!({
                "id": id,
                "name": package.manifest.title,
                "version": package.manifest.version,
                "state": package.status.state,
                "health": package.health,
                "address": address(package),
                "adopted": package.adopted,
            })
        })
        .collect();
    context.ui.result(&rows, |paint| installed(&state.data, paint))
}

fn installed(data: &StateData, paint: &Paint) -> String {
    if data.package_data.is_empty() {
        return "No app is installed; `archy list --available` shows what can be.".to_owned();
    }
    let mut table = Table::new(&["APP", "STATE", "HEALTH", "VERSION", "ADDRESS"]);
    for (id, package) in &data.package_data {
        let (state, style) = state_words(package);
        let watched = package.adopted.as_ref().is_some_and(|it| it.stage == "watched");
        let state = if watched { format!("{state} (adopted)") } else { state };
        table.row(vec![
            (id.clone(), None),
            (state, Some(style)),
            health_words(package.health),
            (package.manifest.version.clone(), None),
            (address(package).unwrap_or("-").to_owned(), None),
        ]);
    }
    table.render(paint)
}

fn offered(available: &AvailableResult, paint: &Paint) -> String {
    if available.apps.is_empty() {
        return "The node has no manifest; `archy install <path>` installs your own.".to_owned();
    }
    let mut table = Table::new(&["APP", "VERSION", "SOURCE", "INSTALLED", "NAME"]);
    for app in &available.apps {
        table.row(vec![
            (app.id.clone(), None),
            (app.version.clone(), None),
            (app.source.clone(), None),
            (if app.installed { "yes" } else { "no" }.to_owned(), None),
            (app.name.clone(), None),
        ]);
    }
    table.render(paint)
}

/// The state in a word, and how it looks. `failed` is what people call `exited`.
pub(crate) fn state_words(package: &PackageData) -> (String, Style) {
    let word = json!(package.status.state).as_str().unwrap_or("unknown").to_owned();
    let style = match package.state {
        PackageState::Running if package.health != Some(Health::Unhealthy) => Style::Good,
        PackageState::Stopped => Style::Faint,
        PackageState::Exited | PackageState::Unknown => Style::Bad,
        _ => Style::Warn,
    };
    (word, style)
}

/// Health in a word, and how it looks.
pub(crate) fn health_words(health: Option<Health>) -> (String, Option<Style>) {
    match health {
        Some(Health::Healthy) => ("healthy".to_owned(), Some(Style::Good)),
        Some(Health::Unhealthy) => ("unhealthy".to_owned(), Some(Style::Bad)),
        Some(Health::Starting) => ("starting".to_owned(), Some(Style::Warn)),
        Some(Health::Unknown) | None => ("-".to_owned(), Some(Style::Faint)),
    }
}

//! `archy outdated`.

use archy_api::NoParams;
use archy_api::method::PackageOutdated;
use archy_api::registry::{OutdatedApp, OutdatedResult};

use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Paint, Style, Table};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs it.
pub(crate) async fn run(context: &Context, _: &Args) -> Result<(), CommandError> {
    let found = context.client.call::<PackageOutdated>(NoParams {}).await?;
    context.ui.result(&found, |paint| table(&found, paint))
}

fn table(found: &OutdatedResult, paint: &Paint) -> String {
    if found.apps.is_empty() {
        return "Every app has the newest version that is offered.".to_owned();
    }
    let mut table = Table::new(&["APP", "INSTALLED", "OFFERED", "SOURCE", "UPDATES"]);
    for app in &found.apps {
        table.row(vec![
            (app.id.clone(), None),
            (app.installed.clone(), None),
            (app.offered.clone(), Some(Style::Good)),
            (app.source.clone(), None),
            (how(app), None),
        ]);
    }
    table.render(paint)
}

fn how(app: &OutdatedApp) -> String {
    match &app.held {
        Some(held) => format!("by hand: {}", held.message),
        None if app.auto => "by itself".to_owned(),
        None => format!("archy update {}", app.id),
    }
}

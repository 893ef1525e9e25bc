//! `archy adopt`.

use archy_api::NoParams;
use archy_api::method::{PackageAdopt, PackageAdoptable};
use archy_api::package::{AdoptParams, AdoptableResult};

use super::install::{self, Choices};
use super::lifecycle::{self, Words};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Paint, Style, Table};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app to adopt [default: list what could be adopted]
    app: Option<String>,
    /// A manifest, or its directory, instead of the one that the node has
    #[arg(long, value_name = "PATH", requires = "app")]
    manifest: Option<String>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let Some(app) = &args.app else { return list(context).await };
    let target = args.manifest.as_ref().unwrap_or(app);
    let found = install::params(context, target, Choices::default())?;
    let params = AdoptParams { id: app.clone(), manifest: found.manifest, path: found.path };
    let words = Words {
        done: "is adopted: it runs on as it is; `archy migrate` makes it Archipelago's own",
        going: "is being adopted",
        already: "is adopted already",
    };
    lifecycle::each::<PackageAdopt>(context, std::iter::once(params), words).await
}

async fn list(context: &Context) -> Result<(), CommandError> {
    let found = context.client.call::<PackageAdoptable>(NoParams {}).await?;
    context.ui.result(&found, |paint| table(&found, paint))
}

fn table(found: &AdoptableResult, paint: &Paint) -> String {
    if found.apps.is_empty() {
        return "No container of this node fits a manifest that it has.".to_owned();
    }
    let mut table = Table::new(&["APP", "CONTAINERS", "MADE BY", "CAN BE ADOPTED"]);
    for app in &found.apps {
        let names: Vec<&str> = app.containers.values().map(String::as_str).collect();
        let (verdict, style) = match &app.refusal {
            Some(refusal) => (format!("no: {}", refusal.message), Style::Bad),
            None if app.dies_with_daemon => ("yes; stops with the daemon".to_owned(), Style::Warn),
            None => ("yes".to_owned(), Style::Good),
        };
        table.row(vec![
            (app.id.clone(), None),
            (names.join(", "), None),
            (app.origin.clone(), None),
            (verdict, Some(style)),
        ]);
    }
    table.render(paint)
}

//! `archy install`.

use std::path::Path;

use archy_api::method::{PackageInstall, ServerGetState};
use archy_api::package::{InstallParams, PortChoice, SettingKind};
use archy_api::{NoParams, state::PackageData};
use archy_manifest::model::SettingKind as DeclaredKind;
use serde_json::json;

use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Style;
use crate::{manifest_file, settings, wait};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of an app that the node knows, or the path of a manifest or of its directory
    #[arg(value_name = "APP|PATH")]
    target: String,
    #[command(flatten)]
    choices: Choices,
}

/// What the owner chooses with an install.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Choices {
    /// A setting, as KEY=VALUE; KEY=@PATH reads it from a file, KEY=@- from standard input
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Another host port than the manifest's, as DECLARED=HOST[/udp]
    #[arg(long = "port", value_name = "DECLARED=HOST", value_parser = settings::port)]
    ports: Vec<PortChoice>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let params = params(context, &args.target, args.choices)?;
    let app = params.id.clone();
    let accepted = context.client.call::<PackageInstall>(params).await?;
    if let Some(warning) = &accepted.warning {
        context.ui.warn(warning);
    }
    let Some(id) = accepted.operation.filter(|_| context.wait) else {
        return context.ui.result(&accepted, |_| match accepted.operation {
            Some(_) => {
                format!("{app} is being installed; `archy status {app}` shows how far it is.")
            }
            None => format!("{app} is already installed from this manifest."),
        });
    };
    let record = wait::operation(context, &app, id).await?;
    let state = context.client.call::<ServerGetState>(NoParams {}).await?;
    let package = state.data.package_data.get(&app);
    let json = json!({
        "package_id": app,
        "operation": record.id,
        "outcome": record.outcome,
        "state": package.map(|package| package.state),
        "address": package.and_then(address),
    });
    context.ui.result(&json, |paint| {
        let mut out = paint.paint(Style::Good, &format!("{app} is installed."));
        if let Some(address) = package.and_then(address) {
            out.push_str(&format!("\nIt answers at {address}"));
        }
        out
    })
}

/// Parameters from an id or a path, with the owner's choices.
pub(crate) fn params(
    context: &Context,
    target: &str,
    choices: Choices,
) -> Result<InstallParams, CommandError> {
    let mut params = InstallParams::default();
    let config;
    if manifest_file::is_path(target) {
        let file = manifest_file::read(Path::new(target))?;
        let manifest = file.valid()?;
        for warning in file.diagnostics.warnings() {
            context.ui.warn(&format!("{}:{warning}", file.name()));
        }
        let kind = |key: &str| manifest.config.get(key).map(|setting| kind(&setting.kind));
        config = settings::collect(&choices.settings, kind)?;
        params.id = manifest.id.to_string();
        params.path = Some(file.package_dir()?.display().to_string());
        params.manifest = Some(file.text());
    } else {
        target.clone_into(&mut params.id);
        config = settings::collect(&choices.settings, |_| None)?;
    }
    params.config = (!config.is_empty()).then_some(config);
    params.ports = (!choices.ports.is_empty()).then_some(choices.ports);
    Ok(params)
}

/// The kind of a declared setting in the API's words.
pub(crate) const fn kind(declared: &DeclaredKind) -> SettingKind {
    match declared {
        DeclaredKind::Text { .. } => SettingKind::Text,
        DeclaredKind::Number { .. } => SettingKind::Number,
        DeclaredKind::Boolean => SettingKind::Boolean,
        DeclaredKind::Choice(_) => SettingKind::Choice,
        DeclaredKind::Secret => SettingKind::Secret,
        DeclaredKind::Port => SettingKind::Port,
        DeclaredKind::Path => SettingKind::Path,
    }
}

/// Where an app answers: its `main` interface, else its first.
pub(crate) fn address(package: &PackageData) -> Option<&str> {
    let addresses = &package.installed.interface_addresses;
    let main = addresses.get("main").or_else(|| addresses.values().next())?;
    main.lan_address.as_deref()
}

//! `system.mend`: mends by their names, each of them one that loses nothing.

use archy_api::doctor::Mended;
use archy_types::{AppId, UserError};

use super::examine;
use crate::app::App;
use crate::survey::Mend;

/// A mend by the name that a check gives it.
#[must_use]
pub fn parse(fix: &str) -> Option<Mend> {
    let (verb, what) = fix.split_once(':').unwrap_or((fix, ""));
    // a name of Podman or systemd, never a path or an option
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    if !what.chars().all(plain) || what.starts_with(['-', '.']) {
        return None;
    }
    let name = || Some(what.to_owned()).filter(|name| !name.is_empty());
    Some(match verb {
        "reset-failed" => Mend::ResetFailed(name()?),
        "daemon-reload" if what.is_empty() => Mend::Reload,
        "remove-container" => Mend::RemoveContainer(name()?),
        "remove-network" => Mend::RemoveNetwork(name()?),
        "remove-secret" => Mend::RemoveSecret(name()?),
        "remove-unit-file" => Mend::RemoveUnitFile(name()?),
        "converge" => Mend::Converge(AppId::new(what).ok()?),
        _ => return None,
    })
}

/// Applies mends, all of them without a choice. Only what a check of this moment names is done: a
/// container that has begun to run meanwhile stays.
///
/// # Errors
/// The node cannot be examined.
pub async fn apply(app: &App, fixes: Option<Vec<String>>) -> Result<Vec<Mended>, UserError> {
    let checks = examine(app).await?;
    let offered: Vec<String> = checks.into_iter().filter_map(|check| check.fix).collect();
    let wanted = fixes.unwrap_or_else(|| offered.clone());
    let mut done = Vec::new();
    for fix in wanted {
        let mend = parse(&fix).filter(|_| offered.contains(&fix));
        let Some(mend) = mend else {
            let error =
                UserError::new("mend-unknown", format!("No check offers the mend {fix:?} now."))
                    .hint("`archy doctor` names the mends that can be applied.");
            done.push(Mended { fix, text: "Nothing was done.".to_owned(), error: Some(error) });
            continue;
        };
        let text = describe(&mend);
        let result = match &mend {
            Mend::Converge(_) => {
                app.backends.engine.poke();
                Ok(())
            }
            _ => app.backends.survey.mend(mend.clone()).await,
        };
        match &result {
            Ok(()) => tracing::info!(fix, "mended"),
            Err(error) => tracing::warn!(fix, %error, "a mend failed"),
        }
        done.push(Mended { fix, text, error: result.err() });
    }
    app.backends.engine.poke();
    Ok(done)
}

fn describe(mend: &Mend) -> String {
    match mend {
        Mend::ResetFailed(unit) => format!("The failed state of {unit} is taken back."),
        Mend::Reload => "systemd reads its unit files again.".to_owned(),
        Mend::RemoveContainer(name) => format!("Container {name} is removed."),
        Mend::RemoveNetwork(name) => format!("Network {name} is removed."),
        Mend::RemoveSecret(name) => {
            format!("Podman's copy of the secret {name} is removed; its file stays.")
        }
        Mend::RemoveUnitFile(name) => format!("Unit file {name} is removed."),
        Mend::Converge(app) => format!("{app} is looked at and brought to what it should be."),
    }
}

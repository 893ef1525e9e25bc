//! Twelve running apps: all test apps but one.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::stand::{QUADLETS, Stand};
use crate::sh;

/// The app that is left out, so that there are twelve.
pub(super) const LEFT_OUT: &str = "probe";

/// Installs them, unless they run from the row before; nothing else is installed then.
///
/// # Errors
/// One does not come to run.
pub(super) fn install(stand: &Stand) -> anyhow::Result<()> {
    let apps: BTreeMap<&String, &String> =
        stand.apps.iter().filter(|(id, _)| *id != LEFT_OUT).collect();
    ensure!(apps.len() == 12, "tests/apps has {} apps beside {LEFT_OUT}, not 12", apps.len());
    stand.with_daemon()?;
    let state = stand.rpc("server.get-state", &json!({}))?;
    if all_well(&state, 12) {
        return Ok(());
    }
    stand.clear()?;
    for (id, text) in &apps {
        sh::step(&format!("installing {id}"), || stand.install(id, text))?;
    }
    Ok(())
}

/// True when the state shows so many apps, all of them running and healthy.
pub(super) fn all_well(state: &Value, count: usize) -> bool {
    let apps = state["data"]["package-data"].as_object();
    let well = |app: &Value| app["state"] == "running" && app["health"] == "healthy";
    apps.is_some_and(|apps| apps.len() == count && apps.values().all(well))
}

/// The units of all containers that are deployed.
///
/// # Errors
/// There are none.
pub(super) fn units(stand: &Stand) -> anyhow::Result<BTreeSet<String>> {
    let mut units = BTreeSet::new();
    for entry in fs::read_dir(stand.path(QUADLETS))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        units.extend(name.strip_suffix(".container").map(|stem| format!("{stem}.service")));
    }
    ensure!(!units.is_empty(), "no units");
    Ok(units)
}

/// When the last of the units became active, in milliseconds of the machine's uptime; nothing as long as one is not.
///
/// # Errors
/// One failed.
pub(super) fn last_active(stand: &Stand, units: &BTreeSet<String>) -> anyhow::Result<Option<f64>> {
    let mut argv =
        vec!["systemctl", "--user", "show", "-p", "Id,ActiveState,ActiveEnterTimestampMonotonic"];
    argv.extend(units.iter().map(String::as_str));
    // the user's manager may not be there yet
    let Some(out) = stand.node.exec_user(argv).ok().filter(sh::Output::ok) else { return Ok(None) };
    let mut last = 0.0_f64;
    let mut active = 0;
    for unit in out.stdout.split("\n\n") {
        let value = |key: &str| {
            unit.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .unwrap_or_default()
        };
        match value("ActiveState") {
            "active" => active += 1,
            "failed" => anyhow::bail!("{} failed", value("Id")),
            _ => return Ok(None),
        }
        let micros = value("ActiveEnterTimestampMonotonic");
        let micros: f64 =
            micros.parse().with_context(|| format!("{micros:?} of {}", value("Id")))?;
        last = last.max(micros / 1000.0);
    }
    Ok((active == units.len()).then_some(last))
}

//! Things that carry the platform's labels although no app is known to which they belong.

use std::collections::{BTreeMap, BTreeSet};

use archy_engine::ports::secret_names;
use archy_quadlet::parse_deployed;
use archy_types::doctor::Check;

use super::{Facts, known};

/// Adds the checks.
pub(super) fn all(facts: &Facts<'_>, out: &mut Vec<Check>) {
    let before = out.len();
    let apps: BTreeSet<&str> =
        facts.apps.iter().map(|app| app.manifest.id.as_str()).chain(shown(facts)).collect();
    let with_units = units(facts, &apps, out);
    let belongings = match known(&facts.survey.belongings, "units", "orphans") {
        Ok(belongings) => belongings,
        Err(unknown) => return out.push(unknown),
    };
    let strange = |app: &str| !apps.contains(app);
    for container in belongings.containers.iter().filter(|it| strange(&it.app)) {
        let (name, app) = (&container.name, &container.app);
        // its unit is told of already, and what runs is somebody's
        if with_units.contains(app) {
            continue;
        }
        let text = format!("container {name} is of {app}, which is not installed");
        let check = if container.running {
            Check::warn(
                "units",
                "orphans",
                format!("{text}; it runs"),
                format!("`archy install {app}` takes it up, `podman rm -f {name}` removes it"),
            )
        } else {
            Check::warn("units", "orphans", text, "it holds no data of its own")
                .fixed_by(format!("remove-container:{name}"))
        };
        out.push(check.about(app));
    }
    let used: BTreeSet<&str> = belongings.containers.iter().map(|it| it.app.as_str()).collect();
    for network in belongings.networks.iter().filter(|it| strange(&it.app)) {
        let (name, app) = (&network.name, &network.app);
        if with_units.contains(app) || used.contains(app.as_str()) {
            continue;
        }
        let text = format!("network {name} is of {app}, which is not installed");
        let check = Check::warn("units", "orphans", text, "nothing is in it");
        out.push(check.fixed_by(format!("remove-network:{name}")).about(app));
    }
    secrets(facts, &belongings.secrets, &with_units, out);
    kept_data(belongings.volumes.iter().filter(|it| strange(&it.app)), out);
    if out[before..].iter().all(|check| check.name != "orphans") {
        out.push(Check::ok("units", "orphans", "nothing with our labels is without its app"));
    }
}

/// Apps that are shown: one that is being installed may not be loaded yet.
fn shown<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a str> {
    facts.snapshot.apps.keys().map(archy_types::AppId::as_str)
}

/// Unit files without their app; gives the apps.
fn units(facts: &Facts<'_>, apps: &BTreeSet<&str>, out: &mut Vec<Check>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Some(files) = facts.survey.observed.unit_files.get() else { return found };
    let deployed = parse_deployed(files);
    for (app, of_app) in deployed.apps.iter().filter(|(app, _)| !apps.contains(app.as_str())) {
        found.insert(app.to_string());
        let names: Vec<&str> = of_app.files.iter().map(|file| file.file_name.as_str()).collect();
        let copy = facts.store.dir.join(format!("manifests/{app}.yml"));
        let source = if copy.exists() { copy.display().to_string() } else { app.to_string() };
        let text = format!(
            "units of {app} are here ({}), but the store does not know it",
            names.join(", ")
        );
        let mend = format!(
            "`archy install {source}` takes it up with its data; `archy doctor --rebuild` reads the store back from units"
        );
        out.push(Check::warn("units", "orphans", text, mend).about(app.as_str()));
    }
    for (name, error) in &deployed.broken {
        let text = format!("{name} cannot be read as a unit: {error}");
        let mend = "Podman's generator passes it over; remove it, or mend it if it is yours";
        out.push(Check::warn("units", "unreadable", text, mend));
    }
    found
}

/// Podman secrets that no installed app declares. Their files stay, so nothing is lost with them.
fn secrets(
    facts: &Facts<'_>,
    handed: &[String],
    with_units: &BTreeSet<String>,
    out: &mut Vec<Check>,
) {
    let declared: BTreeSet<String> =
        facts.apps.iter().flat_map(|app| secret_names(&app.manifest)).collect();
    // of an app that only has units left it is not known which secrets it uses
    if !with_units.is_empty() {
        return;
    }
    for name in handed.iter().filter(|name| !declared.contains(*name)) {
        let text = format!("podman secret {name} is used by no installed app");
        let check = Check::warn("units", "orphans", text, "its file among the secrets stays");
        out.push(check.fixed_by(format!("remove-secret:{name}")));
    }
}

/// Volumes of apps that were uninstalled: data that is kept on purpose.
fn kept_data<'a>(volumes: impl Iterator<Item = &'a crate::survey::Owned>, out: &mut Vec<Check>) {
    let mut by_app: BTreeMap<&str, u32> = BTreeMap::new();
    for volume in volumes {
        *by_app.entry(volume.app.as_str()).or_default() += 1;
    }
    if by_app.is_empty() {
        return;
    }
    let apps: Vec<String> = by_app.iter().map(|(app, count)| format!("{app} ({count})")).collect();
    let text = format!("volumes of uninstalled apps are kept: {}", apps.join(", "));
    out.push(Check::ok("units", "kept data", text));
}

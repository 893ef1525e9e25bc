//! What a migration moves: data to where the manifest has it, secrets that containers already have.

use archy_manifest::Manifest;
use archy_manifest::model::{MountSource, SecretKind, Service};
use archy_manifest::names;
use archy_types::{ServiceName, Timestamp, UserError};

use super::facts::ForeignContainer;
use super::record::{
    Adopted, AdoptedPart, DataMove, DataPlace, MIGRATION, SecretSource, Stage, TakenSecret,
};
use crate::desired::DesiredApp;
use crate::observed::Observed;

/// The app as it is to be once its containers are Archipelago's own.
///
/// # Errors
/// Why that cannot be: the message names the container and the way out.
pub fn ready_to_migrate(
    mut app: DesiredApp,
    observed: &Observed,
    now: Timestamp,
) -> Result<DesiredApp, UserError> {
    let Some(mut adopted) = app.adopted.take() else {
        let id = &app.manifest.id;
        return Err(UserError::new("not-adopted", format!("{id} was not adopted."))
            .hint("There is nothing to migrate."));
    };
    if let Some(cause) = &observed.foreign.unknown {
        return Err(UserError::new("host-unknown", cause.text.clone())
            .hint("Try again when Podman answers; `archy doctor` looks closer."));
    }
    for (name, part) in &mut adopted.parts {
        let Some(service) = app.manifest.services.get(name) else { continue };
        let found = observed.foreign.containers.get(&part.container);
        let Some(found) = found.filter(|found| part.is(found)) else {
            let message = format!("The container {} is not there as it was.", part.container);
            return Err(UserError::new("adopted-gone", message).hint(
                "Start it the way it was made and try again, or uninstall the app here (its \
                 data stays) and install it.",
            ));
        };
        possible(part, found)?;
        // a unit makes its container anew at each start
        part.id.clone_from(&found.seen.id);
        part.volumes = found.seen.mounts.iter().filter_map(|m| m.volume.clone()).collect();
        part.networks.clone_from(&found.seen.networks);
        part.moves = moves(&app.manifest, service, found, observed)?;
        part.secrets = secrets(&app.manifest, service, found);
    }
    distinct(&adopted)?;
    adopted.stage = Stage::Migrated { version: MIGRATION, since: now, wish: app.generation };
    app.adopted = Some(adopted);
    Ok(app)
}

impl AdoptedPart {
    /// The container that was seen is this one.
    pub(crate) fn is(&self, found: &ForeignContainer) -> bool {
        found.seen.id == self.id || (self.unit.is_some() && self.goes_when_stopped)
    }
}

fn possible(part: &AdoptedPart, found: &ForeignContainer) -> Result<(), UserError> {
    let name = &part.container;
    if part.unit.is_some() && part.file.is_none() {
        let message = format!("{name} is run by a unit whose file is not the service user's own.");
        return Err(UserError::new("migrate-unit-foreign", message).hint(
            "Move the file into the service user's own directory for units, then try again.",
        ));
    }
    if found.seen.shares_network {
        let message = format!("{name} shares its network with a pod or another container.");
        return Err(UserError::new("migrate-pod", message)
            .hint("Run it by itself, with its ports published on it, then try again."));
    }
    if found.seen.maps_ids {
        let message = format!(
            "The user ids in {name} are mapped in a way of their own (`--userns`): its data would \
             belong to somebody else."
        );
        return Err(UserError::new("migrate-userns", message).hint(
            "Run it without `--userns` and give its data to the ids it then has, then try again.",
        ));
    }
    Ok(())
}

fn moves(
    manifest: &Manifest,
    service: &Service,
    found: &ForeignContainer,
    observed: &Observed,
) -> Result<Vec<DataMove>, UserError> {
    let mut moves = Vec::new();
    for mount in &service.mounts {
        let to = match &mount.source {
            MountSource::AppDir { path, .. } => DataPlace::AppDir { path: path.clone() },
            MountSource::Volume(volume) => DataPlace::Volume {
                name: names::volume(&manifest.id, volume),
                below: String::new(),
            },
            MountSource::File(_)
            | MountSource::Package(_)
            | MountSource::Role(_)
            | MountSource::Tmpfs { .. } => continue,
        };
        let Some((seen, below)) = found.seen.mount_of(&mount.target) else {
            if found.written_inside.contains(&mount.target) {
                return Err(inside(found, &mount.target));
            }
            continue;
        };
        let from = match &seen.volume {
            Some(name) => DataPlace::Volume { name: name.clone(), below: below.to_owned() },
            None if below.is_empty() => DataPlace::Path { path: seen.source.clone().into() },
            None => DataPlace::Path { path: std::path::Path::new(&seen.source).join(below) },
        };
        if same(&from, &to, manifest, observed) {
            continue;
        }
        if occupied(manifest, &to, observed) {
            return Err(in_the_way(&from, &to));
        }
        moves.push(DataMove { from, to });
    }
    Ok(moves)
}

fn inside(found: &ForeignContainer, target: &str) -> UserError {
    let name = &found.seen.name;
    let message = format!(
        "{name} keeps what is below {target} in the container itself, on no volume and no \
         directory of the host."
    );
    UserError::new("migrate-data-inside", message).hint(format!(
        "`podman cp {name}:{target} PLACE` gets it out; run the container again with PLACE mounted \
         at {target}, adopt it anew, and try again."
    ))
}

/// The data is already where the manifest has it.
fn same(from: &DataPlace, to: &DataPlace, manifest: &Manifest, observed: &Observed) -> bool {
    match (from, to) {
        (DataPlace::Path { path }, DataPlace::AppDir { path: own }) => {
            let base = observed.host.data_dir.join(manifest.id.as_str());
            let own = if own.is_empty() { base } else { base.join(own) };
            path.components().eq(own.components())
        }
        (from, to) => from == to,
    }
}

/// Something else is at the place that the data is to go to. What an earlier migration copied there
/// may go.
fn occupied(manifest: &Manifest, to: &DataPlace, observed: &Observed) -> bool {
    let copied = observed.foreign.copied.get(&manifest.id);
    if copied.is_some_and(|all| all.iter().any(|copied| copied.data.to == *to)) {
        return false;
    }
    match to {
        DataPlace::AppDir { path } => {
            let files = observed.app_files.get().and_then(|files| files.get(&manifest.id));
            files.is_some_and(|files| {
                if path.is_empty() { !files.is_empty() } else { files.contains_key(path) }
            })
        }
        DataPlace::Volume { name, .. } => {
            observed.volumes.get().is_some_and(|volumes| volumes.contains(name))
        }
        DataPlace::Path { .. } => false,
    }
}

fn in_the_way(from: &DataPlace, to: &DataPlace) -> UserError {
    let message = format!("There is data in {to} already, and that of {from} is to go there.");
    UserError::new("migrate-data-in-the-way", message)
        .hint("Move it away, or remove it if it is not needed, then try again.")
}

/// Two services cannot have their data copied to one place.
fn distinct(adopted: &Adopted) -> Result<(), UserError> {
    let mut seen: Vec<&DataMove> = Vec::new();
    for data in adopted.parts.values().flat_map(|part| &part.moves) {
        match seen.iter().find(|other| other.to == data.to) {
            Some(other) if other.from != data.from => return Err(in_the_way(&data.from, &data.to)),
            _ => seen.push(data),
        }
    }
    Ok(())
}

/// Secrets of the manifest whose values the container has: data may depend on them.
fn secrets(manifest: &Manifest, service: &Service, found: &ForeignContainer) -> Vec<TakenSecret> {
    let taken = |(variable, name): (&String, &String)| {
        // a hash is made from its plaintext, and one alone is of no use
        if manifest.secrets.get(name) == Some(&SecretKind::Bcrypt) {
            return None;
        }
        let given = found.seen.env.get(variable);
        let own = given.filter(|value| found.image_env.get(variable) != Some(*value));
        let source = match found.seen.env_secrets.get(variable) {
            Some(secret) => SecretSource::Podman { secret: secret.clone() },
            None if own.is_some_and(|value| !value.expose().is_empty()) => SecretSource::Variable {
                container: found.seen.id.clone(),
                variable: variable.clone(),
            },
            None => return None,
        };
        Some(TakenSecret { name: name.clone(), source })
    };
    service.secret_env.iter().filter_map(taken).collect()
}

impl Adopted {
    /// Secrets to be taken over, each once: the first service that has it counts.
    pub(crate) fn taken_secrets(&self) -> Vec<&TakenSecret> {
        let mut found: Vec<&TakenSecret> = Vec::new();
        for secret in self.parts.values().flat_map(|part| &part.secrets) {
            if !found.iter().any(|other| other.name == secret.name) {
                found.push(secret);
            }
        }
        found
    }

    /// Data to be copied, each once.
    pub(crate) fn data_moves(&self) -> Vec<&DataMove> {
        let mut found: Vec<&DataMove> = Vec::new();
        for data in self.parts.values().flat_map(|part| &part.moves) {
            if !found.contains(&data) {
                found.push(data);
            }
        }
        found
    }

    /// The part of a service.
    #[must_use]
    pub fn part(&self, service: &ServiceName) -> Option<&AdoptedPart> {
        self.parts.get(service)
    }
}

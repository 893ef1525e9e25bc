//! What can go wrong on a host, and what people do to it.

use archy_plan::DesiredApp;
use archy_plan::observed::{ActiveState, ContainerState, FileState};
use archy_types::{Health, Timestamp};
use proptest::prelude::*;

use crate::world::{OURS, World, unit};

/// Something that went wrong, or that somebody did. Numbers choose among what is there.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    LoseUnitState(usize),
    FailUnit(usize),
    StopOutside(usize),
    KillContainer(usize),
    RenameContainer(usize),
    LoseFile(usize),
    EditFile(usize),
    EditLabel(usize),
    Unread,
    OrphanFile,
    OrphanRuns,
    OrphanContainer,
    OrphanNetwork,
    LoseImage(usize),
    LoseNetwork(usize),
    LoseSecret(usize),
    RotateSecret(usize),
    LosePodmanSecret(usize),
    LosePath(usize),
    EditAppFile(usize),
    Reboot,
    NewAddress,
    OtherSettings,
    NewManifest,
}

pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    use Damage::*;
    let n = 0..8_usize;
    prop_oneof![
        n.clone().prop_map(LoseUnitState),
        n.clone().prop_map(FailUnit),
        n.clone().prop_map(StopOutside),
        n.clone().prop_map(KillContainer),
        n.clone().prop_map(RenameContainer),
        n.clone().prop_map(LoseFile),
        n.clone().prop_map(EditFile),
        n.clone().prop_map(EditLabel),
        Just(Unread),
        Just(OrphanFile),
        Just(OrphanRuns),
        Just(OrphanContainer),
        Just(OrphanNetwork),
        n.clone().prop_map(LoseImage),
        n.clone().prop_map(LoseNetwork),
        n.clone().prop_map(LoseSecret),
        n.clone().prop_map(RotateSecret),
        n.clone().prop_map(LosePodmanSecret),
        n.clone().prop_map(LosePath),
        n.prop_map(EditAppFile),
        Just(Reboot),
        Just(NewAddress),
        Just(OtherSettings),
        Just(NewManifest),
    ]
}

fn nth<T: Clone>(mut items: impl ExactSizeIterator<Item = T>, n: usize) -> Option<T> {
    let len = items.len();
    (len > 0).then(|| items.nth(n % len)).flatten()
}

pub(crate) fn container(label: &str) -> ContainerState {
    ContainerState {
        labels: [(OURS.to_owned(), label.to_owned())].into(),
        state: "running".to_owned(),
        health: Health::Unknown,
        health_output: None,
        exit_code: None,
        id: "x".to_owned(),
        started_at: None,
    }
}

fn break_unit(world: &mut World, app: &DesiredApp, n: usize, active: ActiveState, result: &str) {
    let Some(name) = nth(world.units_of(app).into_iter(), n) else { return };
    let container = name.trim_end_matches(".service").to_owned();
    let Some(state) = world.units.get_mut(&name) else { return };
    state.active = active;
    state.result = result.to_owned();
    state.inactive_since = Some(Timestamp(world.clock));
    world.containers.remove(&container);
}

fn rename_container(world: &mut World, n: usize) {
    let names: Vec<String> = world.containers.keys().cloned().collect();
    if let Some(name) = nth(names.into_iter(), n)
        && let Some(state) = world.containers.remove(&name)
    {
        world.containers.insert(format!("{name}-renamed"), state);
    }
}

pub(crate) fn apply(world: &mut World, app: &mut DesiredApp, damage: &Damage) {
    let id = app.manifest.id.to_string();
    match damage {
        Damage::LoseUnitState(n) => {
            if let Some(name) = nth(world.units_of(app).into_iter(), *n)
                && let Some(state) = world.units.get_mut(&name)
            {
                *state = unit(ActiveState::Inactive, "success");
                world.containers.remove(name.trim_end_matches(".service"));
            }
        }
        Damage::FailUnit(n) => break_unit(world, app, *n, ActiveState::Failed, "start-limit-hit"),
        Damage::StopOutside(n) => break_unit(world, app, *n, ActiveState::Inactive, "success"),
        Damage::KillContainer(n) => {
            if let Some(name) =
                nth(world.containers.keys().cloned().collect::<Vec<_>>().into_iter(), *n)
                && let Some(state) = world.containers.get_mut(&name)
            {
                state.state = "exited".to_owned();
            }
        }
        Damage::RenameContainer(n) => rename_container(world, *n),
        Damage::LoseFile(n) => {
            if let Some(name) = nth(world.files.keys().cloned().collect::<Vec<_>>().into_iter(), *n)
            {
                world.files.remove(&name);
            }
        }
        Damage::EditFile(n) => {
            let names: Vec<String> = world.files.keys().cloned().collect();
            if let Some(name) = nth(names.into_iter(), *n)
                && let Some(text) = world.files.get_mut(&name)
            {
                text.push_str("Environment=EDITED=1\n");
            }
        }
        Damage::EditLabel(n) => {
            let names: Vec<String> = world.files.keys().cloned().collect();
            if let Some(name) = nth(names.into_iter(), *n)
                && let Some(text) = world.files.get_mut(&name)
            {
                *text = text.replace("io.archipelago.generation=1", "io.archipelago.generation=0");
            }
        }
        Damage::Unread => {
            let files: Vec<String> = world.files.keys().cloned().collect();
            for file in files {
                let unit = archy_quadlet::unit_of(&file).unwrap_or_default();
                if !world.is_active(&unit) {
                    world.loaded.remove(&file);
                    world.units.remove(&unit);
                }
            }
        }
        _ => apply_more(world, app, damage, &id),
    }
}

fn apply_more(world: &mut World, app: &mut DesiredApp, damage: &Damage, id: &str) {
    let orphan = format!("[Container]\nImage=x\nLabel={OURS}={id}\n");
    match damage {
        Damage::OrphanFile => {
            world.files.insert(format!("{id}-old.container"), orphan);
        }
        Damage::OrphanRuns => {
            world.files.insert(format!("{id}-older.container"), orphan);
            let name = format!("{id}-older.service");
            world.units.insert(name, unit(ActiveState::Active, "success"));
            world.containers.insert(format!("{id}-older"), container(id));
        }
        Damage::OrphanContainer => {
            world.containers.insert(format!("{id}-gone"), container(id));
        }
        Damage::OrphanNetwork => {
            let text = format!("[Network]\nNetworkName={id}-net\nLabel={OURS}={id}\n");
            world.files.insert(format!("{id}-net.network"), text);
            world.networks.insert(format!("{id}-net"));
            let name = format!("{id}-net-network.service");
            world.units.insert(name, unit(ActiveState::Active, "success"));
        }
        Damage::LoseImage(n) => {
            let images: Vec<String> = world.images.iter().cloned().collect();
            if let Some(image) = nth(images.into_iter(), *n) {
                world.images.remove(&image);
            }
        }
        Damage::LoseNetwork(n) => {
            let networks: Vec<String> = world.networks.iter().cloned().collect();
            if let Some(network) = nth(networks.into_iter(), *n) {
                world.networks.remove(&network);
                // Podman ends what is on it
                let on_it: Vec<usize> = (0..app.manifest.services.len()).collect();
                for n in on_it {
                    break_unit(world, app, n, ActiveState::Failed, "exit-code");
                }
            }
        }
        Damage::Reboot => reboot(world),
        Damage::NewAddress => {
            let key = archy_manifest::template::Placeholder::HostIp;
            world.host.values.insert(key, "192.0.2.99".to_owned());
        }
        _ => apply_to_data(world, app, damage),
    }
}

fn apply_to_data(world: &mut World, app: &mut DesiredApp, damage: &Damage) {
    match damage {
        Damage::LoseSecret(n) => {
            let names: Vec<String> = world.secrets.keys().cloned().collect();
            if let Some(name) = nth(names.into_iter(), *n) {
                world.secrets.remove(&name);
            }
        }
        Damage::RotateSecret(n) => {
            let names: Vec<String> = world.secrets.keys().cloned().collect();
            if let Some(name) = nth(names.into_iter(), *n) {
                world.secrets.insert(name, "rotated".to_owned());
            }
        }
        Damage::LosePodmanSecret(n) => {
            let names: Vec<String> = world.podman_secrets.keys().cloned().collect();
            if let Some(name) = nth(names.into_iter(), *n) {
                world.podman_secrets.remove(&name);
            }
        }
        Damage::LosePath(n) => {
            if let Some(files) = world.app_files.get_mut(&app.manifest.id) {
                let names: Vec<String> = files.keys().cloned().collect();
                if let Some(name) = nth(names.into_iter(), *n) {
                    files.remove(&name);
                }
            }
        }
        Damage::EditAppFile(n) => {
            if let Some(files) = world.app_files.get_mut(&app.manifest.id) {
                let names: Vec<String> = files.keys().cloned().collect();
                if let Some(name) = nth(names.into_iter(), *n)
                    && let Some(FileState::File { hash }) = files.get_mut(&name)
                {
                    *hash = "e".repeat(64);
                }
            }
        }
        Damage::OtherSettings => {
            app.generation = app.generation.next();
            if app.manifest.config.contains_key("greeting") {
                app.settings.insert("greeting".to_owned(), "good morning".into());
            }
        }
        Damage::NewManifest => {
            let mut manifest = (*app.manifest).clone();
            for service in manifest.services.values_mut() {
                service.env.insert("NEW".to_owned(), "1".to_owned());
            }
            app.manifest = manifest.into();
            app.generation = app.generation.next();
            app.digest = archy_types::Digest::of(b"another");
        }
        _ => {}
    }
}

fn reboot(world: &mut World) {
    world.containers.clear();
    world.units.clear();
    world.reload();
}

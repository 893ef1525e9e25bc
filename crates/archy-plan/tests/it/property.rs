//! From any world a plan leads to the desired state, and a second plan is empty.

use archy_plan::observed::{ActiveState, ContainerState, FileState};
use archy_plan::{DesiredApp, DesiredState, Intent, Known, Observed, Plan, Step, plan};
use archy_types::{Cause, Generation, Health, Timestamp};
use proptest::prelude::*;

use crate::apps::{self, BUILT, SMALL, STACK};
use crate::world::{OURS, World, unit};

/// Something that went wrong, or that somebody did. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Damage {
    LoseUnitState(usize),
    FailUnit(usize),
    StopOutside(usize),
    KillContainer(usize),
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

fn damage() -> impl Strategy<Value = Damage> {
    use Damage::*;
    let n = 0..8_usize;
    prop_oneof![
        n.clone().prop_map(LoseUnitState),
        n.clone().prop_map(FailUnit),
        n.clone().prop_map(StopOutside),
        n.clone().prop_map(KillContainer),
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

fn container(label: &str) -> ContainerState {
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

fn apply(world: &mut World, app: &mut DesiredApp, damage: &Damage) {
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
                let unit = crate::world::unit_of(&file).unwrap_or_default();
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
                    *hash = "edited".to_owned();
                }
            }
        }
        Damage::Reboot => reboot(world),
        Damage::NewAddress => {
            let key = archy_manifest::template::Placeholder::HostIp;
            world.host.values.insert(key, "192.0.2.99".to_owned());
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

fn rank(step: &Step) -> u8 {
    match step {
        // prepares, while everything still runs
        Step::GenerateSecret { .. } | Step::PullImage { .. } => 0,
        Step::RunHook { point } if *point == archy_manifest::model::HookPoint::PreStop => 1,
        Step::StopUnits { .. }
        | Step::RemoveContainer { .. }
        | Step::RemoveUnitFile { .. }
        | Step::RemoveNetwork { .. }
        | Step::PurgeVolume { .. }
        | Step::PurgeData
        | Step::RemovePodmanSecret { .. }
        | Step::PurgeSecret { .. } => 1,
        _ => 2,
    }
}

fn check_order(plan: &Plan) {
    // a reload belongs to what went before it
    let ranks: Vec<u8> = plan
        .steps
        .iter()
        .filter(|planned| planned.step != Step::Reload)
        .map(|planned| rank(&planned.step))
        .collect();
    assert!(ranks.is_sorted(), "{}", plan.to_text());
    for planned in &plan.steps {
        assert!(!planned.reason.is_empty());
        assert!(!archy_plan::describe(&planned.step).is_empty());
    }
}

const TEXTS: [&str; 3] = [SMALL, STACK, BUILT];
const SECRET: &str = "correct horse battery staple";

fn start(which: usize) -> DesiredApp {
    let mut app = apps::app(TEXTS[which]);
    if app.manifest.config.contains_key("password") {
        app.settings.insert("password".to_owned(), SECRET.into());
    }
    app
}

fn installed(which: usize) -> (World, DesiredApp) {
    let app = start(which);
    let mut world = World::new();
    for name in app.settings.keys().filter(|key| *key == "password") {
        let name = archy_quadlet::config_secret_name(&app.manifest.id, name);
        world.secrets.insert(name, "hash-of-password".to_owned());
    }
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    (world, app)
}

/// Facts that planning cannot do without, taken away one at a time.
fn forget(observed: &mut Observed, which: usize) {
    let cause = || Cause::new("podman-silent", "Podman does not answer.");
    match which {
        0 => observed.unit_files = Known::No(cause()),
        1 => observed.units = Known::No(cause()),
        2 => observed.containers = Known::No(cause()),
        3 => observed.images = Known::No(cause()),
        4 => observed.volumes = Known::No(cause()),
        5 => observed.networks = Known::No(cause()),
        6 => observed.podman_secrets = Known::No(cause()),
        7 => observed.secret_files = Known::No(cause()),
        _ => observed.app_files = Known::No(cause()),
    }
}

fn state() -> impl Strategy<Value = DesiredState> {
    prop_oneof![
        4 => Just(DesiredState::Running),
        2 => Just(DesiredState::Stopped),
        1 => Just(DesiredState::Removed),
        1 => Just(DesiredState::Purged),
    ]
}

fn intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        Just(Intent::Converge),
        Just(Intent::Start),
        Just(Intent::Restart),
        Just(Intent::Install)
    ]
}

fn assert_gone(world: &World, app: &DesiredApp) {
    assert!(world.orphans(app, |_| false), "{:?}", world.files.keys());
    let id = app.manifest.id.as_str();
    for state in world.containers.values() {
        assert_ne!(state.labels.get(OURS).map(String::as_str), Some(id));
    }
    assert!(!world.networks.contains(id));
    if app.state == DesiredState::Purged {
        assert!(!world.app_files.contains_key(&app.manifest.id));
        let prefix = format!("{id}-");
        assert!(!world.volumes.iter().any(|name| name.starts_with(&prefix)));
        assert!(!world.secrets.keys().any(|name| name.starts_with(&prefix)));
    }
}

/// Foreign things beside the app, with names that look like its own.
fn foreign(world: &mut World, id: &str) {
    world.files.insert(format!("{id}-visitor.container"), "[Container]\nImage=y\n".to_owned());
    world.files.insert(
        format!("{id}er.container"),
        format!("[Container]\nImage=y\nLabel={OURS}={id}er\n"),
    );
    world.containers.insert(format!("{id}-visitor"), container("somebody"));
    world.networks.insert(format!("{id}-visitor"));
    world.volumes.insert("visitor".to_owned());
}

fn foreign_is_whole(world: &World, id: &str) {
    assert!(world.files.contains_key(&format!("{id}-visitor.container")));
    assert!(world.files.contains_key(&format!("{id}er.container")));
    assert!(world.containers.contains_key(&format!("{id}-visitor")));
    assert!(world.networks.contains(&format!("{id}-visitor")));
    assert!(world.volumes.contains("visitor"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_leads_there_and_a_second_one_is_empty(
        which in 0..TEXTS.len(),
        fresh in any::<bool>(),
        damages in prop::collection::vec(damage(), 0..5),
        state in state(),
        intent in intent(),
    ) {
        let (mut world, mut app) = if fresh { (World::new(), start(which)) } else { installed(which) };
        if fresh && app.settings.contains_key("password") {
            app.settings.clear();
        }
        for damage in &damages {
            apply(&mut world, &mut app, damage);
        }
        foreign(&mut world, app.manifest.id.as_str());
        app.state = state;
        // the owner asks after all of that
        world.clock += 1000;
        app.since = Timestamp(world.clock);
        app.generation = Generation(9);
        if !app.is_leaving() && lost_setting(&world, &app) {
            return Ok(());
        }
        let all = [app.clone()];
        let plans = world.run(&app, &all, intent);
        for plan in &plans {
            prop_assert!(plan.refusal().is_none(), "{}", plan.to_text());
            check_order(plan);
            let text = serde_json::to_string(plan).unwrap() + &plan.to_text();
            prop_assert!(!text.contains(SECRET));
        }
        match state {
            DesiredState::Running => world.assert_running(&app, &all),
            DesiredState::Stopped => {
                for unit in world.units_of(&app) {
                    prop_assert!(!world.is_active(&unit));
                }
                let label = format!("{OURS}={}\n", app.manifest.id);
                let mut own = world.files.values().filter(|text| text.contains(&label));
                let enabled = own.any(|text| text.contains("WantedBy"));
                prop_assert!(!enabled);
            }
            DesiredState::Removed | DesiredState::Purged => assert_gone(&world, &app),
        }
        foreign_is_whole(&world, app.manifest.id.as_str());
        let second = plan(&app, &world.observe(), &all, Intent::Converge);
        prop_assert!(second.is_empty(), "{}", second.to_text());
    }

    #[test]
    fn a_pass_alone_never_refuses_or_panics_and_settles(
        which in 0..TEXTS.len(),
        damages in prop::collection::vec(damage(), 0..6),
    ) {
        let (mut world, mut app) = installed(which);
        for damage in &damages {
            apply(&mut world, &mut app, damage);
        }
        if lost_setting(&world, &app) {
            return Ok(());
        }
        let all = [app.clone()];
        for plan in world.run(&app, &all, Intent::Converge) {
            prop_assert!(plan.refusal().is_none(), "{}", plan.to_text());
            check_order(&plan);
        }
        let second = plan(&app, &world.observe(), &all, Intent::Converge);
        prop_assert!(second.is_empty(), "{}", second.to_text());
    }

    #[test]
    fn without_a_fact_nothing_is_done(
        which in 0..TEXTS.len(),
        damages in prop::collection::vec(damage(), 0..4),
        fact in 0..9_usize,
        state in state(),
        intent in intent(),
    ) {
        let (mut world, mut app) = installed(which);
        for damage in &damages {
            apply(&mut world, &mut app, damage);
        }
        app.state = state;
        let mut observed = world.observe();
        forget(&mut observed, fact);
        let made = plan(&app, &observed, std::slice::from_ref(&app), intent);
        prop_assert!(made.is_empty());
        prop_assert!(made.checks.iter().any(|check| check.code.as_str() == "host-unknown"));
        let mut going = world.observe();
        going.shutting_down = true;
        let made = plan(&app, &going, std::slice::from_ref(&app), intent);
        prop_assert!(made.is_empty());
    }
}

/// The secret of a setting was lost: only the owner can supply it again.
fn lost_setting(world: &World, app: &DesiredApp) -> bool {
    app.settings.contains_key("password")
        && !world
            .secrets
            .contains_key(&archy_quadlet::config_secret_name(&app.manifest.id, "password"))
}

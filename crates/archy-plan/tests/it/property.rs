//! From any world a plan leads to the desired state, and a second plan is empty.

use archy_plan::{DesiredApp, DesiredState, Intent, Known, Observed, Plan, Step, plan};
use archy_types::{Cause, Generation, Timestamp};
use proptest::prelude::*;

use crate::apps::{self, BUILT, SMALL, STACK};
use crate::damage::{apply, container, damage};
use crate::world::{OURS, World};

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
    // a build comes with the units, or before everything where the app runs meanwhile
    let builds = |step: &Step| match step {
        Step::BuildImage { .. } => true,
        Step::WriteUnitFile { file_name, .. } => file_name.ends_with(".build"),
        Step::StopUnits { units, .. } => units.iter().all(|unit| unit.ends_with("-build.service")),
        _ => false,
    };
    // a reload belongs to what went before it
    let ranks: Vec<u8> = plan
        .steps
        .iter()
        .filter(|planned| planned.step != Step::Reload && !builds(&planned.step))
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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
        // of an app that goes, what systemd holds goes without Podman; its data waits
        let goes = |step: &Step| {
            matches!(step, Step::StopUnits { .. } | Step::RemoveUnitFile { .. } | Step::Reload)
        };
        let steps = made.steps.iter().map(|planned| &planned.step);
        prop_assert!(steps.into_iter().all(|step| app.is_leaving() && goes(step)));
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

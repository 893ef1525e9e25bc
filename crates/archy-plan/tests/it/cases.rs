//! Single cases of planning, each with the steps that it must lead to.

use archy_manifest::template::Placeholder;
use std::collections::BTreeMap;

use archy_plan::observed::ActiveState;
use archy_plan::{DesiredApp, DesiredState, Intent, Plan, Severity, Step, describe, plan};
use archy_types::{Generation, Timestamp};

use crate::apps::{self, BUILT, COMPOSED, SMALL, STACK};
use crate::world::{World, unit};

/// What is taken, and how it comes about.
type Taken = (&'static str, fn(&mut World));

fn installed(text: &str) -> (World, DesiredApp) {
    let app = apps::app(text);
    let mut world = World::new();
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    world.assert_running(&app, std::slice::from_ref(&app));
    (world, app)
}

fn planned(world: &World, app: &DesiredApp, intent: Intent) -> Plan {
    plan(app, &world.observe(), std::slice::from_ref(app), intent)
}

fn words(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|planned| describe(&planned.step)).collect()
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.checks.iter().map(|check| check.code.as_str()).collect()
}

fn end(world: &mut World, name: &str, active: ActiveState, result: &str, at: i64) {
    let state = world.units.get_mut(name).unwrap();
    state.active = active;
    state.result = result.to_owned();
    state.inactive_since = Some(Timestamp(at));
    world.containers.remove(name.trim_end_matches(".service"));
}

#[test]
fn a_first_install_prepares_then_adds() {
    let app = apps::app(SMALL);
    let mut world = World::new();
    let first = planned(&world, &app, Intent::Install);
    assert_eq!(
        words(&first)[..2],
        ["Generate the secret diary-token", "Pull registry.example/diary:1.2.0"]
    );
    assert!(first.to_text().contains("io.archipelago.env-hash=pending") || !first.is_empty());
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    let after = planned(&world, &app, Intent::Converge);
    assert!(after.is_empty(), "{}", after.to_text());

    let mut again = World::new();
    again.secrets = world.secrets.clone();
    assert_eq!(
        words(&planned(&again, &app, Intent::Install)),
        [
            "Pull registry.example/diary:1.2.0",
            "Make the app's data directory",
            "Make pages for 1000:1000",
            "Hand the secret diary-token to Podman",
            "Write conf/diary.ini",
            "Write conf/token.ini",
            "Write conf/mine.ini",
            "Create diary.network",
            "Create diary-index.volume",
            "Create diary.container",
            "Make systemd read its unit files",
            "Start diary.service",
            "Wait until the app is ready",
            "Run the hook post_install",
        ]
    );
}

#[test]
fn a_built_app_is_built_and_its_gateway_known_before_the_file() {
    let app = apps::app(BUILT);
    assert_eq!(
        words(&planned(&World::new(), &app, Intent::Install)),
        [
            "Make the app's data directory",
            "Create archy-net.network",
            "Create sketch.build",
            "Create sketch.container",
            "Make systemd read its unit files",
            "Start archy-net-network.service",
            "Write resolv.conf",
            "Build the image of main",
            "Start sketch.service",
        ]
    );
    // installed again, the sources may have changed: built anew, then restarted
    let (world, app) = installed(BUILT);
    assert_eq!(
        words(&planned(&world, &app, Intent::Install)),
        [
            "Stop sketch-build.service",
            "Build the image of main",
            "Stop sketch.service",
            "Write resolv.conf",
            "Start sketch.service",
        ]
    );
}

#[test]
fn a_context_decides_what_is_built() {
    let app = apps::app(BUILT);
    let all = std::slice::from_ref(&app);
    let digest = |digit: &str| {
        let of_app = [("main".parse().unwrap(), digit.repeat(64))].into();
        BTreeMap::from([(app.manifest.id.clone(), of_app)])
    };
    let mut world = World::new();
    world.contexts = digest("a");
    world.run(&app, all, Intent::Install);
    // the same: nothing is built, although an install asks
    assert!(planned(&world, &app, Intent::Converge).is_empty());
    assert!(planned(&world, &app, Intent::Install).is_empty());
    // of a context that cannot be read the deployed unit tells what it was
    world.contexts = BTreeMap::new();
    assert!(planned(&world, &app, Intent::Converge).is_empty());
    // another content: built while the app runs, so that a build that fails ends nothing
    world.contexts = digest("b");
    let change = planned(&world, &app, Intent::Converge);
    assert_eq!(
        words(&change),
        [
            "Change sketch.build",
            "Make systemd read its unit files",
            "Stop sketch-build.service",
            "Build the image of main",
            "Stop sketch.service",
            "Change sketch.container",
            "Make systemd read its unit files",
            "Write resolv.conf",
            "Start sketch.service",
        ]
    );
    world.run(&app, all, Intent::Converge);
    assert!(planned(&world, &app, Intent::Converge).is_empty());

    // the owner's own image takes the place of the built one, and no context changes that
    let own = "localhost/sketch:local";
    world.images.insert(own.to_owned());
    world.run(&app, all, Intent::Converge);
    assert!(world.files["sketch.container"].contains(&format!("Image={own}\n")));
    assert!(!world.files.contains_key("sketch.build"));
    world.contexts = digest("c");
    for intent in [Intent::Converge, Intent::Install] {
        let plan = planned(&world, &app, intent);
        assert!(!words(&plan).iter().any(|step| step.starts_with("Build")), "{}", plan.to_text());
    }
    assert!(planned(&world, &app, Intent::Converge).is_empty());
    // gone again, the context counts
    world.images.remove(own);
    let plan = planned(&world, &app, Intent::Converge);
    assert!(words(&plan).contains(&"Build the image of main".to_owned()), "{}", plan.to_text());
}

#[test]
fn what_somebody_stopped_stays_stopped_until_the_owner_asks() {
    let (mut world, mut app) = installed(SMALL);
    end(&mut world, "diary.service", ActiveState::Inactive, "success", 9_000);
    let pass = planned(&world, &app, Intent::Converge);
    assert!(pass.is_empty(), "{}", pass.to_text());
    assert_eq!(codes(&pass), ["stopped-outside"]);
    assert!(
        words(&planned(&world, &app, Intent::Start)).contains(&"Start diary.service".to_owned())
    );
    // the owner asked for it to run after that
    app.since = Timestamp(9_001);
    assert!(
        words(&planned(&world, &app, Intent::Converge)).contains(&"Start diary.service".to_owned())
    );
}

#[test]
fn what_failed_is_left_to_the_owner_unless_it_changed() {
    let (mut world, mut app) = installed(SMALL);
    end(&mut world, "diary.service", ActiveState::Failed, "start-limit-hit", 9_000);
    let pass = planned(&world, &app, Intent::Converge);
    assert!(pass.is_empty(), "{}", pass.to_text());
    assert_eq!(codes(&pass), ["service-failed"]);
    assert!(!planned(&world, &app, Intent::Restart).is_empty());
    let mut manifest = (*app.manifest).clone();
    manifest.services.values_mut().for_each(|service| service.args.push("--new".to_owned()));
    app.manifest = manifest.into();
    assert!(
        words(&planned(&world, &app, Intent::Converge)).contains(&"Start diary.service".to_owned())
    );
}

#[test]
fn nothing_pulls_in_a_failed_dependency() {
    let (mut world, app) = installed(STACK);
    end(&mut world, "forum-db.service", ActiveState::Failed, "start-limit-hit", 9_000);
    world.units.insert("forum.service".to_owned(), unit(ActiveState::Inactive, "success"));
    world.containers.remove("forum");
    let pass = planned(&world, &app, Intent::Converge);
    assert!(pass.is_empty(), "{}", pass.to_text());
    assert!(
        words(&planned(&world, &app, Intent::Start))
            .iter()
            .any(|text| text.contains("forum.service") && text.contains("forum-db.service"))
    );
}

#[test]
fn masked_and_moving_units_are_not_touched() {
    let (mut world, app) = installed(SMALL);
    let state = world.units.get_mut("diary.service").unwrap();
    state.load = "masked".to_owned();
    state.active = ActiveState::Inactive;
    world.containers.clear();
    world.files.get_mut("diary.container").unwrap().push_str("Environment=A=1\n");
    let pass = planned(&world, &app, Intent::Start);
    assert_eq!(words(&pass), Vec::<String>::new(), "{}", pass.to_text());
    assert_eq!(codes(&pass), ["unit-masked"]);

    for active in [ActiveState::Activating, ActiveState::Deactivating] {
        let (mut world, app) = installed(STACK);
        world.units.get_mut("forum-db.service").unwrap().active = active;
        world.units.insert("forum.service".to_owned(), unit(ActiveState::Inactive, "success"));
        let pass = planned(&world, &app, Intent::Converge);
        assert!(pass.is_empty());
        assert_eq!(codes(&pass), ["in-transition"]);
        let mut stopped = app.clone();
        stopped.state = DesiredState::Stopped;
        let stop = planned(&world, &stopped, Intent::Converge);
        assert!(words(&stop)[0].contains("forum-db.service"), "{}", stop.to_text());
    }
}

#[test]
fn labels_alone_restart_nothing_and_addresses_wait_for_a_start() {
    let (mut world, mut app) = installed(SMALL);
    app.generation = Generation(2);
    let pass = planned(&world, &app, Intent::Converge);
    assert_eq!(words(&pass), ["Change diary.container", "Make systemd read its unit files"]);
    world.carry_out(&app, &pass);

    world.host.values.insert(Placeholder::HostIp, "192.0.2.77".to_owned());
    let pass = planned(&world, &app, Intent::Converge);
    assert_eq!(words(&pass), ["Change diary.container", "Make systemd read its unit files"]);
    assert!(pass.to_text().contains("+Environment=URL=http://192.0.2.77:8100"));
    assert_eq!(codes(&pass), ["environment-later"]);
    world.carry_out(&app, &pass);
    let restart = planned(&world, &app, Intent::Restart);
    assert_eq!(
        words(&restart),
        [
            "Run the hook pre_stop",
            "Stop diary.service",
            "Write conf/token.ini",
            "Start diary.service",
            "Wait until the app is ready",
        ]
    );
}

#[test]
fn a_figure_of_the_node_alone_is_not_even_written() {
    let mut app = apps::app(SMALL);
    let mut manifest = (*app.manifest).clone();
    let quota = archy_manifest::template::Template::parse("{{DISK_GB}}").unwrap();
    manifest.services[0].derived_env.insert("QUOTA".to_owned(), quota);
    app.manifest = manifest.into();
    let mut world = World::new();
    world.host.values.insert(Placeholder::DiskGb, "100".to_owned());
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    world.host.values.insert(Placeholder::DiskGb, "99".to_owned());
    assert!(planned(&world, &app, Intent::Converge).is_empty());
    assert!(
        words(&planned(&world, &app, Intent::Restart))
            .contains(&"Change diary.container".to_owned())
    );
}

#[test]
fn only_what_changed_is_restarted() {
    let (world, mut app) = installed(STACK);
    let mut manifest = (*app.manifest).clone();
    manifest.services["cache"].env.insert("NEW".to_owned(), "1".to_owned());
    app.manifest = manifest.clone().into();
    let pass = planned(&world, &app, Intent::Converge);
    assert_eq!(
        words(&pass),
        [
            "Stop forum-cache.service",
            "Change forum-cache.container",
            "Make systemd read its unit files",
            "Start forum-cache.service",
        ]
    );
    // what requires a service that is stopped goes down and up with it
    manifest.services["cache"].env.clear();
    manifest.services["migrate"].args.push("--twice".to_owned());
    app.manifest = manifest.into();
    let pass = planned(&world, &app, Intent::Converge);
    assert_eq!(words(&pass)[0], "Stop forum-migrate.service, forum.service");
}

#[test]
fn a_changed_setting_rewrites_the_file_and_restarts() {
    let (world, mut app) = installed(SMALL);
    app.settings.insert("greeting".to_owned(), "good evening".into());
    let pass = planned(&world, &app, Intent::Converge);
    assert!(words(&pass).contains(&"Write conf/diary.ini".to_owned()), "{}", pass.to_text());
    assert!(!words(&pass).iter().any(|text| text.starts_with("Stop")), "nothing mounts it");
}

#[test]
fn a_rotated_secret_restarts_what_uses_it() {
    let (mut world, app) = installed(STACK);
    world.secrets.insert("forum-db".to_owned(), "rotated".to_owned());
    let pass = planned(&world, &app, Intent::Converge);
    let stop = &words(&pass)[0];
    assert_eq!(stop, "Stop forum-db.service, forum-migrate.service, forum.service");
    world.run(&app, std::slice::from_ref(&app), Intent::Converge);
    world.assert_running(&app, std::slice::from_ref(&app));
}

#[test]
fn a_directory_that_is_gone_comes_back_with_a_container_that_sees_it() {
    let (mut world, app) = installed(SMALL);
    world.app_files.get_mut(&app.manifest.id).unwrap().remove("pages");
    let pass = planned(&world, &app, Intent::Converge);
    let words = words(&pass);
    let at = |step: &str| words.iter().position(|text| text.starts_with(step));
    let order = [at("Stop diary.service"), at("Make pages"), at("Start diary.service")];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{words:?}");
    world.carry_out(&app, &pass);
    assert!(planned(&world, &app, Intent::Converge).is_empty());
}

#[test]
fn a_renamed_container_gets_its_name_back() {
    let (mut world, app) = installed(SMALL);
    let container = world.containers.remove("diary").unwrap();
    world.containers.insert("somebody".to_owned(), container);
    let plan = planned(&world, &app, Intent::Converge);
    assert_eq!(words(&plan), ["Rename the container somebody to diary"]);
    world.carry_out(&app, &plan);
    assert!(planned(&world, &app, Intent::Converge).is_empty());
}

#[test]
fn a_stop_disables_and_a_start_enables() {
    let (mut world, mut app) = installed(SMALL);
    app.state = DesiredState::Stopped;
    let stop = planned(&world, &app, Intent::Converge);
    assert_eq!(
        words(&stop),
        [
            "Run the hook pre_stop",
            "Stop diary.service",
            // nothing is started from it: systemd reads it before the next look
            "Change diary.container",
        ]
    );
    world.carry_out(&app, &stop);
    assert!(!world.files["diary.container"].contains("WantedBy"));
    assert!(planned(&world, &app, Intent::Converge).is_empty());
    app.state = DesiredState::Running;
    app.since = Timestamp(world.clock + 1);
    world.run(&app, std::slice::from_ref(&app), Intent::Start);
    world.assert_running(&app, std::slice::from_ref(&app));
}

#[test]
fn an_uninstall_keeps_data_and_a_purge_takes_only_its_own() {
    let (world, mut app) = installed(SMALL);
    let mut other = apps::tiny("reader", "  secrets: { diary-token: hex32 }");
    other.since = Timestamp(0);
    for (state, purged) in [(DesiredState::Removed, false), (DesiredState::Purged, true)] {
        let mut world = world.clone();
        app.state = state;
        world.run(&app, std::slice::from_ref(&app), Intent::Converge);
        assert_eq!(world.volumes.contains("diary-index"), !purged);
        assert_eq!(world.app_files.contains_key(&app.manifest.id), !purged);
        assert_eq!(world.secrets.contains_key("diary-token"), !purged);
        assert!(world.podman_secrets.is_empty() && world.files.is_empty());
        assert!(world.networks.is_empty() && world.containers.is_empty());
    }
    let mut shared = world.clone();
    shared.run(&app, &[app.clone(), other], Intent::Converge);
    assert!(shared.secrets.contains_key("diary-token") && !shared.podman_secrets.is_empty());
}

#[test]
fn the_shared_network_stays() {
    let (mut world, mut app) = installed(STACK);
    app.state = DesiredState::Purged;
    world.run(&app, std::slice::from_ref(&app), Intent::Converge);
    assert!(world.files.contains_key("archy-net.network") && world.networks.contains("archy-net"));
    assert_eq!(world.files.len(), 1);
}

#[test]
fn a_lost_network_comes_back() {
    let (mut world, app) = installed(SMALL);
    world.networks.clear();
    end(&mut world, "diary.service", ActiveState::Failed, "exit-code", 9_000);
    let pass = planned(&world, &app, Intent::Converge);
    assert_eq!(words(&pass)[0], "Stop diary-network.service");
    world.run(&app, std::slice::from_ref(&app), Intent::Converge);
    world.assert_running(&app, std::slice::from_ref(&app));
}

#[test]
fn foreign_things_refuse_a_start_but_never_a_stop() {
    let taken: [Taken; 5] = [
        ("container", |world| {
            let mut state = world.containers["diary"].clone();
            state.labels.clear();
            world.containers.insert("diary".to_owned(), state);
        }),
        ("unit file", |world| {
            world.containers.clear();
            world.files.insert("diary.container".to_owned(), "[Container]\n".to_owned());
        }),
        ("network", |world| {
            world.strangers.networks.insert("diary".to_owned());
        }),
        ("volume", |world| {
            world.strangers.volumes.insert("diary-index".to_owned());
        }),
        ("unit", |world| {
            world.containers.clear();
            world.files.remove("diary.container");
        }),
    ];
    for (what, take) in taken {
        let (mut world, mut app) = installed(SMALL);
        take(&mut world);
        for intent in [Intent::Converge, Intent::Start, Intent::Restart, Intent::Install] {
            let made = planned(&world, &app, intent);
            assert!(made.is_empty(), "{what}: {}", made.to_text());
            let check = made.refusal().unwrap();
            assert_eq!(check.code.as_str(), "name-taken", "{what}");
            assert!(check.message.contains(&format!("The {what} ")), "{}", check.message);
            assert!(check.mend.is_some());
        }
        app.state = DesiredState::Stopped;
        let stop = planned(&world, &app, Intent::Converge);
        assert!(stop.refusal().is_none(), "{what}: {}", stop.to_text());
        assert!(stop.checks.iter().any(|check| check.severity == Severity::Warning));
        let rewrites = |planned: &archy_plan::PlannedStep| matches!(&planned.step, Step::WriteUnitFile { file_name, .. } if file_name == "diary.container");
        assert!(what != "unit file" || !stop.steps.iter().any(rewrites));
    }
}

#[test]
fn what_cannot_be_rendered_can_still_be_stopped_and_removed() {
    let (mut world, mut app) = installed(SMALL);
    world.host.values.clear();
    let made = planned(&world, &app, Intent::Converge);
    assert!(made.is_empty());
    assert_eq!(made.refusal().unwrap().code.as_str(), "placeholder-unresolved");
    app.state = DesiredState::Stopped;
    let made = planned(&world, &app, Intent::Converge);
    assert_eq!(
        words(&made),
        ["Stop diary-index-volume.service, diary-network.service, diary.service"]
    );
    assert!(made.refusal().is_none());
    app.state = DesiredState::Removed;
    world.run(&app, std::slice::from_ref(&app), Intent::Converge);
    assert!(world.files.is_empty());
}

#[test]
fn deadlines_are_above_those_of_the_units() {
    let (world, app) = installed(STACK);
    let restart = planned(&world, &app, Intent::Restart);
    for planned in &restart.steps {
        match &planned.step {
            // 60 + 30 for the database, 10 + 30 for each other at least
            Step::StopUnits { deadline_secs, .. } => assert!(*deadline_secs > 90 + 3 * 40),
            Step::StartUnits { deadline_secs, .. } => assert!(*deadline_secs > 3600),
            _ => {}
        }
    }
}

#[test]
fn a_unit_that_was_not_looked_at_is_told_by_its_container() {
    let (mut world, mut app) = installed(SMALL);
    world.files.remove("diary.container");
    world.units.remove("diary.service");
    let pass = planned(&world, &app, Intent::Converge);
    assert_eq!(words(&pass), ["Create diary.container", "Make systemd read its unit files"]);
    for state in [DesiredState::Stopped, DesiredState::Removed] {
        app.state = state;
        let words = words(&planned(&world, &app, Intent::Converge));
        assert!(
            words.iter().any(|text| text.starts_with("Stop ") && text.contains("diary.service")),
            "{words:?}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_written_at_a_start_only() {
    let (mut world, app) = installed(SMALL);
    let files = world.app_files.get_mut(&app.manifest.id).unwrap();
    let hash = "unreadable".to_owned();
    files.insert("conf/diary.ini".to_owned(), archy_plan::observed::FileState::File { hash });
    assert!(planned(&world, &app, Intent::Converge).is_empty());
    assert!(
        words(&planned(&world, &app, Intent::Restart)).contains(&"Write conf/diary.ini".to_owned())
    );
}

#[test]
fn a_composed_secret_follows_what_it_is_made_of() {
    let (mut world, app) = installed(COMPOSED);
    let composed = |world: &World| {
        let mut names = world.podman_secrets.keys().filter(|name| name.starts_with("ledger-env-"));
        names.next().cloned().unwrap()
    };
    let name = composed(&world);
    world.secrets.insert("ledger-pw".to_owned(), "rotated".to_owned());
    let change = planned(&world, &app, Intent::Converge);
    assert!(
        words(&change).contains(&format!("Put the secret {name} together")),
        "{}",
        change.to_text()
    );
    world.run(&app, std::slice::from_ref(&app), Intent::Converge);
    assert!(planned(&world, &app, Intent::Converge).is_empty());

    world.podman_secrets.clear();
    let lost = words(&planned(&world, &app, Intent::Converge));
    assert!(lost.contains(&format!("Put the secret {name} together")), "{lost:?}");

    world.podman_secrets.insert(name.clone(), "any".to_owned());
    let gone = DesiredApp { state: DesiredState::Removed, ..app };
    let words = words(&planned(&world, &gone, Intent::Converge));
    assert!(words.contains(&format!("Take the secret {name} back from Podman")), "{words:?}");
}

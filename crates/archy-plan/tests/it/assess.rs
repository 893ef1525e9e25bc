//! One row for each state that people can see.

use archy_plan::observed::{ActiveState, UnitState};
use archy_plan::{
    Assessment, DesiredApp, DesiredState, Intent, Known, assess, assess_among, render_app,
};
use archy_types::{Actor, AppState, Cause, Health, StatusReport, Timestamp};

use crate::apps::{self, STACK};
use crate::world::World;

type Change = fn(&mut World, &mut DesiredApp);

fn set(world: &mut World, unit: &str, active: ActiveState, result: &str, sub: &str) {
    let state = world.units.get_mut(unit).unwrap();
    state.active = active;
    state.result = result.to_owned();
    state.sub = sub.to_owned();
    state.exit_status = (result == "exit-code").then_some(7);
    state.inactive_since = Some(Timestamp(50_000));
}

fn everything(world: &mut World, active: ActiveState, result: &str) {
    for unit in ["forum", "forum-db", "forum-cache", "forum-migrate"] {
        set(world, &format!("{unit}.service"), active, result, "");
    }
}

const ROWS: &[(AppState, &str, Change)] = &[
    (AppState::Running, "running", |_, _| {}),
    (AppState::Running, "running", |world, _| {
        // its unit is active since it answered; Podman has not asked yet
        world.containers.get_mut("forum").unwrap().health = Health::Starting;
    }),
    (AppState::Failed, "service-failed", |world, _| {
        set(world, "forum-db.service", ActiveState::Failed, "exit-code", "failed");
    }),
    (AppState::Stopped, "stopped-outside", |world, _| {
        everything(world, ActiveState::Inactive, "success");
    }),
    (AppState::Unhealthy, "stopped-outside", |world, _| {
        set(world, "forum-db.service", ActiveState::Inactive, "success", "dead");
    }),
    (AppState::Starting, "service-restarting", |world, _| {
        set(world, "forum.service", ActiveState::Activating, "exit-code", "auto-restart");
    }),
    (AppState::Starting, "unit-starting", |world, _| {
        set(world, "forum.service", ActiveState::Activating, "success", "start");
    }),
    (AppState::Stopping, "unit-stopping", |world, _| {
        set(world, "forum.service", ActiveState::Deactivating, "success", "stop");
    }),
    (AppState::Starting, "not-started", |world, _| world.units.clear()),
    (AppState::Unhealthy, "health-failing", |world, _| {
        let container = world.containers.get_mut("forum-db").unwrap();
        container.health = Health::Unhealthy;
        container.health_output = Some("no\nconnection refused\n".to_owned());
    }),
    (AppState::Failed, "health-failing", |world, _| {
        set(world, "forum.service", ActiveState::Failed, UnitState::UNHEALTHY, "failed");
    }),
    (AppState::Starting, "service-restarting", |world, _| {
        set(world, "forum.service", ActiveState::Activating, UnitState::UNHEALTHY, "auto-restart");
    }),
    (AppState::Failed, "out-of-memory", |world, _| {
        set(world, "forum.service", ActiveState::Failed, UnitState::OUT_OF_MEMORY, "failed");
    }),
    (AppState::Starting, "out-of-memory", |world, _| {
        let result = UnitState::OUT_OF_MEMORY;
        set(world, "forum.service", ActiveState::Activating, result, "auto-restart");
    }),
    (AppState::Running, "health-unknown", |world, _| {
        let container = world.containers.get_mut("forum-db").unwrap();
        container.health = Health::Unknown;
        container.health_output = Some("pg_isready cannot be run in this image".to_owned());
    }),
    (AppState::Starting, "health-starting", |world, _| {
        // of a check that is a program in the container, Podman alone tells
        world.containers.get_mut("forum-db").unwrap().health = Health::Starting;
    }),
    (AppState::Unhealthy, "unit-masked", |world, _| {
        let state = world.units.get_mut("forum-cache.service").unwrap();
        state.load = "masked".to_owned();
        state.active = ActiveState::Inactive;
        state.active_since = None;
    }),
    (AppState::Stopped, "stop-asked", |world, app| {
        app.state = DesiredState::Stopped;
        everything(world, ActiveState::Inactive, "success");
    }),
    (AppState::Stopping, "stop-asked", |_, app| app.state = DesiredState::Stopped),
    (AppState::Removing, "uninstall-asked", |_, app| app.state = DesiredState::Purged),
];

fn installed() -> (World, DesiredApp) {
    let app = apps::app(STACK);
    let mut world = World::new();
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    (world, app)
}

fn look(world: &World, app: &DesiredApp, before: Option<&StatusReport>, now: i64) -> Assessment {
    let observed = world.observe();
    let deployment = render_app(app, &observed, std::slice::from_ref(app)).unwrap();
    assess(app, &deployment, &observed, before, Timestamp(now))
}

#[test]
fn each_state_has_all_that_belongs_to_it() {
    for (state, code, change) in ROWS {
        let (mut world, mut app) = installed();
        change(&mut world, &mut app);
        let seen = look(&world, &app, None, 60_000);
        let report = &seen.report;
        assert_eq!((report.state, report.cause.code.as_str()), (*state, *code));
        assert!(!report.cause.text.is_empty());
        assert_eq!(report.deadline.is_some(), state.is_transient(), "{code}");
        let well = *state == AppState::Running;
        assert_eq!(report.repair.is_none(), well, "{code}");
        assert!(well || report.next.is_some() || *state == AppState::Stopped, "{code}");
        assert_eq!(
            report.actor == Actor::Outside,
            code.contains("outside") || code.contains("masked")
        );
        assert_eq!(seen.services.len(), 4);
        // since is kept as long as state and cause stay
        let later = look(&world, &app, Some(report), 61_000);
        assert_eq!(later.report.since, report.since, "{code}");
        assert_eq!(later.report.deadline, report.deadline, "{code}");
        // and a transient state ends, once for all
        let Some(deadline) = report.deadline else { continue };
        let over = look(&world, &app, Some(report), deadline.0 + 1);
        assert_eq!(over.report.state, AppState::Failed, "{code}");
        assert_eq!(over.report.cause.code.as_str(), "overdue", "{code}");
        let still = look(&world, &app, Some(&over.report), deadline.0 + 90_000);
        assert_eq!(still.report, over.report);
        // until somebody asks anew
        app.since = Timestamp(deadline.0 + 100_000);
        let asked = look(&world, &app, Some(&over.report), deadline.0 + 100_001);
        assert_ne!(asked.report.cause.code.as_str(), "overdue");
    }
}

#[test]
fn a_stopped_app_keeps_since_when() {
    let (mut world, mut app) = installed();
    (app.state, app.since) = (DesiredState::Stopped, Timestamp(49_000));
    everything(&mut world, ActiveState::Inactive, "success");
    let ended = look(&world, &app, None, 60_000);
    assert_eq!(ended.report.since, Timestamp(50_000));
    // systemd forgot the units, and the daemon what it saw
    world.units.clear();
    let forgotten = look(&world, &app, None, 70_000);
    assert_eq!((forgotten.report.state, forgotten.report.since), (AppState::Stopped, app.since));
}

#[test]
fn a_failure_names_service_result_and_status() {
    let (mut world, app) = installed();
    set(&mut world, "forum-db.service", ActiveState::Failed, "exit-code", "failed");
    let seen = look(&world, &app, None, 60_000);
    assert_eq!(seen.report.cause.text, "db failed (exit-code, exit status 7).");
    assert_eq!(seen.report.since, Timestamp(50_000));
    let db = seen.services.iter().find(|service| service.name.as_str() == "db").unwrap();
    assert_eq!((db.unit_state.as_str(), db.exit_status), ("failed", Some(7)));
}

#[test]
fn want_of_memory_is_named_with_the_budget() {
    let (mut world, app) = installed();
    set(&mut world, "forum-db.service", ActiveState::Failed, UnitState::OUT_OF_MEMORY, "failed");
    for (enforced, text) in [
        (
            true,
            "db ran out of memory: it needed more than its budget of 512 MiB, and the kernel ended it.",
        ),
        (false, "db ran out of memory, and the kernel ended it."),
    ] {
        world.host.controllers.retain(|found| found != "memory");
        world.host.controllers.extend(enforced.then(|| "memory".to_owned()));
        let report = look(&world, &app, None, 60_000).report;
        assert_eq!(report.cause.text, text);
        assert!(report.next.unwrap().text.contains("`resources.memory`"));
        assert_eq!(report.repair.unwrap().method, "package.restart");
    }
}

#[test]
fn a_loop_of_ends_carries_the_last_lines_and_the_exit_cause() {
    let (mut world, app) = installed();
    for (active, result, sub, text) in [
        (ActiveState::Failed, "exit-code", "failed", "db failed (exit-code, exit status 7)."),
        (
            ActiveState::Activating,
            "exit-code",
            "auto-restart",
            "db ended with 7 and is started again (restart 1).",
        ),
    ] {
        set(&mut world, "forum-db.service", active, result, sub);
        let unit = world.units.get_mut("forum-db.service").unwrap();
        unit.last_words = Some("reading the config\n\nno such table: users\n".to_owned());
        let report = look(&world, &app, None, 60_000).report;
        let words = "Its last words: reading the config | no such table: users";
        assert_eq!(report.cause.text, format!("{text} {words}"));
    }
    let unit = world.units.get_mut("forum-db.service").unwrap();
    unit.exit_status = Some(137);
    let report = look(&world, &app, None, 60_000).report;
    assert!(report.cause.text.starts_with("db ended with 137: it was killed and is started"));
}

#[test]
fn a_failing_check_says_why() {
    let (mut world, app) = installed();
    let container = world.containers.get_mut("forum-db").unwrap();
    container.health = Health::Unhealthy;
    container.health_output = Some("no\nconnection refused\n".to_owned());
    let seen = look(&world, &app, None, 60_000);
    assert_eq!(seen.health, Health::Unhealthy);
    assert!(seen.report.cause.text.ends_with(": connection refused."));
}

#[test]
fn what_is_not_known_leaves_the_last_report() {
    let (world, app) = installed();
    let known = look(&world, &app, None, 60_000);
    let mut observed = world.observe();
    observed.units = Known::No(Cause::new("no-bus", "The bus does not answer."));
    let deployment = render_app(&app, &observed, std::slice::from_ref(&app)).unwrap();
    let now = Timestamp(90_000);
    let seen = assess(&app, &deployment, &observed, Some(&known.report), now);
    assert_eq!(seen.report, known.report);
    assert!(seen.services.iter().all(|service| service.unit_state == "unknown"));
    let seen = assess(&app, &deployment, &observed, None, now);
    assert_eq!(seen.report.state, AppState::Unknown);
    assert_eq!(seen.report.cause.code.as_str(), "no-bus");
    let mut observed = world.observe();
    observed.shutting_down = true;
    observed.units = Known::Yes([].into());
    let seen = assess(&app, &deployment, &observed, Some(&known.report), now);
    assert_eq!(seen.report, known.report);
}

#[test]
fn an_app_waits_for_one_that_it_needs() {
    let (mut world, mut app) = installed();
    let needs = apps::tiny("x", "  requires: [{ role: chain }]");
    let mut manifest = (*app.manifest).clone();
    manifest.requires = needs.manifest.requires.clone();
    app.manifest = manifest.into();
    set(&mut world, "forum.service", ActiveState::Failed, "exit-code", "failed");
    let provider = apps::tiny("knot", "  provides: [{ role: chain }]");
    let observed = world.observe();
    let all = [app.clone(), provider];
    let deployment = render_app(&app, &observed, &all).unwrap();
    for (all, words) in [(&all[..1], "not installed"), (&all[..], "does not run")] {
        let seen = assess_among(&app, &deployment, &observed, all, None, Timestamp(60_000));
        assert_eq!(seen.report.state, AppState::Waiting);
        assert!(seen.report.cause.text.contains(words), "{}", seen.report.cause.text);
    }
}

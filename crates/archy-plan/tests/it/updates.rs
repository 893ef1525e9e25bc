//! What updates and rollbacks plan.

use std::slice::from_ref;

use archy_plan::{DataDue, DesiredApp, DesiredState, Intent, Known, Plan, Severity, Step, plan};
use archy_types::Generation;

use crate::apps::app;
use crate::world::{KEPT, World};

const OLD: &str = "app:\n  id: web\n  name: Web\n  version: 1.0.0\n  container:\n    image: a.example/web:1\n  volumes:\n    - { type: bind, source: /var/lib/archipelago/web/data, target: /data }\n";

fn new() -> String {
    OLD.replace("web:1", "web:2").replace("1.0.0", "2.0.0")
}

/// A step's place in a plan by its kind.
fn place(plan: &Plan, is: impl Fn(&Step) -> bool) -> Option<usize> {
    plan.steps.iter().position(|planned| is(&planned.step))
}

const fn saves(step: &Step) -> bool {
    matches!(step, Step::Snapshot { .. })
}

const fn restores(step: &Step) -> bool {
    matches!(step, Step::RestoreSnapshot { .. })
}

const fn stops(step: &Step) -> bool {
    matches!(step, Step::StopUnits { .. })
}

const fn starts(step: &Step) -> bool {
    matches!(step, Step::StartUnits { .. })
}

const fn writes(step: &Step) -> bool {
    matches!(step, Step::WriteUnitFile { .. })
}

fn at(text: &str, generation: u64, due: Option<DataDue>) -> DesiredApp {
    let since = archy_types::Timestamp(i64::try_from(generation).unwrap());
    DesiredApp { generation: Generation(generation), data_due: due, since, ..app(text) }
}

fn snapshot(generation: u64) -> Option<DataDue> {
    Some(DataDue::Snapshot { generation: Generation(generation) })
}

fn restore(snapshot: u64, wish: u64) -> Option<DataDue> {
    let (snapshot, wish) = (Generation(snapshot), Generation(wish));
    Some(DataDue::Restore { snapshot, wish })
}

fn installed() -> World {
    let mut world = World::new();
    let old = at(OLD, 1, None);
    world.run(&old, from_ref(&old), Intent::Install);
    world
}

#[test]
fn an_update_saves_between_stop_and_new_units() {
    let world = installed();
    let update = at(&new(), 2, snapshot(2));
    let plan = plan(&update, &world.observe(), from_ref(&update), Intent::Update);
    let order = [stops, saves, writes, starts].map(|is| place(&plan, is).unwrap());
    assert!(order.is_sorted(), "{}", plan.to_text());
    assert!(matches!(plan.steps.last().unwrap().step, Step::Soak { secs: 60 }));
    assert!(plan.checks.iter().any(|check| check.code.as_str() == "update-downtime"));
}

/// Hooks of an update; the first version has none.
const HOOKS: &str = "  hooks:\n    pre_stop: [{ exec: [flush], idempotent: true }]\n    post_start: [{ exec: [greet], idempotent: true }]\n    pre_update: [{ exec: [check], idempotent: true }]\n    post_update: [{ exec: [migrate], idempotent: true }]\n";

#[test]
fn hooks_of_an_update_have_their_places_and_belong_to_updates_alone() {
    use archy_manifest::model::HookPoint::{self, PostStart, PostUpdate, PreStop, PreUpdate};
    let world = installed();
    let update = at(&format!("{}{HOOKS}", new()), 2, snapshot(2));
    let hook = |plan: &Plan, wanted: HookPoint| {
        place(plan, |step| matches!(step, Step::RunHook { point } if *point == wanted))
    };
    let made = plan(&update, &world.observe(), from_ref(&update), Intent::Update);
    let order = [
        // the old version runs
        place(&made, |step| matches!(step, Step::PullImage { .. })),
        hook(&made, PreUpdate),
        hook(&made, PreStop),
        place(&made, stops),
        place(&made, saves),
        place(&made, writes),
        place(&made, starts),
        // the new version runs
        hook(&made, PostStart),
        hook(&made, PostUpdate),
        place(&made, |step| matches!(step, Step::Soak { .. })),
    ];
    let order: Vec<usize> = order.into_iter().map(Option::unwrap).collect();
    assert!(order.is_sorted(), "{}", made.to_text());
    for intent in [Intent::Install, Intent::Start, Intent::Restart, Intent::Rollback] {
        let other = plan(&update, &world.observe(), from_ref(&update), intent);
        let of_update = (hook(&other, PreUpdate), hook(&other, PostUpdate));
        assert_eq!(of_update, (None, None), "{intent:?}: {}", other.to_text());
    }
    // an app that rests has no old version running, nor a new one
    let rests = DesiredApp { state: DesiredState::Stopped, ..update };
    let made = plan(&rests, &World::new().observe(), from_ref(&rests), Intent::Update);
    assert_eq!((hook(&made, PreUpdate), hook(&made, PostUpdate)), (None, None));
}

#[test]
fn it_is_saved_once_and_again_only_while_the_new_version_cannot_have_run() {
    let mut world = installed();
    let update = at(&new(), 2, snapshot(2));
    let all = [update.clone()];
    let first = plan(&update, &world.observe(), &all, Intent::Update);
    // cut right after the snapshot: the old units are still there, and may have run since
    let saved = place(&first, saves).unwrap();
    for planned in &first.steps[..=saved] {
        world.apply(&update, &planned.step);
    }
    for intent in [Intent::Update, Intent::Start, Intent::Converge] {
        let again = plan(&update, &world.observe(), &all, intent);
        let (saved, started) = (place(&again, saves), place(&again, starts));
        assert!(saved.is_some() && saved < started, "{intent:?}: {}", again.to_text());
    }
    // cut after the first new unit file: the snapshot is what it is
    let written = place(&first, writes).unwrap();
    world.apply(&update, &first.steps[written].step);
    let again = plan(&update, &world.observe(), &all, Intent::Update);
    assert_eq!(place(&again, saves), None, "{}", again.to_text());
}

#[test]
fn a_restore_comes_after_the_old_units_and_before_a_start_and_happens_once() {
    let mut world = installed();
    let update = at(&new(), 2, snapshot(2));
    world.run(&update, from_ref(&update), Intent::Update);
    let back = at(OLD, 3, restore(2, 3));
    let all = [back.clone()];
    for intent in [Intent::Rollback, Intent::Converge, Intent::Start] {
        let plan = plan(&back, &world.observe(), &all, intent);
        let order = [stops, writes, restores, starts].map(|is| place(&plan, is).unwrap());
        assert!(order.is_sorted(), "{intent:?}: {}", plan.to_text());
    }
    let asked = plan(&back, &world.observe(), &all, Intent::Rollback);
    assert!(asked.checks.iter().any(|check| check.code.as_str() == "data-since-lost"));
    let restored = place(&asked, restores).unwrap();
    for planned in &asked.steps[..=restored] {
        world.apply(&back, &planned.step);
    }
    let rest = plan(&back, &world.observe(), &all, Intent::Rollback);
    assert_eq!(place(&rest, restores), None, "{}", rest.to_text());
    assert!(place(&rest, starts).is_some());
    let stopped = DesiredApp { state: DesiredState::Stopped, data_due: restore(2, 4), ..back };
    let plan = plan(&stopped, &world.observe(), &all, Intent::Converge);
    assert!(place(&plan, restores).is_some() && place(&plan, starts).is_none());
}

#[test]
fn a_removal_waits_for_no_restore() {
    let mut world = installed();
    let update = at(&new(), 2, snapshot(2));
    world.run(&update, from_ref(&update), Intent::Update);
    let back = at(OLD, 3, restore(2, 3));
    assert!(
        place(&plan(&back, &world.observe(), from_ref(&back), Intent::Converge), restores)
            .is_some()
    );
    for state in [DesiredState::Removed, DesiredState::Purged] {
        let gone = DesiredApp { state, generation: Generation(4), ..back.clone() };
        let mut world = world.clone();
        for intent in [Intent::Converge, Intent::Rollback] {
            let plan = plan(&gone, &world.observe(), from_ref(&gone), intent);
            assert_eq!(place(&plan, restores), None, "{}", plan.to_text());
        }
        world.run(&gone, from_ref(&gone), Intent::Converge);
        assert!(plan(&gone, &world.observe(), from_ref(&gone), Intent::Converge).is_empty());
    }
}

#[test]
fn what_is_not_known_stops_nothing() {
    let world = installed();
    let mut observed = world.observe();
    observed.snapshots = Known::No(archy_types::Cause::new("snapshots", "They cannot be read."));
    let update = at(&new(), 2, snapshot(2));
    let held = plan(&update, &observed, from_ref(&update), Intent::Update);
    assert!(held.is_empty() && held.unknown().is_some(), "{}", held.to_text());
    let gone = DesiredApp { state: DesiredState::Removed, ..update };
    assert!(!plan(&gone, &observed, from_ref(&gone), Intent::Converge).is_empty());
}

#[test]
fn room_is_looked_at_with_figures() {
    let world = installed();
    let update = at(&new(), 2, snapshot(2));
    for (size, free, refused) in
        [(3_u64 << 30, 4_u64 << 30, false), (3 << 30, 3 << 30, true), (0, 1 << 30, false)]
    {
        let mut observed = world.observe();
        observed.data_sizes.insert(update.manifest.id.clone(), Known::Yes(size));
        observed.disk_free_bytes = Known::Yes(free);
        let plan = plan(&update, &observed, from_ref(&update), Intent::Update);
        let found = plan.checks.iter().find(|check| check.code.as_str() == "disk-snapshot");
        assert_eq!(found.is_some(), refused, "{}", plan.to_text());
        assert!(found.is_none_or(|check| check.severity == Severity::Error));
    }
}

#[test]
fn what_arrives_is_told_with_the_size_of_what_it_replaces() {
    let world = installed();
    let update = at(&new(), 2, snapshot(2));
    // size of the old image, size of the data, free bytes
    let rows = [
        (None, 0, 1_u64 << 40, Severity::Note, "not known before."),
        (Some(3_u64 << 30), 0, 1 << 40, Severity::Note, "What it replaces takes 3.0 GiB."),
        (
            Some(3 << 30),
            0,
            3 << 30,
            Severity::Warning,
            "3.0 GiB are free, which may not be enough.",
        ),
        (Some(3 << 30), 0, 4 << 30, Severity::Note, "takes 3.0 GiB."),
        (Some(3 << 30), 1 << 30, 4 << 30, Severity::Warning, "4.0 GiB are free"),
    ];
    for (old, data, free, severity, words) in rows {
        let mut observed = world.observe();
        observed.image_sizes =
            old.map(|size| ("a.example/web:1".to_owned(), size)).into_iter().collect();
        observed.data_sizes.insert(update.manifest.id.clone(), Known::Yes(data));
        observed.disk_free_bytes = Known::Yes(free);
        let plan = plan(&update, &observed, from_ref(&update), Intent::Update);
        let found =
            plan.checks.iter().find(|check| check.code.as_str() == "update-arrives").unwrap();
        assert_eq!(found.severity, severity, "{}", plan.to_text());
        assert!(
            found.message.contains("a.example/web:2") && found.message.contains(words),
            "{}",
            found.message
        );
    }
    // one that is there already does not arrive
    let mut there = world.clone();
    there.images.insert("a.example/web:2".to_owned());
    let plan = plan(&update, &there.observe(), from_ref(&update), Intent::Update);
    assert!(plan.checks.iter().all(|check| check.code.as_str() != "update-arrives"));
}

#[test]
fn how_long_an_app_is_away_is_told_by_its_last_time() {
    let world = installed();
    let update = at(&new(), 2, snapshot(2));
    for (last, words) in [(Some(42), "the last time that took 42 s"), (None, "not known yet")] {
        let mut observed = world.observe();
        observed.away_secs.extend(last.map(|secs| (update.manifest.id.clone(), secs)));
        let plan = plan(&update, &observed, from_ref(&update), Intent::Update);
        let found =
            plan.checks.iter().find(|check| check.code.as_str() == "update-downtime").unwrap();
        assert!(
            found.message.contains(words) && found.message.contains("up to 30 s"),
            "{}",
            found.message
        );
    }
}

#[test]
fn the_time_that_an_app_was_away_lies_between_stop_and_start() {
    let steps = |texts: &[&'static str]| -> Option<u32> {
        let at = |index: usize| archy_types::Timestamp(i64::try_from(index).unwrap() * 10_000);
        let steps = texts.iter().enumerate().map(|(index, text)| (*text, at(index), at(index + 1)));
        archy_plan::away(&steps.collect::<Vec<_>>())
    };
    let ready = archy_plan::describe(&Step::AwaitReady { deadline_secs: 1 });
    assert_eq!(ready, "Wait until the app is ready");
    assert_eq!(
        steps(&["Pull x", "Stop web.service", "Take a snapshot", "Start web.service"]),
        Some(30)
    );
    assert_eq!(
        steps(&["Stop web.service", "Start web.service", "Wait until the app is ready", "Watch"]),
        Some(30)
    );
    assert_eq!(steps(&["Pull x", "Start web.service"]), None);
    assert_eq!(steps(&["Start a-network.service", "Stop web.service"]), None);
}

#[test]
fn what_changes_nothing_that_runs_stops_nothing() {
    let world = installed();
    let text = format!("{OLD}  description: Better words.\n");
    let update = at(&text, 2, snapshot(2));
    let plan = plan(&update, &world.observe(), from_ref(&update), Intent::Update);
    assert_eq!((place(&plan, saves), place(&plan, stops)), (None, None), "{}", plan.to_text());
}

#[test]
fn old_snapshots_go_after_their_time() {
    let mut world = installed();
    for generation in [2, 3] {
        let text = if generation == 2 { new() } else { OLD.to_owned() };
        let update = at(&text, generation, snapshot(generation));
        world.run(&update, from_ref(&update), Intent::Update);
    }
    let kept = at(OLD, 3, snapshot(3));
    let all = [kept.clone()];
    let pruned = |world: &World| {
        let plan = plan(&kept, &world.observe(), &all, Intent::Converge);
        plan.steps.into_iter().find_map(|planned| match planned.step {
            Step::PruneSnapshots { generations } => Some(generations),
            _ => None,
        })
    };
    let first = pruned(&world);
    assert!(first.is_none_or(|gone| gone == [Generation(2)]));
    world.clock += KEPT * 2;
    assert!(pruned(&world).unwrap().contains(&Generation(3)));
}

#[test]
fn snapshots_of_an_earlier_life_go_with_an_install() {
    let mut world = installed();
    let update = at(&new(), 9, snapshot(9));
    world.run(&update, from_ref(&update), Intent::Update);
    let anew = at(OLD, 1, None);
    let plan = plan(&anew, &world.observe(), from_ref(&anew), Intent::Install);
    let gone = Step::PruneSnapshots { generations: vec![Generation(9)] };
    assert!(plan.steps.iter().any(|planned| planned.step == gone), "{}", plan.to_text());
}

#[test]
fn the_rest_of_a_snapshot_is_cleared() {
    let mut world = installed();
    let kept = at(OLD, 1, None);
    world.snapshots.insert(kept.manifest.id.clone(), std::collections::BTreeMap::new());
    for state in [DesiredState::Running, DesiredState::Purged] {
        let app = DesiredApp { state, ..kept.clone() };
        let plan = plan(&app, &world.observe(), from_ref(&app), Intent::Converge);
        let cleared = Step::PruneSnapshots { generations: Vec::new() };
        assert!(plan.steps.iter().any(|planned| planned.step == cleared), "{}", plan.to_text());
    }
}

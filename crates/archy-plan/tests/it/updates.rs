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

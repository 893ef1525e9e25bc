//! Apps that need each other: circles, conditions, versions, and the order at boot.

use std::collections::{BTreeMap, BTreeSet};

use archy_plan::observed::ActiveState;
use archy_plan::{
    DesiredApp, DesiredState, Intent, Plan, Severity, Step, assess_among, boot_levels, plan,
    render_app,
};
use archy_types::{AppState, Health, Timestamp};
use proptest::prelude::*;

use crate::apps::{app, tiny};
use crate::world::World;

/// Apps in one list.
fn among(apps: &[&DesiredApp]) -> Vec<DesiredApp> {
    apps.iter().map(|app| (*app).clone()).collect()
}

fn found(plan: &Plan, code: &str) -> Option<(Severity, String)> {
    let check = plan.checks.iter().find(|check| check.code.as_str() == code)?;
    Some((check.severity, check.message.clone()))
}

fn starts(plan: &Plan) -> bool {
    plan.steps.iter().any(|planned| matches!(planned.step, Step::StartUnits { .. }))
}

#[test]
fn a_circle_is_refused_where_it_would_close_and_told_where_it_is() {
    let needs = |id: &str, more: &str| tiny(id, more);
    let one = needs("one", "  requires: [{ app: two }]");
    let two = needs("two", "  requires: [{ role: third }]");
    let three =
        needs("three", "  requires: [{ app: one }]\n  provides: [{ role: third, version: 1.0.0 }]");
    let closes = |app: &DesiredApp, others: &[&DesiredApp], intent| {
        let all = among(others);
        found(&plan(app, &World::new().observe(), &all, intent), "dependency-cycle")
    };
    let circle = [&one, &two, &three];
    for intent in [Intent::Install, Intent::Update] {
        let (severity, text) = closes(&three, &circle, intent).unwrap();
        assert_eq!(severity, Severity::Error, "{intent:?}");
        assert!(text.contains("three → one → two → three (third)"), "{text}");
    }
    for intent in [Intent::Start, Intent::Restart, Intent::Converge] {
        let (severity, _) = closes(&one, &circle, intent).unwrap();
        assert_eq!(severity, Severity::Warning, "{intent:?}");
    }
    // one link alone is none, and what an app can do without makes none
    assert_eq!(closes(&one, &[&one, &two], Intent::Install), None);
    let loose = needs("two", "  requires: [{ role: third, optional: true }]");
    assert_eq!(closes(&three, &[&one, &loose, &three], Intent::Install), None);
    // beside a circle is not in it
    let beside = needs("beside", "  requires: [{ app: one }]");
    assert_eq!(closes(&beside, &[&beside, &one, &two, &three], Intent::Install), None);
    // another app for the role breaks it
    let spare = needs("spare", "  provides: [{ role: third, version: 1.0.0 }]");
    assert_eq!(closes(&three, &[&one, &two, &three, &spare], Intent::Install), None);
}

const BASE: &str = "app:\n  id: base\n  name: Base\n  version: VERSION\n  provides: [{ role: chain, version: VERSION }]\n  container:\n    image: a.example/base:1\n    health: { type: exec, command: [ok], interval: 5s }\n    ready: [{ log_line: done, timeout: 60s }]\n";

fn base() -> DesiredApp {
    app(&BASE.replace("VERSION", "28.1.0"))
}

/// The one that needs it, under a condition.
fn notes(more: &str) -> DesiredApp {
    tiny("notes", &format!("  requires: [{{ role: chain, {more} }}]"))
}

/// Both installed; the one that needs the other is down.
fn both(base: &DesiredApp, notes: &DesiredApp) -> World {
    let mut world = World::new();
    world.run(base, &among(&[base]), Intent::Install);
    world.run(notes, &among(&[base, notes]), Intent::Install);
    let unit = world.units.get_mut("notes.service").unwrap();
    unit.active = ActiveState::Inactive;
    unit.active_since = None;
    world.containers.remove("notes");
    world
}

type Change = fn(&mut World, &mut DesiredApp);

/// A condition, what is the matter with the one that is needed, and whether that is waited for.
const WAITS: &[(&str, Change, Option<&str>)] = &[
    ("condition: started", |_, _| {}, None),
    ("condition: healthy", |_, _| {}, None),
    ("condition: ready", |_, _| {}, None),
    ("condition: healthy", |world, _| sick(world, Health::Unhealthy), Some("not healthy yet")),
    ("condition: healthy", |world, _| sick(world, Health::Starting), Some("not healthy yet")),
    ("condition: healthy", |world, _| sick(world, Health::Unknown), Some("not healthy yet")),
    ("condition: started", |world, _| sick(world, Health::Unhealthy), None),
    ("condition: ready", |world, _| sick(world, Health::Unhealthy), None),
    ("condition: ready", |world, _| world.hooked.clear(), Some("not ready yet")),
    ("condition: healthy", |world, _| world.hooked.clear(), None),
    ("condition: ready", |world, _| down(world), Some("does not run")),
    ("condition: healthy", |world, _| down(world), Some("does not run")),
    ("condition: healthy", |_, base| base.state = DesiredState::Stopped, Some("is stopped")),
    ("condition: healthy, optional: true", |world, _| sick(world, Health::Unhealthy), None),
    ("condition: ready, optional: true", |world, _| world.hooked.clear(), None),
    // a version that it was not made for is not tried in a loop
    ("version: \">=29\"", |_, _| {}, Some(">=29")),
    ("version: \">=28, <29\"", |_, _| {}, None),
    ("version: \">=29\", optional: true", |_, _| {}, None),
    ("version: \">=29\", condition: healthy", |_, _| {}, Some(">=29")),
];

fn sick(world: &mut World, health: Health) {
    world.containers.get_mut("base").unwrap().health = health;
}

fn down(world: &mut World) {
    world.units.get_mut("base.service").unwrap().active = ActiveState::Failed;
    world.containers.remove("base");
}

#[test]
fn what_is_down_waits_for_what_it_needs_and_says_so() {
    for (condition, change, waits) in WAITS {
        let mut base = base();
        let any = notes(condition.split(", condition").next().unwrap_or(condition));
        let fits = notes("optional: true");
        let notes = DesiredApp { manifest: notes(condition).manifest, ..any };
        let mut world = both(&base, &fits);
        change(&mut world, &mut base);
        let (all, observed) = (among(&[&base, &notes]), world.observe());
        for intent in [Intent::Converge, Intent::Start] {
            let made = plan(&notes, &observed, &all, intent);
            assert_eq!(
                starts(&made),
                waits.is_none(),
                "{condition} {intent:?}: {}",
                made.to_text()
            );
            assert!(made.refusal().is_none(), "{condition}: {}", made.to_text());
        }
        let deployment = render_app(&notes, &observed, &all).unwrap();
        let now = Timestamp(world.clock);
        let seen = assess_among(&notes, &deployment, &observed, &all, None, now).report;
        let Some(words) = waits else {
            assert_eq!(seen.state, AppState::Starting, "{condition}: {seen:?}");
            continue;
        };
        assert_eq!(seen.state, AppState::Waiting, "{condition}: {seen:?}");
        assert!(seen.cause.text.contains(words), "{condition}: {}", seen.cause.text);
        let next = seen.next.unwrap();
        assert_eq!(next.at, Some(observed.at.plus_millis(30_000)), "it is looked at again");
        assert!(seen.repair.is_some() && seen.deadline.is_none(), "it waits as long as it takes");
    }
}

#[test]
fn an_app_that_waits_is_told_before_it_is_installed_and_is_installed_all_the_same() {
    let (base, notes) = (base(), notes("condition: ready"));
    let mut world = both(&base, &notes);
    world.hooked.clear();
    let all = among(&[&base, &notes]);
    for intent in [Intent::Install, Intent::Start] {
        let (severity, text) =
            found(&plan(&notes, &world.observe(), &all, intent), "dependency-waits").unwrap();
        assert_eq!(severity, Severity::Warning);
        assert!(text.contains("base") && text.contains("not ready yet"), "{text}");
    }
    assert_eq!(
        found(&plan(&notes, &world.observe(), &all, Intent::Converge), "dependency-waits"),
        None
    );
}

#[test]
fn what_runs_is_not_stopped_for_what_it_needs() {
    let (base, notes) = (base(), notes("condition: healthy"));
    let mut world = World::new();
    world.run(&base, &among(&[&base]), Intent::Install);
    let all = among(&[&base, &notes]);
    world.run(&notes, &all, Intent::Install);
    sick(&mut world, Health::Unhealthy);
    let made = plan(&notes, &world.observe(), &all, Intent::Converge);
    assert!(made.is_empty(), "{}", made.to_text());
    // and comes back after a change, whatever the other does
    let text = world.files.get_mut("notes.container").unwrap();
    *text = text.replace("Image=", "Image=x");
    let made = plan(&notes, &world.observe(), &all, Intent::Converge);
    assert!(starts(&made), "{}", made.to_text());
}

#[test]
fn what_an_app_can_do_without_blocks_no_update() {
    let rows = [
        ("role: chain, optional: true", None),
        ("role: chain, optional: true, version: \">=29\"", Some(base())),
        (
            "role: chain, optional: true",
            Some(DesiredApp { state: DesiredState::Stopped, ..base() }),
        ),
    ];
    for (wanted, other) in rows {
        let old = tiny("notes", "");
        let mut world = World::new();
        world.run(&old, &among(&[&old]), Intent::Install);
        let mut new = tiny("notes", &format!("  requires: [{{ {wanted} }}]"));
        new.generation = archy_types::Generation(2);
        let all: Vec<DesiredApp> = other.into_iter().chain([new.clone()]).collect();
        let made = plan(&new, &world.observe(), &all, Intent::Update);
        assert!(made.refusal().is_none(), "{wanted}: {}", made.to_text());
        let notes =
            made.checks.iter().filter(|check| check.code.as_str().starts_with("dependency"));
        assert!(notes.clone().count() == 1, "{wanted}: {}", made.to_text());
        assert!(notes.into_iter().all(|check| check.severity == Severity::Note));
    }
}

/// One app of a random node: what it needs, as bits over the others, and how.
#[derive(Debug, Clone)]
struct Made {
    priority: u8,
    needs: Vec<(usize, bool, bool)>,
    running: bool,
    services: bool,
}

fn made(count: usize) -> impl Strategy<Value = Made> {
    let need = (0..count, any::<bool>(), any::<bool>());
    (0..4_u8, prop::collection::vec(need, 0..3), prop::bool::weighted(0.8), any::<bool>()).prop_map(
        |(priority, needs, running, services)| Made { priority, needs, running, services },
    )
}

fn node() -> impl Strategy<Value = Vec<Made>> {
    (1..7_usize).prop_flat_map(|count| prop::collection::vec(made(count), count))
}

fn apps(node: &[Made]) -> Vec<DesiredApp> {
    let one = |(index, made): (usize, &Made)| {
        let needs = made.needs.iter().filter(|(other, ..)| *other != index && *other < node.len());
        let mut seen = BTreeSet::new();
        let needs =
            needs.filter(|(other, ..)| seen.insert(*other)).map(|(other, role, optional)| {
                // two apps fill each role
                let target =
                    if *role { format!("role: r{}", other % 3) } else { format!("app: a{other}") };
                format!("{{ {target}, optional: {optional} }}")
            });
        let mut targets: Vec<String> = needs.collect();
        targets.sort();
        targets.dedup_by_key(|text| text.split(',').next().unwrap_or_default().to_owned());
        let services = if made.services {
            "    main: { image: a.example/x:1, depends_on: { db: started } }\n    db: { image: a.example/y:1 }\n"
        } else {
            "    main: { image: a.example/x:1 }\n"
        };
        let mut app = app(&format!(
            "app:\n  id: a{index}\n  name: A\n  version: 1.0.0\n  boot_priority: {}\n  provides: [{{ role: r{}, version: 1.0.0 }}]\n  requires: [{}]\n  services:\n{services}",
            made.priority,
            index % 3,
            targets.join(", "),
        ));
        if !made.running {
            app.state = DesiredState::Stopped;
        }
        app
    };
    node.iter().enumerate().map(one).collect()
}

/// `After=` of all units.
fn after(all: &[DesiredApp]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for app in all {
        let deployment = render_app(app, &World::new().observe(), all).unwrap();
        for file in deployment.files {
            let lines = file.text.lines().filter_map(|line| line.strip_prefix("After="));
            let units = lines.flat_map(str::split_whitespace).map(str::to_owned);
            found.entry(file.unit).or_default().extend(units);
        }
    }
    found
}

/// All that comes before a unit, directly or through others.
fn before<'a>(unit: &'a str, after: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut left = vec![unit];
    while let Some(at) = left.pop() {
        let next = after.get(at).into_iter().flatten().map(String::as_str);
        left.extend(next.filter(|unit| seen.insert(*unit)));
    }
    seen
}

/// The apps that an app needs itself: of those that fill a requirement the one that runs.
fn direct<'a>(of: &DesiredApp, all: &'a [DesiredApp]) -> Vec<&'a DesiredApp> {
    use archy_manifest::model::RequirementTarget::{App, Role};
    let wanted = of.manifest.requires.iter().filter_map(|wanted| {
        let fits = |other: &&DesiredApp| {
            other.manifest.id != of.manifest.id
                && match &wanted.target {
                    App(id) => *id == other.manifest.id,
                    Role(role) => other.manifest.provides.iter().any(|has| has.role == *role),
                }
        };
        all.iter().filter(fits).min_by_key(|other| other.state != DesiredState::Running)
    });
    wanted.collect()
}

/// The apps that an app needs, with the apps that those need.
fn needed<'a>(app: &DesiredApp, all: &'a [DesiredApp]) -> BTreeSet<&'a str> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut left = direct(app, all);
    while let Some(next) = left.pop() {
        if seen.insert(next.manifest.id.as_str()) {
            left.extend(direct(next, all));
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_unit_waits_for_itself_and_what_is_needed_comes_first(node in node()) {
        let all = apps(&node);
        let after = after(&all);
        for unit in after.keys() {
            prop_assert!(!before(unit, &after).contains(unit.as_str()), "{unit}: {after:?}");
        }
        let levels = boot_levels(&all);
        for one in &all {
            let id = &one.manifest.id;
            let unit = format!("{id}.service");
            let unit = if after.contains_key(&unit) { unit } else { format!("{id}-main.service") };
            let earlier = before(&unit, &after);
            let mains = |other: &str| {
                [format!("{other}.service"), format!("{other}-main.service")]
            };
            for other in direct(one, &all) {
                let (other, mutual) = (other.manifest.id.as_str(), needed(other, &all));
                prop_assert!(levels[other] <= levels[id.as_str()], "{other} of {id}: {levels:?}");
                if mutual.contains(id.as_str()) {
                    continue;
                }
                prop_assert!(mains(other).iter().any(|unit| earlier.contains(unit.as_str())),
                    "{id} needs {other}, and starts before it: {after:?}");
            }
            // a smaller number is earlier, unless it waits for somebody
            for other in &all {
                let runs = other.state == DesiredState::Running;
                if runs && levels[other.manifest.id.as_str()] < levels[id.as_str()] {
                    let first = mains(other.manifest.id.as_str());
                    prop_assert!(first.iter().any(|unit| earlier.contains(unit.as_str())));
                }
            }
            prop_assert!(levels[id.as_str()] <= one.manifest.boot_priority);
        }
    }
}

#[test]
fn priority_decides_where_nobody_needs_the_other() {
    let late = tiny("late", "  boot_priority: 9");
    let early = tiny("early", "  boot_priority: 1");
    let pulled =
        tiny("pulled", "  boot_priority: 9\n  provides: [{ role: chain, version: 1.0.0 }]");
    let needs = tiny("needs", "  boot_priority: 3\n  requires: [{ role: chain }]");
    let all = among(&[&late, &early, &pulled, &needs]);
    let levels = boot_levels(&all);
    let of = |id: &str| levels[id];
    assert_eq!([of("early"), of("pulled"), of("needs"), of("late")], [1, 3, 3, 9]);
    let after = after(&all);
    assert!(before("needs.service", &after).contains("pulled.service"));
    assert!(before("late.service", &after).contains("needs.service"));
    assert!(!before("pulled.service", &after).contains("late.service"));
}

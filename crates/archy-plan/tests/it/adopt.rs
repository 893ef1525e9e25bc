//! Layouts that people have on their nodes, as Podman 5.4 described them on a real one: what each is,
//! and what its migration does. The files below `fixtures/adopt` are libpod's own answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archy_plan::adopt::{ForeignContainer, Inspected, Origin, find, ready_to_migrate, wanted};
use archy_plan::observed::ContainerState;
use archy_plan::{DesiredApp, DesiredState, Foreign, Intent, Known, Observed, Plan, plan};
use archy_types::{Generation, Health, Secret, Timestamp};
use serde_json::Value;

use crate::apps;
use crate::world::World;

const ONE: &str = r#"
app:
  id: notes
  name: Notes
  version: 1.0.0
  container:
    image: 10.77.0.1:5000/archy/probe:1.0.0
    env: { GREETING: hello }
    secret_env: { PROBE_TOKEN: notes-token, PEPPER: notes-pepper }
    ports: [{ host: 18200, container: 8080 }]
    volumes: [{ type: bind, source: data, target: /data }]
  secrets: { notes-token: hex32, notes-pepper: hex32 }
"#;

const TWO: &str = r#"
app:
  id: notes
  name: Notes
  version: 1.0.0
  services:
    web:
      image: 10.77.0.1:5000/archy/probe:1.0.0
      env: { CACHE_HOST: cache }
      ports: [{ host: 18100, container: 8080 }]
      depends_on: { cache: started }
    cache:
      image: 10.77.0.1:5000/archy/valkey:8
      volumes: [{ type: volume, source: cache, target: /data }]
  named_volumes: { cache: {} }
"#;

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adopt");
    let text = std::fs::read_to_string(path.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A container as the list of all tells it.
fn listed(seen: &Inspected) -> ContainerState {
    ContainerState {
        labels: seen.labels.clone(),
        state: seen.state.clone(),
        health: Health::Unknown,
        health_output: None,
        exit_code: None,
        id: seen.id.clone(),
        started_at: None,
    }
}

/// The host as a look at it would tell, with the containers of a fixture.
fn host(name: &str) -> Observed {
    let fixture = fixture(name);
    let mut world = World::new();
    let files: BTreeSet<PathBuf> = fixture["unit_files"]
        .as_object()
        .unwrap()
        .keys()
        .map(PathBuf::from)
        .filter(|path| {
            path.extension().is_some_and(|kind| kind == "container" || kind == "service")
        })
        .collect();
    let daemon_since = Some(Timestamp(i64::MAX));
    let mut foreign = Foreign { files: files.clone(), daemon_since, ..Foreign::default() };
    for container in fixture["containers"].as_array().unwrap() {
        let seen = Inspected::parse(container).unwrap();
        world.containers.insert(seen.name.clone(), listed(&seen));
        world.listening.extend(seen.ports.iter().map(|port| (port.host, port.protocol)));
        let unit = seen.labels.get("PODMAN_SYSTEMD_UNIT").cloned();
        let unit = unit.unwrap_or_else(|| format!("container-{}.service", seen.name));
        let of_unit = |path: &&PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name == unit || archy_quadlet::unit_of(name).is_some_and(|of| of == unit)
        };
        let unit_file = files.iter().find(of_unit).cloned();
        if unit_file.is_some() {
            let state = crate::world::unit(archy_plan::observed::ActiveState::Active, "success");
            world.units.insert(unit, state);
        }
        let env = texts(&fixture["image_env"][&seen.name]);
        let env = env.iter().filter_map(|text| text.split_once('='));
        let image_env: BTreeMap<String, Secret> =
            env.map(|(key, value)| (key.to_owned(), Secret::new(value))).collect();
        foreign.containers.insert(
            seen.name.clone(),
            ForeignContainer {
                is_dead: false,
                monitor_cgroup: fixture["conmon_cgroups"][&seen.name].as_str().map(str::to_owned),
                unit_file,
                image_env,
                written_inside: match name {
                    "run-data-inside" => ["/data".to_owned()].into(),
                    _ => BTreeSet::new(),
                },
                seen,
            },
        );
    }
    world.images.extend(
        ["10.77.0.1:5000/archy/probe:1.0.0", "10.77.0.1:5000/archy/valkey:8"].map(str::to_owned),
    );
    let mut observed = world.observe();
    observed.foreign = foreign;
    observed
}

fn app(text: &str) -> DesiredApp {
    DesiredApp { since: Timestamp(500), ..apps::app(text) }
}

/// Adopts a layout and plans its migration; a refusal's code otherwise.
fn migration(text: &str, observed: &Observed) -> Result<Plan, String> {
    let adopted = app(text).adopting(observed).map_err(|error| error.code.to_string())?;
    let next = DesiredApp { generation: Generation(2), ..adopted };
    let next = ready_to_migrate(next, observed, Timestamp(900));
    let next = next.map_err(|error| error.code.to_string())?;
    Ok(plan(&next, observed, std::slice::from_ref(&next), Intent::Start))
}

/// The steps that free the way, in words.
fn steps(plan: &Plan) -> Vec<String> {
    let text = |planned: &archy_plan::PlannedStep| archy_plan::describe(&planned.step);
    let all: Vec<String> = plan.steps.iter().map(text).collect();
    let end = all.iter().position(|step| step == "Look at the host again").unwrap();
    all[..end].to_vec()
}

fn codes(plan: &Plan) -> BTreeSet<&str> {
    plan.checks.iter().map(|check| check.code.as_str()).collect()
}

#[test]
fn every_layout_is_known_for_what_it_is() {
    use Origin::{Compose, PodmanRun, Quadlet, SystemdUnit};
    for (name, text, origin, in_daemon, running) in [
        ("run-ports", ONE, PodmanRun, false, true),
        ("run-named-volume", ONE, PodmanRun, false, true),
        ("run-bind-mount", ONE, PodmanRun, false, true),
        ("run-env-secret", ONE, PodmanRun, false, true),
        ("run-own-network", ONE, PodmanRun, false, true),
        ("run-health", ONE, PodmanRun, false, true),
        ("run-keep-id", ONE, PodmanRun, false, true),
        ("run-data-inside", ONE, PodmanRun, false, true),
        ("run-other-image", ONE, PodmanRun, false, true),
        ("run-stopped", ONE, PodmanRun, false, false),
        ("run-created", ONE, PodmanRun, false, false),
        ("compose-two", TWO, Compose, false, true),
        ("compose-volume", ONE, Compose, false, true),
        ("quadlet", ONE, Quadlet, false, true),
        ("quadlet-volume", ONE, Quadlet, false, true),
        ("quadlet-pod", ONE, Quadlet, false, true),
        ("generate-systemd", ONE, SystemdUnit, false, true),
        ("generate-systemd-new", ONE, SystemdUnit, false, true),
        ("in-cgroup", ONE, PodmanRun, true, true),
        ("in-cgroup-dead", ONE, PodmanRun, true, true),
    ] {
        let observed = host(name);
        let app = app(text).adopting(&observed).unwrap_or_else(|error| panic!("{name}: {error}"));
        let adopted = app.adopted.as_ref().unwrap();
        assert_eq!(adopted.origin, origin, "{name}");
        assert_eq!(adopted.dies_with_daemon(), in_daemon, "{name}");
        assert_eq!(app.state == DesiredState::Running, running, "{name}");
        assert_eq!(adopted.parts.len(), app.manifest.services.len(), "{name}");
        // a pass leaves what runs alone, and brings back what died with the daemon
        let pass = plan(&app, &observed, std::slice::from_ref(&app), Intent::Converge);
        let quiet = name != "in-cgroup-dead";
        assert_eq!(pass.is_empty(), quiet, "{name}: {}", pass.to_text());
        assert!(pass.refusal().is_none(), "{name}: {}", pass.to_text());
    }
}

#[test]
fn what_was_killed_with_the_daemon_comes_back() {
    let mut observed = host("in-cgroup");
    let app = app(ONE).adopting(&observed).unwrap();
    let step = |observed: &Observed| {
        let plan = plan(&app, observed, std::slice::from_ref(&app), Intent::Converge);
        let steps = plan.steps.iter().map(|planned| archy_plan::describe(&planned.step));
        steps.collect::<Vec<_>>()
    };
    assert!(step(&observed).is_empty());
    for found in observed.foreign.containers.values_mut() {
        found.is_dead = true;
    }
    assert_eq!(step(&observed), ["Start notes"]);
}

#[test]
fn ports_stay_as_they_are_and_names_decide() {
    let observed = host("run-ports");
    let found = app(ONE).adopting(&observed).unwrap();
    assert_eq!(found.port_overrides.values().copied().collect::<Vec<_>>(), [18100]);
    let Known::Yes(containers) = &observed.containers else { panic!() };
    assert_eq!(wanted(&found.manifest, containers), ["notes".to_owned()].into());
    for (text, name, code) in [
        (ONE.replace("id: notes", "id: diary"), "run-ports", "adopt-no-match"),
        (TWO.to_owned(), "compose-volume", "adopt-no-match"),
        (ONE.to_owned(), "run-auto-remove", "adopt-auto-remove"),
        (
            TWO.replace("    cache:", "    queue:").replace("cache: started", "queue: started"),
            "compose-two",
            "adopt-incomplete",
        ),
    ] {
        let manifest = apps::manifest(&text);
        let error = find(&manifest, &host(name)).unwrap_err();
        assert_eq!(error.code.as_str(), code, "{name}: {error}");
        assert!(error.hint.is_some(), "{name}");
    }
}

#[test]
fn what_cannot_be_migrated_says_why() {
    for (name, code) in [
        ("run-keep-id", "migrate-userns"),
        ("run-data-inside", "migrate-data-inside"),
        ("quadlet-pod", "migrate-pod"),
    ] {
        assert_eq!(migration(ONE, &host(name)).unwrap_err(), code, "{name}");
    }
    let mut taken = host("run-named-volume");
    let Known::Yes(files) = &mut taken.app_files else { panic!() };
    let file = archy_plan::observed::FileState::Directory;
    files.insert(apps::manifest(ONE).id.clone(), [("data".to_owned(), file)].into());
    assert_eq!(migration(ONE, &taken).unwrap_err(), "migrate-data-in-the-way");
}

#[test]
fn a_migration_frees_the_way_and_keeps_what_was_there() {
    let aside = "Rename notes to notes-before-archipelago";
    let copy = "Copy the volume notes-old to data in the app's data directory";
    let unit = "/home/archipelago/.config";
    let quadlet = format!("Keep {unit}/containers/systemd/notes.container aside");
    let service = format!("Keep {unit}/systemd/user/container-notes.service aside");
    let reload = "Make systemd read its unit files";
    for (name, wanted) in [
        ("run-ports", vec!["Stop notes", aside]),
        ("run-named-volume", vec!["Stop notes", copy, aside]),
        (
            "run-bind-mount",
            vec![
                "Stop notes",
                "Copy /home/archipelago/srv/notes to data in the app's data directory",
                aside,
            ],
        ),
        (
            "run-env-secret",
            vec![
                "Take over the secret notes-token",
                "Take over the secret notes-pepper",
                "Stop notes",
                copy,
                aside,
            ],
        ),
        ("run-own-network", vec!["Stop notes", copy, aside]),
        ("run-stopped", vec![copy, aside]),
        ("in-cgroup", vec!["Stop notes", copy, aside]),
        (
            "quadlet-volume",
            vec![
                "Stop notes.service",
                "Copy the volume systemd-notes-store to data in the app's data directory",
                &quadlet,
                reload,
            ],
        ),
        ("generate-systemd", vec!["Stop container-notes.service", copy, aside, &service, reload]),
        ("generate-systemd-new", vec!["Stop container-notes.service", copy, &service, reload]),
    ] {
        let plan = migration(ONE, &host(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(plan.refusal().is_none(), "{name}: {}", plan.to_text());
        assert_eq!(steps(&plan), wanted, "{name}: {}", plan.to_text());
        let text = plan.to_text();
        assert!(!text.contains("given-by-hand"), "{text}");
        if name != "run-stopped" {
            assert!(text.contains("Start notes.service"), "{name}: {text}");
        }
    }
    let plan = migration(TWO, &host("compose-two")).unwrap();
    assert_eq!(steps(&plan)[0], "Stop notes_cache_1, notes_web_1");
    assert!(steps(&plan)[1].contains("to the volume notes-cache"), "{:?}", steps(&plan));
}

#[test]
fn the_plan_names_what_changes() {
    let text = |name: &str| migration(ONE, &host(name)).unwrap().to_text();
    let env = text("run-env-secret");
    assert!(env.contains("that go: FORGOTTEN."), "{env}");
    assert!(env.contains("manifest's values of these variables: GREETING."), "{env}");
    assert!(text("run-other-image").contains("probe:2.0.0; the manifest names"));
    let open = migration(ONE, &host("run-ports")).unwrap();
    assert!(codes(&open).contains("migrate-port"), "it was open on all addresses");
    let local = migration(ONE, &host("run-bind-mount")).unwrap();
    assert!(!codes(&local).contains("migrate-port"), "{}", local.to_text());
    let bare = ONE.replace("    volumes: [{ type: bind, source: data, target: /data }]\n", "");
    let lost = migration(&bare, &host("run-named-volume")).unwrap();
    assert!(codes(&lost).contains("migrate-mount"), "{}", lost.to_text());
}

#[test]
fn the_same_data_in_the_same_place_is_not_copied() {
    let mut observed = host("run-bind-mount");
    for found in observed.foreign.containers.values_mut() {
        "/var/lib/archipelago/notes/data".clone_into(&mut found.seen.mounts[0].source);
    }
    let plan = migration(ONE, &observed).unwrap();
    assert_eq!(steps(&plan), ["Stop notes", "Rename notes to notes-before-archipelago"]);
}

#[test]
fn an_uninstall_leaves_what_was_adopted_and_silence_changes_nothing() {
    let observed = host("run-named-volume");
    let adopted = app(ONE).adopting(&observed).unwrap();
    let gone = DesiredApp { state: DesiredState::Purged, ..adopted.clone() };
    let leaving = plan(&gone, &observed, std::slice::from_ref(&gone), Intent::Converge);
    let all: Vec<String> =
        leaving.steps.iter().map(|planned| archy_plan::describe(&planned.step)).collect();
    assert_eq!(all, ["Stop notes"], "{}", leaving.to_text());
    let mut silent = observed;
    silent.foreign.unknown = Some(archy_types::Cause::new("podman-away", "It does not answer."));
    let stopped = DesiredApp { state: DesiredState::Stopped, ..adopted };
    let nothing = plan(&stopped, &silent, std::slice::from_ref(&stopped), Intent::Converge);
    assert!(nothing.is_empty() && nothing.unknown().is_some());
}

//! One row for each check.

use archy_manifest::Manifest;
use archy_manifest::model::{NetworkMode, PortAuth, Protocol};
use archy_plan::{
    Check, DesiredApp, DesiredState, Intent, Known, Observed, Severity, check_downgrade,
    check_settings, plan, rights_diff,
};
use archy_types::Cause;
use serde_json::json;

use crate::apps::{self, SMALL, STACK};
use crate::world::World;

type Setup = fn(&mut DesiredApp, &mut Observed, &mut Vec<DesiredApp>);

fn provider(version: &str, state: DesiredState) -> DesiredApp {
    let mut app =
        apps::tiny("knot", &format!("  provides: [{{ role: chain, version: \"{version}\" }}]"));
    app.state = state;
    app
}

#[test]
fn who_suffers_when_an_app_goes() {
    let chain = |id: &str| apps::tiny(id, "  provides: [{ role: chain, version: \"28.1.0\" }]");
    let (knots, core) = (chain("knots"), chain("core"));
    let needs =
        |id: &str, more: &str| apps::tiny(id, &format!("  requires: [{{ {more} }}]")).manifest;
    let by_role = needs("lights", "role: chain");
    let by_name = needs("miner", "app: knots");
    let optional = needs("viewer", "role: chain, optional: true");
    let with = |running: &[&Manifest]| -> Vec<String> {
        archy_plan::dependants(&knots.manifest, running).iter().map(ToString::to_string).collect()
    };
    let all = [&*knots.manifest, &by_role, &by_name, &optional];
    assert_eq!(with(&all), ["lights", "miner"]);
    // another app fills the role
    assert_eq!(with(&[&all[..], &[&core.manifest]].concat()), ["miner"]);
    assert!(with(&[&knots.manifest]).is_empty());
}

fn requires(app: &mut DesiredApp, more: &str) {
    let wanted = apps::tiny("x", &format!("  requires: [{{ {more} }}]"));
    let mut manifest = (*app.manifest).clone();
    manifest.requires = wanted.manifest.requires.clone();
    app.manifest = manifest.into();
}

fn edit(app: &mut DesiredApp, change: impl FnOnce(&mut archy_manifest::Manifest)) {
    let mut manifest = (*app.manifest).clone();
    change(&mut manifest);
    app.manifest = manifest.into();
}

const ROWS: &[(&str, Severity, Setup)] = &[
    ("port-taken", Severity::Error, |_, seen, _| {
        seen.listening = Known::Yes([(8100, Protocol::Tcp), (8101, Protocol::Tcp)].into());
    }),
    ("port-taken", Severity::Error, |app, _, all| {
        let mut other = apps::tiny("other", "  ports: [{ host: 7000, container: 80 }]");
        other.port_overrides.insert((7000, Protocol::Tcp), 9100);
        app.port_overrides.insert((8100, Protocol::Tcp), 9100);
        all.push(other);
    }),
    ("port-privileged", Severity::Error, |app, _, _| {
        app.port_overrides.insert((8100, Protocol::Tcp), 1023);
    }),
    ("port-privileged", Severity::Error, |_, seen, _| seen.lowest_port = Known::Yes(8101)),
    ("not-checked", Severity::Note, |app, seen, _| {
        app.port_overrides.insert((8100, Protocol::Tcp), 80);
        seen.lowest_port = Known::No(Cause::new("no-proc", "No answer."));
    }),
    ("inodes-low", Severity::Error, |_, seen, _| seen.inodes_free = Known::Yes(9_999)),
    ("disk-low", Severity::Error, |app, seen, _| {
        edit(app, |manifest| manifest.storage_bytes = Some(10 << 30));
        seen.disk_free_bytes = Known::Yes(10 << 30);
    }),
    ("memory-low", Severity::Warning, |_, seen, _| {
        seen.memory_available_bytes = Known::Yes(1 << 20);
    }),
    ("architecture", Severity::Error, |app, _, _| {
        edit(app, |manifest| manifest.architectures = ["arm64".to_owned()].into());
    }),
    ("platform-too-old", Severity::Error, |app, _, _| {
        edit(app, |manifest| manifest.min_platform = Some("1.9".to_owned()));
    }),
    ("dependency-missing", Severity::Error, |app, _, _| requires(app, "role: chain")),
    ("dependency-missing", Severity::Note, |app, _, _| {
        requires(app, "role: chain, optional: true")
    }),
    ("dependency-missing", Severity::Error, |app, _, _| requires(app, "app: knot")),
    ("dependency-version", Severity::Error, |app, _, all| {
        requires(app, "role: chain, version: \">=26, <31\"");
        all.push(provider("25.0", DesiredState::Running));
    }),
    ("dependency-stopped", Severity::Warning, |app, _, all| {
        requires(app, "role: chain, version: \">=26, <31\"");
        all.push(provider("28.1", DesiredState::Stopped));
    }),
    ("name-clash", Severity::Error, |_, _, all| all.push(apps::tiny("diary-index-volume", ""))),
    ("setting-invalid", Severity::Error, |app, _, _| {
        app.settings.insert("greeting".to_owned(), json!("far too long for a greeting"));
    }),
    ("setting-unknown", Severity::Error, |app, _, _| {
        app.settings.insert("greting".to_owned(), json!("x"));
    }),
    ("setting-missing", Severity::Error, |app, _, _| {
        edit(app, |manifest| {
            let setting = &mut manifest.config["greeting"];
            setting.required = true;
            setting.default = None;
        });
    }),
    ("secret-missing", Severity::Error, |app, _, _| {
        edit(app, |manifest| {
            let kind = archy_manifest::model::SecretKind::Supplied;
            manifest.secrets.insert("diary-token".to_owned(), kind);
        });
    }),
    ("not-enforced", Severity::Note, |_, seen, _| {
        seen.host.controllers = vec!["pids".to_owned()];
    }),
    ("not-checked", Severity::Note, |_, seen, _| {
        seen.listening = Known::No(Cause::new("no-netlink", "No answer."));
    }),
    ("host-unknown", Severity::Note, |_, seen, _| {
        seen.units = Known::No(Cause::new("no-bus", "No answer."));
    }),
];

#[test]
fn each_check_is_found_on_an_install() {
    for (row, (code, severity, setup)) in ROWS.iter().enumerate() {
        let mut app = apps::app(SMALL);
        let (mut observed, mut all) = (World::new().observe(), Vec::new());
        setup(&mut app, &mut observed, &mut all);
        all.push(app.clone());
        let made = plan(&app, &observed, &all, Intent::Install);
        let found: Vec<&Check> =
            made.checks.iter().filter(|check| check.code.as_str() == *code).collect();
        assert_eq!(found.len(), 1, "row {row} {code}: {}", made.to_text());
        assert_eq!(found[0].severity, *severity, "row {row} {code}");
        let needs_mend = *severity == Severity::Error;
        assert!(!needs_mend || found[0].mend.is_some(), "{code} has no mend");
        assert_eq!(made.refusal().is_some(), needs_mend, "row {row} {code}");
    }
}

#[test]
fn a_fine_install_has_no_findings() {
    for text in [SMALL, STACK] {
        let app = apps::app(text);
        let made = plan(&app, &World::new().observe(), std::slice::from_ref(&app), Intent::Install);
        assert_eq!(made.checks, []);
    }
}

#[test]
fn the_next_free_port_is_named() {
    let app = apps::app(SMALL);
    let mut observed = World::new().observe();
    observed.listening = Known::Yes([(8100, Protocol::Tcp), (8101, Protocol::Tcp)].into());
    let other = apps::tiny("other", "  ports: [{ host: 8102, container: 80 }]");
    let made = plan(&app, &observed, &[app.clone(), other], Intent::Install);
    let mend = made.refusal().unwrap().mend.clone().unwrap();
    assert!(mend.contains("8103"), "{mend}");
}

#[test]
fn a_pass_keeps_an_installed_app_running() {
    let app = apps::app(SMALL);
    let mut world = World::new();
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    let mut changed = app.clone();
    requires(&mut changed, "role: chain");
    let mut observed = world.observe();
    // its own port is in use by itself
    observed.listening = Known::Yes([(8100, Protocol::Tcp)].into());
    observed.disk_free_bytes = Known::Yes(0);
    let made = plan(&changed, &observed, std::slice::from_ref(&changed), Intent::Restart);
    assert!(made.refusal().is_none(), "{}", made.to_text());
    // down, and somebody else took the port meanwhile
    let state = world.units.get_mut("diary.service").unwrap();
    state.active = archy_plan::observed::ActiveState::Inactive;
    state.active_since = None;
    world.containers.clear();
    let mut observed = world.observe();
    observed.listening = Known::Yes([(8100, Protocol::Tcp)].into());
    let made = plan(&app, &observed, std::slice::from_ref(&app), Intent::Converge);
    assert_eq!(made.refusal().unwrap().code.as_str(), "port-taken");
}

#[test]
fn settings_are_checked_without_being_quoted() {
    let app = apps::app(SMALL);
    let settings = [
        ("greeting".to_owned(), json!(5)),
        ("password".to_owned(), json!(["hunter2"])),
        ("nothing".to_owned(), json!("hunter2")),
    ];
    let found = check_settings(&app.manifest, &settings.into());
    let codes: Vec<&str> = found.iter().map(|check| check.code.as_str()).collect();
    assert_eq!(codes, ["setting-invalid", "setting-unknown", "setting-invalid"]);
    assert!(!format!("{found:?}").contains("hunter2"));
    let null = [("greeting".to_owned(), json!(null))];
    assert_eq!(check_settings(&app.manifest, &null.into()), []);
}

#[test]
fn lost_rights_are_named() {
    let old = apps::manifest(SMALL);
    assert_eq!(rights_diff(&old, &old), []);
    let mut new = (*old).clone();
    let service = new.services.values_mut().next().unwrap();
    service.security.capabilities.insert("NET_ADMIN".to_owned());
    service.security.no_new_privileges = false;
    service.network = NetworkMode::Shared;
    service.devices.push("/dev/ttyUSB0".to_owned());
    service.ports[0].auth = Some(PortAuth::Open);
    let found = rights_diff(&old, &new);
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.iter().all(|check| {
        check.severity == Severity::Warning && check.code.as_str() == "rights-widened"
    }));
    assert_eq!(rights_diff(&new, &old), []);
}

#[test]
fn only_an_unannounced_older_version_is_refused() {
    for (old, new, allowed, refused) in [
        ("2.0.0", "1.9.9", false, true),
        ("28", "v27.1", false, true),
        ("2.0.0", "1.9.9", true, false),
        ("1.0.0", "1.0.0-beta", false, false),
        ("1.0.0", "1.0.1", false, false),
        ("nightly", "1.0.0", false, false),
    ] {
        let mut before = (*apps::manifest(SMALL)).clone();
        let mut after = before.clone();
        before.version = old.to_owned();
        after.version = new.to_owned();
        after.update.downgrade = allowed;
        let found = check_downgrade(&before, &after);
        assert_eq!(found.is_some(), refused, "{old} to {new}");
        assert!(found.is_none_or(|check| check.mend.is_some()));
    }
}

#[test]
fn ports_of_the_apps_own_containers_are_free_for_it() {
    let app = apps::app(SMALL);
    let mut world = World::new();
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    world.listening.insert((8100, Protocol::Tcp));
    let refused = |world: &World, app: &DesiredApp, intent| {
        let made = plan(app, &world.observe(), std::slice::from_ref(app), intent);
        made.refusal().map(|check| check.code.as_str().to_owned())
    };
    // somebody took the port out of the file: the container has it nevertheless
    let mut edited = world.clone();
    let text = edited.files.get_mut("diary.container").unwrap();
    *text =
        text.lines().filter(|line| !line.starts_with("PublishPort")).collect::<Vec<_>>().join("\n");
    assert_eq!(refused(&edited, &app, Intent::Converge), None);
    // the file is gone, and systemd forgot the unit
    let mut gone = world.clone();
    gone.files.remove("diary.container");
    gone.units.remove("diary.service");
    assert_eq!(refused(&gone, &app, Intent::Converge), None);
    assert_eq!(refused(&gone, &app, Intent::Update), None);
    // the container of a service of an older version
    let mut former = gone.clone();
    let container = former.containers.remove("diary").unwrap();
    former.containers.insert("diary-old".to_owned(), container);
    assert_eq!(refused(&former, &app, Intent::Update), None);
    // another port is another matter
    let mut moved = app.clone();
    moved.port_overrides.insert((8100, Protocol::Tcp), 8200);
    world.listening.insert((8200, Protocol::Tcp));
    assert_eq!(refused(&world, &moved, Intent::Update).as_deref(), Some("port-taken"));
}

//! Facts in, checks out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_plan::{DesiredState, Observed, Strangers};
use archy_quadlet::HostFacts;
use archy_types::doctor::Level;
use archy_types::{Actor, Cause, Digest, Generation, PodmanVersion};

use super::*;
use crate::survey::{Belongings, ManagerFacts, Mend, Owned, PodmanFacts};

const MANIFEST: &str = "app:\n  id: notes\n  name: Notes\n  version: 1.0.0\n  description: Notes.\n  secrets: { notes-key: hex32 }\n  container:\n    image: registry.example/notes:1\n    secret_env: { KEY: notes-key }\n";
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: i64 = 86_400_000;

fn observed() -> Observed {
    Observed {
        at: NOW,
        host: HostFacts {
            podman: PodmanVersion::FLOOR,
            controllers: ["cpu", "memory", "pids"].map(str::to_owned).to_vec(),
            data_dir: "/data".into(),
            health_probe: "/probe".into(),
            values: BTreeMap::new(),
        },
        unit_files: Known::Yes(BTreeMap::new()),
        units: Known::Yes(BTreeMap::new()),
        containers: Known::Yes(BTreeMap::new()),
        images: Known::Yes(BTreeSet::new()),
        volumes: Known::Yes(BTreeSet::new()),
        networks: Known::Yes(BTreeSet::new()),
        strangers: Strangers::default(),
        foreign: archy_plan::adopt::Foreign::default(),
        podman_secrets: Known::Yes(BTreeMap::new()),
        secret_files: Known::Yes(BTreeMap::new()),
        app_files: Known::Yes(BTreeMap::new()),
        contexts: BTreeMap::new(),
        snapshots: Known::Yes(BTreeMap::new()),
        left: archy_plan::observed::Left::default(),
        hooked: std::collections::BTreeMap::new(),
        data_sizes: BTreeMap::new(),
        image_sizes: BTreeMap::new(),
        away_secs: BTreeMap::new(),
        listening: Known::Yes(BTreeSet::new()),
        lowest_port: Known::Yes(80),
        disk_free_bytes: Known::Yes(1 << 40),
        inodes_free: Known::Yes(1 << 20),
        memory_available_bytes: Known::Yes(1 << 40),
        architecture: "amd64".to_owned(),
        platform: String::new(),
        shutting_down: false,
    }
}

/// A node on which nothing is wrong.
struct Scene {
    local: Local,
    survey: Survey,
    store: StoreFacts,
    snapshot: Snapshot,
    apps: Vec<DesiredApp>,
    drift: Vec<(AppId, Result<Vec<String>, UserError>)>,
    last_seen: Option<Timestamp>,
    recovered: bool,
}

impl Scene {
    fn good() -> Self {
        let room =
            Room { total: 1 << 40, free: 1 << 39, inodes: 100, inodes_free: 90, read_only: false };
        Self {
            local: Local {
                user: "archipelago".to_owned(),
                kernel: Some("6.12.0".to_owned()),
                subuids: Some(65_536),
                subgids: Some(65_536),
                unit_dir_writable: true,
                rooms: vec![
                    ("data", "/data".into(), Some(room)),
                    ("store", "/data/state".into(), Some(room)),
                ],
                synchronised: Some(true),
                certificate: Some(Ok((NOW.plus_millis(-DAY), NOW.plus_millis(900 * DAY)))),
            },
            survey: Survey {
                observed: observed(),
                podman: Known::Yes(PodmanFacts {
                    version: "5.4.2".to_owned(),
                    storage_driver: "overlay".to_owned(),
                    graph_root: "/data/containers".to_owned(),
                    cgroup_version: "v2".to_owned(),
                    cgroup_manager: "systemd".to_owned(),
                    network: "pasta".to_owned(),
                }),
                belongings: Known::Yes(Belongings::default()),
                manager: Known::Yes(ManagerFacts {
                    version: "257".to_owned(),
                    state: "running".to_owned(),
                    failed: Vec::new(),
                    shutdown_limit: Some(std::time::Duration::from_secs(1740)),
                }),
                lingering: Known::Yes(true),
            },
            store: StoreFacts {
                dir: "/data/state".into(),
                fault: Ok(None),
                write_fault: None,
                last_good: Some(NOW.plus_millis(-DAY)),
            },
            snapshot: Snapshot::default(),
            apps: vec![app()],
            drift: Vec::new(),
            last_seen: Some(NOW.plus_millis(-DAY)),
            recovered: true,
        }
    }

    fn checks(&self) -> Vec<Check> {
        judge::all(&Facts {
            now: NOW,
            last_seen: self.last_seen,
            version: "1.0.0",
            recovered: self.recovered,
            local: &self.local,
            survey: &self.survey,
            store: &self.store,
            snapshot: &self.snapshot,
            apps: &self.apps,
            drift: &self.drift,
        })
    }

    fn belongings(&mut self) -> &mut Belongings {
        match &mut self.survey.belongings {
            Known::Yes(belongings) => belongings,
            Known::No(_) => panic!("not known"),
        }
    }
}

fn app() -> DesiredApp {
    DesiredApp {
        manifest: Arc::new(Manifest::parse(MANIFEST.as_bytes()).unwrap()),
        digest: Digest::of(MANIFEST.as_bytes()),
        generation: Generation(1),
        state: DesiredState::Running,
        actor: Actor::System,
        since: Timestamp(0),
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
        package_dir: None,
        data_due: None,
        adopted: None,
    }
}

fn shutdown_limit(scene: &mut Scene, secs: Option<u64>) {
    if let Known::Yes(manager) = &mut scene.survey.manager {
        manager.shutdown_limit = secs.map(std::time::Duration::from_secs);
    }
}

fn owned(name: &str, app: &str, running: bool) -> Owned {
    Owned { name: name.to_owned(), app: app.to_owned(), running }
}

fn no() -> Cause {
    Cause::new("podman-timeout", "Podman does not answer.")
}

#[test]
fn a_good_node_has_nothing_to_mend() {
    let checks = Scene::good().checks();
    let bad: Vec<_> = checks.iter().filter(|check| check.level != Level::Ok).collect();
    assert!(bad.is_empty(), "{bad:?}");
    for area in
        ["host", "podman", "systemd", "store", "certificates", "space", "clock", "units", "apps"]
    {
        assert!(checks.iter().any(|check| check.area == area), "{area}");
    }
}

/// What is broken, and the check that tells of it: area, name, level, words, mend by itself.
type Row =
    (fn(&mut Scene), (&'static str, &'static str), Level, &'static str, Option<&'static str>);

const ROWS: &[Row] = &[
    (|s| s.recovered = false, ("host", "recovery"), Level::Warn, "left open", None),
    (|s| s.survey.lingering = Known::Yes(false), ("host", "linger"), Level::Fail, "logout", None),
    (|s| s.local.subuids = Some(3), ("host", "subuid"), Level::Fail, "3 of 65536", None),
    (|s| s.local.subgids = None, ("host", "subgid"), Level::Unknown, "cannot be read", None),
    (
        |s| s.survey.observed.host.controllers.clear(),
        ("host", "cgroup"),
        Level::Warn,
        "cpu, memory, pids",
        None,
    ),
    (
        |s| s.survey.podman = Known::No(no()),
        ("podman", "socket"),
        Level::Fail,
        "does not answer",
        None,
    ),
    (
        |s| {
            if let Known::Yes(podman) = &mut s.survey.podman {
                podman.storage_driver = "vfs".to_owned();
            }
        },
        ("podman", "storage"),
        Level::Warn,
        "vfs",
        None,
    ),
    (
        |s| s.survey.manager = Known::No(no()),
        ("systemd", "manager"),
        Level::Fail,
        "does not answer",
        None,
    ),
    (
        |s| {
            if let Known::Yes(manager) = &mut s.survey.manager {
                manager.failed.push("old.service".to_owned());
            }
        },
        ("systemd", "failed units"),
        Level::Warn,
        "old.service",
        Some("reset-failed:old.service"),
    ),
    (
        |s| shutdown_limit(s, Some(59)),
        ("systemd", "shutdown"),
        Level::Warn,
        "after 59 s, but notes may take 60 s",
        None,
    ),
    (|s| shutdown_limit(s, None), ("systemd", "shutdown"), Level::Unknown, "not known", None),
    (
        |s| s.store.fault = Ok(Some("row 3 missing".to_owned())),
        ("store", "integrity"),
        Level::Fail,
        "row 3 missing",
        None,
    ),
    (
        |s| s.store.write_fault = Some(UserError::new("disk-full", "No space.")),
        ("store", "writes"),
        Level::Fail,
        "disk-full",
        None,
    ),
    (|s| s.store.last_good = None, ("store", "copy"), Level::Warn, "no last good copy", None),
    (
        |s| s.store.last_good = Some(NOW.plus_millis(-40 * DAY)),
        ("store", "copy"),
        Level::Warn,
        "2026",
        None,
    ),
    (
        |s| s.local.certificate = Some(Ok((NOW, NOW.plus_millis(DAY)))),
        ("certificates", "node"),
        Level::Warn,
        "it ends on",
        None,
    ),
    (
        |s| s.local.certificate = Some(Ok((Timestamp(0), Timestamp(1)))),
        ("certificates", "node"),
        Level::Fail,
        "it ended on",
        None,
    ),
    (
        |s| s.local.certificate = Some(Ok((NOW.plus_millis(DAY), NOW.plus_millis(99 * DAY)))),
        ("certificates", "node"),
        Level::Fail,
        "counts from",
        None,
    ),
    (
        |s| s.local.certificate = Some(Err("broken".to_owned())),
        ("certificates", "node"),
        Level::Fail,
        "broken",
        None,
    ),
    (|s| s.local.certificate = None, ("certificates", "node"), Level::Unknown, "none", None),
    (
        |s| s.local.rooms[1].2 = Some(Room { free: 0, ..s.local.rooms[0].2.unwrap() }),
        ("space", "store"),
        Level::Fail,
        "0 KiB of 1024.0 GiB",
        None,
    ),
    (
        |s| s.local.rooms[1].2 = Some(Room { inodes_free: 0, ..s.local.rooms[0].2.unwrap() }),
        ("space", "store inodes"),
        Level::Fail,
        "0 of 100",
        None,
    ),
    (
        |s| s.last_seen = Some(NOW.plus_millis(-400 * DAY)),
        ("clock", "time"),
        Level::Warn,
        "400 days",
        None,
    ),
    (
        |s| s.local.synchronised = Some(false),
        ("clock", "synchronised"),
        Level::Warn,
        "no time server",
        None,
    ),
    (
        |s| s.local.unit_dir_writable = false,
        ("units", "directory"),
        Level::Fail,
        "cannot be written",
        None,
    ),
    (
        |s| {
            s.drift
                .push((AppId::new("notes").unwrap(), Ok(vec!["write notes.container".to_owned()])))
        },
        ("units", "drift"),
        Level::Warn,
        "write notes.container",
        Some("converge:notes"),
    ),
    (
        |s| s.belongings().containers.push(owned("old", "old", false)),
        ("units", "orphans"),
        Level::Warn,
        "container old",
        Some("remove-container:old"),
    ),
    (
        |s| s.belongings().containers.push(owned("old", "old", true)),
        ("units", "orphans"),
        Level::Warn,
        "it runs",
        None,
    ),
    (
        |s| s.belongings().networks.push(owned("old", "old", false)),
        ("units", "orphans"),
        Level::Warn,
        "network old",
        Some("remove-network:old"),
    ),
    (
        |s| s.belongings().secrets.push("old-key".to_owned()),
        ("units", "orphans"),
        Level::Warn,
        "old-key",
        Some("remove-secret:old-key"),
    ),
    (
        |s| s.belongings().volumes.push(owned("old-data", "old", false)),
        ("units", "kept data"),
        Level::Ok,
        "old (1)",
        None,
    ),
    (
        |s| {
            let text = "[Container]\nImage=a\nLabel=io.archipelago.app=old\nLabel=io.archipelago.service=main\n";
            s.survey.observed.unit_files =
                Known::Yes([("old.container".to_owned(), text.to_owned())].into());
        },
        ("units", "orphans"),
        Level::Warn,
        "old.container",
        None,
    ),
    (
        |s| s.snapshot.stale_because = Some(no()),
        ("apps", "view"),
        Level::Fail,
        "does not answer",
        None,
    ),
];

#[test]
fn each_fault_has_its_check() {
    for (index, (breaks, (area, name), level, words, fix)) in ROWS.iter().enumerate() {
        let mut scene = Scene::good();
        breaks(&mut scene);
        let checks = scene.checks();
        let found = checks.iter().find(|c| c.area == *area && c.name == *name && c.level == *level);
        let found = found.unwrap_or_else(|| panic!("{index} {area}/{name}: {checks:#?}"));
        assert!(found.text.contains(words), "{index}: {}", found.text);
        assert_eq!(found.fix.as_deref(), *fix, "{index}");
        let told = matches!(level, Level::Warn | Level::Fail);
        assert_eq!(found.mend.is_some(), told, "{index}: {found:?}");
    }
}

#[test]
fn what_is_in_use_or_declared_is_no_orphan() {
    let mut scene = Scene::good();
    scene.belongings().containers.push(owned("notes", "notes", true));
    scene.belongings().networks.push(owned("notes", "notes", false));
    scene.belongings().secrets.push("notes-key".to_owned());
    scene.belongings().volumes.push(owned("notes-data", "notes", false));
    assert!(scene.checks().iter().all(|check| check.level == Level::Ok));
    // a network of an app that still has containers is in use
    scene.belongings().containers.push(owned("old", "old", true));
    scene.belongings().networks.push(owned("old", "old", false));
    let checks = scene.checks();
    assert!(checks.iter().all(|check| check.fix.as_deref() != Some("remove-network:old")));
}

#[test]
fn mends_by_their_names() {
    for (fix, mend) in [
        ("reset-failed:a.service", Some(Mend::ResetFailed("a.service".to_owned()))),
        ("daemon-reload", Some(Mend::Reload)),
        ("remove-container:a-b_c.1", Some(Mend::RemoveContainer("a-b_c.1".to_owned()))),
        ("converge:notes", Some(Mend::Converge(AppId::new("notes").unwrap()))),
        ("remove-volume:data", None),
        ("remove-container:", None),
        ("remove-container:../x", None),
        ("remove-container:-f", None),
        ("converge:NOT AN ID", None),
        ("rm -rf /", None),
        ("", None),
    ] {
        assert_eq!(parse(fix), mend, "{fix}");
    }
}

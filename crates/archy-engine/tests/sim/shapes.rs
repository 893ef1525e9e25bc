//! The apps of the simulation: one service; a stack with an init service, hooks and a part that the
//! next version has no more; two apps of which one needs the other and may go back to an older
//! version; and apps that are there before Archipelago is, in three layouts.

use std::sync::Arc;

use archy_manifest::Manifest;
use archy_testkit::Fault;
use archy_testkit::sim::{Foreigner, Kind};
use archy_types::{AppId, Digest};

/// A set of apps of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Stack,
    Dependent,
    /// Made by `podman run`.
    Run,
    /// Made by an older daemon, with which it dies.
    Child,
    /// Made by a Quadlet file of the owner's.
    Quadlet,
}

impl Shape {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Stack => "stack",
            Self::Dependent => "dependent",
            Self::Run => "run",
            Self::Child => "child",
            Self::Quadlet => "quadlet",
        }
    }

    /// Apps to be installed before, in order, and the one that operations are about.
    pub(crate) const fn apps(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Single => (&[], "web"),
            Self::Stack => (&[], "forum"),
            Self::Dependent => (&["base"], "notes"),
            Self::Run => (&[], "cloud"),
            Self::Child => (&[], "box"),
            Self::Quadlet => (&[], "drive"),
        }
    }

    /// What is on the node before Archipelago is.
    pub(crate) fn laid(self) -> Option<Foreigner> {
        match self {
            Self::Single | Self::Stack | Self::Dependent => None,
            Self::Run => Some(foreigner("cloud", 8083, Kind::Run)),
            Self::Child => Some(foreigner("box", 8084, Kind::InDaemon)),
            Self::Quadlet => Some(foreigner("drive", 8085, Kind::Quadlet)),
        }
    }
}

/// A container that the app would have as well: of its data one part lies elsewhere, and one where the
/// app has it too.
fn foreigner(app: &str, port: u16, kind: Kind) -> Foreigner {
    let mounts = [(format!("/srv/{app}"), "/files"), (format!("{app}-db"), "/db")];
    Foreigner {
        app: id(app),
        name: app.to_owned(),
        image: format!("registry.example/{app}:0"),
        mounts: mounts.map(|(from, to)| (from, to.to_owned())).into(),
        port: (port, 80),
        env: ("TOKEN".to_owned(), format!("token of {app}")),
        kind,
    }
}

/// All apps there are.
pub(crate) const APPS: [&str; 7] = ["base", "box", "cloud", "drive", "forum", "notes", "web"];

/// A version whose containers end at once, and ruin the data before.
pub(crate) const BAD: u32 = 3;
/// A version that starts and is not well, and ruins the data.
pub(crate) const SICK: u32 = 4;
/// A version whose containers do not even begin to run.
pub(crate) const BROKEN: u32 = 5;

/// What is the matter with the images of these versions.
pub(crate) fn faults() -> Vec<Fault> {
    let image = |app: &str, version: u32| format!("registry.example/{app}:{version}");
    let of = |app: &&str| [Fault::BadImage(image(app, BAD)), Fault::SickImage(image(app, SICK))];
    APPS.iter().flat_map(of).collect()
}

/// An image that does not even begin to run.
pub(crate) fn broken_images() -> Vec<String> {
    APPS.iter().map(|app| format!("registry.example/{app}:{BROKEN}")).collect()
}

/// The text of an app's manifest in one of its versions.
pub(crate) fn text(app: &str, version: u32) -> String {
    let template = match app {
        "web" => WEB,
        "forum" => FORUM,
        "base" => BASE,
        "notes" => NOTES,
        _ => HOME,
    };
    let port = match app {
        "cloud" => "8083",
        "box" => "8084",
        _ => "8085",
    };
    let text = match (app, version) {
        (_, 1) => template.to_owned(),
        ("forum", _) => template.replace(FORUM_MAIL, "") + FORUM_UPDATE,
        _ => template.to_owned(),
    };
    text.replace("VERSION", &version.to_string()).replace("APP", app).replace("PORT", port)
}

/// The parsed manifest with text and digest.
pub(crate) fn manifest(app: &str, version: u32) -> (Arc<Manifest>, Arc<[u8]>, Digest) {
    let text = text(app, version);
    let parsed = match Manifest::parse(text.as_bytes()) {
        Ok(parsed) => parsed,
        Err(findings) => panic!("{app} {version}: {findings}"),
    };
    (Arc::new(parsed), text.as_bytes().into(), Digest::of(text.as_bytes()))
}

pub(crate) fn id(app: &str) -> AppId {
    AppId::new(app).unwrap()
}

/// Images that a registry has for all apps.
pub(crate) fn images() -> Vec<String> {
    let of = |app: &str| {
        (1..=BROKEN)
            .flat_map(|version| {
                let (manifest, ..) = manifest(app, version);
                let image = |line: &str| line.trim().strip_prefix("image: ").map(str::to_owned);
                let text = text(manifest.id.as_str(), version);
                text.lines().filter_map(image).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    APPS.iter().flat_map(|app| of(app)).collect()
}

const WEB: &str = r#"app:
  id: web
  name: Web
  version: VERSION.0.0
  update: { soak: 6s }
  services:
    main:
      image: registry.example/web:VERSION
      ports:
        - { host: 8080, container: 80, auth: gated }
      volumes:
        - { type: volume, source: data, target: /data }
        - { type: bind, source: pages, target: /pages }
        - { type: file, source: conf/page, target: /page, read_only: true }
      secret_env: { TOKEN: web-token }
  named_volumes: { data: {} }
  secrets: { web-token: hex32 }
  config:
    title: { type: text, label: Title, default: Hello, targets: [{ file: conf/page }] }
  files:
    - { path: conf/page, overwrite: true, content: "{{config:title}}" }
"#;

const FORUM: &str = r#"app:
  id: forum
  name: Forum
  version: VERSION.0.0
  update: { soak: 6s }
  services:
    main:
      image: registry.example/forum:VERSION
      ports:
        - { host: 8081, container: 80, auth: gated }
      depends_on: { prepare: completed, db: started }
      ready:
        - { socket: 80, timeout: 60s }
      volumes:
        - { type: volume, source: tables, target: /tables }
    prepare:
      image: registry.example/forum:VERSION
      oneshot: true
      depends_on: { db: started }
    db:
      image: registry.example/db:1
      secret_env: { PASSWORD: forum-db }
      volumes:
        - { type: volume, source: tables, target: /tables }
    mail:
      image: registry.example/mail:1
      secret_env: { PASSWORD: forum-db }
  named_volumes: { tables: {} }
  secrets: { forum-db: hex32 }
  config:
    title: { type: text, label: Title, default: Hello, targets: [{ service: main, env: TITLE }] }
  hooks:
    pre_stop:
      - exec: { service: db, command: [flush] }
        timeout: 30s
    post_install:
      - exec: { service: db, command: [create, index] }
        timeout: 60s
        idempotent: true
"#;

/// A part of the forum that its second version has no more.
const FORUM_MAIL: &str = "    mail:
      image: registry.example/mail:1
      secret_env: { PASSWORD: forum-db }
";

/// Hooks of the forum's next versions around their update.
const FORUM_UPDATE: &str = "    pre_update:
      - exec: { service: db, command: [check] }
        timeout: 30s
        idempotent: true
    post_update:
      - exec: { service: main, command: [migrate] }
        timeout: 60s
        idempotent: true
";

const BASE: &str = r#"app:
  id: base
  name: Base
  version: VERSION.0.0
  update: { soak: 6s }
  provides: [{ role: chain }]
  services:
    main:
      image: registry.example/base:VERSION
      network: archy-net
      volumes:
        - { type: volume, source: chain, target: /chain }
  named_volumes: { chain: {} }
  config:
    title: { type: text, label: Title, default: Hello, targets: [{ service: main, env: TITLE }] }
"#;

const NOTES: &str = r#"app:
  id: notes
  name: Notes
  version: VERSION.0.0
  update: { soak: 6s, downgrade: true }
  requires: [{ role: chain }]
  services:
    main:
      image: registry.example/notes:VERSION
      network: archy-net
      ports:
        - { host: 8082, container: 80, auth: gated }
      env: { CHAIN: base }
      volumes:
        - { type: volume, source: words, target: /words }
  named_volumes: { words: {} }
  config:
    title: { type: text, label: Title, default: Hello, targets: [{ service: main, env: TITLE }] }
"#;

const HOME: &str = r#"app:
  id: APP
  name: Home
  version: VERSION.0.0
  update: { soak: 6s }
  services:
    main:
      image: registry.example/APP:VERSION
      ports:
        - { host: PORT, container: 80, auth: gated }
      volumes:
        - { type: bind, source: files, target: /files }
        - { type: volume, source: db, target: /db }
      secret_env: { TOKEN: APP-token }
  named_volumes: { db: {} }
  secrets: { APP-token: hex32 }
  config:
    title: { type: text, label: Title, default: Hello, targets: [{ service: main, env: TITLE }] }
"#;

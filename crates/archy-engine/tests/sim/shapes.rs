//! The apps of the simulation: one service; a stack with an init service, hooks and a part that the
//! next version has no more; two apps of which one needs the other.

use std::sync::Arc;

use archy_manifest::Manifest;
use archy_types::{AppId, Digest};

/// A set of apps of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    Stack,
    Dependent,
}

impl Shape {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Stack => "stack",
            Self::Dependent => "dependent",
        }
    }

    /// Apps to be installed before, in order, and the one that operations are about.
    pub(crate) const fn apps(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Single => (&[], "web"),
            Self::Stack => (&[], "forum"),
            Self::Dependent => (&["base"], "notes"),
        }
    }
}

/// All apps there are.
pub(crate) const APPS: [&str; 4] = ["base", "forum", "notes", "web"];

/// The text of an app's manifest in one of its versions, 1 or 2.
pub(crate) fn text(app: &str, version: u32) -> String {
    let template = match app {
        "web" => WEB,
        "forum" => FORUM,
        "base" => BASE,
        _ => NOTES,
    };
    let text = if version == 1 { template.to_owned() } else { template.replace(FORUM_MAIL, "") };
    text.replace("VERSION", &version.to_string())
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
        (1..=2)
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
  services:
    main:
      image: registry.example/forum:VERSION
      ports:
        - { host: 8081, container: 80, auth: gated }
      depends_on: { prepare: completed, db: started }
      ready:
        - { socket: 80, timeout: 60s }
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

const BASE: &str = r#"app:
  id: base
  name: Base
  version: VERSION.0.0
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

//! Apps that the tests install.

use std::collections::BTreeMap;
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_plan::{DesiredApp, DesiredState};
use archy_types::{Actor, Digest, Generation, Timestamp};

/// One container with a directory, a volume and a secret.
pub(crate) const SMALL: &str = r#"
app:
  id: diary
  name: Diary
  version: 1.2.0
  container:
    image: registry.example/diary:1.2.0
    env: { MODE: plain }
    derived_env: { URL: "http://{{HOST_IP}}:8100" }
    secret_env: { TOKEN: diary-token }
    ports: [{ host: 8100, container: 80 }]
    volumes:
      - { type: bind, source: pages, target: /pages, owner: "1000:1000" }
      - { type: volume, source: index, target: /index }
    health: { type: http, port: 80, path: /health, interval: 5s }
    ready: [{ socket: 80, timeout: 1m }]
    resources: { memory: 128Mi }
  named_volumes: { index: {} }
  secrets: { diary-token: hex32 }
  config:
    greeting: { type: text, label: Greeting, default: hello, max_length: 20, targets: [{ file: conf/diary.ini }] }
    password: { type: secret, label: Password, targets: [{ env: MAIL_PASSWORD }] }
  files:
    - { path: conf/diary.ini, overwrite: true, content: "greeting = {{config:greeting}}\n" }
    - { path: conf/token.ini, overwrite: true, content: "token = {{secret:diary-token}}\n" }
    - { path: conf/mine.ini, content: "mine\n" }
  hooks:
    pre_stop: [{ exec: { command: [diary, flush] }, timeout: 5s, idempotent: true }]
    post_install: [{ exec: { command: [diary, init] }, timeout: 5s, idempotent: false }]
"#;

/// One container whose address of a database is put together with a secret.
pub(crate) const COMPOSED: &str = r#"
app:
  id: ledger
  name: Ledger
  version: 1.0.0
  services:
    main:
      image: registry.example/ledger:1.0.0
      derived_env: { DATABASE: "db://u:{{secret:ledger-pw}}@{{HOST_IP}}/x" }
  secrets: { ledger-pw: hex32 }
"#;

/// Several services with an init service, on the app's own network.
pub(crate) const STACK: &str = r#"
app:
  id: forum
  name: Forum
  version: 3.0.0
  services:
    main:
      image: registry.example/forum:3.0.0
      secret_env: { DB_PASSWORD: forum-db }
      ports: [{ host: 8200, container: 80 }]
      depends_on: { db: healthy, migrate: completed, cache: started }
      health: { type: http, port: 80, interval: 5s }
    migrate:
      image: registry.example/forum:3.0.0
      oneshot: true
      command: [migrate]
      secret_env: { DB_PASSWORD: forum-db }
      depends_on: { db: healthy }
    db:
      image: registry.example/postgres:17
      secret_files: { forum-db: /run/secrets/db }
      volumes: [{ type: volume, source: data, target: /data }]
      health: { type: exec, command: [pg_isready], interval: 5s }
      stop_grace_secs: 60
    cache:
      image: registry.example/valkey:8
      network: archy-net
      aliases: [forum-cache]
  named_volumes: { data: { owner: "999:999" } }
  secrets: { forum-db: hex32 }
  certs: [{ crt: tls/a.crt, key: tls/a.key }]
"#;

/// An app that is built on the node, on the shared network.
pub(crate) const BUILT: &str = r#"
app:
  id: sketch
  name: Sketch
  version: 0.1.0
  container:
    build: { context: image }
    network: archy-net
    ports: [{ host: 8300, container: 80 }]
  files:
    - { path: resolv.conf, overwrite: true, content: "nameserver {{NETWORK_GATEWAY}}\n" }
"#;

/// Parses a manifest of a test.
pub(crate) fn manifest(text: &str) -> Arc<Manifest> {
    match Manifest::parse(text.as_bytes()) {
        Ok(manifest) => Arc::new(manifest),
        Err(found) => panic!("{}", found.render("manifest.yml")),
    }
}

/// An app that should run, asked for at the beginning of time.
pub(crate) fn app(text: &str) -> DesiredApp {
    let manifest = manifest(text);
    let built = manifest
        .services
        .values()
        .any(|service| matches!(service.source, archy_manifest::model::ImageSource::Build { .. }));
    DesiredApp {
        manifest,
        digest: Digest::of(text.as_bytes()),
        generation: Generation(1),
        state: DesiredState::Running,
        actor: Actor::User("cli".to_owned()),
        since: Timestamp(0),
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
        package_dir: built.then(|| "/srv/packages/app".into()),
        data_due: None,
        adopted: None,
    }
}

/// The smallest app with an id and more lines below `app:`.
pub(crate) fn tiny(id: &str, more: &str) -> DesiredApp {
    app(&format!(
        "app:\n  id: {id}\n  name: {id}\n  version: 1.0.0\n{more}\n  container:\n    image: registry.example/{id}:1\n"
    ))
}

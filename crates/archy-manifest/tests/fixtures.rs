//! Manifests as third parties write them mean what they say, and the new form as well.

use std::collections::BTreeSet;

use archy_manifest::model::{
    DependsOn, HookAction, HookPoint, ImageSource, InterfaceKind, MountSource, NetworkMode, Owner,
    PortAuth, Probe, Protocol, ReadyCheck, RequirementTarget, SecretKind, SettingKind,
    SettingTarget, UpdateStrategy,
};
use archy_manifest::{Manifest, names, parse, starter};
use archy_types::ServiceName;

fn clean(text: &[u8]) -> Manifest {
    let parsed = parse(text);
    assert!(parsed.diagnostics.0.is_empty(), "{}", parsed.diagnostics.render("fixture"));
    match parsed.manifest {
        Some(manifest) => manifest,
        None => unreachable!("no finding, so a manifest"),
    }
}

#[test]
fn headless_storage_node() {
    let manifest = clean(include_bytes!("fixtures/storage.yml"));
    assert_eq!(manifest.id.as_str(), "blob-store");
    assert_eq!(manifest.version, "0.3.5");
    assert_eq!(manifest.category.as_deref(), Some("nostr"));
    assert_eq!(manifest.upstream.as_ref().unwrap().repo, "example/blob-store");
    assert!(manifest.interfaces.is_empty());
    assert_eq!(manifest.storage_bytes, Some(10 << 30));
    assert_eq!(manifest.secrets["blob-store-admin-token"], SecretKind::Hex32);
    assert_eq!(manifest.secrets["blob-store-login"], SecretKind::Bcrypt);
    assert_eq!(manifest.secrets["mempool-db-password"], SecretKind::Supplied);
    assert_eq!(manifest.metadata["tags"][1], "storage");

    let main = &manifest.services[&ServiceName::main()];
    assert_eq!(main.source, ImageSource::Image("ghcr.io/example/blob-store:0.3.5-r2".to_owned()));
    assert_eq!(main.network, NetworkMode::Shared);
    assert_eq!(main.aliases, ["blobs"]);
    assert_eq!(main.args, ["--config", "/data/config.toml"]);
    assert_eq!(main.env["RUST_LOG"], "info");
    let derived: Vec<_> = main.derived_env.iter().map(|(k, t)| format!("{k}={t}")).collect();
    assert_eq!(
        derived,
        [
            "OWNER_PUBKEYS={{NODE_IDENTITY_PUBKEYS}}",
            "PUBLIC_URL=https://{{PUBLIC_HOST}}:3742",
            "QUOTA_GB={{DISK_GB}}",
            "MODE=private",
        ]
    );
    assert_eq!(main.secret_env["ADMIN_TOKEN"], "blob-store-admin-token");
    assert_eq!(main.resources.memory_bytes, 64 << 20);
    assert_eq!(main.resources.cpus, Some(1.0));
    assert_eq!((main.resources.pids, main.resources.log_bytes), (512, 10 << 20));
    assert!(main.security.readonly_root && main.security.no_new_privileges);
    assert_eq!(main.security.network_policy.as_deref(), Some("isolated"));
    let port = &main.ports[0];
    assert_eq!((port.host, port.container, port.protocol), (3742, 3742, Protocol::Tcp));
    assert_eq!(port.auth, Some(PortAuth::Open));
    assert_eq!(port.bind.unwrap().to_string(), "127.0.0.1");
    let owner = Some(Owner { uid: 1000, gid: 1000 });
    assert_eq!(main.mounts[0].source, MountSource::AppDir { path: String::new(), owner });
    assert!(!main.mounts[0].read_only);
    let health = main.health.as_ref().unwrap();
    assert_eq!(health.probe, Probe::Http { port: 3742, path: "/healthz".to_owned() });
    assert_eq!((health.interval_secs, health.timeout_secs, health.retries), (30, 5, 3));
    assert_eq!((main.stop_grace_secs, manifest.boot_priority), (30, 50));
    assert_eq!(names::container(&manifest, &ServiceName::main()), "blob-store");
}

#[test]
fn page_with_a_post_install_hook() {
    let manifest = clean(include_bytes!("fixtures/ui.yml"));
    assert_eq!(manifest.version, "1.10");
    let main = &manifest.services[&ServiceName::main()];
    assert_eq!(main.ports[0].protocol, Protocol::Tcp);
    assert_eq!(main.ports[0].auth, Some(PortAuth::Gated));
    let step = &manifest.hooks[&HookPoint::PostInstall][0];
    assert!(step.idempotent);
    assert_eq!(
        step.action,
        HookAction::CopyFromHost {
            service: ServiceName::main(),
            src: "web-ui/nostr-provider.js".to_owned(),
            dest: "/usr/share/nginx/html/nostr-provider.js".to_owned(),
        }
    );
    let file = &manifest.files[0];
    assert_eq!((file.path.as_str(), file.overwrite, file.mode), ("nginx.conf", true, 0o600));
    assert!(file.content.to_string().contains("{{secret:relay-view-token}}"));
    assert_eq!(manifest.secrets["relay-view-token"], SecretKind::Supplied);
    assert_eq!(manifest.certs[0].crt, "tls/page.crt");
    assert_eq!(manifest.certs[0].sans.len(), 2);
    let door = &manifest.interfaces["main"];
    assert_eq!((door.kind, door.port, door.path.as_str()), (InterfaceKind::Ui, 8190, "/"));
    let needed = &manifest.requires[0];
    assert!(matches!(&needed.target, RequirementTarget::App(id) if id.as_str() == "blob-store"));
    assert_eq!((needed.optional, needed.condition), (false, DependsOn::Started));
    assert_eq!(manifest.metadata["released"], "2026-10-02");
}

#[test]
fn json_as_yaml() {
    let manifest = clean(include_bytes!("fixtures/generated.json"));
    let main = &manifest.services[&ServiceName::main()];
    assert_eq!(main.network, NetworkMode::Pasta);
    assert_eq!(main.entrypoint.as_deref(), Some(&["/bin/drop".to_owned()][..]));
    assert_eq!((main.env["A"].as_str(), main.env["EMPTY"].as_str()), ("1=2", ""));
    assert_eq!(main.ports[0].protocol, Protocol::Udp);
    assert!(main.mounts[0].read_only);
    assert_eq!(main.health.as_ref().unwrap().probe, Probe::Tcp { port: 7000 });
    assert_eq!(manifest.metadata["nested"]["a"], serde_json::json!([1, 2.5, null, true]));
}

#[test]
fn oldest_form_warns_and_parses() {
    let parsed = parse(include_bytes!("fixtures/patch-level-1.yml"));
    let codes: Vec<_> = parsed.diagnostics.0.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["unknown-key", "missing-rationale"]);
    let manifest = parsed.manifest.unwrap();
    let main = &manifest.services[&ServiceName::main()];
    assert!(matches!(&main.source, ImageSource::Build { context, containerfile, .. }
        if context == "image" && containerfile == "Dockerfile"));
    assert_eq!(main.derived_env["OWNER_PUBKEY"].to_string(), "{{NODE_NOSTR_PUBKEY}}");
    assert_eq!(main.network, NetworkMode::Shared);
    let path = "data".to_owned();
    assert_eq!(main.mounts[0].source, MountSource::AppDir { path, owner: None });
}

#[test]
fn stack_of_services() {
    let manifest = clean(include_bytes!("fixtures/stack.yml"));
    let order: Vec<_> = manifest.services.keys().map(ServiceName::as_str).collect();
    assert_eq!(order, ["main", "migrate", "db", "cache"]);
    let main = &manifest.services["main"];
    let waits: Vec<_> = main.depends_on.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    let expected = [
        ("db", DependsOn::Healthy),
        ("cache", DependsOn::Started),
        ("migrate", DependsOn::Completed),
    ];
    assert_eq!(waits, expected);
    assert!(manifest.services["migrate"].oneshot);
    assert_eq!(main.network, NetworkMode::App);
    assert_eq!(main.mounts[1].source, MountSource::File("config/notes.ini".to_owned()));
    let size_bytes = Some(16 << 20);
    assert_eq!(main.mounts[2].source, MountSource::Tmpfs { size_bytes, mode: Some(0o1777) });
    assert!(matches!(&main.ready[0].check, ReadyCheck::HttpJson { pointer, equals, .. }
        if pointer == "/migrated" && equals == &serde_json::json!(true)));
    let db = &manifest.services["db"];
    assert_eq!(db.secret_files["notes-db-password"], "/run/secrets/db-password");
    assert_eq!(db.resources.shm_bytes, Some(128 << 20));
    assert_eq!(db.resources.ulimits["nofile"], (65_536, 65_536));
    assert_eq!(db.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(manifest.volumes["db"].owner, Some(Owner { uid: 999, gid: 999 }));
    assert_eq!(names::container(&manifest, &"db".parse().unwrap()), "notes-db");
    let settings: Vec<_> = manifest.config.keys().map(String::as_str).collect();
    assert_eq!(settings, ["title", "items_per_page", "registration", "smtp_password"]);
    assert_eq!(manifest.config["smtp_password"].kind, SettingKind::Secret);
    let target = SettingTarget::File("config/notes.ini".to_owned());
    assert_eq!(manifest.config["title"].targets, [target]);
    let doors: Vec<_> = manifest.interfaces.keys().map(String::as_str).collect();
    assert_eq!(doors, ["main", "sync"]);
    assert_eq!(manifest.update.strategy, UpdateStrategy::Recreate);
    assert_eq!(manifest.update.soak_secs, 120);
    assert_eq!(manifest.architectures, BTreeSet::from(["amd64".to_owned(), "arm64".to_owned()]));
    assert_eq!(manifest.storage_bytes, Some(2 << 30));
}

#[test]
fn starter_is_clean() {
    for name in ["My App", "a: b # \"c\" 'd'", "{x}", "Größe 😀", "yes", "1.0"] {
        let manifest = clean(starter("my-app", name).as_bytes());
        assert_eq!(manifest.name, name);
    }
}

/// One container with files below its directory, and services whose directories do not overlap.
#[test]
fn files_below_a_directory() {
    for lines in [
        "  container: { image: \"x.y/z:1\", data_uid: 1000 }\n  \
         volumes: [{ source: /var/lib/archipelago/a, target: /data }]\n  \
         files: [{ path: /var/lib/archipelago/a/config.toml, content: y }]\n  \
         certs: [{ crt: tls/a.crt, key: tls/a.key }]\n",
        "  services:\n    main:\n      image: \"x.y/z:1\"\n      volumes:\n        \
         - { source: conf, target: /conf, read_only: true }\n        \
         - { source: data, target: /data }\n    two:\n      image: \"x.y/z:1\"\n      \
         volumes: [{ source: data, target: /data }, { source: database, target: /db }]\n  \
         files: [{ path: conf/a.toml, content: y }]\n",
    ] {
        clean(format!("app:\n  id: a\n  name: A\n  version: 1\n{lines}").as_bytes());
    }
}

#[test]
fn both_forms_mean_the_same() {
    let one = "app:\n  id: a\n  name: A\n  version: 1\n  container:\n    image: \"x.y/z:1\"\n    \
        custom_args: [go]\n    derived_env: [{key: H, template: \"{{HOST_IP}}\"}]\n    \
        secret_env: [{key: S, secret_file: s}]\n    generated_secrets: [{name: s, kind: hex16}]\n  \
        environment: [B=2, A=1]\n  ports: [{host: 80, container: 80}]\n  \
        health_check: {type: http, endpoint: \"http://localhost:80/x\"}\n  resources: {memory_limit: 1Gi}\n";
    let many = "app:\n  id: a\n  name: A\n  version: 1\n  services:\n    main:\n      \
        image: \"x.y/z:1\"\n      command: [go]\n      env: {B: 2, A: 1}\n      \
        derived_env: {H: \"{{HOST_IP}}\"}\n      secret_env: {S: s}\n      ports: [{container: 80}]\n      \
        health: {port: 80, path: /x}\n      resources: {memory: 1024Mi}\n  secrets: {s: hex16}\n";
    assert_eq!(clean(one.as_bytes()), clean(many.as_bytes()));
}

//! What holds for any input: no panic, and a manifest that is valid or says why not.

use archy_import::{Files, Kind, Store, find, import};
use proptest::prelude::*;

/// Imports whatever is handed in, as every kind.
fn survives(files: &Files) {
    for kind in [None].into_iter().chain(Kind::ALL.map(Some)) {
        let sources = find(files, "any", kind);
        let store = Store::new(&sources);
        for source in &sources {
            let Ok(made) = import(source, &store) else { continue };
            let told = made.findings.iter().any(|finding| finding.reason == "invalid-manifest");
            assert!(made.is_valid() || told, "{}", made.manifest);
        }
    }
}

fn one(name: &str, bytes: Vec<u8>) -> Files {
    [(name.to_owned(), bytes)].into()
}

const KEYS: &[&str] = &[
    "image",
    "command",
    "entrypoint",
    "environment",
    "ports",
    "volumes",
    "networks",
    "depends_on",
    "healthcheck",
    "user",
    "deploy",
    "tmpfs",
    "labels",
    "devices",
    "ulimits",
    "cap_add",
    "extends",
    "env_file",
    "container_name",
    "network_mode",
    "stop_grace_period",
    "build",
    "secrets",
    "configs",
    "x-casaos",
    "x-runtipi",
    "privileged",
    "init",
    "working_dir",
    "mem_limit",
    "shm_size",
];

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9./:@$_-]{0,24}",
        "\\PC{0,16}",
        prop::sample::select(vec![
            "${APP_DATA_DIR}/d:/d",
            "$A:${B}",
            "8080:80",
            "80/udp",
            "/x:/y:ro",
            "./a:/a",
            "${A:-${B}}",
            "A={{x}}",
            "-1",
            "1000:1000",
            "nginx",
            "a/b:1",
            "CMD",
            "${",
            "1m30s",
            "host",
            "true",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        scalar().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::hash_map("[a-zA-Z_]{1,8}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn service() -> impl Strategy<Value = serde_json::Value> {
    prop::collection::hash_map(prop::sample::select(KEYS), value(), 0..8).prop_map(|map| {
        let mut map: serde_json::Map<_, _> =
            map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        map.entry("image").or_insert("registry.example/a:1".into());
        serde_json::Value::Object(map)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survives(&one("docker-compose.yml", bytes.clone()));
        survives(&one("docker-compose.json", bytes));
    }

    #[test]
    fn any_text(text in "\\PC{0,200}", name in prop::sample::select(vec![
        "docker-compose.yml", "umbrel-app.yml", "config.json", "exports.sh", ".env",
    ])) {
        let mut files = one("compose.yaml", b"services: {a: {image: 'x/a:1', env_file: .env}}".to_vec());
        files.insert(name.to_owned(), text.into_bytes());
        survives(&files);
    }

    #[test]
    fn any_interpolation(text in "[$\\{\\}A-Z:?+!a-z-]{0,60}") {
        let compose = serde_json::json!({"services": {"a": {
            "image": "x/a:1", "environment": {"V": text}, "command": [text], "ports": [text],
        }}});
        survives(&one("compose.yaml", compose.to_string().into_bytes()));
    }

    #[test]
    fn any_services(services in prop::collection::hash_map("[a-zA-Z_.-]{1,10}", service(), 0..4)) {
        let services: serde_json::Map<_, _> = services.into_iter().collect();
        let compose = serde_json::json!({"services": services, "volumes": {"a": null}});
        survives(&one("compose.yaml", compose.to_string().into_bytes()));
    }

    /// What stands in a compose file in earnest comes out as a valid manifest.
    #[test]
    fn usual_services_are_valid(
        image in "[a-z]{1,8}(/[a-z]{1,8})?(:[a-z0-9][a-z0-9.]{0,7})?",
        env in prop::collection::hash_map("[A-Z_]{1,12}", "\\PC{0,20}", 0..5),
        ports in prop::collection::vec((1_u16.., 1_u16..), 0..4),
        sources in prop::collection::vec("(\\./|/srv/)?[a-z]{1,6}(/[a-z]{1,6}){0,2}", 0..5),
        command in prop::collection::vec("\\PC{0,12}", 0..4),
    ) {
        let ports: Vec<_> = ports.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let mounts = sources.iter().enumerate().map(|(i, source)| format!("{source}:/m{i}"));
        let compose = serde_json::json!({"services": {"a": {
            "image": image, "environment": env, "ports": ports,
            "volumes": mounts.collect::<Vec<_>>(), "command": command,
        }}});
        let sources = find(&one("compose.yaml", compose.to_string().into_bytes()), "any", None);
        let made = import(sources.first().unwrap(), &Store::default()).unwrap();
        prop_assert!(made.is_valid(), "{:#?}\n{}", made.diagnostics, made.manifest);
    }
}

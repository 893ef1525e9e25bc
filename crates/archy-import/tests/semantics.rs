//! One case for each meaning: a small source, what the manifest must hold, and the reasons that must
//! be found.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test fails by panicking; a table is one function"
)]

use archy_import::{Files, Import, Kind, Severity, Store, find, import};

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

fn made(list: &[(&str, &str)]) -> Import {
    let sources = find(&files(list), "sample", None);
    let import = import(sources.first().unwrap(), &Store::new(&sources)).unwrap();
    assert!(import.is_valid(), "{:#?}\n{}", import.diagnostics, import.manifest);
    import
}

/// Checks a case: parts of the manifest with white space made single, and reasons.
fn check(list: &[(&str, &str)], holds: &[&str], reasons: &[&str]) {
    let import = made(list);
    let words: Vec<&str> = import.manifest.split_whitespace().collect();
    let text = words.join(" ");
    for part in holds {
        let (wanted, part) = match part.strip_prefix('!') {
            Some(part) => (false, part),
            None => (true, *part),
        };
        assert_eq!(text.contains(part), wanted, "{part}\n{}", import.manifest);
    }
    for reason in reasons {
        let found = import.findings.iter().any(|finding| finding.reason == *reason);
        assert!(found, "{reason} in {:#?}", import.findings);
    }
}

#[test]
fn compose_files() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("image: nginx:1", &["image: docker.io/library/nginx:1"], &["memory", "rights"]),
        ("image: a/b", &["image: docker.io/a/b:latest"], &["not-pinned"]),
        (
            "image: nginx:1\n    command: serve --all 'a b'",
            &["command: - serve - \"--all\" - a b"],
            &[],
        ),
        (
            "image: nginx:1\n    environment: [A=1, 'B=x=y', C]",
            &["A: \"1\"", "B: x=y", "env: C"],
            &["unset-variable"],
        ),
        (
            "image: nginx:1\n    environment: {A: '${X:-d}', B: '${Y:?}', C: '$$Z'}",
            &["A: d", "C: \"$Z\"", "required: true"],
            &["chosen-default"],
        ),
        (
            "image: nginx:1\n    environment: {DB_PASS: '${DB_PASS:?}'}",
            &["DB_PASS: sample-db-pass", "sample-db-pass: hex32"],
            &["generated-secret"],
        ),
        (
            "image: nginx:1\n    environment: {DB_PASS: hunter22, URL: 'x://u:hunter22@db/'}",
            &["!hunter22", "URL: \"x://u:{{secret:sample-db-pass}}@db/\""],
            &["generated-secret"],
        ),
        (
            "image: nginx:1\n    environment: {DB_PASS: hunter22}\n    command: run -p hunter22",
            &["hunter22"],
            &["default-password"],
        ),
        (
            "image: nginx:1\n    environment: {APP_KEY: '${K_SECRET:?}'}\n    command: run -k '${K_SECRET:?}'",
            &["exec run -k \\\"${APP_KEY}\\\""],
            &["secret-in-command"],
        ),
        (
            "image: redis:7\n    command: --requirepass ${R_PASSWORD:?}",
            &["exec redis-server --requirepass \\\"${ARCHY_SAMPLE_R_PASSWORD}\\\""],
            &["secret-in-command"],
        ),
        ("image: nginx:1\n    command: --pass ${R_PASSWORD:?}", &[], &["unresolved-variable"]),
        (
            "image: nginx:1\n    ports: ['8080:80', '53:53/udp', '127.0.0.1:9000:9000']",
            &[
                "host: 8080 container: 80 auth: gated",
                "protocol: udp auth: none",
                "bind: \"127.0.0.1\" auth: local",
            ],
            &["low-port"],
        ),
        ("image: nginx:1\n    ports: ['80']", &["host: 80 container: 80"], &["changed-port"]),
        (
            "image: nginx:1\n    ports: ['8000-8002:9000-9002']",
            &["host: 8002 container: 9002"],
            &[],
        ),
        (
            "image: nginx:1\n    volumes: ['./data:/data', 'named:/n:ro', '/anon', '/etc/localtime:/etc/localtime:ro']",
            &[
                "source: data target: /data",
                "type: volume source: named target: /n read_only: true",
                "source: main-anon",
            ],
            &["host-clock"],
        ),
        (
            "image: nginx:1\n    volumes: ['/var/run/docker.sock:/s']",
            &["!docker.sock"],
            &["engine-socket"],
        ),
        ("image: nginx:1\n    volumes: ['/proc:/host/proc']", &["!proc"], &["host-path"]),
        (
            "image: nginx:1\n    volumes: ['/srv/films:/films', '~/x:/x']",
            &["source: srv/films", "source: home/x"],
            &["moved-path"],
        ),
        (
            "image: nginx:1\n    volumes: ['./a:/a', './a/b:/b']",
            &["source: nested/a-b"],
            &["nested-data"],
        ),
        (
            "image: nginx:1\n    volumes: ['./app.conf:/etc/app.conf:ro']",
            &["type: package source: app.conf"],
            &["missing-file"],
        ),
        (
            "image: nginx:1\n    tmpfs: [/run, '/tmp:size=1m,mode=1777']",
            &["type: tmpfs target: /run", "size: 1Mi mode: \"1777\""],
            &[],
        ),
        (
            "image: nginx:1\n    privileged: true",
            &["- NET_ADMIN", "- SYS_PTRACE"],
            &["privileges-declared"],
        ),
        (
            "image: nginx:1\n    privileged: true\n    devices: [/dev/sda]",
            &["!NET_ADMIN"],
            &["privileged", "refused-device"],
        ),
        (
            "image: nginx:1\n    devices: ['/dev/dri:/dev/dri', '/dev/ttyUSB0']",
            &["devices: - /dev/dri - /dev/ttyUSB0"],
            &[],
        ),
        (
            "image: nginx:1\n    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}",
            &["nvidia.com/gpu=all"],
            &["gpu"],
        ),
        ("image: nginx:1\n    network_mode: host", &["!network: host"], &["host-network"]),
        (
            "image: nginx:1\n    network_mode: host\n    ports: ['8080:80']",
            &["host: 8080"],
            &["own-network"],
        ),
        ("image: nginx:1\n    network_mode: none", &["network: none"], &[]),
        ("image: nginx:1\n    pid: host\n    ipc: host", &[], &["host-namespace"]),
        ("image: nginx:1\n    security_opt: ['seccomp:unconfined']", &[], &["refused-protection"]),
        (
            "image: nginx:1\n    cap_add: [SYS_ADMIN, NET_RAW]\n    cap_drop: [KILL]",
            &["- NET_RAW", "!SYS_ADMIN", "!- KILL", "capabilities_rationale"],
            &["refused-capability"],
        ),
        ("image: nginx:1\n    cap_drop: [ALL]", &["!CHOWN"], &[]),
        (
            "image: nginx:1\n    user: '1000'\n    volumes: ['./d:/d']",
            &["data_uid: \"1000:1000\"", "!CHOWN"],
            &[],
        ),
        (
            "image: nginx:1\n    healthcheck: {test: [CMD-SHELL, 'curl -f x || exit 1'], interval: 1s, retries: 5}",
            &["- sh - \"-c\" - \"curl -f x || exit 1\"", "interval: 2s", "retries: 5"],
            &["timing"],
        ),
        ("image: nginx:1\n    healthcheck: {test: [NONE]}", &["!health:"], &["dropped-key"]),
        (
            "image: nginx:1\n    ulimits: {nofile: {soft: 1024, hard: 2048}, nproc: 65535}\n    shm_size: 1gb\n    mem_limit: 1g",
            &["soft: 1024 hard: 2048", "shm_size: 1Gi", "memory: 1Gi"],
            &[],
        ),
        (
            "image: nginx:1\n    stop_grace_period: 2h\n    stop_signal: int\n    init: true\n    read_only: true",
            &["stop_grace_secs: 3600", "stop_signal: SIGINT", "init: true", "readonly_root: true"],
            &["timing"],
        ),
        (
            "image: nginx:1\n    labels: {traefik.enable: 'true', org.x: y}",
            &["org.x: \"y\"", "!traefik"],
            &["routing"],
        ),
        (
            "image: nginx:1\n    extra_hosts: ['host.docker.internal:host-gateway', 'x:1.2.3.4']",
            &[],
            &["extra-host", "unsupported-key"],
        ),
        (
            "image: nginx:1\n    group_add: [video]\n    sysctls: {net.core.somaxconn: 1}\n    nonsense: 1",
            &[],
            &["supplementary-group", "sysctl", "unknown-key"],
        ),
        ("image: nginx:1\n    deploy: {replicas: 3}", &[], &["replicas"]),
        ("image: nginx:1\n    restart: 'no'", &[], &["run-once"]),
        ("image: nginx:1\n    env_file: [missing.env]", &[], &["missing-part"]),
        ("build: ./nowhere", &[], &["no-image"]),
    ];
    for (service, holds, reasons) in cases {
        let text = format!("services:\n  app:\n    {service}\nvolumes: {{named: {{}}}}\n");
        if reasons.contains(&"no-image") {
            let sources = find(&files(&[("compose.yaml", text.as_str())]), "sample", None);
            let import = import(sources.first().unwrap(), &Store::default()).unwrap();
            assert!(import.needs_edit() && import.findings.iter().any(|f| f.reason == "no-image"));
        } else {
            check(&[("compose.yaml", text.as_str())], holds, reasons);
        }
    }
}

#[test]
fn projects() {
    type Case =
        (&'static [(&'static str, &'static str)], &'static [&'static str], &'static [&'static str]);
    let cases: &[Case] = &[
        (
            &[(
                "compose.yaml",
                "services:\n  a: {image: 'x/a:1', depends_on: {b: {condition: service_completed_successfully}, gone: {condition: service_started}}}\n  b: {image: 'x/b:1', depends_on: [a]}\n",
            )],
            &["oneshot: true", "b: completed", "!main: started"],
            &["dependency"],
        ),
        (
            &[
                (
                    "compose.yaml",
                    "services:\n  a: {extends: {file: base.yaml, service: base}, environment: {B: '2'}}\n",
                ),
                ("base.yaml", "services:\n  base: {image: 'x/a:1', environment: [A=1, B=1]}\n"),
            ],
            &["A: \"1\"", "B: \"2\""],
            &[],
        ),
        (
            &[
                ("compose.yaml", "include: [more.yaml]\nservices:\n  a: {image: 'x/a:1'}\n"),
                ("more.yaml", "services:\n  b: {image: 'x/b:1'}\n"),
            ],
            &["x/a:1", "x/b:1"],
            &[],
        ),
        (
            &[
                ("compose.yaml", "services:\n  a: {image: 'x/a:1', env_file: a.env}\n"),
                ("a.env", "A='$raw'\nB=${V}\n"),
                (".env", "V=v\n"),
            ],
            &["A: \"$raw\"", "B: v"],
            &[],
        ),
        (
            &[(
                "compose.yaml",
                "services:\n  a: {image: 'x/a:1', secrets: [tok], configs: [{source: c, target: /etc/c}]}\nsecrets: {tok: {file: ./tok}}\nconfigs: {c: {content: 'x=${V:-1}'}}\n",
            )],
            &[
                "sample-tok: /run/secrets/tok",
                "type: file source: configs/c target: /etc/c",
                "content: x=1",
            ],
            &["generated-secret"],
        ),
        (
            &[
                (
                    "compose.yaml",
                    "services:\n  a: {build: ., networks: [out]}\nnetworks: {out: {external: true}}\n",
                ),
                ("Dockerfile", "FROM x\n"),
            ],
            &["context: . containerfile: Dockerfile", "network: archy-net"],
            &["external-network"],
        ),
        (
            &[(
                "compose.yaml",
                "services:\n  a: {image: 'x/a:1', volumes: ['nas:/nas']}\nvolumes: {nas: {driver_opts: {type: nfs, o: addr=1.2.3.4, device: ':/x'}}}\n",
            )],
            &[],
            &["volume-driver"],
        ),
        (
            &[("compose.yaml", "services:\n  a: {image: 'x/a:1', command: [\n    'run',\n  ]}\n")],
            &["command: - run"],
            &[],
        ),
    ];
    for (list, holds, reasons) in cases {
        check(list, holds, reasons);
    }
}

#[test]
fn stores() {
    let umbrel = |service: &str| {
        format!(
            "services:\n  app_proxy: {{environment: {{APP_HOST: sample_web_1, APP_PORT: 80, PROXY_AUTH_ADD: 'false'}}}}\n  web:\n    image: x/a:1\n    {service}\n"
        )
    };
    let app = "id: sample\nname: Sample\nversion: '1'\nport: 9000\ndependencies: [bank]\nimplements: [vault]\n";
    let cases: &[(String, &str, &[&str], &[&str])] = &[
        (
            umbrel("user: '1000'"),
            "",
            &["host: 9000 container: 80 auth: open", "- role: vault", "- role: bank"],
            &["gate"],
        ),
        (
            umbrel("environment: {A: $APP_SAMPLE_KEY, B: $APP_SAMPLE_PORT, C: $APP_SAMPLE_IP}"),
            "",
            &["A: sample-key", "B: \"9000\"", "C: main"],
            &["generated-secret"],
        ),
        (
            umbrel("environment: {A: $APP_SAMPLE_X, B: $APP_SAMPLE_Y}"),
            "export APP_SAMPLE_X=\"v-${APP_ID}\"\nexport APP_SAMPLE_Y=$(derive_entropy \"y\")\n",
            &["A: v-sample", "B: sample-app-sample-y"],
            &[],
        ),
        (umbrel("environment: {A: $APP_SAMPLE_MODE}"), "", &[], &["unresolved-variable"]),
        (
            umbrel("environment: {A: 'http://bank_web_1:80', T: '$TOR_PROXY_IP:$TOR_PROXY_PORT'}"),
            "",
            &[
                "A: \"http://{{role:bank}}:80\"",
                "T: \"{{role:tor-proxy}}:9050\"",
                "network: archy-net",
            ],
            &["tor", "external-network"],
        ),
        (
            umbrel("volumes: ['${APP_LIGHTNING_NODE_DATA_DIR}/tls.cert:/c']"),
            "",
            &[],
            &["foreign-data"],
        ),
    ];
    for (compose, exports, holds, reasons) in cases {
        let list = [
            ("docker-compose.yml", compose.as_str()),
            ("umbrel-app.yml", app),
            ("exports.sh", exports),
        ];
        check(&list, holds, reasons);
    }
    check(
        &[
            (
                "docker-compose.yml",
                "services:\n  pan:\n    image: x/a:1\n    environment: ['U=${APP_PROTOCOL:-http}://${APP_DOMAIN}']\n    x-runtipi: {internal_port: 80, is_main: true}\n",
            ),
            (
                "config.json",
                "{\"id\": \"pan\", \"name\": \"Pan\", \"port\": 8200, \"version\": \"1\", \"tipi_version\": 1, \"https\": true}",
            ),
        ],
        &[
            "U: \"http://{{PUBLIC_HOST}}:8200\"",
            "host: 8200 container: 80 auth: gated",
            "protocol: https",
        ],
        &[],
    );
    check(
        &[(
            "docker-compose.yml",
            "name: lamp\nservices:\n  lamp: {image: 'x/a:1', ports: ['8300:80'], volumes: ['/DATA/AppData/$AppID/c:/c', '/DATA/Downloads:/d']}\nx-casaos: {main: lamp, port_map: '8300', title: {en_US: Lamp}}\n",
        )],
        &[
            "id: lamp",
            "name: Lamp",
            "source: c target: /c",
            "source: shared/downloads",
            "port: 8300",
        ],
        &["shared-folder"],
    );
}

#[test]
fn a_store_knows_its_neighbours() {
    let list = [
        ("bank/docker-compose.yml", "services:\n  web: {image: 'x/b:1'}\n"),
        ("bank/umbrel-app.yml", "id: bank\nname: Bank\nversion: '1'\nport: 9001\n"),
        (
            "bank/exports.sh",
            "export APP_BANK_MODE=\"calm\"\nexport APP_BANK_TOKEN=$(derive_entropy t)\n",
        ),
        (
            "till/docker-compose.yml",
            "services:\n  web: {image: 'x/t:1', environment: {M: $APP_BANK_MODE, T: $APP_BANK_TOKEN, P: $APP_BANK_PORT}}\n",
        ),
        (
            "till/umbrel-app.yml",
            "id: till\nname: Till\nversion: '1'\nport: 9002\ndependencies: [bank]\n",
        ),
    ];
    let sources = find(&files(&list), "store", None);
    let store = Store::new(&sources);
    let all: Vec<Import> = sources.iter().map(|source| import(source, &store).unwrap()).collect();
    assert!(all.iter().all(|i| i.is_valid() && i.kind == Kind::Umbrel), "{all:#?}");
    let bank = &all.iter().find(|i| i.id == "bank").unwrap().manifest;
    assert!(bank.contains("role: bank"), "{bank}");
    let till = &all.iter().find(|i| i.id == "till").unwrap().manifest;
    for part in ["M: calm", "T: bank-token", "bank-token: supplied", "P: \"9001\"", "role: bank"] {
        assert!(till.contains(part), "{part}\n{till}");
    }
}

#[test]
fn what_nothing_uses_is_reported() {
    let import = made(&[
        ("compose.yaml", "services:\n  a: {image: 'x/a:1', env_file: a.env}\n"),
        ("a.env", "A=1\n"),
        ("hooks/pre-start", "#!/bin/sh\n"),
        ("logo.svg", "<svg/>"),
    ]);
    let said = |reason: &str| {
        let mut all = import.findings.iter().filter(|f| f.place == "package");
        all.find(|f| f.reason == reason).map(|f| f.message.clone())
    };
    assert_eq!(said("hook").as_deref(), Some("not used: hooks/pre-start"));
    assert_eq!(said("metadata").as_deref(), Some("not used: logo.svg"));
}

#[test]
fn nothing_that_is_refused_passes() {
    let import = made(&[(
        "compose.yaml",
        "services:\n  a:\n    image: x/a:1\n    privileged: true\n    pid: host\n    network_mode: host\n    volumes: ['/:/host', '/var/run/docker.sock:/var/run/docker.sock', '/dev:/dev']\n    cap_add: [ALL]\n    security_opt: [apparmor:unconfined]\n",
    )]);
    for word in ["privileged", "host", "docker.sock", "/dev", "ALL", "apparmor"] {
        assert!(!import.manifest.contains(word), "{word}\n{}", import.manifest);
    }
    let edits = import.findings.iter().filter(|f| f.severity == Severity::Edit).count();
    assert!(edits >= 7, "{:#?}", import.findings);
}

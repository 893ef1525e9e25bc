//! The exact text of the units of some apps, kept as files that Podman's generator can read.
//!
//! `ARCHY_UPDATE=1` writes them anew; look at the difference before it is committed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archy_manifest::model::{
    DependsOn, FileTemplate, ImageSource, MountSource, NamedVolume, NetworkMode, Owner, PortAuth,
    Probe, Protocol, Service, Setting, SettingKind, SettingTarget,
};
use archy_manifest::template::{Placeholder, Template};
use archy_quadlet::{Deployment, render};
use common::{after, health, host, input, manifest, mount, name, port, service};

fn check(case: &str, deployment: &Deployment) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case);
    #[expect(clippy::disallowed_methods, reason = "the switch of this test alone")]
    if std::env::var_os("ARCHY_UPDATE").is_some() {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        for file in &deployment.files {
            std::fs::write(directory.join(&file.file_name), &file.text).unwrap();
        }
    }
    let expected: BTreeMap<String, String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    let rendered: BTreeMap<String, String> =
        deployment.files.iter().map(|file| (file.file_name.clone(), file.text.clone())).collect();
    for (name, text) in &rendered {
        assert_eq!(Some(text), expected.get(name), "{case}/{name}");
    }
    assert_eq!(rendered.len(), expected.len(), "{case}: files");
}

fn file_names(deployment: &Deployment) -> Vec<&str> {
    deployment.files.iter().map(|file| file.file_name.as_str()).collect()
}

#[test]
fn one_service() {
    let mut main = service("registry.example.org/notes:1.2");
    main.ports = vec![port(8080, 80, Some(PortAuth::Gated))];
    main.health = Some(health(Probe::Http { port: 80, path: "/healthz".into() }));
    main.mounts = vec![mount(
        MountSource::AppDir { path: String::new(), owner: Some(Owner { uid: 1000, gid: 1000 }) },
        "/data",
    )];
    main.env.insert("TZ".into(), "UTC".into());
    main.derived_env.insert("HOST".into(), Template::parse("http://{{HOST_IP}}:8080").unwrap());
    main.security.readonly_root = true;
    main.user = Some("1000:1000".into());
    let app = manifest("notes", [("main", main)]);
    let mut host = host();
    host.values.insert(Placeholder::HostIp, "192.0.2.7".into());
    let deployment = render(&input(&app, &host)).unwrap();
    assert_eq!(file_names(&deployment), ["notes.network", "notes.container"]);
    assert_eq!(deployment.not_enforced, []);
    assert_eq!(deployment.images[&name("main")], "registry.example.org/notes:1.2");
    check("one-service", &deployment);
}

fn database() -> Service {
    let mut db = service(
        "registry.example.org/postgres:17@sha256:0459d6fe1f23b5d2afcb5b750459d6fe1f23b5d2afcb5b750459d6fe1f23b5d2",
    );
    db.mounts = vec![mount(MountSource::Volume("db".into()), "/var/lib/postgresql/data")];
    db.secret_files.insert("blog-db-password".into(), "/run/secrets/db".into());
    db.user = Some("999:999".into());
    db.health = Some(health(Probe::Exec(vec!["pg_isready".into(), "-q".into()])));
    db.resources.shm_bytes = Some(128 << 20);
    db.resources.ulimits.insert("nofile".into(), (65536, 65536));
    db.stop_grace_secs = 120;
    db.stop_signal = Some("SIGINT".into());
    db
}

fn migrate() -> Service {
    let mut migrate = service("registry.example.org/blog:5");
    migrate.oneshot = true;
    migrate.args = vec![
        "migrate".into(),
        "--note".into(),
        "50% of $HOME; done".into(),
        String::new(),
        ";".into(),
    ];
    migrate.depends_on.extend([after("db", DependsOn::Healthy)]);
    migrate.secret_env.insert("DB_PASSWORD".into(), "blog-db-password".into());
    migrate
}

fn website() -> Service {
    let mut main = service("registry.example.org/blog:5");
    main.network = NetworkMode::Shared;
    main.aliases = vec!["weblog".into()];
    main.ports = vec![port(8100, 8080, Some(PortAuth::Open)), port(2525, 25, Some(PortAuth::None))];
    main.health = Some(health(Probe::Tcp { port: 8080 }));
    main.secret_env.insert("DB_PASSWORD".into(), "blog-db-password".into());
    main.depends_on
        .extend([after("migrate", DependsOn::Completed), after("db", DependsOn::Started)]);
    main.mounts = vec![
        mount(MountSource::AppDir { path: "uploads".into(), owner: None }, "/uploads"),
        mount(MountSource::File("conf/blog settings.ini".into()), "/etc/blog.ini"),
        mount(MountSource::Tmpfs { size_bytes: Some(64 << 20), mode: Some(0o1777) }, "/cache"),
    ];
    main.security.capabilities = ["NET_BIND_SERVICE".to_owned(), "CHOWN".to_owned()].into();
    main.init = true;
    main
}

fn stack() -> archy_manifest::Manifest {
    let services = [("main", website()), ("migrate", migrate()), ("db", database())];
    let mut app = manifest("blog", services);
    app.volumes.insert("db".into(), NamedVolume { owner: Some(Owner { uid: 999, gid: 999 }) });
    app.files.push(FileTemplate {
        path: "conf/blog settings.ini".into(),
        content: Template::parse("password={{secret:blog-db-password}}\n").unwrap(),
        overwrite: true,
        mode: 0o600,
    });
    let setting = |kind, variable: &str| Setting {
        label: variable.into(),
        help: None,
        kind,
        default: None,
        required: false,
        targets: vec![SettingTarget::Env { service: name("main"), variable: variable.into() }],
    };
    app.config.insert(
        "title".into(),
        setting(SettingKind::Text { min_length: None, max_length: None, pattern: None }, "TITLE"),
    );
    app.config.insert(
        "posts".into(),
        setting(SettingKind::Number { min: None, max: None, integer: true }, "POSTS"),
    );
    app.config.insert("smtp".into(), setting(SettingKind::Secret, "SMTP_PASSWORD"));
    app
}

#[test]
fn a_stack_with_an_init_service() {
    let (app, host) = (stack(), host());
    let mut input = input(&app, &host);
    input.config.insert("title".into(), "Tom's \"blog\"\nline two".into());
    input.config.insert("posts".into(), 12.into());
    input.config.insert("smtp".into(), "must never be seen".into());
    input.port_overrides.insert((8100, Protocol::Tcp), 8101);
    input.after_units = vec!["relay.service".into()];
    let deployment = render(&input).unwrap();
    assert_eq!(
        file_names(&deployment),
        [
            "blog.network",
            "archy-net.network",
            "blog-db.volume",
            "blog-db.container",
            "blog-migrate.container",
            "blog.container"
        ]
    );
    assert!(!deployment.files.iter().any(|file| file.text.contains("must never be seen")));
    check("stack", &deployment);
}

#[test]
fn pasta() {
    let mut main = service("registry.example.org/peer:3");
    main.network = NetworkMode::Pasta;
    let mut udp = port(9735, 9735, Some(PortAuth::None));
    udp.protocol = Protocol::Udp;
    let mut six = port(9736, 9736, None);
    six.bind = Some("::1".parse().unwrap());
    main.ports = vec![port(9735, 9735, Some(PortAuth::None)), udp, six];
    main.devices = vec!["/dev/ttyUSB0".into()];
    let app = manifest("peer", [("main", main)]);
    let deployment = render(&input(&app, &host())).unwrap();
    assert_eq!(file_names(&deployment), ["peer.container"]);
    check("pasta", &deployment);
}

#[test]
fn limits_need_their_controllers() {
    let mut main = service("registry.example.org/busy:1");
    main.resources.cpus = Some(0.5);
    let app = manifest("busy", [("main", main)]);
    let mut host = host();
    check("limits", &render(&input(&app, &host)).unwrap());
    host.podman.minor = 6;
    check("limits-podman-5.6", &render(&input(&app, &host)).unwrap());
    host.controllers = vec!["memory".into()];
    let deployment = render(&input(&app, &host)).unwrap();
    let missing: Vec<&str> = deployment.not_enforced.iter().map(|n| n.controller).collect();
    assert_eq!(missing, ["cpu", "pids"]);
    host.controllers.clear();
    host.podman.minor = 4;
    let deployment = render(&input(&app, &host)).unwrap();
    assert_eq!(deployment.not_enforced.len(), 3);
    check("limits-none", &deployment);
    // limits that nobody wrote are limits too
    let plain = manifest("busy", [("main", service("registry.example.org/busy:1"))]);
    let deployment = render(&input(&plain, &host)).unwrap();
    let missing: Vec<&str> = deployment.not_enforced.iter().map(|n| n.controller).collect();
    assert_eq!(missing, ["memory", "pids"]);
}

#[test]
fn a_build() {
    let mut main = service("unused");
    main.source = ImageSource::Build {
        context: "image".into(),
        containerfile: "Containerfile".into(),
        args: [("VERSION".to_owned(), "1.0 \"beta\" $x 5%".to_owned())].into(),
    };
    main.mounts = vec![mount(MountSource::Package("motd.txt".into()), "/etc/motd")];
    main.entrypoint = Some(vec!["/app".into(), "--flag=a b".into()]);
    main.network = NetworkMode::None;
    let app = manifest("built", [("main", main)]);
    let host = host();
    let mut input = input(&app, &host);
    assert_eq!(render(&input).unwrap_err().code(), "package-missing");
    input.package_dir = Some(PathBuf::from("/var/lib/archipelago/packages/built"));
    let deployment = render(&input).unwrap();
    assert_eq!(file_names(&deployment), ["built.build", "built.container"]);
    assert!(deployment.images[&name("main")].starts_with("localhost/built:"));
    check("build", &deployment);
    // what is in the context is part of the image's name, and told by a label
    input.contexts = [(name("main"), "0123456789abcdef".repeat(4))].into();
    let known = render(&input).unwrap();
    let image = &known.images[&name("main")];
    assert_eq!(*image, format!("{}-0123456789ab", deployment.images[&name("main")]));
    let label = "Label=io.archipelago.context=0123456789abcdef";
    assert!(known.files[0].text.contains(label) && known.files[0].text.contains(image.as_str()));
    // an image of the owner's own takes its place
    input.local_images = [name("main")].into();
    let own = render(&input).unwrap();
    assert_eq!(file_names(&own), ["built.container"]);
    assert_eq!(own.images[&name("main")], "localhost/built:local");
}

#[test]
fn a_stopped_app_does_not_start_at_boot() {
    let app = manifest("off", [("main", service("registry.example.org/off:1"))]);
    let host = host();
    let mut input = input(&app, &host);
    input.enabled = false;
    check("stopped", &render(&input).unwrap());
}

#[test]
fn torture() {
    let hard = "a \"b\" 'c' \\ 100% %n $HOME ${X} $$ \t tab\nline é🙂 \u{7f} # ; \\";
    let mut main = service("registry.example.org/hard:1");
    main.env.insert("HARD".into(), hard.into());
    main.env.insert("EMPTY".into(), String::new());
    main.args = vec![hard.into(), String::new(), ";".into(), "end".into()];
    main.entrypoint = Some(vec!["/bin/sh".into(), hard.into()]);
    main.health = Some(health(Probe::Exec(vec!["check".into(), hard.into()])));
    main.labels.insert("org.example.hard".into(), hard.into());
    main.labels.insert("io.archipelago.app".into(), "somebody-else".into());
    main.working_dir = Some("/a dir/\"x\"".into());
    main.user = Some("web user".into());
    main.mounts = vec![
        mount(MountSource::AppDir { path: "a dir/50%/$x".into(), owner: None }, "/b dir"),
        mount(MountSource::AppDir { path: "data.volume".into(), owner: None }, "/v"),
        mount(MountSource::Tmpfs { size_bytes: None, mode: Some(0o700) }, "/tmp dir"),
    ];
    let mut app = manifest("hard", [("main", main)]);
    app.name = "100 % \"hard\"\n \\".into();
    check("torture", &render(&input(&app, &host())).unwrap());
}

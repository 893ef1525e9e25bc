//! What holds for every app, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use archy_manifest::model::{
    DependsOn, ImageSource, MountSource, NetworkMode, Port, PortAuth, Probe, Protocol,
    RequirementTarget, Service,
};
use archy_manifest::template::{Placeholder, Template};
use archy_quadlet::{Unit, UnitRole, parse_deployed, render, same};
use archy_types::{AppId, Generation, PodmanVersion, UserError};
use common::{after, health, host, input, manifest, mount, name, service};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    "([^\\x00]{0,16}|[a-z\\\\\"' $%;\n]{0,16})"
}

prop_compose! {
    fn any_service()(
        args in proptest::collection::vec(text(), 0..4),
        entrypoint in proptest::option::of(proptest::collection::vec(text(), 0..3)),
        env in proptest::collection::vec(("[A-Z_]{1,8}", text()), 0..4),
        labels in proptest::collection::vec(("[a-z.]{1,8}", text()), 0..3),
        check in proptest::option::of(proptest::collection::vec(text(), 1..3)),
        path in "[a-zA-Z0-9 $%\"'é.-]{1,12}",
        network in 0..4,
        oneshot: bool,
        readonly: bool,
        port in 1..u16::MAX,
    ) -> Service {
        let mut out = service("registry.example.org/any:1");
        out.args = args;
        out.entrypoint = entrypoint;
        out.env.extend(env);
        out.labels.extend(labels);
        out.health = check.map(|words| health(Probe::Exec(words)));
        out.network = [NetworkMode::App, NetworkMode::Shared, NetworkMode::Pasta, NetworkMode::None]
            [usize::try_from(network).unwrap()].clone();
        out.oneshot = oneshot;
        out.security.readonly_root = readonly;
        out.ports = vec![common::port(port, port, None)];
        let path = path.trim_matches(['.', ' ']).to_owned();
        out.mounts = vec![mount(MountSource::AppDir { path: path.clone(), owner: None }, &format!("/x{path}"))];
        out.secret_env.insert("PASSWORD".into(), "any-password".into());
        out
    }
}

proptest! {
    #[test]
    fn every_container_is_safe(main in any_service(), other in any_service()) {
        let expected = main.clone();
        let app = manifest("any", [("main", main), ("other", other)]);
        let deployment = render(&input(&app, &host())).unwrap();
        for file in &deployment.files {
            let unit = Unit::parse(&file.text).unwrap();
            prop_assert_eq!(unit.to_string(), &*file.text);
            prop_assert_eq!(unit.value("Quadlet", "DefaultDependencies").unwrap().as_str(), "false");
            if !matches!(file.role, UnitRole::Container(_)) {
                continue;
            }
            for (section, key, value) in [
                ("Container", "DropCapability", "all"),
                ("Container", "NoNewPrivileges", "true"),
                ("Container", "Pull", "never"),
                ("Container", "LogDriver", "k8s-file"),
                ("Install", "WantedBy", "default.target"),
            ] {
                let values = unit.values(section, key);
                prop_assert_eq!(values.len(), 1, "{}", key);
                prop_assert_eq!(values[0].as_str(), value, "{}", key);
            }
            for (section, key) in [
                ("Service", "Restart"),
                ("Service", "TimeoutStartSec"),
                ("Service", "TimeoutStopSec"),
                ("Unit", "StartLimitBurst"),
                ("Unit", "StartLimitIntervalSec"),
                ("Container", "StopTimeout"),
            ] {
                prop_assert_eq!(unit.values(section, key).len(), 1, "{}", key);
            }
            prop_assert_eq!(unit.assignment("Container", "Label", "io.archipelago.app").unwrap(), "any");
            prop_assert!(unit.assignment("Container", "Environment", "PASSWORD").is_none());
        }
        let main = deployment.files.iter().find(|file| file.file_name == "any.container").unwrap();
        let unit = Unit::parse(&main.text).unwrap();
        let args = unit.value("Container", "Exec").map(|value| value.read_command().unwrap());
        prop_assert_eq!(args.unwrap_or_default(), expected.args);
        for (variable, text) in &expected.env {
            let read = unit.assignment("Container", "Environment", variable);
            prop_assert_eq!(read.as_ref(), Some(text).filter(|_| variable != "PASSWORD"));
        }
        let deployed = parse_deployed(
            &deployment.files.iter().map(|f| (f.file_name.clone(), f.text.clone())).collect(),
        );
        prop_assert_eq!(&deployed.broken, &vec![]);
        prop_assert_eq!(&deployed.foreign, &Vec::<String>::new());
        let files = deployed.apps[&AppId::new("any").unwrap()].files.len() + deployed.shared.len();
        prop_assert_eq!(files, deployment.files.len());
    }
}

#[test]
fn ports_follow_their_policy() {
    let port = |bind: Option<&str>, auth| Port {
        bind: bind.map(|text| text.parse().unwrap()),
        ..common::port(80, 8080, auth)
    };
    for (port, published) in [
        (port(None, None), "127.0.0.1:80:8080"),
        (port(None, Some(PortAuth::Gated)), "127.0.0.1:80:8080"),
        (port(None, Some(PortAuth::Open)), "127.0.0.1:80:8080"),
        (port(None, Some(PortAuth::Local)), "127.0.0.1:80:8080"),
        (port(None, Some(PortAuth::Session)), "127.0.0.1:80:8080"),
        (port(None, Some(PortAuth::None)), "80:8080"),
        (port(Some("192.0.2.1"), Some(PortAuth::Gated)), "192.0.2.1:80:8080"),
        (port(Some("::1"), None), "[::1]:80:8080"),
    ] {
        let mut main = service("registry.example.org/a:1");
        main.ports = vec![port.clone(), Port { protocol: Protocol::Udp, host: 53, ..port }];
        let app = manifest("a", [("main", main)]);
        let host = host();
        let mut input = input(&app, &host);
        input.port_overrides.insert((53, Protocol::Udp), 5353);
        let text = &render(&input).unwrap().files[1].text;
        let unit = Unit::parse(text).unwrap();
        let ports: Vec<&str> =
            unit.values("Container", "PublishPort").iter().map(|v| v.as_str()).collect();
        let udp = format!("{}/udp", published.replace("80:8080", "5353:8080"));
        assert_eq!(ports, [published, &udp]);
    }
}

#[test]
fn later_environment_wins_once() {
    let mut main = service("registry.example.org/a:1");
    main.env.extend([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())]);
    main.derived_env.insert("A".into(), Template::parse("3").unwrap());
    let app = manifest("a", [("main", main)]);
    let text = render(&input(&app, &host())).unwrap().files[1].text.clone();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("Environment=")).collect();
    assert_eq!(lines, ["Environment=A=3", "Environment=B=2"]);
}

#[test]
fn refusals_have_a_code_and_a_hint() {
    type Change = fn(&mut archy_manifest::Manifest);
    fn main(app: &mut archy_manifest::Manifest) -> &mut Service {
        app.services.get_mut("main").unwrap()
    }
    fn derived(app: &mut archy_manifest::Manifest, template: &str) {
        main(app).derived_env.insert("X".into(), Template::parse(template).unwrap());
    }
    fn mounted(app: &mut archy_manifest::Manifest, source: MountSource, target: &str) {
        main(app).mounts.push(mount(source, target));
    }
    let cases: Vec<(&str, Change)> = vec![
        ("placeholder-unresolved", |app| derived(app, "{{HOST_IP}}")),
        ("placeholder-unresolved", |app| derived(app, "{{config:nothing}}")),
        ("placeholder-files-only", |app| main(app).args.push("{{secret:x}}".into())),
        ("placeholder-unresolved", |app| main(app).args.push("{{HOST_IP}}".into())),
        ("role-unfilled", |app| mounted(app, MountSource::Role("x".into()), "/x")),
        ("placeholder-files-only", |app| derived(app, "{{NETWORK_GATEWAY}}")),
        ("volume-undeclared", |app| mounted(app, MountSource::Volume("x".into()), "/x")),
        ("mount-path-invalid", |app| mounted(app, MountSource::File("../x".into()), "/x")),
        ("mount-path-invalid", |app| mounted(app, MountSource::File("/etc".into()), "/x")),
        ("mount-path-invalid", |app| mounted(app, MountSource::File("a:b".into()), "/x")),
        ("mount-path-invalid", |app| mounted(app, MountSource::File("a".into()), "x")),
        ("mount-path-invalid", |app| mounted(app, MountSource::File("a\nb".into()), "/x")),
        ("package-missing", |app| mounted(app, MountSource::Package("a".into()), "/x")),
        ("image-reference-invalid", |app| {
            main(app).source = ImageSource::Image("example.org/a:1.build".into());
        }),
        ("unit-value-invalid", |app| {
            main(app).env.insert("A".into(), "nul\0".into());
        }),
        ("unit-value-invalid", |app| main(app).stop_signal = Some("SIG\nEvil=1".into())),
        ("service-undeclared", |app| {
            main(app).depends_on.extend([after("nobody", DependsOn::Started)]);
        }),
        ("dependency-cycle", |app| {
            main(app).depends_on.extend([after("main", DependsOn::Started)]);
        }),
        ("unit-name-clash", |app| {
            app.services.insert(name("network"), service("example.org/b:1"));
        }),
    ];
    for (code, change) in cases {
        let mut app = manifest("a", [("main", service("registry.example.org/a:1"))]);
        change(&mut app);
        let error = render(&input(&app, &host())).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let user = UserError::from(&error);
        assert_eq!(user.code.as_str(), code);
        assert!(user.hint.is_some() && !user.message.is_empty());
    }
    let app = manifest("a", [("main", service("registry.example.org/a:1"))]);
    let old = archy_quadlet::HostFacts {
        podman: PodmanVersion { major: 5, minor: 3, patch: 9 },
        ..host()
    };
    assert_eq!(render(&input(&app, &old)).unwrap_err().code(), "podman-too-old");
}

#[test]
fn directories_are_read_back() {
    let app = manifest(
        "a",
        [("main", service("registry.example.org/a:1")), ("b", service("registry.example.org/b:1"))],
    );
    let host = host();
    let mut input = input(&app, &host);
    let rendered = render(&input).unwrap();
    let mut files: BTreeMap<String, String> =
        rendered.files.iter().map(|f| (f.file_name.clone(), f.text.clone())).collect();
    files.insert("mine.container".into(), "[Container]\nImage=example.org/x\n".into());
    files.insert("bad.container".into(), "nonsense\n".into());
    input.generation = Generation(8);
    input.enabled = false;
    let newer = render(&input).unwrap();
    let last = newer.files.last().unwrap();
    assert!(!same(&files[&last.file_name], &last.text));
    files.insert(last.file_name.clone(), last.text.clone());
    let deployed = parse_deployed(&files);
    assert_eq!(deployed.foreign, ["mine.container"]);
    assert_eq!(deployed.broken[0].0, "bad.container");
    let app = &deployed.apps[&AppId::new("a").unwrap()];
    assert_eq!(app.generation, Some(Generation(8)));
    assert_eq!(app.manifests.iter().collect::<Vec<_>>(), [&input.digest]);
    assert!(app.enabled);
    for (read, written) in [("a.container", "main"), ("a-b.container", "b")] {
        let file = app.files.iter().find(|file| file.file_name == read).unwrap();
        assert_eq!(file.role, UnitRole::Container(name(written)));
        assert_eq!(file.unit, read.replace(".container", ".service"));
    }
}

#[test]
fn networks_and_volumes_do_not_change_with_the_manifest() {
    let app = manifest("a", [("main", service("registry.example.org/a:1"))]);
    let host = host();
    let mut input = input(&app, &host);
    let before = render(&input).unwrap();
    input.generation = Generation(9);
    input.digest = archy_types::Digest::of(b"another");
    let after = render(&input).unwrap();
    assert_eq!(before.files[0], after.files[0]);
    assert_ne!(before.files[1], after.files[1]);
}

#[test]
fn parsed_manifests_render() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../archy-manifest/tests/fixtures");
    let mut host = host();
    host.values.extend(
        [
            Placeholder::HostIp,
            Placeholder::HostMdns,
            Placeholder::DiskGb,
            Placeholder::BitcoinHost,
            Placeholder::NodeIdentityPubkeys,
            Placeholder::NodeNostrPubkey,
            Placeholder::PublicHost,
        ]
        .map(|placeholder| (placeholder, "known".to_owned())),
    );
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        let Ok(app) = archy_manifest::Manifest::parse(&std::fs::read(&path).unwrap_or_default())
        else {
            continue;
        };
        for role in app.requires.iter().filter_map(|requirement| match &requirement.target {
            RequirementTarget::Role(role) => Some(role),
            RequirementTarget::App(_) => None,
        }) {
            host.values.insert(Placeholder::RoleHost(role.clone()), "known".to_owned());
        }
        let mut input = input(&app, &host);
        input.package_dir = Some("/var/lib/archipelago/packages/x".into());
        let required = app.config.iter().filter(|(_, setting)| setting.required);
        input.config.extend(required.map(|(key, _)| (key.clone(), "chosen".into())));
        let deployment = render(&input).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(deployment.images.len() == app.services.len());
        seen += 1;
    }
    assert!(seen > 0, "no fixture was read");
}

#[test]
fn templates_with_secrets_become_secrets() {
    let mut app = manifest("a", [("main", service("registry.example.org/a:1"))]);
    let main = app.services.get_mut("main").unwrap();
    for (variable, text) in [
        ("URL", "db://u:{{secret:a-pw}}@{{HOST_IP}}/x"),
        ("SAME", "db://u:{{secret:a-pw}}@{{HOST_IP}}/x"),
        ("OTHER", "{{secret:a-pw}}-"),
    ] {
        main.derived_env.insert(variable.into(), Template::parse(text).unwrap());
    }
    let mut host = host();
    host.values.insert(Placeholder::HostIp, "192.0.2.1".into());
    let made = render(&input(&app, &host)).unwrap();
    let templates: Vec<_> = made.composed.iter().map(|c| c.template.to_string()).collect();
    assert_eq!(templates, ["db://u:{{secret:a-pw}}@192.0.2.1/x", "{{secret:a-pw}}-"]);
    let text = &made.files.iter().find(|f| f.file_name == "a.container").unwrap().text;
    assert!(!text.contains("db://"), "{text}");
    let first = &made.composed.first().unwrap().name;
    for variable in ["URL", "SAME"] {
        assert!(text.contains(&format!("Secret={first},type=env,target={variable}")), "{text}");
    }
    host.values.insert(Placeholder::HostIp, "192.0.2.2".into());
    let other = render(&input(&app, &host)).unwrap();
    assert_ne!(other.composed.first().unwrap().name, *first, "another value is another secret");
}

#[test]
fn arguments_are_filled_in_and_braces_of_the_app_stay() {
    let mut app = manifest("a", [("main", service("registry.example.org/a:1"))]);
    app.services.get_mut("main").unwrap().args =
        ["--at={{HOST_IP}}", "{{.Format}}", "{{"].map(str::to_owned).to_vec();
    let mut host = host();
    host.values.insert(Placeholder::HostIp, "192.0.2.1".into());
    let made = render(&input(&app, &host)).unwrap();
    let text = &made.files.iter().find(|f| f.file_name == "a.container").unwrap().text;
    assert!(text.contains("--at=192.0.2.1") && text.contains("{{.Format}}"), "{text}");
}

#[test]
fn what_a_role_gives_out_is_read_only() {
    let mut app = manifest("a", [("main", service("registry.example.org/a:1"))]);
    let source = MountSource::Role("ledger".into());
    app.services.get_mut("main").unwrap().mounts.push(mount(source, "/books"));
    let mut host = host();
    host.values.insert(Placeholder::RoleHost("ledger".into()), "bank".into());
    let made = render(&input(&app, &host)).unwrap();
    let text = &made.files.iter().find(|f| f.file_name == "a.container").unwrap().text;
    assert!(text.contains("Volume=bank-ledger:/books:ro"), "{text}");
}

/// How often systemd starts a unit that ends so many seconds after each start, until its start limit
/// is reached; nothing when it goes on for ever. As systemd 257 counts: starts in windows that
/// begin with the first, pauses that grow over the steps.
fn starts_until_failed(unit: &Unit, well: f64) -> Option<u32> {
    let number = |section: &str, key: &str| {
        let value = unit.value(section, key).unwrap().as_str();
        let (digits, scale) = match value.strip_suffix("ms") {
            Some(digits) => (digits, 0.001),
            None => (value.trim_end_matches('s'), 1.0),
        };
        digits.parse::<f64>().unwrap() * scale
    };
    let (first, steps) = (number("Service", "RestartSec"), number("Service", "RestartSteps"));
    let most = number("Service", "RestartMaxDelaySec");
    let (interval, burst) =
        (number("Unit", "StartLimitIntervalSec"), number("Unit", "StartLimitBurst"));
    let (mut now, mut begin, mut within) = (0.0, 0.0, 0.0);
    for start in 1..200_u32 {
        if start == 1 || now - begin > interval {
            (begin, within) = (now, 0.0);
        }
        within += 1.0;
        if within > burst {
            return Some(start - 1);
        }
        let pause = first * (most / first).powf(f64::from(start - 1) / steps);
        now += well + pause.min(most);
    }
    None
}

#[test]
fn an_app_that_is_ill_again_and_again_is_given_up() {
    let unit = |checked: bool| {
        let mut main = service("registry.example.org/a:1");
        main.health = checked.then(|| health(Probe::Tcp { port: 80 }));
        let app = manifest("a", [("main", main)]);
        let host = host();
        let deployment = render(&input(&app, &host)).unwrap();
        let file = deployment.files.iter().find(|file| file.file_name == "a.container").unwrap();
        Unit::parse(&file.text).unwrap()
    };
    for (minutes, with_check, without) in [
        (0.0, Some(10), Some(10)),
        (2.0, Some(10), Some(10)),
        (4.0, Some(10), None),
        (10.0, Some(10), None),
        (15.0, Some(10), None),
        // once in a while is no loop
        (30.0, None, None),
    ] {
        let well = minutes * 60.0;
        assert_eq!(starts_until_failed(&unit(true), well), with_check, "{minutes} minutes");
        assert_eq!(starts_until_failed(&unit(false), well), without, "{minutes} minutes");
    }
}

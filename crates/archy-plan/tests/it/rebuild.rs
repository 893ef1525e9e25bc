//! A desired state that is read back out of units gives the same units again, or says why not.

use archy_manifest::model::Protocol;
use archy_plan::rebuild::{Beside, from_units, would_change};
use archy_plan::{DesiredApp, DesiredState, Intent, plan};
use archy_quadlet::parse_deployed;
use archy_types::{Digest, Generation, Timestamp, UserError};

use crate::apps::{self, app};
use crate::world::World;

/// Every kind of setting that reaches a variable, and a port that the owner moved.
const KINDS: &str = r#"
app:
  id: kinds
  name: Kinds
  version: 1.0.0
  container:
    image: registry.example/kinds:1
    ports: [{ host: 8400, container: 80 }, { host: 8401, container: 81, protocol: udp }]
  config:
    title: { type: text, label: T, default: Mine, targets: [{ env: TITLE }] }
    free: { type: text, label: F, targets: [{ env: FREE }] }
    size: { type: number, label: S, targets: [{ env: SIZE }] }
    loud: { type: boolean, label: L, default: false, targets: [{ env: LOUD }] }
    key: { type: secret, label: K, targets: [{ env: KEY }] }
    unset: { type: secret, label: U, targets: [{ env: UNSET }] }
"#;

fn beside(of: &DesiredApp) -> Beside {
    Beside { since: Timestamp(7), package_dir: of.package_dir.clone() }
}

fn read_back(world: &World, of: &DesiredApp) -> Result<DesiredApp, UserError> {
    let deployed = parse_deployed(&world.files);
    let found = &deployed.apps[&of.manifest.id];
    from_units(&of.manifest, of.digest, found, &world.files, beside(of))
}

fn installed(of: &DesiredApp) -> World {
    let mut world = World::new();
    let secret = archy_quadlet::config_secret_name(&of.manifest.id, "key");
    world.secrets.insert(secret, "k".to_owned());
    world.run(of, std::slice::from_ref(of), Intent::Install);
    world
}

#[test]
fn every_shape_comes_back() {
    let kinds = DesiredApp {
        generation: Generation(9),
        settings: [
            ("title".to_owned(), "a \"quoted\" %t $x".into()),
            ("free".to_owned(), "Text".into()),
            ("size".to_owned(), 12.into()),
            ("loud".to_owned(), true.into()),
            ("key".to_owned(), "kept as a secret".into()),
        ]
        .into(),
        port_overrides: [((8400, Protocol::Tcp), 9400), ((8401, Protocol::Udp), 9401)].into(),
        ..app(KINDS)
    };
    for of in [kinds, app(KINDS), app(apps::SMALL), app(apps::STACK), app(apps::BUILT)] {
        let world = installed(&of);
        let back = read_back(&world, &of).unwrap();
        assert_eq!(back.settings, of.settings, "{}", of.manifest.id);
        assert_eq!(back.port_overrides, of.port_overrides);
        assert_eq!((back.generation, back.state), (of.generation, of.state));
        assert_eq!(back.since, Timestamp(7));
        let all = [back.clone()];
        let changes = would_change(&back, &world.observe(), &all).unwrap();
        assert_eq!(changes, Vec::<String>::new(), "{}", of.manifest.id);
        let next = plan(&back, &world.observe(), &all, Intent::Converge);
        assert!(next.is_empty(), "{}", next.to_text());
    }
}

#[test]
fn a_stopped_app_comes_back_stopped() {
    let of = app(apps::SMALL);
    let mut world = installed(&of);
    let stopped = DesiredApp {
        state: DesiredState::Stopped,
        generation: Generation(2),
        since: Timestamp(world.clock),
        ..of.clone()
    };
    world.run(&stopped, std::slice::from_ref(&stopped), Intent::Converge);
    let back = read_back(&world, &stopped).unwrap();
    assert_eq!(back.state, DesiredState::Stopped);
    let all = [back.clone()];
    assert!(would_change(&back, &world.observe(), &all).unwrap().is_empty());
}

#[test]
fn what_does_not_agree_is_told() {
    // a setting that only reaches a file cannot be read back
    let of =
        DesiredApp { settings: [("greeting".to_owned(), "hi".into())].into(), ..app(apps::SMALL) };
    let world = installed(&of);
    let back = read_back(&world, &of).unwrap();
    let changes = would_change(&back, &world.observe(), std::slice::from_ref(&back)).unwrap();
    assert!(changes.iter().any(|text| text.contains("diary.ini")), "{changes:?}");

    // a unit that somebody edited
    let of = app(apps::SMALL);
    let mut world = installed(&of);
    let text = world.files.get_mut("diary.container").unwrap();
    *text = text.replace("NoNewPrivileges=true", "NoNewPrivileges=false");
    let back = read_back(&world, &of).unwrap();
    let changes = would_change(&back, &world.observe(), std::slice::from_ref(&back)).unwrap();
    assert!(changes.iter().any(|text| text.contains("diary.container")), "{changes:?}");

    // units of two generations, and units of another manifest
    let of = app(apps::STACK);
    let mut world = installed(&of);
    let other = DesiredApp { digest: Digest::of(b"other"), ..of.clone() };
    assert_eq!(read_back(&world, &other).unwrap_err().code.as_str(), "rebuild-mixed");
    let text = world.files.get_mut("forum-db.container").unwrap();
    *text = text.replace("io.archipelago.generation=1", "io.archipelago.generation=2");
    assert_eq!(read_back(&world, &of).unwrap_err().code.as_str(), "rebuild-mixed");

    // a host that does not tell is no agreement
    let of = app(apps::SMALL);
    let world = installed(&of);
    let back = read_back(&world, &of).unwrap();
    let mut blind = world.observe();
    blind.units = archy_plan::Known::No(archy_types::Cause::new("test", "No."));
    assert!(would_change(&back, &blind, std::slice::from_ref(&back)).is_err());
}

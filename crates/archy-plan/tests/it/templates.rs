//! Files from templates that hold more than the owner's settings.

use archy_manifest::template::Placeholder;
use archy_plan::{DesiredApp, Intent, Plan, describe, plan};
use archy_types::Generation;

use crate::apps;
use crate::world::World;

/// A file with an address of the node, one with a secret, and a service that reads neither.
const PAGE: &str = r#"
app:
  id: page
  name: Page
  version: 1.0.0
  services:
    main:
      image: registry.example/page:1
      volumes:
        - { type: file, source: site.conf, target: /site.conf, read_only: true }
    vault:
      image: registry.example/vault:1
      volumes:
        - { type: file, source: key.conf, target: /key.conf, read_only: true }
    stats: { image: "registry.example/stats:1" }
  secrets: { page-key: hex32 }
  config:
    title: { type: text, label: Title, default: Hello, targets: [{ file: site.conf }, { file: key.conf }] }
  files:
    - { path: site.conf, overwrite: true, content: "{{config:title}} at {{HOST_MDNS}}" }
    - { path: key.conf, overwrite: true, content: "{{config:title}} {{secret:page-key}}" }
"#;

fn installed() -> (World, DesiredApp) {
    let app = apps::app(PAGE);
    let mut world = World::new();
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    world.assert_running(&app, std::slice::from_ref(&app));
    (world, app)
}

fn planned(world: &World, app: &DesiredApp, intent: Intent) -> Plan {
    plan(app, &world.observe(), std::slice::from_ref(app), intent)
}

fn words(plan: &Plan, verb: &str) -> Vec<String> {
    let steps = plan.steps.iter().map(|planned| describe(&planned.step));
    steps.filter(|text| text.starts_with(verb)).collect()
}

const PORTS: &str = "app:\n  id: diary\n  name: Diary\n  version: 1.0.0\n  services:\n    main:\n      image: a.example/diary:1\n      command: [serve, \"--url=http://{{HOST_IP}}:{{port:8100}}\"]\n      derived_env: { URL: \"http://{{HOST_IP}}:{{port:8100}}/\", UDP: \"{{port:8101}}\" }\n      ports: [{ host: 8100, container: 80, auth: gated }, { host: 8101, container: 53, protocol: udp }]\n      volumes: [{ type: file, source: conf/url, target: /url, read_only: true }]\n  files: [{ path: conf/url, overwrite: true, content: \"{{port:8100}}\" }]\n";

#[test]
fn what_names_a_port_follows_the_chosen_one() {
    use archy_manifest::model::Protocol::{Tcp, Udp};
    let mut app = apps::app(PORTS);
    let mut world = World::new();
    world.run(&app, std::slice::from_ref(&app), Intent::Install);
    let text = world.files["diary.container"].clone();
    for line in ["URL=http://192.0.2.1:8100/", "UDP=8101", "--url=http://192.0.2.1:8100"] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
    app.port_overrides = [((8100, Tcp), 9100), ((8101, Udp), 9101)].into();
    app.generation = archy_types::Generation(2);
    let plans = world.run(&app, std::slice::from_ref(&app), Intent::Update);
    let text = world.files["diary.container"].clone();
    for line in [
        "URL=http://192.0.2.1:9100/",
        "UDP=9101",
        "--url=http://192.0.2.1:9100",
        ":9100:80",
        ":9101:53/udp",
    ] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
    assert!(plans[0].to_text().contains("conf/url"), "{}", plans[0].to_text());
    let after = plan(&app, &world.observe(), std::slice::from_ref(&app), Intent::Converge);
    assert!(after.is_empty(), "{}", after.to_text());
}

#[test]
fn a_setting_is_written_and_its_readers_restart_once() {
    for intent in [Intent::Start, Intent::Update, Intent::Converge] {
        let (mut world, mut app) = installed();
        assert!(planned(&world, &app, intent).is_empty() || intent == Intent::Update);
        app.settings.insert("title".to_owned(), "Welcome".into());
        app.generation = Generation(2);
        let change = planned(&world, &app, intent);
        assert_eq!(words(&change, "Write "), ["Write site.conf", "Write key.conf"], "{intent:?}");
        let stops = ["Stop page-vault.service, page.service"];
        assert_eq!(words(&change, "Stop "), stops, "{intent:?}: {}", change.to_text());
        world.carry_out(&app, &change);
        for again in [Intent::Start, Intent::Converge] {
            let after = planned(&world, &app, again);
            assert!(after.is_empty(), "{intent:?}, {again:?}: {}", after.to_text());
        }
    }
}

#[test]
fn a_new_address_alone_waits_for_a_start() {
    let (mut world, app) = installed();
    world.host.values.insert(Placeholder::HostMdns, "other.local".to_owned());
    for intent in [Intent::Converge, Intent::Start] {
        let pass = planned(&world, &app, intent);
        assert!(pass.is_empty(), "{intent:?}: {}", pass.to_text());
    }
    let update = planned(&world, &app, Intent::Update);
    assert_eq!(words(&update, "Stop "), ["Stop page.service"]);
    let restart = planned(&world, &app, Intent::Restart);
    assert!(words(&restart, "Write ").contains(&"Write site.conf".to_owned()));
}

#[test]
fn a_wish_without_a_setting_in_a_compared_file_restarts_only_what_cannot_be_compared() {
    let (mut world, mut app) = installed();
    app.generation = Generation(2);
    let start = planned(&world, &app, Intent::Start);
    assert_eq!(words(&start, "Stop "), ["Stop page-vault.service"], "{}", start.to_text());
    world.carry_out(&app, &start);
    assert!(planned(&world, &app, Intent::Converge).is_empty());
}

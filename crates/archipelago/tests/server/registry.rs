//! A daemon that follows registries which are served on loopback.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use archipelago::registry::follow;
use archy_registry::project::{AppFiles, Days, Founders, Settings};
use archy_registry::{Moment, PrivateKey, Project};
use archy_types::{AppId, AppState};
use serde_json::{Value, json};

use crate::node::{MANIFEST, Node, manifest, publish, view};

/// A registry with one key for everything.
struct Shop {
    project: Project,
    key: PrivateKey,
    fingerprint: String,
    address: String,
}

fn now() -> Moment {
    Moment(jiff::Timestamp::now().as_second())
}

impl Shop {
    async fn open(dir: &Path, at: Moment) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let key = PrivateKey::create(&dir.join("key")).unwrap();
        let roles = ["root", "targets", "snapshot", "timestamp"];
        let keys: BTreeMap<_, _> =
            roles.iter().map(|it| ((*it).to_owned(), vec![key.public().clone()])).collect();
        let founders = Founders { keys, thresholds: BTreeMap::new() };
        let settings = Settings { name: "Shop".to_owned(), days: Days::default() };
        let project = Project::init(&dir.join("shop"), settings, &founders, at).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(archy_registry::serve::serve(listener, project.public()));
        let mut shop = Self { project, key, fingerprint: String::new(), address };
        shop.publish("2.0.0", at);
        shop
    }

    fn publish(&mut self, version: &str, at: Moment) {
        let text = MANIFEST.replace("version: 1.2.3", &format!("version: {version}"));
        let files = AppFiles { manifest: text.as_bytes(), ..AppFiles::default() };
        self.project.add("targets", [files], at).unwrap();
        let keys = std::slice::from_ref(&self.key);
        self.project.sign(keys).unwrap();
        self.fingerprint = self.project.publish(keys, at).unwrap().fingerprint;
    }

    fn params(&self, name: &str) -> Value {
        json!({"name": name, "url": self.address, "fingerprint": self.fingerprint})
    }
}

/// Version and source of an app that can be installed.
async fn offered(node: &Node) -> (String, String) {
    let available = node.local("package.available", json!({})).await.json();
    let apps = available["result"]["apps"].as_array().unwrap();
    let blog = apps.iter().find(|app| app["id"] == "blog").unwrap();
    let source = blog["registry"].as_str().or(blog["source"].as_str()).unwrap();
    (blog["version"].as_str().unwrap().to_owned(), source.to_owned())
}

fn pair(version: &str, source: &str) -> (String, String) {
    (version.to_owned(), source.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_wins_over_the_disk_once_its_fingerprint_was_confirmed() {
    let node = Node::start().await;
    let mut shop = Shop::open(&node.dir.path().join("publisher"), now()).await;
    assert_eq!(offered(&node).await, pair("1.2.3", "bundled"));
    let trust = node.local("registry.inspect", json!({"url": shop.address})).await.json();
    assert_eq!(trust["result"]["fingerprint"], shop.fingerprint);
    let wrong = json!({"name": "shop", "url": shop.address, "fingerprint": format!("sha256:{}", "0".repeat(64))});
    assert_eq!(node.local("registry.add", wrong).await.code(), "registry-fingerprint");
    let bad = json!({"name": "../x", "url": shop.address, "fingerprint": shop.fingerprint});
    assert_eq!(node.local("registry.add", bad).await.code(), "registry-name");
    assert_eq!(offered(&node).await, pair("1.2.3", "bundled"));
    let added = node.local("registry.add", shop.params("shop")).await.json();
    assert_eq!(added["result"]["apps"], 1, "{added}");
    assert_eq!(node.local("registry.add", shop.params("shop")).await.code(), "registry-exists");
    assert_eq!(offered(&node).await, pair("2.0.0", "shop"));

    // an installed app notices a version that is published later
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Running)));
    shop.publish("3.0.0", now());
    let list = node.local("registry.refresh", json!({})).await.json();
    assert!(list["result"]["registries"][0].get("error").is_none(), "{list}");
    let outdated = node.local("package.outdated", json!({})).await.json();
    let app = &outdated["result"]["apps"][0];
    assert_eq!((&app["offered"], &app["source"]), (&json!("3.0.0"), &json!("shop")), "{outdated}");
    assert_eq!(app["auto"], false);

    // the server goes: what is known stays, and the record says why
    let timestamp = shop.project.public().join("metadata/timestamp.json");
    std::fs::write(&timestamp, "{}").unwrap();
    let list = node.local("registry.refresh", json!({"name": "shop"})).await.json();
    assert_eq!(list["result"]["registries"][0]["error"]["code"], "registry-format", "{list}");
    assert_eq!(offered(&node).await, pair("3.0.0", "shop"));
    let gone = node.local("registry.remove", json!({"name": "shop"})).await;
    assert_eq!(gone.code(), "none");
    assert_eq!(offered(&node).await, pair("1.2.3", "bundled"));
    let gone = node.local("registry.remove", json!({"name": "shop"})).await;
    assert_eq!(gone.code(), "registry-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn order_and_pins_say_which_registry_wins() {
    let node = Node::start().await;
    let first = Shop::open(&node.dir.path().join("one"), now()).await;
    let mut second = Shop::open(&node.dir.path().join("two"), now()).await;
    second.publish("9.0.0", now());
    for (name, shop) in [("first", &first), ("second", &second)] {
        assert_eq!(node.local("registry.add", shop.params(name)).await.code(), "none");
    }
    // the order counts, not the version
    assert_eq!(offered(&node).await, pair("2.0.0", "first"));
    for (params, expected) in [
        (json!({"name": "second", "pins": ["blog"]}), pair("9.0.0", "second")),
        (json!({"name": "second", "pins": []}), pair("2.0.0", "first")),
        (json!({"name": "first", "order": 60}), pair("9.0.0", "second")),
    ] {
        assert_eq!(node.local("registry.set", params.clone()).await.code(), "none");
        assert_eq!(offered(&node).await, expected, "{params}");
    }
    // the owner's own manifest wins over all, and is marked
    let own = node.dir.path().join("own");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("manifest.yml"), MANIFEST).unwrap();
    let installed = node.local("package.install", json!({"id": "blog", "path": own})).await;
    assert_eq!(installed.code(), "none");
    std::fs::remove_dir_all(&own).unwrap();
    assert_eq!(offered(&node).await, pair("1.2.3", "local"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_catalog_needs_consent() {
    let node = Node::start().await;
    // good for a few seconds more
    let at = Moment(now().0 - 30 * 86_400 + 4);
    let shop = Shop::open(&node.dir.path().join("publisher"), at).await;
    assert_eq!(node.local("registry.add", shop.params("shop")).await.code(), "none");
    let begun = Instant::now();
    loop {
        let list = node.local("registry.list", json!({})).await.json();
        if list["result"]["registries"][0]["stale"]["code"] == "registry-stale" {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{list}");
        tokio::task::yield_now().await;
    }
    assert_eq!(offered(&node).await, pair("2.0.0", "shop"), "it stays in sight");
    let install = || node.local("package.install", json!({"id": "blog"}));
    assert_eq!(install().await.code(), "registry-stale");
    let list = node.local("registry.refresh", json!({})).await.json();
    assert_eq!(list["result"]["registries"][0]["error"]["code"], "registry-stale");
    let accept = json!({"name": "shop", "accept_stale": true});
    assert_eq!(node.local("registry.set", accept).await.code(), "none");
    assert_eq!(install().await.code(), "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_update_by_themselves_when_the_owner_says_so() {
    let node = Node::start().await;
    let shop = Shop::open(&node.dir.path().join("publisher"), now()).await;
    assert_eq!(node.local("registry.add", shop.params("shop")).await.code(), "none");
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Running)));
    let app = node.daemon.app.clone();
    let updates = || {
        let asked = node.asked.lock().unwrap();
        asked.iter().filter(|it| *it == "update blog").count()
    };
    follow::update_one(app.clone()).await;
    assert_eq!(updates(), 0, "the policy is off at first");
    let hour =
        u8::try_from(jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system()).hour())
            .unwrap();
    let closed = json!({"auto": true, "from_hour": (hour + 2) % 24, "to_hour": (hour + 3) % 24});
    assert_eq!(node.local("registry.set-policy", closed).await.code(), "none");
    follow::update_one(app.clone()).await;
    assert_eq!(updates(), 0, "the window is not open");
    let open = json!({"from_hour": 0, "to_hour": 0});
    assert_eq!(node.local("registry.set-policy", open).await.code(), "none");
    let not_this = json!({"app": "blog", "auto": false});
    assert_eq!(node.local("registry.set-policy", not_this).await.code(), "none");
    follow::update_one(app.clone()).await;
    assert_eq!(updates(), 0, "the owner excepted it");
    let as_others = json!({"app": "blog"});
    assert_eq!(node.local("registry.set-policy", as_others).await.code(), "none");
    follow::update_one(app.clone()).await;
    follow::update_one(app).await;
    assert_eq!(updates(), 1, "it is tried once");
    let outdated = node.local("package.outdated", json!({})).await.json();
    assert_eq!(outdated["result"]["apps"][0]["held"]["code"], "update-tried", "{outdated}");
    let bad = node.local("registry.set-policy", json!({"from_hour": 24})).await;
    assert_eq!(bad.code(), "policy-invalid");
}

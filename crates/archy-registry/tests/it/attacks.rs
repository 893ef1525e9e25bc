//! Each attack that TUF names, against a node: it is refused with its code, and the last good
//! catalog stays.

use archy_registry::project::{AppFiles, Change};
use archy_registry::{Client, Envelope, Moment, Project, schema};
use archy_types::UserError;

use crate::server::Lie;
use crate::stand::{NOW, Stand, found, key, manifest};

/// Refuses, keeps version 1, and goes on once the server tells the truth.
async fn refused(stand: &Stand, code: &str) {
    assert_eq!(stand.refresh(NOW).await, Err(code));
    assert_eq!(stand.version("demo").as_deref(), Some("1.0.0"), "the last good catalog stays");
    stand.server.tell_the_truth();
    stand.refresh(NOW).await.unwrap();
    assert_eq!(stand.version("demo").as_deref(), Some("2.0.0"), "and news come again");
}

/// The envelope of a public file.
fn envelope(stand: &Stand, name: &str) -> Envelope {
    Envelope::parse(name, &stand.public(&format!("metadata/{name}"))).unwrap()
}

#[tokio::test]
async fn rollback_of_the_whole_catalog() {
    let stand = Stand::new().await;
    let old = stand.picture("old");
    stand.publish("demo", "2.0.0", NOW);
    stand.refresh(NOW).await.unwrap();
    // an old but well signed catalog
    stand.server.turn_to(old);
    assert_eq!(stand.refresh(NOW).await, Err("registry-rollback"));
    assert_eq!(stand.version("demo").as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn rollback_of_one_list_under_a_new_snapshot() {
    let stand = Stand::new().await;
    let old = envelope(&stand, "1.targets.json").to_bytes().unwrap();
    stand.publish("demo", "2.0.0", NOW);
    stand.refresh(NOW).await.unwrap();
    // whoever holds the online key alone signs a snapshot that goes back to list 1
    let key = stand.key("online");
    let mut snapshot: schema::Snapshot = envelope(&stand, "2.snapshot.json").peek().unwrap();
    snapshot.version = 3;
    let meta = schema::MetaFile { version: 1, length: None, hashes: None };
    snapshot.meta.insert("targets.json".to_owned(), meta);
    let mut snapshot = Envelope::of(&snapshot).unwrap();
    snapshot.sign(&key).unwrap();
    let mut timestamp: schema::Timestamp = envelope(&stand, "timestamp.json").peek().unwrap();
    timestamp.version = 3;
    let meta = schema::MetaFile { version: 3, length: None, hashes: None };
    timestamp.meta.insert("snapshot.json".to_owned(), meta);
    let mut timestamp = Envelope::of(&timestamp).unwrap();
    timestamp.sign(&key).unwrap();
    stand.server.lie("metadata/timestamp.json", Lie::Bytes(timestamp.to_bytes().unwrap()));
    stand.server.lie("metadata/3.snapshot.json", Lie::Bytes(snapshot.to_bytes().unwrap()));
    stand.server.lie("metadata/1.targets.json", Lie::Bytes(old));
    assert_eq!(stand.refresh(NOW).await, Err("registry-rollback"));
    assert_eq!(stand.version("demo").as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn freeze_until_the_date_passes() {
    let stand = Stand::new().await;
    // nothing new for 29 days is believed, for 31 not; what is known stays, and says that it is stale
    stand.refresh(NOW.plus_days(29)).await.unwrap();
    assert_eq!(stand.refresh(NOW.plus_days(31)).await, Err("registry-stale"));
    let known = stand.client.load().unwrap().unwrap();
    known.check_fresh(NOW.plus_days(29)).unwrap();
    let error = known.check_fresh(NOW.plus_days(31)).unwrap_err();
    assert_eq!(error.code(), "registry-stale");
    assert!(error.to_string().contains("2026-12-01"), "{error}");
    // a clock that was set back makes nothing young again
    stand.client.refresh(&stand.server.transport(), NOW).await.unwrap();
    let known = stand.client.load().unwrap().unwrap();
    assert_eq!(known.index.checked, NOW.plus_days(29).0);
}

#[tokio::test]
async fn a_node_that_slept_for_a_year_wakes() {
    let stand = Stand::new().await;
    let later = NOW.plus_days(400);
    assert_eq!(stand.refresh(later).await, Err("registry-stale"), "an old catalog is not news");
    // meanwhile keys were changed twice and the catalog went on
    for (add, remove) in [("root-d", "root-a"), ("root-e", "root-b")] {
        let change = Change {
            role: "root".to_owned(),
            add: vec![stand.key(add).public().clone()],
            remove: vec![stand.key(remove).id().to_owned()],
            ..Change::default()
        };
        stand.project.rotate(&change, later).unwrap();
        stand
            .project
            .sign(&stand.keys(&["root-a", "root-b", "root-c", "root-d", "root-e"]))
            .unwrap();
        let text = manifest("demo", "2.0.0");
        let files = AppFiles { manifest: text.as_bytes(), ..AppFiles::default() };
        stand.project.add("targets", [files], later).unwrap();
        stand.sign_and_publish(later);
    }
    stand.refresh(later).await.unwrap();
    assert_eq!(stand.version("demo").as_deref(), Some("2.0.0"));
    assert_eq!(stand.client.load().unwrap().unwrap().root.version, 3);
}

#[tokio::test]
async fn mix_and_match() {
    let stand = Stand::new().await;
    let old_targets = stand.public("metadata/1.targets.json");
    let old_snapshot = stand.public("metadata/1.snapshot.json");
    stand.publish("demo", "2.0.0", NOW);
    stand.server.lie("metadata/2.targets.json", Lie::Bytes(old_targets));
    refused(&stand, "registry-mixed").await;
    stand.publish("demo", "3.0.0", NOW);
    stand.server.lie("metadata/3.snapshot.json", Lie::Bytes(old_snapshot));
    assert_eq!(stand.refresh(NOW).await, Err("registry-mixed"));
}

#[tokio::test]
async fn wrong_keys_for_each_role() {
    for (role, file) in [
        ("timestamp", "timestamp.json"),
        ("snapshot", "2.snapshot.json"),
        ("targets", "2.targets.json"),
    ] {
        let stand = Stand::new().await;
        stand.publish("demo", "2.0.0", NOW);
        // the same content, signed by a key that does not count; also under the id of the one that does
        for id in ["own", "stolen"] {
            let mut forged = envelope(&stand, file);
            let good = forged.signatures[0].keyid.clone();
            forged.signatures.clear();
            forged.sign(&stand.key("mallory")).unwrap();
            if id == "stolen" {
                forged.signatures[0].keyid = good;
            }
            let bytes = forged.to_bytes().unwrap();
            stand.server.lie(&format!("metadata/{file}"), Lie::Bytes(bytes));
            // below the timestamp the digest speaks before the signature does
            let code = if role == "timestamp" { "registry-signature" } else { "registry-mixed" };
            assert_eq!(stand.refresh(NOW).await, Err(code), "{role} {id}");
            assert_eq!(stand.version("demo").as_deref(), Some("1.0.0"));
        }
    }
}

#[tokio::test]
async fn a_list_that_the_online_key_alone_made() {
    let stand = Stand::new().await;
    // snapshot and timestamp are honest about a list of targets that the wrong key signed
    let key = stand.key("online");
    let mut targets: schema::Targets = envelope(&stand, "1.targets.json").peek().unwrap();
    targets.version = 2;
    let mut forged = Envelope::of(&targets).unwrap();
    forged.sign(&key).unwrap();
    let mut snapshot: schema::Snapshot = envelope(&stand, "1.snapshot.json").peek().unwrap();
    snapshot.version = 2;
    let two = schema::MetaFile { version: 2, length: None, hashes: None };
    snapshot.meta.insert("targets.json".to_owned(), two.clone());
    let mut snapshot = Envelope::of(&snapshot).unwrap();
    snapshot.sign(&key).unwrap();
    let mut timestamp: schema::Timestamp = envelope(&stand, "timestamp.json").peek().unwrap();
    timestamp.version = 2;
    timestamp.meta.insert("snapshot.json".to_owned(), two);
    let mut timestamp = Envelope::of(&timestamp).unwrap();
    timestamp.sign(&key).unwrap();
    for (name, file) in
        [("timestamp.json", timestamp), ("2.snapshot.json", snapshot), ("2.targets.json", forged)]
    {
        stand.server.lie(&format!("metadata/{name}"), Lie::Bytes(file.to_bytes().unwrap()));
    }
    assert_eq!(stand.refresh(NOW).await, Err("registry-signature"));
    assert_eq!(stand.version("demo").as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn one_key_that_signs_twice_counts_once() {
    let stand = Stand::new().await;
    let change = Change { role: "root".to_owned(), threshold: Some(2), ..Change::default() };
    stand.project.rotate(&change, NOW).unwrap();
    stand.project.sign(&stand.keys(&["root-a"])).unwrap();
    let mut root = stand.project.staged("root").unwrap().unwrap();
    root.signatures.push(root.signatures[0].clone());
    let bytes = root.to_bytes().unwrap();
    stand.server.lie("metadata/2.root.json", Lie::Bytes(bytes));
    assert_eq!(stand.refresh(NOW).await, Err("registry-signature"));
}

#[tokio::test]
async fn a_root_of_somebody_else() {
    let stand = Stand::new().await;
    let other = tempfile::tempdir().unwrap();
    let project = found(other.path());
    let change = Change { role: "root".to_owned(), threshold: Some(1), ..Change::default() };
    project.rotate(&change, NOW).unwrap();
    let mut root: schema::Root = project.next_root().unwrap();
    root.version = 2;
    let mut root = Envelope::of(&root).unwrap();
    root.sign(&key(other.path(), "root-a")).unwrap();
    stand.server.lie("metadata/2.root.json", Lie::Bytes(root.to_bytes().unwrap()));
    assert_eq!(stand.refresh(NOW).await, Err("registry-signature"));
    // a root that skips a version, though well signed
    let mut root: schema::Root = stand.project.next_root().unwrap();
    root.version = 7;
    let mut root = Envelope::of(&root).unwrap();
    for name in ["root-a", "root-b"] {
        root.sign(&stand.key(name)).unwrap();
    }
    stand.server.lie("metadata/2.root.json", Lie::Bytes(root.to_bytes().unwrap()));
    assert_eq!(stand.refresh(NOW).await, Err("registry-rollback"));
    // another fingerprint is not trusted in the first place
    let fresh = Client::new(other.path().join("node"));
    stand.server.tell_the_truth();
    let wrong = archy_types::Digest::of(b"x");
    let error = fresh.trust(&stand.server.transport(), wrong).await.unwrap_err();
    assert_eq!(error.code(), "registry-fingerprint");
    assert_eq!(fresh.load().unwrap_err().code(), "registry-not-trusted");
}

#[tokio::test]
async fn arbitrary_targets() {
    let stand = Stand::new().await;
    stand.publish("demo", "2.0.0", NOW);
    let targets: schema::Targets = envelope(&stand, "2.targets.json").peek().unwrap();
    let digest = &targets.targets["app-catalog.json"].hashes["sha256"];
    let path = format!("targets/{digest}.app-catalog.json");
    let mut bytes = stand.public(&path);
    let place = bytes.windows(5).position(|it| it == b"2.0.0").unwrap();
    bytes[place] = b'9';
    stand.server.lie(&path, Lie::Bytes(bytes));
    refused(&stand, "registry-target").await;
    // the same for a file that is fetched when it is looked at
    let known = stand.client.load().unwrap().unwrap();
    let name = "app.demo.manifest.json";
    let path = format!("targets/{}.{name}", known.target(name).unwrap().hashes["sha256"]);
    stand.server.lie(&path, Lie::Bytes(b"{}".to_vec()));
    let transport = stand.server.transport();
    let error = stand.client.target(&transport, &known, name, 1 << 20).await.unwrap_err();
    assert_eq!(error.code(), "registry-target");
    stand.server.tell_the_truth();
    stand.client.target(&transport, &known, name, 1 << 20).await.unwrap();
    let error = stand.client.target(&transport, &known, "../x", 1 << 20).await.unwrap_err();
    assert_eq!(error.code(), "registry-missing-file");
}

#[tokio::test]
async fn endless_data() {
    for file in ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"] {
        let stand = Stand::new().await;
        stand.publish("demo", "2.0.0", NOW);
        stand.server.lie(&format!("metadata/{file}"), Lie::Endless);
        refused(&stand, "registry-too-large").await;
    }
}

#[tokio::test]
async fn slow_retrieval() {
    for file in ["2.root.json", "timestamp.json"] {
        let stand = Stand::new().await;
        stand.publish("demo", "2.0.0", NOW);
        stand.server.lie(&format!("metadata/{file}"), Lie::Drip);
        refused(&stand, "registry-slow").await;
    }
}

#[tokio::test]
async fn a_broken_server_is_not_an_empty_one() {
    let stand = Stand::new().await;
    stand.publish("demo", "2.0.0", NOW);
    // an error where a newer root may be is no "there is none"
    stand.server.lie("metadata/2.root.json", Lie::Broken);
    assert_eq!(stand.refresh(NOW).await, Err("registry-unreachable"));
    stand.server.lie("metadata/2.root.json", Lie::Bytes(b"<html>login</html>".to_vec()));
    assert_eq!(stand.refresh(NOW).await, Err("registry-format"));
    stand.server.tell_the_truth();
    stand.server.lie("metadata/timestamp.json", Lie::Gone);
    refused(&stand, "registry-missing-file").await;
}

#[tokio::test]
async fn stolen_online_keys_are_recovered_from() {
    let stand = Stand::new().await;
    // a thief signs a version so high that nothing honest follows it
    let mut timestamp: schema::Timestamp = envelope(&stand, "timestamp.json").peek().unwrap();
    timestamp.version = u64::MAX;
    let mut timestamp = Envelope::of(&timestamp).unwrap();
    timestamp.sign(&stand.key("online")).unwrap();
    stand.server.lie("metadata/timestamp.json", Lie::Bytes(timestamp.to_bytes().unwrap()));
    stand.refresh(NOW).await.unwrap();
    stand.server.tell_the_truth();
    stand.publish("demo", "2.0.0", NOW);
    assert_eq!(stand.refresh(NOW).await, Err("registry-rollback"));
    // new keys make versions that were seen count no longer
    for role in ["snapshot", "timestamp"] {
        let change = Change {
            role: role.to_owned(),
            add: vec![stand.key("online-2").public().clone()],
            remove: vec![stand.key("online").id().to_owned()],
            ..Change::default()
        };
        stand.project.rotate(&change, NOW).unwrap();
    }
    stand.project.sign(&stand.keys(&["root-a", "root-c"])).unwrap();
    let error = stand.project.publish(&stand.keys(&["online"]), NOW).unwrap_err();
    assert_eq!(error.code(), "registry-signature");
    stand.project.publish(&stand.keys(&["online-2"]), NOW).unwrap();
    stand.refresh(NOW).await.unwrap();
    assert_eq!(stand.version("demo").as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_publisher_offers_only_what_is_theirs() {
    let stand = Stand::new().await;
    let change = Change {
        role: "acme".to_owned(),
        add: vec![stand.key("acme").public().clone()],
        apps: Some(vec!["blog".to_owned(), "acme-*".to_owned()]),
        ..Change::default()
    };
    stand.project.rotate(&change, NOW).unwrap();
    let add = |project: &Project, id: &str| {
        let text = manifest(id, "1.0.0");
        let files = AppFiles { manifest: text.as_bytes(), ..AppFiles::default() };
        project.add("acme", [files], NOW).map(drop).map_err(|error| error.code())
    };
    assert_eq!(add(&stand.project, "demo"), Err("registry-project"));
    add(&stand.project, "blog").unwrap();
    add(&stand.project, "acme-shop").unwrap();
    stand.project.sign(&stand.keys(&["targets", "acme"])).unwrap();
    // one who writes the list by hand gets no further: the node looks as well
    let key = stand.key("acme");
    let mut own: schema::Targets = stand.project.targets("acme").unwrap();
    own.version += 1;
    let document = br#"{"apps":{"demo":{"version":"9","manifest":{}},"blog":{"version":"1.0.0","manifest":{}}}}"#;
    let digest = archy_types::Digest::of(document).hex();
    let path = stand.project.public().join(format!("targets/{digest}.acme.app-catalog.json"));
    std::fs::write(path, document).unwrap();
    let file = own.targets.get_mut("acme.app-catalog.json").unwrap();
    file.length = document.len() as u64;
    file.hashes.insert("sha256".to_owned(), digest);
    let mut forged = Envelope::of(&own).unwrap();
    forged.sign(&key).unwrap();
    let staged = stand.dir.path().join("project/staged/acme.json");
    std::fs::write(staged, forged.to_bytes().unwrap()).unwrap();
    stand.project.publish(&stand.keys(&["online"]), NOW).unwrap();
    stand.refresh(NOW).await.unwrap();
    assert_eq!(stand.version("demo").as_deref(), Some("1.0.0"));
    assert_eq!(stand.version("blog").as_deref(), Some("1.0.0"));
    // and once revoked, nothing of theirs is offered
    let change = Change { role: "acme".to_owned(), revoke: true, ..Change::default() };
    stand.project.rotate(&change, NOW).unwrap();
    stand.sign_and_publish(NOW);
    stand.refresh(NOW).await.unwrap();
    assert_eq!(stand.version("blog"), None);
}

#[tokio::test]
async fn messages_are_for_owners() {
    let stand = Stand::new().await;
    let error = stand.client.refresh(&stand.server.transport(), Moment(NOW.0 + 86_400 * 400)).await;
    let error = UserError::from(error.unwrap_err());
    assert!(error.message.starts_with("the catalog is stale"), "{error}");
    assert!(error.hint.unwrap().contains("goes on running"));
}

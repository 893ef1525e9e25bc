//! A registry's life: founded, signed on another machine, published, renewed, served.

use archy_registry::project::{AppFiles, Change, ceremony};
use archy_registry::{Client, DirTransport, HttpTransport, PrivateKey, Refreshed};

use crate::stand::{NOW, Stand, found, key, manifest};

#[tokio::test]
async fn an_unchanged_look_costs_two_requests() {
    let stand = Stand::new().await;
    let refreshed = stand.client.refresh(&stand.server.transport(), NOW).await.unwrap();
    assert!(matches!(refreshed, Refreshed::Unchanged(_)));
    let (asked, bytes) = stand.server.asked();
    assert_eq!(asked, ["metadata/2.root.json", "metadata/timestamp.json"]);
    assert!(bytes <= 4096, "{bytes}");
    // renewed dates alone bring two small files more, and no catalog
    stand.project.publish(&stand.keys(&["online"]), NOW.plus_days(20)).unwrap();
    let later = NOW.plus_days(20);
    let refreshed = stand.client.refresh(&stand.server.transport(), later).await.unwrap();
    assert!(matches!(refreshed, Refreshed::New(_)));
    let (asked, _) = stand.server.asked();
    let expected = ["metadata/2.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json"];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_root_is_signed_on_machines_without_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let project = found(dir.path());
    let online = [key(dir.path(), "online"), key(dir.path(), "targets")];
    project.sign(&online).unwrap();
    let waiting: Vec<_> = project.waiting().unwrap();
    assert_eq!((waiting[0].role.as_str(), waiting[0].have, waiting[0].need), ("root", 0, 2));
    assert!(waiting[1].is_ready(), "{waiting:?}");
    assert_eq!(project.publish(&online, NOW).unwrap_err().code(), "registry-signature");
    // the file is carried to two machines, one after the other, and back
    for name in ["root-a", "root-c"] {
        let carried = dir.path().join("stick.json");
        std::fs::copy(dir.path().join("project/staged/root.json"), &carried).unwrap();
        let signed = ceremony::sign_file(&carried, &[key(dir.path(), name)]).unwrap();
        assert_eq!(signed.role, "root");
        project.take_back("root", &carried).unwrap();
    }
    let published = project.publish(&online, NOW).unwrap();
    assert_eq!(published.root, 1);
    // another file is not taken for it
    std::fs::copy(
        dir.path().join("project/public/metadata/1.root.json"),
        dir.path().join("stick.json"),
    )
    .unwrap();
    let error = project.take_back("root", &dir.path().join("stick.json")).unwrap_err();
    assert_eq!(error.code(), "registry-project");
}

#[tokio::test]
async fn a_registry_is_served_and_read_over_http_and_from_a_stick() {
    let stand = Stand::new().await;
    let text = manifest("demo", "1.1.0");
    let files = AppFiles {
        manifest: text.as_bytes(),
        icon: Some(("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")),
        test: Some(b"{\"passed\": true}"),
    };
    let added = stand.project.add("targets", [files], NOW).unwrap();
    assert_eq!(added[0].before.as_deref(), Some("1.0.0"));
    stand.sign_and_publish(NOW);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(archy_registry::serve::serve(listener, stand.project.public()));
    let http = HttpTransport::new(archy_fetch::Fetcher::new(None, "test"), &address);
    let known = stand.client.refresh(&http, NOW).await.unwrap().known();
    for name in ["app.demo.manifest.json", "app.demo.icon.svg", "app.demo.test.json"] {
        stand.client.target(&http, &known, name, 1 << 20).await.unwrap();
    }
    let again = stand.client.refresh(&http, NOW).await.unwrap();
    assert!(matches!(again, Refreshed::Unchanged(_)));
    server.abort();
    let stick = DirTransport::new(stand.project.public());
    let node = Client::new(stand.dir.path().join("other-node"));
    let identity = Client::look(&stick).await.unwrap();
    node.trust(&stick, identity.fingerprint).await.unwrap();
    let known = node.refresh(&stick, NOW).await.unwrap().known();
    let document = archy_catalog::document::parse(&known.catalogs[0].text).unwrap();
    assert_eq!(document.entries[0].manifest.version, "1.1.0");
    assert!(document.findings.is_empty(), "{:?}", document.findings);
}

#[tokio::test]
async fn an_old_fingerprint_leads_to_the_newest_root() {
    let stand = Stand::new().await;
    let first = stand.client.load().unwrap().unwrap().fingerprint;
    let change = Change {
        role: "root".to_owned(),
        add: vec![stand.key("root-d").public().clone()],
        remove: vec![stand.key("root-a").id()[..12].to_owned()],
        ..Change::default()
    };
    stand.project.rotate(&change, NOW).unwrap();
    stand.project.sign(&stand.keys(&["root-d"])).unwrap();
    let waiting = stand.project.waiting().unwrap();
    assert!(!waiting[0].is_ready(), "the old keys have not signed: {waiting:?}");
    stand.project.sign(&stand.keys(&["root-b", "root-c"])).unwrap();
    let published = stand.sign_and_publish(NOW);
    let node = Client::new(stand.dir.path().join("later-node"));
    let identity = node.trust(&stand.server.transport(), first).await.unwrap();
    assert_eq!(identity.fingerprint.to_string(), published.fingerprint);
    assert_eq!(identity.root.version, 2);
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_anew() {
    let stand = Stand::new().await;
    let blobs = stand.dir.path().join("node/blobs");
    for entry in std::fs::read_dir(blobs).unwrap() {
        std::fs::write(entry.unwrap().path(), b"x").unwrap();
    }
    stand.client.load().unwrap_err();
    stand.refresh(NOW).await.unwrap();
    assert_eq!(stand.version("demo").as_deref(), Some("1.0.0"));
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let made = PrivateKey::create(&path).unwrap();
    assert_eq!(PrivateKey::read(&path).unwrap().id(), made.id());
    assert!(PrivateKey::create(&path).is_err(), "a key is never overwritten");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(PrivateKey::read(&path).unwrap_err().code(), "registry-key");
}

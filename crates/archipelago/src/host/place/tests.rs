//! A container that puts links into its directory, against what the host reads and writes.

use std::os::unix::fs::{MetadataExt as _, symlink};

use archy_engine::ports::Files as _;
use archy_manifest::model::Owner;

use super::*;
use crate::host::testing::host;

fn app() -> AppId {
    "demo".parse().unwrap()
}

#[tokio::test]
async fn links_are_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let victim = root.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("x"), "mine").unwrap();
    host.make_directory(&app(), "data", None).await.unwrap();
    let base = root.path().join("data/demo");
    symlink(&victim, base.join("data/c")).unwrap();
    symlink(victim.join("x"), base.join("data/f")).unwrap();

    let failure = host.place(&app(), "data/c/x").await.unwrap_err();
    assert_eq!(failure.error.code.as_str(), "path-symlink");
    assert!(failure.error.hint.is_some());
    let failure = host.make_directory(&app(), "data/c/new", None).await.unwrap_err();
    assert_eq!(failure.error.code.as_str(), "path-symlink");
    let failure = host.make_cert(&app(), "data/a.crt", "data/f", "a", &[]).await.unwrap_err();
    assert_eq!(failure.error.code.as_str(), "path-symlink");

    let seen = |path: &str| match look(&base, path) {
        Some(FileState::File { hash }) => hash,
        other => format!("{other:?}"),
    };
    for path in ["data/c", "data/f", "data/c/x"] {
        assert_eq!(seen(path), "symlink", "{path}");
    }
    assert_eq!(look(&base, "data"), Some(FileState::Directory));
    assert_eq!(look(&base, "nothing/x"), None);

    // a link at the file's own place is replaced
    let place = host.place(&app(), "data/f").await.unwrap();
    host.put(place, b"new".to_vec(), 0o600).await.unwrap();
    assert_eq!(seen("data/f"), Digest::of(b"new").hex());
    assert_eq!(std::fs::read_to_string(victim.join("x")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1);
}

#[tokio::test]
async fn files_get_the_owner_of_their_directory() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let me = rustix::process::geteuid();
    // only root can give a directory away without a namespace; others prove less
    let id = if me.is_root() { 1234 } else { me.as_raw() };
    let gid = if me.is_root() { 1234 } else { rustix::process::getegid().as_raw() };
    let base = root.path().join("data/demo");
    host.make_directory(&app(), "", Some(Owner { uid: id, gid })).await.unwrap();
    assert_eq!(base.metadata().unwrap().uid(), id);
    host.make_cert(&app(), "tls/a.crt", "tls/a.key", "demo", &[]).await.unwrap();
    let place = host.place(&app(), "config.toml").await.unwrap();
    host.put_by_namespace(place, b"x".to_vec(), 0o600).await.unwrap();
    for (path, mode) in [
        ("config.toml", 0o100_600),
        ("tls", 0o40_755),
        ("tls/a.key", 0o100_600),
        ("tls/a.crt", 0o100_644),
    ] {
        let meta = base.join(path).symlink_metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode()), (id, gid, mode), "{path}");
    }
    let staging = root.path().join("data/.staging");
    assert_eq!(staging.metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);

    // neither is made anew; a key without its certificate is used
    let key = std::fs::read(base.join("tls/a.key")).unwrap();
    host.make_cert(&app(), "tls/a.crt", "tls/a.key", "other", &[]).await.unwrap();
    std::fs::remove_file(base.join("tls/a.crt")).unwrap();
    host.make_cert(&app(), "tls/a.crt", "tls/a.key", "demo", &[]).await.unwrap();
    assert_eq!(std::fs::read(base.join("tls/a.key")).unwrap(), key);
    assert!(base.join("tls/a.crt").is_file());
    std::fs::remove_file(base.join("tls/a.key")).unwrap();
    let failure = host.make_cert(&app(), "tls/a.crt", "tls/a.key", "demo", &[]).await.unwrap_err();
    assert!(failure.error.message.contains("a.crt"), "{failure}");
}

/// An app with a second service and a secret.
fn manifest() -> archy_manifest::Manifest {
    let service = |name: &str| {
        format!(
            "    {name}:\n      image: registry.example/{name}:1\n      secret_env: {{ T: demo-token }}\n"
        )
    };
    let text = format!(
        "app:\n  id: demo\n  name: N\n  version: 1.0.0\n  description: D\n  secrets: {{ demo-token: hex16 }}\n  \
         services:\n{}{}",
        service("main"),
        service("db")
    );
    archy_manifest::Manifest::parse(text.as_bytes()).unwrap()
}

#[tokio::test]
async fn errors_hold_no_secrets() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    host.generate_secret("demo-token", archy_types::SecretKind::Hex16).await.unwrap();
    let value = std::fs::read_to_string(root.path().join("secrets/demo-token")).unwrap();
    let text = format!("login with {value} was refused");
    assert_eq!(host.strike_secrets(&manifest(), text).await, "login with ••• was refused");
}

#[tokio::test]
async fn logs_go_with_the_data() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let logs = root.path().join("data/logs");
    std::fs::create_dir_all(&logs).unwrap();
    for name in
        ["demo.log", "demo.log.1", "demo-db.log", "demo-old.log", "demo-two.log", "demo2.log"]
    {
        std::fs::write(logs.join(name), "2026-05-01T10:00:00Z stdout F bye\n").unwrap();
    }
    assert_eq!(host.kept_log("demo", 5).await[0].text, "bye");
    host.make_directory(&app(), "", None).await.unwrap();
    let containers = ["demo", "demo-db", "demo-old"].map(str::to_owned);
    host.purge_data(&app(), &containers).await.unwrap();
    assert!(!root.path().join("data/demo").exists());
    let mut left: Vec<_> =
        std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["demo-two.log", "demo2.log"]);
}

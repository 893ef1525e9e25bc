//! Tests of atomic writing, secrets and certificates.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use archy_types::{Secret, SecretKind};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_write_replaces_the_whole_file_and_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    write_atomic(&path, b"one", 0o644).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o644));
    write_atomic(&path, b"two", 0o600).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
    assert!(!write_new(&path, b"three", 0o600).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(names(dir.path()), ["f"], "nothing is left over");
}

#[test]
fn a_symlink_is_replaced_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    fs::write(&target, "untouched").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write_atomic(&link, b"new", 0o600).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"untouched");
    assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let error = write_atomic(&dir.path().join("no/f"), b"x", 0o600).unwrap_err();
    assert_eq!(error.code(), "file-missing");
    let occupied = dir.path().join("occupied");
    fs::create_dir(&occupied).unwrap();
    write_atomic(&occupied, b"x", 0o600).unwrap_err();
    assert_eq!(names(dir.path()), ["occupied"]);
}

#[test]
fn each_kind_is_generated_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path().join("secrets")).unwrap();
    assert_eq!(mode(store.dir()), 0o700);
    for (kind, generated, length) in [
        ("hex16", SecretKind::Hex16, 32),
        ("hex32", SecretKind::Hex32, 64),
        ("base64", SecretKind::Base64, 44),
        ("bcrypt", SecretKind::Bcrypt, 60),
    ] {
        assert!(store.ensure(kind, generated).unwrap(), "{kind}");
        let first = store.read(kind).unwrap();
        assert_eq!(first.expose().len(), length, "{kind}");
        assert_eq!(mode(&store.dir().join(kind)), 0o600, "{kind}");
        assert!(!store.ensure(kind, generated).unwrap(), "{kind}");
        assert!(store.read(kind).unwrap() == first, "{kind}");
    }
    assert_eq!(store.list().unwrap(), ["base64", "bcrypt", "bcrypt.pw", "hex16", "hex32"]);
    let (hash, plain) = (store.read("bcrypt").unwrap(), store.read("bcrypt.pw").unwrap());
    let hash = hash.expose_trimmed().unwrap();
    assert!(bcrypt::verify(plain.expose(), hash).unwrap());
}

#[test]
fn what_is_missing_is_made_again_and_what_is_there_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path()).unwrap();
    store.ensure("b", SecretKind::Bcrypt).unwrap();
    let plain = store.read("b.pw").unwrap();
    fs::remove_file(dir.path().join("b")).unwrap();
    assert!(store.ensure("b", SecretKind::Bcrypt).unwrap());
    assert!(store.read("b.pw").unwrap() == plain, "the password that people know stays");
    assert!(
        bcrypt::verify(plain.expose(), store.read("b").unwrap().expose_trimmed().unwrap()).unwrap()
    );

    fs::write(dir.path().join("old"), "made by others\n").unwrap();
    assert!(!store.ensure("old", SecretKind::Hex16).unwrap());
    assert_eq!(store.read("old").unwrap().expose(), b"made by others\n");
    assert_eq!(mode(&dir.path().join("old")), 0o600);

    fs::write(dir.path().join("empty"), "").unwrap();
    assert!(store.ensure("empty", SecretKind::Hex16).unwrap());
    assert_eq!(store.read("empty").unwrap().expose().len(), 32);
}

#[test]
fn opening_heals_modes_and_sweeps_left_overs() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", ".a.1-0.tmp", ".hash-key"] {
        fs::write(dir.path().join(name), "x").unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let store = SecretStore::open(dir.path()).unwrap();
    assert_eq!(names(dir.path()), [".hash-key", "a"]);
    assert_eq!(mode(dir.path()), 0o700);
    assert_eq!((mode(&dir.path().join("a")), mode(&dir.path().join(".hash-key"))), (0o600, 0o600));
    assert_eq!(store.list().unwrap(), ["a"]);
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path()).unwrap();
    for name in ["", "..", "../x", "a/b", ".hash-key", "a\0b", "a b", "ä"] {
        assert_eq!(store.read(name).unwrap_err().code(), "secret-name", "{name:?}");
        assert_eq!(store.ensure(name, SecretKind::Hex16).unwrap_err().code(), "secret-name");
    }
}

#[test]
fn supplied_secrets_come_from_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path()).unwrap();
    let error = store.ensure("key", SecretKind::Supplied).unwrap_err();
    assert_eq!(error.code(), "secret-missing");
    store.supply("key", &Secret::new("one"), false).unwrap();
    store.supply("key", &Secret::new("one"), false).unwrap();
    assert!(!store.ensure("key", SecretKind::Supplied).unwrap());
    let error = store.supply("key", &Secret::new("two"), false).unwrap_err();
    assert_eq!(error.code(), "secret-exists");
    store.supply("key", &Secret::new("two"), true).unwrap();
    assert_eq!(store.read("key").unwrap().expose(), b"two");
    store.remove("key").unwrap();
    store.remove("key").unwrap();
    assert!(!store.has("key").unwrap());
}

#[test]
fn the_keyed_hash_follows_the_secrets_and_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path().join("one")).unwrap();
    let other = SecretStore::open(dir.path().join("two")).unwrap();
    for store in [&store, &other] {
        store.supply("a", &Secret::new("x"), false).unwrap();
        store.supply("b", &Secret::new("yz"), false).unwrap();
    }
    let hash = store.keyed_hash(["a", "b"]).unwrap();
    assert_eq!(hash.len(), 64);
    assert_eq!(store.keyed_hash(["b", "a", "b"]).unwrap(), hash);
    assert_eq!(SecretStore::open(store.dir()).unwrap().keyed_hash(["a", "b"]).unwrap(), hash);
    assert_ne!(other.keyed_hash(["a", "b"]).unwrap(), hash, "each node has its own key");
    store.supply("a", &Secret::new("xy"), true).unwrap();
    store.supply("b", &Secret::new("z"), true).unwrap();
    assert_ne!(store.keyed_hash(["a", "b"]).unwrap(), hash);
    assert_eq!(store.keyed_hash(["c"]).unwrap_err().code(), "secret-missing");
    assert!(store.keyed_hash([]).is_ok());
}

#[test]
fn many_at_once_agree_on_one_value() {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(dir.path()).unwrap();
    fs::write(dir.path().join("s"), "").unwrap();
    let values: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    store.ensure("s", SecretKind::Hex32).unwrap();
                    store.read("s").unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(values.iter().all(|value| *value == values[0] && value.expose().len() == 64));
}

#[test]
fn a_certificate_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let (crt, key) = (dir.path().join("c.crt"), dir.path().join("c.key"));
    let sans = ["node.local".to_owned(), "192.0.2.7".to_owned()];
    assert!(ensure_cert(&crt, &key, "node.local", &sans).unwrap());
    assert_eq!((mode(&crt), mode(&key)), (0o644, 0o600));
    let first = (fs::read(&crt).unwrap(), fs::read(&key).unwrap());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!ensure_cert(&crt, &key, "other", &[]).unwrap());
    assert_eq!((fs::read(&crt).unwrap(), fs::read(&key).unwrap()), first);
    assert_eq!(mode(&key), 0o600);

    fs::remove_file(&crt).unwrap();
    assert!(ensure_cert(&crt, &key, "My node", &sans).unwrap());
    assert_eq!(fs::read(&key).unwrap(), first.1, "a key is never replaced");
    fs::remove_file(&key).unwrap();
    assert_eq!(ensure_cert(&crt, &key, "x", &[]).unwrap_err().code(), "cert-without-key");
    let bad = ["nöde".to_owned()];
    let error = ensure_cert(&dir.path().join("d"), &key, "x", &bad).unwrap_err();
    assert_eq!(error.code(), "cert-failed");
    assert!(!key.exists(), "nothing is written for names that fail");
}

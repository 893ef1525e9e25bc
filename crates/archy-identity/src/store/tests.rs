//! Identities in files: what survives, what is sealed, what is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use archy_types::Timestamp;
use nostr::nips::nip19::FromBech32 as _;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::Seed;
use crate::seed::SeedError;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn open(dir: &TempDir) -> Identities {
    Identities::open(Dirs::below(dir.path())).unwrap()
}

fn create(store: &Identities, name: &str) -> Identity {
    store.create(name, Purpose::Personal, None, NOW).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn code<T: std::fmt::Debug>(result: Result<T, UserError>) -> String {
    let error = result.unwrap_err();
    assert!(error.hint.is_some(), "{error}");
    error.code.to_string()
}

#[test]
fn identities_outlive_a_restart_and_derive_from_the_seed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let (one, two) = (create(&store, " One "), create(&store, "Two"));
    assert_eq!((one.name.as_str(), one.is_default, two.is_default), ("One", true, false));
    assert_eq!((one.derivation_index, two.derivation_index), (Some(0), Some(1)));
    assert_eq!((one.origin, one.created_at.as_str()), (Origin::Seed, "2023-11-14T22:13:20Z"));
    let seed = store.seed().seed().unwrap();
    let key = seed.identity_key(1).unwrap();
    assert_eq!(two.nostr_pubkey.as_deref(), Some(key.nostr.public_key().to_hex().as_str()));
    assert_eq!(two.did, key.did.public().to_string());
    let again = open(&dir);
    assert_eq!(again.list(), store.list());
    let node = &again.list()[0];
    assert!(node.is_node && node.id == NODE_ID);
    assert_eq!(node.pubkey, seed.node_key().unwrap().public().hex());
    assert_eq!(node.nostr_pubkey, again.node_pubkey());
    assert_eq!(again.get(&two.id).unwrap(), two);
}

#[test]
fn nothing_secret_is_readable_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("identities")).unwrap();
    let store = open(&dir);
    let one = create(&store, "One");
    let proof = Verified::by(|| true).unwrap();
    let exported = store.export(&one.id, &proof).unwrap();
    for place in ["identities", "identity"] {
        assert_eq!(mode(&dir.path().join(place)), 0o700);
        for entry in std::fs::read_dir(dir.path().join(place)).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            let content = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&content);
            assert!(!text.contains(exported.nostr_secret_hex.as_str()));
            assert!(!text.contains(exported.did_secret_hex.as_str()));
            assert!(!text.contains("secret_key"));
        }
    }
    assert_eq!(format!("{exported:?}"), "Exported(…)");
    let key = nostr::key::SecretKey::from_bech32(&exported.nsec).unwrap();
    assert_eq!(Keys::new(key).public_key().to_hex(), one.nostr_pubkey.unwrap());
    assert_eq!(code(Verified::by(|| false)), "password-incorrect");
}

#[test]
fn identities_are_changed_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let (one, two) = (create(&store, "One"), create(&store, "Two"));
    store.rename(&one.id, "Eins").unwrap();
    store.set_purpose(&one.id, Purpose::Business).unwrap();
    store.set_profile(&one.id, Some(json!({"about": "me"}))).unwrap();
    store.set_default(&two.id).unwrap();
    let store = open(&dir);
    let one = store.get(&one.id).unwrap();
    assert_eq!((one.name.as_str(), one.purpose), ("Eins", Purpose::Business));
    assert_eq!(one.profile, Some(json!({"about": "me"})));
    assert_eq!(store.default_id().as_deref(), Some(two.id.as_str()));
    assert_eq!(store.signs(None).unwrap().0, two.id);
    store.delete(&two.id).unwrap();
    assert_eq!(store.default_id(), None);
    assert_eq!(code(store.signs(None)), "identity-none");
    assert_eq!(code(store.get(&two.id)), "identity-not-found");
    assert_eq!(code(store.delete(NODE_ID)), "identity-is-node");
    // a deleted identity's key is never given to another one
    assert_eq!(create(&open(&dir), "Three").derivation_index, Some(2));
}

#[test]
fn an_identity_comes_back_by_its_index() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&old);
    create(&store, "One");
    let two = create(&store, "Two");
    let words = store.seed().seed().unwrap().phrase();
    let store = open(&new);
    store.restore_seed(Seed::parse(&words).unwrap()).unwrap();
    let back = store.create("Two", Purpose::Personal, Some(1), NOW).unwrap();
    assert_eq!((back.nostr_pubkey, back.did), (two.nostr_pubkey, two.did));
    assert_eq!(code(store.create("Two", Purpose::Personal, Some(1), NOW)), "identity-key-taken");
    assert_eq!(create(&store, "Next").derivation_index, Some(2));
    assert_eq!(code(store.restore_seed(Seed::generate().unwrap())), "seed-confirmed");
    store.restore_seed(Seed::parse(&words).unwrap()).unwrap();
    let beyond = store.create("Far", Purpose::Personal, Some(u32::MAX), NOW);
    assert_eq!(code(beyond), SeedError::Index(u32::MAX).code());
}

#[test]
fn bad_input_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for name in ["", "  ", "a\nb", &"x".repeat(101)] {
        let made = store.create(name, Purpose::Personal, None, NOW);
        assert_eq!(code(made), "identity-name-invalid", "{name:?}");
    }
    create(&store, &"ü".repeat(100));
    for key in ["", "nsec1", "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg"] {
        let made = store.import("Mine", Purpose::Personal, key, NOW);
        assert_eq!(code(made), "nsec-invalid", "{key:?}");
    }
    let key = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    let mine = store.import("Mine", Purpose::Anonymous, key, NOW).unwrap();
    assert_eq!(mine.origin, Origin::Generated);
    assert_eq!(code(store.import("Again", Purpose::Personal, key, NOW)), "identity-key-taken");
    assert_eq!(code(store.set_profile(&mine.id, Some(json!(1)))), "profile-invalid");
    for id in ["", "../x", "unknown", "node-x"] {
        assert_eq!(code(store.rename(id, "x")), "identity-not-found");
        assert_eq!(code(store.delete(id)), "identity-not-found");
    }
    assert_eq!(code(store.create_nostr_key(&mine.id)), "identity-key-exists");
}

#[test]
fn only_what_the_picker_shows_is_handed_to_apps() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert!(store.signable_pubkeys().is_empty());
    assert!(!dir.path().join("identity/seed.json").exists(), "looking makes no keys");
    let mut keys: Vec<String> =
        ["B", "A"].map(|name| create(&store, name).nostr_pubkey.unwrap()).to_vec();
    create(&store, " NODE ");
    keys.sort();
    assert_eq!(store.signable_pubkeys(), keys);
    assert!(!keys.contains(&store.node_pubkey().unwrap()));
}

#[test]
fn files_of_earlier_versions_are_sealed_when_first_read() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("identities");
    std::fs::create_dir(&place).unwrap();
    let secret = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
    let file = place.join("old-1.json");
    let old = json!({
        "id": "old-1", "name": "Old", "purpose": "other", "secret_key": vec![7; 32],
        "nostr_secret_hex": secret, "created_at": "2025-01-01T00:00:00Z", "future": {"a": 1},
    });
    std::fs::write(&file, old.to_string()).unwrap();
    std::fs::write(place.join(".default"), "old-1\n").unwrap();
    let store = open(&dir);
    let read = store.get("old-1").unwrap();
    assert_eq!((read.purpose, read.is_default), (Purpose::Personal, true));
    assert_eq!(
        read.nostr_pubkey.as_deref(),
        Some("7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e")
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(secret) && !text.contains("secret_key"), "{text}");
    assert!(text.contains("future") && text.contains("sealed"));
    assert_eq!(open(&dir).get("old-1").unwrap(), read);
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = {
        let store = open(&dir);
        (create(&store, "One"), create(&store, "Two"))
    };
    let place = dir.path().join("identities");
    let file = place.join(format!("{}.json", one.id));
    let good = std::fs::read_to_string(&file).unwrap();
    let other = std::fs::read_to_string(place.join(format!("{}.json", two.id))).unwrap();
    let mut swapped: Value = serde_json::from_str(&good).unwrap();
    let other: Value = serde_json::from_str(&other).unwrap();
    swapped["sealed"] = other["sealed"].clone();
    let mut emptied: Value = serde_json::from_str(&good).unwrap();
    emptied.as_object_mut().unwrap().remove("sealed");
    let mut renamed: Value = serde_json::from_str(&good).unwrap();
    renamed["nostr_pubkey_hex"] = json!("0".repeat(64));
    for bad in [
        "{".to_owned(),
        String::new(),
        good[..good.len() / 2].to_owned(),
        swapped.to_string(),
        emptied.to_string(),
        renamed.to_string(),
        good.replace(&one.id, &two.id),
    ] {
        std::fs::write(&file, &bad).unwrap();
        let store = open(&dir);
        let damaged = store.damaged();
        assert_eq!(damaged.len(), 1, "{bad}");
        assert_eq!(damaged[0].file, format!("{}.json", one.id));
        assert_eq!(damaged[0].error.code.as_str(), "identity-file-damaged");
        assert!(store.get(&two.id).is_ok());
        let new = create(&store, "New");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), bad);
        store.delete(&new.id).unwrap();
    }
    std::fs::write(&file, good).unwrap();
    assert!(open(&dir).damaged().is_empty());
}

#[test]
fn a_lost_key_is_never_replaced_by_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    create(&open(&dir), "One");
    let key = dir.path().join("identity/seal.key");
    let saved = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let reopened = || Identities::open(Dirs::below(dir.path()));
    assert_eq!(code(reopened()), "seal-key-missing");
    assert!(!key.exists());
    std::fs::write(&key, "zz").unwrap();
    assert_eq!(code(reopened()), "seal-key-damaged");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    assert_eq!(code(reopened()), "seed-unreadable");
    std::fs::write(&key, saved).unwrap();
    reopened().unwrap();
}

#[test]
fn the_seed_is_shown_until_it_is_confirmed() {
    use crate::Standing;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert_eq!(store.seed().standing().unwrap(), Standing::Missing);
    assert_eq!(code(store.seed().confirm(&[(1, "zoo")])), "seed-missing");
    let words = store.seed().show().unwrap().words();
    let store = open(&dir);
    assert_eq!(store.seed().standing().unwrap(), Standing::Unconfirmed);
    assert_eq!(store.seed().show().unwrap().words(), words);
    for wrong in [vec![], vec![(1, "")], vec![(1, words[0]), (25, "zoo")]] {
        assert_eq!(code(store.seed().confirm(&wrong)), "seed-words-wrong");
    }
    store.seed().confirm(&[(3, words[2]), (24, words[23])]).unwrap();
    assert_eq!(code(store.seed().show()), "seed-confirmed");
    let store = open(&dir);
    assert_eq!(store.seed().standing().unwrap(), Standing::Confirmed);
    assert_eq!(code(store.seed().show()), "seed-confirmed");
    assert_eq!(store.seed().seed().unwrap().words(), words);
}

#[test]
fn did_signatures_are_those_of_the_identity_or_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert_eq!(code(store.did_sign(NODE_ID, b"x")), "seed-missing");
    let one = create(&store, "One");
    for id in [one.id.as_str(), NODE_ID] {
        let (key, signature) = store.did_sign(id, b"message").unwrap();
        assert_eq!(key.to_string(), store.get(id).unwrap().did);
        assert!(key.verifies(b"message", &signature));
    }
}

#[test]
fn a_seed_in_the_clear_is_read_and_sealed_with_the_next_change() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("identity")).unwrap();
    let file = dir.path().join("identity/seed.json");
    let entropy = "0123456789abcdef".repeat(4);
    let text = format!(r#"{{"entropy":"{entropy}","confirmed":false}}"#);
    std::fs::write(&file, &text).unwrap();
    let store = open(&dir);
    let seed = store.seed().show().unwrap();
    assert_eq!(hex::encode(seed.entropy()), entropy);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    store.seed().confirm(&[(1, seed.words()[0])]).unwrap();
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&entropy));
    assert_eq!(open(&dir).seed().seed().unwrap(), seed);
    for broken in ["{}", "", "{\"sealed\":\"AAAA\"}"] {
        std::fs::write(&file, broken).unwrap();
        assert_eq!(code(store.seed().standing()), "seed-unreadable");
        assert_eq!(code(store.seed().seed_or_new()), "seed-unreadable");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), broken);
    }
}
